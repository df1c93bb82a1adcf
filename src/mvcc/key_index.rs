//! One key's life: the revisions at which it changed.
//!
//! As in etcd's `key_index.go`, a life is a *generation*: it begins with a put and ends with a tombstone. For a key put
//! at 2, 4, deleted at 6, put at 8, 10, deleted at 12:
//!
//! ```text
//! generations: {2, 4, 6t} {8, 10, 12t}
//! get(3) = 2   get(5) = 4   get(6) = get(7) = none   get(11) = 10
//! compact(3): {2, 4, 6t} {8, 10, 12t}      2 is what a read at 3 sees
//! compact(4): {4, 6t} {8, 10, 12t}
//! compact(6): {6t} {8, 10, 12t}            the delete at 6 is still owed to a watch from 6
//! compact(7): {8, 10, 12t}
//! compact(12): {12t}
//! compact(13): nothing is left; the key leaves the index
//! ```
//!
//! The list is flat: a tombstone ends a generation, so the braces need not be kept.

use smallvec::SmallVec;

use super::revision::Revision;

/// One entry of a key's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub revision: Revision,
    pub tombstone: bool,
}

/// The changes of one key, and what the next put needs to know of the present generation.
///
/// Invariants ([`KeyIndex::check`]):
/// - there is at least one change, and they ascend;
/// - `version` is 0 exactly when the newest change is a tombstone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KeyIndex {
    create_revision: u64,
    version: u64,
    /// Most keys have one change; it needs no allocation.
    changes: SmallVec<[Change; 1]>,
}

impl KeyIndex {
    /// Adds a put; gives the key's (create revision, version) after it.
    pub fn put(&mut self, revision: Revision) -> (u64, u64) {
        if self.version == 0 {
            self.create_revision = revision.main;
        }
        self.version += 1;
        self.changes.push(Change { revision, tombstone: false });
        (self.create_revision, self.version)
    }

    /// Adds a delete, which ends the generation.
    pub fn tombstone(&mut self, revision: Revision) {
        assert!(self.is_alive(), "a delete is written only for a key that is there");
        self.version = 0;
        self.changes.push(Change { revision, tombstone: true });
    }

    /// Adds a change read from storage, which knows the numbers that compaction has hidden from us.
    pub fn restore(&mut self, change: Change, create_revision: u64, version: u64) {
        self.changes.push(change);
        self.set_generation(create_revision, version);
    }

    /// Takes the newest change back and gives the one before. What the generation was with that is told with
    /// [`KeyIndex::set_generation`].
    pub fn pop(&mut self) -> Option<Change> {
        self.changes.pop();
        self.changes.last().copied()
    }

    /// Says what the present generation's create revision and version are (version 0: the key is deleted).
    pub fn set_generation(&mut self, create_revision: u64, version: u64) {
        (self.create_revision, self.version) = (create_revision, version);
    }

    /// The put that a read at `main` sees, if the key is there at `main`.
    pub fn get(&self, main: u64) -> Option<Revision> {
        let newest = self.upto(main).last()?;
        (!newest.tombstone).then_some(newest.revision)
    }

    /// The change before this one.
    pub fn before(&self, revision: Revision) -> Option<Revision> {
        let place = self.changes.partition_point(|change| change.revision < revision);
        Some(self.changes[..place].last()?.revision)
    }

    pub fn is_alive(&self) -> bool {
        self.version > 0
    }

    /// The number of changes.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub fn contains(&self, revision: Revision) -> bool {
        self.changes.binary_search_by_key(&revision, |change| change.revision).is_ok()
    }

    /// The changes with a main in `from..=to` that a compaction at `compacted` keeps, whether or not it has been here.
    pub fn kept_within(&self, compacted: u64, from: u64, to: u64) -> impl Iterator<Item = Change> {
        let kept = self.upto(to).iter().skip(self.first_kept(compacted));
        kept.copied().filter(move |change| change.revision.main >= from)
    }

    /// Forgets what a compaction at `main` does not keep: see [`KeyIndex::first_kept`]. Of what comes before, it spares
    /// what reads at the pinned revisions (ascending) see.
    pub fn compact(&mut self, main: u64, pins: &[u64]) {
        let first = self.first_kept(main);
        let spared = self.spared(first, main, pins);
        self.changes.drain(..first);
        self.changes.insert_many(0, spared);
        if self.changes.capacity() > 2 * self.changes.len() {
            self.changes.shrink_to_fit();
        }
    }

    /// Of the changes before place `first`, those that reads at the pins see. With them stays each tombstone that hides
    /// one of them from a later pin or from `main`.
    ///
    /// ```text
    /// {2, 5t} {9}    pins 3, 7    compact(8): 2 for the pin at 3; 5t, or a read at 7 or 8 would see 2
    /// ```
    fn spared(&self, first: usize, main: u64, pins: &[u64]) -> Vec<Change> {
        let mut spared: Vec<Change> = Vec::new();
        for at in pins.iter().copied().take_while(|pin| *pin < main).chain([main]) {
            let place = self.upto(at).len();
            let Some(seen) = self.changes[..place.min(first)].last().filter(|_| place <= first) else { continue };
            let hides_nothing = seen.tombstone && spared.last().is_none_or(|before| before.tombstone);
            if !hides_nothing && spared.last() != Some(seen) {
                spared.push(*seen);
            }
        }
        // Without a pin, nothing before `first` is seen; a tombstone alone hides nothing.
        spared
    }

    /// The place of the oldest change that survives a compaction at `main`: the first one made at `main`, where a watch
    /// may resume, or else the put that a read at `main` sees.
    ///
    /// A key changed more than once in the revision `main` keeps every change. etcd keeps the last one, or loses a put
    /// that follows a delete (etcd-io/etcd#22376).
    fn first_kept(&self, main: u64) -> usize {
        let upto = self.upto(main);
        let before = upto.partition_point(|change| change.revision.main < main);
        let is_seen = before == upto.len() && upto.last().is_some_and(|newest| !newest.tombstone);
        if is_seen { before - 1 } else { before }
    }

    fn upto(&self, main: u64) -> &[Change] {
        &self.changes[..self.changes.partition_point(|change| change.revision.main <= main)]
    }

    /// Asserts the invariants.
    pub fn check(&self) {
        assert!(!self.is_empty(), "a key without a change stayed in the index");
        for pair in self.changes.windows(2) {
            assert!(pair[0].revision < pair[1].revision, "changes of a key do not ascend");
        }
        let deleted = self.changes.last().is_some_and(|change| change.tombstone);
        assert_eq!(deleted, self.version == 0, "the version does not tell whether the key is there");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(main: u64, sub: u32) -> Revision {
        Revision { main, sub }
    }

    /// {2, 4, 6t} {8, 10, 12t} {14, 15.1, 16t}
    fn three_lives() -> KeyIndex {
        let mut index = KeyIndex::default();
        for life in [[(2, 0), (4, 0), (6, 0)], [(8, 0), (10, 0), (12, 0)], [(14, 0), (15, 1), (16, 0)]] {
            index.put(revision(life[0].0, life[0].1));
            index.put(revision(life[1].0, life[1].1));
            index.tombstone(revision(life[2].0, life[2].1));
        }
        index.check();
        index
    }

    fn mains(index: &KeyIndex) -> Vec<(u64, bool)> {
        index.changes.iter().map(|change| (change.revision.main, change.tombstone)).collect()
    }

    #[test]
    fn get_sees_the_newest_put_unless_a_tombstone_follows() {
        let index = three_lives();
        let rows = [
            (17, None),
            (16, None),
            (15, Some(15)),
            (14, Some(14)),
            (13, None),
            (12, None),
            (11, Some(10)),
            (10, Some(10)),
            (9, Some(8)),
            (8, Some(8)),
            (7, None),
            (6, None),
            (5, Some(4)),
            (4, Some(4)),
            (3, Some(2)),
            (2, Some(2)),
            (1, None),
        ];
        for (at, expected) in rows {
            assert_eq!(index.get(at).map(|revision| revision.main), expected, "get({at})");
        }
    }

    /// What a compaction keeps at or below its revision (etcd's TestKeyIndexCompactAndKeep).
    #[test]
    fn compact_keeps_what_a_read_or_a_watch_there_needs() {
        let rows: [(u64, &[(u64, bool)]); 17] = [
            (1, &[]),
            (2, &[(2, false)]),
            (3, &[(2, false)]),
            (4, &[(4, false)]),
            (5, &[(4, false)]),
            (6, &[(6, true)]),
            (7, &[]),
            (8, &[(8, false)]),
            (9, &[(8, false)]),
            (10, &[(10, false)]),
            (11, &[(10, false)]),
            (12, &[(12, true)]),
            (13, &[]),
            (14, &[(14, false)]),
            (15, &[(15, false)]),
            (16, &[(16, true)]),
            (17, &[]),
        ];
        let whole = three_lives();
        for (at, available) in rows {
            let mut compacted = three_lives();
            compacted.compact(at, &[]);
            let later = mains(&whole).into_iter().filter(|(main, _)| *main > at);
            let expected: Vec<_> = available.iter().copied().chain(later).collect();
            assert_eq!(mains(&compacted), expected, "compact({at})");
            let kept: Vec<_> = whole.kept_within(at, 0, u64::MAX).map(|change| change.revision.main).collect();
            assert_eq!(kept, expected.iter().map(|(main, _)| *main).collect::<Vec<_>>(), "kept_within({at})");
        }
    }

    #[test]
    fn a_key_deleted_and_put_again_in_one_revision_survives_compaction_there() {
        let mut index = KeyIndex::default();
        index.put(revision(2, 0));
        index.tombstone(revision(3, 0));
        assert_eq!(index.put(revision(3, 1)), (3, 1));
        index.compact(3, &[]);
        assert_eq!(mains(&index), [(3, true), (3, false)]);
        assert_eq!(index.get(3), Some(revision(3, 1)));
        index.compact(4, &[]);
        assert_eq!(mains(&index), [(3, false)]);
    }

    /// Reads at the pins and from the compact revision on are as before, whatever was forgotten.
    #[test]
    fn pinned_reads_survive_compaction() {
        let whole = three_lives();
        for pins in [&[3_u64][..], &[3, 7], &[5, 6, 9], &[2, 4, 8, 10, 13, 14], &[6, 12], &[3, 3, 5]] {
            for at in 1..=18 {
                let mut compacted = three_lives();
                compacted.compact(at, pins);
                let reads = pins.iter().copied().filter(|pin| *pin < at).chain(at..=18);
                for read in reads {
                    assert_eq!(compacted.get(read), whole.get(read), "pins {pins:?}, compact({at}), get({read})");
                }
                compacted.compact(18, &[]);
                assert!(compacted.is_empty(), "released, pins {pins:?} keep nothing");
            }
        }
    }

    #[test]
    fn a_generation_counts_its_puts() {
        let mut index = KeyIndex::default();
        assert_eq!(index.put(revision(2, 0)), (2, 1));
        assert_eq!(index.put(revision(3, 0)), (2, 2));
        index.tombstone(revision(4, 0));
        assert_eq!(index.put(revision(5, 0)), (5, 1));
        index.check();
    }
}
