//! Leases: keys that live as long as somebody keeps them alive.
//!
//! The lessor knows which keys are attached to a lease by following every record that is committed (or recovered): a put
//! attaches its key to the put's lease and detaches it from any other, a tombstone detaches it. So attachments are not
//! stored; they follow from the history. Deleting a lease's keys is the engine's: the lessor says
//! which they are.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::codec::Encode;
use crate::error::Error;
use crate::mvcc::{LeaseId, Leases, Record};

/// The longest time to live, about 285 years (etcd's `MaxLeaseTTL`).
pub const TTL_SECONDS_MAX: u64 = 9_000_000_000;

/// A lease as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct LeaseInfo {
    /// Its id.
    pub id: LeaseId,
    /// What it was granted for.
    pub ttl_seconds: u64,
    /// What is left; not above 0 between its end and the write that removes it.
    pub remaining_ms: i64,
    /// The keys attached to it, ascending.
    pub keys: Vec<Vec<u8>>,
}

#[derive(Debug, Clone)]
struct Lease {
    id: LeaseId,
    ttl_seconds: u64,
    deadline_ms: u64,
    /// Ascending.
    keys: Vec<Arc<[u8]>>,
}

/// Every lease granted and not gone, ids ascending, and the keys attached to them.
///
/// Both lists are sorted vectors: leases are counted in hundreds, and a balanced tree of each would be the better part
/// of 20 KB of code.
///
/// Invariants ([`Lessor::check`]):
/// - a key is attached to the lease that its newest record names, if that lease is there, and to no other;
/// - `deadlines` has each lease under its deadline; what else it has is out of date and skipped.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lessor {
    leases: Vec<Lease>,
    deadlines: BinaryHeap<Reverse<(u64, LeaseId)>>,
}

impl Leases for Lessor {
    fn is_granted(&self, id: LeaseId) -> bool {
        self.get(id).is_some()
    }
}

impl Lessor {
    /// Refuses a grant that cannot be made.
    pub fn check_grant(&self, id: LeaseId, ttl_seconds: u64) -> Result<(), Error> {
        match () {
            () if id == LeaseId::NONE => Err(Error::InvalidArgument("a lease's id must not be 0")),
            () if ttl_seconds == 0 => Err(Error::InvalidArgument("a lease lives for one second at least")),
            () if ttl_seconds > TTL_SECONDS_MAX => Err(Error::InvalidArgument("a lease's time to live is too large")),
            () if self.is_granted(id) => Err(Error::LeaseExists { id: id.0 }),
            () => Ok(()),
        }
    }

    /// Grants a lease, or moves the deadline of one that is there.
    pub fn set(&mut self, id: LeaseId, ttl_seconds: u64, deadline_ms: u64) {
        match self.place_of(id) {
            Ok(place) => {
                let lease = &mut self.leases[place];
                (lease.ttl_seconds, lease.deadline_ms) = (ttl_seconds, deadline_ms);
            }
            Err(place) => self.leases.insert(place, Lease { id, ttl_seconds, deadline_ms, keys: Vec::new() }),
        }
        self.deadlines.push(Reverse((deadline_ms, id)));
        self.drop_outdated();
    }

    /// The same for a lease read from storage.
    pub fn restore(&mut self, id: LeaseId, ttl_seconds: u64, deadline_ms: u64) -> Result<(), &'static str> {
        if id == LeaseId::NONE || !(1..=TTL_SECONDS_MAX).contains(&ttl_seconds) {
            return Err("a lease says what no grant does");
        }
        self.set(id, ttl_seconds, deadline_ms);
        Ok(())
    }

    /// Forgets a lease. Its keys have been deleted, and so detached, before.
    pub fn remove(&mut self, id: LeaseId) {
        if let Ok(place) = self.place_of(id) {
            self.leases.remove(place);
        }
        self.drop_outdated();
    }

    /// Follows a committed record of a key that was attached to `before`.
    pub fn follow(&mut self, record: &Record<'_>, before: LeaseId) {
        if before == record.lease {
            return;
        }
        if let Ok(place) = self.place_of(before) {
            let keys = &mut self.leases[place].keys;
            if let Ok(place) = keys.binary_search_by(|key| (**key).cmp(record.key)) {
                keys.remove(place);
            }
        }
        self.attach(record.key, record.lease);
    }

    /// Attaches a key that is attached to no lease.
    pub fn attach(&mut self, key: &[u8], id: LeaseId) {
        if let Ok(place) = self.place_of(id) {
            let keys = &mut self.leases[place].keys;
            if let Err(place) = keys.binary_search_by(|attached| (**attached).cmp(key)) {
                keys.insert(place, Arc::from(key));
            }
        }
    }

    /// The number of leases.
    pub fn len(&self) -> usize {
        self.leases.len()
    }

    /// Whether no lease is there, so that there is nothing to follow.
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    /// The time to live of a lease that has not reached its deadline.
    pub fn ttl_seconds(&self, id: LeaseId, now_ms: u64) -> Result<u64, Error> {
        let alive = self.get(id).filter(|lease| now_ms < lease.deadline_ms);
        alive.map(|lease| lease.ttl_seconds).ok_or(Error::LeaseNotFound { id: id.0 })
    }

    /// The keys of a lease, ascending.
    pub fn keys(&self, id: LeaseId) -> Result<Vec<Arc<[u8]>>, Error> {
        self.get(id).map(|lease| lease.keys.clone()).ok_or(Error::LeaseNotFound { id: id.0 })
    }

    /// The lease whose deadline passed first.
    pub fn expired(&self, now_ms: u64) -> Option<LeaseId> {
        let Reverse((deadline_ms, id)) = *self.deadlines.peek()?;
        (deadline_ms <= now_ms).then_some(id)
    }

    /// When the next lease ends, in ms.
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.peek().map(|Reverse((deadline_ms, _))| *deadline_ms)
    }

    /// A lease as it stands.
    pub fn info(&self, id: LeaseId, now_ms: u64) -> Option<LeaseInfo> {
        let lease = self.get(id)?;
        let remaining_ms = lease.deadline_ms.cast_signed().saturating_sub(now_ms.cast_signed());
        let keys = lease.keys.iter().map(|key| key.to_vec()).collect();
        Some(LeaseInfo { id, ttl_seconds: lease.ttl_seconds, remaining_ms, keys })
    }

    /// Every lease's id, time to live and deadline, ids ascending.
    pub fn iter(&self) -> impl Iterator<Item = (LeaseId, u64, u64)> {
        self.leases.iter().map(|lease| (lease.id, lease.ttl_seconds, lease.deadline_ms))
    }

    fn get(&self, id: LeaseId) -> Option<&Lease> {
        self.place_of(id).ok().map(|place| &self.leases[place])
    }

    fn place_of(&self, id: LeaseId) -> Result<usize, usize> {
        self.leases.binary_search_by_key(&id, |lease| lease.id)
    }

    fn is_current(&self, deadline_ms: u64, id: LeaseId) -> bool {
        self.get(id).is_some_and(|lease| lease.deadline_ms == deadline_ms)
    }

    /// The earliest entry of `deadlines` is always a lease's own, and the entries stay in proportion to the leases.
    fn drop_outdated(&mut self) {
        if self.deadlines.len() > 2 * self.leases.len() + 64 {
            let entries = std::mem::take(&mut self.deadlines).into_vec();
            self.deadlines = entries.into_iter().filter(|Reverse((ms, id))| self.is_current(*ms, *id)).collect();
        }
        while let Some(Reverse((deadline_ms, id))) = self.deadlines.peek()
            && !self.is_current(*deadline_ms, *id)
        {
            self.deadlines.pop();
        }
    }

    /// Asserts the invariants; `newest` has the keys that are there now with their leases, in key order.
    pub fn check<'k>(&self, newest: impl Iterator<Item = (&'k [u8], LeaseId)>) {
        let newest: Vec<_> = newest.collect();
        for lease in &self.leases {
            let expected = newest.iter().filter(|(_, id)| *id == lease.id).map(|(key, _)| *key);
            assert!(lease.keys.iter().map(|key| &**key).eq(expected), "keys and lease {} do not agree", lease.id.0);
        }
        let earliest = self.leases.iter().map(|lease| (lease.deadline_ms, lease.id)).min();
        assert_eq!(earliest, self.deadlines.peek().map(|Reverse(first)| *first), "deadlines and leases do not agree");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mvcc::Revision;

    fn put(main: u64, key: &'static [u8], lease: i64) -> Record<'static> {
        let revision = Revision { main, sub: 0 };
        Record { revision, key, create_revision: main, version: 1, lease: LeaseId(lease), value: b"" }
    }

    fn keys(lessor: &Lessor, id: i64) -> Vec<Vec<u8>> {
        lessor.keys(LeaseId(id)).expect("granted").iter().map(|key| key.to_vec()).collect()
    }

    #[test]
    fn a_key_follows_its_newest_record() {
        let mut lessor = Lessor::default();
        lessor.set(LeaseId(7), 10, 10_000);
        lessor.set(LeaseId(8), 10, 10_000);
        lessor.follow(&put(2, b"b", 7), LeaseId::NONE);
        lessor.follow(&put(3, b"a", 7), LeaseId::NONE);
        assert_eq!(keys(&lessor, 7), [b"a", b"b"]);
        lessor.follow(&put(4, b"b", 8), LeaseId(7));
        assert_eq!((keys(&lessor, 7), keys(&lessor, 8)), (vec![b"a".to_vec()], vec![b"b".to_vec()]));
        lessor.follow(&put(5, b"a", 0), LeaseId(7));
        lessor.follow(&Record::tombstone(Revision { main: 6, sub: 0 }, b"b"), LeaseId(8));
        assert_eq!((keys(&lessor, 7).len(), keys(&lessor, 8).len()), (0, 0));
        lessor.check([].into_iter());
    }

    #[test]
    fn a_lease_ends_at_its_deadline_and_not_before() {
        let mut lessor = Lessor::default();
        lessor.set(LeaseId(7), 2, 2_000);
        assert_eq!((lessor.expired(1_999), lessor.expired(2_000)), (None, Some(LeaseId(7))));
        assert_eq!(lessor.ttl_seconds(LeaseId(7), 1_999), Ok(2));
        assert_eq!(lessor.ttl_seconds(LeaseId(7), 2_000), Err(Error::LeaseNotFound { id: 7 }));
        lessor.set(LeaseId(7), 2, 5_000);
        assert_eq!((lessor.expired(4_999), lessor.next_deadline()), (None, Some(5_000)));
        assert_eq!(lessor.info(LeaseId(7), 4_000).expect("granted").remaining_ms, 1_000);
        lessor.remove(LeaseId(7));
        assert_eq!((lessor.expired(9_000), lessor.next_deadline()), (None, None));
        lessor.set(LeaseId(1), 1, 0);
        for renewed in 1..10_000 {
            lessor.set(LeaseId(8), 2, renewed);
        }
        assert!(lessor.deadlines.len() < 100, "{} entries for two leases", lessor.deadlines.len());
        lessor.check([].into_iter());
    }

    #[test]
    fn a_grant_is_refused_with_a_reason() {
        let mut lessor = Lessor::default();
        lessor.set(LeaseId(7), 2, 2_000);
        let rows = [(0, 1, "INVALID_ARGUMENT"), (1, 0, "INVALID_ARGUMENT"), (7, 1, "LEASE_EXISTS"), (-1, 1, "ok")];
        for (id, ttl_seconds, expected) in rows {
            let code = lessor.check_grant(LeaseId(id), ttl_seconds).map_or_else(|error| error.code(), |()| "ok");
            assert_eq!(code, expected, "grant({id}, {ttl_seconds})");
        }
        let too_large = lessor.check_grant(LeaseId(1), TTL_SECONDS_MAX + 1);
        assert_eq!(too_large.map_err(|error| error.code()), Err("INVALID_ARGUMENT"));
    }
}
