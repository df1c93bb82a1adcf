//! The engine joins the rooms: store, lessor, watchers and journal.
//!
//! Everything comes in as an argument (requests, the time, stored blobs) and everything goes out as a result ([`Ready`],
//! [`WatchResponse`]): the engine reads no clock, does no I/O and calls nobody back. A committed transaction is followed,
//! record by record, by the lessor, the watchers and the journal, in that order.

mod leased;
mod mirrored;
mod replicated;
mod stored;
mod tabs;
mod transfer;

pub use stored::BackupInfo;

use crate::codec::{BorrowDecode, Encode};
use crate::error::Error;
use crate::journal::{Incoming, Journal, Note, Recovery, Transfer};
use crate::lease::Lessor;
use crate::mvcc::{
    Commit, CommitResponse, DeleteRange, DeleteRangeResponse, Difference, Event, Hash, History, KeyRange, KeyValue,
    LeaseId, Leases, Limits, Put, PutResponse, Range, RangeResponse, Since, SinceResponse, Size, Store, Txn,
    TxnResponse,
};
use crate::replica::Requests;
use crate::watch::{Watch, WatchResponse, WatcherId, Watchers};

pub use leased::LeasedRequest;
pub use replicated::Once;
pub use tabs::{Came, Follower, Leader, Outgoing};
pub use transfer::TransferId;

/// How an engine is set up.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// Names this life of the store, if nothing is recovered: 16 random bytes.
    pub incarnation: [u8; 16],
    /// The largest blob that the medium takes; 0: nothing is stored, and nothing ever comes out of
    /// [`Engine::take_ready`].
    pub blob_bytes_max: usize,
    /// What the store takes at most.
    pub limits: Limits,
}

/// Something that may change the store.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub enum Request<'a> {
    /// Gives a key a value.
    Put(Put<'a>),
    /// Deletes a range.
    DeleteRange(DeleteRange<'a>),
    /// Runs a transaction.
    Txn(Txn<'a>),
    /// Forgets the history before a revision, which stays readable.
    Compact {
        /// The oldest revision to keep. 0 forgets nothing, and is accepted until a compaction above it (by etcd only
        /// once: it tells a store compacted at 0 from one that never was).
        revision: u64,
    },
    /// Makes a lease.
    LeaseGrant {
        /// Its id, chosen by the host: not 0.
        id: LeaseId,
        /// How long it lives without being kept alive: from 1 to [`TTL_SECONDS_MAX`](crate::TTL_SECONDS_MAX). (etcd
        /// raises what is too short to what an election of its cluster takes; there is none here, so 0 is refused.)
        ttl_seconds: u64,
    },
    /// Ends a lease: its keys are deleted in one revision.
    LeaseRevoke {
        /// Its id.
        id: LeaseId,
    },
    /// Lets a lease live for its whole time from now.
    LeaseKeepAlive {
        /// Its id.
        id: LeaseId,
    },
    /// Puts a range back to how it was at a revision, by an ordinary write. Keys keep the lease they have.
    RestoreTo {
        /// The keys.
        keys: KeyRange<'a>,
        /// The revision to take the values from.
        revision: u64,
    },
    /// Writes any number of keys in one revision, if what was read for it is as it was.
    Commit(Commit<'a>),
    /// Grants leases for what it writes. They are gone again if that is refused, or writes nothing.
    Leased {
        /// Ids that are free, each with its time to live in seconds.
        leases: Vec<(LeaseId, u64)>,
        /// What is answered.
        request: LeasedRequest<'a>,
    },
}

/// The answer of a [`Request`]. `revision` is the store's revision with it.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub enum Response {
    /// Of a put.
    Put(PutResponse),
    /// Of a delete.
    DeleteRange(DeleteRangeResponse),
    /// Of a transaction.
    Txn(TxnResponse),
    /// Of a compaction.
    Compact {
        /// The store's revision.
        revision: u64,
    },
    /// Of a grant.
    LeaseGrant {
        /// The store's revision.
        revision: u64,
        /// The lease.
        id: LeaseId,
        /// What was granted.
        ttl_seconds: u64,
    },
    /// Of a revocation.
    LeaseRevoke {
        /// The store's revision.
        revision: u64,
    },
    /// Of a keep-alive.
    LeaseKeepAlive {
        /// The store's revision.
        revision: u64,
        /// What the lease has again.
        ttl_seconds: u64,
    },
    /// Of putting a range back.
    RestoreTo {
        /// The store's revision.
        revision: u64,
    },
    /// Of a commit.
    Commit(CommitResponse),
}

/// How much an engine holds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Encode)]
pub struct Stats {
    /// Keys there now.
    pub keys: usize,
    /// Changes kept.
    pub revisions: usize,
    /// What keys and changes are counted as: see [`Engine::stats`].
    pub bytes: usize,
    /// Watchers.
    pub watchers: usize,
    /// Leases.
    pub leases: usize,
}

/// A versioned key-value store as a state machine.
///
/// Told the stored blobs with [`Engine::recover`] and started with [`Engine::start`], it answers reads at any kept
/// revision, applies requests, and says with [`Engine::take_ready`] what to write.
#[derive(Debug, Clone)]
pub struct Engine {
    options: EngineOptions,
    store: Store,
    lessor: Lessor,
    watchers: Watchers,
    /// Until the start.
    recovery: Recovery,
    /// From the start on, if anything is stored.
    journal: Option<Journal>,
    durable: u64,
    /// It led, and what was not stored then may not be what the next leader has.
    is_doubtful: bool,
    /// The epoch of the batch that was taken last, and of the one that was confirmed: no other writer has that one.
    taken_epoch: u64,
    claimed_epoch: u64,
    /// The epoch in which it led last.
    led: u64,
    /// The compact revision of the batch that was taken last, and of the one that was confirmed.
    taken_compacted: u64,
    durable_compacted: u64,
    /// Counts what was noted beside transactions: all of it, what the batch had that was taken last, and what is stored.
    noted: u64,
    taken_noted: u64,
    durable_noted: u64,
    /// The newest revision that a life of the store gave which is replaced, but stored still.
    given: u64,
    /// Counts the contents that another was put in the place of, other than to go on from them.
    replaced: u64,
    /// Which requests of other tabs were applied.
    requests: Requests,
    /// Snapshots that are being given, and the number of all that ever were.
    transfers: Vec<(TransferId, Transfer)>,
    transferred: u32,
    /// A snapshot that is being taken.
    incoming: Incoming,
}

impl Engine {
    /// An engine that has recovered nothing yet. Begin with [`Engine::start`], after [`Engine::recover`] where there is
    /// something stored.
    pub fn new(options: EngineOptions) -> Self {
        Self {
            store: Store::new(options.limits),
            options,
            lessor: Lessor::default(),
            watchers: Watchers::default(),
            recovery: Recovery::default(),
            journal: None,
            durable: 0,
            is_doubtful: false,
            taken_epoch: 0,
            claimed_epoch: 0,
            led: 0,
            taken_compacted: 0,
            durable_compacted: 0,
            noted: 0,
            taken_noted: 0,
            durable_noted: 0,
            given: 0,
            replaced: 0,
            requests: Requests::default(),
            transfers: Vec::new(),
            transferred: 0,
            incoming: Incoming::default(),
        }
    }

    /// The newest revision. A fresh store is at 1.
    pub fn revision(&self) -> u64 {
        self.store.current()
    }

    /// Reads below it fail. 0: never compacted.
    pub fn compact_revision(&self) -> u64 {
        self.store.compacted()
    }

    /// Every revision up to here has been confirmed as written. Without a medium that is the newest.
    pub fn durable_revision(&self) -> u64 {
        if self.journal.is_some() || self.is_doubtful { self.durable } else { self.store.current() }
    }

    /// The number of this opening of the storage, growing with each. 0 without a medium.
    pub fn epoch(&self) -> u64 {
        self.journal.as_ref().map_or(0, Journal::epoch)
    }

    /// Changes whenever the content is replaced by another that is not the same as far as it went: a revision may stand for
    /// something else then, and snapshots are released.
    pub fn replaced(&self) -> u64 {
        self.replaced
    }

    /// The key as it was at `revision` (0: now), if it was there.
    ///
    /// # Errors
    /// `INVALID_KEY`, `COMPACTED`, `FUTURE_REVISION`.
    pub fn get(&self, key: &[u8], revision: u64) -> Result<Option<KeyValue<'_>>, Error> {
        self.store.get(key, revision)
    }

    /// The keys of a range at one revision.
    ///
    /// # Errors
    /// `INVALID_KEY`, `COMPACTED`, `FUTURE_REVISION`, `TOO_LARGE`.
    pub fn range(&self, range: &Range<'_>) -> Result<RangeResponse<'_>, Error> {
        self.store.range(range)
    }

    /// Every kept change of a range, oldest first, deletes included.
    ///
    /// # Errors
    /// `INVALID_KEY`, `COMPACTED`, `FUTURE_REVISION`, `TOO_LARGE`.
    pub fn history(&self, history: &History<'_>) -> Result<Vec<Event<'_>>, Error> {
        self.store.history(history)
    }

    /// The changes of a range since a revision, in portions of whole revisions.
    ///
    /// # Errors
    /// `INVALID_KEY`, `COMPACTED`, `FUTURE_REVISION`, `TOO_LARGE`.
    pub fn since(&self, since: &Since<'_>) -> Result<SinceResponse<'_>, Error> {
        self.store.since(since)
    }

    /// What differs in a range between two revisions (0: now), in key order.
    ///
    /// # Errors
    /// `INVALID_KEY`, `COMPACTED`, `FUTURE_REVISION`, `TOO_LARGE`.
    pub fn diff(&self, keys: KeyRange<'_>, from: u64, to: u64) -> Result<Vec<Difference<'_>>, Error> {
        self.store.diff(keys, from, to)
    }

    /// A number for the history up to a revision (0: now): the same as etcd's HashKV gives for the same one.
    ///
    /// # Errors
    /// `COMPACTED`, `FUTURE_REVISION`.
    pub fn hash(&self, revision: u64) -> Result<Hash, Error> {
        self.store.hash(revision)
    }

    /// Whether every key of these ranges is as it was at `revision` (0: now).
    ///
    /// # Errors
    /// `COMPACTED`, `FUTURE_REVISION`: then nobody knows.
    pub fn is_unchanged(&self, revision: u64, reads: &[KeyRange<'_>]) -> Result<bool, Error> {
        self.store.is_unchanged(revision, reads)
    }

    /// The revision at which a key that is there last changed; 0: it is not there.
    pub fn mod_revision(&self, key: &[u8]) -> u64 {
        self.store.mod_revision(key)
    }

    /// Keeps a revision (0: now) readable whatever is compacted, until it is released. Gives the revision, at which any
    /// read may ask. It costs a number; writes do not notice it.
    ///
    /// # Errors
    /// `COMPACTED`, `FUTURE_REVISION`.
    pub fn snapshot(&mut self, revision: u64) -> Result<u64, Error> {
        self.store.pin(revision)
    }

    /// Releases one snapshot of a revision. `false`: there is none. What only it kept is removed by
    /// [`Engine::compact_step`].
    pub fn release_snapshot(&mut self, revision: u64) -> bool {
        self.store.unpin(revision)
    }

    /// How much is held. `bytes` is counted, not measured: 80 and the key's length for a key, 16 for each change of it,
    /// 20 and the lengths of key and value for each record; a deleted key counts while a change of it is kept.
    pub fn stats(&self) -> Stats {
        let Size { keys, revisions, bytes } = self.store.size();
        Stats { keys, revisions, bytes, watchers: self.watchers.len(), leases: self.lessor.len() }
    }

    /// Applies a request whole, or fails and changes nothing. `now_ms` counts from the epoch of Unix; a lease whose
    /// deadline it has reached is over, whether the request fails or not.
    ///
    /// # Errors
    /// Any of the caller's.
    pub fn apply(&mut self, request: Request<'_>, now_ms: u64) -> Result<Response, Error> {
        self.tell(now_ms);
        match request {
            Request::Put(put) => self.put(&put),
            Request::DeleteRange(delete) => {
                self.write(|store, _| store.delete_range(&delete)).map(Response::DeleteRange)
            }
            Request::Txn(txn) => self.txn(&txn),
            Request::RestoreTo { keys, revision } => {
                self.write(|store, _| store.restore_to(keys, revision)).map(|revision| Response::RestoreTo { revision })
            }
            Request::Commit(commit) => self.commit(&commit),
            Request::Compact { revision } => self.compact(revision),
            Request::LeaseGrant { id, ttl_seconds } => self.grant(id, ttl_seconds, now_ms),
            Request::LeaseRevoke { id } => self.revoke(id),
            Request::LeaseKeepAlive { id } => self.keep_alive(id, now_ms),
            Request::Leased { leases, request } => self.leased(&leases, request, now_ms),
        }
    }

    /// Takes one bounded step in removing what a compaction has made unreachable. `true`: there is more to do. None is
    /// taken while a snapshot is being given.
    pub fn compact_step(&mut self) -> bool {
        if !self.store.is_compacting() || !self.transfers.is_empty() {
            return false;
        }
        let more = self.store.compact_step();
        let forgotten = self.store.take_forgotten();
        if let Some(journal) = &mut self.journal {
            journal.forget(forgotten.into_iter());
            if self.store.is_removed() {
                journal.note(&Note::Removed { revision: self.store.compacted() });
            }
        }
        more
    }

    /// Begins a watch; its start revision is fixed by this call.
    ///
    /// # Errors
    /// `INVALID_KEY`, `INVALID_RANGE`, and `COMPACTED` unless it may resync.
    pub fn watch(&mut self, watch: &Watch<'_>) -> Result<WatcherId, Error> {
        self.watchers.watch(watch, &self.store)
    }

    /// Ends a watch. `false`: there is none of this id.
    pub fn cancel_watch(&mut self, id: WatcherId) -> bool {
        self.watchers.cancel(id)
    }

    /// The watchers that have something to take, in the order they were made.
    pub fn pending_watches(&self) -> Vec<WatcherId> {
        self.watchers.pending()
    }

    /// Whether any watcher has something to take.
    pub fn has_pending_watches(&self) -> bool {
        self.watchers.has_pending()
    }

    /// Takes what a watcher has not seen: whole revisions up to `up_to` (0: all), about `events_max` events at most, but
    /// at least one revision.
    ///
    /// # Errors
    /// `COMPACTED` when compaction has overtaken the watcher, which ends it.
    pub fn take_events(&mut self, id: WatcherId, up_to: u64, events_max: usize) -> Result<WatchResponse<'_>, Error> {
        self.watchers.take(id, up_to, events_max, &self.store)
    }

    /// Moves a watcher past everything there is, untold: for whoever only wants to know that something has changed.
    ///
    /// # Errors
    /// `RESTORED`, which ends it.
    pub fn skip_events(&mut self, id: WatcherId) -> Result<(), Error> {
        self.watchers.skip(id, &self.store)
    }

    /// Asserts every invariant of every room.
    pub fn check(&self) {
        self.store.check();
        self.lessor.check(self.store.leased());
        self.watchers.check(&self.store);
        self.journal.iter().for_each(Journal::check);
        assert!(self.durable <= self.store.current(), "more is durable than there is");
    }

    /// Runs one write of the store and lets everybody follow what it committed.
    fn put(&mut self, put: &Put<'_>) -> Result<Response, Error> {
        self.write(|store, leases| store.put(put, leases)).map(Response::Put)
    }

    fn txn(&mut self, txn: &Txn<'_>) -> Result<Response, Error> {
        self.write(|store, leases| store.txn(txn, leases)).map(Response::Txn)
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<Response, Error> {
        self.write(|store, leases| store.commit(commit, leases)).map(Response::Commit)
    }

    fn write<R>(&mut self, body: impl FnOnce(&mut Store, &dyn Leases) -> Result<R, Error>) -> Result<R, Error> {
        let from = self.store.current() + 1;
        let result = body(&mut self.store, &self.lessor)?;
        self.follow(from);
        Ok(result)
    }

    /// Lets everybody follow what has been committed from this revision on. Apart from [`Engine::write`], which is made anew
    /// for each kind of request.
    fn follow(&mut self, from: u64) {
        for record in self.store.records_from(from) {
            if !self.lessor.is_empty() || record.lease != LeaseId::NONE {
                self.lessor.follow(&record, self.store.lease_before(&record));
            }
            self.watchers.follow(&record);
        }
    }

    fn compact(&mut self, revision: u64) -> Result<Response, Error> {
        self.store.compact(revision)?;
        if revision > 0 {
            self.note(&Note::Compact { revision });
        }
        Ok(Response::Compact { revision: self.store.current() })
    }

    fn note(&mut self, note: &Note<'_>) {
        self.noted += 1;
        if let Some(journal) = &mut self.journal {
            journal.note(note);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by fuzzing: decoding recursed once for each level, before anything was judged.
    #[test]
    fn a_request_nested_without_end_is_refused() {
        let nested = |levels: usize| {
            let empty = Txn::default();
            let txn =
                (0..levels).fold(empty, |txn, _| Txn { success: vec![crate::mvcc::Op::Txn(txn)], ..Txn::default() });
            let mut bytes = Vec::new();
            crate::codec::encode_into(&Request::Txn(txn), &mut bytes);
            crate::codec::decode::<Request<'_>>(&bytes).is_ok()
        };
        assert_eq!((nested(128), nested(1_000)), (true, false));
    }
}
