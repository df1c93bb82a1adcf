//! A key as the directory keeps it: its first bytes in place, as words.
//!
//! The directory compares keys more often than it does anything else. Three words compared as big-endian numbers decide
//! almost always, without a look at memory elsewhere and without a loop over bytes, which is what comparing slices is in
//! wasm. Keys of up to 24 bytes are held whole; longer ones keep the rest apart.

use std::cmp::Ordering;

use equivalent::{Comparable, Equivalent};

const HEAD_BYTES: usize = 24;

/// An owned key. Ordered as its bytes are.
///
/// The order of the fields is the order of comparison: where the words are equal and neither has a rest, the shorter is a
/// prefix of the longer, whose further bytes are zeros like the padding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    head: [u64; 3],
    rest: Option<Box<[u8]>>,
    length: u32,
}

/// A borrowed key to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Probe<'a> {
    head: [u64; 3],
    rest: Option<&'a [u8]>,
    length: u32,
}

impl Key {
    pub fn new(bytes: &[u8]) -> Self {
        let Probe { head, rest, length } = Probe::new(bytes);
        Self { head, rest: rest.map(Box::from), length }
    }

    /// A copy of its bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let head = self.head.iter().flat_map(|word| word.to_be_bytes());
        let mut bytes: Vec<u8> = head.take(self.len()).collect();
        bytes.extend_from_slice(self.rest.as_deref().unwrap_or_default());
        bytes
    }

    pub fn len(&self) -> usize {
        self.length as usize
    }

    pub(super) fn probe(&self) -> Probe<'_> {
        Probe { head: self.head, rest: self.rest.as_deref(), length: self.length }
    }
}

impl<'a> Probe<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut padded = [0; HEAD_BYTES];
        let (head, rest) = bytes.split_at(bytes.len().min(HEAD_BYTES));
        padded[..head.len()].copy_from_slice(head);
        let word = |at: usize| u64::from_be_bytes(std::array::from_fn(|byte| padded[at * 8 + byte]));
        let length = u32::try_from(bytes.len()).expect("a key is no larger than a request");
        Self { head: [word(0), word(1), word(2)], rest: (!rest.is_empty()).then_some(rest), length }
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
