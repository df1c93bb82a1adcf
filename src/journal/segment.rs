//! One blob: a header that is checked before any of it is believed, and a piece of a batch's entries.
//!
//! ```text
//! offset  bytes
//!      0      4  magic "rkv\0"
//!      4      2  version of the format, 1
//!      6      2  flags, 0: a reader refuses what it does not know
//!      8     16  incarnation: this life of the store
//!     24      8  epoch of the writer, growing with each opening
//!     32      8  sequence: the blob's number; its id is this in 16 hex digits
//!     40      8  chain: the header checksum of the blob before, or 0 where the journal begins
//!     48      4  part and
//!     52      4  parts: a batch is cut into parts 0..parts, in consecutive blobs
//!     56      8  through: the store's revision once the batch is written
//!     64      4  payload length
//!     68      8  payload checksum (XXH3-64)
//!     76      8  header checksum (XXH3-64 of bytes 0..76)
//!     84         payload: entries end to end, in the encoding of `codec`
//! ```
//!
//! All integers are little-endian.

use twox_hash::XxHash3_64;

use crate::codec::{self, BorrowDecode, Encode};
use crate::error::Error;

const MAGIC: [u8; 4] = *b"rkv\0";
const VERSION: u16 = 1;
const CHECKSUM_AT: usize = 76;
pub(super) const HEADER_BYTES: usize = CHECKSUM_AT + 8;
/// What the first blob of a journal is chained to.
pub(super) const CHAIN_START: u64 = 0;

/// What a blob says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub incarnation: [u8; 16],
    pub epoch: u64,
    pub sequence: u64,
    pub chain: u64,
    pub part: u32,
    pub parts: u32,
    pub through: u64,
}

/// The checked part of a header, as it is stored.
#[derive(Encode, BorrowDecode)]
struct Stored {
    magic: [u8; 4],
    version: u16,
    flags: u16,
    incarnation: [u8; 16],
    epoch: u64,
    sequence: u64,
    chain: u64,
    part: u32,
    parts: u32,
    through: u64,
    payload_bytes: u32,
    payload_checksum: u64,
}

pub(super) fn blob_id(sequence: u64) -> String {
    format!("{sequence:016x}")
}

impl Header {
    /// The blob with this header and payload, and the chain value for the next one.
    pub fn seal(&self, payload: &[u8]) -> (Vec<u8>, u64) {
        let stored = Stored {
            magic: MAGIC,
            version: VERSION,
            flags: 0,
            incarnation: self.incarnation,
            epoch: self.epoch,
            sequence: self.sequence,
            chain: self.chain,
            part: self.part,
            parts: self.parts,
            through: self.through,
            payload_bytes: u32::try_from(payload.len()).expect("a blob is far smaller than 4 GiB"),
            payload_checksum: XxHash3_64::oneshot(payload),
        };
        let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
        codec::encode_into(&stored, &mut bytes);
        let checksum = XxHash3_64::oneshot(&bytes);
        codec::encode_into(&checksum, &mut bytes);
        bytes.extend_from_slice(payload);
        (bytes, checksum)
    }

    /// Reads a blob: its header, its payload and the chain value for the next one.
    pub fn open<'a>(id: &str, bytes: &'a [u8]) -> Result<(Self, &'a [u8], u64), Error> {
        let corrupt = |offset, what| Error::Corrupt { blob: id.to_owned(), offset, what };
        let (head, payload) =
            bytes.split_at_checked(HEADER_BYTES).ok_or_else(|| corrupt(bytes.len(), "it is cut short"))?;
        let (checked, checksum) = head.split_at(CHECKSUM_AT);
        if checked[..4] != MAGIC {
            return Err(corrupt(0, "it is no revkv blob"));
        }
        // The version comes before the checksum: another version may have another header.
        let version = u16::from_le_bytes([checked[4], checked[5]]);
        if version != VERSION {
            return Err(Error::UnsupportedFormat { blob: id.to_owned(), version });
        }
        let checksum: u64 = codec::decode(checksum).map_err(|_| corrupt(CHECKSUM_AT, "no header checksum"))?;
        if XxHash3_64::oneshot(checked) != checksum {
            return Err(corrupt(CHECKSUM_AT, "the header does not match its checksum"));
        }
        let stored: Stored = codec::decode(checked).map_err(|_| corrupt(0, "the header cannot be read"))?;
        if stored.flags != 0 {
            return Err(Error::UnsupportedFormat { blob: id.to_owned(), version });
        }
        if blob_id(stored.sequence) != id {
            return Err(corrupt(32, "it is stored under another blob's id"));
        }
        if stored.payload_bytes as usize != payload.len() {
            return Err(corrupt(64, "the payload does not have its length"));
        }
        if XxHash3_64::oneshot(payload) != stored.payload_checksum {
            return Err(corrupt(68, "the payload does not match its checksum"));
        }
        let Stored { incarnation, epoch, sequence, chain, part, parts, through, .. } = stored;
        Ok((Self { incarnation, epoch, sequence, chain, part, parts, through }, payload, checksum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header { incarnation: [7; 16], epoch: 3, sequence: 255, chain: 9, part: 0, parts: 1, through: 41 }
    }

    #[test]
    fn a_blob_reads_back_as_it_was_sealed() {
        let (bytes, chain) = header().seal(b"payload");
        assert_eq!(bytes.len(), HEADER_BYTES + 7);
        assert_eq!(Header::open("00000000000000ff", &bytes), Ok((header(), &b"payload"[..], chain)));
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_named() {
        let (bytes, _) = header().seal(b"payload");
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let code = Header::open("00000000000000ff", &damaged).map_err(|error| error.code());
            let expected = if (32..48).contains(&bit) { "UNSUPPORTED_FORMAT" } else { "CORRUPT" };
            assert_eq!(code.err(), Some(expected), "bit {bit}");
        }
        for length in 0..bytes.len() {
            let code = Header::open("00000000000000ff", &bytes[..length]).map_err(|error| error.code());
            assert_eq!(code.err(), Some("CORRUPT"), "length {length}");
        }
        assert!(Header::open("00000000000000fe", &bytes).is_err());
    }
}
