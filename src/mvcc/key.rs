//! A key as the directory keeps it: its first bytes in place, as words.
//!
//! The directory compares keys more often than it does anything else. Three words compared as big-endian numbers decide
//! almost always, without a look at memory elsewhere and without a loop over bytes, which is what comparing slices is in
//! wasm. Keys of up to 23 bytes are held whole; longer ones keep the rest apart.

use std::cmp::Ordering;

use equivalent::{Comparable, Equivalent};

const HEAD_BYTES: usize = 23;
/// In the last byte of the head, where shorter keys have their length.
const GOES_ON: u8 = 24;

/// An owned key. Ordered as its bytes are.
///
/// ```text
/// head: 23 bytes, padded with zeros, then the length, or 24 for a longer key    rest: the bytes from the 24th on
/// ```
///
/// Where the 23 bytes are equal, the shorter key is a prefix of the longer, whose further bytes are zeros like the
/// padding; so the length decides, and after it the rest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    head: [u64; 3],
    /// Boxed twice, so that a key without a rest spends one word on it and not two.
    rest: Option<Box<Box<[u8]>>>,
}

/// A borrowed key to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Probe<'a> {
    head: [u64; 3],
    rest: Option<&'a [u8]>,
}

impl Key {
    pub fn new(bytes: &[u8]) -> Self {
        let Probe { head, rest } = Probe::new(bytes);
        Self { head, rest: rest.map(|rest| Box::new(Box::from(rest))) }
    }

    /// A copy of its bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let head = self.head.iter().flat_map(|word| word.to_be_bytes());
        let mut bytes: Vec<u8> = head.take(self.len().min(HEAD_BYTES)).collect();
        bytes.extend_from_slice(self.probe().rest.unwrap_or_default());
        bytes
    }

    pub fn len(&self) -> usize {
        let [.., length] = self.head[2].to_be_bytes();
        self.rest.as_ref().map_or(usize::from(length), |rest| HEAD_BYTES + rest.len())
    }

    pub(super) fn probe(&self) -> Probe<'_> {
        Probe { head: self.head, rest: self.rest.as_ref().map(|rest| &***rest) }
    }
}

impl<'a> Probe<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        let (short, rest) = bytes.split_at(bytes.len().min(HEAD_BYTES));
        let mut head = [0; HEAD_BYTES + 1];
        head[..short.len()].copy_from_slice(short);
        head[HEAD_BYTES] = if rest.is_empty() { short.len().to_le_bytes()[0] } else { GOES_ON };
        let (words, _) = head.as_chunks();
        let head = [0, 1, 2].map(|place| u64::from_be_bytes(words[place]));
        Self { head, rest: (!rest.is_empty()).then_some(rest) }
    }
}

impl Equivalent<Key> for Probe<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.probe()
    }
}

impl Comparable<Key> for Probe<'_> {
    #[inline]
    fn compare(&self, key: &Key) -> Ordering {
        self.cmp(&key.probe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys that share words, padding and rests in every way.
    fn keys() -> Vec<Vec<u8>> {
        let mut keys = vec![vec![0; 0]];
        for length in [1, 2, 7, 8, 9, 16, 22, 23, 24, 25, 26, 32, 48] {
            keys.extend([0, 1, 0x7f, 0x80, 0xff].map(|byte| vec![byte; length]));
            for place in [0, length / 2, length - 1] {
                for byte in [0, 1, 0xff] {
                    let mut key = vec![b'k'; length];
                    key[place] = byte;
                    keys.push(key);
                }
            }
        }
        keys
    }

    #[test]
    fn keys_are_ordered_as_their_bytes_are() {
        let keys = keys();
        for a in &keys {
            assert_eq!(&Key::new(a).to_vec(), a);
            for b in &keys {
                assert_eq!(Key::new(a).cmp(&Key::new(b)), a.cmp(b), "{a:?} and {b:?}");
                assert_eq!(Probe::new(a).compare(&Key::new(b)), a.cmp(b), "{a:?} and {b:?}");
                assert_eq!(Probe::new(a).equivalent(&Key::new(b)), a == b, "{a:?} and {b:?}");
            }
        }
    }
}
