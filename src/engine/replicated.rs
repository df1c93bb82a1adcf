//! The engine as the source of another one, and as the replica of one.

use super::Engine;
use crate::error::Error;
use crate::journal::Note;
use crate::lease::{self, LeaseChanges};
use crate::mvcc::sorted;
use crate::replica::{self, Applied, ChangeSet, ChangeSetHeader, LeaseChange, OpenedChanges};

/// A change set ends with the transaction that brings its records to this. One alone may be larger: a few times this
/// is what a request may write.
const CHANGES_BYTES: usize = 256 << 10;

impl Engine {
    /// The transactions after revision `from`, oldest first and whole: those up to `up_to` (0: all), `max` of them at
    /// most (0: any number), and about 256 KiB, but at least one. With them, what became of leases since.
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
        let (records, to) = self.portion(from, end, if max == 0 { u64::MAX } else { max });
        let previous = self.store.packed_of(from).map_or(0, replica::checksum);
        let header = ChangeSetHeader {
            incarnation: self.incarnation(),
            epoch: self.epoch(),
            from,
            to,
            revision: end,
            compact_revision: compacted,
            previous,
        };
        let LeaseChanges { set, gone, is_complete } = self.lessor.changes(from);
        let set =
            set.into_iter().map(|(id, ttl_seconds, deadline_ms)| LeaseChange::Set { id, ttl_seconds, deadline_ms });
        let gone = gone.into_iter().map(|id| LeaseChange::Gone { id });
        Ok(replica::seal(&header, is_complete, set.chain(gone), &records))
    }

    /// Packed records behind revision `from` in whole transactions, and the revision they reach to.
    fn portion(&self, from: u64, end: u64, max: u64) -> (Vec<u8>, u64) {
        let (mut records, mut transactions, mut newest) = (Vec::new(), 0, from);
        for (revision, packed) in self.store.packed_between(from, end) {
            if revision.main != newest {
                if transactions == max || records.len() >= CHANGES_BYTES {
                    return (records, revision.main - 1);
                }
                (newest, transactions) = (revision.main, transactions + 1);
            }
            records.extend_from_slice(packed);
        }
        (records, end)
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
        let changes = OpenedChanges::open(bytes)?;
        let ChangeSetHeader { incarnation, from, to, .. } = changes.header;
        let current = self.store.current();
        let leases = lease_changes(&changes)?;
        let adopts = incarnation != self.incarnation();
        if adopts && !self.is_untouched() {
            return Err(Error::Diverged { revision: from, what: "they are of another life of the store" });
        }
        if from > current {
            return Err(Error::Gap { expected: current, found: from });
        }
        self.compare(&changes)?;
        if to >= current {
            self.store.replicate(changes.records(current), to)?;
            if adopts {
                self.renew(incarnation);
            }
            self.set_leases(&leases);
            self.follow(current + 1);
            self.settle_leases(&leases);
            self.follow_compaction(changes.header.compact_revision)?;
        }
        let revision = self.store.current();
        Ok(Applied { revision, applied: revision - current, duplicates: to.min(current) - from })
    }

    /// Nothing was ever written, so that any incarnation will do.
    fn is_untouched(&self) -> bool {
        self.store.current() == 1 && self.store.compacted() == 0 && self.lessor.is_empty()
    }

    /// What both have must be the same: the transaction before the first one told, and those that are here already.
    fn compare(&self, changes: &OpenedChanges<'_>) -> Result<(), Error> {
        let ChangeSetHeader { from, to, previous, .. } = changes.header;
        let own = self.store.packed_of(from).map_or(previous, replica::checksum);
        let differs = (previous != 0 && own != previous).then_some(from);
        match differs.or_else(|| self.store.differs(changes.records(0), from, to)) {
            None => Ok(()),
            Some(revision) => Err(Error::Diverged { revision, what: "the revision has other content here" }),
        }
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
                let is_ascending = leases.set.last().is_none_or(|(last, _, _)| *last < id);
                lease::validate(id, ttl_seconds)
                    .and(if is_ascending { Ok(()) } else { Err("leases are not in order") })
                    .map_err(|what| Error::Corrupt { blob: "of changes".to_owned(), offset: 0, what })?;
                leases.set.push((id, ttl_seconds, deadline_ms));
            }
            LeaseChange::Gone { id } => leases.gone.push(id),
        }
    }
    leases.gone = sorted(leases.gone, &|a, b| a.cmp(b));
    Ok(leases)
}
