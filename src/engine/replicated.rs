//! The engine as the source of another one, and as the replica of one.

use super::{Engine, Request, Response};
use crate::codec::Encode;
use crate::error::Error;
use crate::journal::Note;
use crate::lease::{self, LeaseChanges};
use crate::mvcc::REVISION_MAX;
use crate::replica::{self, Applied, ChangeSet, ChangeSetHeader, Known, LeaseChange, OpenedChanges, Payload};

/// A change set ends with the transaction that brings its records to this. One alone may be larger: a few times this
/// is what a request may write.
const CHANGES_BYTES: usize = 256 << 10;

/// So many transactions before a change set are compared. What two stores have written since they were the same may well
/// end with the same transaction; with so many it hardly does. More cost more of what is hashed for each set.
const COMPARED: u64 = 16;

/// What came of a request that is applied at most once.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub enum Once {
    /// It was applied.
    Now(Response),
    /// It had been applied before.
    Before {
        /// The store's revision with it.
        revision: u64,
        /// The packed [`Response`] that it was answered; none where that was too long to be kept.
        response: Option<Vec<u8>>,
    },
    /// It had been refused before; why is not kept.
    Refused,
    /// It comes before those that are remembered, and was answered long ago.
    Old,
}

impl Engine {
    /// The transactions after revision `from`, oldest first and whole: those up to `up_to` (0: all), `max` of them at
    /// most (0: any number), and about 256 KiB, but at least one. With them, what became of leases since, and how far is
    /// compacted; where `up_to` is given, how far that is stored.
    ///
    /// # Errors
    /// `COMPACTED` when some of them are forgotten, `FUTURE_REVISION` beyond the newest revision.
    ///
    /// ```
    /// # use revkv::{Engine, EngineOptions, Put, Request};
    /// # let mut engine = Engine::new(EngineOptions { incarnation: [1; 16], ..EngineOptions::default() });
    /// # engine.start()?;
    /// # let mut replica = Engine::new(EngineOptions::default());
    /// # replica.start()?;
    /// # engine.apply(Request::Put(Put { key: b"a", value: b"1", ..Put::default() }), 0)?;
    /// let changes = engine.changes(replica.revision(), 0, 0)?;
    /// let applied = replica.apply_changes(&changes.bytes)?;
    /// assert_eq!((applied.revision, applied.applied, applied.duplicates), (2, 1, 0));
    /// # Ok::<(), revkv::Error>(())
    /// ```
    pub fn changes(&self, from: u64, up_to: u64, max: u64) -> Result<ChangeSet, Error> {
        // Before revision 1 nothing was written.
        let from = from.max(1);
        let (current, compacted) = (self.store.current(), self.store.compacted());
        if from > current {
            return Err(Error::FutureRevision { requested: from, current });
        }
        if from + 1 < compacted {
            return Err(Error::Compacted { requested: from + 1, compacted });
        }
        let end = if up_to == 0 { current } else { up_to.clamp(from, current) };
        let mut payload = Payload::default();
        let to = self.portion(from, end, if max == 0 { u64::MAX } else { max }, &mut payload.records);
        let LeaseChanges { set, gone, is_complete } = self.lessor.changes(from);
        payload.leases_complete = is_complete;
        for (id, ttl_seconds, deadline_ms) in set {
            payload.lease(LeaseChange::Set { id, ttl_seconds, deadline_ms });
        }
        gone.into_iter().for_each(|id| payload.lease(LeaseChange::Gone { id }));
        let compact_revision = if up_to == 0 || self.journal.is_none() { compacted } else { self.durable_compacted };
        Ok(payload.seal(&ChangeSetHeader {
            incarnation: self.incarnation(),
            epoch: self.epoch(),
            from,
            to,
            revision: end,
            compact_revision,
            previous: self.checksum_upto(from, compact_revision).unwrap_or(0),
        }))
    }

    /// Of the last transactions up to a revision, in a store that was compacted at `compacted`; none where it cannot be told.
    fn checksum_upto(&self, revision: u64, compacted: u64) -> Option<u64> {
        let first = revision.saturating_sub(COMPARED - 1).max(compacted).max(1);
        let is_whole = first <= revision && first >= self.store.compacted();
        is_whole.then(|| replica::checksum(&mut self.store.packed_between(first - 1, revision)))
    }

    /// Collects packed records behind revision `from` in whole transactions; gives the revision they reach to.
    fn portion(&self, from: u64, end: u64, max: u64, records: &mut Vec<u8>) -> u64 {
        let (mut transactions, mut newest) = (0, from);
        for (revision, packed) in self.store.packed_between(from, end) {
            if revision.main != newest {
                if transactions == max || records.len() >= CHANGES_BYTES {
                    return revision.main - 1;
                }
                (newest, transactions) = (revision.main, transactions + 1);
            }
            records.extend_from_slice(packed);
        }
        end
    }

    /// Applies transactions of another engine with their revisions, whole or not at all, as own writes are: watches,
    /// leases and the journal follow. Those that are here already are compared and skipped. An engine that holds nothing
    /// becomes a replica of the same incarnation; what the source has compacted is compacted here too.
    ///
    /// A lease lives as long as its source says: whoever applies changes does not call [`Engine::tick`].
    ///
    /// # Errors
    /// `GAP` where transactions before them are missing; `DIVERGED` if they are of another incarnation, or what is here is
    /// not what the source has; `REVISION_NOT_FOUND` if they change a key that is not here; `CORRUPT` and
    /// `UNSUPPORTED_FORMAT`; `QUOTA_EXCEEDED`. Nothing has changed then.
    pub fn apply_changes(&mut self, bytes: &[u8]) -> Result<Applied, Error> {
        self.take_changes(bytes, self.options.limits.bytes_max)
    }

    /// The same for a tab that follows. It holds what its leader holds, which alone judges how much that may be: a follower
    /// may have removed less of what is compacted, or have been given a smaller bound.
    pub(super) fn follow_changes(&mut self, bytes: &[u8]) -> Result<Applied, Error> {
        self.take_changes(bytes, 0)
    }

    fn take_changes(&mut self, bytes: &[u8], bytes_max: usize) -> Result<Applied, Error> {
        let changes = OpenedChanges::open(bytes)?;
        let ChangeSetHeader { incarnation, from, to, .. } = changes.header;
        let current = self.store.current();
        let leases = lease_changes(&changes)?;
        let adopts = incarnation != self.incarnation();
        if adopts && !self.is_untouched() {
            return Err(Error::Diverged { revision: from, what: "they are of another life of the store" });
        }
        // What may not be what the source has is compared, all of it: the same requests in another order may well end
        // with the same transaction.
        let known = self.known_revision();
        if from > known {
            return Err(Error::Gap { expected: known, found: from });
        }
        self.compare(&changes)?;
        if to >= current {
            self.store.replicate(&mut changes.records(current), to, bytes_max)?;
            self.is_doubtful = false;
            if adopts {
                self.renew(incarnation);
            }
            self.set_leases(&leases);
            self.follow(current + 1);
            self.settle_leases(&leases);
            self.follow_compaction(changes.header.compact_revision)?;
        } else if self.is_doubtful && to >= self.durable {
            // What is asked for next is behind `to`, with which these would not be told again.
            self.set_leases(&leases);
            self.settle_leases(&leases);
            self.durable = to;
        }
        let revision = self.store.current();
        let source_revision = changes.header.revision;
        Ok(Applied { revision, applied: revision - current, duplicates: to.min(current) - from, source_revision })
    }

    /// Applies a request of another tab, unless it was applied before: by this engine, or one that wrote to the same storage.
    /// That it was is stored in the batch of what it wrote, so that no crash comes between; and what it was answered, where
    /// that is short.
    ///
    /// A client's numbers are dense, and its requests are to be applied in their order. It sends a request again until it is
    /// answered, and has no more than [`REQUESTS_MAX`](crate::REQUESTS_MAX) unanswered.
    ///
    /// # Errors
    /// The request's, and `INVALID_ARGUMENT` for a number above 2^53, of which nobody could take note. It has changed nothing
    /// then, and nothing is noted.
    pub fn apply_once(&mut self, client: u64, number: u64, request: Request<'_>, now_ms: u64) -> Result<Once, Error> {
        match self.requests.known(client, number) {
            Known::New if number > REVISION_MAX => {
                return Err(Error::InvalidArgument("a request has a number larger than there are"));
            }
            Known::New => {}
            Known::Applied { revision, response } => {
                let response = (!response.is_empty()).then(|| response.to_vec());
                return Ok(Once::Before { revision, response });
            }
            Known::Refused => return Ok(Once::Refused),
            Known::Old => return Ok(Once::Old),
        }
        let response = self.apply(request, now_ms)?;
        let (revision, kept) = (self.store.current(), replica::kept(&response));
        self.requests.note(client, number, revision, &kept);
        self.note(&Note::Applied { client, number, revision, response: &kept });
        Ok(Once::Now(response))
    }

    /// Whether this request of a client is known to have been applied.
    pub fn is_applied(&self, client: u64, number: u64) -> bool {
        matches!(self.requests.known(client, number), Known::Applied { .. })
    }

    /// The newest request of a client that was applied; 0: none is known.
    pub fn last_request(&self, client: u64) -> u64 {
        self.requests.last(client)
    }

    /// The revision to ask for changes after: the newest, but where a tab that led has some that may not be what the next
    /// leader has.
    pub fn known_revision(&self) -> u64 {
        if self.is_doubtful { self.durable } else { self.store.current() }
    }

    /// Nothing was ever written, so that any incarnation will do.
    pub(super) fn is_untouched(&self) -> bool {
        self.store.current() == 1 && self.store.compacted() == 0 && self.lessor.is_empty()
    }

    /// What both have must be the same: the last transactions before the first one told, and those that are here already.
    fn compare(&self, changes: &OpenedChanges<'_>) -> Result<(), Error> {
        let ChangeSetHeader { from, to, compact_revision, previous, .. } = changes.header;
        let own = self.checksum_upto(from, compact_revision);
        let differs = previous != 0 && own.is_some_and(|own| own != previous);
        let differs = (differs || !self.is_comparable(0)).then_some(from);
        match differs.or_else(|| self.store.differs(&mut changes.records(0), from, to)) {
            None => Ok(()),
            Some(revision) => Err(Error::Diverged { revision, what: "the revision has other content here" }),
        }
    }

    /// Whether nothing is in doubt of which a compaction, here or at this revision, may have taken something away.
    pub(super) fn is_comparable(&self, compacted: u64) -> bool {
        !self.is_doubtful || self.store.compacted().max(compacted) <= self.durable + 1
    }

    /// Leases come before the records that name them, and go after those that delete their keys.
    fn set_leases(&mut self, changes: &LeaseChanges) {
        self.lessor.forget_time();
        for &(id, ttl_seconds, deadline_ms) in &changes.set {
            self.lessor.set(id, ttl_seconds, deadline_ms, self.store.current());
            self.note(&Note::Lease { id, ttl_seconds, deadline_ms });
        }
    }

    fn settle_leases(&mut self, changes: &LeaseChanges) {
        if self.lessor.take_orphans() {
            self.store.leased().for_each(|(key, lease)| self.lessor.attach(key, lease));
        }
        for id in self.lessor.leaving(changes) {
            self.lessor.remove(id, self.store.current());
            self.note(&Note::LeaseGone { id });
        }
    }

    fn follow_compaction(&mut self, revision: u64) -> Result<(), Error> {
        if revision > self.store.compacted() && revision <= self.store.current() {
            self.compact(revision)?;
        }
        Ok(())
    }
}

fn lease_changes(changes: &OpenedChanges<'_>) -> Result<LeaseChanges, Error> {
    let mut leases = LeaseChanges { is_complete: changes.leases_complete, ..LeaseChanges::default() };
    for lease in changes.leases() {
        match lease {
            LeaseChange::Set { id, ttl_seconds, deadline_ms } => {
                lease::validate(id, ttl_seconds).map_err(|what| changes.corrupt(what))?;
                leases.set.push((id, ttl_seconds, deadline_ms));
            }
            LeaseChange::Gone { id } => leases.gone.push(id),
        }
    }
    Ok(leases)
}
