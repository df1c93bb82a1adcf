//! The host of an engine, as `pkg/src/persist.ts` and `pkg/src/open.ts` are it: at most one batch is under way, what
//! comes meanwhile is the next one, and whoever waits is told when a batch that was taken after they came is written.

use std::sync::Arc;

use revkv::{Engine, EngineOptions, Error, Ready};

use crate::act::Act;
use crate::medium::{Batch, Image, Said};
use crate::truth::Truth;

/// When a write is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    Memory,
    Relaxed,
    Strict,
}

/// Up to which effect somebody was told that it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Acked {
    pub relaxed: usize,
    pub strict: usize,
    /// The revision that was then, and what it and all before it were: never will it name anything else.
    promised: (u64, u64),
}

#[derive(Debug, Clone, Copy)]
struct Waiter {
    effects: usize,
    revision: (u64, u64),
    durability: Durability,
}

/// A batch that the storage was asked to write and has not answered.
#[derive(Debug, Clone)]
pub struct Flight {
    pub batch: Arc<Batch>,
    through: u64,
    group: Vec<Waiter>,
}

#[derive(Clone)]
pub struct Host {
    pub engine: Engine,
    pub truth: Truth,
    pub acked: Acked,
    waiting: Vec<Waiter>,
    strict: bool,
    /// Something may have been written and not flushed.
    unflushed: bool,
}

impl Host {
    /// Reads what is stored, of which so much had been acknowledged for good. It is not claimed yet.
    pub fn read(image: &Image, blob_bytes_max: usize, before: Acked) -> Result<Host, Error> {
        let options = EngineOptions { incarnation: [7; 16], blob_bytes_max, ..EngineOptions::default() };
        let mut engine = Engine::new(options);
        image.blobs.iter().try_for_each(|(id, bytes)| engine.recover(id, bytes))?;
        engine.start()?;
        let truth = image.said.truth.clone();
        let acked = Acked { relaxed: truth.effects, ..before };
        // What is found may have been written "relaxed", as the claim is.
        Ok(Host { engine, truth, acked, waiting: Vec::new(), strict: false, unflushed: true })
    }

    /// Does something, and waits for it as asked.
    pub fn act(&mut self, act: &Act, durability: Durability) {
        let done = act.apply(&mut self.engine, self.truth.now_ms);
        assert_eq!(done, Ok(()), "{act:?} can be done");
        self.truth.perform(act);
        assert_eq!(self.engine.revision(), self.truth.revision(), "{act:?}");
        self.wait(durability);
    }

    /// Waits until everything done so far is stored.
    pub fn wait(&mut self, durability: Durability) {
        if durability > Durability::Memory {
            let revision = (self.truth.revision(), self.truth.digest(self.truth.revision()));
            self.waiting.push(Waiter { effects: self.truth.effects, revision, durability });
            self.strict |= durability == Durability::Strict;
        }
    }

    /// What to write next. If there is nothing, whoever waits has waited long enough.
    pub fn gather(&mut self) -> Option<Flight> {
        let ready = self.engine.take_ready();
        let strict = std::mem::take(&mut self.strict);
        let group = std::mem::take(&mut self.waiting);
        let flush = || Ready { through: 0, epoch: self.engine.epoch(), put: Vec::new(), delete: Vec::new() };
        let Some(ready) = ready.or_else(|| (strict && self.unflushed).then(flush)) else {
            self.acknowledge(group);
            return None;
        };
        assert!(ready.through == 0 || ready.through == self.engine.revision(), "a batch reaches to the present");
        let said = Arc::new(Said { truth: self.truth.clone(), stats: self.engine.stats() });
        let through = ready.through;
        Some(Flight { batch: Arc::new(Batch::new(ready, strict, said)), through, group })
    }

    /// The storage has written the batch.
    pub fn written(&mut self, flight: Flight) {
        self.unflushed = !flight.batch.strict;
        self.engine.persisted(flight.through);
        assert!(flight.through == 0 || self.engine.durable_revision() == flight.through, "what is written is durable");
        self.acknowledge(flight.group);
    }

    fn acknowledge(&mut self, group: Vec<Waiter>) {
        for Waiter { effects, revision, durability } in group {
            self.acked.relaxed = self.acked.relaxed.max(effects);
            if durability == Durability::Strict {
                self.acked.strict = self.acked.strict.max(effects);
                self.acked.promised = self.acked.promised.max(revision);
            }
        }
    }

    /// Asserts that an engine just read has what the storage was told last.
    pub fn check_read(&self, image: &Image) {
        let Said { truth, stats } = &*image.said;
        truth.compare(&self.engine).unwrap_or_else(|what| panic!("{what}"));
        assert_eq!(self.engine.durable_revision(), self.engine.revision(), "what was read is durable");
        if !image.blobs.is_empty() {
            let read = self.engine.stats();
            let counted = (read.keys, read.revisions, read.leases);
            assert_eq!(counted, (stats.keys, stats.revisions, stats.leases), "what is stored and what was in memory");
        }
        self.engine.check();
    }
}

impl Acked {
    pub fn nothing() -> Self {
        Self { relaxed: 0, strict: 0, promised: (1, Truth::new().digest(1)) }
    }

    /// Asserts that what was acknowledged is there.
    pub fn check(&self, image: &Image, kept_all: bool) {
        let truth = &image.said.truth;
        let floor = if kept_all { self.relaxed.max(self.strict) } else { self.strict };
        assert!(truth.effects >= floor, "of {floor} acknowledged effects, {} are left", truth.effects);
        let (revision, digest) = self.promised;
        assert_eq!(truth.digest(revision), digest, "revision {revision} is not what it was");
    }
}
