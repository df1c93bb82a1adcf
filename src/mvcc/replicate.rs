//! Taking over what another store has written, with its revisions.

use super::change::Change;
use super::key_value::Record;
use super::revision::Revision;
use super::store::Store;
use crate::error::Error;

impl Store {
    /// Adds the transactions of another store, ascending and above the current revision, up to `to`; all of them, or on an
    /// error none. A record has to follow from what is here as it did there: a key's numbers go on. More than `bytes_max` in
    /// all is refused; 0 is no bound.
    pub fn replicate(
        &mut self,
        records: &mut dyn Iterator<Item = Record<'_>>,
        to: u64,
        bytes_max: usize,
    ) -> Result<(), Error> {
        let replicated = self.replicate_all(records, bytes_max);
        match &replicated {
            Ok(()) => self.skip_to(to),
            Err(_) => self.take_back(),
        }
        replicated
    }

    fn replicate_all(&mut self, records: &mut dyn Iterator<Item = Record<'_>>, bytes_max: usize) -> Result<(), Error> {
        let mut has_put = false;
        for record in records {
            has_put |= !record.is_tombstone();
            self.replicate_one(&record)?;
        }
        let bytes = self.bytes();
        if bytes_max > 0 && bytes > bytes_max && has_put {
            return Err(Error::QuotaExceeded { bytes, bytes_max });
        }
        Ok(())
    }

    fn replicate_one(&mut self, record: &Record<'_>) -> Result<(), Error> {
        let Record { revision, key, create_revision, version, .. } = *record;
        let newest = self.index.get(key).filter(|index| index.is_alive()).map(|index| self.record(index.newest()));
        let expected = match newest {
            _ if record.is_tombstone() => (0, 0),
            Some(newest) => (newest.create_revision, newest.version + 1),
            None => (revision.main, 1),
        };
        if newest.is_none() && (record.is_tombstone() || (create_revision, version) != expected) {
            return Err(Error::RevisionNotFound { revision: revision.main });
        }
        if (create_revision, version) != expected {
            return Err(Error::Diverged { revision: revision.main, what: "a key has another past" });
        }
        let place = self.tree.append(record);
        self.index.push(key, |_| Change::new(revision, record.is_tombstone(), place));
        Ok(())
    }

    /// Compares the transactions of another store, ascending from the one after `from`, with those here: the first revision
    /// up to the current one that is not the same. What compaction may have touched is passed over.
    pub fn differs(&self, records: &mut dyn Iterator<Item = Record<'_>>, from: u64, to: u64) -> Option<u64> {
        let (first, last) = ((from + 1).max(self.compacted), to.min(self.current));
        let within = |record: &Record<'_>| record.revision.main <= last;
        let mut theirs = records.skip_while(|record| record.revision.main < first).take_while(within);
        let mut own = self.records_from(first).take_while(within);
        loop {
            match (own.next(), theirs.next()) {
                (None, None) => return None,
                (own, theirs) if own == theirs => {}
                (own, theirs) => return [own, theirs].into_iter().flatten().map(|record| record.revision.main).min(),
            }
        }
    }

    /// The newest revision up to which another store of the same life is known to hold the same.
    pub fn common(&self, other: &Self) -> u64 {
        let newest = self.current.min(other.current);
        let (from, to) = (self.compacted.max(other.compacted).saturating_sub(1), newest);
        self.differs(&mut other.records_from(from + 1), from, to).map_or(newest, |revision| revision - 1)
    }

    /// Keeps what was pinned in another store, as far as it can be read here and is the same.
    pub fn take_pins(&mut self, other: &Self, to: u64) {
        let readable = self.compacted..=to.min(self.current);
        self.pins = other.pins.iter().copied().filter(|pin| readable.contains(pin)).collect();
    }

    /// The packed records of the transactions after `from`, up to `to`, ascending.
    pub fn packed_between(&self, from: u64, to: u64) -> impl Iterator<Item = (Revision, &[u8])> {
        self.packed_within(Revision { main: from, sub: u32::MAX }, Revision { main: to, sub: u32::MAX })
    }
}
