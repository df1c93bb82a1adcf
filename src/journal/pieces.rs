//! The pieces of a stream that are stored, and which of them are worth rewriting as one.
//!
//! Commits write small pieces. A run of small ones is joined when together they nearly fill a blob, and a piece of which
//! compaction has forgotten half is written again with its small neighbours. So a byte is written once when it is
//! committed, once when its piece is joined, and then only together with at least as many bytes that go: what is written
//! is in proportion to what has changed, whatever the size of the store.

use std::ops::Range;

use super::blob::CHAIN_START;
use crate::mvcc::Revision;

/// So many small pieces are joined whatever their size, so that opening never reads more than that.
pub(super) const SMALL_PIECES_MAX: usize = 256;

/// One stored piece.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// Its last position; the first follows from the piece before.
    pub last: u64,
    /// The last revision that it is about.
    pub to: Revision,
    /// What the next piece is chained to.
    pub tail: u64,
    /// The numbers of its blobs, and the sum of their header checksums.
    pub blobs: Range<u64>,
    pub sum: u64,
    /// Of its payload.
    pub bytes: usize,
    /// The records in it that have been forgotten since it was written, and their bytes.
    pub dead: Vec<Revision>,
    pub dead_bytes: usize,
}

/// Where a piece begins.
pub(super) struct Before {
    /// Its first position.
    pub first: u64,
    /// What it is chained to.
    pub chain: u64,
    /// The records behind this revision are its.
    pub to: Revision,
}

impl Piece {
    /// A piece that is not sealed yet.
    pub fn new(last: u64, to: Revision, tail: u64, bytes: usize) -> Self {
        Self { last, to, tail, blobs: 0..0, sum: 0, bytes, dead: Vec::new(), dead_bytes: 0 }
    }

    fn live_bytes(&self) -> usize {
        self.bytes - self.dead_bytes
    }

    fn is_mostly_dead(&self) -> bool {
        self.dead_bytes > 0 && self.dead_bytes * 2 >= self.bytes
    }
}

/// Every stored piece of a stream, in the order of positions.
///
/// Invariants ([`Pieces::check`]):
/// - positions ascend from 1 without a hole: each piece begins behind the one before;
/// - `to` ascends; the dead of a piece lie behind the piece before, and not behind its own `to`.
#[derive(Debug, Clone, Default)]
pub(super) struct Pieces {
    pieces: Vec<Piece>,
    /// The last positions of pieces that have changed since it was judged whether they are worth rewriting.
    unjudged: Vec<u64>,
}

impl Pieces {
    /// The last position taken.
    pub fn head(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| piece.last)
    }

    /// Up to where the pieces tell the history.
    pub fn to(&self) -> Revision {
        self.pieces.last().map_or(Revision::first_of(0), |piece| piece.to)
    }

    pub fn get(&self, range: Range<usize>) -> &[Piece] {
        &self.pieces[range]
    }

    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Of all payloads.
    pub fn bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes).sum()
    }

    /// Of the header checksums of all blobs.
    pub fn sum(&self) -> u64 {
        self.pieces.iter().fold(0, |sum, piece| sum.wrapping_add(piece.sum))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter()
    }

    pub fn push(&mut self, piece: Piece) {
        self.unjudged.push(piece.last);
        self.pieces.push(piece);
    }

    /// Where the piece at `place` begins.
    pub fn before(&self, place: usize) -> Before {
        match place.checked_sub(1).map(|place| &self.pieces[place]) {
            Some(before) => Before { first: before.last + 1, chain: before.tail, to: before.to },
            None => Before { first: 1, chain: CHAIN_START, to: Revision::first_of(0) },
        }
    }

    /// The piece that ends with this position, and where it begins.
    pub fn find(&mut self, last: u64) -> (Before, &mut Piece) {
        let place = self.pieces.partition_point(|piece| piece.last < last);
        (self.before(place), &mut self.pieces[place])
    }

    /// Puts one piece in the place of some; gives these.
    pub fn replace(&mut self, places: Range<usize>, piece: Piece) -> Vec<Piece> {
        self.unjudged.push(piece.last);
        let mut replaced = vec![std::mem::replace(&mut self.pieces[places.start], piece)];
        replaced.extend(self.pieces.drain(places.start + 1..places.end));
        replaced
    }

    /// Follows a record that has been forgotten. `false`: no piece holds it.
    pub fn forget(&mut self, revision: Revision, bytes: usize) -> bool {
        let place = self.pieces.partition_point(|piece| piece.to < revision);
        let Some(piece) = self.pieces.get_mut(place) else { return false };
        let was_due = piece.is_mostly_dead();
        piece.dead.push(revision);
        piece.dead_bytes += bytes;
        if !was_due && piece.is_mostly_dead() {
            self.unjudged.push(piece.last);
        }
        true
    }

    /// The next pieces to rewrite as one that fits in `bytes_max`; with `sparing` only where at least half of them goes.
    pub fn take_due(&mut self, bytes_max: usize, sparing: bool) -> Option<Range<usize>> {
        let mut later = Vec::new();
        let mut next = None;
        while let Some(last) = self.unjudged.pop() {
            let place = self.pieces.partition_point(|piece| piece.last < last);
            // It may have been joined to another since.
            let Some(due) = self.pieces.get(place).and_then(|_| self.due_around(place, bytes_max)) else { continue };
            if sparing && !self.pays(due.clone()) {
                later.push(last);
                continue;
            }
            if !due.contains(&place) {
                self.unjudged.push(last);
            }
            next = Some(due);
            break;
        }
        self.unjudged.append(&mut later);
        next
    }

    /// At least half of these pieces is dead.
    fn pays(&self, places: Range<usize>) -> bool {
        let pieces = &self.pieces[places];
        let dead: usize = pieces.iter().map(|piece| piece.dead_bytes).sum();
        let bytes: usize = pieces.iter().map(|piece| piece.bytes).sum();
        dead > 0 && dead * 2 >= bytes
    }

    fn due_around(&self, place: usize, bytes_max: usize) -> Option<Range<usize>> {
        let is_small = |place: &usize| self.pieces[*place].live_bytes() * 2 < bytes_max;
        let alone = || self.pieces[place].is_mostly_dead().then_some(place..place + 1);
        if !is_small(&place) {
            return alone();
        }
        let smaller =
            |places: &mut dyn Iterator<Item = usize>| places.take_while(is_small).take(SMALL_PIECES_MAX).count();
        let start = place - smaller(&mut (0..place).rev());
        let (mut live, mut end) = (0, start);
        while end < self.pieces.len() && is_small(&end) && live + self.pieces[end].live_bytes() <= bytes_max {
            live += self.pieces[end].live_bytes();
            end += 1;
        }
        let nothing_more_fits = end < self.pieces.len() && is_small(&end);
        let is_full = live * 4 >= bytes_max * 3 || nothing_more_fits;
        if end - start > 1 && is_full || end - start >= SMALL_PIECES_MAX || self.pays(start..end) {
            return Some(start..end);
        }
        alone()
    }

    /// Asserts the invariants.
    pub fn check(&self) {
        let (mut last, mut to) = (0, Revision::first_of(0));
        for piece in &self.pieces {
            assert!(piece.last > last && piece.to >= to, "pieces do not ascend");
            assert!(piece.dead_bytes <= piece.bytes, "more is dead than there is");
            assert!(piece.dead.iter().all(|dead| to < *dead && *dead <= piece.to), "a dead record is of another piece");
            (last, to) = (piece.last, piece.to);
        }
    }
}
