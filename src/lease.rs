//! Leases: keys that live as long as somebody keeps them alive.
//!
//! The lessor knows which keys are attached to a lease by following every record that is committed (or recovered): a put
//! attaches its key to the put's lease and detaches it from any other, a tombstone detaches it. So attachments are not
//! stored; they follow from the history. Deleting a lease's keys is the engine's: the lessor says
//! which they are.
//!
//! The time is that of a host whose clock may be set in either direction. A lease is over once the lessor was told a time
//! at or after its deadline, which is 0 from then on. And a lease never has more left than it was granted: told an earlier
//! time than before, the lessor takes the deadline nearer. So a clock that jumps back revives no lease and lets none live
//! for ever, and one that jumps ahead ends each once. Deadlines moved so are stored, or a restart would forget it.

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
    /// What is left; 0 between its end and the write that removes it.
    pub remaining_ms: i64,
    /// The keys attached to it, ascending.
    pub keys: Vec<Vec<u8>>,
}

#[derive(Debug, Clone)]
struct Lease {
    id: LeaseId,
    ttl_seconds: u64,
    /// [`OVER`] where a later time was told.
    deadline_ms: u64,
    /// The store's revision when it was granted, or its deadline last moved.
    revision: u64,
    /// Ascending.
    keys: Vec<Arc<[u8]>>,
}

/// The deadline of a lease that is over: no time is before it.
const OVER: u64 = 0;

/// When a lease ends that has all of its time from now.
pub(crate) fn deadline(ttl_seconds: u64, now_ms: u64) -> u64 {
    now_ms.saturating_add(ttl_seconds * 1000)
}

/// So many of the leases that are gone are remembered. A replica that is further behind is told all leases there are.
const GONE_MAX: usize = 1024;

/// What has become of leases, as a replica is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LeaseChanges {
    /// Each with its time to live and deadline, ids ascending.
    pub set: Vec<(LeaseId, u64, u64)>,
    /// Those that are gone, ascending.
    pub gone: Vec<LeaseId>,
    /// `set` are all there are.
    pub is_complete: bool,
}

/// Refuses what no lease is.
pub(crate) fn validate(id: LeaseId, ttl_seconds: u64) -> Result<(), &'static str> {
    let is_possible = id != LeaseId::NONE && (1..=TTL_SECONDS_MAX).contains(&ttl_seconds);
    if is_possible { Ok(()) } else { Err("a lease says what no grant does") }
}

/// Every lease granted and not gone, ids ascending, and the keys attached to them.
///
/// Both lists are sorted vectors: leases are counted in hundreds, and a balanced tree of each would be the better part
/// of 20 KB of code.
///
/// Invariants ([`Lessor::check`]):
/// - a key is attached to the lease that its newest record names, if that lease is there, and to no other;
/// - `deadlines` has each lease under its deadline; what else it has is out of date and skipped;
/// - once a time was told, each lease is over or ends after it, but no later than one granted then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lessor {
    leases: Vec<Lease>,
    deadlines: BinaryHeap<Reverse<(u64, LeaseId)>>,
    told_ms: Option<u64>,
    /// The leases that are gone, each with the store's revision then, ascending; of those that went at `since` or later.
    gone: Vec<(u64, LeaseId)>,
    since: u64,
    /// A key was attached to a lease that is not there, as happens in a replica that hears of leases before records.
    has_orphans: bool,
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

    /// Remembers the leases that go from now on, and no others: the store is at this revision.
    pub fn begin(&mut self, revision: u64) {
        self.gone.clear();
        self.since = revision + 1;
    }

    /// Takes note of the time. Gives the leases that it moves the deadline of, each with its time to live and deadline.
    pub fn tell(&mut self, now_ms: u64, revision: u64) -> Vec<(LeaseId, u64, u64)> {
        let set_back = self.told_ms.replace(now_ms).is_none_or(|told_ms| now_ms < told_ms);
        if !set_back && self.expired(now_ms).is_none() {
            return Vec::new();
        }
        let moved = |(id, ttl_seconds, before_ms): (LeaseId, u64, u64)| {
            let deadline_ms = if before_ms <= now_ms { OVER } else { before_ms.min(deadline(ttl_seconds, now_ms)) };
            (deadline_ms != before_ms).then_some((id, ttl_seconds, deadline_ms))
        };
        let moved: Vec<_> = self.iter().filter_map(moved).collect();
        for (id, ttl_seconds, deadline_ms) in &moved {
            self.set(*id, *ttl_seconds, *deadline_ms, revision);
        }
        moved
    }

    /// Grants a lease, or moves the deadline of one that is there. The store is at this revision.
    pub fn set(&mut self, id: LeaseId, ttl_seconds: u64, deadline_ms: u64, revision: u64) {
        match self.place_of(id) {
            Ok(place) => {
                let keys = std::mem::take(&mut self.leases[place].keys);
                self.leases[place] = Lease { id, ttl_seconds, deadline_ms, revision, keys };
            }
            Err(place) => self.leases.insert(place, Lease { id, ttl_seconds, deadline_ms, revision, keys: Vec::new() }),
        }
        self.deadlines.push(Reverse((deadline_ms, id)));
        self.drop_outdated();
    }

    /// The same for a lease read from storage.
    pub fn restore(&mut self, id: LeaseId, ttl_seconds: u64, deadline_ms: u64) -> Result<(), &'static str> {
        validate(id, ttl_seconds)?;
        self.set(id, ttl_seconds, deadline_ms, 0);
        Ok(())
    }

    /// Forgets a lease. Its keys have been deleted, and so detached, before; the store is at this revision.
    pub fn remove(&mut self, id: LeaseId, revision: u64) {
        if let Ok(place) = self.place_of(id) {
            self.leases.remove(place);
            self.gone.push((revision, id));
        }
        if self.gone.len() > GONE_MAX {
            self.since = self.gone.drain(..GONE_MAX / 2).next_back().map_or(self.since, |(revision, _)| revision + 1);
            self.gone.retain(|(revision, _)| *revision >= self.since);
        }
        self.drop_outdated();
    }

    /// What has become of leases while the store was at revision `from` or later.
    pub fn changes(&self, from: u64) -> LeaseChanges {
        let is_complete = from < self.since;
        let set = self.leases.iter().filter(|lease| is_complete || lease.revision >= from);
        let set = set.map(|lease| (lease.id, lease.ttl_seconds, lease.deadline_ms)).collect();
        let mut gone = Vec::new();
        for (_, id) in self.gone.iter().filter(|(revision, _)| !is_complete && *revision >= from) {
            if let Err(place) = gone.binary_search(id)
                && !self.is_granted(*id)
            {
                gone.insert(place, *id);
            }
        }
        LeaseChanges { set, gone, is_complete }
    }

    /// Of the leases that a source says are gone, those there are. One that has keys is left out: the records that delete
    /// them are still to come, and it will be told again with them.
    pub fn leaving(&self, changes: &LeaseChanges) -> Vec<LeaseId> {
        let is_told = |id: &LeaseId| match changes.is_complete {
            true => changes.set.binary_search_by_key(id, |(id, _, _)| *id).is_err(),
            false => changes.gone.binary_search(id).is_ok(),
        };
        let empty = self.leases.iter().filter(|lease| lease.keys.is_empty()).map(|lease| lease.id);
        empty.filter(is_told).collect()
    }

    /// Forgets which time was told: a replica's deadlines are those of its source, whatever the time here.
    pub fn forget_time(&mut self) {
        self.told_ms = None;
    }

    /// Whether a key may be attached to a lease here without being known as such; asked once.
    pub fn take_orphans(&mut self) -> bool {
        std::mem::take(&mut self.has_orphans)
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
        } else if id != LeaseId::NONE {
            self.has_orphans = true;
        }
    }

    /// The number of leases.
    pub fn len(&self) -> usize {
        self.leases.len()
    }

    /// Whether no lease is there.
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

    /// When the next lease ends, in ms; 0 if one is over.
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.peek().map(|Reverse((deadline_ms, _))| *deadline_ms)
    }

    /// A lease as it would stand if this time were told.
    pub fn info(&self, id: LeaseId, now_ms: u64) -> Option<LeaseInfo> {
        let lease = self.get(id)?;
        let deadline_ms = lease.deadline_ms.min(deadline(lease.ttl_seconds, now_ms));
        let remaining_ms = deadline_ms.saturating_sub(now_ms).cast_signed();
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
        for (Lease { id, ttl_seconds, deadline_ms, .. }, told_ms) in self.leases.iter().zip(self.told_ms) {
            let ahead = told_ms < *deadline_ms && *deadline_ms <= deadline(*ttl_seconds, told_ms);
            assert!(ahead || *deadline_ms == OVER, "lease {} cannot end at {deadline_ms}: it is {told_ms}", id.0);
        }
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
        lessor.set(LeaseId(7), 10, 10_000, 1);
        lessor.set(LeaseId(8), 10, 10_000, 1);
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
        lessor.set(LeaseId(7), 2, 2_000, 1);
        assert_eq!((lessor.expired(1_999), lessor.expired(2_000)), (None, Some(LeaseId(7))));
        assert_eq!(lessor.ttl_seconds(LeaseId(7), 1_999), Ok(2));
        assert_eq!(lessor.ttl_seconds(LeaseId(7), 2_000), Err(Error::LeaseNotFound { id: 7 }));
        lessor.set(LeaseId(7), 2, 5_000, 1);
        assert_eq!((lessor.expired(4_999), lessor.next_deadline()), (None, Some(5_000)));
        assert_eq!(lessor.info(LeaseId(7), 4_000).expect("granted").remaining_ms, 1_000);
        lessor.remove(LeaseId(7), 1);
        assert_eq!((lessor.expired(9_000), lessor.next_deadline()), (None, None));
        lessor.set(LeaseId(1), 1, 0, 1);
        for renewed in 1..10_000 {
            lessor.set(LeaseId(8), 2, renewed, 1);
        }
        assert!(lessor.deadlines.len() < 100, "{} entries for two leases", lessor.deadlines.len());
        lessor.check([].into_iter());
    }

    /// A lease of 10 seconds that ends at 20,000, and what is left of it by the times told in turn.
    #[test]
    fn a_clock_that_is_set_gives_no_lease_time() {
        let rows: [(&str, &[u64], u64, i64); 8] = [
            ("before anything is told", &[], 20_000, 10_000),
            ("going on", &[10_000, 15_000, 19_999], 20_000, 1),
            ("over", &[10_000, 20_000], OVER, 0),
            ("over, and then set back", &[20_000, 10_000], OVER, 0),
            ("set back", &[15_000, 12_000], 20_000, 8_000),
            ("set back to before its grant", &[15_000, 5_000], 15_000, 10_000),
            ("set back at a restart", &[5_000], 15_000, 10_000),
            ("set back and put right", &[15_000, 5_000, 14_000], 15_000, 1_000),
        ];
        for (name, told, deadline_ms, remaining_ms) in rows {
            let mut lessor = Lessor::default();
            lessor.set(LeaseId(7), 10, 20_000, 1);
            let moves = told.iter().filter(|now_ms| !lessor.tell(**now_ms, 1).is_empty()).count();
            assert_eq!(moves, usize::from(deadline_ms != 20_000), "{name}: how often its deadline moves");
            let now_ms = told.last().copied().unwrap_or(10_000);
            let lease = lessor.info(LeaseId(7), now_ms).expect("granted");
            assert_eq!((lessor.next_deadline(), lease.remaining_ms), (Some(deadline_ms), remaining_ms), "{name}");
            assert_eq!(lessor.ttl_seconds(LeaseId(7), now_ms).is_ok(), remaining_ms > 0, "{name}");
            lessor.check([].into_iter());
        }
    }

    #[test]
    fn a_grant_is_refused_with_a_reason() {
        let mut lessor = Lessor::default();
        lessor.set(LeaseId(7), 2, 2_000, 1);
        let rows = [(0, 1, "INVALID_ARGUMENT"), (1, 0, "INVALID_ARGUMENT"), (7, 1, "LEASE_EXISTS"), (-1, 1, "ok")];
        for (id, ttl_seconds, expected) in rows {
            let code = lessor.check_grant(LeaseId(id), ttl_seconds).map_or_else(|error| error.code(), |()| "ok");
            assert_eq!(code, expected, "grant({id}, {ttl_seconds})");
        }
        let too_large = lessor.check_grant(LeaseId(1), TTL_SECONDS_MAX + 1);
        assert_eq!(too_large.map_err(|error| error.code()), Err("INVALID_ARGUMENT"));
    }
}
