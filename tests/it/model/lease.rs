//! Leases: a deadline each. Which keys are attached is read off the present state.

use super::store::{Model, Outcome};
use crate::op::{Answer, Bytes};

const TTL_SECONDS_MAX: u64 = 9_000_000_000;

#[derive(Clone)]
pub struct Lease {
    pub ttl_seconds: u64,
    pub deadline_ms: u64,
}

impl Model {
    /// Whoever is past the deadline has none any more, and nobody has more left than was granted.
    pub fn tell(&mut self, now_ms: u64) {
        for lease in self.leases.values_mut() {
            let longest = now_ms + lease.ttl_seconds * 1000;
            lease.deadline_ms = if lease.deadline_ms <= now_ms { 0 } else { lease.deadline_ms.min(longest) };
        }
    }

    pub fn grant(&mut self, id: i64, ttl_seconds: u64, now_ms: u64) -> Outcome<Answer> {
        if id == 0 || !(1..=TTL_SECONDS_MAX).contains(&ttl_seconds) {
            return Err("INVALID_ARGUMENT");
        }
        if self.leases.contains_key(&id) {
            return Err("LEASE_EXISTS");
        }
        self.leases.insert(id, Lease { ttl_seconds, deadline_ms: now_ms + ttl_seconds * 1000 });
        Ok(Answer::LeaseGrant { revision: self.revision, id, ttl: ttl_seconds })
    }

    pub fn revoke(&mut self, id: i64) -> Outcome<Answer> {
        self.leases.remove(&id).ok_or("LEASE_NOT_FOUND")?;
        let keys = self.attached(id);
        let mut draft = self.draft();
        keys.iter().for_each(|key| draft.delete(key));
        let (state, changes) = draft.finish();
        self.publish(state, changes);
        Ok(Answer::LeaseRevoke { revision: self.revision })
    }

    /// A lease past its deadline is not revived, though its keys are still there.
    pub fn keep_alive(&mut self, id: i64, now_ms: u64) -> Outcome<Answer> {
        let alive = self.leases.get_mut(&id).filter(|lease| now_ms < lease.deadline_ms);
        let lease = alive.ok_or("LEASE_NOT_FOUND")?;
        lease.deadline_ms = now_ms + lease.ttl_seconds * 1000;
        Ok(Answer::LeaseKeepAlive { revision: self.revision, ttl: lease.ttl_seconds })
    }

    pub fn time_to_live(&self, id: i64, now_ms: u64) -> Answer {
        let lease = self.leases.get(&id);
        Answer::LeaseTimeToLive {
            revision: self.revision,
            exists: lease.is_some(),
            granted_ttl: lease.map_or(0, |lease| lease.ttl_seconds),
            remaining_ms: lease.map_or(0, |lease| {
                let left = lease.deadline_ms as i64 - now_ms as i64;
                left.clamp(0, lease.ttl_seconds as i64 * 1000)
            }),
            keys: if lease.is_some() { self.attached(id) } else { Vec::new() },
        }
    }

    pub fn next_deadline(&self) -> Option<u64> {
        self.leases.values().map(|lease| lease.deadline_ms).min()
    }

    /// Revokes what is due, the earliest first: one revision for each lease that has keys.
    pub fn tick(&mut self, now_ms: u64) {
        while let Some((_, id)) = self.leases.iter().map(|(&id, lease)| (lease.deadline_ms, id)).min()
            && self.leases[&id].deadline_ms <= now_ms
        {
            self.revoke(id).expect("it was just listed");
        }
        self.tell(now_ms);
    }

    fn attached(&self, id: i64) -> Vec<Bytes> {
        self.present().values().filter(|kv| kv.lease == id).map(|kv| kv.key.clone()).collect()
    }
}
