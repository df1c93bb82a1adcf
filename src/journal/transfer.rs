//! A snapshot on its way to another store: a backup with its history, made and checked a chunk at a time.

use super::blob::{Header, Stream, blob_id};
use super::recovery::{Recovered, Recovery, Restore};
use super::{Batch, Journal, Note};
use crate::error::Error;
use crate::mvcc::{Revision, Store};

/// As large as what the smallest medium takes, so that reading one needs no more memory at a time.
pub(super) const BLOB_BYTES: usize = 48 << 10;

/// What of a snapshot has been given. Its chunks end to end are a backup.
///
/// What a compaction at `compacted` keeps must stay until all of it is given.
#[derive(Debug, Clone)]
pub(crate) struct Transfer {
    journal: Journal,
    revision: u64,
    compacted: u64,
    /// As they were when it began.
    notes: Vec<u8>,
}

impl Transfer {
    /// Of all records up to a revision known to be readable that a compaction keeps, and the notes about leases.
    pub fn new<'n>(
        incarnation: [u8; 16],
        revision: u64,
        compacted: u64,
        leases: impl Iterator<Item = Note<'n>>,
    ) -> Self {
        let mut journal = Journal::new(Recovered::default(), incarnation, BLOB_BYTES);
        if compacted > 0 {
            journal.note(&Note::Compact { revision: compacted });
            journal.note(&Note::Removed { revision: compacted });
        }
        leases.for_each(|note| journal.note(&note));
        let notes = std::mem::take(&mut journal.gathered);
        Self { journal, revision, compacted, notes }
    }

    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Of all chunks that are left, in bytes.
    pub fn size(&self, store: &Store) -> usize {
        let mut rest = self.clone();
        std::iter::from_fn(|| rest.next_chunk(store)).map(|chunk| chunk.len()).sum()
    }

    /// The next chunk: one blob, or a record that is larger.
    pub fn next_chunk(&mut self, store: &Store) -> Option<Vec<u8>> {
        let Self { journal, revision, compacted, notes } = self;
        let end = Revision { main: *revision, sub: u32::MAX };
        let mut batch = Batch::default();
        if journal.records.to() < end {
            let (mut payload, mut to) = (Vec::new(), journal.records.to());
            let mut kept = store.packed_kept(to, end, *compacted);
            let next = loop {
                match kept.next() {
                    Some((_, packed))
                        if !payload.is_empty() && payload.len() + packed.len() > journal.piece_bytes() =>
                    {
                        break to;
                    }
                    Some((revision, packed)) => {
                        payload.extend_from_slice(packed);
                        to = revision;
                    }
                    None => break end,
                }
            };
            journal.append(Stream::Records, next, payload, &mut batch);
        } else if journal.notes.len() == 0 {
            journal.append(Stream::Notes, Revision::first_of(*revision), std::mem::take(notes), &mut batch);
        } else {
            return None;
        }
        Some(journal.seal(batch.pieces).into_iter().flat_map(|blob| blob.bytes).collect())
    }
}

/// What has come of a snapshot, each blob checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Incoming {
    recovery: Recovery,
    /// Blobs.
    count: u64,
}

impl Incoming {
    /// Takes a chunk. The first one of a snapshot begins anew, whatever has come before. `true`: it was the last.
    pub fn push(&mut self, mut chunk: &[u8]) -> Result<bool, Error> {
        let mut is_last = false;
        let mut is_first = true;
        while !chunk.is_empty() || is_first {
            let (opened, rest) = Header::open_prefix(&blob_id(self.count + 1), chunk)?;
            let Header { sequence, stream, part, parts, .. } = opened.header;
            if is_first && sequence == 1 {
                *self = Self::default();
            }
            is_first = false;
            let id = blob_id(self.count + 1);
            self.recovery.push(&id, &chunk[..chunk.len() - rest.len()])?;
            self.count += 1;
            is_last = stream == Stream::Notes && part.checked_add(1) == Some(parts);
            chunk = rest;
        }
        Ok(is_last)
    }

    /// Reads all of it; gives the incarnation of its store.
    pub fn finish(self, to: &mut dyn Restore) -> Result<Option<[u8; 16]>, Error> {
        self.recovery.finish(to).map(|recovered| recovered.incarnation)
    }
}
