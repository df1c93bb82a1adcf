//! The store: one whole map of keys for each revision that can be read, and the list of its changes.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use revkv::Limits;

use super::lease::Lease;
use super::size::{Kept, Removal};
use super::watch::Watcher;
use crate::op::{Answer, Bytes, DeleteRange, Event, EventType, Keys, Kv, Op, Put, Range, SortOrder, SortTarget};

/// Every key that is present, with its value.
pub type State = BTreeMap<Bytes, Kv>;

/// A failure, by its code.
pub type Outcome<T> = Result<T, &'static str>;

#[derive(Clone)]
pub struct Model {
    pub revision: u64,
    /// Reads below it fail; 0 is never compacted.
    pub compact_revision: u64,
    pub limits: Limits,
    /// The state at each revision that can be read.
    pub states: BTreeMap<u64, Rc<State>>,
    /// What happened at each revision ever written, in order. Compaction only says who may look.
    pub changes: BTreeMap<u64, Rc<[Event]>>,
    /// The revisions of the snapshots held, ascending, one entry each.
    pub pins: Vec<u64>,
    pub leases: BTreeMap<i64, Lease>,
    pub watchers: BTreeMap<u32, Watcher>,
    /// What it all takes, and how far the engine may be from that.
    pub kept: Rc<Kept>,
    pub removal: Removal,
}

/// A write that has not been published: dropped on an error, so that nothing of it remains.
pub struct Draft<'a> {
    model: &'a Model,
    state: State,
    changes: Vec<Event>,
}

impl Model {
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    pub fn with_limits(limits: Limits) -> Self {
        Self {
            revision: 1,
            compact_revision: 0,
            limits,
            states: BTreeMap::from([(1, Rc::default())]),
            changes: BTreeMap::new(),
            pins: Vec::new(),
            leases: BTreeMap::new(),
            watchers: BTreeMap::new(),
            kept: Rc::default(),
            removal: Removal::Done,
        }
    }

    pub fn perform(&mut self, op: &Op, now_ms: u64) -> Outcome<Answer> {
        if op.is_request() {
            self.tell(now_ms);
        }
        match op {
            Op::Put(put) => self.put(put),
            Op::Range(range) => self.draft().range(range),
            Op::DeleteRange(delete) => self.delete_range(delete),
            Op::Txn(txn) => self.txn(txn),
            Op::Compact { revision } => self.compact(*revision),
            Op::LeaseGrant { id, ttl } => self.grant(*id, *ttl, now_ms),
            Op::LeaseRevoke { id } => self.revoke(*id),
            Op::LeaseKeepAlive { id } => self.keep_alive(*id, now_ms),
            Op::LeaseTimeToLive { id } => Ok(self.time_to_live(*id, now_ms)),
            Op::LeaseLeases => {
                Ok(Answer::LeaseLeases { revision: self.revision, ids: self.leases.keys().copied().collect() })
            }
            Op::Get { key, revision } => self.get(key, *revision),
            Op::History { keys, from, to, limit } => self.history(keys, *from, *to, *limit),
            Op::Since { keys, start_revision, end_revision, limit } => {
                self.since(keys, *start_revision, *end_revision, *limit)
            }
            Op::Diff { keys, from, to } => self.diff(keys, *from, *to),
            Op::RestoreTo { keys, revision } => self.restore_to(keys, *revision),
            Op::Commit(commit) => self.commit(commit),
            Op::Hash { revision } => self.hash(*revision),
            Op::Snapshot { revision } => self.snapshot(*revision),
            Op::ReleaseSnapshot { revision } => Ok(self.release_snapshot(*revision)),
            Op::Watch(_) => unreachable!("a watch is made by Model::watch, under the caller's id"),
        }
    }

    pub fn present(&self) -> &State {
        &self.states[&self.revision]
    }

    pub fn draft(&self) -> Draft<'_> {
        Draft { model: self, state: self.present().clone(), changes: Vec::new() }
    }

    pub fn publish(&mut self, state: State, changes: Vec<Event>) {
        if !changes.is_empty() {
            self.revision += 1;
            self.states.insert(self.revision, Rc::new(state));
            self.changes.insert(self.revision, changes.into());
            self.count();
        }
    }

    fn put(&mut self, put: &Put) -> Outcome<Answer> {
        self.check_size(put.key.0.len() + put.value.0.len())?;
        put.check_shape()?;
        self.check_lease(put)?;
        self.check_key(put)?;
        self.check_room(&[self.stored_by(put)])?;
        let mut draft = self.draft();
        let answer = draft.put(put)?;
        let (state, changes) = draft.finish();
        self.publish(state, changes);
        Ok(answer)
    }

    fn delete_range(&mut self, delete: &DeleteRange) -> Outcome<Answer> {
        self.check_size(delete.keys.bytes())?;
        delete.keys.check_shape()?;
        let mut draft = self.draft();
        let answer = draft.delete_range(delete);
        let (state, changes) = draft.finish();
        self.publish(state, changes);
        Ok(answer)
    }

    fn get(&self, key: &Bytes, revision: u64) -> Outcome<Answer> {
        if key.is_empty() {
            return Err("INVALID_KEY");
        }
        Ok(Answer::Get(self.state_at(revision)?.get(key).cloned()))
    }

    /// The state at a revision that is not compacted, or that a snapshot holds; 0 is the present.
    pub fn state_at(&self, revision: u64) -> Outcome<&State> {
        match revision {
            0 => Ok(self.present()),
            _ if self.pins.contains(&revision) => Ok(&self.states[&revision]),
            _ => self.check_uncompacted(revision).map(|()| &*self.states[&revision]),
        }
    }

    /// Between the compact revision and the present, whatever snapshots are held.
    pub fn check_uncompacted(&self, revision: u64) -> Outcome<()> {
        if revision > self.revision {
            Err("FUTURE_REVISION")
        } else if revision < self.compact_revision {
            Err("COMPACTED")
        } else {
            Ok(())
        }
    }

    /// The key as it was before the transaction at `revision`, unless that is compacted away.
    pub fn before(&self, key: &Bytes, revision: u64) -> Option<&Kv> {
        let before = Some(revision - 1).filter(|before| *before >= self.compact_revision);
        self.states.get(&before?)?.get(key)
    }

    fn compact(&mut self, revision: u64) -> Outcome<Answer> {
        if revision > self.revision {
            return Err("FUTURE_REVISION");
        }
        if revision <= self.compact_revision && self.compact_revision > 0 {
            return Err("COMPACTED");
        }
        self.overtake(revision);
        self.compact_revision = revision;
        self.forget_states();
        self.count();
        Ok(Answer::Compact { revision: self.revision })
    }

    /// Drops the states that nothing can read.
    pub fn forget_states(&mut self) {
        let Self { states, pins, compact_revision, .. } = self;
        states.retain(|at, _| at >= compact_revision || pins.contains(at));
    }
}

impl Draft<'_> {
    pub fn finish(self) -> (State, Vec<Event>) {
        (self.state, self.changes)
    }

    /// The revision that this write sees: the next one as soon as it has changed something.
    pub fn revision(&self) -> u64 {
        self.model.revision + u64::from(!self.changes.is_empty())
    }

    pub fn put(&mut self, put: &Put) -> Outcome<Answer> {
        let before = self.state.get(&put.key).cloned();
        if before.is_none() && (put.ignore_value || put.ignore_lease) {
            return Err("KEY_NOT_FOUND");
        }
        let main = self.model.revision + 1;
        let mut kv = Kv {
            key: put.key.clone(),
            value: put.value.clone(),
            create_revision: main,
            mod_revision: main,
            version: 1,
            lease: put.lease,
        };
        if let Some(before) = &before {
            kv.create_revision = before.create_revision;
            kv.version = before.version + 1;
            if put.ignore_value {
                kv.value = before.value.clone();
            }
            if put.ignore_lease {
                kv.lease = before.lease;
            }
        }
        self.state.insert(put.key.clone(), kv.clone());
        self.changes.push(Event { r#type: EventType::Put, kv, prev_kv: None });
        Ok(Answer::Put { revision: self.revision(), prev_kv: before.filter(|_| put.prev_kv) })
    }

    pub fn delete_range(&mut self, delete: &DeleteRange) -> Answer {
        let gone: Vec<Kv> = self.state.values().filter(|kv| delete.keys.contains(&kv.key)).cloned().collect();
        for kv in &gone {
            self.delete(&kv.key);
        }
        Answer::DeleteRange {
            revision: self.revision(),
            deleted: gone.len() as u64,
            prev_kvs: if delete.prev_kv { gone } else { Vec::new() },
        }
    }

    pub fn delete(&mut self, key: &Bytes) {
        self.state.remove(key);
        let kv = Kv {
            key: key.clone(),
            value: Bytes::default(),
            create_revision: 0,
            mod_revision: self.model.revision + 1,
            version: 0,
            lease: 0,
        };
        self.changes.push(Event { r#type: EventType::Delete, kv, prev_kv: None });
    }

    pub fn range(&self, range: &Range) -> Outcome<Answer> {
        range.keys.check_shape()?;
        let state = if range.revision == 0 { &self.state } else { self.model.state_at(range.revision)? };
        let in_range: Vec<&Kv> = state.values().filter(|kv| range.keys.contains(&kv.key)).collect();
        let count = in_range.len() as u64;
        if range.count_only {
            return Ok(Answer::Range { revision: self.revision(), kvs: Vec::new(), count, more: false });
        }
        let mut kvs: Vec<Kv> = in_range.into_iter().filter(|kv| range.admits(kv)).cloned().collect();
        kvs.sort_by(|a, b| range.order(a, b).then_with(|| a.key.cmp(&b.key)));
        let more = range.limit > 0 && kvs.len() as u64 > range.limit;
        if more {
            kvs.truncate(range.limit as usize);
        }
        if range.keys_only {
            kvs.iter_mut().for_each(|kv| kv.value = Bytes::default());
        }
        Ok(Answer::Range { revision: self.revision(), kvs, count, more })
    }
}

impl Range {
    fn admits(&self, kv: &Kv) -> bool {
        let at_most = |revision: u64, max: u64| max == 0 || revision <= max;
        kv.mod_revision >= self.min_mod_revision
            && kv.create_revision >= self.min_create_revision
            && at_most(kv.mod_revision, self.max_mod_revision)
            && at_most(kv.create_revision, self.max_create_revision)
    }

    fn order(&self, a: &Kv, b: &Kv) -> Ordering {
        let ascending = match self.sort_target {
            SortTarget::Key => a.key.cmp(&b.key),
            SortTarget::Version => a.version.cmp(&b.version),
            SortTarget::Create => a.create_revision.cmp(&b.create_revision),
            SortTarget::Mod => a.mod_revision.cmp(&b.mod_revision),
            SortTarget::Value => a.value.cmp(&b.value),
        };
        if self.sort_order == SortOrder::Descend { ascending.reverse() } else { ascending }
    }
}

impl Put {
    pub fn check_shape(&self) -> Outcome<()> {
        if self.key.is_empty() {
            Err("INVALID_KEY")
        } else if self.ignore_value && !self.value.is_empty() {
            Err("VALUE_PROVIDED")
        } else if self.ignore_lease && self.lease != 0 {
            Err("LEASE_PROVIDED")
        } else {
            Ok(())
        }
    }
}

impl Keys {
    /// The engine takes an empty key as a bound; only a single key must not be empty.
    pub fn check_shape(&self) -> Outcome<()> {
        if self.key.is_empty() && self.range_end.is_empty() { Err("INVALID_KEY") } else { Ok(()) }
    }
}
