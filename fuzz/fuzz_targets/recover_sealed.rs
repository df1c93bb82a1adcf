//! Any records and notes under right checksums: what a storage with a foreign or a faulty writer holds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use revkv::fuzzing::seal;
use revkv::{Engine, KeyRange, Put, Request};
use revkv_fuzz::{Input, finish, options, sealed};

const NUMBER_MAX: u64 = 1 << 50;

fuzz_target!(init: revkv_fuzz::write_seeds("recover_sealed"), |data: &[u8]| {
    let pieces = sealed::read(Input(data));
    let blobs = seal(&pieces);
    let mut engine = Engine::new(options());
    if blobs.iter().try_for_each(|blob| engine.recover(&blob.id, &blob.bytes)).is_err() || engine.start().is_err() {
        return;
    }
    engine.check();
    // No writer gets so far, and to count on from there might go beyond what is read.
    let numbers = pieces.iter().map(|piece| piece.sequence.max(piece.last));
    if numbers.chain([engine.revision(), engine.epoch()]).any(|number| number > NUMBER_MAX) {
        return;
    }
    // What was recovered must be good for going on with.
    let revision = engine.revision();
    let _ = engine.apply(Request::Put(Put { key: b"a", value: b"after", ..Put::default() }), 0);
    let all = revkv::DeleteRange { keys: KeyRange::From(b"b"), prev_kv: true };
    let _ = engine.apply(Request::DeleteRange(all), 0);
    for id in engine.leases() {
        let _ = engine.apply(Request::LeaseKeepAlive { id }, 0);
    }
    engine.check();
    let _ = engine.apply(Request::Compact { revision }, 0);
    finish(engine, blobs);
});
