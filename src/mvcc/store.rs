//! The store: every revision of every key, read at any of them, written in transactions.

use super::compaction::Compaction;
use super::index::Index;
use super::key_value::{Event, KeyValue, LeaseId, Record};
use super::range::{KeyRange, Range, RangeResponse, ordered};
use super::revision::Revision;
use super::revision_tree::RevisionTree;
use crate::codec::{BorrowDecode, Encode};
use crate::error::Error;

/// Which changes of a range are asked for: revisions `from..=to`, oldest first.
#[derive(Debug, Default, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub struct History<'a> {
    /// The keys.
    pub keys: KeyRange<'a>,
    /// The first revision; 0 is the oldest kept.
    pub from: u64,
    /// The last revision; 0 is now.
    pub to: u64,
    /// The most changes to answer; 0 is all.
    pub limit: u64,
}

/// All keys at all revisions from the compact revision on.
///
/// Invariants ([`Store::check`]):
/// - no record is above `current`, and `compacted` is not either;
/// - every change in the index has its record in the tree, with the same tombstone;
/// - every record is in the index, but for those that a compaction which still runs will remove.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(super) index: Index,
    pub(super) tree: RevisionTree,
    pub(super) current: u64,
    /// 0: never compacted.
    pub(super) compacted: u64,
    pub(super) compaction: Option<Compaction>,
}

impl Default for Store {
    /// A fresh store is at revision 1, so that "watch from the first revision" can be said.
    fn default() -> Self {
        let (index, tree) = (Index::default(), RevisionTree::default());
        Self { index, tree, current: 1, compacted: 0, compaction: None }
    }
}

impl Store {
    pub fn current(&self) -> u64 {
        self.current
    }

    pub fn compacted(&self) -> u64 {
        self.compacted
    }

    /// The key as it was at `revision` (0: now).
    pub fn get(&self, key: &[u8], revision: u64) -> Result<Option<KeyValue<'_>>, Error> {
        KeyRange::Key(key).validate()?;
        Ok(self.get_at(key, self.readable(revision)?))
    }

    /// The keys of a range at one revision.
    pub fn range(&self, range: &Range<'_>) -> Result<RangeResponse<'_>, Error> {
        range.keys.validate()?;
        Ok(self.range_at(range, self.readable(range.revision)?, self.current))
    }

    /// Every kept change of a range, oldest first, deletes included. From 0, it begins with the puts before the compact
    /// revision that a read there still sees.
    pub fn history(&self, history: &History<'_>) -> Result<Vec<Event<'_>>, Error> {
        history.keys.validate()?;
        // Nothing has come since the newest revision; that is an answer, not an error.
        if history.from != 0 && history.from != self.current + 1 {
            self.readable(history.from)?;
        }
        let to = self.readable(history.to)?;
        let limit = if history.limit == 0 { usize::MAX } else { usize::try_from(history.limit).unwrap_or(usize::MAX) };
        let changes = self.changes(history.keys, history.from, to);
        Ok(changes.into_iter().take(limit).map(|revision| self.record(revision).event()).collect())
    }

    /// The revisions of the kept changes of a range with a main in `from..=to`, ascending.
    pub fn changes(&self, keys: KeyRange<'_>, from: u64, to: u64) -> Vec<Revision> {
        let changes = self.index.changes(keys, self.compacted, from, to);
        let revisions: Vec<_> = changes.map(|change| change.revision).collect();
        let order = ordered(revisions.len(), &|a, b| revisions[a].cmp(&revisions[b]));
        order.into_iter().map(|place| revisions[place]).collect()
    }

    /// The lease that the key of a committed record was attached to before it.
    pub fn lease_before(&self, record: &Record<'_>) -> LeaseId {
        let before = self.index.get(record.key).and_then(|index| index.before(record.revision));
        before.and_then(|revision| self.tree.get(revision)).map_or(LeaseId::NONE, |record| record.lease)
    }

    /// The records from main revision `from` on, ascending, as they are kept.
    pub fn records_from(&self, from: u64) -> impl Iterator<Item = Record<'_>> {
        self.tree.iter_from(Revision::first_of(from))
    }

    /// Whether a compaction, finished or not, keeps this record.
    pub fn keeps(&self, record: &Record<'_>) -> bool {
        let main = record.revision.main;
        let listed = || {
            self.index.get(record.key).is_some_and(|index| {
                index.kept_within(self.compacted, main, main).any(|change| change.revision == record.revision)
            })
        };
        main > self.compacted || listed()
    }

    /// The record of a change that the index lists.
    pub fn record(&self, revision: Revision) -> Record<'_> {
        self.tree.get(revision).expect("every change in the index has its record in the tree")
    }

    /// Turns "0 is now" into a revision, and refuses one that cannot be read.
    pub fn readable(&self, revision: u64) -> Result<u64, Error> {
        match revision {
            0 => Ok(self.current),
            requested if requested > self.current => Err(Error::FutureRevision { requested, current: self.current }),
            requested if requested < self.compacted => Err(Error::Compacted { requested, compacted: self.compacted }),
            requested => Ok(requested),
        }
    }

    /// The key at a revision known to be readable.
    pub fn get_at(&self, key: &[u8], main: u64) -> Option<KeyValue<'_>> {
        let revision = self.index.get(key)?.get(main)?;
        Some(self.record(revision).key_value())
    }

    /// A range at a revision known to be readable; `revision` goes into the answer.
    pub(super) fn range_at(&self, range: &Range<'_>, main: u64, revision: u64) -> RangeResponse<'_> {
        let mut count = 0;
        let mut kvs = Vec::new();
        let wanted = if range.stops_at_limit() { range.limit.saturating_add(1) } else { u64::MAX };
        for (_, seen) in self.index.range(range.keys, main) {
            count += 1;
            if !range.count_only && count <= wanted {
                kvs.push(self.record(seen).key_value());
            }
        }
        let more = range.arrange(&mut kvs);
        RangeResponse { revision, count, more, kvs }
    }

    /// Adds a record read from storage. They must come in order.
    pub fn restore(&mut self, record: &Record<'_>) -> Result<(), &'static str> {
        if self.tree.newest().is_some_and(|newest| newest >= record.revision) {
            return Err("a record is not above the one before it");
        }
        let change = super::key_index::Change { revision: record.revision, tombstone: record.tombstone };
        let index = self.index.entry(record.key);
        if record.tombstone && !index.is_empty() && !index.is_alive() {
            return Err("a key is deleted twice");
        }
        index.restore(change, record.create_revision, record.version);
        self.tree.append(record);
        self.current = self.current.max(record.revision.main);
        Ok(())
    }

    /// Takes the current revision up to what storage says it was: compaction may have removed the newest records.
    pub fn restore_current(&mut self, current: u64) {
        self.current = self.current.max(current);
    }

    /// Takes on the compact revision of a storage that holds nothing the compaction removes.
    pub fn restore_compacted(&mut self, compacted: u64) {
        self.compacted = compacted;
        self.restore_current(compacted);
    }

    /// Whether a compaction still has history to remove.
    pub fn is_compacting(&self) -> bool {
        self.compaction.is_some()
    }

    /// The lease of each key there now, in key order.
    pub fn leased(&self) -> impl Iterator<Item = (&[u8], LeaseId)> {
        let newest = self.index.range(KeyRange::ALL, self.current);
        newest.map(|(key, revision)| (&**key, self.record(revision).lease)).filter(|(_, lease)| *lease != LeaseId::NONE)
    }

    /// Asserts the invariants.
    pub fn check(&self) {
        let changes = self.index.check();
        let records = self.tree.check();
        assert!(self.tree.newest().is_none_or(|newest| newest.main <= self.current), "a record is above the revision");
        assert!(self.compacted <= self.current, "the compact revision is above the revision");
        let mut listed = 0;
        for record in self.records_from(0) {
            let index = self.index.get(record.key).filter(|index| index.contains(record.revision));
            assert!(index.is_some() || self.compaction.is_some(), "{} is not in the index", record.revision);
            listed += usize::from(index.is_some());
        }
        assert_eq!(listed, changes, "a change in the index has no record");
        assert!(self.compaction.is_some() || records == changes, "removed history is still in the tree");
    }
}
