//! The binding: the engine as one JavaScript class, to which only numbers cross.
//!
//! Before a call JavaScript writes what the call is about into the *area*, and afterwards reads the *answer* where the call
//! says that it lies; both are in the encoding of `codec`, and `pkg/src/wire.ts` writes and reads the same. So a call is
//! one crossing, and asks the allocator for nothing in the steady state. What is asked all the time (the revisions) lies
//! on the *board*, which is read without a call. Nothing here calls JavaScript: events and blobs wait until they are taken.

mod answer;
mod convert;
mod mirror;
mod tabs;

use core::arch::wasm32::memory_size;

use wasm_bindgen::prelude::*;

use crate::engine::{self, TransferId};
use crate::mvcc::{KeyRange, LeaseId, Limits};
use crate::watch::WatcherId;
use answer::Answer;
use convert::{decode, incarnation, millis, number, revision};
use tabs::Tab;

/// The area as it is at first. It takes most requests, and a blob of IndexedDB.
const AREA_BYTES: usize = 64 << 10;
/// An area or an answer that was larger is given back after use, so that one huge value is not paid for ever after.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// The memory grows by a share of what it is, within these bounds. The allocator would let it grow by one page of 64 KiB at a
/// time, each of which detaches every view of it, and costs as much as several hundred puts.
const STEP_SHARE: usize = 8;
const STEP_BYTES_MIN: usize = 1 << 20;
const STEP_BYTES_MAX: usize = 16 << 20;
const PAGE_BYTES: usize = 64 << 10;

/// What lies on the board, in this order: revision, compact revision, durable revision, the next deadline in ms or -1, 1
/// where a watcher has something to take, and the number of the content.
type Board = [f64; 6];

/// The engine, seen from JavaScript. A `length` is of what was written into the area; every pointer is to an answer.
#[wasm_bindgen]
pub struct Engine {
    engine: engine::Engine,
    options: engine::EngineOptions,
    tab: Tab,
    area: Vec<u8>,
    answer: Answer,
    /// Boxed, so that it does not move with the engine.
    board: Box<Board>,
    /// How many pages the memory had when it was last looked at.
    pages: usize,
    /// Of the blobs that were taken and not yet read.
    blob_bytes: usize,
}

#[wasm_bindgen]
impl Engine {
    /// An engine that has recovered nothing yet, and has to be named. `maxBlobBytes` 0: nothing is stored. `maxBytes` 0: keys
    /// and history may grow without bound.
    #[wasm_bindgen(constructor)]
    pub fn new(
        #[wasm_bindgen(js_name = maxBlobBytes)] blob_bytes_max: usize,
        #[wasm_bindgen(js_name = maxBytes)] bytes_max: usize,
    ) -> Self {
        console_error_panic_hook::set_once();
        let limits = Limits { bytes_max, ..Limits::default() };
        let options = engine::EngineOptions { blob_bytes_max, limits, ..engine::EngineOptions::default() };
        Self {
            engine: engine::Engine::new(options.clone()),
            options,
            tab: Tab::Alone,
            area: vec![0; AREA_BYTES],
            answer: Answer::default(),
            board: Box::default(),
            pages: memory_size(0),
            blob_bytes: 0,
        }
    }

    /// Names the life of the store that begins here, if nothing is recovered: 16 random bytes.
    pub fn name(&mut self, length: usize) -> *const u8 {
        let named = incarnation(&self.area[..length]).map(|incarnation| {
            self.options.incarnation = incarnation;
            self.engine = engine::Engine::new(self.options.clone());
        });
        self.answer.give(named)
    }

    /// Where the area begins once it has this many bytes. It keeps what it holds, and may move.
    pub fn area(&mut self, bytes: usize) -> *mut u8 {
        if self.area.len() > KEPT_BYTES_MAX && bytes <= AREA_BYTES {
            self.area = Vec::new();
        }
        if self.area.len() < bytes.max(AREA_BYTES) {
            self.area.resize(bytes.max(AREA_BYTES), 0);
        }
        self.area.as_mut_ptr()
    }

    /// Where the board lies. It does not move.
    pub fn board(&self) -> *const f64 {
        self.board.as_ptr()
    }

    /// Takes one stored blob: a packed id and bytes.
    pub fn recover(&mut self, length: usize) -> *const u8 {
        self.blob_bytes += length;
        let taken = decode(&self.area[..length]).and_then(|(id, bytes)| self.engine.recover(id, bytes));
        self.answer.give(taken)
    }

    /// Ends the recovery.
    pub fn start(&mut self) -> *const u8 {
        // A record, its key's place and its change come to about twice what is stored of it.
        reserve(2 * self.blob_bytes);
        let started = self.engine.start();
        self.post();
        self.answer.give(started)
    }

    /// The number of this opening of the storage.
    #[wasm_bindgen(getter)]
    pub fn epoch(&self) -> f64 {
        revision(self.engine.epoch())
    }

    /// The `KeyValue` of a key, given as its bytes.
    pub fn get(&mut self, length: usize, revision: f64) -> *const u8 {
        let found = number(revision).and_then(|revision| self.engine.get(&self.area[..length], revision));
        self.answer.give_some(found)
    }

    /// The value of a key, given as its bytes.
    pub fn value(&mut self, length: usize, revision: f64) -> *const u8 {
        let found = number(revision).and_then(|revision| self.engine.get(&self.area[..length], revision));
        self.answer.give_bytes(found.as_ref().map(|found| found.as_ref().map(|kv| &*kv.value)))
    }

    /// `Range` to `RangeResponse`.
    pub fn range(&mut self, length: usize) -> *const u8 {
        let Self { engine, area, answer, .. } = self;
        answer.give(decode(&area[..length]).and_then(|range| engine.range(&range)))
    }

    /// `History` to a list of `Event`s.
    pub fn history(&mut self, length: usize) -> *const u8 {
        let Self { engine, area, answer, .. } = self;
        answer.give(decode(&area[..length]).and_then(|history| engine.history(&history)))
    }

    /// A `KeyRange` and two revisions to a list of `Difference`s.
    pub fn diff(&mut self, length: usize) -> *const u8 {
        let Self { engine, area, answer, .. } = self;
        answer.give(decode(&area[..length]).and_then(|(keys, from, to)| engine.diff(keys, from, to)))
    }

    /// A `Hash`.
    pub fn hash(&mut self, revision: f64) -> *const u8 {
        self.answer.give(number(revision).and_then(|revision| self.engine.hash(revision)))
    }

    /// Whether ranges are as they were at a revision: `(revision, list of KeyRange)` to a bool.
    #[wasm_bindgen(js_name = isUnchanged)]
    pub fn is_unchanged(&mut self, length: usize) -> *const u8 {
        let decoded: Result<(u64, Vec<KeyRange<'_>>), _> = decode(&self.area[..length]);
        self.answer.give(decoded.and_then(|(revision, reads)| self.engine.is_unchanged(revision, &reads)))
    }

    /// The revision at which a key that is there last changed; 0: it is not there.
    #[wasm_bindgen(js_name = modRevision)]
    pub fn mod_revision(&self, length: usize) -> f64 {
        revision(self.engine.mod_revision(&self.area[..length]))
    }

    /// Keeps a revision readable; gives the revision.
    pub fn snapshot(&mut self, at: f64) -> *const u8 {
        self.answer.give(number(at).and_then(|at| self.engine.snapshot(at)))
    }

    /// Releases one snapshot of a revision. `false`: there is none.
    #[wasm_bindgen(js_name = releaseSnapshot)]
    pub fn release_snapshot(&mut self, revision: f64) -> bool {
        number(revision).is_ok_and(|revision| self.engine.release_snapshot(revision))
    }

    /// `Request` to `Response`. What is refused has changed nothing.
    pub fn apply(&mut self, length: usize, now: f64) -> *const u8 {
        let applied = decode(&self.area[..length]).and_then(|request| self.engine.apply(request, millis(now)));
        self.post();
        self.answer.give(applied)
    }

    /// The transactions after `from`, up to `upTo` (0: all) and `max` at most (0: any number), as a change set.
    pub fn changes(&mut self, from: f64, #[wasm_bindgen(js_name = upTo)] up_to: f64, max: f64) -> *const u8 {
        let numbers = number(from).and_then(|from| Ok((from, number(up_to)?, number(max)?)));
        let changes = numbers.and_then(|(from, up_to, max)| self.engine.changes(from, up_to, max));
        self.answer.give_bytes(changes.as_ref().map(|changes| Some(&changes.bytes[..])))
    }

    /// Applies a change set; gives the store's revision. What is refused has changed nothing.
    #[wasm_bindgen(js_name = applyChanges)]
    pub fn apply_changes(&mut self, length: usize) -> *const u8 {
        let applied = self.engine.apply_changes(&self.area[..length]);
        self.post();
        self.answer.give(applied.map(|applied| applied.revision))
    }

    /// Begins a `Watch`; gives the watcher's id.
    pub fn watch(&mut self, length: usize) -> *const u8 {
        let begun = decode(&self.area[..length]).and_then(|watch| self.engine.watch(&watch));
        self.post();
        self.answer.give(begun.map(|id| id.0))
    }

    /// Ends a watch.
    #[wasm_bindgen(js_name = cancelWatch)]
    pub fn cancel_watch(&mut self, id: u32) -> bool {
        let ended = self.engine.cancel_watch(WatcherId(id));
        self.post();
        ended
    }

    /// A list of the watchers that have something to take.
    #[wasm_bindgen(js_name = pendingWatches)]
    pub fn pending_watches(&mut self) -> *const u8 {
        let ids: Vec<u32> = self.engine.pending_watches().iter().map(|id| id.0).collect();
        self.answer.give(Ok(ids))
    }

    /// A `WatchResponse`.
    #[wasm_bindgen(js_name = takeEvents)]
    pub fn take_events(
        &mut self,
        id: u32,
        #[wasm_bindgen(js_name = upTo)] up_to: f64,
        #[wasm_bindgen(js_name = eventsMax)] events_max: usize,
    ) -> *const u8 {
        let taken = number(up_to).and_then(|up_to| self.engine.take_events(WatcherId(id), up_to, events_max));
        let answer = self.answer.give(taken);
        self.post();
        answer
    }

    /// Moves a watcher past everything there is.
    #[wasm_bindgen(js_name = skipEvents)]
    pub fn skip_events(&mut self, id: u32) -> *const u8 {
        let skipped = self.engine.skip_events(WatcherId(id));
        self.post();
        self.answer.give(skipped)
    }

    /// A list of (watcher, bound) to an answer of a `WatchResponse` or a refusal for each; of fewer, from the first on, where
    /// all together are too much at once.
    #[wasm_bindgen(js_name = takeMany)]
    pub fn take_many(&mut self, length: usize, #[wasm_bindgen(js_name = eventsMax)] events_max: usize) -> *const u8 {
        let Self { engine, area, answer, .. } = self;
        let wanted: Result<Vec<(u32, u64)>, _> = decode(&area[..length]);
        answer.begin_many();
        for (id, up_to) in wanted.unwrap_or_default() {
            answer.add(engine.take_events(WatcherId(id), up_to, events_max));
            if answer.len() > KEPT_BYTES_MAX {
                break;
            }
        }
        let answer = self.answer.end_many();
        self.post();
        answer
    }

    /// A `LeaseInfo`.
    pub fn lease(&mut self, id: i64, now: f64) -> *const u8 {
        self.answer.give_some(Ok(self.engine.lease(LeaseId(id), millis(now))))
    }

    /// A list of the ids of all leases, ascending.
    pub fn leases(&mut self) -> *const u8 {
        self.answer.give(Ok(self.engine.leases()))
    }

    /// Ends the leases whose time has come.
    pub fn tick(&mut self, now: f64) -> *const u8 {
        let ticked = self.engine.tick(millis(now));
        self.post();
        self.answer.give(ticked)
    }

    /// One bounded step of compaction. `true`: there is more to do.
    #[wasm_bindgen(js_name = compactStep)]
    pub fn compact_step(&mut self) -> bool {
        self.engine.compact_step()
    }

    /// A `Ready`: what to write since the last call.
    #[wasm_bindgen(js_name = takeReady)]
    pub fn take_ready(&mut self) -> *const u8 {
        self.answer.give_some(Ok(self.engine.take_ready()))
    }

    /// Begins a backup; gives a `BackupInfo`.
    #[wasm_bindgen(js_name = beginBackup)]
    pub fn begin_backup(&mut self, revision: f64, history: bool) -> *const u8 {
        self.answer.give(number(revision).and_then(|revision| self.engine.begin_backup(revision, history)))
    }

    /// The next portion of a backup: bytes that all together are what `restore` takes.
    #[wasm_bindgen(js_name = readBackup)]
    pub fn read_backup(&mut self, id: u32) -> *const u8 {
        let portion = self.engine.transfer_chunk(TransferId(id));
        self.answer.give_bytes(portion.as_ref().map(|portion| portion.as_deref()))
    }

    /// Ends a backup, whatever has been read of it.
    #[wasm_bindgen(js_name = endBackup)]
    pub fn end_backup(&mut self, id: u32) -> bool {
        self.engine.end_transfer(TransferId(id))
    }

    /// Replaces everything by a backup: 16 random bytes that name the new life of the store, and the backup's.
    pub fn restore(&mut self, length: usize) -> *const u8 {
        let (name, backup) = self.area[..length].split_at(length.min(16));
        let restored = incarnation(name).and_then(|incarnation| self.engine.restore(backup, incarnation));
        self.post();
        self.answer.give(restored)
    }

    /// Goes on after a failure of the medium, which `found` has recovered.
    pub fn heal(&mut self, found: Self) -> *const u8 {
        let healed = self.engine.heal(found.engine);
        self.post();
        self.answer.give(healed)
    }

    /// Goes back to what is stored, which `found` has recovered.
    pub fn rewind(&mut self, found: Self) -> *const u8 {
        let gone = self.engine.rewind(found.engine);
        if let Tab::Leader(leader) = &mut self.tab {
            leader.taken_back(&self.engine);
        }
        self.post();
        self.answer.give(gone)
    }

    /// Goes on behind this revision.
    #[wasm_bindgen(js_name = skipTo)]
    pub fn skip_to(&mut self, revision: f64) -> *const u8 {
        let skipped = number(revision).map(|revision| self.engine.skip_to(revision));
        self.post();
        self.answer.give(skipped)
    }

    /// Begins another life of the store. `length`: of 16 random bytes.
    pub fn renew(&mut self, length: usize) -> *const u8 {
        let renewed = incarnation(&self.area[..length]).map(|incarnation| self.engine.renew(incarnation));
        self.answer.give(renewed)
    }

    /// Names this life of the store: 16 bytes.
    pub fn incarnation(&mut self) -> *const u8 {
        self.answer.give_bytes(Ok(Some(&self.engine.incarnation())))
    }

    /// Ends the recovery of a damaged storage; gives a list of `Loss`es.
    pub fn salvage(&mut self) -> *const u8 {
        let losses = self.engine.salvage();
        self.post();
        self.answer.give(Ok(losses))
    }

    /// The host confirms that a `Ready` is written.
    pub fn persisted(&mut self, through: f64) -> *const u8 {
        let confirmed = number(through).map(|through| self.engine.persisted(through));
        self.post();
        self.answer.give(confirmed)
    }

    /// How much is held: keys, revisions, bytes, watchers and leases.
    pub fn stats(&mut self) -> *const u8 {
        let engine::Stats { keys, revisions, bytes, watchers, leases } = self.engine.stats();
        self.answer.give(Ok([keys, revisions, bytes, watchers, leases]))
    }
}

impl Engine {
    /// Brings the board up to date, after whatever may have changed it.
    fn post(&mut self) {
        if memory_size(0) > self.pages {
            reserve((memory_size(0) / STEP_SHARE * PAGE_BYTES).clamp(STEP_BYTES_MIN, STEP_BYTES_MAX));
            self.pages = memory_size(0);
        }
        let engine = &self.engine;
        *self.board = [
            revision(engine.revision()),
            revision(engine.compact_revision()),
            revision(engine.durable_revision()),
            engine.next_deadline().map_or(-1.0, revision),
            f64::from(u8::from(engine.has_pending_watches())),
            revision(engine.replaced()),
        ];
    }
}

/// Lets the allocator have so much at once, if it can be had.
fn reserve(bytes: usize) {
    let mut block = Vec::<u8>::new();
    let _ = std::hint::black_box(&mut block).try_reserve_exact(bytes);
}
