//! The inside of the crate as far as the fuzz targets need it: the codec, and blobs whose checksums are right.

use super::Blob;
use super::blob::{Header, Opened, Stream};
use super::note::Note;
pub use super::sealed::{Piece, seal};
use crate::codec::{self, BorrowDecode, Encode};
use crate::mvcc::Record;

/// What a blob says of itself that was written whole.
pub fn piece(blob: &Blob) -> Piece<'_> {
    let Opened { header, payload, .. } = Header::open(&blob.id, &blob.bytes).expect("the blob was written whole");
    let Header { sequence, epoch, stream, first, last, to, heads, part, parts, .. } = header;
    Piece { sequence, epoch, is_notes: stream == Stream::Notes, first, last, to, heads, part, parts, payload }
}

/// Reads one message from the front; gives it and the rest. Panics where it would be packed to other bytes.
pub fn unpack<'a, T: BorrowDecode<'a, ()> + Encode>(bytes: &'a [u8]) -> Option<(T, &'a [u8])> {
    let (value, length) = codec::decode_prefix::<T>(bytes).ok()?;
    let (read, rest) = bytes.split_at(length);
    assert_eq!(pack(&value), read, "a value does not pack to the bytes it was read from");
    Some((value, rest))
}

/// Packs a message.
pub fn pack<T: Encode>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode_into(value, &mut bytes);
    bytes
}

/// Reads one record from the front; gives the rest.
pub fn skip_record(bytes: &[u8]) -> Option<&[u8]> {
    skip::<Record<'_>>(bytes)
}

/// Reads one note from the front; gives the rest.
pub fn skip_note(bytes: &[u8]) -> Option<&[u8]> {
    skip::<Note<'_>>(bytes)
}

/// Panics where packing what was read would take more bytes: integers of variable width can be written wider than needed,
/// and are never written so.
fn skip<'a, T: BorrowDecode<'a, ()> + Encode>(bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (value, length) = codec::unpack_prefix::<T>(bytes).ok()?;
    let mut packed = Vec::new();
    codec::pack_into(&value, &mut packed);
    assert!(packed.len() <= length, "it packs to more bytes than it was read from");
    assert!(packed.len() < length || packed == bytes[..length], "it packs to other bytes than it was read from");
    Some(&bytes[length..])
}
