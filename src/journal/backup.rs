//! A backup: everything at one revision as a journal of its own, its blobs end to end.
//!
//! A blob says how long it is and is checked by itself, and the pieces are checked against each other, so that a backup
//! is read with what reads a medium, and what is cut, damaged or not one is found before anything is touched.

use super::blob::{HEADER_BYTES, Header, blob_id};
use super::recovery::{Recovered, Recovery, Restore};
use super::{Batch, Blob, Journal, Note, Planned, Stream};
use crate::codec;
use crate::error::Error;
use crate::mvcc::{Kept, Revision, Store};

/// As large as what the smallest medium takes, so that reading one needs no more memory at a time.
const BLOB_BYTES: usize = 48 << 10;

/// A backup that is being read out, blob by blob. What it holds and how long it is is settled when it begins; the records
/// are taken from the store when their turn comes, so that nothing may be removed from that meanwhile.
#[derive(Debug, Clone)]
pub(crate) struct Backup {
    journal: Journal,
    kept: Kept,
    notes: Vec<u8>,
    /// The pieces that are left, the last one first.
    left: Vec<Left>,
    size: usize,
}

/// A piece that is in its stream already.
#[derive(Debug, Clone)]
struct Left {
    stream: Stream,
    last: u64,
    /// Of records, those behind the first of these, up to the second.
    within: (Revision, Revision),
}

impl Backup {
    /// Of all records up to a revision known to be readable, or only of what a read there sees, and these notes.
    pub fn begin<'n>(
        incarnation: [u8; 16],
        store: &Store,
        revision: u64,
        kept: Kept,
        notes: impl Iterator<Item = Note<'n>>,
    ) -> Self {
        let mut packed = Vec::new();
        notes.for_each(|note| codec::pack_into(&note, &mut packed));
        let journal = Journal::new(Recovered::default(), incarnation, BLOB_BYTES);
        let mut backup = Self { journal, kept, notes: packed, left: Vec::new(), size: 0 };
        backup.plan_records(store, Revision { main: revision, sub: u32::MAX });
        backup.plan(Stream::Notes, Revision::first_of(revision), backup.notes.len());
        backup.left.reverse();
        backup
    }

    /// Of all blobs, in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The next blob.
    pub fn next_blobs(&mut self, store: &Store) -> Option<Vec<Blob>> {
        let Left { stream, last, within: (after, to) } = self.left.pop()?;
        let mut payload = Vec::new();
        match stream {
            Stream::Notes => payload.append(&mut self.notes),
            Stream::Records => {
                store.packed_of(&self.kept, after, to).for_each(|(_, packed)| payload.extend_from_slice(packed))
            }
        }
        Some(self.journal.seal(vec![Planned { stream, last, payload }]))
    }

    /// A piece for each blob that the records fill.
    fn plan_records(&mut self, store: &Store, now: Revision) {
        let (mut bytes, mut to) = (0, Revision::first_of(0));
        for (revision, packed) in store.packed_of(&self.kept.clone(), to, now) {
            if bytes > 0 && bytes + packed.len() > self.journal.piece_bytes() {
                self.plan(Stream::Records, to, std::mem::take(&mut bytes));
            }
            bytes += packed.len();
            to = revision;
        }
        self.plan(Stream::Records, now, bytes);
    }

    fn plan(&mut self, stream: Stream, to: Revision, bytes: usize) {
        let after = self.journal.pieces(stream).to();
        // What goes into a batch comes later.
        self.journal.append(stream, to, Vec::new(), &mut Batch::default());
        let last = self.journal.pieces(stream).head();
        self.left.push(Left { stream, last, within: (after, to) });
        self.size += bytes + HEADER_BYTES * bytes.div_ceil(self.journal.piece_bytes()).max(1);
    }
}

/// Reads a backup back.
pub(crate) fn restore_backup(mut bytes: &[u8], to: &mut dyn Restore) -> Result<(), Error> {
    let mut recovery = Recovery::default();
    let mut sequence = 0;
    while !bytes.is_empty() || sequence == 0 {
        sequence += 1;
        let id = blob_id(sequence);
        let (_, rest) = Header::open_prefix(&id, bytes)?;
        recovery.push(&id, &bytes[..bytes.len() - rest.len()])?;
        bytes = rest;
    }
    recovery.finish(to).map(drop)
}
