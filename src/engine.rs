//! The engine joins the rooms: store, lessor, watchers and journal.
//!
//! Everything comes in as an argument (requests, the time, stored blobs) and everything goes out as a result ([`Ready`],
//! [`WatchResponse`]): the engine reads no clock, does no I/O and calls nobody back. A committed transaction is followed,
//! record by record, by the lessor, the watchers and the journal, in that order.

use crate::codec::{BorrowDecode, Encode};
use crate::error::Error;
use crate::journal::{BLOB_BYTES_MIN, Journal, Loss, Note, Ready, Recovery, Restore, restore_backup};
use crate::lease::{self, LeaseInfo, Lessor};
use crate::mvcc::{
    DeleteRange, DeleteRangeResponse, Difference, Event, Hash, History, KeyRange, KeyValue, LeaseId, Leases, Limits,
    Put, PutResponse, Range, RangeResponse, Record, Since, SinceResponse, Size, Store, Txn, TxnResponse,
};
use crate::watch::{Watch, WatchResponse, WatcherId, Watchers};

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
}

/// How much an engine holds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
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
        }
    }

    /// Takes one stored blob, in any order.
    ///
    /// # Errors
    /// `CORRUPT` and `UNSUPPORTED_FORMAT` name the blob. Without it, [`Engine::start`] fails.
    pub fn recover(&mut self, id: &str, bytes: &[u8]) -> Result<(), Error> {
        self.recovery.push(id, bytes)
    }

    /// Ends the recovery. Leases whose deadline passed meanwhile end at the first [`Engine::tick`].
    ///
    /// # Errors
    /// `CORRUPT` if stored blobs are missing or hold what nobody wrote, after which the engine is of no use;
    /// `INVALID_ARGUMENT` if blobs could hold next to nothing.
    pub fn start(&mut self) -> Result<(), Error> {
        let EngineOptions { incarnation, blob_bytes_max, .. } = self.options;
        if (1..BLOB_BYTES_MIN).contains(&blob_bytes_max) {
            return Err(Error::InvalidArgument("the medium's blobs are too small for the journal"));
        }
        let Self { store, lessor, .. } = self;
        let recovered = std::mem::take(&mut self.recovery).finish(&mut Restoring::new(store, lessor))?;
        for (key, lease) in self.store.leased() {
            self.lessor.attach(key, lease);
        }
        self.durable = self.store.current();
        self.journal = (blob_bytes_max > 0).then(|| Journal::new(recovered, incarnation, blob_bytes_max));
        Ok(())
    }

    /// Ends the recovery of a storage that is damaged, in the place of [`Engine::start`]: all that can be read is there, and
    /// what cannot is told, beside the blobs that [`Engine::recover`] refused. Nothing will be stored. A transaction of
    /// which a part is lost is there in part; where notes are lost, keys may be there again that were deleted.
    pub fn salvage(&mut self) -> Vec<Loss> {
        let Self { store, lessor, .. } = self;
        let mut restoring = Restoring { salvages: true, ..Restoring::new(store, lessor) };
        let losses = std::mem::take(&mut self.recovery).salvage(&mut restoring);
        for (key, lease) in self.store.leased() {
            self.lessor.attach(key, lease);
        }
        losses
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
        if self.journal.is_some() { self.durable } else { self.store.current() }
    }

    /// The number of this opening of the storage, growing with each. 0 without a medium.
    pub fn epoch(&self) -> u64 {
        self.journal.as_ref().map_or(0, Journal::epoch)
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
            Request::Put(put) => self.write(|store, leases| store.put(&put, leases)).map(Response::Put),
            Request::DeleteRange(delete) => {
                self.write(|store, _| store.delete_range(&delete)).map(Response::DeleteRange)
            }
            Request::Txn(txn) => self.write(|store, leases| store.txn(&txn, leases)).map(Response::Txn),
            Request::RestoreTo { keys, revision } => {
                self.write(|store, _| store.restore_to(keys, revision)).map(|revision| Response::RestoreTo { revision })
            }
            Request::Compact { revision } => self.compact(revision),
            Request::LeaseGrant { id, ttl_seconds } => self.grant(id, ttl_seconds, now_ms),
            Request::LeaseRevoke { id } => self.revoke(id),
            Request::LeaseKeepAlive { id } => self.keep_alive(id, now_ms),
        }
    }

    /// Takes one bounded step in removing what a compaction has made unreachable. `true`: there is more to do.
    pub fn compact_step(&mut self) -> bool {
        if !self.store.is_compacting() {
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

    /// Ends the leases whose deadline has passed, each in a revision of its own.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn tick(&mut self, now_ms: u64) -> Result<(), Error> {
        while let Some(id) = self.lessor.expired(now_ms) {
            self.revoke(id)?;
        }
        self.tell(now_ms);
        Ok(())
    }

    /// When the next lease ends, in ms: call [`Engine::tick`] then. 0: one is over.
    pub fn next_deadline(&self) -> Option<u64> {
        self.lessor.next_deadline()
    }

    /// A lease as it stands at this time. To ask is not to tell: a read leaves no trace, so that a lease which has nothing
    /// left by it is over only with the next request or tick.
    pub fn lease(&self, id: LeaseId, now_ms: u64) -> Option<LeaseInfo> {
        self.lessor.info(id, now_ms)
    }

    /// Every lease, ids ascending.
    pub fn leases(&self) -> Vec<LeaseId> {
        self.lessor.iter().map(|(id, _, _)| id).collect()
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

    /// Takes what a watcher has not seen: whole revisions up to `up_to` (0: all), about `events_max` events at most, but
    /// at least one revision.
    ///
    /// # Errors
    /// `COMPACTED` when compaction has overtaken the watcher, which ends it.
    pub fn take_events(&mut self, id: WatcherId, up_to: u64, events_max: usize) -> Result<WatchResponse<'_>, Error> {
        self.watchers.take(id, up_to, events_max, &self.store)
    }

    /// What to write: all that was committed since the last call, and at most one step of rewriting what is stored, as one
    /// batch. Call it until it gives nothing.
    pub fn take_ready(&mut self) -> Option<Ready> {
        let Self { store, lessor, journal, .. } = self;
        journal.as_mut()?.take_ready(store, notes(store, lessor))
    }

    /// Everything as it is at a revision (0: now), with all that is kept of its history or only what is seen there, in
    /// bytes that [`Engine::restore`] takes. Leases are those there are now.
    ///
    /// # Errors
    /// `COMPACTED`, `FUTURE_REVISION`.
    pub fn backup(&self, revision: u64, history: bool) -> Result<Vec<u8>, Error> {
        let Self { store, lessor, .. } = self;
        let incarnation = self.incarnation();
        if history {
            let revision = store.unpinned(revision)?;
            return Ok(Journal::backup(incarnation, store, revision, true, notes(store, lessor)));
        }
        let revision = store.readable(revision)?;
        let compacted = [Note::Compact { revision }, Note::Removed { revision }].into_iter();
        let notes = compacted.chain(lessor.iter().map(lease_note));
        Ok(Journal::backup(incarnation, store, revision, false, notes))
    }

    /// Replaces everything by a backup, which begins another life of the store under this name: 16 random bytes. The whole
    /// backup is checked first. Watches end with `RESTORED`, snapshots are released. What was stored is replaced by the
    /// next [`Ready`].
    ///
    /// # Errors
    /// `CORRUPT` and `UNSUPPORTED_FORMAT`, and nothing has changed.
    pub fn restore(&mut self, backup: &[u8], incarnation: [u8; 16]) -> Result<(), Error> {
        let (mut store, mut lessor) = (Store::new(self.options.limits), Lessor::default());
        restore_backup(backup, &mut Restoring::new(&mut store, &mut lessor))?;
        for (key, lease) in store.leased() {
            lessor.attach(key, lease);
        }
        (self.store, self.lessor) = (store, lessor);
        self.watchers.end_all();
        self.durable = 0;
        self.renew(incarnation);
        Ok(())
    }

    /// Goes on after a failure of the medium, which left open what is stored: `found` is an engine that has recovered it
    /// anew, was started, and has taken nothing. Everything is written again by the next [`Ready`], in a new epoch.
    ///
    /// # Errors
    /// `NOT_LEADER` if another store has written since.
    pub fn heal(&mut self, found: Self) -> Result<(), Error> {
        let Some((journal, found)) = self.journal.as_ref().zip(found.journal) else { return Ok(()) };
        let found = found.stored();
        if !journal.has_written(&found) {
            return Err(Error::NotLeader);
        }
        self.journal = Some(journal.anew(&found, None));
        Ok(())
    }

    /// Goes back to what is stored, after the medium refused what was committed since: `found` is an engine that has
    /// recovered it anew, was started, and has taken nothing. The revision does not go back, so that none names two
    /// contents; snapshots are released, and watches that were told of what is gone end with `RESTORED`.
    ///
    /// # Errors
    /// `NOT_LEADER` if another store has written since.
    pub fn rewind(&mut self, found: Self) -> Result<(), Error> {
        let (Some(journal), Some(theirs)) = (&self.journal, &found.journal) else { return Ok(()) };
        if !journal.has_written(&theirs.stored()) {
            return Err(Error::NotLeader);
        }
        let (revision, kept) = (self.store.current(), found.store.current());
        (self.store, self.lessor, self.journal) = (found.store, found.lessor, found.journal);
        self.store.skip_to(revision);
        self.watchers.rewind(kept);
        self.durable = kept;
        Ok(())
    }

    /// Begins another life of the store under this name (16 random bytes), where revisions may have been given twice
    /// without it: the medium is older than what was told as written. All of it is written again by the next [`Ready`].
    pub fn renew(&mut self, incarnation: [u8; 16]) {
        self.options.incarnation = incarnation;
        self.journal = self.journal.take().map(|journal| journal.anew(&journal.stored(), Some(incarnation)));
    }

    /// Names this life of the store.
    pub fn incarnation(&self) -> [u8; 16] {
        self.journal.as_ref().map_or(self.options.incarnation, Journal::incarnation)
    }

    /// The host confirms that a [`Ready`] is written.
    pub fn persisted(&mut self, through: u64) {
        self.durable = self.durable.max(through);
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
    fn write<R>(&mut self, body: impl FnOnce(&mut Store, &dyn Leases) -> Result<R, Error>) -> Result<R, Error> {
        let from = self.store.current() + 1;
        let result = body(&mut self.store, &self.lessor)?;
        for record in self.store.records_from(from) {
            if !self.lessor.is_empty() {
                self.lessor.follow(&record, self.store.lease_before(&record));
            }
            self.watchers.follow(&record);
        }
        Ok(result)
    }

    fn compact(&mut self, revision: u64) -> Result<Response, Error> {
        self.store.compact(revision)?;
        if revision > 0 {
            self.note(&Note::Compact { revision });
        }
        Ok(Response::Compact { revision: self.store.current() })
    }

    fn grant(&mut self, id: LeaseId, ttl_seconds: u64, now_ms: u64) -> Result<Response, Error> {
        self.lessor.check_grant(id, ttl_seconds)?;
        self.set_lease(id, ttl_seconds, now_ms);
        Ok(Response::LeaseGrant { revision: self.store.current(), id, ttl_seconds })
    }

    fn keep_alive(&mut self, id: LeaseId, now_ms: u64) -> Result<Response, Error> {
        let ttl_seconds = self.lessor.ttl_seconds(id, now_ms)?;
        self.set_lease(id, ttl_seconds, now_ms);
        Ok(Response::LeaseKeepAlive { revision: self.store.current(), ttl_seconds })
    }

    fn set_lease(&mut self, id: LeaseId, ttl_seconds: u64, now_ms: u64) {
        let deadline_ms = lease::deadline(ttl_seconds, now_ms);
        self.lessor.set(id, ttl_seconds, deadline_ms);
        self.note(&Note::Lease { id, ttl_seconds, deadline_ms });
    }

    /// Lets the lessor know the time; what it moves for that is stored.
    fn tell(&mut self, now_ms: u64) {
        for (id, ttl_seconds, deadline_ms) in self.lessor.tell(now_ms) {
            self.note(&Note::Lease { id, ttl_seconds, deadline_ms });
        }
    }

    /// The deleted keys and the end of the lease reach the storage in one batch: no crash comes between.
    fn revoke(&mut self, id: LeaseId) -> Result<Response, Error> {
        let keys = self.lessor.keys(id)?;
        let revision = self.write(|store, _| Ok(store.delete_keys(keys.iter().map(|key| &**key))))?;
        self.lessor.remove(id);
        self.note(&Note::LeaseGone { id });
        Ok(Response::LeaseRevoke { revision })
    }

    fn note(&mut self, note: &Note<'_>) {
        if let Some(journal) = &mut self.journal {
            journal.note(note);
        }
    }
}

/// Every note that still means something, but for the dead.
fn notes<'e>(store: &Store, lessor: &'e Lessor) -> impl Iterator<Item = Note<'static>> + use<'e> {
    let revision = store.compacted();
    let compacted = (revision > 0).then_some(Note::Compact { revision });
    let removed = store.is_removed().then_some(Note::Removed { revision });
    compacted.into_iter().chain(removed).chain(lessor.iter().map(lease_note))
}

fn lease_note((id, ttl_seconds, deadline_ms): (LeaseId, u64, u64)) -> Note<'static> {
    Note::Lease { id, ttl_seconds, deadline_ms }
}

/// Puts store and lessor back to what the journal tells.
struct Restoring<'e> {
    store: &'e mut Store,
    lessor: &'e mut Lessor,
    compacted: u64,
    removed: u64,
    /// What comes before a record may be lost.
    salvages: bool,
}

impl<'e> Restoring<'e> {
    fn new(store: &'e mut Store, lessor: &'e mut Lessor) -> Self {
        Self { store, lessor, compacted: 0, removed: 0, salvages: false }
    }
}

impl Restore for Restoring<'_> {
    fn note(&mut self, note: &Note<'_>) -> Result<(), &'static str> {
        match *note {
            Note::Compact { revision } => self.compacted = self.compacted.max(revision),
            Note::Removed { revision } => self.removed = self.removed.max(revision),
            Note::Lease { id, ttl_seconds, deadline_ms } => self.lessor.restore(id, ttl_seconds, deadline_ms)?,
            Note::LeaseGone { id } => self.lessor.remove(id),
            Note::Dead { .. } => {}
        }
        Ok(())
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), &'static str> {
        self.store.restore(record, if self.salvages { u64::MAX } else { self.compacted })
    }

    fn end(&mut self, revision: u64) -> Result<(), &'static str> {
        let compacted = if self.salvages { self.compacted.min(revision) } else { self.compacted };
        self.store.restore_end(revision, compacted, self.removed == self.compacted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use crate::journal::sealed::{Piece, seal};
    use crate::mvcc::Revision;

    fn put(main: u64, key: &'static [u8]) -> Record<'static> {
        let revision = Revision { main, sub: 0 };
        Record { revision, key, create_revision: main, version: 1, lease: LeaseId::NONE, value: b"" }
    }

    fn packed<T: Encode>(values: &[T]) -> Vec<u8> {
        let mut bytes = Vec::new();
        values.iter().for_each(|value| codec::pack_into(value, &mut bytes));
        bytes
    }

    /// A journal of these records and notes with right checksums, which reach to these revisions, read back.
    fn recovered(
        records: &[Record<'_>],
        through: u64,
        notes: &[Note<'_>],
        notes_to: Revision,
    ) -> Result<Engine, Error> {
        let records_to = Revision { main: through, sub: u32::MAX };
        let (records, notes) = (packed(records), packed(notes));
        let piece = |sequence, is_notes, to, payload| Piece {
            sequence,
            epoch: 1,
            is_notes,
            first: 1,
            last: 1,
            to,
            heads: [1, 1],
            part: 0,
            parts: 1,
            payload,
        };
        let mut engine = Engine::new(EngineOptions { blob_bytes_max: 1024, ..EngineOptions::default() });
        for blob in seal(&[piece(1, false, records_to, &records), piece(2, true, notes_to, &notes)]) {
            engine.recover(&blob.id, &blob.bytes)?;
        }
        engine.start().map(|()| engine)
    }

    /// Found by fuzzing behind right checksums: numbers that overflow later, and states no request leads to. A checksum is
    /// no seal, so what is read must be possible, or it is damage.
    #[test]
    fn what_no_request_can_have_written_is_damage() {
        let lease = |id, ttl_seconds| Note::Lease { id: LeaseId(id), ttl_seconds, deadline_ms: 0 };
        let tombstone = |main| Record::tombstone(Revision { main, sub: 0 }, b"a");
        let rows = [
            ("a put and a lease", vec![put(2, b"a")], vec![lease(1, 10)], 2, "ok"),
            ("an empty key", vec![put(2, b"")], vec![], 2, "CORRUPT"),
            ("a version without end", vec![Record { version: u64::MAX, ..put(2, b"a") }], vec![], 2, "CORRUPT"),
            ("a delete with a value", vec![Record { value: b"v", ..tombstone(3) }], vec![], 3, "CORRUPT"),
            ("a key deleted twice", vec![put(2, b"a"), tombstone(3), tombstone(4)], vec![], 4, "CORRUPT"),
            ("created after it changed", vec![Record { create_revision: 3, ..put(2, b"a") }], vec![], 2, "CORRUPT"),
            ("a record behind the end", vec![put(3, b"a")], vec![], 2, "CORRUPT"),
            ("records that go back", vec![put(3, b"a"), put(2, b"b")], vec![], 3, "CORRUPT"),
            ("a revision without end", vec![], vec![], u64::MAX, "CORRUPT"),
            ("a lease of id 0", vec![], vec![lease(0, 10)], 2, "CORRUPT"),
            ("a lease for ever", vec![], vec![lease(1, u64::MAX)], 2, "CORRUPT"),
            ("compacted", vec![], vec![Note::Compact { revision: 2 }], 2, "ok"),
            ("compacted ahead", vec![], vec![Note::Compact { revision: 3 }], 2, "CORRUPT"),
            ("forgotten", vec![put(3, b"a")], vec![Note::Dead { revisions: &[3, 0] }], 3, "ok"),
            ("forgotten ahead", vec![put(3, b"a")], vec![Note::Dead { revisions: &[4, 0] }], 3, "CORRUPT"),
            ("no list of the dead", vec![], vec![Note::Dead { revisions: &[255] }], 2, "CORRUPT"),
        ];
        for (name, records, notes, through, expected) in rows {
            let code = recovered(&records, through, &notes, Revision::first_of(through)).map_or_else(
                |error| error.code(),
                |engine| {
                    engine.check();
                    "ok"
                },
            );
            assert_eq!(code, expected, "{name}");
        }
    }

    /// Found by fuzzing: such a journal opened, and what was written next went back behind its notes.
    #[test]
    fn notes_are_not_of_later_than_the_records() {
        for (main, sub, expected) in [(2, 0, "ok"), (3, 0, "ok"), (3, 1, "CORRUPT"), (4, 0, "CORRUPT")] {
            let opened = recovered(&[put(3, b"a")], 3, &[], Revision { main, sub });
            assert_eq!(opened.map_or_else(|error| error.code(), |_| "ok"), expected, "{main}.{sub}");
        }
    }

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
