//! What really happened: a list of what each revision changed, kept by the test and not read from any engine.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use revkv::{Engine, Event, EventKind, History, KeyValue, LeaseId, Range};

use crate::act::{Act, Change};

/// A key that is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Value {
    pub bytes: Arc<[u8]>,
    pub create_revision: u64,
    pub mod_revision: u64,
    pub version: u64,
    pub lease: i64,
}

pub type Key = Arc<[u8]>;
pub type State = BTreeMap<Key, Value>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    pub ttl_seconds: u64,
    pub deadline_ms: u64,
}

/// One key changed at one revision: to a value, or to nothing.
type Row = (Key, Option<Value>);

/// Every revision there was, and what else can be asked for.
#[derive(Debug, Clone)]
pub struct Truth {
    /// The state at each revision, from 1 on.
    states: Vec<Arc<State>>,
    /// What each revision changed, from 1 on.
    rows: Vec<Arc<[Row]>>,
    /// A number for all that happened up to each revision, from 1 on.
    digests: Vec<u64>,
    pub compacted: u64,
    pub leases: Arc<BTreeMap<i64, Lease>>,
    pub now_ms: u64,
    /// How many acts there were, and how many of them left something to be stored.
    pub acts: usize,
    pub effects: usize,
}

impl Truth {
    pub fn new() -> Self {
        Self {
            states: vec![Arc::default()],
            rows: vec![Arc::default()],
            digests: vec![0],
            compacted: 0,
            leases: Arc::default(),
            now_ms: 1_000_000,
            acts: 0,
            effects: 0,
        }
    }

    pub fn revision(&self) -> u64 {
        self.states.len() as u64
    }

    pub fn present(&self) -> &State {
        &self.states[self.states.len() - 1]
    }

    fn at(&self, revision: u64) -> &State {
        &self.states[usize::try_from(revision).expect("small") - 1]
    }

    /// A number for the history up to a revision.
    pub fn digest(&self, revision: u64) -> u64 {
        self.digests[usize::try_from(revision).expect("small") - 1]
    }

    /// What an act does, which has to be one that can be done.
    pub fn perform(&mut self, act: &Act) {
        let before = (self.revision(), self.compacted, self.leases.clone());
        self.change(act);
        self.acts += 1;
        self.effects += usize::from(before != (self.revision(), self.compacted, self.leases.clone()));
    }

    fn change(&mut self, act: &Act) {
        match act {
            Act::Write(changes) => self.write(changes),
            Act::DeleteFrom(from, end) => {
                let gone: Vec<Key> =
                    self.present().range(from.clone()..end.clone()).map(|(key, _)| key.clone()).collect();
                self.delete(&gone);
            }
            Act::Compact(revision) => self.compacted = self.compacted.max(*revision),
            Act::Grant { id, ttl_seconds } => self.lease(*id, *ttl_seconds),
            Act::KeepAlive(id) => {
                let ttl_seconds = self.leases[id].ttl_seconds;
                self.lease(*id, ttl_seconds);
            }
            Act::Revoke(id) => self.revoke(*id),
            Act::RestoreTo(revision) => self.restore_to(*revision),
            Act::Tick(now_ms) => self.tick(*now_ms),
            Act::CompactSteps(_) | Act::Snapshot(_) | Act::Release(_) => {}
        }
    }

    fn write(&mut self, changes: &[Change]) {
        let (present, revision) = (self.present(), self.revision() + 1);
        let row = |Change { key, put }: &Change| {
            let before = present.get(key);
            match put {
                None => before.map(|_| (key.clone(), None)),
                Some((bytes, lease)) => {
                    let (create_revision, version) =
                        before.map_or((revision, 1), |v| (v.create_revision, v.version + 1));
                    let (bytes, lease) = (bytes.clone(), *lease);
                    let value = Value { bytes, create_revision, mod_revision: revision, version, lease };
                    Some((key.clone(), Some(value)))
                }
            }
        };
        let rows: Vec<Row> = changes.iter().filter_map(row).collect();
        if rows.is_empty() {
            return;
        }
        let mut state = present.clone();
        for (key, value) in &rows {
            match value {
                Some(value) => drop(state.insert(key.clone(), value.clone())),
                None => drop(state.remove(key)),
            }
        }
        let mut hasher = DefaultHasher::new();
        (self.digests.last(), &rows).hash(&mut hasher);
        self.digests.push(hasher.finish());
        self.states.push(Arc::new(state));
        self.rows.push(rows.into());
    }

    fn delete(&mut self, keys: &[Key]) {
        let changes: Vec<Change> = keys.iter().map(|key| Change { key: key.clone(), put: None }).collect();
        self.write(&changes);
    }

    fn restore_to(&mut self, revision: u64) {
        let (wanted, now) = (self.at(revision).clone(), self.present().clone());
        let stale = wanted.iter().filter(|(key, value)| now.get(*key).is_none_or(|now| now.bytes != value.bytes));
        let puts = stale.map(|(key, value)| {
            let lease = now.get(key).map_or(0, |now| now.lease);
            Change { key: key.clone(), put: Some((value.bytes.clone(), lease)) }
        });
        let gone = now.keys().filter(|key| !wanted.contains_key(*key));
        let deletes = gone.map(|key| Change { key: key.clone(), put: None });
        let changes: Vec<Change> = puts.chain(deletes).collect();
        self.write(&changes);
    }

    fn lease(&mut self, id: i64, ttl_seconds: u64) {
        let deadline_ms = self.now_ms + ttl_seconds * 1000;
        Arc::make_mut(&mut self.leases).insert(id, Lease { ttl_seconds, deadline_ms });
    }

    fn revoke(&mut self, id: i64) {
        let attached = self.present().iter().filter(|(_, value)| value.lease == id);
        let keys: Vec<Key> = attached.map(|(key, _)| key.clone()).collect();
        self.delete(&keys);
        Arc::make_mut(&mut self.leases).remove(&id);
    }

    fn tick(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        let over = self.leases.iter().filter(|(_, lease)| lease.deadline_ms <= now_ms);
        let mut over: Vec<(u64, i64)> = over.map(|(id, lease)| (lease.deadline_ms, *id)).collect();
        over.sort_unstable();
        over.into_iter().for_each(|(_, id)| self.revoke(id));
    }

    /// Says what an engine answers otherwise than it was.
    pub fn compare(&self, engine: &Engine) -> Result<(), String> {
        let revisions = (engine.revision(), engine.compact_revision());
        same(revisions == (self.revision(), self.compacted), || {
            format!("revision and compact revision: {revisions:?}")
        })?;
        self.compare_history(engine)?;
        let oldest = self.compacted.max(1);
        for revision in [oldest, oldest.midpoint(self.revision()), self.revision()] {
            self.compare_state(engine, revision)?;
        }
        if self.compacted > 1 {
            let before = Range { revision: self.compacted - 1, ..Range::default() };
            let code = engine.range(&before).map_err(|error| error.code());
            same(code == Err("COMPACTED"), || format!("a read of what is compacted: {code:?}"))?;
        }
        self.compare_leases(engine)
    }

    /// Every change from the compact revision on, and what a read there sees of those before.
    fn compare_history(&self, engine: &Engine) -> Result<(), String> {
        let rows = self.rows.iter().zip(1..).flat_map(|(rows, at)| rows.iter().map(move |row| (at, row)));
        let is_seen = |key: &Key, at: u64| {
            self.compacted > 0 && self.at(self.compacted).get(key).is_some_and(|value| value.mod_revision == at)
        };
        let kept = rows.filter(|(at, (key, put))| *at >= self.compacted || put.is_some() && is_seen(key, *at));
        let mut events = engine.history(&History::default()).map_err(|error| error.to_string())?.into_iter();
        for (at, (key, value)) in kept {
            let event = events.next();
            let is_same = event.as_ref().is_some_and(|event| is_event(event, at, key, value.as_ref()));
            same(is_same, || format!("{event:?} instead of {key:?} becoming {value:?} at {at}"))?;
        }
        let more = events.next();
        same(more.is_none(), || format!("a change that never was: {more:?}"))
    }

    fn compare_state(&self, engine: &Engine, revision: u64) -> Result<(), String> {
        let read = engine.range(&Range { revision, ..Range::default() }).map_err(|error| error.to_string())?;
        let state = self.at(revision);
        let is_same = read.kvs.iter().zip(state).all(|(kv, (key, value))| is_value(kv, key, value));
        same(is_same && read.kvs.len() == state.len(), || format!("at {revision}: {:?} instead of {state:?}", read.kvs))
    }

    fn compare_leases(&self, engine: &Engine) -> Result<(), String> {
        let ids = engine.leases();
        same(ids.iter().map(|id| id.0).eq(self.leases.keys().copied()), || format!("the leases: {ids:?}"))?;
        for (id, lease) in self.leases.iter() {
            let info = engine.lease(LeaseId(*id), self.now_ms).expect("listed");
            let remaining_ms = lease.deadline_ms.saturating_sub(self.now_ms).cast_signed();
            let attached = self.present().iter().filter(|(_, value)| value.lease == *id).map(|(key, _)| &**key);
            let is_same = (info.ttl_seconds, info.remaining_ms) == (lease.ttl_seconds, remaining_ms)
                && info.keys.iter().map(|key| &key[..]).eq(attached);
            same(is_same, || format!("{info:?} instead of {lease:?} at {}", self.now_ms))?;
        }
        Ok(())
    }
}

fn same(is_same: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if is_same { Ok(()) } else { Err(what()) }
}

fn is_event(event: &Event<'_>, at: u64, key: &Key, value: Option<&Value>) -> bool {
    match value {
        Some(value) => event.kind == EventKind::Put && is_value(&event.kv, key, value),
        None => event.kind == EventKind::Delete && *event.kv.key == **key && event.kv.mod_revision == at,
    }
}

fn is_value(kv: &KeyValue<'_>, key: &Key, value: &Value) -> bool {
    let numbers = (kv.create_revision, kv.mod_revision, kv.version, kv.lease.0);
    let expected = (value.create_revision, value.mod_revision, value.version, value.lease);
    *kv.key == **key && *kv.value == *value.bytes && numbers == expected
}
