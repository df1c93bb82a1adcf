//! How much is written for what changes, and kept for what is there, in the long run.

use std::collections::BTreeMap;

use fastrand::Rng;
use revkv::{Engine, EngineOptions, Put, Ready, Request};

const UPDATES: u64 = 120_000;
const KEYS: u64 = 1_000;
const RETENTION: u64 = 1_000;
const COMPACTED_EACH: u64 = 100;
const VALUE_BYTES: usize = 100;
/// As `pkg/src/storage/indexeddb.ts` has it.
const BLOB_BYTES_MAX: usize = 48 << 10;

/// A header, the record itself, and its way through pieces that are joined.
const WRITTEN_PER_CHANGED_MAX: f64 = 8.0;
const STORED_PER_LIVE_MAX: f64 = 2.5;
/// What is committed, one step of rewriting, and notes written anew.
const BLOBS_MAX: usize = 4;

/// What a medium was asked to do, and holds.
#[derive(Default)]
struct Tally {
    lengths: BTreeMap<String, usize>,
    batches: u64,
    written: usize,
    blobs_max: usize,
    deletes_max: usize,
    bytes_max: usize,
}

impl Tally {
    fn write(&mut self, ready: Ready) {
        let bytes: usize = ready.put.iter().map(|blob| blob.bytes.len()).sum();
        self.batches += 1;
        self.written += bytes;
        self.blobs_max = self.blobs_max.max(ready.put.len());
        self.deletes_max = self.deletes_max.max(ready.delete.len());
        self.bytes_max = self.bytes_max.max(bytes);
        self.lengths.extend(ready.put.into_iter().map(|blob| (blob.id, blob.bytes.len())));
        for id in ready.delete {
            assert!(self.lengths.remove(&id).is_some(), "blob {id} is deleted and was not there");
        }
    }

    /// Writes all there is, a step of rewriting with each batch.
    fn take_all(&mut self, engine: &mut Engine) {
        while let Some(ready) = engine.take_ready() {
            let through = ready.through;
            self.write(ready);
            engine.persisted(through);
        }
    }

    fn stored(&self) -> usize {
        self.lengths.values().sum()
    }
}

/// One batch for each update is the dearest way to write.
#[test]
fn what_is_written_and_kept_is_in_proportion() {
    let mut engine = Engine::new(EngineOptions { blob_bytes_max: BLOB_BYTES_MAX, ..EngineOptions::default() });
    engine.start().expect("nothing is stored");
    let (mut rng, mut tally) = (Rng::with_seed(1), Tally::default());
    let (mut changed, mut stored_max) = (0, 0.0_f64);
    for update in 1..=UPDATES {
        let key = rng.u64(0..KEYS).to_be_bytes();
        let value = vec![rng.u8(..); VALUE_BYTES];
        changed += key.len() + value.len();
        engine.apply(Request::Put(Put { key: &key, value: &value, ..Put::default() }), 0).expect("it can be put");
        tally.take_all(&mut engine);
        if update % COMPACTED_EACH == 0 && update > RETENTION {
            let revision = engine.revision() - RETENTION;
            engine.apply(Request::Compact { revision }, 0).expect("above the one before");
            while engine.compact_step() {}
            tally.take_all(&mut engine);
            let live = engine.stats().revisions * (size_of::<u64>() + VALUE_BYTES);
            stored_max = stored_max.max(tally.stored() as f64 / live as f64);
        }
    }
    let Tally { batches, written, blobs_max, deletes_max, bytes_max, ref lengths } = tally;
    let (per_changed, pieces) = (written as f64 / changed as f64, lengths.len());
    println!("{UPDATES} updates of {KEYS} keys: {batches} batches, {per_changed:.2} bytes written per byte changed");
    println!("at most {stored_max:.2} bytes stored per live byte; {pieces} blobs at the end");
    println!("the largest batch: {blobs_max} blobs, {bytes_max} bytes; {deletes_max} deletes");
    assert!(per_changed <= WRITTEN_PER_CHANGED_MAX, "{per_changed} bytes are written per byte changed");
    assert!(stored_max <= STORED_PER_LIVE_MAX, "{stored_max} bytes are stored per live byte");
    assert!(blobs_max <= BLOBS_MAX && bytes_max <= BLOBS_MAX * BLOB_BYTES_MAX, "{blobs_max} blobs, {bytes_max} bytes");
}
