//! What the journal has to know beside the records.

use crate::codec::{self, BorrowDecode, Encode};
use crate::mvcc::{LeaseId, Revision};

/// One thing that happened and is no change of a key. Of several about the same thing, the last one counts.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub(crate) enum Note<'a> {
    /// History before this revision may be forgotten.
    Compact { revision: u64 },
    /// What a compaction there makes unreachable has all been forgotten.
    Removed { revision: u64 },
    /// A lease was granted, or its deadline moved.
    Lease { id: LeaseId, ttl_seconds: u64, deadline_ms: u64 },
    /// A lease is gone.
    LeaseGone { id: LeaseId },
    /// These records, which pieces still hold, have been forgotten: packed [`Revision`]s end to end.
    Dead { revisions: &'a [u8] },
    /// A request of a client was applied, and the store was at this revision then. Its packed response, where that is short;
    /// else nothing.
    Applied { client: u64, number: u64, revision: u64, response: &'a [u8] },
}

/// Packs a list of revisions, as [`Note::Dead`] has them.
pub(super) fn pack_revisions<'r>(revisions: impl Iterator<Item = &'r Revision>) -> Vec<u8> {
    let mut packed = Vec::new();
    revisions.for_each(|revision| codec::pack_into(revision, &mut packed));
    packed
}

/// Hands each value packed in `bytes` to `take`, with the number of its bytes. What it or the encoding refuses is told
/// with the place.
pub(super) fn unpack_each<'a, T: BorrowDecode<'a, ()>>(
    bytes: &'a [u8],
    mut take: impl FnMut(T, usize) -> Result<(), &'static str>,
) -> Result<(), (usize, &'static str)> {
    let mut offset = 0;
    while offset < bytes.len() {
        let unpacked = codec::unpack_prefix(&bytes[offset..]);
        let (value, length) = unpacked.map_err(|_| (offset, "an entry cannot be read"))?;
        take(value, length).map_err(|what| (offset, what))?;
        offset += length;
    }
    Ok(())
}
