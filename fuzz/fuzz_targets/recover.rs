//! Any bytes as stored blobs. Nothing but their checksums stands between them and the engine.
#![no_main]

use libfuzzer_sys::fuzz_target;
use revkv::Engine;
use revkv_fuzz::{Input, finish, options};

fuzz_target!(init: revkv_fuzz::write_seeds("recover"), |data: &[u8]| {
    let mut input = Input(data);
    let mut engine = Engine::new(options());
    let mut blobs = Vec::new();
    while !input.is_empty() {
        let bytes = input.piece();
        // The id that the blob claims, so that the rest of it is looked at.
        let sequence = bytes.get(32..40).and_then(|sequence| sequence.try_into().ok()).map_or(0, u64::from_le_bytes);
        let blob = revkv::Blob { id: format!("{sequence:016x}"), bytes: bytes.to_vec() };
        if engine.recover(&blob.id, &blob.bytes).is_err() {
            return;
        }
        blobs.push(blob);
    }
    if engine.start().is_ok() {
        engine.check();
        finish(engine, blobs);
    }
});
