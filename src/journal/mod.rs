//! The journal: what was committed, written in pieces that can be read back.
//!
//! Committed entries gather until the host takes them: one batch, written whole or not at all, of blobs no larger than
//! the medium allows. Confirmed batches make revisions durable. When a compaction has finished, a *checkpoint* replaces
//! every blob before it by what is kept; it costs as much as the store is large.

#[cfg(fuzzing)]
pub mod fuzzing;
mod recovery;
mod segment;

use crate::codec::{BorrowDecode, Encode, pack_into};
use crate::mvcc::{LeaseId, Record};

pub(crate) use recovery::Recovery;
use segment::{HEADER_BYTES, Header};

/// The smallest blob size that leaves room for a useful piece of an entry.
pub(crate) const BLOB_BYTES_MIN: usize = HEADER_BYTES + 256;

/// One thing that happened, in the order it happened.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub(crate) enum Entry<'a> {
    /// A change of a key.
    Record(Record<'a>),
    /// History before this revision may be forgotten.
    Compact { revision: u64 },
    /// It has been: what follows holds nothing that this compaction removes.
    Compacted { revision: u64 },
    /// A lease was granted, or its deadline moved.
    Lease { id: LeaseId, ttl_seconds: u64, deadline_ms: u64 },
    /// A lease is gone.
    LeaseGone { id: LeaseId },
}

/// One stored piece.
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

/// The end of the journal that is being written.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    blob_bytes_max: usize,
    incarnation: [u8; 16],
    epoch: u64,
    /// Of the last blob: its number, and the checksum that the next one is chained to.
    sequence: u64,
    chain: u64,
    /// Every blob that holds something.
    live: Vec<String>,
    gathered: Vec<u8>,
    replaced: Vec<String>,
    /// The first batch is written even if it holds nothing: its blob claims the storage for this epoch, and no other
    /// writer can have put a blob under its id.
    claimed: bool,
}

impl Journal {
    pub fn new(recovery: &Recovery, incarnation: [u8; 16], blob_bytes_max: usize) -> Self {
        Self {
            blob_bytes_max,
            incarnation: recovery.incarnation().unwrap_or(incarnation),
            epoch: recovery.epoch() + 1,
            sequence: recovery.sequence(),
            chain: recovery.chain(),
            live: recovery.blobs().to_vec(),
            gathered: Vec::new(),
            replaced: Vec::new(),
            claimed: false,
        }
    }

    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Adds an entry to the batch that gathers.
    pub fn push(&mut self, entry: &Entry<'_>) {
        pack_into(entry, &mut self.gathered);
    }

    /// Begins anew: the entries pushed from here on replace everything written and gathered before.
    pub fn begin_checkpoint(&mut self) {
        self.gathered.clear();
        self.replaced.append(&mut self.live);
        self.chain = segment::CHAIN_START;
    }

    /// What has gathered, cut into blobs. `through` is the store's revision.
    pub fn take_ready(&mut self, through: u64) -> Option<Ready> {
        if self.claimed && self.gathered.is_empty() && self.replaced.is_empty() {
            return None;
        }
        self.claimed = true;
        let payload = std::mem::take(&mut self.gathered);
        let piece_bytes = self.blob_bytes_max - HEADER_BYTES;
        let parts = u32::try_from(payload.len().div_ceil(piece_bytes).max(1)).expect("a batch has few parts");
        let mut pieces = payload.chunks(piece_bytes);
        let put = (0..parts).map(|part| self.blob(pieces.next().unwrap_or_default(), part, parts, through)).collect();
        Some(Ready { through, epoch: self.epoch, put, delete: std::mem::take(&mut self.replaced) })
    }

    fn blob(&mut self, piece: &[u8], part: u32, parts: u32, through: u64) -> Blob {
        self.sequence += 1;
        let header = Header {
            incarnation: self.incarnation,
            epoch: self.epoch,
            sequence: self.sequence,
            chain: self.chain,
            part,
            parts,
            through,
        };
        let (bytes, chain) = header.seal(piece);
        self.chain = chain;
        let id = segment::blob_id(self.sequence);
        self.live.push(id.clone());
        Blob { id, bytes }
    }
}
