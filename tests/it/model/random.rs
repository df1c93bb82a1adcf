//! Steps from a seed.

use fastrand::Rng;

use super::setup::Setup;
use super::world::{Step, World, everything};
use crate::op::{
    Bytes, Commit, Compare, CompareResult, DeleteRange, Filter, Keys, Op, Put, Range, SortOrder, SortTarget, Target,
    Txn, Watch,
};

/// Few, so that they are granted, used and lost again and again.
const LEASES: [i64; 4] = [1, 2, -3, i64::MAX];
const SNAPSHOTS_MAX: usize = 6;

/// Makes one step: a step has a seed of its own, and names revisions by their distance from the present.
pub struct Source<'w> {
    rng: Rng,
    setup: &'w Setup,
    revision: u64,
    pins: &'w [u64],
    leases: Vec<i64>,
    watchers: usize,
}

impl<'w> Source<'w> {
    pub fn new(seed: u64, world: &'w World) -> Self {
        let World { model, setup, .. } = world;
        Self {
            rng: Rng::with_seed(seed),
            setup,
            revision: model.revision,
            pins: &model.pins,
            leases: model.leases.keys().copied().collect(),
            watchers: model.watchers.len(),
        }
    }

    pub fn step(&mut self) -> Step {
        if self.setup.is_crowded() && self.one_in(20) {
            return self.step_of_a_crowd();
        }
        match self.rng.u32(0..100) {
            0..66 => Step::Op(self.op()),
            66..76 => Step::Take {
                watcher: self.rng.usize(..),
                up_to: if self.rng.bool() { 0 } else { self.near() },
                events_max: [0, 1, 2, 5, 1000][self.rng.usize(0..5)],
            },
            76..78 => Step::Cancel { watcher: self.rng.usize(..) },
            78..81 => Step::Wait { ms: self.ms() },
            81..86 => Step::Tick { ms: self.ms() },
            86..91 => Step::CompactSteps(self.rng.usize(1..6)),
            91 => Step::Walk { keys: self.keys(), start: self.revision(), limit: self.rng.u64(1..8) },
            92..95 => Step::Write,
            95 => Step::Confirm { nth: self.rng.usize(..) },
            96 => Step::Store,
            97.. if !self.one_in(self.setup.restart_one_in) => Step::Op(self.op()),
            97 => Step::Reopen,
            98 => Step::Crash,
            _ => Step::CrashWriting,
        }
    }

    /// Now there are more watchers than the engine asks one by one, now so few that most it knows of are gone.
    fn step_of_a_crowd(&mut self) -> Step {
        match self.rng.u32(0..3) {
            0 => Step::TakeAll,
            1 if self.watchers > self.setup.watchers_max / 2 => Step::Disperse { left: self.rng.usize(0..20) },
            _ => Step::Crowd((self.watchers..self.setup.watchers_max).map(|_| self.watch()).collect()),
        }
    }

    fn op(&mut self) -> Op {
        match self.rng.u32(0..100) {
            0..26 => Op::Put(self.put()),
            26..33 => Op::DeleteRange(self.delete_range()),
            33..47 => Op::Txn(match self.rng.u32(0..40) {
                0 => self.wide_txn(),
                1..4 => self.filling_txn(),
                _ => self.txn(0),
            }),
            47..59 => Op::Range(self.range()),
            59..63 => Op::Get { key: self.key(), revision: self.revision() },
            63..67 => {
                Op::History { keys: self.keys(), from: self.revision(), to: self.revision(), limit: self.limit() }
            }
            67..70 => Op::Since {
                keys: self.keys(),
                start_revision: self.revision(),
                end_revision: self.revision(),
                limit: self.limit(),
            },
            70..73 => Op::Diff { keys: self.keys(), from: self.revision(), to: self.revision() },
            73 => Op::Commit(self.commit()),
            74 => Op::RestoreTo { keys: self.keys_to_change(), revision: self.revision() },
            75..77 => Op::Hash { revision: self.revision() },
            77..80 if self.one_in(self.setup.compaction_one_in) => Op::Compact { revision: self.near() },
            77..80 => Op::Put(self.put()),
            80..83 if self.pins.len() < SNAPSHOTS_MAX => Op::Snapshot { revision: self.revision() },
            80..85 => Op::ReleaseSnapshot { revision: self.near() },
            85..88 => Op::LeaseGrant { id: self.lease(), ttl: self.rng.u64(0..20) },
            88 => Op::LeaseRevoke { id: self.granted() },
            89..91 => Op::LeaseKeepAlive { id: self.granted() },
            91 => Op::LeaseTimeToLive { id: self.granted() },
            92 => Op::LeaseLeases,
            _ if self.watchers < self.setup.watchers_max => Op::Watch(self.watch()),
            _ => Op::Put(self.put()),
        }
    }

    fn put(&mut self) -> Put {
        let ignore_value = self.one_in(12);
        let ignore_lease = self.one_in(12);
        Put {
            key: self.key(),
            value: if ignore_value && !self.one_in(8) { Bytes::default() } else { self.value() },
            lease: if self.one_in(if ignore_lease { 16 } else { 4 }) { self.granted() } else { 0 },
            prev_kv: self.one_in(3),
            ignore_value,
            ignore_lease,
        }
    }

    fn delete_range(&mut self) -> DeleteRange {
        DeleteRange { keys: self.keys_to_change(), prev_kv: self.rng.bool() }
    }

    /// Of many keys mostly one: else the store would be empty again and again before it has grown.
    fn keys_to_change(&mut self) -> Keys {
        let alone = self.setup.keys.len() > 100 && !self.one_in(200);
        if alone { Keys { key: self.key(), range_end: Bytes::default() } } else { self.keys() }
    }

    fn range(&mut self) -> Range {
        let mut bound = || if self.one_in(6) { self.near() } else { 0 };
        let [min_mod_revision, max_mod_revision, min_create_revision, max_create_revision] =
            [bound(), bound(), bound(), bound()];
        Range {
            keys: self.keys(),
            revision: self.revision(),
            limit: if self.rng.bool() { 0 } else { [1, 2, 3, u64::MAX][self.rng.usize(0..4)] },
            keys_only: self.one_in(5),
            count_only: self.one_in(8),
            sort_target: self.choose([
                SortTarget::Key,
                SortTarget::Version,
                SortTarget::Create,
                SortTarget::Mod,
                SortTarget::Value,
            ]),
            sort_order: self.choose([SortOrder::None, SortOrder::Ascend, SortOrder::Descend]),
            min_mod_revision,
            max_mod_revision,
            min_create_revision,
            max_create_revision,
        }
    }

    fn txn(&mut self, depth: u32) -> Txn {
        let compares = self.rng.usize(0..3);
        Txn {
            compare: (0..compares).map(|_| self.compare()).collect(),
            success: self.ops(depth),
            failure: self.ops(depth),
        }
    }

    /// About as many operations as one may have by default, in one list or in two nested ones.
    fn wide_txn(&mut self) -> Txn {
        let range = Op::Range(Range { count_only: true, ..self.range() });
        let outer = self.rng.usize(0..131);
        let inner = (self.rng.usize(126..131)).saturating_sub(outer);
        let nested = Op::Txn(Txn { success: vec![range.clone(); inner], ..Txn::default() });
        let mut success = vec![range; outer];
        success.push(nested);
        Txn { success, ..Txn::default() }
    }

    /// Puts a run of neighbouring keys, as many as there may be.
    fn filling_txn(&mut self) -> Txn {
        let keys = &self.setup.keys;
        let first = self.rng.usize(0..keys.len());
        let value = self.value();
        let put = |key: &Bytes| Op::Put(Put { key: key.clone(), value: value.clone(), ..Put::default() });
        Txn { success: keys[first..].iter().take(120).map(put).collect(), ..Txn::default() }
    }

    /// Not at a snapshot's revision: whether that forgets a key that came and went is not for a model to say.
    fn commit(&mut self) -> Commit {
        let revision = Some(self.revision()).filter(|revision| !self.pins.contains(revision)).unwrap_or_default();
        let count = |source: &mut Self| source.rng.usize(0..3);
        Commit {
            revision,
            reads: (0..count(self)).map(|_| self.keys()).collect(),
            deletes: (0..count(self)).map(|_| self.keys_to_change()).collect(),
            puts: (0..count(self)).map(|_| Put { prev_kv: false, ..self.put() }).collect(),
        }
    }

    fn ops(&mut self, depth: u32) -> Vec<Op> {
        let op = |source: &mut Self| match source.rng.u32(0..10) {
            0..4 => Op::Put(source.put()),
            4..6 => Op::DeleteRange(source.delete_range()),
            6..8 => Op::Range(source.range()),
            _ if depth < 2 => Op::Txn(source.txn(depth + 1)),
            _ => Op::Put(source.put()),
        };
        (0..self.rng.usize(0..4)).map(|_| op(self)).collect()
    }

    fn compare(&mut self) -> Compare {
        Compare {
            keys: self.keys(),
            target: self.choose([Target::Version, Target::Create, Target::Mod, Target::Value, Target::Lease]),
            result: self.choose([
                CompareResult::Equal,
                CompareResult::NotEqual,
                CompareResult::Greater,
                CompareResult::Less,
            ]),
            version: self.rng.u64(0..3),
            create_revision: self.revision(),
            mod_revision: self.revision(),
            value: self.value(),
            lease: if self.rng.bool() { 0 } else { self.lease() },
        }
    }

    fn watch(&mut self) -> Watch {
        let filters = [vec![], vec![], vec![Filter::NoPut], vec![Filter::NoDelete]];
        Watch {
            id: 0,
            keys: self.keys(),
            start_revision: self.revision(),
            prev_kv: self.rng.bool(),
            filters: filters[self.rng.usize(0..filters.len())].clone(),
            resync: self.one_in(3),
        }
    }

    fn keys(&mut self) -> Keys {
        match self.rng.u32(0..12) {
            0..3 => everything(),
            3..6 => Keys { key: self.key(), range_end: Bytes::default() },
            6..8 => Keys { key: self.key(), range_end: b"\0"[..].into() },
            8..10 => prefix(self.key()),
            _ => Keys { key: self.key(), range_end: self.key() },
        }
    }

    /// Now and then the empty key, which no request may name.
    fn key(&mut self) -> Bytes {
        if self.one_in(60) {
            Bytes::default()
        } else {
            self.setup.keys[self.rng.usize(0..self.setup.keys.len())].clone()
        }
    }

    /// Mostly a few bytes; some fill a blob.
    fn value(&mut self) -> Bytes {
        match self.rng.u32(0..12) {
            0 => Bytes::default(),
            1 => Bytes::from(&vec![self.rng.u8(..); self.rng.usize(100..self.setup.value_bytes_max)][..]),
            _ => Bytes::from(&[b'v', self.rng.u8(b'0'..b'4')][..]),
        }
    }

    fn lease(&mut self) -> i64 {
        if self.one_in(20) { 0 } else { self.choose(LEASES) }
    }

    /// Time goes on; now and then a clock is set back, or far ahead.
    fn ms(&mut self) -> i64 {
        match self.rng.u32(0..64) {
            0..6 => -self.rng.i64(0..20_000),
            6 => self.rng.i64(0..100_000_000),
            7 => -self.rng.i64(0..100_000_000),
            _ => self.rng.i64(0..3) * 1_000,
        }
    }

    fn limit(&mut self) -> u64 {
        if self.rng.bool() { 0 } else { self.rng.u64(1..6) }
    }

    /// Mostly one that is there.
    fn granted(&mut self) -> i64 {
        let usual = !self.leases.is_empty() && !self.one_in(6);
        if usual { self.leases[self.rng.usize(0..self.leases.len())] } else { self.lease() }
    }

    /// 0, which mostly means now, or one near the present.
    fn revision(&mut self) -> u64 {
        if self.rng.bool() { 0 } else { self.near() }
    }

    /// A snapshot's, if there is one, or one not far from the present.
    fn near(&mut self) -> u64 {
        if !self.pins.is_empty() && self.one_in(3) {
            return self.pins[self.rng.usize(0..self.pins.len())];
        }
        let back = if self.rng.bool() { 3 } else { self.setup.back };
        self.rng.u64(self.revision.saturating_sub(back)..self.revision + 3)
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(0..n) == 0
    }

    fn choose<T: Copy, const N: usize>(&mut self, from: [T; N]) -> T {
        from[self.rng.usize(0..N)]
    }
}

/// Every key that begins so.
fn prefix(key: Bytes) -> Keys {
    let mut end = key.0.to_vec();
    while end.pop_if(|last| *last == u8::MAX).is_some() {}
    match end.last_mut() {
        Some(last) => *last += 1,
        None => end = b"\0".to_vec(),
    }
    Keys { key, range_end: Bytes::from(&end[..]) }
}
