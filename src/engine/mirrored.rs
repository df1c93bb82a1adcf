//! The engine as the mirror of a store of another kind, such as a cluster of etcd, whose revisions it takes over.
//!
//! It is given everything as it is at a revision, and then what happens after it. What happened before is not there, as if it
//! had been compacted. Where a part of the other store is mirrored, there are revisions that hold nothing.

use super::Engine;
use super::stored::{NOTHING, attach};
use crate::error::Error;
use crate::lease::Lessor;
use crate::mvcc::{KeyRange, KeyValue, REVISION_MAX, Record, Revision, Store, sorted};

impl Engine {
    /// Replaces everything by what the other store holds at `revision`: each of its keys, in any order. `incarnation` names
    /// the life of the other store; with the same as before watches and snapshots go on, as far as there is history: where this
    /// is the next revision, what was deleted in it is known.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for keys that no store can hold at that revision; `QUOTA_EXCEEDED`. Nothing has changed then.
    pub fn mirror(&mut self, incarnation: [u8; 16], revision: u64, keys: &[KeyValue<'_>]) -> Result<(), Error> {
        let (mut store, mut lessor) = (Store::new(self.options.limits), Lessor::default());
        let order = |a: &&KeyValue<'_>, b: &&KeyValue<'_>| (a.mod_revision, &a.key).cmp(&(b.mod_revision, &b.key));
        let keys: Vec<&KeyValue<'_>> = sorted(keys.iter().collect(), &order);
        let mut last = Revision { main: 0, sub: 0 };
        for kv in &keys {
            last = next(last, kv.mod_revision);
            let held = if kv.version == 0 { Err("a key that is deleted") } else { Ok(()) };
            held.and_then(|()| store.restore(&record(last, kv), revision)).map_err(Error::InvalidArgument)?;
        }
        if incarnation == self.incarnation() && self.store.current() + 1 == revision {
            // Watches that go on find their history here, and so have to be told of what a snapshot has not.
            let gone = self.store.keys_at(KeyRange::ALL, self.store.current());
            let gone: Vec<_> = gone.filter(|kv| store.get_at(&kv.key, revision).is_none()).collect();
            for kv in &gone {
                last = next(last, revision);
                store.restore(&Record::tombstone(last, &kv.key), revision).map_err(Error::InvalidArgument)?;
            }
        }
        store.restore_end(revision, revision, true).map_err(Error::InvalidArgument)?;
        if store.size().keys != keys.len() || revision == 0 || revision > REVISION_MAX {
            return Err(Error::InvalidArgument("a key is there twice, or the revision is none"));
        }
        let (bytes, bytes_max) = (store.bytes(), self.options.limits.bytes_max);
        if bytes_max > 0 && bytes > bytes_max {
            return Err(Error::QuotaExceeded { bytes, bytes_max });
        }
        attach(&store, &mut lessor);
        self.given = self.given.max(self.store.current());
        self.replace(store, lessor, incarnation);
        self.set_durable(NOTHING, 0);
        self.renew(incarnation);
        Ok(())
    }

    /// Takes over what happened in the other store after the revision there is here, up to `to`: changes in its order, of
    /// deleted keys with version 0. What is here already is passed over. Gives the revision.
    ///
    /// # Errors
    /// `REVISION_NOT_FOUND` and `DIVERGED` if they do not go on from what is here; `INVALID_ARGUMENT`, `QUOTA_EXCEEDED`. Nothing
    /// has changed then.
    pub fn mirror_changes(&mut self, to: u64, changes: &[KeyValue<'_>]) -> Result<u64, Error> {
        let current = self.store.current();
        if to > REVISION_MAX {
            return Err(Error::InvalidArgument("the revision is none"));
        }
        let (mut last, mut records) = (Revision { main: 0, sub: 0 }, Vec::new());
        for kv in changes.iter().filter(|kv| kv.mod_revision > current) {
            if kv.mod_revision < last.main || kv.mod_revision > to {
                return Err(Error::InvalidArgument("changes are not in order"));
            }
            last = next(last, kv.mod_revision);
            let record = record(last, kv);
            record.validate().map_err(Error::InvalidArgument)?;
            records.push(record);
        }
        self.store.replicate(&mut records.into_iter(), to.max(current), self.options.limits.bytes_max)?;
        // Leases are the other store's to end.
        self.follow(current + 1);
        Ok(self.store.current())
    }
}

/// The place of the next change, which is of revision `main`.
fn next(last: Revision, main: u64) -> Revision {
    let sub = if last.main == main { last.sub + 1 } else { 0 };
    Revision { main, sub }
}

fn record<'a>(revision: Revision, kv: &'a KeyValue<'_>) -> Record<'a> {
    let KeyValue { key, create_revision, version, lease, value, .. } = kv;
    if *version == 0 {
        return Record::tombstone(revision, key);
    }
    Record { revision, key, create_revision: *create_revision, version: *version, lease: *lease, value }
}
