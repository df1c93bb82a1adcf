//! What users do with a store: kinds of work, and from a seed the steps of one.

use std::sync::Arc;

use fastrand::Rng;

use crate::act::{Act, Change};
use crate::host::Durability;
use crate::truth::{Key, Truth};

/// One thing that a host does.
#[derive(Debug, Clone)]
pub enum Step {
    Act(Act, Durability),
    /// Waits for all that was done, without doing anything.
    Flush(Durability),
    /// The storage answers, if it was asked; then it is asked to write what is there.
    Turn,
    /// The same until there is nothing to write.
    Settle,
    /// Writes everything, closes, and opens again.
    Reopen,
}

/// How often of each hundred.
#[derive(Debug, Clone, Copy, Default)]
struct Often {
    txn: u32,
    delete: u32,
    compact: u32,
    compact_steps: u32,
    lease: u32,
    restore_to: u32,
    snapshot: u32,
    tick: u32,
    reopen: u32,
    flush: u32,
}

/// A kind of work.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    pub name: &'static str,
    pub blob_bytes_max: usize,
    /// How many acts.
    pub acts: usize,
    keys: usize,
    value_bytes_max: usize,
    /// How many acts come before the storage is asked again, at most.
    group: usize,
    /// Of a hundred writes, those that wait for "strict", and for "relaxed". The rest waits for nothing.
    strict: u32,
    relaxed: u32,
    /// The compact revision stays so far behind.
    retention: u64,
    often: Often,
}

const OFTEN: Often = Often {
    txn: 0,
    delete: 0,
    compact: 0,
    compact_steps: 0,
    lease: 0,
    restore_to: 0,
    snapshot: 0,
    tick: 0,
    reopen: 0,
    flush: 0,
};

const PLAIN: Workload = Workload {
    name: "single puts",
    blob_bytes_max: 1024,
    acts: 60,
    keys: 8,
    value_bytes_max: 40,
    group: 1,
    strict: 60,
    relaxed: 40,
    retention: 10,
    often: OFTEN,
};

pub const WORKLOADS: &[Workload] = &[
    PLAIN,
    Workload { name: "group commits", acts: 120, group: 6, strict: 15, relaxed: 35, ..PLAIN },
    Workload {
        name: "transactions over several blobs",
        blob_bytes_max: 400,
        value_bytes_max: 900,
        group: 2,
        strict: 30,
        often: Often { txn: 70, delete: 5, ..OFTEN },
        ..PLAIN
    },
    Workload { name: "deletes", often: Often { delete: 40, txn: 20, ..OFTEN }, group: 2, ..PLAIN },
    Workload {
        name: "compaction with retention",
        acts: 100,
        group: 3,
        strict: 25,
        often: Often { compact: 12, compact_steps: 25, delete: 8, ..OFTEN },
        ..PLAIN
    },
    Workload { name: "leases", acts: 80, group: 2, often: Often { lease: 40, tick: 20, ..OFTEN }, ..PLAIN },
    Workload { name: "put back", group: 2, often: Often { restore_to: 20, delete: 15, txn: 10, ..OFTEN }, ..PLAIN },
    Workload {
        name: "many small pieces joined",
        acts: 140,
        value_bytes_max: 10,
        strict: 12,
        relaxed: 88,
        often: Often { flush: 5, ..OFTEN },
        ..PLAIN
    },
    Workload {
        name: "notes rewritten",
        blob_bytes_max: 400,
        acts: 110,
        keys: 3,
        group: 2,
        strict: 25,
        retention: 4,
        often: Often { compact: 15, compact_steps: 20, lease: 30, tick: 5, ..OFTEN },
        ..PLAIN
    },
    Workload {
        name: "snapshots over compaction",
        acts: 100,
        group: 2,
        strict: 30,
        retention: 5,
        often: Often { compact: 12, compact_steps: 20, snapshot: 15, delete: 8, ..OFTEN },
        ..PLAIN
    },
    Workload { name: "first open", acts: 4, often: Often { reopen: 20, lease: 20, ..OFTEN }, ..PLAIN },
    Workload {
        name: "reopened again and again",
        acts: 70,
        group: 2,
        retention: 6,
        often: Often { reopen: 20, compact: 8, compact_steps: 8, lease: 8, tick: 6, ..OFTEN },
        ..PLAIN
    },
    Workload {
        name: "never strict",
        acts: 40,
        strict: 0,
        relaxed: 60,
        group: 2,
        often: Often { compact: 8, compact_steps: 15, delete: 10, txn: 10, ..OFTEN },
        ..PLAIN
    },
    Workload {
        name: "everything",
        blob_bytes_max: 600,
        acts: 110,
        value_bytes_max: 300,
        group: 4,
        strict: 20,
        often: Often {
            txn: 12,
            delete: 8,
            compact: 8,
            compact_steps: 14,
            lease: 12,
            restore_to: 3,
            snapshot: 5,
            tick: 6,
            reopen: 2,
            flush: 3,
        },
        ..PLAIN
    },
];

/// What comes to a journal of some 16 KiB in a dozen blobs, of every kind there is.
pub const VARIED: Workload = Workload {
    name: "some of everything",
    blob_bytes_max: 2048,
    acts: 240,
    keys: 24,
    value_bytes_max: 420,
    group: 4,
    retention: 80,
    often: Often { txn: 6, delete: 3, compact: 6, compact_steps: 12, lease: 12, tick: 3, ..OFTEN },
    ..PLAIN
};

impl Workload {
    /// The steps of a seed, from the beginning to a store that is written and closed.
    pub fn steps(&self, seed: u64) -> Vec<Step> {
        self.steps_from(seed, Truth::new())
    }

    /// As many steps that go on from here.
    pub fn steps_from(&self, seed: u64, truth: Truth) -> Vec<Step> {
        let acts = truth.acts + self.acts;
        let mut source = Source::new(self, seed, truth);
        let mut steps = vec![Step::Settle];
        while source.truth.acts < acts {
            let group = source.rng.usize(1..=self.group);
            (0..group).for_each(|_| steps.push(source.step()));
            steps.push(if source.rng.u32(0..4) == 0 { Step::Settle } else { Step::Turn });
        }
        steps.extend([Step::Flush(Durability::Strict), Step::Settle]);
        steps
    }

    /// A few steps that go on from here, after the storage is claimed.
    pub fn steps_after(&self, seed: u64, truth: Truth) -> Vec<Step> {
        let mut source = Source::new(self, seed, truth);
        let mut steps = vec![Step::Turn, Step::Turn];
        if source.rng.bool() {
            // What was found, and the claim, may not have been flushed yet.
            steps.extend([Step::Flush(Durability::Strict), Step::Turn]);
        }
        if source.rng.bool() {
            let now_ms = source.truth.now_ms + source.rng.u64(0..5_000);
            steps.push(source.done(Act::Tick(now_ms), Durability::Memory));
        }
        if source.rng.bool() {
            let act = Act::CompactSteps(source.rng.usize(1..4));
            steps.push(source.done(act, Durability::Memory));
        }
        steps.extend([source.step(), Step::Turn]);
        steps
    }
}

/// Makes an act, if one of its kind can be done.
type Make = fn(&mut Source<'_>) -> Option<Act>;

/// Steps from a seed.
struct Source<'w> {
    work: &'w Workload,
    rng: Rng,
    /// What is there when the steps so far are done.
    truth: Truth,
    snapshots: Vec<u64>,
}

impl<'w> Source<'w> {
    fn new(work: &'w Workload, seed: u64, truth: Truth) -> Self {
        Self { work, rng: Rng::with_seed(seed), truth, snapshots: Vec::new() }
    }

    fn step(&mut self) -> Step {
        let Often { reopen, flush, .. } = self.work.often;
        let durability = self.durability();
        match self.rng.u32(0..100) {
            at if at < reopen => {
                self.snapshots.clear();
                Step::Reopen
            }
            at if at < reopen + flush => Step::Flush(durability.max(Durability::Relaxed)),
            _ => {
                let act = self.act();
                self.done(act, durability)
            }
        }
    }

    fn done(&mut self, act: Act, durability: Durability) -> Step {
        self.truth.perform(&act);
        Step::Act(act, durability)
    }

    fn durability(&mut self) -> Durability {
        match self.rng.u32(0..100) {
            at if at < self.work.strict => Durability::Strict,
            at if at < self.work.strict + self.work.relaxed => Durability::Relaxed,
            _ => Durability::Memory,
        }
    }

    fn act(&mut self) -> Act {
        let Often { txn, delete, compact, compact_steps, lease, restore_to, snapshot, tick, .. } = self.work.often;
        let kinds: [(u32, Make); 8] = [
            (txn, |source| Some(source.txn())),
            (delete, |source| Some(source.delete())),
            (compact, |source| source.compact()),
            (compact_steps, |source| Some(Act::CompactSteps(source.rng.usize(1..4)))),
            (lease, |source| Some(source.lease())),
            (restore_to, |source| Some(Act::RestoreTo(source.readable()))),
            (snapshot, |source| Some(source.snapshot())),
            (tick, |source| Some(Act::Tick(source.truth.now_ms + source.rng.u64(0..4_000)))),
        ];
        let mut at = self.rng.u32(0..100);
        for (often, make) in kinds {
            if at < often {
                return make(self).unwrap_or_else(|| self.put());
            }
            at -= often;
        }
        self.put()
    }

    fn put(&mut self) -> Act {
        let key = self.key();
        Act::Write(vec![self.change(key)])
    }

    fn txn(&mut self) -> Act {
        let count = self.rng.usize(1..=self.work.keys);
        let keys = self.rng.choose_multiple(0..self.work.keys, count);
        let change = |key: usize| {
            let key = named(key);
            if self.rng.u32(0..5) == 0 { Change { key, put: None } } else { self.change(key) }
        };
        Act::Write(keys.into_iter().map(change).collect())
    }

    fn change(&mut self, key: Key) -> Change {
        let leases: Vec<i64> = self.truth.leases.keys().copied().collect();
        let lease = if self.rng.bool() { self.rng.choice(leases).unwrap_or(0) } else { 0 };
        let mut value = vec![b'.'; self.rng.usize(0..=self.work.value_bytes_max)];
        // No two values are the same, or one could stand for the other.
        value.extend(format!("{:x}", self.rng.u32(..)).bytes());
        Change { key, put: Some((value.into(), lease)) }
    }

    fn delete(&mut self) -> Act {
        let (one, other) = (self.rng.usize(0..=self.work.keys), self.rng.usize(0..=self.work.keys));
        Act::DeleteFrom(named(one.min(other)), named(one.max(other)))
    }

    fn compact(&mut self) -> Option<Act> {
        let revision = self.truth.revision().saturating_sub(self.rng.u64(0..=self.work.retention));
        (revision > self.truth.compacted).then_some(Act::Compact(revision))
    }

    /// Mostly it takes a few seconds for a lease to end; none is asked for that has.
    fn lease(&mut self) -> Act {
        let id = self.rng.i64(1..5);
        match (self.truth.leases.contains_key(&id), self.rng.bool()) {
            (false, _) => Act::Grant { id, ttl_seconds: self.rng.u64(1..10) },
            (true, false) => Act::KeepAlive(id),
            (true, true) => Act::Revoke(id),
        }
    }

    fn snapshot(&mut self) -> Act {
        match self.snapshots.pop() {
            Some(revision) if self.rng.bool() => Act::Release(revision),
            popped => {
                let revision = self.readable();
                self.snapshots.extend(popped.into_iter().chain([revision]));
                Act::Snapshot(revision)
            }
        }
    }

    fn readable(&mut self) -> u64 {
        self.rng.u64(self.truth.compacted.max(1)..=self.truth.revision())
    }

    fn key(&mut self) -> Key {
        named(self.rng.usize(0..self.work.keys))
    }
}

fn named(key: usize) -> Key {
    Arc::from(format!("key {key:02}").as_bytes())
}
