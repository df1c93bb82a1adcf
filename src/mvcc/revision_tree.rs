//! The history: every record, in the order of its revision.
//!
//! Records are packed one after the other in *leaves*. New ones go to the last leaf until it is full; compaction thins
//! leaves and joins them. Gaps in the revisions cost nothing.
//!
//! ```text
//! order:   leaf 0: 2.0 3.0 3.1 4.0    leaf 4: 11.0 12.0    leaf 2: 13.0 ... 40.7    leaf 3: 40.8 41.0 ...
//!                                     (9.0 and 10.0 were compacted)                 (the last, growing)
//! ```
//!
//! A leaf's number does not change while it lives, so that whoever knows the [`Place`] of a record needs no search; who
//! knows only a revision searches the order by halving. It is a plain list: it grows at its end alone, so that a balanced
//! tree would buy nothing and cost its code, and one entry in the middle is taken out per 32 KiB that compaction removes.

use super::change::{LEAF_BYTES_MAX, Place};
use super::key_value::Record;
use super::revision::Revision;
use crate::codec::{self, Unpacker};

/// A leaf takes no more records when it has grown to this: about 230 of 136 bytes. Larger leaves are thinned in longer
/// steps, smaller ones cost more of the order.
const LEAF_BYTES: usize = LEAF_BYTES_MAX;

/// Every record, by revision.
///
/// Invariants ([`RevisionTree::check`]):
/// - revisions ascend, inside a leaf and from leaf to leaf;
/// - no leaf in the order is empty, and each ends with its `last`; every other leaf is free, and empty;
/// - `bytes` is the sum of [`record_bytes`] over the records.
#[derive(Debug, Clone)]
pub(crate) struct RevisionTree {
    order: Vec<Listed>,
    leaves: Vec<Leaf>,
    /// The numbers of leaves that are not in use.
    free: Vec<u32>,
    leaf_bytes: usize,
    bytes: usize,
}

/// What a record is counted as.
pub(super) fn record_bytes(key: usize, value: usize) -> usize {
    RECORD_BYTES + key + value
}

/// What a record has beside its key and value: 15 to 40 bytes, most often about 18.
const RECORD_BYTES: usize = 20;

/// A leaf in the order, and its last revision: what it is searched by, without looking into it.
#[derive(Debug, Clone, Copy)]
struct Listed {
    last: Revision,
    leaf: u32,
}

/// What is left of a leaf, not yet put back.
pub(super) struct Thinned {
    listed: usize,
    kept: Leaf,
    /// Where to go on.
    pub after: Revision,
    /// The records dropped, and their packed bytes.
    pub dropped: Vec<(Revision, usize)>,
}

impl Default for RevisionTree {
    fn default() -> Self {
        Self::with_leaf_bytes(LEAF_BYTES)
    }
}

impl RevisionTree {
    /// The size is a parameter so that small tests reach many leaves.
    fn with_leaf_bytes(leaf_bytes: usize) -> Self {
        Self { order: Vec::new(), leaves: Vec::new(), free: Vec::new(), leaf_bytes, bytes: 0 }
    }

    /// Adds a record above all others; gives its place.
    pub fn append(&mut self, record: &Record<'_>) -> Place {
        debug_assert!(self.newest().is_none_or(|newest| newest < record.revision), "revisions ascend");
        self.bytes += record_bytes(record.key.len(), record.value.len());
        let last = record.revision;
        match self.order.last_mut() {
            Some(listed) if self.leaves[listed.leaf as usize].bytes.len() < self.leaf_bytes => listed.last = last,
            _ => {
                self.seal();
                let leaf = self.take_free();
                self.order.push(Listed { last, leaf });
            }
        }
        let leaf = self.order[self.order.len() - 1].leaf;
        Place { leaf, offset: self.leaves[leaf as usize].append(record) }
    }

    /// What the records are counted as.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.leaves_from(Revision::first_of(0)).map(Leaf::len).sum()
    }

    /// About how many records have a main in `from..=to`: whole leaves are counted.
    pub fn count_within(&self, from: u64, to: u64) -> usize {
        let end = Some(Revision { main: to, sub: u32::MAX });
        let leaves = self.leaves_from(Revision::first_of(from));
        leaves.take_while(|leaf| leaf.first() <= end).map(Leaf::len).sum()
    }

    /// The record at this place.
    pub fn record(&self, place: Place) -> Record<'_> {
        self.leaves[place.leaf as usize].record(place.offset)
    }

    /// Brings the record at this place near: its head, and where its value is likely to begin.
    pub fn touch(&self, place: Place) {
        let bytes = &self.leaves[place.leaf as usize].bytes;
        let at = usize::from(place.offset);
        std::hint::black_box((bytes[at], bytes.get(at + 64)));
    }

    /// The records from `from` on, ascending.
    pub fn iter_from(&self, from: Revision) -> impl Iterator<Item = Record<'_>> {
        self.leaves_from(from).flat_map(move |leaf| leaf.iter_from(from))
    }

    /// The packed records behind `after`, up to `to`, ascending.
    pub fn packed_within(&self, after: Revision, to: Revision) -> impl Iterator<Item = (Revision, &[u8])> {
        let from = Revision { sub: after.sub.saturating_add(1), ..after };
        let packed = self.leaves_from(from).flat_map(move |leaf| leaf.packed_from(from));
        packed.skip_while(move |(revision, _)| *revision <= after).take_while(move |(revision, _)| *revision <= to)
    }

    /// The newest revision there is a record of.
    pub fn newest(&self) -> Option<Revision> {
        self.order.last().map(|listed| listed.last)
    }

    /// Where its record lies.
    pub fn newest_place(&self) -> Option<Place> {
        let leaf = self.order.last()?.leaf;
        Some(Place { leaf, offset: *self.leaves[leaf as usize].starts.last()? })
    }

    /// Takes back the newest record, which lies at this place.
    pub fn pop(&mut self, place: Place) {
        let record = self.record(place);
        assert!(self.newest() == Some(record.revision), "only the newest record is taken back");
        self.bytes -= record_bytes(record.key.len(), record.value.len());
        let leaf = &mut self.leaves[place.leaf as usize];
        leaf.truncate(place.offset);
        match (leaf.last(), self.order.last_mut()) {
            (Some(last), Some(listed)) => listed.last = last,
            _ => self.release(self.order.len() - 1),
        }
    }

    /// What is left of the first leaf with a record at or after `from` when only the records to `keep` are, if that leaf
    /// begins at or below `main`.
    pub fn thin(&self, from: Revision, main: u64, keep: impl Fn(&Record<'_>) -> bool) -> Option<Thinned> {
        let listed = self.listed_from(from);
        let Listed { last, leaf } = *self.order.get(listed)?;
        let leaf = &self.leaves[leaf as usize];
        leaf.first().filter(|first| first.main <= main)?;
        let (mut kept, mut dropped) = (Leaf::default(), Vec::new());
        for (record, (revision, packed)) in leaf.iter().zip(leaf.packed_from(Revision::first_of(0))) {
            if keep(&record) {
                kept.append(&record);
            } else {
                dropped.push((revision, packed.len()));
            }
        }
        Some(Thinned { listed, kept, after: Revision { sub: last.sub + 1, ..last }, dropped })
    }

    /// Puts back what is left of a leaf: in its own place, or joined to the leaf before when both fit in one. Tells of
    /// each record that has moved.
    pub fn put_back(&mut self, thinned: Thinned, mut moved: impl FnMut(&Record<'_>, Place)) {
        let Thinned { listed, mut kept, .. } = thinned;
        let own = self.order[listed].leaf;
        let counted = |leaf: &Leaf| -> usize {
            leaf.iter().map(|record| record_bytes(record.key.len(), record.value.len())).sum()
        };
        self.bytes -= counted(&self.leaves[own as usize]) - counted(&kept);
        let Some(last) = kept.last() else { return self.release(listed) };
        let before = listed.checked_sub(1).map(|before| (before, self.order[before].leaf));
        match before.filter(|(_, leaf)| self.leaves[*leaf as usize].bytes.len() + kept.bytes.len() <= self.leaf_bytes) {
            Some((before, leaf)) => {
                let joined = &mut self.leaves[leaf as usize];
                kept.iter().for_each(|record| moved(&record, Place { leaf, offset: joined.append(&record) }));
                self.order[before].last = last;
                self.release(listed);
            }
            None if kept.bytes.len() < self.leaves[own as usize].bytes.len() => {
                kept.shrink();
                let records = kept.starts.iter().map(|start| (kept.record(*start), *start));
                records.for_each(|(record, offset)| moved(&record, Place { leaf: own, offset }));
                self.leaves[own as usize] = kept;
                self.order[listed].last = last;
            }
            None => {}
        }
    }

    /// The last leaf will not grow for a while.
    fn seal(&mut self) {
        if let Some(listed) = self.order.last() {
            self.leaves[listed.leaf as usize].shrink();
        }
    }

    fn take_free(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.leaves.push(Leaf::default());
            u32::try_from(self.leaves.len() - 1).expect("so many leaves do not fit in memory")
        })
    }

    fn release(&mut self, listed: usize) {
        let leaf = self.order.remove(listed).leaf;
        self.leaves[leaf as usize] = Leaf::default();
        self.free.push(leaf);
    }

    /// The leaves that hold the records from `from` on.
    fn leaves_from(&self, from: Revision) -> impl Iterator<Item = &Leaf> {
        self.order[self.listed_from(from)..].iter().map(|listed| &self.leaves[listed.leaf as usize])
    }

    /// Where in the order the first leaf with a record at or after `from` is.
    fn listed_from(&self, from: Revision) -> usize {
        match self.order.as_slice() {
            // Most often it is about the newest.
            [.., newest] if newest.last < from => self.order.len(),
            [.., before, _] if before.last < from => self.order.len() - 1,
            _ => self.order.partition_point(|listed| listed.last < from),
        }
    }

    /// Asserts the invariants; gives the number of records.
    pub fn check(&self) -> usize {
        for Listed { last, leaf } in &self.order {
            let ends = self.leaves[*leaf as usize].last();
            assert_eq!(ends, Some(*last), "a leaf is empty, or does not end where the order says");
        }
        assert_eq!(self.order.len() + self.free.len(), self.leaves.len(), "a leaf is neither in use nor free");
        assert!(self.free.iter().all(|leaf| self.leaves[*leaf as usize].last().is_none()), "a free leaf is not empty");
        let (mut newest, mut records, mut bytes) = (None, 0, 0);
        for record in self.iter_from(Revision::first_of(0)) {
            assert!(newest < Some(record.revision), "revisions in the tree do not ascend");
            newest = Some(record.revision);
            records += 1;
            bytes += record_bytes(record.key.len(), record.value.len());
        }
        assert_eq!(self.bytes, bytes, "the records are counted wrong");
        records
    }
}

/// A packed run of records: their encodings end to end, and where each begins.
#[derive(Debug, Clone, Default)]
struct Leaf {
    bytes: Vec<u8>,
    /// All below [`LEAF_BYTES_MAX`]: the last record alone may end behind it.
    starts: Vec<u16>,
}

impl Leaf {
    fn append(&mut self, record: &Record<'_>) -> u16 {
        let start = u16::try_from(self.bytes.len()).expect("a full leaf takes no more records");
        self.starts.push(start);
        codec::pack_into(record, &mut self.bytes);
        start
    }

    fn truncate(&mut self, start: u16) {
        self.starts.pop();
        self.bytes.truncate(start.into());
    }

    fn len(&self) -> usize {
        self.starts.len()
    }

    fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.starts.iter().map(|start| self.record(*start))
    }

    fn iter_from(&self, from: Revision) -> impl Iterator<Item = Record<'_>> {
        self.starts[self.place_of(from)..].iter().map(|start| self.record(*start))
    }

    fn packed_from(&self, from: Revision) -> impl Iterator<Item = (Revision, &[u8])> {
        let ends =
            self.starts[1.min(self.starts.len())..].iter().map(|start| usize::from(*start)).chain([self.bytes.len()]);
        let packed = self.starts.iter().zip(ends).skip(self.place_of(from));
        packed.map(|(start, end)| (self.revision(*start), &self.bytes[usize::from(*start)..end]))
    }

    fn first(&self) -> Option<Revision> {
        self.starts.first().map(|start| self.revision(*start))
    }

    fn last(&self) -> Option<Revision> {
        self.starts.last().map(|start| self.revision(*start))
    }

    fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.starts.shrink_to_fit();
    }

    /// The place of the first record at or after `revision`.
    fn place_of(&self, revision: Revision) -> usize {
        match self.starts.last() {
            // What was written last is read at once, by those who follow it.
            Some(last) if self.revision(*last) == revision => self.starts.len() - 1,
            _ => self.starts.partition_point(|start| self.revision(*start) < revision),
        }
    }

    /// A record begins with its revision.
    #[inline(never)]
    fn revision(&self, start: u16) -> Revision {
        Revision::unpack(&mut Unpacker(&self.bytes[usize::from(start)..])).expect(AS_PACKED)
    }

    #[inline(never)]
    fn record(&self, start: u16) -> Record<'_> {
        Record::unpack(&self.bytes[usize::from(start)..]).expect(AS_PACKED)
    }
}

const AS_PACKED: &str = "a leaf holds what was packed into it";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mvcc::key_value::LeaseId;

    fn record(main: u64, sub: u32) -> Record<'static> {
        let revision = Revision { main, sub };
        let value = b"value";
        Record { revision, key: b"key", create_revision: 2, version: 1, lease: LeaseId::NONE, value }
    }

    /// Mains 2..=40, two changes each, in leaves of a few records.
    fn tree() -> RevisionTree {
        let mut tree = RevisionTree::with_leaf_bytes(60);
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
    fn every_record_is_found_by_its_place_and_by_its_revision() {
        let mut tree = tree();
        let place = tree.append(&record(41, 0));
        assert_eq!(tree.record(place), record(41, 0));
        for main in 2..=40 {
            assert_eq!(tree.iter_from(Revision { main, sub: 1 }).next(), Some(record(main, 1)));
            assert_eq!(revisions(&tree, main).len() as u64, (41 - main) * 2 + 1);
        }
        assert_eq!(revisions(&tree, 41), [(41, 0)]);
        assert_eq!(revisions(&tree, 42), []);
    }

    #[test]
    fn pop_goes_back_through_the_leaves() {
        let mut tree = RevisionTree::with_leaf_bytes(60);
        let places: Vec<Place> = (2..=40).map(|main| tree.append(&record(main, 0))).collect();
        for place in places[20..].iter().rev() {
            tree.pop(*place);
            tree.check();
        }
        assert_eq!((tree.check(), tree.newest()), (20, Some(Revision { main: 21, sub: 0 })));
        assert_eq!(places[20], tree.append(&record(22, 0)), "what was given back is used again");
    }

    #[test]
    fn thinned_leaves_join_and_every_move_is_told() {
        let mut tree = RevisionTree::with_leaf_bytes(60);
        let mut places: Vec<Place> = (0..=40).map(|main| tree.append(&record(main, 0))).collect();
        let leaves = tree.order.len();
        let keep = |record: &Record<'_>| record.revision.main > 30 || record.revision.main.is_multiple_of(10);
        let mut from = Revision::first_of(0);
        while let Some(thinned) = tree.thin(from, 30, keep) {
            from = thinned.after;
            tree.put_back(thinned, |record, place| places[usize::try_from(record.revision.main).unwrap()] = place);
            tree.check();
        }
        // Of the 31 records that were thinned, 4 are left.
        assert!(tree.order.len() <= leaves / 3 + 2, "{} leaves: what is left of {leaves} was joined", tree.order.len());
        let kept: Vec<_> = revisions(&tree, 0).into_iter().map(|(main, _)| main).collect();
        assert_eq!(kept, [0, 10, 20, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40]);
        for main in kept {
            assert_eq!(tree.record(places[usize::try_from(main).unwrap()]), record(main, 0));
        }
        tree.append(&record(41, 0));
        tree.check();
    }
}
