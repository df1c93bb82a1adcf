//! The engine and what is stored of it: made of blobs, written as blobs, carried elsewhere as a backup.

use super::{Engine, EngineOptions};
use crate::codec::Encode;
use crate::error::Error;
use crate::journal::{BLOB_BYTES_MIN, Journal, Loss, Note, Ready, Restore, Transfer, restore_backup};
use crate::lease::Lessor;
use crate::mvcc::{LeaseId, Record, Store};
use crate::replica::Requests;

/// A backup that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode)]
pub struct BackupInfo {
    /// Its number.
    pub id: u32,
    /// Bytes, of all portions together.
    pub size: usize,
    /// The revision it is of.
    pub revision: u64,
}

impl Engine {
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
        let mut restoring = Restoring::new(store, lessor);
        let recovered = std::mem::take(&mut self.recovery).finish(&mut restoring)?;
        self.requests = restoring.requests;
        attach(&self.store, &mut self.lessor);
        self.set_durable(self.store.current(), self.store.compacted());
        self.options.incarnation = recovered.incarnation.unwrap_or(incarnation);
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
        attach(&self.store, &mut self.lessor);
        losses
    }

    /// What to write: all that was committed since the last call, and at most one step of rewriting what is stored, as one
    /// batch. Call it until it gives nothing.
    pub fn take_ready(&mut self) -> Option<Ready> {
        self.taken_compacted = self.store.compacted();
        (self.taken_noted, self.taken_epoch) = (self.noted, self.epoch());
        let Self { store, lessor, requests, journal, .. } = self;
        journal.as_mut()?.take_ready(store, notes(store, lessor, requests))
    }

    /// Everything as it is at a revision (0: now), with all that is kept of its history or only what a compaction there
    /// keeps, in bytes that [`Engine::restore`] takes. Leases are those there are now.
    ///
    /// # Errors
    /// `COMPACTED`, `FUTURE_REVISION`.
    pub fn backup(&self, revision: u64, history: bool) -> Result<Vec<u8>, Error> {
        let mut transfer = self.transfer(revision, history)?;
        Ok(std::iter::from_fn(|| transfer.next_chunk(&self.store)).flatten().collect())
    }

    /// Begins a backup that is read out by [`Engine::transfer_chunk`] until it is ended by [`Engine::end_transfer`], while
    /// the store is written to.
    ///
    /// # Errors
    /// `COMPACTED`, `FUTURE_REVISION`.
    pub fn begin_backup(&mut self, revision: u64, history: bool) -> Result<BackupInfo, Error> {
        let transfer = self.transfer(revision, history)?;
        let (size, revision) = (transfer.size(&self.store), transfer.revision());
        Ok(BackupInfo { id: self.add_transfer(transfer).0, size, revision })
    }

    pub(super) fn transfer(&self, revision: u64, history: bool) -> Result<Transfer, Error> {
        let Self { store, lessor, .. } = self;
        // Only what is seen at a revision is what a compaction there keeps.
        let (revision, compacted) = match history {
            true => (store.unpinned(revision)?, store.compacted()),
            false => store.readable(revision).map(|revision| (revision, revision))?,
        };
        Ok(Transfer::new(self.incarnation(), revision, compacted, lessor.iter().map(lease_note)))
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
        attach(&store, &mut lessor);
        self.given = self.given.max(self.store.current());
        (self.store, self.lessor) = (store, lessor);
        self.transfers.clear();
        self.requests = Requests::default();
        self.watchers.end_all();
        self.replaced += 1;
        self.is_doubtful = false;
        self.set_durable(NOTHING, 0);
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
        if !journal.has_written(&found, self.claimed_epoch) {
            return Err(Error::NotLeader);
        }
        self.journal = Some(journal.anew(&found, None));
        Ok(())
    }

    /// Goes back to what is stored, after the medium refused what was committed since: `found` is an engine that has
    /// recovered it anew, was started, and has taken nothing. The revision does not go back, so that none names two
    /// contents; snapshots are released, and watches that were told of what is gone end with `RESTORED`: all of them if the
    /// medium holds another life of the store, which was to be replaced.
    ///
    /// # Errors
    /// `NOT_LEADER` if another store has written since.
    pub fn rewind(&mut self, found: Self) -> Result<(), Error> {
        let (Some(journal), Some(theirs)) = (&self.journal, &found.journal) else { return Ok(()) };
        let stored = theirs.stored();
        // Where nothing of this opening was ever stored, what is stored is of whoever came before it.
        let is_unclaimed = self.claimed_epoch == 0 && stored.epoch < journal.epoch();
        if !is_unclaimed && !journal.has_written(&stored, self.claimed_epoch) {
            return Err(Error::NotLeader);
        }
        let life = self.incarnation();
        let (revision, kept) = (self.store.current().max(self.given), found.store.current());
        (self.store, self.lessor, self.journal) = (found.store, found.lessor, found.journal);
        if stored.incarnation.is_none() {
            self.renew(life);
        }
        if let Some(journal) = &mut self.journal {
            journal.spare();
        }
        self.requests = found.requests;
        self.replaced += 1;
        self.transfers.clear();
        self.skip_to(revision);
        if self.incarnation() == life {
            self.watchers.rewind(kept, kept);
        } else {
            self.watchers.end_all();
        }
        self.set_durable(kept, self.store.compacted());
        Ok(())
    }

    /// Goes on behind `revision`, which an engine that is gone may have given to something that was not stored: so none
    /// names two contents.
    pub fn skip_to(&mut self, revision: u64) {
        self.store.skip_to(revision);
        self.lessor.begin(self.store.current());
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
        self.durable_compacted = self.taken_compacted;
        (self.durable_noted, self.claimed_epoch) = (self.taken_noted, self.taken_epoch);
        self.journal.iter_mut().for_each(Journal::confirm);
        self.given = 0;
    }

    pub(super) fn set_durable(&mut self, revision: u64, compacted: u64) {
        (self.durable, self.durable_compacted) = (revision, compacted);
        self.durable_noted = self.noted;
    }
}

/// As far as what nothing is stored of is durable: no revision up to this one holds anything. (0 would say "all" to those
/// who ask for events or changes up to the durable revision.)
pub(super) const NOTHING: u64 = 1;

/// Begins to follow a store that was read: attaches each of its keys to its lease.
pub(super) fn attach(store: &Store, lessor: &mut Lessor) {
    store.leased().for_each(|(key, lease)| lessor.attach(key, lease));
    lessor.begin(store.current());
}

/// Every note that still means something, but for the dead.
fn notes<'e>(store: &Store, lessor: &'e Lessor, requests: &'e Requests) -> impl Iterator<Item = Note<'e>> + use<'e> {
    let revision = store.compacted();
    let compacted = (revision > 0).then_some(Note::Compact { revision });
    let removed = store.is_removed().then_some(Note::Removed { revision });
    let applied = requests.iter();
    let applied =
        applied.map(|(client, number, revision, response)| Note::Applied { client, number, revision, response });
    let leases = lessor.iter().map(|lease| -> Note<'e> { lease_note(lease) });
    compacted.into_iter().chain(removed).chain(leases).chain(applied)
}

pub(super) fn lease_note((id, ttl_seconds, deadline_ms): (LeaseId, u64, u64)) -> Note<'static> {
    Note::Lease { id, ttl_seconds, deadline_ms }
}

/// Puts store and lessor back to what the journal tells.
pub(super) struct Restoring<'e> {
    store: &'e mut Store,
    lessor: &'e mut Lessor,
    requests: Requests,
    compacted: u64,
    removed: u64,
    /// What comes before a record may be lost.
    salvages: bool,
}

impl<'e> Restoring<'e> {
    pub fn new(store: &'e mut Store, lessor: &'e mut Lessor) -> Self {
        Self { store, lessor, requests: Requests::default(), compacted: 0, removed: 0, salvages: false }
    }
}

impl Restore for Restoring<'_> {
    fn note(&mut self, note: &Note<'_>) -> Result<(), &'static str> {
        match *note {
            Note::Compact { revision } => self.compacted = self.compacted.max(revision),
            Note::Removed { revision } => self.removed = self.removed.max(revision),
            Note::Lease { id, ttl_seconds, deadline_ms } => self.lessor.restore(id, ttl_seconds, deadline_ms)?,
            Note::LeaseGone { id } => self.lessor.remove(id, 0),
            Note::Applied { client, number, revision, response } => {
                self.requests.note(client, number, revision, response);
            }
            Note::Dead { .. } => {}
        }
        Ok(())
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), &'static str> {
        self.store.restore(record, self.compacted)
    }

    fn end(&mut self, revision: u64) -> Result<(), &'static str> {
        let compacted = if self.salvages { self.compacted.min(revision) } else { self.compacted };
        self.store.restore_end(revision, compacted, self.removed == self.compacted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{self, Encode};
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

    fn piece(sequence: u64, is_notes: bool, to: Revision) -> Piece<'static> {
        let heads = [1, 1];
        Piece { sequence, epoch: 1, is_notes, first: 1, last: 1, to, heads, part: 0, parts: 1, payload: &[] }
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
        let pieces = [
            Piece { payload: &records, ..piece(1, false, records_to) },
            Piece { payload: &notes, ..piece(2, true, notes_to) },
        ];
        let mut engine = Engine::new(EngineOptions { blob_bytes_max: 1024, ..EngineOptions::default() });
        for blob in seal(&pieces) {
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

    /// The store would have had records above its revision, and the next write one below them.
    #[test]
    fn what_lies_behind_its_piece_is_not_salvaged() {
        let records_to = Revision { main: 2, sub: u32::MAX };
        let records = packed(&[put(2, b"a"), put(3, b"b")]);
        let piece = Piece { payload: &records, heads: [1, 0], ..piece(1, false, records_to) };
        let mut engine = Engine::new(EngineOptions::default());
        for blob in seal(&[piece]) {
            engine.recover(&blob.id, &blob.bytes).expect("it is sealed");
        }
        let losses = engine.salvage();
        engine.check();
        assert_eq!((engine.revision(), losses.len()), (2, 1), "{losses:?}");
        assert!(engine.get(b"a", 0).is_ok_and(|kv| kv.is_some()));
    }

    #[test]
    fn a_part_without_end_is_damage() {
        let last = Piece { part: u32::MAX, ..piece(1, true, Revision::first_of(2)) };
        let blob = &seal(&[last])[0];
        let mut engine = Engine::new(EngineOptions::default());
        assert_eq!(engine.receive_chunk(&blob.bytes), Ok(None));
        assert_eq!(engine.restore(&blob.bytes, [9; 16]).map_err(|error| error.code()), Err("CORRUPT"));
    }

    /// Found by fuzzing: such a journal opened, and what was written next went back behind its notes.
    #[test]
    fn notes_are_not_of_later_than_the_records() {
        for (main, sub, expected) in [(2, 0, "ok"), (3, 0, "ok"), (3, 1, "CORRUPT"), (4, 0, "CORRUPT")] {
            let opened = recovered(&[put(3, b"a")], 3, &[], Revision { main, sub });
            assert_eq!(opened.map_or_else(|error| error.code(), |_| "ok"), expected, "{main}.{sub}");
        }
    }
}
