//! Any bytes as change sets, as they are and behind right checksums, to an engine with some content and to one with none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use revkv::Engine;
use revkv::replica_fuzzing::seal_changes;
use revkv_fuzz::{Input, engine, finish, options};

fuzz_target!(init: revkv_fuzz::write_seeds("changes"), |data: &[u8]| {
    let mut input = Input(data);
    let (mut told, blobs) = engine();
    let mut empty = Engine::new(options());
    empty.start().expect("nothing is stored");
    let mut highest = 0;
    while !input.is_empty() {
        let is_sealed = input.u8() == 0;
        let bytes = if is_sealed {
            let numbers = [(); 5].map(|()| input.number());
            highest = numbers.into_iter().fold(highest, u64::max);
            seal_changes(numbers, input.u8() != 0, input.piece(), input.piece())
        } else {
            input.piece().to_vec()
        };
        for engine in [&mut told, &mut empty] {
            apply(engine, &bytes);
        }
    }
    // To count on from there might go beyond what is read.
    if highest < 1 << 50 {
        finish(told, blobs);
        finish(empty, Vec::new());
    }
});

/// What is refused changes nothing; what is applied once is a duplicate from then on.
fn apply(engine: &mut Engine, bytes: &[u8]) {
    let state = |engine: &Engine| (engine.revision(), engine.compact_revision(), engine.hash(0), engine.leases());
    let before = state(engine);
    match engine.apply_changes(bytes) {
        Ok(applied) => {
            assert_eq!(before.0 + applied.applied, applied.revision, "it is counted");
            engine.check();
            let after = state(engine);
            let again = engine.apply_changes(bytes).expect("it is here already");
            assert_eq!((again.applied, state(engine)), (0, after), "it is applied twice");
        }
        Err(_) => assert_eq!(state(engine), before, "an error changed something"),
    }
    engine.check();
}
