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

use thin_vec::ThinVec;

use super::change::{Change, Place};
use super::revision::Revision;

/// The changes of one key: 24 bytes, the newest in place, where a read of the present needs nothing else.
///
/// What a put has to know of the present generation (its create revision, its version) is in the newest record.
///
/// Invariant ([`KeyIndex::check`]): the changes ascend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyIndex {
    newest: Change,
    older: ThinVec<Change>,
}

impl KeyIndex {
    pub fn new(first: Change) -> Self {
        Self { newest: first, older: ThinVec::new() }
    }

    /// Adds a change above all others.
    pub fn push(&mut self, change: Change) {
        // By halves and not by doubling: most of the memory of a long history is this list.
        if self.older.len() == self.older.capacity() {
            self.older.reserve_exact(self.older.len() / 2 + 1);
        }
        self.older.push(std::mem::replace(&mut self.newest, change));
    }

    /// Takes the newest change back. `false`: it was the only one.
    pub fn pop(&mut self) -> bool {
        self.older.pop().map(|before| self.newest = before).is_some()
    }

    /// The put that a read at `main` sees, if the key is there at `main`.
    pub fn get(&self, main: u64) -> Option<Change> {
        let seen = if self.newest.main() <= main {
            self.newest
        } else {
            let place = self.older.partition_point(|change| change.main() <= main);
            *self.older[..place].last()?
        };
        (!seen.is_tombstone()).then_some(seen)
    }

    pub fn newest(&self) -> Change {
        self.newest
    }

    /// The change before this one.
    pub fn before(&self, revision: Revision) -> Option<Change> {
        let place = self.older.partition_point(|change| change.revision() < revision);
        Some(*self.older[..place].last()?)
    }

    pub fn is_alive(&self) -> bool {
        !self.newest.is_tombstone()
    }

    /// The number of changes.
    pub fn len(&self) -> usize {
        self.older.len() + 1
    }

    /// The change at exactly this revision.
    pub fn find(&self, revision: Revision) -> Option<Change> {
        self.at(self.place_of(revision)?)
    }

    /// Follows the record of this revision to another place.
    pub fn relocate(&mut self, revision: Revision, to: Place) {
        let place = self.place_of(revision).expect("only records in the index are moved");
        let change = self.older.get_mut(place).unwrap_or(&mut self.newest);
        *change = change.moved(to);
    }

    /// The changes with a main in `from..=to` that a compaction at `compacted` keeps, whether or not it has been here.
    pub fn kept_within(&self, compacted: u64, from: u64, to: u64) -> impl Iterator<Item = Change> {
        let asked = from.checked_sub(1).map_or(0, |below| self.upto(below));
        (self.first_kept(compacted).max(asked)..self.upto(to)).filter_map(|place| self.at(place))
    }

    /// Whether a compaction at `main` may take something away.
    pub fn forgets(&self, main: u64) -> bool {
        self.first_kept(main) > 0
    }

    /// Forgets what a compaction at `main` does not keep: see [`KeyIndex::first_kept`]. Of what comes before, it spares
    /// what reads at the pinned revisions (ascending) see. `false`: nothing is left.
    pub fn compact(&mut self, main: u64, pins: &[u64]) -> bool {
        let first = self.first_kept(main);
        let spared = self.spared(first, main, pins);
        let rest = (first..self.len()).filter_map(|place| self.at(place));
        let mut kept: ThinVec<Change> = spared.into_iter().chain(rest).collect();
        kept.pop()
            .map(|newest| {
                kept.shrink_to_fit();
                *self = Self { newest, older: kept };
            })
            .is_some()
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
            let upto = self.upto(at);
            let Some(seen) = upto.checked_sub(1).filter(|_| upto <= first).and_then(|place| self.at(place)) else {
                continue;
            };
            let hides_nothing = seen.is_tombstone() && spared.last().is_none_or(|before| before.is_tombstone());
            if !hides_nothing && spared.last() != Some(&seen) {
                spared.push(seen);
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
        let before = main.checked_sub(1).map_or(0, |below| self.upto(below));
        let sees_a_put = || self.at(upto - 1).is_some_and(|newest| !newest.is_tombstone());
        if upto > 0 && before == upto && sees_a_put() { before - 1 } else { before }
    }

    /// The number of changes with a main up to this one.
    fn upto(&self, main: u64) -> usize {
        match self.newest.main() <= main {
            true => self.len(),
            false => self.older.partition_point(|change| change.main() <= main),
        }
    }

    fn place_of(&self, revision: Revision) -> Option<usize> {
        if self.newest.revision() == revision {
            return Some(self.older.len());
        }
        self.older.binary_search_by_key(&revision, |change| change.revision()).ok()
    }

    fn at(&self, place: usize) -> Option<Change> {
        if place == self.older.len() { Some(self.newest) } else { self.older.get(place).copied() }
    }

    /// Every change, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Change> {
        self.older.iter().copied().chain([self.newest])
    }

    /// Asserts the invariant.
    pub fn check(&self) {
        let ascend = self.iter().zip(self.iter().skip(1)).all(|(a, b)| a.revision() < b.revision());
        assert!(ascend, "changes of a key do not ascend");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { leaf: 0, offset: 0 };

    fn revision(main: u64, sub: u32) -> Revision {
        Revision { main, sub }
    }

    fn put(main: u64, sub: u32) -> Change {
        Change::new(revision(main, sub), false, PLACE)
    }

    fn tombstone(main: u64, sub: u32) -> Change {
        Change::new(revision(main, sub), true, PLACE)
    }

    /// {2, 4, 6t} {8, 10, 12t} {14, 15.1, 16t}
    fn three_lives() -> KeyIndex {
        let mut index = KeyIndex::new(put(2, 0));
        let later = [put(4, 0), tombstone(6, 0), put(8, 0), put(10, 0), tombstone(12, 0), put(14, 0), put(15, 1)];
        later.into_iter().chain([tombstone(16, 0)]).for_each(|change| index.push(change));
        index.check();
        index
    }

    fn mains(index: &KeyIndex) -> Vec<(u64, bool)> {
        index.iter().map(|change| (change.main(), change.is_tombstone())).collect()
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
            assert_eq!(index.get(at).map(Change::main), expected, "get({at})");
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
            let is_left = compacted.compact(at, &[]);
            let later = mains(&whole).into_iter().filter(|(main, _)| *main > at);
            let expected: Vec<_> = available.iter().copied().chain(later).collect();
            assert_eq!(is_left, !expected.is_empty(), "compact({at})");
            if is_left {
                assert_eq!(mains(&compacted), expected, "compact({at})");
            }
            let kept: Vec<_> = whole.kept_within(at, 0, u64::MAX).map(Change::main).collect();
            assert_eq!(kept, expected.iter().map(|(main, _)| *main).collect::<Vec<_>>(), "kept_within({at})");
            for (from, to) in (0..18).flat_map(|from| (0..18).map(move |to| (from, to))) {
                let within: Vec<_> = whole.kept_within(at, from, to).map(Change::main).collect();
                let asked: Vec<_> = kept.iter().copied().filter(|main| (from..=to).contains(main)).collect();
                assert_eq!(within, asked, "kept_within({at}, {from}, {to})");
            }
        }
    }

    #[test]
    fn a_key_deleted_and_put_again_in_one_revision_survives_compaction_there() {
        let mut index = KeyIndex::new(put(2, 0));
        index.push(tombstone(3, 0));
        index.push(put(3, 1));
        assert!(index.compact(3, &[]));
        assert_eq!(mains(&index), [(3, true), (3, false)]);
        assert_eq!(index.get(3), Some(put(3, 1)));
        assert!(index.compact(4, &[]));
        assert_eq!(mains(&index), [(3, false)]);
    }

    /// Reads at the pins and from the compact revision on are as before, whatever was forgotten.
    #[test]
    fn pinned_reads_survive_compaction() {
        let whole = three_lives();
        for pins in [&[3_u64][..], &[3, 7], &[5, 6, 9], &[2, 4, 8, 10, 13, 14], &[6, 12], &[3, 3, 5]] {
            for at in 1..=18 {
                let mut compacted = three_lives();
                let is_left = compacted.compact(at, pins);
                let reads = pins.iter().copied().filter(|pin| *pin < at).chain(at..=18);
                for read in reads {
                    let seen = if is_left { compacted.get(read) } else { None };
                    assert_eq!(seen, whole.get(read), "pins {pins:?}, compact({at}), get({read})");
                }
                assert!(!is_left || !compacted.compact(18, &[]), "released, pins {pins:?} keep nothing");
            }
        }
    }

    #[test]
    fn a_change_is_found_and_followed_to_another_place() {
        let mut index = three_lives();
        let elsewhere = Place { leaf: 3, offset: 5 };
        for at in [revision(2, 0), revision(15, 1), revision(16, 0)] {
            index.relocate(at, elsewhere);
            assert_eq!(index.find(at).map(Change::place), Some(elsewhere));
        }
        assert_eq!(index.find(revision(15, 0)), None);
        assert_eq!(index.before(revision(16, 0)).map(Change::revision), Some(revision(15, 1)));
        assert_eq!(index.before(revision(2, 0)), None);
        index.check();
    }

    #[test]
    fn pop_takes_back_what_push_added() {
        let mut index = KeyIndex::new(put(2, 0));
        index.push(tombstone(3, 0));
        assert!(!index.is_alive() && index.pop() && index.is_alive());
        assert_eq!(mains(&index), [(2, false)]);
        assert!(!index.pop());
    }
}
