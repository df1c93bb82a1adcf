//! Random histories told to replicas: in portions, late, twice, out of order; over restarts of both, compactions, transfers
//! that go on meanwhile, and sources that have lost their end or were restored. A replica is its source, to the byte.

use std::collections::BTreeMap;

use fastrand::Rng;
use revkv::{
    DeleteRange, Engine, EngineOptions, Error, KeyRange, LeaseId, Limits, Op, Put, Request, TransferId, Txn, Watch,
    WatcherId,
};

const HISTORIES: u64 = 1_500;
const STEPS: usize = 120;
const KEYS: [&[u8]; 6] = [b"a", b"b", b"c", b"d", b"e", b"f"];

/// An engine and what it has stored.
struct Node {
    engine: Engine,
    blobs: BTreeMap<String, Vec<u8>>,
    is_stored: bool,
}

impl Node {
    fn new(incarnation: u8, is_stored: bool) -> Self {
        let blobs = BTreeMap::new();
        Self { engine: recovered(&blobs, incarnation, is_stored), blobs, is_stored }
    }

    fn flush(&mut self) {
        while let Some(ready) = self.engine.take_ready() {
            for id in ready.delete {
                assert!(self.blobs.remove(&id).is_some(), "blob {id} is deleted and was not there");
            }
            self.blobs.extend(ready.put.into_iter().map(|blob| (blob.id, blob.bytes)));
            self.engine.persisted(ready.through);
        }
    }

    fn crash(&mut self, incarnation: u8) {
        self.engine = recovered(&self.blobs, incarnation, self.is_stored);
    }

    fn remove(&mut self) {
        while self.engine.compact_step() {}
    }
}

fn recovered(blobs: &BTreeMap<String, Vec<u8>>, incarnation: u8, is_stored: bool) -> Engine {
    let blob_bytes_max = if is_stored { 2_000 } else { 0 };
    let mut engine =
        Engine::new(EngineOptions { incarnation: [incarnation; 16], blob_bytes_max, limits: Limits::default() });
    for (id, bytes) in blobs {
        engine.recover(id, bytes).expect("what was written");
    }
    engine.start().expect("whole batches");
    engine
}

struct Replica {
    node: Node,
    /// Change sets that were on their way when something else came.
    late: Vec<Vec<u8>>,
    transfer: Option<TransferId>,
    watch: Option<WatcherId>,
    /// The newest revision that the watch was told.
    told: u64,
}

struct World {
    rng: Rng,
    source: Node,
    replicas: Vec<Replica>,
    lives: u8,
    now_ms: u64,
    counts: BTreeMap<&'static str, usize>,
}

impl World {
    fn new(seed: u64) -> Self {
        let replica = |incarnation, is_stored| Replica {
            node: Node::new(incarnation, is_stored),
            late: Vec::new(),
            transfer: None,
            watch: None,
            told: 0,
        };
        let mut source = Node::new(1, true);
        source.flush();
        let replicas = vec![replica(101, true), replica(102, false)];
        let (lives, now_ms) = (1, 1_000_000);
        Self { rng: Rng::with_seed(seed), source, replicas, lives, now_ms, counts: BTreeMap::new() }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn step(&mut self) {
        let replica = self.rng.usize(..self.replicas.len());
        match self.rng.u8(..40) {
            0..14 => self.write(),
            14..18 => self.source.flush(),
            18..28 => self.tell(replica),
            28..30 => self.late(replica),
            30..33 => self.transfer(replica),
            33 => self.restart(replica),
            34..37 => self.watch(replica),
            37 => drop(self.source.engine.compact_step()),
            38 if self.rng.u8(..6) == 0 => self.lose(),
            39 if self.rng.u8(..10) == 0 => self.restore(),
            _ => {}
        }
    }

    fn write(&mut self) {
        let Self { rng, source, now_ms, .. } = self;
        *now_ms += rng.u64(..2_000);
        let key = KEYS[rng.usize(..KEYS.len())];
        let value = vec![rng.u8(..); rng.usize(..60)];
        let id = LeaseId(rng.i64(1..5));
        let lease = if rng.u8(..3) == 0 { id } else { LeaseId::NONE };
        let put = Put { key, value: &value, lease, ..Put::default() };
        let delete = DeleteRange { keys: KeyRange::Span { start: key, end: b"z" }, prev_kv: false };
        let revision = source.engine.revision();
        let request = match rng.u8(..12) {
            0..6 => Request::Put(put),
            6 => Request::DeleteRange(DeleteRange { keys: KeyRange::Key(key), ..delete }),
            7 => Request::Txn(Txn {
                success: vec![Op::DeleteRange(delete), Op::Put(Put { key: b"0", ..put })],
                ..Txn::default()
            }),
            8 => Request::LeaseGrant { id, ttl_seconds: rng.u64(1..30) },
            9 => Request::LeaseRevoke { id },
            10 => Request::LeaseKeepAlive { id },
            _ if rng.u8(..3) == 0 => {
                Request::Compact { revision: rng.u64(revision.saturating_sub(12).max(1)..=revision) }
            }
            _ => Request::RestoreTo { keys: KeyRange::ALL, revision: rng.u64(1..=revision) },
        };
        // Refused or not: what matters is that both have the same.
        let _ = source.engine.apply(request, *now_ms);
        source.engine.tick(*now_ms).expect("time passes without an error");
    }

    /// A replica asks for what comes next; what it is told may be late.
    fn tell(&mut self, at: usize) {
        let from = self.replicas[at].node.engine.revision();
        // A leader tells only what is stored. A source that does not is left by its replicas when it restarts.
        let up_to = if at == 0 { self.source.engine.durable_revision() } else { 0 };
        let max = self.rng.u64(..4);
        match self.source.engine.changes(from, up_to, max) {
            Ok(changes) if self.rng.u8(..4) == 0 => self.replicas[at].late.push(changes.bytes),
            Ok(changes) => self.apply(at, &changes.bytes),
            Err(Error::Compacted { .. } | Error::FutureRevision { .. }) => self.begin_transfer(at),
            Err(error) => panic!("{error}"),
        }
    }

    fn late(&mut self, at: usize) {
        let late = &mut self.replicas[at].late;
        if !late.is_empty() {
            let bytes = late.swap_remove(self.rng.usize(..late.len()));
            self.apply(at, &bytes);
        }
    }

    fn apply(&mut self, at: usize, bytes: &[u8]) {
        let Node { engine, .. } = &mut self.replicas[at].node;
        let before = (engine.revision(), engine.hash(0), engine.leases());
        let outcome = match engine.apply_changes(bytes) {
            Ok(applied) if applied.duplicates > 0 => "duplicates",
            Ok(_) => "applied",
            Err(error) => {
                assert_eq!((engine.revision(), engine.hash(0), engine.leases()), before, "{error} left a trace");
                error.code()
            }
        };
        engine.check();
        self.count(outcome);
        match outcome {
            "DIVERGED" | "REVISION_NOT_FOUND" => self.begin_transfer(at),
            _ => self.compare(at),
        }
    }

    fn begin_transfer(&mut self, at: usize) {
        self.count("transfer");
        if at == 0 {
            // What is given is compacted as the source is, stored or not.
            self.source.flush();
        }
        let revision = if at == 0 { self.source.engine.durable_revision() } else { 0 };
        let begun = self.source.engine.begin_transfer(revision).expect("it can be read");
        if let Some(ended) = self.replicas[at].transfer.replace(begun) {
            self.source.engine.end_transfer(ended);
        }
    }

    /// One chunk on its way.
    fn transfer(&mut self, at: usize) {
        let Some(id) = self.replicas[at].transfer else { return };
        let chunk = self.source.engine.transfer_chunk(id);
        let received = match chunk {
            Ok(Some(chunk)) => self.replicas[at].node.engine.receive_chunk(&chunk).expect("it was given"),
            Ok(None) => unreachable!("the last chunk ends it"),
            Err(_) => {
                self.replicas[at].transfer = None;
                return;
            }
        };
        self.replicas[at].node.engine.check();
        if received.is_some() {
            assert!(self.source.engine.end_transfer(id));
            self.replicas[at].transfer = None;
            self.compare(at);
        }
    }

    /// Where both have the same incarnation and have forgotten the same, what the replica has is what the source had.
    fn compare(&self, at: usize) {
        let (replica, source) = (&self.replicas[at].node.engine, &self.source.engine);
        let revision = replica.revision();
        let is_same = replica.incarnation() == source.incarnation()
            && replica.compact_revision() == source.compact_revision()
            && revision <= source.revision();
        if is_same && at == 0 {
            assert_eq!(replica.hash(revision), source.hash(revision), "broke Same, at {revision}");
        }
    }

    fn restart(&mut self, at: usize) {
        let replica = &mut self.replicas[at];
        if replica.node.is_stored && self.rng.bool() {
            replica.node.flush();
        }
        replica.node.crash(100);
        (replica.watch, replica.told) = (None, 0);
        if let Some(ended) = replica.transfer.take() {
            self.source.engine.end_transfer(ended);
        }
        replica.node.engine.check();
    }

    /// Told once, in order, or that it has ended.
    fn watch(&mut self, at: usize) {
        let Replica { node: Node { engine, .. }, watch, told, .. } = &mut self.replicas[at];
        let id = *watch.get_or_insert_with(|| engine.watch(&Watch::default()).expect("a legal watch"));
        match engine.take_events(id, 0, 3) {
            Ok(taken) => {
                for batch in taken.batches {
                    assert!(batch.revision > *told, "broke Unique: {} after {told}", batch.revision);
                    *told = batch.revision;
                }
            }
            Err(error) => {
                assert!(matches!(error, Error::Restored | Error::Compacted { .. }), "{error}");
                (*watch, *told) = (None, 0);
                self.count("watch ended");
            }
        }
    }

    /// The source stops, and what was not stored is gone.
    fn lose(&mut self) {
        self.count("lost");
        self.source.crash(self.lives);
        self.replicas.iter_mut().for_each(|replica| replica.transfer = None);
    }

    fn restore(&mut self) {
        self.count("restored");
        self.lives += 1;
        let backup = self.source.engine.backup(0, self.rng.bool()).expect("now");
        self.source.engine.restore(&backup, [self.lives; 16]).expect("a whole backup");
        self.source.flush();
    }

    /// Nothing more goes wrong.
    fn settle(&mut self) {
        self.source.flush();
        for at in 0..self.replicas.len() {
            self.replicas[at].late.clear();
            for _ in 0..10_000 {
                self.transfer(at);
                if self.replicas[at].transfer.is_none() {
                    self.tell(at);
                    self.late(at);
                }
                let (replica, source) = (&self.replicas[at].node.engine, &self.source.engine);
                let is_same = replica.revision() == source.revision() && replica.incarnation() == source.incarnation();
                if is_same && self.replicas[at].transfer.is_none() {
                    break;
                }
            }
            let compacted = self.replicas[at].node.engine.compact_revision();
            if compacted > self.source.engine.compact_revision() {
                assert_ne!(at, 0, "broke Durable: it was told of a compaction that is not stored");
                self.source.engine.apply(Request::Compact { revision: compacted }, self.now_ms).expect("it can");
            }
            // Once more, for leases that have changed without a revision.
            let changes = self.source.engine.changes(self.source.engine.revision(), 0, 0).expect("now");
            self.apply(at, &changes.bytes);
            self.source.remove();
            let node = &mut self.replicas[at].node;
            node.remove();
            node.engine.check();
            let leases = |engine: &Engine| -> Vec<_> {
                engine.leases().into_iter().map(|id| engine.lease(id, self.now_ms)).collect()
            };
            assert_eq!(leases(&node.engine), leases(&self.source.engine), "broke Leases, of replica {at}");
            assert!(node.engine.backup(0, true) == self.source.engine.backup(0, true), "broke Same, at the end");
            if node.is_stored {
                node.flush();
                node.crash(100);
                assert!(node.engine.backup(0, true) == self.source.engine.backup(0, true), "broke Same, stored");
            }
        }
    }
}

#[test]
fn a_replica_is_its_source_whatever_happens() {
    let first: u64 = std::env::var("REVKV_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for seed in first..first + HISTORIES {
        let mut world = World::new(seed);
        let story = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (0..STEPS).for_each(|_| world.step());
            world.settle();
        }));
        assert!(story.is_ok(), "seed {seed}: REVKV_SEED={seed} runs it first");
        world.counts.into_iter().for_each(|(what, count)| *counts.entry(what).or_default() += count);
    }
    for what in ["applied", "duplicates", "GAP", "DIVERGED", "transfer", "lost", "restored", "watch ended"] {
        assert!(counts.get(what).is_some_and(|count| *count > 50), "{what} hardly ever happened: {counts:?}");
    }
}
