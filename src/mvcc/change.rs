//! One change of a key, in two words: when it was made, what it was, and where its record lies.

use super::revision::Revision;

/// Where a record lies in the revision tree, until compaction moves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which leaf.
    pub leaf: u32,
    /// At which of its bytes the record begins.
    pub offset: u16,
}

/// An entry of a key's life. Changes are ordered as their revisions are.
///
/// ```text
/// bits   54    32         1     26      15
///      main   sub tombstone   leaf  offset
/// ```
///
/// A key has one of these for each of its revisions, so every word counts. What the fields leave room for is more than
/// there can be: revisions end at 2^53, a leaf is full at 32 KiB ([`LEAF_BYTES_MAX`]), and so many leaves are 2 TiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Change([u64; 2]);

/// No record begins at or behind this byte of a leaf.
pub(super) const LEAF_BYTES_MAX: usize = 1 << OFFSET_BITS;

const OFFSET_BITS: u32 = 15;
const LEAF_BITS: u32 = 26;
const TOMBSTONE_AT: u32 = OFFSET_BITS + LEAF_BITS;
const SUB_AT: u32 = TOMBSTONE_AT + 1;
const MAIN_AT: u32 = SUB_AT + u32::BITS;

impl Change {
    pub fn new(revision: Revision, tombstone: bool, place: Place) -> Self {
        assert!(place.leaf >> LEAF_BITS == 0 && place.offset >> OFFSET_BITS == 0, "there are no such places");
        Self::of_bits(
            u128::from(revision.main) << MAIN_AT
                | u128::from(revision.sub) << SUB_AT
                | u128::from(tombstone) << TOMBSTONE_AT
                | u128::from(place.leaf) << OFFSET_BITS
                | u128::from(place.offset),
        )
    }

    /// The same change, its record lying elsewhere.
    pub fn moved(self, place: Place) -> Self {
        Self::new(self.revision(), self.is_tombstone(), place)
    }

    pub fn main(self) -> u64 {
        self.0[0] >> (MAIN_AT - u64::BITS)
    }

    pub fn revision(self) -> Revision {
        Revision { main: self.main(), sub: (self.bits() >> SUB_AT) as u32 }
    }

    pub fn is_tombstone(self) -> bool {
        self.0[1] >> TOMBSTONE_AT & 1 == 1
    }

    pub fn place(self) -> Place {
        let leaf = (self.0[1] >> OFFSET_BITS) as u32 & ((1 << LEAF_BITS) - 1);
        Place { leaf, offset: self.0[1] as u16 & ((1 << OFFSET_BITS) - 1) }
    }

    fn bits(self) -> u128 {
        u128::from(self.0[0]) << u64::BITS | u128::from(self.0[1])
    }

    /// Not kept as one `u128`, which would be aligned to 16 bytes.
    fn of_bits(bits: u128) -> Self {
        Self([(bits >> u64::BITS) as u64, bits as u64])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mvcc::REVISION_MAX;

    #[test]
    fn a_change_gives_back_what_it_was_made_of() {
        let places = [Place { leaf: 0, offset: 0 }, Place { leaf: (1 << LEAF_BITS) - 1, offset: 0x7fff }];
        let mut changes = Vec::new();
        for main in [1, 2, 0xffff_ffff, REVISION_MAX] {
            for sub in [0, 1, u32::MAX] {
                for (tombstone, place) in [(false, places[0]), (true, places[1])] {
                    let revision = Revision { main, sub };
                    let change = Change::new(revision, tombstone, place);
                    assert_eq!((change.revision(), change.main()), (revision, main));
                    assert_eq!((change.is_tombstone(), change.place()), (tombstone, place));
                    assert_eq!(change.moved(places[0]), Change::new(revision, tombstone, places[0]));
                    changes.push(change);
                }
            }
        }
        assert!(changes.is_sorted(), "ordered as their revisions are");
    }
}
