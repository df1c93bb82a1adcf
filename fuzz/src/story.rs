//! An engine with a life behind it, and what must hold of any engine at the end of an input.

use std::sync::OnceLock;

use revkv::{
    Blob, Compare, CompareResult, CompareTarget, DeleteRange, Engine, EngineOptions, KeyRange, LeaseId, Limits, Op,
    Put, Range, Ready, Request, Txn, Watch,
};

/// Small blobs, so that most batches have several parts; and a quota that some requests reach.
pub fn options() -> EngineOptions {
    let limits = Limits { bytes_max: 1 << 16, ..Limits::default() };
    EngineOptions { incarnation: [7; 16], blob_bytes_max: 512, limits }
}

/// An engine after [`tell`], with watchers and a snapshot, and the blobs it has written. Both are made once: an input
/// works on a clone.
pub fn engine() -> (Engine, Vec<Blob>) {
    static TOLD: OnceLock<(Engine, Vec<Blob>)> = OnceLock::new();
    TOLD.get_or_init(|| {
        let mut engine = Engine::new(options());
        engine.start().expect("nothing was stored");
        let mut blobs = Vec::new();
        for keys in [KeyRange::Key(b"a"), KeyRange::Span { start: b"a", end: b"c" }, KeyRange::ALL] {
            let watch = Watch { keys, prev_kv: true, resync: keys == KeyRange::ALL, ..Watch::default() };
            engine.watch(&watch).expect("a legal watch");
        }
        for (request, now_ms) in tell().into_iter().zip((0..).step_by(100)) {
            if matches!(request, Request::Compact { .. }) {
                engine.snapshot(5).expect("it is still there");
            }
            engine.apply(request, now_ms).expect("the story is legal");
            store(&mut engine, &mut blobs);
        }
        while engine.compact_step() {}
        store(&mut engine, &mut blobs);
        (engine, blobs)
    })
    .clone()
}

/// Some of everything: two leases, keys put, updated, deleted and put again, transactions, a compaction.
pub fn tell() -> Vec<Request<'static>> {
    let put = |key, value, lease| Request::Put(Put { key, value, lease: LeaseId(lease), ..Put::default() });
    let delete = |keys| Request::DeleteRange(DeleteRange { keys, prev_kv: true });
    let compare = |target, result| Compare { keys: KeyRange::Key(b"a"), target, result };
    let op = |key, value| Op::Put(Put { key, value, prev_kv: true, ..Put::default() });
    let inner = Txn {
        compare: vec![compare(CompareTarget::Value(b"one"), CompareResult::Less)],
        success: vec![op(b"d", b"inner")],
        failure: vec![op(b"e", b""), Op::DeleteRange(DeleteRange { keys: KeyRange::Key(b"f"), prev_kv: false })],
    };
    let outer = Txn {
        compare: vec![compare(CompareTarget::Version(0), CompareResult::Greater)],
        success: vec![op(b"c", b"outer"), Op::Txn(inner), Op::Range(Range { limit: 2, ..Range::default() })],
        failure: vec![],
    };
    let keep = Put { key: b"b", ignore_value: true, ignore_lease: true, prev_kv: true, ..Put::default() };
    vec![
        Request::LeaseGrant { id: LeaseId(1), ttl_seconds: 2 },
        Request::LeaseGrant { id: LeaseId(2), ttl_seconds: 60 },
        put(b"a", b"one", 0),
        put(b"b", b"with a lease", 1),
        put(b"f", b"with another", 2),
        put(b"a", b"two", 2),
        delete(KeyRange::Span { start: b"f", end: b"g" }),
        Request::Txn(outer),
        Request::Put(keep),
        delete(KeyRange::From(b"d")),
        put(b"d", &[b'd'; 300], 0),
        Request::LeaseKeepAlive { id: LeaseId(2) },
        Request::RestoreTo { keys: KeyRange::Span { start: b"c", end: b"e" }, revision: 6 },
        Request::Compact { revision: 7 },
        put(b"a", b"three", 0),
        Request::LeaseRevoke { id: LeaseId(1) },
        put(b"c", b"last", 0),
    ]
}

/// An engine that has recovered these blobs.
pub fn recovered(blobs: &[Blob]) -> Engine {
    let mut engine = Engine::new(options());
    for blob in blobs {
        engine.recover(&blob.id, &blob.bytes).expect("what was written is read");
    }
    engine.start().expect("whole batches were written");
    engine
}

/// Writes whatever the engine is ready to write, all of its rewriting too.
pub fn store(engine: &mut Engine, blobs: &mut Vec<Blob>) {
    while let Some(ready) = engine.take_ready() {
        write(engine, ready, blobs);
    }
}

/// Writes one batch: an id that is put was never used, one that is deleted is there.
pub fn write(engine: &mut Engine, ready: Ready, blobs: &mut Vec<Blob>) {
    let before = blobs.len();
    blobs.retain(|blob| !ready.delete.contains(&blob.id));
    assert_eq!(before - blobs.len(), ready.delete.len(), "a blob is deleted that is not there");
    for blob in ready.put {
        assert!(blobs.iter().all(|older| older.id < blob.id), "an id is used again");
        blobs.push(blob);
    }
    engine.persisted(ready.through);
}

/// Finishes the compaction, lets every watcher take everything, and recovers what has been written: `blobs`, and what the
/// engine is ready to write.
pub fn finish(mut engine: Engine, mut blobs: Vec<Blob>) {
    while engine.compact_step() {}
    engine.check();
    for id in engine.pending_watches() {
        take_all(&mut engine, id);
    }
    assert!(engine.pending_watches().is_empty(), "a watcher that has taken everything is still due");
    engine.check();
    store(&mut engine, &mut blobs);
    let again = recovered(&blobs);
    again.check();
    assert_eq!(engine.revision(), again.revision(), "the revision is recovered");
    assert_eq!(engine.compact_revision(), again.compact_revision(), "the compact revision is recovered");
    assert_eq!(engine.hash(0), again.hash(0), "the history is recovered");
    assert_eq!(engine.leases(), again.leases(), "the leases are recovered");
    for id in engine.leases() {
        assert_eq!(engine.lease(id, 0), again.lease(id, 0), "a lease is recovered with its keys");
    }
}

/// In portions of two events; compaction may have overtaken the watcher, which ends it.
fn take_all(engine: &mut Engine, id: revkv::WatcherId) {
    let revision = engine.revision();
    let mut through = 0;
    while through < revision {
        let Ok(response) = engine.take_events(id, 0, 2) else { return };
        let mut batches = response.batches.iter().map(|batch| batch.revision);
        assert!(response.through > through, "a portion takes the watcher on");
        assert!(batches.all(|batch| batch <= response.through), "a batch lies behind what is complete");
        through = response.through;
    }
}
