//! The inside of the crate as far as the fuzz targets need it: the codec, and blobs whose checksums are right.

use super::segment::{self, Header};
use super::{Blob, Entry};
use crate::codec::{self, BorrowDecode, Encode};

/// What the header of a sealed blob says, as far as an input may choose it.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// The number of the blob.
    pub sequence: u64,
    /// The epoch of its writer.
    pub epoch: u64,
    /// Which part of a batch it is.
    pub part: u32,
    /// Of how many.
    pub parts: u32,
    /// The revision after the batch.
    pub through: u64,
    /// What it holds.
    pub payload: &'a [u8],
}

/// The pieces as blobs, each sealed, and chained to the one before.
pub fn seal(pieces: &[Piece<'_>]) -> Vec<Blob> {
    let mut chain = segment::CHAIN_START;
    let seal = |piece: &Piece<'_>| {
        let Piece { sequence, epoch, part, parts, through, payload } = *piece;
        let header = Header { incarnation: [7; 16], epoch, sequence, chain, part, parts, through };
        let bytes;
        (bytes, chain) = header.seal(payload);
        Blob { id: segment::blob_id(sequence), bytes }
    };
    pieces.iter().map(seal).collect()
}

/// The payload of a blob that was written whole.
pub fn payload(blob: &Blob) -> &[u8] {
    &blob.bytes[segment::HEADER_BYTES..]
}

/// Reads one message from the front; gives it and the rest. Panics where it would be encoded to other bytes.
pub fn decode<'a, T: BorrowDecode<'a, ()> + Encode>(bytes: &'a [u8]) -> Option<(T, &'a [u8])> {
    let (value, length) = codec::decode_prefix::<T>(bytes).ok()?;
    let (read, rest) = bytes.split_at(length);
    assert_eq!(encode(&value), read, "a value is not encoded to the bytes it was read from");
    Some((value, rest))
}

/// Reads one entry of the journal from the front; gives the rest. Panics where packing it would make another entry of it,
/// or more bytes: integers of variable width can be written wider than needed.
pub fn skip_entry(bytes: &[u8]) -> Option<&[u8]> {
    let (entry, length) = codec::unpack_prefix::<Entry<'_>>(bytes).ok()?;
    let mut packed = Vec::new();
    codec::pack_into(&entry, &mut packed);
    assert!(packed.len() <= length, "an entry packs to more bytes than it was read from");
    assert_eq!(codec::unpack_prefix(&packed), Ok((entry, packed.len())), "an entry packs to another one");
    Some(&bytes[length..])
}

/// Encodes a message.
pub fn encode<T: Encode>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode_into(value, &mut bytes);
    bytes
}
