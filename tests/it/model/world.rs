//! The engine and the model side by side, and the medium that the engine's blobs are kept on.

use std::collections::BTreeMap;

use revkv::{Engine, EngineOptions};

use super::store::Model;
use super::watch::Watcher;
use crate::op::{Answer, Batch, Keys, Op, Range};
use crate::subject::{self, Driven, Subject};

/// One thing that happens. Watchers are named by their place among those there are.
#[derive(Clone, Debug)]
pub enum Step {
    Op(Op),
    /// Takes from a watcher revisions up to this one (0: all), about so many events.
    Take {
        watcher: usize,
        up_to: u64,
        events_max: usize,
    },
    Cancel {
        watcher: usize,
    },
    /// Time passes, unnoticed by the engine.
    Wait {
        ms: u64,
    },
    /// Time passes, and the engine is told.
    Tick {
        ms: u64,
    },
    CompactSteps(usize),
    /// What is ready goes to the medium.
    Store,
    /// What is ready goes to the medium, and a new engine is built from it.
    Reopen,
    /// A new engine is built from what the medium has.
    Crash,
}

pub struct World {
    driven: Driven,
    pub model: Model,
    pub now_ms: u64,
    blobs: BTreeMap<String, Vec<u8>>,
    blob_bytes_max: usize,
    /// The model as it was when the medium was last written.
    stored: Model,
    /// The engine has written since it was started.
    wrote: bool,
    watchers_made: u32,
}

impl World {
    /// The seed chooses how large a blob may be: some below one record, some with room for all.
    pub fn new(seed: u64) -> Self {
        let now_ms = 1_000_000;
        let blob_bytes_max = [400, 1 << 10, 4 << 10, 48 << 10][seed as usize % 4];
        Self {
            driven: Driven::new(start(&BTreeMap::new(), blob_bytes_max)),
            model: Model::new(),
            now_ms,
            blobs: BTreeMap::new(),
            blob_bytes_max,
            stored: Model::new(),
            wrote: false,
            watchers_made: 0,
        }
    }

    pub fn play(&mut self, step: &Step) {
        match step {
            Step::Op(op) => self.ask(op),
            Step::Take { watcher, up_to, events_max } => {
                if let Some(id) = self.nth_watcher(*watcher) {
                    self.take(id, *up_to, *events_max);
                }
            }
            Step::Cancel { watcher } => {
                if let Some(id) = self.nth_watcher(*watcher) {
                    self.model.watchers.remove(&id);
                    let watcher = self.driven.watchers.remove(&id).expect("the model and the engine have the same");
                    assert!(self.driven.engine.cancel_watch(watcher), "a watcher can be cancelled");
                    assert!(!self.driven.engine.cancel_watch(watcher), "a watcher can be cancelled once");
                }
            }
            Step::Wait { ms } => self.now_ms += ms,
            Step::Tick { ms } => {
                self.now_ms += ms;
                self.driven.engine.tick(self.now_ms).expect("a tick only deletes");
                self.model.tick(self.now_ms);
            }
            Step::CompactSteps(steps) => {
                let _ = (0..*steps).all(|_| self.driven.engine.compact_step());
            }
            Step::Store => self.store(),
            Step::Reopen => {
                self.store();
                self.restart();
            }
            Step::Crash => self.restart(),
        }
        self.check();
    }

    fn ask(&mut self, op: &Op) {
        let (got, expected) = if let Op::Watch(watch) = op {
            self.watchers_made += 1;
            let id = self.watchers_made;
            let made = |outcome: Result<(), String>| outcome.map_or_else(Answer::Error, |()| Answer::Watch {});
            (made(self.driven.watch(id, watch)), made(Subject::watch(&mut self.model, id, watch)))
        } else {
            (self.driven.answer(op, self.now_ms), Subject::answer(&mut self.model, op, self.now_ms))
        };
        assert!(got == expected, "{op:?}\nexpected {expected:?}\n     got {got:?}");
    }

    fn nth_watcher(&self, nth: usize) -> Option<u32> {
        let count = self.model.watchers.len().max(1);
        self.model.watchers.keys().nth(nth % count).copied()
    }

    fn take(&mut self, id: u32, up_to: u64, events_max: usize) {
        let Watcher { watch, lost, .. } = self.model.watchers[&id].clone();
        let may_be_lost = self.model.may_be_lost(id);
        let watcher = self.driven.watchers[&id];
        let (got, resync, through) = match self.driven.engine.take_events(watcher, up_to, events_max) {
            Ok(taken) => {
                let resync = taken.batches.first().is_some_and(|batch| batch.resync);
                assert!(taken.batches.iter().skip(1).all(|batch| !batch.resync), "only the first batch is a resync");
                (taken.batches.iter().map(subject::batch).collect::<Vec<_>>(), resync, taken.through)
            }
            Err(error) => {
                assert_eq!(error.code(), "COMPACTED");
                assert!(may_be_lost && !watch.resync, "watcher {id} {watch:?} lost nothing: {error}");
                self.driven.watchers.remove(&id);
                self.model.watchers.remove(&id);
                return;
            }
        };
        self.check_extent(id, up_to, events_max, &got, through);
        assert!(!resync || (may_be_lost && watch.resync), "watcher {id} {watch:?} lost nothing and was resynced");
        assert!(resync || !lost || got.is_empty(), "watcher {id} {watch:?} lost changes and was not told");
        let mut expected = Vec::new();
        if resync {
            expected.push(self.model.resync(id, got[0].revision));
        }
        expected.extend(self.model.take(id, through));
        assert_eq!(got, expected, "watcher {id} {watch:?} through {through}");
    }

    /// A take goes no further than asked, and stops before only with enough events, or where all that it could give is
    /// a resync that lies beyond.
    fn check_extent(&self, id: u32, up_to: u64, events_max: usize, got: &[Batch], through: u64) {
        let present = self.model.revision;
        let bound = if up_to == 0 { present } else { up_to.min(present) };
        assert!(through <= bound.max(self.model.watchers[&id].next - 1), "through {through} is past the bound {bound}");
        let events = |batches: &[Batch]| batches.iter().map(|batch| batch.events.len()).sum::<usize>();
        let before_last = events(&got[..got.len().saturating_sub(1)]);
        assert!(before_last < events_max, "{before_last} events before the last batch, {events_max} asked for");
        let whole = through >= bound || events(got) >= events_max;
        let waits = self.model.may_be_lost(id) && bound < self.model.compact_revision;
        assert!(whole || waits, "the take stopped at {through} without a reason");
    }

    fn store(&mut self) {
        let through = self.model.revision;
        if let Some(ready) = self.driven.engine.take_ready() {
            assert_eq!(ready.through, through, "what is ready reaches to the present");
            for blob in ready.put {
                let newest = self.blobs.last_key_value().map(|(id, _)| id);
                assert!(newest.is_none_or(|newest| *newest < blob.id), "blob {} is not the newest", blob.id);
                self.blobs.insert(blob.id, blob.bytes);
            }
            for id in ready.delete {
                assert!(self.blobs.remove(&id).is_some(), "blob {id} is deleted and was not there");
            }
            self.driven.engine.persisted(ready.through);
            self.wrote = true;
        }
        assert!(self.driven.engine.take_ready().is_none(), "everything was taken");
        assert_eq!(self.driven.engine.durable_revision(), through);
        self.stored = self.model.clone();
    }

    /// Watchers are gone with the engine that they watched.
    fn restart(&mut self) {
        let epoch = self.driven.engine.epoch() + u64::from(std::mem::take(&mut self.wrote));
        self.driven = Driven::new(start(&self.blobs, self.blob_bytes_max));
        self.model = self.stored.clone();
        self.model.watchers.clear();
        assert!(self.driven.engine.epoch() >= epoch, "a writer's epoch is above that of the writer before");
        self.compare_everything();
    }

    /// What holds after every step, and is cheap to ask.
    fn check(&mut self) {
        let engine = &self.driven.engine;
        engine.check();
        assert_eq!(engine.revision(), self.model.revision, "revision");
        assert_eq!(engine.compact_revision(), self.model.compact_revision, "compact revision");
        assert_eq!(engine.next_deadline(), self.model.next_deadline(), "the next deadline");
        let pending = engine.pending_watches();
        for (id, watcher) in &self.driven.watchers {
            let expected = &self.model.watchers[id];
            let (waits, is_pending) = (self.model.waits(*id), pending.contains(watcher));
            assert!(is_pending || !waits, "watcher {id} {:?} waits and is not pending", expected.watch);
            assert!(!is_pending || waits || !expected.caught_up, "watcher {id} {:?} waits for nothing", expected.watch);
        }
        assert!(pending.iter().all(|watcher| self.driven.watchers.values().any(|made| made == watcher)));
        self.ask(&Op::Range(Range { keys: everything(), ..Range::default() }));
    }

    /// Every state that can be read, every change that is kept, every lease.
    pub fn compare_everything(&mut self) {
        for revision in self.model.compact_revision.max(1)..=self.model.revision {
            self.ask(&Op::Range(Range { keys: everything(), revision, ..Range::default() }));
        }
        self.ask(&Op::History { keys: everything(), from: 0, to: 0, limit: 0 });
        self.ask(&Op::LeaseLeases);
        let leases: Vec<i64> = self.model.leases.keys().copied().collect();
        leases.into_iter().for_each(|id| self.ask(&Op::LeaseTimeToLive { id }));
    }
}

fn start(blobs: &BTreeMap<String, Vec<u8>>, blob_bytes_max: usize) -> Engine {
    let mut engine = Engine::new(EngineOptions { incarnation: [7; 16], blob_bytes_max });
    for (id, bytes) in blobs {
        engine.recover(id, bytes).expect("a blob that the engine wrote");
    }
    engine.start().expect("all blobs that the engine wrote");
    engine
}

pub fn everything() -> Keys {
    Keys { key: b"\0"[..].into(), range_end: b"\0"[..].into() }
}
