//! The history: every record, in the order of its revision.
//!
//! Records are packed one after the other in *leaves*. New ones go to the tail; a full tail is sealed and from then on
//! only replaced, by compaction. Gaps in the revisions cost nothing.
//!
//! ```text
//! sealed: [2.0 3.0 3.1 4.0] [11.0 12.0] [13.0 ... 40.7]      tail: [40.8 41.0 ...]
//!                         (9.0 and 10.0 were compacted)
//! ```
//!
//! The sealed leaves are a plain list, searched by halving: it only grows at its end, so that a balanced tree would buy
//! nothing and cost its code. One leaf in the middle is taken out per 32 KiB of history that compaction removes.

use std::sync::Arc;

use super::key_value::Record;
use super::revision::Revision;
use crate::codec;

/// A leaf is sealed when it has grown past this: about 190 records of 170 bytes. Larger leaves are searched and thinned
/// in longer steps, smaller ones cost more of the tree.
const LEAF_BYTES: usize = 32 << 10;

/// Every record, by revision.
///
/// Invariants ([`RevisionTree::check`]):
/// - revisions ascend, inside a leaf and from leaf to leaf, the tail last;
/// - no sealed leaf is empty.
#[derive(Debug, Clone)]
pub(crate) struct RevisionTree {
    sealed: Vec<Arc<Leaf>>,
    tail: Leaf,
    leaf_bytes: usize,
}

impl Default for RevisionTree {
    fn default() -> Self {
        Self::with_leaf_bytes(LEAF_BYTES)
    }
}

impl RevisionTree {
    /// The size is a parameter so that small tests reach many leaves.
    fn with_leaf_bytes(leaf_bytes: usize) -> Self {
        Self { sealed: Vec::new(), tail: Leaf::default(), leaf_bytes }
    }

    /// Adds a record above all others.
    pub fn append(&mut self, record: &Record<'_>) {
        debug_assert!(self.newest().is_none_or(|newest| newest < record.revision), "revisions ascend");
        if self.tail.bytes.len() >= self.leaf_bytes {
            self.seal();
        }
        self.tail.append(record);
    }

    /// The record at exactly this revision.
    pub fn get(&self, revision: Revision) -> Option<Record<'_>> {
        self.leaves_from(revision).next()?.get(revision)
    }

    /// The records from `from` on, ascending.
    pub fn iter_from(&self, from: Revision) -> impl Iterator<Item = Record<'_>> {
        self.leaves_from(from).flat_map(move |leaf| leaf.iter_from(from))
    }

    /// The newest revision there is a record of.
    pub fn newest(&self) -> Option<Revision> {
        self.tail.last().or_else(|| self.sealed.last()?.last())
    }

    /// Takes back the newest record, which must be this one.
    pub fn pop(&mut self, revision: Revision) {
        if self.tail.is_empty() {
            self.tail = self.sealed.pop().map_or_else(Leaf::default, Arc::unwrap_or_clone);
        }
        assert!(self.tail.pop() == Some(revision), "only the newest record is taken back");
    }

    /// Closes the tail, so that compaction may thin it.
    pub fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.sealed.push(Arc::new(std::mem::take(&mut self.tail)));
        }
    }

    /// Drops from the first sealed leaf with a record at or after `from` every record not to `keep`, if that leaf begins
    /// at or below `main`, and joins it to the leaf before when both fit in one. Gives where to go on.
    pub fn thin(&mut self, from: Revision, main: u64, keep: impl Fn(&Record<'_>) -> bool) -> Option<Revision> {
        let place = self.place_of(from);
        let leaf = self.sealed.get(place).filter(|leaf| leaf.first().is_some_and(|first| first.main <= main))?;
        let after = leaf.last().map(|last| Revision { sub: last.sub + 1, ..last });
        let mut thinned = Leaf::default();
        leaf.iter_from(Revision::first_of(0)).filter(|record| keep(record)).for_each(|record| thinned.append(&record));
        let fits = |before: &Leaf| before.bytes.len() + thinned.bytes.len() <= self.leaf_bytes;
        match place.checked_sub(1).filter(|before| fits(&self.sealed[*before])) {
            Some(before) => {
                let joined = Arc::make_mut(&mut self.sealed[before]);
                thinned.iter_from(Revision::first_of(0)).for_each(|record| joined.append(&record));
                self.sealed.remove(place);
            }
            None if thinned.is_empty() => drop(self.sealed.remove(place)),
            None => {
                thinned.shrink();
                self.sealed[place] = Arc::new(thinned);
            }
        }
        after
    }

    /// The leaves that hold the records from `from` on.
    fn leaves_from(&self, from: Revision) -> impl Iterator<Item = &Leaf> {
        let sealed = self.sealed[self.place_of(from)..].iter().map(AsRef::as_ref);
        sealed.chain(std::iter::once(&self.tail))
    }

    /// The place of the first sealed leaf with a record at or after `from`.
    fn place_of(&self, from: Revision) -> usize {
        self.sealed.partition_point(|leaf| leaf.last() < Some(from))
    }

    /// Asserts the invariants; gives the number of records.
    pub fn check(&self) -> usize {
        assert!(self.sealed.iter().all(|leaf| !leaf.is_empty()), "a sealed leaf is empty");
        let mut newest = None;
        let mut records = 0;
        for record in self.iter_from(Revision::first_of(0)) {
            assert!(newest < Some(record.revision), "revisions in the tree do not ascend");
            newest = Some(record.revision);
            records += 1;
        }
        records
    }
}

/// A packed run of records: their encodings end to end, and where each begins.
#[derive(Debug, Clone, Default)]
struct Leaf {
    bytes: Vec<u8>,
    starts: Vec<u32>,
}

impl Leaf {
    fn append(&mut self, record: &Record<'_>) {
        let start = u32::try_from(self.bytes.len()).expect("a leaf holds little more than one request");
        self.starts.push(start);
        codec::encode_into(record, &mut self.bytes);
    }

    fn pop(&mut self) -> Option<Revision> {
        let revision = self.last()?;
        let start = self.starts.pop()?;
        self.bytes.truncate(start as usize);
        Some(revision)
    }

    fn get(&self, revision: Revision) -> Option<Record<'_>> {
        let place = self.place_of(revision);
        let record = (place < self.starts.len()).then(|| self.record(place))?;
        (record.revision == revision).then_some(record)
    }

    fn iter_from(&self, from: Revision) -> impl Iterator<Item = Record<'_>> {
        (self.place_of(from)..self.starts.len()).map(|place| self.record(place))
    }

    fn first(&self) -> Option<Revision> {
        (!self.is_empty()).then(|| self.revision(0))
    }

    fn last(&self) -> Option<Revision> {
        (!self.is_empty()).then(|| self.revision(self.starts.len() - 1))
    }

    fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.starts.shrink_to_fit();
    }

    /// The place of the first record at or after `revision`.
    fn place_of(&self, revision: Revision) -> usize {
        let (mut low, mut high) = (0, self.starts.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.revision(middle) < revision {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// A record begins with its revision.
    fn revision(&self, place: usize) -> Revision {
        self.decode(place)
    }

    fn record(&self, place: usize) -> Record<'_> {
        self.decode(place)
    }

    fn decode<'a, T: codec::BorrowDecode<'a, ()>>(&'a self, place: usize) -> T {
        let bytes = &self.bytes[self.starts[place] as usize..];
        let (value, _) = codec::decode_prefix(bytes).expect("a leaf holds what was encoded into it");
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mvcc::key_value::LeaseId;

    fn record(main: u64, sub: u32) -> Record<'static> {
        let revision = Revision { main, sub };
        let value = b"value";
        Record { revision, tombstone: false, key: b"key", create_revision: 2, version: 1, lease: LeaseId::NONE, value }
    }

    /// Mains 2..=40, two changes each, in leaves of about three records.
    fn tree() -> RevisionTree {
        let mut tree = RevisionTree::with_leaf_bytes(150);
        for main in 2..=40 {
            tree.append(&record(main, 0));
            tree.append(&record(main, 1));
        }
        assert_eq!(tree.check(), 78);
        tree
    }

    fn revisions(tree: &RevisionTree, from: u64) -> Vec<(u64, u32)> {
        tree.iter_from(Revision::first_of(from)).map(|record| (record.revision.main, record.revision.sub)).collect()
    }

    #[test]
    fn every_record_is_found_and_no_other() {
        let tree = tree();
        for main in 2..=40 {
            assert_eq!(tree.get(Revision { main, sub: 1 }), Some(record(main, 1)));
            assert_eq!(tree.get(Revision { main, sub: 2 }), None);
            assert_eq!(revisions(&tree, main).len() as u64, (41 - main) * 2);
        }
        assert_eq!(tree.get(Revision::first_of(1)), None);
        assert_eq!(tree.get(Revision::first_of(41)), None);
    }

    #[test]
    fn pop_goes_back_through_sealed_leaves() {
        let mut tree = tree();
        for main in (20..=40).rev() {
            tree.pop(Revision { main, sub: 1 });
            tree.pop(Revision { main, sub: 0 });
        }
        assert_eq!(tree.check(), 36);
        assert_eq!(tree.newest(), Some(Revision { main: 19, sub: 1 }));
    }

    #[test]
    fn thinned_leaves_join_and_what_is_kept_stays_found() {
        let mut tree = tree();
        tree.seal();
        let keep = |record: &Record<'_>| record.revision.main > 30 || record.revision.main.is_multiple_of(10);
        let mut from = Revision::first_of(0);
        while let Some(after) = tree.thin(from, 30, keep) {
            tree.check();
            from = after;
        }
        assert!(tree.sealed.len() < 26 / 2, "what is left of {} leaves was joined", tree.sealed.len());
        tree.check();
        let kept: Vec<_> = revisions(&tree, 0).into_iter().filter(|(main, _)| *main <= 30).collect();
        assert_eq!(kept, [(10, 0), (10, 1), (20, 0), (20, 1), (30, 0), (30, 1)]);
        for (main, sub) in revisions(&tree, 0) {
            assert!(tree.get(Revision { main, sub }).is_some(), "{main}.{sub} is found");
        }
        assert_eq!(revisions(&tree, 31).len(), 20);
    }
}
