//! The directory of keys: for each, the revisions at which it changed.

use std::ops::Bound;
use std::sync::Arc;

use super::key_index::{Change, KeyIndex};
use super::range::KeyRange;
use super::revision::Revision;

/// A key, shared by whoever remembers it.
pub(crate) type Key = Arc<[u8]>;

/// Every key that has a change which is still kept, in byte order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    keys: im::OrdMap<Key, KeyIndex>,
}

impl Index {
    pub fn get(&self, key: &[u8]) -> Option<&KeyIndex> {
        self.keys.get(key)
    }

    /// The index of this key, made where there is none.
    pub fn entry(&mut self, key: &[u8]) -> &mut KeyIndex {
        if !self.keys.contains_key(key) {
            self.keys.insert(Key::from(key), KeyIndex::default());
        }
        self.keys.get_mut(key).expect("it was there or has just been inserted")
    }

    pub fn remove(&mut self, key: &[u8]) {
        self.keys.remove(key);
    }

    /// The put that a read at `main` sees of each key there in the range, in key order.
    pub fn range(&self, keys: KeyRange<'_>, main: u64) -> impl Iterator<Item = (&Key, Revision)> {
        self.within(keys).filter_map(move |(key, index)| Some((key, index.get(main)?)))
    }

    /// The changes of the range with a main in `from..=to` that a compaction at `compacted` keeps, in key order.
    pub fn changes(&self, keys: KeyRange<'_>, compacted: u64, from: u64, to: u64) -> impl Iterator<Item = Change> {
        self.within(keys).flat_map(move |(_, index)| index.kept_within(compacted, from, to))
    }

    /// Compacts the next `keys_max` keys after `cursor` at `main`; gives the cursor to go on from, until all are done.
    pub fn compact(&mut self, cursor: Option<&[u8]>, keys_max: usize, main: u64) -> Option<Key> {
        let after = cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let keys: Vec<Key> = (self.keys.range::<_, [u8]>((after, Bound::Unbounded)).take(keys_max))
            .map(|(key, _)| Arc::clone(key))
            .collect();
        for key in &keys {
            let index = self.keys.get_mut(key).expect("it was found a moment ago");
            index.compact(main);
            if index.is_empty() {
                self.keys.remove(key);
            }
        }
        keys.into_iter().nth(keys_max - 1)
    }

    fn within(&self, keys: KeyRange<'_>) -> impl Iterator<Item = (&Key, &KeyIndex)> {
        let bounds = match keys {
            KeyRange::Key(key) => (Bound::Included(key), Bound::Included(key)),
            // A span turned round holds nothing, but is no legal argument of `range`.
            KeyRange::Span { start, end } => (Bound::Included(start), Bound::Excluded(end.max(start))),
            KeyRange::From(start) => (Bound::Included(start), Bound::Unbounded),
        };
        self.keys.range::<_, [u8]>(bounds)
    }

    /// Asserts the invariants of every key; gives the number of changes.
    pub fn check(&self) -> usize {
        self.keys.values().for_each(KeyIndex::check);
        self.keys.values().map(|index| index.kept_within(0, 0, u64::MAX).count()).sum()
    }
}
