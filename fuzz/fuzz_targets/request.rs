//! Any bytes as packed requests, one after the other, to an engine with some content.
#![no_main]

use libfuzzer_sys::fuzz_target;
use revkv::Request;
use revkv::fuzzing::{pack, unpack};
use revkv_fuzz::{engine, finish, write};

fuzz_target!(init: revkv_fuzz::write_seeds("request"), |data: &[u8]| {
    let (mut engine, mut blobs) = engine();
    let mut rest = data;
    let mut now_ms = 2_000;
    while let Some((request, after)) = unpack::<Request<'_>>(rest) {
        rest = after;
        now_ms += 100;
        let before = (engine.revision(), engine.compact_revision(), engine.hash(0), engine.stats());
        match engine.apply(request, now_ms) {
            Ok(response) => drop(pack(&response)),
            Err(_) => {
                let after = (engine.revision(), engine.compact_revision(), engine.hash(0), engine.stats());
                assert_eq!(before, after, "an error changed something");
            }
        }
        engine.check();
        engine.compact_step();
        engine.tick(now_ms).expect("time passes without an error");
        if now_ms % 200 == 0
            && let Some(ready) = engine.take_ready()
        {
            write(&mut engine, ready, &mut blobs);
        }
    }
    finish(engine, blobs);
});
