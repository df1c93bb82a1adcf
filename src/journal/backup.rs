//! A backup: everything at one revision as a journal of its own, its blobs end to end.
//!
//! A blob says how long it is and is checked by itself, and the pieces are checked against each other, so that a backup
//! is read with what reads a medium, and what is cut, damaged or not one is found before anything is touched.

use super::blob::{Header, blob_id};
use super::recovery::{Recovered, Recovery, Restore};
use super::{Batch, Journal, Note, Stream};
use crate::error::Error;
use crate::mvcc::{Revision, Store};

/// As large as what the smallest medium takes, so that reading one needs no more memory at a time.
const BLOB_BYTES: usize = 48 << 10;

impl Journal {
    /// All records up to a revision known to be readable, or only what a read there sees, and these notes.
    pub fn backup<'n>(
        incarnation: [u8; 16],
        store: &Store,
        revision: u64,
        history: bool,
        notes: impl Iterator<Item = Note<'n>>,
    ) -> Vec<u8> {
        let mut journal = Self::new(Recovered::default(), incarnation, BLOB_BYTES);
        let mut batch = Batch::default();
        let now = Revision { main: revision, sub: u32::MAX };
        if history {
            journal.commit_records(store.packed_kept(now), now, &mut batch);
        } else {
            journal.commit_records(store.packed_at(revision).into_iter(), now, &mut batch);
        }
        notes.for_each(|note| journal.note(&note));
        let gathered = std::mem::take(&mut journal.gathered);
        journal.append(Stream::Notes, Revision::first_of(revision), gathered, &mut batch);
        let blobs = journal.seal(batch.pieces);
        let mut bytes = Vec::with_capacity(blobs.iter().map(|blob| blob.bytes.len()).sum());
        blobs.iter().for_each(|blob| bytes.extend_from_slice(&blob.bytes));
        bytes
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
