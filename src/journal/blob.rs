//! One blob: a header that is checked before any of it is believed, and a payload.
//!
//! `docs/format.md` has the bytes. All integers are little-endian.

use twox_hash::XxHash3_64;

use crate::codec::{self, BorrowDecode, Encode};
use crate::error::Error;
use crate::header::{Checked, Kind};
use crate::mvcc::Revision;

const MAGIC: [u8; 4] = *b"rkv\0";
const VERSION: u16 = 1;
const SEQUENCE_AT: usize = 32;
const PAYLOAD_BYTES_AT: usize = 120;
const PAYLOAD_CHECKSUM_AT: usize = 124;
const CHECKSUM_AT: usize = 132;
pub(super) const HEADER_BYTES: usize = CHECKSUM_AT + 8;
const KIND: Kind = Kind { magic: MAGIC, version: VERSION, checksum_at: CHECKSUM_AT, alien: "it is no revkv blob" };

/// What the first piece of a stream is chained to.
pub(super) const CHAIN_START: u64 = 0;
/// Says that the next piece is chained to this blob's own checksum.
pub(super) const TAIL_OWN: u64 = 0;

/// What a piece belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, BorrowDecode)]
pub(super) enum Stream {
    /// The history.
    Records,
    /// What else has to be known: see [`super::Note`].
    Notes,
}

/// What a blob says of itself and of the piece it is, or is a part of.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub(super) struct Header {
    /// This life of the store.
    pub incarnation: [u8; 16],
    /// Of the writer, growing with each opening.
    pub epoch: u64,
    /// The blob's number, growing with each blob; its id.
    pub sequence: u64,
    pub stream: Stream,
    /// The positions in the stream that the piece takes.
    pub first: u64,
    pub last: u64,
    /// It holds the records behind the piece before up to here, but for those forgotten since. Of notes: the store's
    /// revision, for no other use than to be looked at.
    pub to: Revision,
    /// The tail of the piece before, or [`CHAIN_START`].
    pub chain: u64,
    /// What the next piece is chained to: of pieces joined, the tail of the last one, or else [`TAIL_OWN`].
    pub tail: u64,
    /// The last positions of both streams once this batch is written.
    pub heads: [u64; 2],
    /// A piece that is too large for a blob is cut: this is part `part` of `parts`, whose numbers are consecutive.
    pub part: u32,
    pub parts: u32,
    /// The sum of the header checksums of all blobs with smaller numbers that are there once this batch is written, modulo
    /// 2^64: of the newest blob, it tells whether the others are those that belong to it.
    pub others: u64,
}

/// The checked part of a header, as it is stored.
#[derive(Encode, BorrowDecode)]
struct Stored {
    magic: [u8; 4],
    version: u16,
    flags: u16,
    header: Header,
    payload_bytes: u32,
    payload_checksum: u64,
}

/// A blob that has been read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opened<'a> {
    pub header: Header,
    pub payload: &'a [u8],
    pub checksum: u64,
}

/// 16 hex digits, so that ids are ordered as the numbers are.
pub(super) fn blob_id(sequence: u64) -> String {
    format!("{sequence:016x}")
}

impl Header {
    /// The blob with this header and payload, and the header's checksum.
    pub fn seal(&self, payload: &[u8]) -> (Vec<u8>, u64) {
        let stored = Stored {
            magic: MAGIC,
            version: VERSION,
            flags: 0,
            header: self.clone(),
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

    /// Reads the blob stored under `id`, which is all of `bytes`.
    pub fn open<'a>(id: &str, bytes: &'a [u8]) -> Result<Opened<'a>, Error> {
        let corrupt = |offset, what| Error::Corrupt { blob: id.to_owned(), offset, what };
        let (opened, rest) = Self::open_prefix(id, bytes)?;
        if blob_id(opened.header.sequence) != id {
            return Err(corrupt(SEQUENCE_AT, "it is stored under another blob's id"));
        }
        if rest.is_empty() {
            Ok(opened)
        } else {
            Err(corrupt(PAYLOAD_BYTES_AT, "the payload does not have its length"))
        }
    }

    /// Reads the blob at the front of `bytes`, which errors call `id`; gives it and what follows.
    pub fn open_prefix<'a>(id: &str, bytes: &'a [u8]) -> Result<(Opened<'a>, &'a [u8]), Error> {
        let corrupt = |offset, what| Error::Corrupt { blob: id.to_owned(), offset, what };
        let Checked { head, checksum, rest } = KIND.check(id, bytes)?;
        let stored: Stored = codec::decode(head).map_err(|_| corrupt(0, "the header cannot be read"))?;
        if stored.flags != 0 {
            return Err(Error::UnsupportedFormat { blob: id.to_owned(), version: VERSION });
        }
        let (payload, rest) = rest
            .split_at_checked(stored.payload_bytes as usize)
            .ok_or_else(|| corrupt(PAYLOAD_BYTES_AT, "the payload does not have its length"))?;
        if XxHash3_64::oneshot(payload) != stored.payload_checksum {
            return Err(corrupt(PAYLOAD_CHECKSUM_AT, "the payload does not match its checksum"));
        }
        Ok((Opened { header: stored.header, payload, checksum }, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            incarnation: [7; 16],
            epoch: 3,
            sequence: 255,
            others: 8,
            stream: Stream::Notes,
            first: 4,
            last: 9,
            to: Revision { main: 41, sub: 1 },
            chain: 9,
            tail: 0,
            heads: [12, 9],
            part: 0,
            parts: 1,
        }
    }

    #[test]
    fn a_blob_reads_back_as_it_was_sealed() {
        let (bytes, checksum) = header().seal(b"payload");
        assert_eq!(bytes.len(), HEADER_BYTES + 7);
        let opened = Opened { header: header(), payload: b"payload", checksum };
        assert_eq!(Header::open("00000000000000ff", &bytes), Ok(opened));
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
        assert!(Header::open("00000000000000ff", &[&bytes[..], b"x"].concat()).is_err());
    }
}
