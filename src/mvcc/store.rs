//! The store: every revision of every key, read at any of them, written in transactions.

use super::change::Change;
use super::compaction::Compaction;
use super::index::{CHANGE_BYTES, Index, KEY_BYTES};
use super::key_value::{KeyValue, LeaseId, Record};
use super::limits::{Answer, Limits};
use super::range::{KeyRange, Range, RangeResponse};
use super::revision::Revision;
use super::revision_tree::{RevisionTree, record_bytes};
use crate::error::Error;

/// How much a store holds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub keys: usize,
    pub revisions: usize,
    pub bytes: usize,
}

/// All keys at all revisions from the compact revision on.
///
/// Invariants ([`Store::check`]):
/// - no record is above `current`, and `compacted` is not either;
/// - every change in the index has its record in the tree, at its place, with the same tombstone;
/// - every record is in the index, but for those that a compaction which still runs will remove.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(super) index: Index,
    pub(super) tree: RevisionTree,
    pub(super) current: u64,
    /// 0: never compacted.
    pub(super) compacted: u64,
    pub(super) compaction: Option<Compaction>,
    /// What the removal under way has passed may be removable since.
    pub(super) removes_again: bool,
    /// The revisions of the snapshots held, ascending, one entry each.
    pub(super) pins: Vec<u64>,
    pub(super) limits: Limits,
    pub(super) forgotten: Vec<(Revision, usize)>,
}

impl Default for Store {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Store {
    /// A fresh store is at revision 1, so that "watch from the first revision" can be said.
    pub fn new(limits: Limits) -> Self {
        let (index, tree) = (Index::default(), RevisionTree::default());
        Self {
            index,
            tree,
            current: 1,
            compacted: 0,
            compaction: None,
            removes_again: false,
            pins: Vec::new(),
            limits,
            forgotten: Vec::new(),
        }
    }

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
        let mut answer = Answer::new(&self.limits);
        self.range_at(range, self.readable(range.revision)?, self.current, &mut answer)
    }

    /// The lease that the key of a committed record was attached to before it.
    pub fn lease_before(&self, record: &Record<'_>) -> LeaseId {
        let before = self.index.get(record.key).and_then(|index| index.before(record.revision));
        before.map_or(LeaseId::NONE, |change| self.record(change).lease)
    }

    /// The records from main revision `from` on, ascending, as they are kept.
    pub fn records_from(&self, from: u64) -> impl Iterator<Item = Record<'_>> {
        self.tree.iter_from(Revision::first_of(from))
    }

    /// Whether a compaction, finished or not, keeps this record.
    pub fn keeps(&self, record: &Record<'_>) -> bool {
        self.keeps_at(record, self.compacted)
    }

    fn keeps_at(&self, record: &Record<'_>, compacted: u64) -> bool {
        let main = record.revision.main;
        let listed = || {
            self.index.get(record.key).is_some_and(|index| {
                index.kept_within(compacted, main, main).any(|change| change.revision() == record.revision)
            })
        };
        main > compacted || listed()
    }

    /// The record of a change that the index lists.
    pub fn record(&self, change: Change) -> Record<'_> {
        self.tree.record(change.place())
    }

    /// The records of changes that the index lists, in their order.
    ///
    /// They lie all over the history, so that each is a walk to main memory. Asking early for those to come lets the walks
    /// overlap, which takes a third off the time of a range. Fewer ahead gave less, more no more.
    fn records(&self, changes: &[Change]) -> impl ExactSizeIterator<Item = Record<'_>> {
        const AHEAD: usize = 64;
        changes.iter().enumerate().map(move |(place, change)| {
            if let Some(coming) = changes.get(place + AHEAD) {
                self.tree.touch(coming.place());
            }
            self.record(*change)
        })
    }

    /// Turns "0 is now" into a revision, and refuses one that cannot be read. A snapshot's stays readable.
    pub fn readable(&self, revision: u64) -> Result<u64, Error> {
        if self.pins.binary_search(&revision).is_ok() { Ok(revision) } else { self.unpinned(revision) }
    }

    /// The same for what needs the history itself.
    pub fn unpinned(&self, revision: u64) -> Result<u64, Error> {
        match revision {
            0 => Ok(self.current),
            requested if requested > self.current => Err(Error::FutureRevision { requested, current: self.current }),
            requested if requested < self.compacted => Err(Error::Compacted { requested, compacted: self.compacted }),
            requested => Ok(requested),
        }
    }

    /// Keeps a revision (0: now) readable until it is released as often as it was pinned. Gives the revision.
    pub fn pin(&mut self, revision: u64) -> Result<u64, Error> {
        let revision = self.readable(revision)?;
        let place = self.pins.partition_point(|pin| *pin <= revision);
        self.pins.insert(place, revision);
        Ok(revision)
    }

    /// Releases one pin of a revision. `false`: there is none. What only it kept is removed in steps, as by a compaction.
    pub fn unpin(&mut self, revision: u64) -> bool {
        let Ok(place) = self.pins.binary_search(&revision) else { return false };
        self.pins.remove(place);
        if revision < self.compacted && self.pins.binary_search(&revision).is_err() {
            self.begin_removal();
        }
        true
    }

    /// The number of keys there now, of records kept, and what both are counted as in bytes.
    pub fn size(&self) -> Size {
        Size { keys: self.index.alive(), revisions: self.tree.len(), bytes: self.bytes() }
    }

    /// Refuses puts of these keys and value lengths if they would not fit under the limit.
    pub(super) fn check_room<'k>(&self, puts: impl Iterator<Item = (&'k [u8], usize)>) -> Result<(), Error> {
        let bytes_max = self.limits.bytes_max;
        if bytes_max == 0 {
            return Ok(());
        }
        let bytes = puts.fold(self.bytes(), |bytes, (key, value)| {
            let first = if self.index.get(key).is_none() { KEY_BYTES + key.len() } else { 0 };
            bytes + record_bytes(key.len(), value) + CHANGE_BYTES + first
        });
        // A request without a put passes: deletes must go on in a store that is full.
        if bytes <= bytes_max || bytes == self.bytes() {
            Ok(())
        } else {
            Err(Error::QuotaExceeded { bytes, bytes_max })
        }
    }

    pub fn bytes(&self) -> usize {
        self.index.bytes() + self.tree.bytes()
    }

    /// The key at a revision known to be readable.
    pub fn get_at(&self, key: &[u8], main: u64) -> Option<KeyValue<'_>> {
        let change = self.index.get(key)?.get(main)?;
        Some(self.record(change).key_value())
    }

    /// The keys of a range at a revision known to be readable.
    pub fn keys_at<'s>(&'s self, keys: KeyRange<'_>, main: u64) -> impl Iterator<Item = KeyValue<'s>> {
        self.index.range(keys, main).map(|(_, change)| self.record(change).key_value())
    }

    /// A range at a revision known to be readable; `revision` goes into the response.
    pub(super) fn range_at(
        &self,
        range: &Range<'_>,
        main: u64,
        revision: u64,
        answer: &mut Answer,
    ) -> Result<RangeResponse<'_>, Error> {
        let mut count = 0;
        let mut changes = Vec::new();
        let wanted = if range.stops_at_limit() { range.limit.saturating_add(1) } else { u64::MAX };
        for (_, seen) in self.index.range(range.keys, main) {
            count += 1;
            if !range.count_only && count <= wanted {
                changes.push(seen);
                if range.uncounted && count == wanted {
                    break;
                }
            }
        }
        let mut kvs = self.records(&changes).map(|record| record.key_value()).collect();
        let more = range.arrange(&mut kvs);
        kvs.iter().try_for_each(|kv| answer.add(kv.key.len(), kv.value.len()))?;
        Ok(RangeResponse { revision, count, more, kvs })
    }

    /// Adds a record read from storage that was compacted at `compacted`. They must come in order.
    pub fn restore(&mut self, record: &Record<'_>, compacted: u64) -> Result<(), &'static str> {
        if self.tree.newest().is_some_and(|newest| newest >= record.revision) {
            return Err("a record is not above the one before it");
        }
        record.validate()?;
        let Record { key, revision, .. } = *record;
        let tombstone = record.is_tombstone();
        // Below, what lay between two deletes may have been forgotten, and a snapshot have kept them.
        if tombstone && revision.main > compacted && self.index.get(key).is_some_and(|index| !index.is_alive()) {
            return Err("a key is deleted twice");
        }
        let place = self.tree.append(record);
        self.index.push(key, |_| Change::new(revision, tombstone, place));
        Ok(())
    }

    /// Ends the restoring: the storage reaches to revision `current` and was compacted at `compacted`, which is done with
    /// or has to be done again.
    pub fn restore_end(&mut self, current: u64, compacted: u64, is_removed: bool) -> Result<(), &'static str> {
        if self.tree.newest().is_some_and(|newest| newest.main > current) || compacted > current {
            return Err("something is above the revision it reaches to");
        }
        self.skip_to(current);
        self.compacted = compacted;
        if compacted > 0 && !is_removed {
            self.begin_removal();
        }
        Ok(())
    }

    /// Leaves out revisions, which then hold nothing.
    pub fn skip_to(&mut self, revision: u64) {
        self.current = self.current.max(revision);
    }

    /// The packed records behind revision `after`, up to `to`, ascending, as they are kept.
    pub fn packed_within(&self, after: Revision, to: Revision) -> impl Iterator<Item = (Revision, &[u8])> {
        self.tree.packed_within(after, to)
    }

    /// The same of the records that a compaction at `compacted` keeps, finished or not; nothing else has been removed.
    pub fn packed_kept(
        &self,
        after: Revision,
        to: Revision,
        compacted: u64,
    ) -> impl Iterator<Item = (Revision, &[u8])> {
        let keeps = move |packed: &[u8]| Record::unpack(packed).is_some_and(|record| self.keeps_at(&record, compacted));
        let packed = self.tree.packed_within(after, to);
        packed.filter(move |(revision, packed)| revision.main > compacted || keeps(packed))
    }

    /// What compaction has forgotten since the last call: records, ascending in each pass, and their packed bytes.
    pub fn take_forgotten(&mut self) -> Vec<(Revision, usize)> {
        std::mem::take(&mut self.forgotten)
    }

    /// Whether nothing is left of what the compaction makes unreachable, not even for a snapshot.
    pub fn is_removed(&self) -> bool {
        self.compaction.is_none() && self.pins.first().is_none_or(|pin| *pin >= self.compacted)
    }

    /// Whether a compaction still has history to remove.
    pub fn is_compacting(&self) -> bool {
        self.compaction.is_some()
    }

    /// The lease of each key there now, in key order.
    pub fn leased(&self) -> impl Iterator<Item = (&[u8], LeaseId)> {
        let newest = self.index.range(KeyRange::ALL, self.current);
        newest
            .map(|(_, change)| self.record(change))
            .filter(|record| record.lease != LeaseId::NONE)
            .map(|record| (record.key, record.lease))
    }

    /// Asserts the invariants.
    pub fn check(&self) {
        let changes = self.index.check();
        let records = self.tree.check();
        assert!(self.tree.newest().is_none_or(|newest| newest.main <= self.current), "a record is above the revision");
        assert!(self.compacted <= self.current, "the compact revision is above the revision");
        let mut listed = 0;
        for record in self.records_from(0) {
            let change = self.index.get(record.key).and_then(|index| index.find(record.revision));
            assert!(change.is_some() || self.compaction.is_some(), "{} is not in the index", record.revision);
            let Some(change) = change else { continue };
            assert_eq!(change.is_tombstone(), record.is_tombstone(), "{} is another kind of change", record.revision);
            assert_eq!(self.record(change), record, "{} lies elsewhere", record.revision);
            listed += 1;
        }
        assert_eq!(listed, changes, "a change in the index has no record");
        assert!(self.compaction.is_some() || records == changes, "removed history is still in the tree");
    }
}
