//! The binding: the engine as one JavaScript class.
//!
//! Requests and answers cross as bytes in the encoding of `codec`; `pkg/src/wire.ts` writes and reads the same. Nothing
//! here calls JavaScript: events and blobs wait until they are taken.

mod convert;

use js_sys::BigInt64Array;
use wasm_bindgen::prelude::*;

use crate::engine;
use crate::mvcc::{LeaseId, Limits};
use crate::watch::WatcherId;
use convert::{decode, millis, packed, revision, thrown};

/// The engine, seen from JavaScript.
#[wasm_bindgen]
pub struct Engine {
    engine: engine::Engine,
}

#[wasm_bindgen]
impl Engine {
    /// An engine that has recovered nothing yet. `incarnation`: 16 random bytes. `maxBlobBytes` 0: nothing is stored.
    /// `maxBytes` 0: keys and history may grow without bound.
    #[wasm_bindgen(constructor)]
    pub fn new(
        incarnation: &[u8],
        #[wasm_bindgen(js_name = maxBlobBytes)] blob_bytes_max: usize,
        #[wasm_bindgen(js_name = maxBytes)] bytes_max: usize,
    ) -> Result<Self, JsValue> {
        console_error_panic_hook::set_once();
        let incarnation = convert::incarnation(incarnation).map_err(thrown)?;
        let limits = Limits { bytes_max, ..Limits::default() };
        Ok(Self { engine: engine::Engine::new(engine::EngineOptions { incarnation, blob_bytes_max, limits }) })
    }

    /// Takes one stored blob, ids ascending.
    pub fn recover(&mut self, id: &str, bytes: &[u8]) -> Result<(), JsValue> {
        self.engine.recover(id, bytes).map_err(thrown)
    }

    /// Ends the recovery.
    pub fn start(&mut self) -> Result<(), JsValue> {
        self.engine.start().map_err(thrown)
    }

    /// The newest revision.
    #[wasm_bindgen(getter)]
    pub fn revision(&self) -> f64 {
        revision(self.engine.revision())
    }

    /// The oldest revision that can be read; 0: never compacted.
    #[wasm_bindgen(getter, js_name = compactRevision)]
    pub fn compact_revision(&self) -> f64 {
        revision(self.engine.compact_revision())
    }

    /// Every revision up to here is confirmed as written.
    #[wasm_bindgen(getter, js_name = durableRevision)]
    pub fn durable_revision(&self) -> f64 {
        revision(self.engine.durable_revision())
    }

    /// The number of this opening of the storage.
    #[wasm_bindgen(getter)]
    pub fn epoch(&self) -> f64 {
        revision(self.engine.epoch())
    }

    /// A packed `KeyValue`.
    pub fn get(&self, key: &[u8], revision: f64) -> Result<Option<Vec<u8>>, JsValue> {
        let found = self.engine.get(key, convert::number(revision).map_err(thrown)?).map_err(thrown)?;
        Ok(found.as_ref().map(packed))
    }

    /// `Range` to `RangeResponse`, packed.
    pub fn range(&self, request: &[u8]) -> Result<Vec<u8>, JsValue> {
        self.engine.range(&decode(request)?).map(|response| packed(&response)).map_err(thrown)
    }

    /// `History` to a list of `Event`s, packed.
    pub fn history(&self, request: &[u8]) -> Result<Vec<u8>, JsValue> {
        self.engine.history(&decode(request)?).map(|events| packed(&events)).map_err(thrown)
    }

    /// A `KeyRange` and two revisions to a list of `Difference`s, packed.
    pub fn diff(&self, request: &[u8]) -> Result<Vec<u8>, JsValue> {
        let (keys, from, to) = decode(request)?;
        self.engine.diff(keys, from, to).map(|differences| packed(&differences)).map_err(thrown)
    }

    /// A packed `Hash`.
    pub fn hash(&self, revision: f64) -> Result<Vec<u8>, JsValue> {
        self.engine.hash(convert::number(revision).map_err(thrown)?).map(|hash| packed(&hash)).map_err(thrown)
    }

    /// Keeps a revision readable; gives the revision.
    pub fn snapshot(&mut self, at: f64) -> Result<f64, JsValue> {
        self.engine.snapshot(convert::number(at).map_err(thrown)?).map(revision).map_err(thrown)
    }

    /// Releases one snapshot of a revision. `false`: there is none.
    #[wasm_bindgen(js_name = releaseSnapshot)]
    pub fn release_snapshot(&mut self, revision: f64) -> Result<bool, JsValue> {
        Ok(self.engine.release_snapshot(convert::number(revision).map_err(thrown)?))
    }

    /// `Request` to `Response`, packed. What throws has changed nothing.
    pub fn apply(&mut self, request: &[u8], now: f64) -> Result<Vec<u8>, JsValue> {
        let response = self.engine.apply(decode(request)?, millis(now)).map_err(thrown)?;
        Ok(packed(&response))
    }

    /// The transactions after `from`, up to `upTo` (0: all) and `max` at most (0: any number), as a change set.
    pub fn changes(&self, from: f64, #[wasm_bindgen(js_name = upTo)] up_to: f64, max: f64) -> Result<Vec<u8>, JsValue> {
        let number = |number| convert::number(number).map_err(thrown);
        let changes = self.engine.changes(number(from)?, number(up_to)?, number(max)?);
        changes.map(|changes| changes.bytes).map_err(thrown)
    }

    /// Applies a change set; gives the store's revision. What throws has changed nothing.
    #[wasm_bindgen(js_name = applyChanges)]
    pub fn apply_changes(&mut self, changes: &[u8]) -> Result<f64, JsValue> {
        self.engine.apply_changes(changes).map(|applied| revision(applied.revision)).map_err(thrown)
    }

    /// Begins a packed `Watch`; gives the watcher's id.
    pub fn watch(&mut self, request: &[u8]) -> Result<u32, JsValue> {
        self.engine.watch(&decode(request)?).map(|id| id.0).map_err(thrown)
    }

    /// Ends a watch.
    #[wasm_bindgen(js_name = cancelWatch)]
    pub fn cancel_watch(&mut self, id: u32) -> bool {
        self.engine.cancel_watch(WatcherId(id))
    }

    /// The watchers that have something to take.
    #[wasm_bindgen(js_name = pendingWatches)]
    pub fn pending_watches(&self) -> Vec<u32> {
        self.engine.pending_watches().into_iter().map(|id| id.0).collect()
    }

    /// A packed `WatchResponse`.
    #[wasm_bindgen(js_name = takeEvents)]
    pub fn take_events(
        &mut self,
        id: u32,
        #[wasm_bindgen(js_name = upTo)] up_to: f64,
        #[wasm_bindgen(js_name = eventsMax)] events_max: usize,
    ) -> Result<Vec<u8>, JsValue> {
        let up_to = convert::number(up_to).map_err(thrown)?;
        self.engine.take_events(WatcherId(id), up_to, events_max).map(|response| packed(&response)).map_err(thrown)
    }

    /// A packed `LeaseInfo`.
    pub fn lease(&self, id: i64, now: f64) -> Option<Vec<u8>> {
        self.engine.lease(LeaseId(id), millis(now)).as_ref().map(packed)
    }

    /// The ids of all leases, ascending.
    pub fn leases(&self) -> BigInt64Array {
        let ids: Vec<i64> = self.engine.leases().into_iter().map(|id| id.0).collect();
        BigInt64Array::from(&ids[..])
    }

    /// When the next lease ends, in ms since the epoch.
    #[wasm_bindgen(js_name = nextDeadline)]
    pub fn next_deadline(&self) -> Option<f64> {
        self.engine.next_deadline().map(revision)
    }

    /// Ends the leases whose time has come.
    pub fn tick(&mut self, now: f64) -> Result<(), JsValue> {
        self.engine.tick(millis(now)).map_err(thrown)
    }

    /// One bounded step of compaction. `true`: there is more to do.
    #[wasm_bindgen(js_name = compactStep)]
    pub fn compact_step(&mut self) -> bool {
        self.engine.compact_step()
    }

    /// A packed `Ready`: what to write since the last call.
    #[wasm_bindgen(js_name = takeReady)]
    pub fn take_ready(&mut self) -> Option<Vec<u8>> {
        self.engine.take_ready().as_ref().map(packed)
    }

    /// Everything at a revision, in bytes that `restore` takes.
    pub fn backup(&self, revision: f64, history: bool) -> Result<Vec<u8>, JsValue> {
        self.engine.backup(convert::number(revision).map_err(thrown)?, history).map_err(thrown)
    }

    /// Replaces everything by a backup. `incarnation`: 16 random bytes.
    pub fn restore(&mut self, backup: &[u8], incarnation: &[u8]) -> Result<(), JsValue> {
        let incarnation = convert::incarnation(incarnation).map_err(thrown)?;
        self.engine.restore(backup, incarnation).map_err(thrown)
    }

    /// Goes on after a failure of the medium, which `found` has recovered.
    pub fn heal(&mut self, found: Self) -> Result<(), JsValue> {
        self.engine.heal(found.engine).map_err(thrown)
    }

    /// Goes back to what is stored, which `found` has recovered.
    pub fn rewind(&mut self, found: Self) -> Result<(), JsValue> {
        self.engine.rewind(found.engine).map_err(thrown)
    }

    /// Begins another life of the store.
    pub fn renew(&mut self, incarnation: &[u8]) -> Result<(), JsValue> {
        self.engine.renew(convert::incarnation(incarnation).map_err(thrown)?);
        Ok(())
    }

    /// Names this life of the store: 16 bytes.
    #[wasm_bindgen(getter)]
    pub fn incarnation(&self) -> Vec<u8> {
        self.engine.incarnation().to_vec()
    }

    /// Ends the recovery of a damaged storage; gives a packed list of `Loss`es.
    pub fn salvage(&mut self) -> Vec<u8> {
        packed(&self.engine.salvage())
    }

    /// The host confirms that a `Ready` is written.
    pub fn persisted(&mut self, through: f64) -> Result<(), JsValue> {
        self.engine.persisted(convert::number(through).map_err(thrown)?);
        Ok(())
    }
}
