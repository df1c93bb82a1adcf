//! The only module that knows `bincode`: how a value becomes bytes and is read back.
//!
//! Messages of the binding and headers of blobs have little-endian integers of fixed width, lengths and counts as `u64`,
//! enum variants as `u32`. What is kept in great number, the records and what else is in the journal, is *packed*: the
//! same with integers of variable width, which makes 16 bytes of a record's 53 beside its key and value. Byte strings
//! are borrowed when they are read, so that decoding a record allocates nothing.

use bincode::config::{Config, Configuration, Fixint, Limit, LittleEndian, Varint};

pub(crate) use bincode::de::BorrowDecoder;
pub(crate) use bincode::enc::Encoder;
pub(crate) use bincode::enc::write::Writer;
pub(crate) use bincode::error::{DecodeError, EncodeError};
pub(crate) use bincode::{BorrowDecode, Encode};

/// No message claims more than this, so that a damaged count cannot make us allocate without bound. bincode holds a count
/// against it before it reserves memory for what is counted, and lets go of it as that is read: all the lists of a message
/// together never reserve more.
///
/// It is far above the largest request, so that larger ones may be allowed than are by default.
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
    let written = write(value, out, usize::MAX, CONFIG);
    assert!(written, "a Vec takes every byte");
}

/// Appends the encoding of `value` to `out` if it has no more than `bytes_max` bytes; else says `false`, and what is appended
/// is of no use.
pub(crate) fn encode_within<T: Encode>(value: &T, bytes_max: usize, out: &mut Vec<u8>) -> bool {
    write(value, out, bytes_max, CONFIG)
}

/// Appends the packed encoding of `value` to `out`.
pub(crate) fn pack_into<T: Encode>(value: &T, out: &mut Vec<u8>) {
    let written = write(value, out, usize::MAX, PACKED);
    assert!(written, "a Vec takes every byte");
}

/// Ends with `false` at the first bytes for which there is no room.
fn write<T: Encode>(value: &T, out: &mut Vec<u8>, room: usize, config: impl Config) -> bool {
    struct Appender<'a> {
        out: &'a mut Vec<u8>,
        room: usize,
    }
    impl bincode::enc::write::Writer for Appender<'_> {
        fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
            self.room = self.room.checked_sub(bytes.len()).ok_or(bincode::error::EncodeError::UnexpectedEnd)?;
            self.out.extend_from_slice(bytes);
            Ok(())
        }
    }
    // Not `expect`: it would bring the text of every error bincode knows into the wasm.
    bincode::encode_into_writer(value, Appender { out, room }, config).is_ok()
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

/// Reads what is packed number by number, for what is read more often than anything else: a point read takes 800
/// instructions of wasm less than by bincode. `None`: the bytes end, or are not what was packed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unpacker<'a>(pub &'a [u8]);

impl<'a> Unpacker<'a> {
    /// One byte up to 250, or a byte that says how many follow.
    #[inline]
    pub fn number(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first()?;
        if *first <= 250 {
            self.0 = rest;
            return Some(u64::from(*first));
        }
        self.wide(*first)
    }

    fn wide(&mut self, width: u8) -> Option<u64> {
        let bytes = &self.0[1..];
        let (number, width) = match width {
            251 => (u64::from(u16::from_le_bytes(*bytes.first_chunk()?)), 2),
            252 => (u64::from(u32::from_le_bytes(*bytes.first_chunk()?)), 4),
            253 => (u64::from_le_bytes(*bytes.first_chunk()?), 8),
            _ => return None,
        };
        self.0 = &bytes[width..];
        Some(number)
    }

    /// A number that may be negative: those that are lie between the others.
    #[inline]
    pub fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        let half = (number >> 1).cast_signed();
        Some(if number & 1 == 0 { half } else { !half })
    }

    #[inline]
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

/// Reads one value that must take all of `bytes`.
pub(crate) fn decode<'a, T: BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Result<T, Malformed> {
    let (value, length) = decode_prefix(bytes)?;
    if length == bytes.len() { Ok(value) } else { Err(Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded<T: Encode>(value: &T) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_into(value, &mut bytes);
        bytes
    }

    #[test]
    fn what_is_packed_is_read_number_by_number_as_well() {
        let numbers = [0, 1, 250, 251, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, u64::MAX];
        let texts = [0, 1, 250, 251, 70_000].map(|length| vec![7; length]);
        let mut packed = Vec::new();
        numbers.iter().for_each(|number| pack_into(number, &mut packed));
        numbers.iter().for_each(|number| pack_into(&number.cast_signed(), &mut packed));
        texts.iter().for_each(|text| pack_into(&&text[..], &mut packed));
        let mut unpacker = Unpacker(&packed);
        assert!(numbers.iter().all(|number| unpacker.number() == Some(*number)));
        assert!(numbers.iter().all(|number| unpacker.signed() == Some(number.cast_signed())));
        assert!(texts.iter().all(|text| unpacker.bytes() == Some(&text[..])));
        assert_eq!((unpacker.0, unpacker.number()), (&[][..], None));
        for cut in [&[251, 0][..], &[252, 0, 0, 0], &[253, 0, 0, 0, 0, 0, 0, 0], &[254], &[255]] {
            assert_eq!(Unpacker(cut).number(), None, "{cut:?}");
        }
        assert_eq!(Unpacker(&[2, 0]).bytes(), None, "of two bytes one is there");
    }

    /// Something that holds itself.
    #[derive(Debug, Default, PartialEq, Encode)]
    struct Nest(Vec<Nest>);

    impl<'de, C> BorrowDecode<'de, C> for Nest {
        fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
            decode_level(decoder).map(Self)
        }
    }

    #[test]
    fn a_value_takes_all_of_its_bytes_and_no_more() {
        let bytes = encoded(&(7_u32, &b"seven"[..]));
        assert_eq!(bytes, b"\x07\0\0\0\x05\0\0\0\0\0\0\0seven");
        assert_eq!(decode::<(u32, &[u8])>(&bytes), Ok((7, &b"seven"[..])));
        for length in 0..bytes.len() {
            assert_eq!(decode::<(u32, &[u8])>(&bytes[..length]), Err(Malformed), "{length} bytes");
        }
        let longer = [&bytes[..], b"\0"].concat();
        assert_eq!(decode::<(u32, &[u8])>(&longer), Err(Malformed));
        assert_eq!(decode_prefix::<(u32, &[u8])>(&longer), Ok(((7, &b"seven"[..]), bytes.len())));
        assert_eq!(decode::<()>(b""), Ok(()));
    }

    #[test]
    fn a_value_that_is_too_long_is_not_encoded_whole() {
        let value = (7_u32, &b"seven"[..]);
        for (bytes_max, expected) in [(0, false), (16, false), (17, true), (18, true)] {
            let mut bytes = Vec::new();
            assert_eq!(encode_within(&value, bytes_max, &mut bytes), expected, "{bytes_max} bytes");
            assert!(bytes.len() <= bytes_max);
            assert_eq!(bytes == encoded(&value), expected, "{bytes_max} bytes");
        }
    }

    /// Counts of 8 bytes each, up to one whose memory no machine has: to reserve it would end the process.
    #[test]
    fn a_count_past_the_limit_is_refused_before_anything_is_reserved() {
        let most = (DECODED_BYTES_MAX / 8) as u64;
        for count in [1, most, most + 1, 1 << 40, u64::MAX / 8, u64::MAX] {
            let bytes = encoded(&(count, 7_u64));
            assert_eq!(decode::<Vec<u64>>(&bytes).is_ok(), count == 1, "{count} numbers, of which one is there");
            assert_eq!(decode::<&[u8]>(&bytes), Err(Malformed), "{count} bytes, of which 8 are there");
        }
    }

    /// The limit is on all of a message, by which it is refused though every byte is there.
    #[test]
    fn a_message_longer_than_the_limit_is_refused() {
        let text = |length: usize| [&(length as u64).to_le_bytes()[..], &vec![0; length]].concat();
        assert!(decode::<&[u8]>(&text(DECODED_BYTES_MAX - 8)).is_ok());
        assert_eq!(decode::<&[u8]>(&text(DECODED_BYTES_MAX - 7)), Err(Malformed));
    }

    #[test]
    fn the_largest_request_is_read() {
        let value = vec![0; crate::REQUEST_BYTES_MAX];
        let request = crate::Request::Put(crate::Put { value: &value, ..crate::Put::default() });
        assert_eq!(decode(&encoded(&request)), Ok(request));
    }

    #[test]
    fn nesting_has_a_depth() {
        let nested = |levels| (1..levels).fold(Nest::default(), |inner, _| Nest(vec![inner]));
        for (levels, expected) in [(1, true), (LEVELS_MAX / 2, true), (LEVELS_MAX + 1, false), (4_000, false)] {
            let nest = nested(levels);
            assert_eq!(decode::<Nest>(&encoded(&nest)) == Ok(nest), expected, "{levels} levels");
        }
        let wide = Nest((0..4 * LEVELS_MAX).map(|_| nested(2)).collect());
        assert_eq!(decode(&encoded(&wide)), Ok(wide), "what lies side by side is not nested");
    }
}
