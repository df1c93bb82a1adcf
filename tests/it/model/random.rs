//! Steps from a seed: few keys, few values and few leases, so that they meet.

use fastrand::Rng;

use super::world::{Step, World, everything};
use crate::op::{
    Bytes, Compare, CompareResult, DeleteRange, Filter, Keys, Op, Put, Range, SortOrder, SortTarget, Target, Txn, Watch,
};

const KEYS: [&[u8]; 12] =
    [b"a", b"a/1", b"a/2", b"a\xff", b"b", b"b/1", b"c", b"c/1", b"\0", b"\0\0", b"\xff", b"\xff\xff"];
const LEASES: [i64; 4] = [1, 2, -3, i64::MAX];

pub struct Source {
    rng: Rng,
}

impl Source {
    pub fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed) }
    }

    pub fn step(&mut self, world: &World) -> Step {
        let revision = world.model.revision;
        match self.rng.u32(0..100) {
            0..65 => Step::Op(self.op(world)),
            65..77 => Step::Take {
                watcher: self.rng.usize(0..8),
                up_to: if self.rng.bool() { 0 } else { self.near(revision) },
                events_max: [1, 2, 5, 1000][self.rng.usize(0..4)],
            },
            77..79 => Step::Cancel { watcher: self.rng.usize(0..8) },
            79..83 => Step::Wait { ms: self.rng.u64(0..4) * 1_000 },
            83..88 => Step::Tick { ms: self.rng.u64(0..4) * 1_000 },
            88..93 => Step::CompactSteps(self.rng.usize(1..6)),
            93..97 => Step::Store,
            97..99 => Step::Reopen,
            _ => Step::Crash,
        }
    }

    fn op(&mut self, world: &World) -> Op {
        let revision = world.model.revision;
        match self.rng.u32(0..100) {
            0..30 => Op::Put(self.put()),
            30..38 => Op::DeleteRange(self.delete_range()),
            38..53 => Op::Txn(self.txn(revision, 0)),
            53..68 => Op::Range(self.range(revision)),
            68..72 => Op::Get { key: self.key(), revision: self.revision(revision) },
            72..77 => Op::History {
                keys: self.keys(),
                from: self.revision(revision),
                to: self.revision(revision),
                limit: if self.rng.bool() { 0 } else { self.rng.u64(1..6) },
            },
            77..80 => Op::Compact { revision: self.near(revision) },
            80..84 => Op::LeaseGrant { id: self.lease(), ttl: self.rng.u64(0..10) },
            84 => Op::LeaseRevoke { id: self.lease() },
            85..89 => Op::LeaseKeepAlive { id: self.lease() },
            89..91 => Op::LeaseTimeToLive { id: self.lease() },
            91 => Op::LeaseLeases,
            _ => Op::Watch(self.watch(revision)),
        }
    }

    fn put(&mut self) -> Put {
        let ignore_value = self.one_in(8);
        let ignore_lease = self.one_in(8);
        Put {
            key: self.key(),
            value: if ignore_value && !self.one_in(8) { Bytes::default() } else { self.value() },
            lease: if self.one_in(if ignore_lease { 16 } else { 4 }) { self.lease() } else { 0 },
            prev_kv: self.one_in(3),
            ignore_value,
            ignore_lease,
        }
    }

    fn delete_range(&mut self) -> DeleteRange {
        DeleteRange { keys: self.keys(), prev_kv: self.rng.bool() }
    }

    fn range(&mut self, revision: u64) -> Range {
        let mut bound = || if self.one_in(6) { self.near(revision) } else { 0 };
        let [min_mod_revision, max_mod_revision, min_create_revision, max_create_revision] =
            [bound(), bound(), bound(), bound()];
        Range {
            keys: self.keys(),
            revision: self.revision(revision),
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

    fn txn(&mut self, revision: u64, depth: u32) -> Txn {
        let compares = self.rng.usize(0..3);
        Txn {
            compare: (0..compares).map(|_| self.compare(revision)).collect(),
            success: self.ops(revision, depth),
            failure: self.ops(revision, depth),
        }
    }

    fn ops(&mut self, revision: u64, depth: u32) -> Vec<Op> {
        let op = |source: &mut Self| match source.rng.u32(0..10) {
            0..4 => Op::Put(source.put()),
            4..6 => Op::DeleteRange(source.delete_range()),
            6..8 => Op::Range(source.range(revision)),
            _ if depth < 2 => Op::Txn(source.txn(revision, depth + 1)),
            _ => Op::Put(source.put()),
        };
        (0..self.rng.usize(0..4)).map(|_| op(self)).collect()
    }

    fn compare(&mut self, revision: u64) -> Compare {
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
            create_revision: self.revision(revision),
            mod_revision: self.revision(revision),
            value: self.value(),
            lease: if self.rng.bool() { 0 } else { self.lease() },
        }
    }

    fn watch(&mut self, revision: u64) -> Watch {
        let filters = [vec![], vec![], vec![Filter::NoPut], vec![Filter::NoDelete]];
        Watch {
            id: 0,
            keys: self.keys(),
            start_revision: self.revision(revision),
            prev_kv: self.rng.bool(),
            filters: filters[self.rng.usize(0..filters.len())].clone(),
            resync: self.one_in(3),
        }
    }

    fn keys(&mut self) -> Keys {
        match self.rng.u32(0..10) {
            0..3 => everything(),
            3..6 => Keys { key: self.key(), range_end: Bytes::default() },
            6..8 => Keys { key: self.key(), range_end: b"\0"[..].into() },
            _ => Keys { key: self.key(), range_end: self.key() },
        }
    }

    /// Now and then the empty key, which no request may name.
    fn key(&mut self) -> Bytes {
        if self.one_in(60) { Bytes::default() } else { self.choose(KEYS).into() }
    }

    /// Mostly a few bytes; some fill a blob.
    fn value(&mut self) -> Bytes {
        match self.rng.u32(0..12) {
            0 => Bytes::default(),
            1 => Bytes(vec![self.rng.u8(..); self.rng.usize(100..2_000)]),
            _ => Bytes(vec![b'v', self.rng.u8(b'0'..b'4')]),
        }
    }

    fn lease(&mut self) -> i64 {
        if self.one_in(20) { 0 } else { self.choose(LEASES) }
    }

    /// 0, which mostly means now, or one near the present.
    fn revision(&mut self, present: u64) -> u64 {
        if self.rng.bool() { 0 } else { self.near(present) }
    }

    fn near(&mut self, present: u64) -> u64 {
        self.rng.u64(present.saturating_sub(20)..present + 3)
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(0..n) == 0
    }

    fn choose<T: Copy, const N: usize>(&mut self, from: [T; N]) -> T {
        from[self.rng.usize(0..N)]
    }
}
