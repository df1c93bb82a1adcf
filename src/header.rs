//! How a header that is checked before any of it is believed begins and ends: a magic and a version, and at the end a
//! checksum of all before it. `docs/format.md` has the bytes.

use twox_hash::XxHash3_64;

use crate::error::Error;

/// What a header is told by.
pub(crate) struct Kind {
    pub magic: [u8; 4],
    pub version: u16,
    /// Where the checksum stands, the last 8 bytes of the header.
    pub checksum_at: usize,
    /// Why bytes with another magic are refused.
    pub alien: &'static str,
}

/// A header that matches its checksum, and what follows it.
pub(crate) struct Checked<'a> {
    /// All before the checksum.
    pub head: &'a [u8],
    pub checksum: u64,
    pub rest: &'a [u8],
}

impl Kind {
    /// The header at the front of `bytes`, which errors call `id`.
    pub fn check<'a>(&self, id: &str, bytes: &'a [u8]) -> Result<Checked<'a>, Error> {
        let corrupt = |offset, what| Error::Corrupt { blob: id.to_owned(), offset, what };
        let cut = || corrupt(bytes.len(), "it is cut short");
        let (head, rest) = bytes.split_at_checked(self.checksum_at).ok_or_else(cut)?;
        let (checksum, rest) = rest.split_first_chunk().ok_or_else(cut)?;
        if head[..4] != self.magic {
            return Err(corrupt(0, self.alien));
        }
        // The version comes before the checksum: another version may have another header.
        let version = u16::from_le_bytes([head[4], head[5]]);
        if version != self.version {
            return Err(Error::UnsupportedFormat { blob: id.to_owned(), version });
        }
        let checksum = u64::from_le_bytes(*checksum);
        if XxHash3_64::oneshot(head) != checksum {
            return Err(corrupt(self.checksum_at, "the header does not match its checksum"));
        }
        Ok(Checked { head, checksum, rest })
    }
}
