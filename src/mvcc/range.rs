//! Which keys are meant, and how a read of them is asked for and answered.

use std::cmp::Ordering;

use super::key_value::KeyValue;
use crate::codec::{BorrowDecode, Encode, EncodeError, Encoder, Writer};
use crate::error::Error;

/// A set of keys in byte order. A span whose start is not before its end holds none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
pub enum KeyRange<'a> {
    /// This key alone.
    Key(&'a [u8]),
    /// `start <= key < end`.
    Span {
        /// The first key that may be in it.
        start: &'a [u8],
        /// The first key beyond it.
        end: &'a [u8],
    },
    /// This key and all after it; from the empty key: everything.
    From(&'a [u8]),
}

impl<'a> KeyRange<'a> {
    /// Every key.
    pub const ALL: KeyRange<'static> = KeyRange::From(&[]);

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        match *self {
            KeyRange::Key(only) => key == only,
            KeyRange::Span { start, end } => start <= key && key < end,
            KeyRange::From(start) => start <= key,
        }
    }

    /// No key before this one is in it.
    pub(crate) fn start(&self) -> &'a [u8] {
        match *self {
            KeyRange::Key(start) | KeyRange::Span { start, .. } | KeyRange::From(start) => start,
        }
    }

    pub(crate) fn holds_nothing(&self) -> bool {
        matches!(self, KeyRange::Span { start, end } if start >= end)
    }

    /// A single key must not be empty; as a bound, the empty key is the first of all.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if matches!(self, KeyRange::Key([])) { Err(Error::InvalidKey) } else { Ok(()) }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            KeyRange::Key(key) | KeyRange::From(key) => key.len(),
            KeyRange::Span { start, end } => start.len() + end.len(),
        }
    }
}

impl Default for KeyRange<'_> {
    fn default() -> Self {
        KeyRange::ALL
    }
}

/// What the answer of a range is ordered by. Ties are in ascending key order, in a descending answer too.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
pub enum SortBy {
    /// The key's bytes.
    #[default]
    Key,
    /// The number of puts in the key's life.
    Version,
    /// When the key's life began.
    CreateRevision,
    /// When the key last changed.
    ModRevision,
    /// The value's bytes.
    Value,
}

/// A read of a range at one revision.
///
/// The order of work is: select at the revision, filter, sort, cut to the limit, strip values.
#[derive(Debug, Default, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub struct Range<'a> {
    /// The keys.
    pub keys: KeyRange<'a>,
    /// The revision to read at; 0 is now.
    pub revision: u64,
    /// The most keys to answer; 0 is all.
    pub limit: u64,
    /// Leaves the values out.
    pub keys_only: bool,
    /// Answers the count alone.
    pub count_only: bool,
    /// Counts no further than it has to. Where the limit cuts the answer short, the count may be one above the limit, whatever
    /// is there: so the first of many keys cost what the first of few do.
    pub uncounted: bool,
    /// The order of the answer.
    pub sort_by: SortBy,
    /// Turns the order round.
    pub descend: bool,
    /// Only keys changed at this revision or later; 0 is off.
    pub min_mod_revision: u64,
    /// Only keys changed at this revision or before; 0 is off.
    pub max_mod_revision: u64,
    /// Only keys created at this revision or later; 0 is off.
    pub min_create_revision: u64,
    /// Only keys created at this revision or before; 0 is off.
    pub max_create_revision: u64,
}

/// The answer of a [`Range`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeResponse<'a> {
    /// The store's revision when it was read, whatever revision was asked for.
    pub revision: u64,
    /// The keys in the range at the revision asked for, whatever the limit and the filters.
    pub count: u64,
    /// The limit cut the answer short.
    pub more: bool,
    /// The keys.
    pub kvs: Vec<KeyValue<'a>>,
}

/// In columns: what lies together is read together, the text of all keys by one call and that of all values by another.
///
/// ```text
/// revision  count  more  length  bytes of keys  bytes of values  (length: of each key 6 words)  keys  values
///                                  the words: key length, value length, create_revision, mod_revision, version, lease
/// ```
impl Encode for RangeResponse<'_> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let bytes = self.kvs.iter().fold([0, 0], |[keys, values], kv| [keys + kv.key.len(), values + kv.value.len()]);
        (self.revision, self.count, self.more, self.kvs.len(), bytes[0], bytes[1]).encode(encoder)?;
        let writer = encoder.writer();
        for kv in &self.kvs {
            let lengths = [kv.key.len() as u64, kv.value.len() as u64];
            let numbers = [kv.create_revision, kv.mod_revision, kv.version, kv.lease.0.cast_unsigned()];
            let mut words = [0; 48];
            for (word, number) in words.as_chunks_mut().0.iter_mut().zip(lengths.into_iter().chain(numbers)) {
                *word = number.to_le_bytes();
            }
            writer.write(&words)?;
        }
        self.kvs.iter().try_for_each(|kv| writer.write(&kv.key))?;
        self.kvs.iter().try_for_each(|kv| writer.write(&kv.value))
    }
}

impl RangeResponse<'_> {
    /// The same, owning its bytes.
    pub fn into_owned(self) -> RangeResponse<'static> {
        RangeResponse { kvs: self.kvs.into_iter().map(KeyValue::into_owned).collect(), ..self }
    }
}

impl Range<'_> {
    /// Filters, sorts, cuts and strips what was selected; says whether the limit cut it.
    pub(crate) fn arrange(&self, kvs: &mut Vec<KeyValue<'_>>) -> bool {
        if self.filters() {
            kvs.retain(|kv| self.admits(kv));
        }
        match self.sort_by {
            SortBy::Key if self.descend => kvs.reverse(),
            SortBy::Key => {}
            _ => {
                *kvs = sorted(std::mem::take(kvs), &|a, b| match self.descend {
                    true => self.order(b, a),
                    false => self.order(a, b),
                });
            }
        }
        let limit = if self.limit == 0 { u64::MAX } else { self.limit };
        let more = kvs.len() as u64 > limit;
        kvs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        if self.keys_only {
            kvs.iter_mut().for_each(|kv| kv.value = Default::default());
        }
        more
    }

    /// Nothing but the key order and the limit shapes the answer, so reading may stop at the limit.
    pub(crate) fn stops_at_limit(&self) -> bool {
        self.limit > 0 && self.sort_by == SortBy::Key && !self.descend && !self.filters()
    }

    fn filters(&self) -> bool {
        [self.min_mod_revision, self.max_mod_revision, self.min_create_revision, self.max_create_revision] != [0; 4]
    }

    fn order(&self, a: &KeyValue<'_>, b: &KeyValue<'_>) -> Ordering {
        match self.sort_by {
            SortBy::Key => a.key.cmp(&b.key),
            SortBy::Version => a.version.cmp(&b.version),
            SortBy::CreateRevision => a.create_revision.cmp(&b.create_revision),
            SortBy::ModRevision => a.mod_revision.cmp(&b.mod_revision),
            SortBy::Value => a.value.cmp(&b.value),
        }
    }

    fn admits(&self, kv: &KeyValue<'_>) -> bool {
        let within = |value, min, max| value >= min && (max == 0 || value <= max);
        within(kv.mod_revision, self.min_mod_revision, self.max_mod_revision)
            && within(kv.create_revision, self.min_create_revision, self.max_create_revision)
    }
}

/// The values in the order that `compare` says, equal ones as they stood.
pub(crate) fn sorted<T>(values: Vec<T>, compare: &dyn Fn(&T, &T) -> Ordering) -> Vec<T> {
    let order = ordered(values.len(), &|a, b| compare(&values[a], &values[b]));
    let mut unordered: Vec<Option<T>> = values.into_iter().map(Some).collect();
    order.into_iter().filter_map(|place| unordered[place].take()).collect()
}

/// The places 0..`length` in the order that `compare` says, equal ones ascending.
///
/// Every sort goes through here: each one the compiler makes for a type of its own is 8 KB of code.
pub(super) fn ordered(length: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..length).collect();
    places.sort_by(|a, b| compare(*a, *b));
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use crate::mvcc::key_value::LeaseId;

    #[test]
    fn an_answer_lies_in_columns() {
        let kv = |key: &'static [u8], value: &'static [u8]| KeyValue {
            key: key.into(),
            create_revision: 2,
            mod_revision: 3,
            version: 4,
            lease: LeaseId(-1),
            value: value.into(),
        };
        let kvs = vec![kv(b"a", b"one"), kv(b"bc", b"")];
        let mut encoded = Vec::new();
        codec::encode_into(&RangeResponse { revision: 7, count: 9, more: true, kvs }, &mut encoded);
        let (head, rest) = encoded.split_at(41);
        assert_eq!(codec::decode(head), Ok((7_u64, 9_u64, true, 2_u64, 3_u64, 3_u64)));
        let (words, columns) = rest.split_at(96);
        let words: Vec<i64> = words.as_chunks().0.iter().map(|word| i64::from_le_bytes(*word)).collect();
        assert_eq!((&words[..], columns), (&[1, 3, 2, 3, 4, -1, 2, 0, 2, 3, 4, -1][..], &b"abcone"[..]));
    }
}
