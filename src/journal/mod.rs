//! The journal: the history, written in pieces that can be read back.
//!
//! There are two streams. *Records* is the revision tree, piece by piece: a commit appends the records since the last
//! one. *Notes* is the little that is no record: compactions, leases, which stored records have been forgotten. Each
//! stream is a row of pieces that take its positions from 1 on without a hole; what rewrites pieces puts one in the place
//! of some, with their positions. So whatever was merged, a missing piece shows.
//!
//! ```text
//! records   [1 ........ 190] [191 ... 340] [341] [342] [343]      joined, joined, three commits
//! notes     [1 ... 17] [18] [19]
//! ```
//!
//! The host takes a [`Ready`] and writes it as one batch, whole or not at all. Beside what was committed it holds at most
//! one step of rewriting, of at most one blob of records, generated from memory: nothing is read back.

mod backup;
mod blob;
#[cfg(fuzzing)]
pub mod fuzzing;
mod note;
mod pieces;
mod recovery;
mod salvage;
#[cfg(any(test, fuzzing))]
pub(crate) mod sealed;
mod transfer;

use crate::codec::{self, Encode};
use crate::mvcc::{Revision, Store};

pub(crate) use backup::restore_backup;
use blob::{HEADER_BYTES, Header, Stream, TAIL_OWN, blob_id};
pub(crate) use note::Note;
use pieces::{Piece, Pieces, SMALL_PIECES_MAX};
pub(crate) use recovery::{Recovered, Recovery, Restore};
pub use salvage::Loss;
pub(crate) use transfer::{Incoming, Transfer};

/// The smallest blob size that leaves room for a useful piece of an entry.
pub(crate) const BLOB_BYTES_MIN: usize = HEADER_BYTES + 256;

/// One stored blob.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct Blob {
    /// 16 hex digits, ascending in the order written.
    pub id: String,
    /// What is stored under it.
    pub bytes: Vec<u8>,
}

/// What the host has to write, as one batch: all of it or none.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct Ready {
    /// When it is written, everything up to this revision is.
    pub through: u64,
    /// The writer's epoch: a storage refuses one below the epoch it holds.
    pub epoch: u64,
    /// The blobs to put.
    pub put: Vec<Blob>,
    /// The ids of the blobs to delete.
    pub delete: Vec<String>,
}

/// What is stored, and what is about to be.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    blob_bytes_max: usize,
    incarnation: [u8; 16],
    epoch: u64,
    /// The number of the last blob.
    sequence: u64,
    /// Of the header checksums of all blobs that are stored.
    sum: u64,
    records: Pieces,
    notes: Pieces,
    /// The payload bytes of the notes when they were last written anew.
    notes_bytes: usize,
    /// The notes of the batch that gathers. Its records are in the tree.
    gathered: Vec<u8>,
    /// Blobs of a journal that this one replaces.
    replaced: Vec<u64>,
    /// No note is stored that does not have to be written again.
    anew: bool,
    /// The lives of the store that this one has replaced: what is stored may be of any until a batch is written.
    former: Vec<[u8; 16]>,
    /// The first batch is written even if it holds nothing: it claims the storage for this epoch, and no other writer can
    /// have put a blob under its id.
    claimed: bool,
    /// Batches that were taken and not confirmed, since one was last: the epoch of each, and the sum with it. Epochs that no
    /// batch was confirmed in may be another writer's.
    unconfirmed: Vec<(u64, u64)>,
    /// For so many batches nothing is joined: there was no room for more than what is new.
    spared: usize,
}

/// So many batches are known again that were not confirmed: a host tries a few times. What is not known again counts as
/// another's.
const UNCONFIRMED_MAX: usize = 16;

/// Batches after which a join is tried again; by then there may be room.
const SPARED_BATCHES: usize = 64;

impl Journal {
    /// Goes on from what was recovered. `incarnation` names this life of the store if nothing was.
    pub fn new(recovered: Recovered, incarnation: [u8; 16], blob_bytes_max: usize) -> Self {
        Self {
            blob_bytes_max,
            incarnation: recovered.incarnation.unwrap_or(incarnation),
            epoch: recovered.epoch + 1,
            sequence: recovered.sequence,
            sum: recovered.records.sum().wrapping_add(recovered.notes.sum()),
            notes_bytes: recovered.notes.bytes(),
            records: recovered.records,
            notes: recovered.notes,
            gathered: Vec::new(),
            replaced: Vec::new(),
            anew: false,
            former: Vec::new(),
            claimed: false,
            unconfirmed: Vec::new(),
            spared: 0,
        }
    }

    /// There was no room for a batch. The next ones hold what is new, and of what is old only what makes room.
    pub fn spare(&mut self) {
        self.spared = SPARED_BATCHES;
    }

    /// A journal that replaces this one and whatever else `found` says is stored: all of its content is written again, by
    /// a writer of a new epoch. Another life of the store begins where `incarnation` says so.
    pub fn anew(&self, found: &Recovered, incarnation: Option<[u8; 16]>) -> Self {
        let stored = |pieces: &Pieces| pieces.iter().flat_map(|piece| piece.blobs.clone()).collect::<Vec<u64>>();
        let replaced = [stored(&found.records), stored(&found.notes)].concat();
        let start = Recovered {
            incarnation: incarnation.or(Some(self.incarnation)),
            epoch: self.epoch.max(found.epoch),
            // Not behind what was taken last and is not found: it may arrive yet. Then one of the two is refused, since both
            // have the same numbers; else what is written anew would lie beside it.
            sequence: found.sequence,
            ..Recovered::default()
        };
        // Another life may begin before the last one was written: what that one was to replace is still there.
        let kept = if incarnation.is_some() { &self.replaced[..] } else { &[] };
        Self {
            replaced: [kept, &replaced].concat(),
            anew: true,
            former: [&self.former[..], &[self.incarnation]].concat(),
            unconfirmed: self.unconfirmed.clone(),
            ..Self::new(start, self.incarnation, self.blob_bytes_max)
        }
    }

    /// Whether what was found stored is of this life of the store, and of no later writer. `claimed` is the newest epoch that
    /// a batch was confirmed in.
    pub fn has_written(&self, found: &Recovered, claimed: u64) -> bool {
        let is_own = |incarnation| incarnation == self.incarnation || self.former.contains(&incarnation);
        let sum = found.records.sum().wrapping_add(found.notes.sum());
        let is_of_epoch = found.epoch <= claimed || self.unconfirmed.contains(&(found.epoch, sum));
        found.incarnation.is_none_or(is_own) && is_of_epoch
    }

    /// The batch that was taken last is written.
    pub fn confirm(&mut self) {
        self.unconfirmed.clear();
    }

    /// What is stored once everything taken is written. It has a name if there is anything.
    pub fn stored(&self) -> Recovered {
        let (records, notes) = (self.records.clone(), self.notes.clone());
        let epoch = if self.claimed { self.epoch } else { self.epoch - 1 };
        let incarnation = (self.sequence > 0).then_some(self.incarnation);
        Recovered { incarnation, epoch, sequence: self.sequence, records, notes }
    }

    pub fn incarnation(&self) -> [u8; 16] {
        self.incarnation
    }

    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Adds a note to the batch that gathers.
    pub fn note(&mut self, note: &Note<'_>) {
        codec::pack_into(note, &mut self.gathered);
    }

    /// Follows records that compaction has forgotten: those that are stored count as dead.
    pub fn forget(&mut self, forgotten: impl Iterator<Item = (Revision, usize)>) {
        let stored: Vec<Revision> = forgotten
            .filter(|(revision, bytes)| self.records.forget(*revision, *bytes))
            .map(|(revision, _)| revision)
            .collect();
        if !stored.is_empty() {
            self.note(&Note::Dead { revisions: &note::pack_revisions(stored.iter()) });
        }
    }

    /// What was committed since the last call, and one step of rewriting if one is due. `all_notes` gives every note that
    /// still means something, but for the dead.
    pub fn take_ready<'n>(&mut self, store: &Store, all_notes: impl Iterator<Item = Note<'n>>) -> Option<Ready> {
        let mut batch = Batch::default();
        self.rewrite_records(store, &mut batch);
        let now = Revision { main: store.current(), sub: u32::MAX };
        if self.records.to() < now {
            self.commit_records(store.packed_within(self.records.to(), now), now, &mut batch);
        }
        self.commit_notes(store, all_notes, &mut batch);
        if batch.pieces.is_empty() {
            return None;
        }
        self.claimed = true;
        self.spared = self.spared.saturating_sub(1);
        batch.delete.append(&mut self.replaced);
        let put = self.seal(batch.pieces);
        if self.unconfirmed.len() == UNCONFIRMED_MAX {
            self.unconfirmed.remove(0);
        }
        self.unconfirmed.push((self.epoch, self.sum));
        let delete = batch.delete.into_iter().map(blob_id).collect();
        Some(Ready { through: store.current(), epoch: self.epoch, put, delete })
    }

    fn piece_bytes(&self) -> usize {
        self.blob_bytes_max - HEADER_BYTES
    }

    fn rewrite_records(&mut self, store: &Store, batch: &mut Batch) {
        let Some(due) = self.records.take_due(self.piece_bytes(), self.spared > 0) else { return };
        let after = self.records.before(due.start).to;
        let Piece { last, to, tail, .. } = self.records.get(due.clone())[due.len() - 1];
        let mut payload = Vec::new();
        store.packed_within(after, to).for_each(|(_, packed)| payload.extend_from_slice(packed));
        let piece = Piece::new(last, to, tail, payload.len());
        let replaced = self.records.replace(due, piece);
        self.drop_blobs(&replaced, batch);
        batch.pieces.push(Planned { stream: Stream::Records, last, payload });
    }

    /// One piece for each blob that the new records fill, which reach to `now`; one that is too large for a blob is a
    /// piece of its own.
    fn commit_records<'r>(
        &mut self,
        packed: impl Iterator<Item = (Revision, &'r [u8])>,
        now: Revision,
        batch: &mut Batch,
    ) {
        let (mut payload, mut to) = (Vec::new(), self.records.to());
        for (revision, packed) in packed {
            if !payload.is_empty() && payload.len() + packed.len() > self.piece_bytes() {
                self.append(Stream::Records, to, std::mem::take(&mut payload), batch);
            }
            payload.extend_from_slice(packed);
            to = revision;
        }
        self.append(Stream::Records, now, payload, batch);
    }

    /// Notes are written anew when they have come to three times what was left of them the last time, and a blob; or to
    /// many pieces, for each blob that they fill.
    fn commit_notes<'n>(&mut self, store: &Store, all: impl Iterator<Item = Note<'n>>, batch: &mut Batch) {
        let claims = !self.claimed && batch.pieces.is_empty();
        if self.gathered.is_empty() && !claims && !self.anew {
            return;
        }
        let to = Revision::first_of(store.current());
        let gathered = std::mem::take(&mut self.gathered);
        let stored = self.notes.bytes() + gathered.len();
        let many = SMALL_PIECES_MAX * (1 + self.notes_bytes / self.piece_bytes());
        let outgrown = stored > 3 * self.notes_bytes + self.piece_bytes() && self.notes.len() > 0;
        if !self.anew && !outgrown && self.notes.len() < many {
            return self.append(Stream::Notes, to, gathered, batch);
        }
        self.anew = false;
        let mut payload = Vec::new();
        all.for_each(|note| codec::pack_into(&note, &mut payload));
        for piece in self.records.iter().filter(|piece| !piece.dead.is_empty()) {
            codec::pack_into(&Note::Dead { revisions: &note::pack_revisions(piece.dead.iter()) }, &mut payload);
        }
        self.notes_bytes = payload.len();
        if self.notes.len() == 0 {
            return self.append(Stream::Notes, to, payload, batch);
        }
        let last = self.notes.head() + 1;
        let piece = Piece::new(last, to, TAIL_OWN, payload.len());
        let replaced = self.notes.replace(0..self.notes.len(), piece);
        self.drop_blobs(&replaced, batch);
        batch.pieces.push(Planned { stream: Stream::Notes, last, payload });
    }

    fn drop_blobs(&mut self, pieces: &[Piece], batch: &mut Batch) {
        for piece in pieces {
            self.sum = self.sum.wrapping_sub(piece.sum);
            batch.delete.extend(piece.blobs.clone());
        }
    }

    fn append(&mut self, stream: Stream, to: Revision, payload: Vec<u8>, batch: &mut Batch) {
        let pieces = self.pieces(stream);
        let last = pieces.head() + 1;
        pieces.push(Piece::new(last, to, TAIL_OWN, payload.len()));
        batch.pieces.push(Planned { stream, last, payload });
    }

    /// In the order of the plan, because a piece is chained to what the one before was sealed with.
    fn seal(&mut self, planned: Vec<Planned>) -> Vec<Blob> {
        let mut blobs = Vec::new();
        let heads = [self.records.head(), self.notes.head()];
        let mut sum = self.sum;
        for Planned { stream, last, payload } in planned {
            let (piece_bytes, incarnation, epoch) = (self.piece_bytes(), self.incarnation, self.epoch);
            let first_blob = self.sequence + 1;
            let parts = u32::try_from(payload.len().div_ceil(piece_bytes).max(1)).expect("a piece has few parts");
            self.sequence += u64::from(parts);
            let (before, piece) = self.pieces(stream).find(last);
            let (first, chain, tail) = (before.first, before.chain, piece.tail);
            let mut chunks = payload.chunks(piece_bytes);
            for (part, sequence) in (0..parts).zip(first_blob..) {
                let to = piece.to;
                let header = Header {
                    incarnation,
                    epoch,
                    sequence,
                    others: sum,
                    stream,
                    first,
                    last,
                    to,
                    chain,
                    tail,
                    heads,
                    part,
                    parts,
                };
                let (bytes, checksum) = header.seal(chunks.next().unwrap_or_default());
                sum = sum.wrapping_add(checksum);
                piece.sum = piece.sum.wrapping_add(checksum);
                blobs.push(Blob { id: blob_id(sequence), bytes });
                if tail == TAIL_OWN {
                    piece.tail = checksum;
                }
            }
            piece.blobs = first_blob..first_blob + u64::from(parts);
        }
        self.sum = sum;
        blobs
    }

    fn pieces(&mut self, stream: Stream) -> &mut Pieces {
        match stream {
            Stream::Records => &mut self.records,
            Stream::Notes => &mut self.notes,
        }
    }

    /// Asserts the invariants of both streams.
    pub fn check(&self) {
        self.records.check();
        self.notes.check();
    }
}

/// A batch that is being put together.
#[derive(Default)]
struct Batch {
    pieces: Vec<Planned>,
    delete: Vec<u64>,
}

/// A piece that is in its stream already, but for what it is sealed with.
struct Planned {
    stream: Stream,
    last: u64,
    payload: Vec<u8>,
}
