//! What the engine's blobs are kept on, and what would come back from there.

use std::collections::BTreeMap;

use revkv::{Engine, EngineOptions, Limits, Ready};

use super::setup::Setup;
use super::size::Removal;
use super::store::Model;

pub struct Medium {
    blobs: BTreeMap<String, Vec<u8>>,
    blob_bytes_max: usize,
    limits: Limits,
    /// The model as it was when the medium was last written.
    stored: Model,
    /// What has been written and not confirmed to the engine, by how far it goes.
    pub unconfirmed: Vec<u64>,
    /// An engine has written since it was started.
    wrote: bool,
}

impl Medium {
    pub fn new(setup: &Setup) -> Self {
        Self {
            blobs: BTreeMap::new(),
            blob_bytes_max: setup.blob_bytes_max,
            limits: setup.limits,
            stored: Model::with_limits(setup.limits),
            unconfirmed: Vec::new(),
            wrote: false,
        }
    }

    /// Whether there is one at all.
    pub fn is_there(&self) -> bool {
        self.blob_bytes_max > 0
    }

    /// Takes a batch, after which `model` is what the blobs say, and `compacts` whether they ask for a removal.
    pub fn write(&mut self, ready: Ready, model: &Model, compacts: bool) {
        assert_eq!(ready.through, model.revision, "what is ready reaches to the present");
        for blob in ready.put {
            let newest = self.blobs.last_key_value().map(|(id, _)| id);
            assert!(newest.is_none_or(|newest| *newest < blob.id), "blob {} is not the newest", blob.id);
            assert!(blob.bytes.len() <= self.blob_bytes_max, "blob {} is too large for the medium", blob.id);
            self.blobs.insert(blob.id, blob.bytes);
        }
        for id in ready.delete {
            assert!(self.blobs.remove(&id).is_some(), "blob {id} is deleted and was not there");
        }
        self.unconfirmed.push(ready.through);
        self.wrote = true;
        self.stored = model.clone();
        self.stored.removal = if compacts { Removal::Running { bytes: 0, refused: false } } else { Removal::Done };
    }

    /// A new engine from the blobs after one of this epoch, and the model that it has to agree with. Watchers and
    /// snapshots are gone with the engine that gave them.
    pub fn restart(&mut self, epoch: u64) -> (Engine, Model) {
        let engine = self.open();
        let after = if self.is_there() { epoch + u64::from(std::mem::take(&mut self.wrote)) } else { 0 };
        assert!(engine.epoch() >= after, "a writer's epoch is above that of the writer before");
        let mut model = self.stored.clone();
        model.watchers.clear();
        model.forget_snapshots();
        self.unconfirmed.clear();
        (engine, model)
    }

    pub fn open(&self) -> Engine {
        let (blob_bytes_max, limits) = (self.blob_bytes_max, self.limits);
        let mut engine = Engine::new(EngineOptions { incarnation: [7; 16], blob_bytes_max, limits });
        for (id, bytes) in &self.blobs {
            engine.recover(id, bytes).expect("a blob that the engine wrote");
        }
        engine.start().expect("all blobs that the engine wrote");
        engine
    }
}
