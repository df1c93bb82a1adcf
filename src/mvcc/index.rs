//! The directory of keys: for each, the revisions at which it changed.

use std::ops::Bound;

use super::key::{Key, Probe};
use super::key_index::{Change, KeyIndex};
use super::range::KeyRange;
use super::revision::Revision;

/// What a key is counted as beside its bytes: its place in the map and the head of its index.
pub(super) const KEY_BYTES: usize = 64;
/// What each change in a key's index is counted as.
pub(super) const CHANGE_BYTES: usize = 16;

/// Every key that has a change which is still kept, in byte order.
///
/// Invariants ([`Index::check`]): `alive` keys are not deleted; `bytes` is the sum over all keys of `KEY_BYTES`, the key's
/// length, and `CHANGE_BYTES` for each change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    keys: im::OrdMap<Key, KeyIndex>,
    alive: usize,
    bytes: usize,
}

impl Index {
    pub fn get(&self, key: &[u8]) -> Option<&KeyIndex> {
        self.keys.get(&Probe::new(key))
    }

    /// The number of keys there now.
    pub fn alive(&self) -> usize {
        self.alive
    }

    /// What the keys and their changes are counted as.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Changes the index of this key, made where there is none and removed where nothing is left of it.
    pub fn update<R>(&mut self, key: &[u8], change: impl FnOnce(&mut KeyIndex) -> R) -> R {
        let probe = Probe::new(key);
        let Some(index) = self.keys.get_mut(&probe) else {
            let mut index = KeyIndex::default();
            let result = change(&mut index);
            if !index.is_empty() {
                self.bytes += KEY_BYTES + key.len() + index.len() * CHANGE_BYTES;
                self.alive += usize::from(index.is_alive());
                self.keys.insert(Key::new(key), index);
            }
            return result;
        };
        let (changes, alive) = (index.len(), index.is_alive());
        let result = change(index);
        self.bytes += index.len() * CHANGE_BYTES;
        self.bytes -= changes * CHANGE_BYTES;
        self.alive += usize::from(index.is_alive());
        self.alive -= usize::from(alive);
        if index.is_empty() {
            self.keys.remove(&probe);
            self.bytes -= KEY_BYTES + key.len();
        }
        result
    }

    /// The put that a read at `main` sees of each key there in the range, in key order.
    pub fn range(&self, keys: KeyRange<'_>, main: u64) -> impl Iterator<Item = (&Key, Revision)> {
        self.within(keys).filter_map(move |(key, index)| Some((key, index.get(main)?)))
    }

    /// The changes of the range with a main in `from..=to` that a compaction at `compacted` keeps, in key order.
    pub fn changes(&self, keys: KeyRange<'_>, compacted: u64, from: u64, to: u64) -> impl Iterator<Item = Change> {
        self.within(keys).flat_map(move |(_, index)| index.kept_within(compacted, from, to))
    }

    /// Whether the keys of the range have this many changes, found without counting the rest.
    pub fn has_changes(&self, keys: KeyRange<'_>, changes: usize) -> bool {
        let mut left = changes;
        left == 0
            || self.within(keys).any(|(_, index)| {
                left = left.saturating_sub(index.len());
                left == 0
            })
    }

    /// Compacts the next `keys_max` keys after `cursor` at `main`; gives the cursor to go on from, until all are done.
    pub fn compact(&mut self, cursor: Option<&Key>, keys_max: usize, main: u64, pins: &[u64]) -> Option<Key> {
        let after = cursor.map_or(Bound::Unbounded, |key| Bound::Excluded(key.probe()));
        let keys: Vec<Key> =
            self.keys.range((after, Bound::Unbounded)).take(keys_max).map(|(key, _)| key.clone()).collect();
        for key in &keys {
            self.update(&key.to_vec(), |index| index.compact(main, pins));
        }
        keys.into_iter().nth(keys_max - 1)
    }

    /// The indexes of a range, in key order.
    pub fn within(&self, keys: KeyRange<'_>) -> impl Iterator<Item = (&Key, &KeyIndex)> {
        let bounds = match keys {
            KeyRange::Key(key) => (Bound::Included(Probe::new(key)), Bound::Included(Probe::new(key))),
            // A span turned round holds nothing, but is no legal argument of `range`.
            KeyRange::Span { start, end } => {
                (Bound::Included(Probe::new(start)), Bound::Excluded(Probe::new(end.max(start))))
            }
            KeyRange::From(start) => (Bound::Included(Probe::new(start)), Bound::Unbounded),
        };
        self.keys.range(bounds)
    }

    /// Asserts the invariants, and those of every key; gives the number of changes.
    pub fn check(&self) -> usize {
        self.keys.values().for_each(KeyIndex::check);
        let changes = self.keys.values().map(KeyIndex::len).sum();
        let keys: usize = self.keys.keys().map(|key| KEY_BYTES + key.len()).sum();
        let alive = self.keys.values().filter(|index| index.is_alive()).count();
        assert_eq!(self.alive, alive, "the keys are counted wrong");
        assert_eq!(self.bytes, keys + changes * CHANGE_BYTES, "the index is counted wrong");
        changes
    }
}
