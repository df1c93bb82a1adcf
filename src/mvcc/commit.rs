//! Commits: any number of puts and deletes in one revision, if what was read for them is as it was.
//!
//! This is what an optimistic transaction of the host ends in, and what writes many keys at once. Why not a [`Txn`] with a
//! compare for each key read? Its compares look at the keys that are there, so that one that was deleted from a range is
//! not missed by them; and etcd's 128 operations are too few for either.
//!
//! [`Txn`]: super::Txn

use super::index::Index;
use super::range::{KeyRange, ordered};
use super::store::Store;
use super::txn::{Leases, Put};
use crate::codec::{BorrowDecode, Encode};
use crate::error::Error;

/// Writes in one revision, unless something of what was read has changed since.
#[derive(Debug, Default, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub struct Commit<'a> {
    /// When `reads` were made: a revision that can be read still, by which they are known to be as they were. 0: now.
    pub revision: u64,
    /// What no put or delete may have touched since.
    pub reads: Vec<KeyRange<'a>>,
    /// What is deleted, before the puts: a key that is put too begins a new life.
    pub deletes: Vec<KeyRange<'a>>,
    /// What is put, each key once. None of them answers with its `prev_kv`.
    pub puts: Vec<Put<'a>>,
}

/// The answer of a [`Commit`].
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct CommitResponse {
    /// The store's revision with it: unchanged if nothing was changed.
    pub revision: u64,
}

impl Commit<'_> {
    /// What each part counts as beside its bytes, as each takes memory while it is applied.
    const PART_BYTES: usize = 32;

    fn bytes(&self) -> usize {
        let puts = self.puts.iter().map(|put| put.key.len() + put.value.len());
        let ranges = self.reads.iter().chain(&self.deletes).map(KeyRange::bytes);
        puts.chain(ranges).map(|bytes| bytes + Self::PART_BYTES).sum()
    }

    fn validate(&self) -> Result<(), Error> {
        self.reads.iter().chain(&self.deletes).try_for_each(KeyRange::validate)?;
        self.puts.iter().try_for_each(Put::validate)?;
        let order = ordered(self.puts.len(), &|a, b| self.puts[a].key.cmp(self.puts[b].key));
        let repeated = order.windows(2).any(|pair| self.puts[pair[0]].key == self.puts[pair[1]].key);
        if repeated { Err(Error::DuplicateKey) } else { Ok(()) }
    }
}

impl Store {
    /// Applies a commit, or says why not.
    pub fn commit(&mut self, commit: &Commit<'_>, leases: &dyn Leases) -> Result<CommitResponse, Error> {
        let (bytes, bytes_max) = (commit.bytes(), self.limits.commit_bytes_max);
        if bytes > bytes_max {
            return Err(Error::TooLarge { bytes, bytes_max });
        }
        commit.puts.iter().try_for_each(|put| self.check_size(put.key.len() + put.value.len()))?;
        commit.validate()?;
        if !self.is_unchanged(commit.revision, &commit.reads)? {
            return Err(Error::Conflict);
        }
        commit.puts.iter().try_for_each(|put| self.check_put(put, leases))?;
        self.check_room(commit.puts.iter().map(|put| self.put_size(put)))?;
        let revision = self.write(|txn| {
            for keys in &commit.deletes {
                txn.delete_range(*keys);
            }
            commit.puts.iter().try_for_each(|put| txn.run_put(put).map(drop))?;
            Ok(txn.revision())
        })?;
        Ok(CommitResponse { revision })
    }

    /// Whether every key of these ranges is as it was at `revision`, which has to be readable still: then what is owed to
    /// a read there is kept, a later tombstone too. (A key that came and went since, and was compacted, is as it was.)
    pub fn is_unchanged(&self, revision: u64, reads: &[KeyRange<'_>]) -> Result<bool, Error> {
        let main = self.readable(revision)?;
        Ok(main == self.current || reads.iter().all(|keys| !self.index.changed_since(*keys, main)))
    }

    /// The revision of the newest change of a key that is there; 0 if it is not.
    pub fn mod_revision(&self, key: &[u8]) -> u64 {
        self.index.get(key).map_or(0, |index| if index.is_alive() { index.newest().revision().main } else { 0 })
    }
}

impl Index {
    /// Whether a key of the range has a change after `main`.
    fn changed_since(&self, keys: KeyRange<'_>, main: u64) -> bool {
        self.within(keys).any(|(_, index)| index.newest().revision().main > main)
    }
}
