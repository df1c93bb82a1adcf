//! The only module that knows `bincode`: how a value becomes bytes and is read back.
//!
//! Messages of the binding and headers of blobs have little-endian integers of fixed width, lengths and counts as `u64`,
//! enum variants as `u32`. What is kept in great number, the records and what else is in the journal, is *packed*: the
//! same with integers of variable width, which makes 16 bytes of a record's 53 beside its key and value. Byte strings
//! are borrowed when they are read, so that decoding a record allocates nothing.

use bincode::config::{Config, Configuration, Fixint, Limit, LittleEndian, Varint};

pub(crate) use bincode::de::BorrowDecoder;
pub(crate) use bincode::error::DecodeError;
pub(crate) use bincode::{BorrowDecode, Encode};

/// No message claims more than this, so that a damaged count cannot make us allocate without bound.
const DECODED_BYTES_MAX: usize = 64 << 20;

const CONFIG: Configuration<LittleEndian, Fixint, Limit<DECODED_BYTES_MAX>> =
    bincode::config::standard().with_fixed_int_encoding().with_limit::<DECODED_BYTES_MAX>();

/// Without a limit, which would cost a third of the time: nothing that is packed owns what a count could make us allocate.
const PACKED: Configuration<LittleEndian, Varint> = bincode::config::standard();

/// How deep what holds itself may be nested, so that no input runs out of stack.
const LEVELS_MAX: usize = 256;

/// What was read is not the encoding of the value asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Appends the encoding of `value` to `out`.
pub(crate) fn encode_into<T: Encode>(value: &T, out: &mut Vec<u8>) {
    write(value, out, CONFIG);
}

/// Appends the packed encoding of `value` to `out`.
pub(crate) fn pack_into<T: Encode>(value: &T, out: &mut Vec<u8>) {
    write(value, out, PACKED);
}

fn write<T: Encode>(value: &T, out: &mut Vec<u8>, config: impl Config) {
    struct Appender<'a>(&'a mut Vec<u8>);
    impl bincode::enc::write::Writer for Appender<'_> {
        fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
    }
    // Not `expect`: it would bring the text of every error bincode knows into the wasm.
    let written = bincode::encode_into_writer(value, Appender(out), config).is_ok();
    assert!(written, "a Vec takes every byte");
}

/// The encoding of `value`.
#[cfg(target_arch = "wasm32")]
pub(crate) fn encode<T: Encode>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(value, &mut out);
    out
}

/// Reads one level of what may hold itself: each takes its share of all that may be decoded, until it ends.
pub(crate) fn decode_level<'a, D: BorrowDecoder<'a>, T: BorrowDecode<'a, D::Context>>(
    decoder: &mut D,
) -> Result<T, DecodeError> {
    let share = DECODED_BYTES_MAX / LEVELS_MAX;
    decoder.claim_bytes_read(share)?;
    let level = T::borrow_decode(decoder)?;
    decoder.unclaim_bytes_read(share);
    Ok(level)
}

/// Reads one value from the front of `bytes`; gives it and the number of bytes it took.
pub(crate) fn decode_prefix<'a, T: BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Result<(T, usize), Malformed> {
    bincode::borrow_decode_from_slice(bytes, CONFIG).map_err(|_| Malformed)
}

/// Reads one packed value from the front of `bytes`; gives it and the number of bytes it took.
pub(crate) fn unpack_prefix<'a, T: BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Result<(T, usize), Malformed> {
    bincode::borrow_decode_from_slice(bytes, PACKED).map_err(|_| Malformed)
}

/// Reads one value that must take all of `bytes`.
pub(crate) fn decode<'a, T: BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Result<T, Malformed> {
    let (value, length) = decode_prefix(bytes)?;
    if length == bytes.len() { Ok(value) } else { Err(Malformed) }
}
