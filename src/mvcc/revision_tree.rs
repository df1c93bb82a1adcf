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
/// - no sealed leaf is empty, and each ends with its `last`;
/// - `bytes` is the sum over the records of their encoding and its start, see [`record_bytes`].
#[derive(Debug, Clone)]
pub(crate) struct RevisionTree {
    sealed: Vec<Sealed>,
    tail: Leaf,
    leaf_bytes: usize,
    bytes: usize,
}

/// What a record is counted as: its encoding, and the 4 bytes that say where it begins.
pub(super) fn record_bytes(key: usize, value: usize) -> usize {
    RECORD_BYTES + key + value
}

/// Of a record with an empty key and value.
const RECORD_BYTES: usize = 57;

/// A leaf that takes no more records, and its last revision: what it is searched by, without looking into it.
#[derive(Debug, Clone)]
struct Sealed {
    last: Revision,
    leaf: Leaf,
}

impl Default for RevisionTree {
    fn default() -> Self {
        Self::with_leaf_bytes(LEAF_BYTES)
    }
}

impl RevisionTree {
    /// The size is a parameter so that small tests reach many leaves.
    fn with_leaf_bytes(leaf_bytes: usize) -> Self {
        Self { sealed: Vec::new(), tail: Leaf::default(), leaf_bytes, bytes: 0 }
    }

    /// Adds a record above all others.
    pub fn append(&mut self, record: &Record<'_>) {
        debug_assert!(self.newest().is_none_or(|newest| newest < record.revision), "revisions ascend");
        if self.tail.bytes.len() >= self.leaf_bytes {
            self.seal();
        }
        self.tail.append(record);
        self.bytes += record_bytes(record.key.len(), record.value.len());
    }

    /// What the records are counted as.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.leaves_from(Revision::first_of(0)).map(|leaf| leaf.starts.len()).sum()
    }

    /// About how many records have a main in `from..=to`: whole leaves are counted.
    pub fn count_within(&self, from: u64, to: u64) -> usize {
        let first = Some(Revision::first_of(from));
        let end = Some(Revision { main: to, sub: u32::MAX });
        let leaves = self.leaves_from(Revision::first_of(from)).take_while(|leaf| leaf.first() <= end);
        leaves.filter(|leaf| leaf.last() >= first).map(|leaf| leaf.starts.len()).sum()
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
        self.tail.last().or_else(|| Some(self.sealed.last()?.last))
    }

    /// Takes back the newest record, which must be this one.
    pub fn pop(&mut self, revision: Revision) {
        if self.tail.is_empty() {
            self.tail = self.sealed.pop().map_or_else(Leaf::default, |sealed| sealed.leaf);
        }
        let before = self.tail.counted();
        assert!(self.tail.pop() == Some(revision), "only the newest record is taken back");
        self.bytes -= before - self.tail.counted();
    }

    /// Closes the tail, so that compaction may thin it.
    pub fn seal(&mut self) {
        if let Some(last) = self.tail.last() {
            let mut leaf = std::mem::take(&mut self.tail);
            leaf.shrink();
            self.sealed.push(Sealed { last, leaf });
        }
    }

    /// Drops from the first sealed leaf with a record at or after `from` every record not to `keep`, if that leaf begins
    /// at or below `main`, and joins it to the leaf before when both fit in one. Gives where to go on.
    pub fn thin(&mut self, from: Revision, main: u64, keep: impl Fn(&Record<'_>) -> bool) -> Option<Revision> {
        let place = self.place_of(from);
        let Sealed { last, leaf } = self.sealed.get(place)?;
        let after = Revision { sub: last.sub + 1, ..*last };
        leaf.first().filter(|first| first.main <= main)?;
        let mut thinned = Leaf::default();
        leaf.iter_from(Revision::first_of(0)).filter(|record| keep(record)).for_each(|record| thinned.append(&record));
        self.bytes -= leaf.counted() - thinned.counted();
        let Some(last) = thinned.last() else {
            self.sealed.remove(place);
            return Some(after);
        };
        match self.sealed[..place].last_mut() {
            Some(before) if before.leaf.bytes.len() + thinned.bytes.len() <= self.leaf_bytes => {
                thinned.iter_from(Revision::first_of(0)).for_each(|record| before.leaf.append(&record));
                before.last = last;
                self.sealed.remove(place);
            }
            _ => {
                thinned.shrink();
                self.sealed[place] = Sealed { last, leaf: thinned };
            }
        }
        Some(after)
    }

    /// The leaves that hold the records from `from` on.
    fn leaves_from(&self, from: Revision) -> impl Iterator<Item = &Leaf> {
        let sealed = self.sealed[self.place_of(from)..].iter().map(|sealed| &sealed.leaf);
        sealed.chain(std::iter::once(&self.tail))
    }

    /// The place of the first sealed leaf with a record at or after `from`.
    fn place_of(&self, from: Revision) -> usize {
        match self.sealed.last() {
            // Most often it is about the newest.
            Some(newest) if newest.last < from => self.sealed.len(),
            _ => self.sealed.partition_point(|sealed| sealed.last < from),
        }
    }

    /// Asserts the invariants; gives the number of records.
    pub fn check(&self) -> usize {
        for Sealed { last, leaf } in &self.sealed {
            assert_eq!(leaf.last(), Some(*last), "a sealed leaf is empty, or does not end where it says");
        }
        let bytes: usize = self.leaves_from(Revision::first_of(0)).map(Leaf::counted).sum();
        assert_eq!(self.bytes, bytes, "the records are counted wrong");
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

    fn counted(&self) -> usize {
        self.bytes.len() + self.starts.len() * size_of::<u32>()
    }

    fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.starts.shrink_to_fit();
    }

    /// The place of the first record at or after `revision`.
    ///
    /// Where each transaction made one change and none is compacted away, which is the common case, the place follows
    /// from the distance to the first revision; else it is searched by halving.
    fn place_of(&self, revision: Revision) -> usize {
        let distance = self.first().and_then(|first| revision.main.checked_sub(first.main)).unwrap_or(u64::MAX);
        if let Ok(guess) = usize::try_from(distance)
            && guess < self.starts.len()
            && self.revision(guess) == revision
        {
            return guess;
        }
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
