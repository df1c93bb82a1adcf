//! The directory of keys: for each, the revisions at which it changed.

use std::ops::Bound;

use super::change::{Change, Place};
use super::key::{Key, Probe};
use super::key_index::KeyIndex;
use super::key_value::Record;
use super::range::KeyRange;

/// What a key is counted as beside its bytes: its place in the map and the head of its index.
pub(super) const KEY_BYTES: usize = 80;
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

    /// Adds a change of this key, which `change` makes of the newest one there is.
    pub fn push(&mut self, key: &[u8], change: impl FnOnce(Option<Change>) -> Change) {
        self.bytes += CHANGE_BYTES;
        if let Some(index) = self.keys.get_mut(&Probe::new(key)) {
            self.alive -= usize::from(index.is_alive());
            index.push(change(Some(index.newest())));
            self.alive += usize::from(index.is_alive());
        } else {
            let index = KeyIndex::new(change(None));
            self.alive += usize::from(index.is_alive());
            self.bytes += KEY_BYTES + key.len();
            self.keys.insert(Key::new(key), index);
        }
    }

    /// Takes the newest change of this key back.
    pub fn pop(&mut self, key: &[u8]) {
        self.update(&Probe::new(key), key.len(), KeyIndex::pop);
    }

    /// Follows a record that compaction has moved.
    pub fn relocate(&mut self, record: &Record<'_>, to: Place) {
        let index = self.keys.get_mut(&Probe::new(record.key)).expect("the record is in the index");
        index.relocate(record.revision, to);
    }

    /// Takes changes from a key that is there, and the key where `take` says that none is left.
    fn update(&mut self, key: &Probe<'_>, key_bytes: usize, take: impl FnOnce(&mut KeyIndex) -> bool) {
        let index = self.keys.get_mut(key).expect("the key is in the index");
        self.bytes -= index.len() * CHANGE_BYTES;
        self.alive -= usize::from(index.is_alive());
        if take(index) {
            self.bytes += index.len() * CHANGE_BYTES;
            self.alive += usize::from(index.is_alive());
        } else {
            self.bytes -= KEY_BYTES + key_bytes;
            self.keys.remove(key);
        }
    }

    /// The put that a read at `main` sees of each key there in the range, in key order.
    pub fn range(&self, keys: KeyRange<'_>, main: u64) -> impl Iterator<Item = (&Key, Change)> {
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
        let next = || self.keys.range((after, Bound::Unbounded)).take(keys_max);
        let forgetful: Vec<Key> = next().filter(|(_, index)| index.forgets(main)).map(|(key, _)| key.clone()).collect();
        let cursor = next().nth(keys_max - 1).map(|(key, _)| key.clone());
        for key in &forgetful {
            self.update(&key.probe(), key.len(), |index| index.compact(main, pins));
        }
        cursor
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
