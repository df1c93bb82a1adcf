//! Forgetting old history: at once for readers, in bounded steps for memory.
//!
//! From the moment a compaction is accepted, reads below its revision fail, whatever has been removed by then. What is
//! removed are changes that no read at or above the revision sees: first from the index, then from the tree, which keeps
//! exactly the records that the index still lists. A step touches a few hundred keys or a few leaves, well under a
//! millisecond of work.

use super::key::Key;
use super::revision::Revision;
use super::store::Store;
use crate::error::Error;

const KEYS_PER_STEP: usize = 512;
const LEAVES_PER_STEP: usize = 4;

/// How far the removal has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Compaction {
    /// The keys up to this one are done.
    Index(Option<Key>),
    /// The leaves before this revision are done.
    Tree(Revision),
}

impl Store {
    /// Makes `revision` the oldest that can be read.
    pub fn compact(&mut self, revision: u64) -> Result<(), Error> {
        if revision > self.current {
            return Err(Error::FutureRevision { requested: revision, current: self.current });
        }
        if revision <= self.compacted && self.compacted > 0 {
            return Err(Error::Compacted { requested: revision, compacted: self.compacted });
        }
        self.compacted = revision;
        if revision > 0 {
            self.begin_removal();
        }
        Ok(())
    }

    /// Begins to remove what neither a read above the compact revision nor a snapshot needs. A removal that is under way
    /// goes on first, by what is needed now, and then all is looked at again: so one ends, however often this is asked for.
    pub(super) fn begin_removal(&mut self) {
        self.removes_again = self.compaction.is_some();
        self.compaction.get_or_insert(Compaction::Index(None));
    }

    /// Takes one step of the removal. `true`: there is more to do.
    pub fn compact_step(&mut self) -> bool {
        let compacted = self.compacted;
        self.compaction = match self.compaction.take() {
            None => None,
            Some(Compaction::Index(cursor)) => {
                let cursor = self.index.compact(cursor.as_ref(), KEYS_PER_STEP, compacted, &self.pins);
                Some(cursor.map_or(Compaction::Tree(Revision::first_of(0)), |cursor| Compaction::Index(Some(cursor))))
            }
            Some(Compaction::Tree(from)) => {
                let further = self.thin_leaves(from).map(Compaction::Tree);
                further.or_else(|| std::mem::take(&mut self.removes_again).then_some(Compaction::Index(None)))
            }
        };
        self.compaction.is_some()
    }

    fn thin_leaves(&mut self, mut from: Revision) -> Option<Revision> {
        let Self { tree, index, compacted, forgotten, .. } = self;
        for _ in 0..LEAVES_PER_STEP {
            let mut thinned = tree.thin(from, *compacted, |record| {
                let listed = || index.get(record.key).is_some_and(|index| index.find(record.revision).is_some());
                record.revision.main > *compacted || listed()
            })?;
            from = thinned.after;
            forgotten.append(&mut thinned.dropped);
            tree.put_back(thinned, |record, place| index.relocate(record, place));
        }
        Some(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mvcc::{KeyRange, LeaseId, WriteTxn};

    fn put(store: &mut Store, key: &[u8], value: &[u8]) {
        let mut txn = WriteTxn::begin(store);
        txn.put(key, value, LeaseId::NONE);
        txn.commit();
    }

    fn value_at(store: &Store, revision: u64) -> Option<Vec<u8>> {
        store.get(b"foo", revision).expect("readable").map(|kv| kv.value.into_owned())
    }

    /// foo: bar0@2, bar1@3, deleted@4, bar2@5 (etcd's TestKVCompactReserveLastValue)
    fn store() -> Store {
        let mut store = Store::default();
        put(&mut store, b"foo", b"bar0");
        put(&mut store, b"foo", b"bar1");
        let mut txn = WriteTxn::begin(&mut store);
        txn.delete_range(KeyRange::Key(b"foo"));
        txn.commit();
        put(&mut store, b"foo", b"bar2");
        store
    }

    #[test]
    fn reads_at_or_above_the_compact_revision_do_not_change() {
        for compacted in 1..=5 {
            let before = store();
            let mut after = store();
            after.compact(compacted).expect("not compacted before");
            loop {
                for revision in compacted..=5 {
                    assert_eq!(value_at(&after, revision), value_at(&before, revision), "{compacted}: at {revision}");
                }
                if compacted > 1 {
                    let error = Error::Compacted { requested: compacted - 1, compacted };
                    assert_eq!(after.get(b"foo", compacted - 1), Err(error));
                }
                after.check();
                if !after.compact_step() {
                    break;
                }
            }
            after.check();
        }
    }

    /// etcd's TestKVCompactBad.
    #[test]
    fn a_revision_is_compacted_once_and_never_ahead() {
        let mut store = store();
        let rows =
            [(0, "ok"), (1, "ok"), (1, "COMPACTED"), (5, "ok"), (6, "FUTURE_REVISION"), (100, "FUTURE_REVISION")];
        for (revision, expected) in rows {
            let code = store.compact(revision).map_or_else(|error| error.code(), |()| "ok");
            assert_eq!(code, expected, "compact({revision})");
        }
    }

    #[test]
    fn a_snapshot_stays_readable_until_it_is_released() {
        let mut store = store();
        assert_eq!((store.pin(2), store.pin(4), store.pin(2)), (Ok(2), Ok(4), Ok(2)));
        store.compact(5).expect("not compacted before");
        while store.compact_step() {
            store.check();
        }
        assert_eq!(
            (value_at(&store, 2), value_at(&store, 4), value_at(&store, 5)),
            (Some(b"bar0".to_vec()), None, Some(b"bar2".to_vec()))
        );
        assert_eq!(store.get(b"foo", 3).map_err(|error| error.code()), Err("COMPACTED"));
        assert!(store.unpin(2) && store.unpin(4) && !store.unpin(3));
        assert!(value_at(&store, 2).is_some(), "pinned once more");
        assert!(store.unpin(2));
        while store.compact_step() {}
        store.check();
        assert_eq!(store.get(b"foo", 2).map_err(|error| error.code()), Err("COMPACTED"));
        assert_eq!(store.size().revisions, 1);
    }

    #[test]
    fn many_keys_and_leaves_are_compacted_in_steps() {
        let mut store = Store::default();
        for round in 0..3 {
            for key in 0..2_000_u32 {
                put(&mut store, &key.to_be_bytes(), &[round; 100]);
            }
        }
        let current = store.current();
        store.compact(current).expect("not compacted before");
        let mut steps = 1;
        while store.compact_step() {
            steps += 1;
        }
        store.check();
        assert!(steps > 8, "{steps} steps");
        assert_eq!(store.records_from(0).count(), 2_000);
        assert_eq!(store.current(), current);
    }

    /// Each compaction began the removal anew, so that none ended where they came often enough.
    #[test]
    fn compactions_one_after_another_remove_what_they_forget() {
        let mut store = Store::default();
        for key in 0..2_000_u32 {
            put(&mut store, &key.to_be_bytes(), b"first");
        }
        for round in 0..100 {
            for key in 0..20_u32 {
                put(&mut store, &key.to_be_bytes(), b"again");
            }
            let current = store.current();
            store.compact(current).expect("not compacted before");
            for _ in 0..2 {
                store.compact_step();
            }
            assert!(store.size().revisions < 2_500, "{} are left after {round} rounds", store.size().revisions);
        }
        while store.compact_step() {}
        store.check();
        assert_eq!((store.size().revisions, store.is_removed()), (2_000, true));
    }
}
