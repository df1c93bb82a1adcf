//! Taking over what another store has written, with its revisions.

use super::change::Change;
use super::key_value::Record;
use super::revision::Revision;
use super::store::Store;
use crate::error::Error;

impl Store {
    /// Adds the transactions of another store, ascending and above the current revision, up to `to`; all of them, or on an
    /// error none. A record has to follow from what is here as it did there: a key's numbers go on.
    pub fn replicate<'r>(&mut self, records: impl Iterator<Item = Record<'r>> + Clone, to: u64) -> Result<(), Error> {
        let puts = records.clone().filter(|record| !record.is_tombstone());
        self.check_room(puts.map(|record| (record.key, record.value.len())))?;
        for record in records {
            if let Err(error) = self.replicate_one(&record) {
                self.take_back();
                return Err(error);
            }
        }
        self.skip_to(to);
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
    pub fn differs<'r>(&self, records: impl Iterator<Item = Record<'r>>, from: u64, to: u64) -> Option<u64> {
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

    /// The packed records of one transaction. None if compaction may have touched it.
    pub fn packed_of(&self, main: u64) -> Option<impl Iterator<Item = &[u8]>> {
        (main >= self.compacted).then(|| self.packed_between(main - 1, main).map(|(_, packed)| packed))
    }

    /// The packed records of the transactions after `from`, up to `to`, ascending.
    pub fn packed_between(&self, from: u64, to: u64) -> impl Iterator<Item = (Revision, &[u8])> {
        self.packed_within(Revision { main: from, sub: u32::MAX }, Revision { main: to, sub: u32::MAX })
    }
}
