//! A backup: everything at one revision as a journal of its own, its blobs end to end.
//!
//! A blob says how long it is and is checked by itself, and the pieces are checked against each other, so that a backup
//! is read with what reads a medium, and what is cut, damaged or not one is found before anything is touched. One with
//! its history is a [`super::Transfer`] in one piece.

use super::recovery::{Recovered, Restore};
use super::transfer::{BLOB_BYTES, Incoming};
use super::{Batch, Journal, Note, Stream};
use crate::error::Error;
use crate::mvcc::{Revision, Store};

impl Journal {
    /// What a read at a revision known to be readable sees, and these notes.
    pub fn backup<'n>(
        incarnation: [u8; 16],
        store: &Store,
        revision: u64,
        notes: impl Iterator<Item = Note<'n>>,
    ) -> Vec<u8> {
        let mut journal = Self::new(Recovered::default(), incarnation, BLOB_BYTES);
        let mut batch = Batch::default();
        let now = Revision { main: revision, sub: u32::MAX };
        journal.commit_records(store.packed_at(revision).into_iter(), now, &mut batch);
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
pub(crate) fn restore_backup(bytes: &[u8], to: &mut dyn Restore) -> Result<(), Error> {
    let mut incoming = Incoming::default();
    if !incoming.push(bytes)? {
        return Err(Error::Corrupt { blob: "of a backup".to_owned(), offset: bytes.len(), what: "it is cut short" });
    }
    incoming.finish(to).map(drop)
}
