//! Mirrors of random histories: of all keys or a range, from a snapshot on, in portions, over restarts and new snapshots. A
//! mirror has the keys of its source, with their numbers, at each revision that it has; its watch misses nothing that it could
//! be told; and of all keys its hash is the source's, once both are compacted where the mirror begins.

use std::collections::BTreeMap;

use fastrand::Rng;
use revkv::{
    DeleteRange, Engine, EngineOptions, EventKind, History, KeyRange, KeyValue, Limits, Op, Put, Range, Request, Txn,
    Watch,
};

const SEEDS: u64 = 400;
const STEPS: usize = 60;
const KEYS: [&[u8]; 6] = [b"a", b"b", b"m", b"n", b"y", b"z"];
/// Where a part is mirrored: from m on.
const PART: KeyRange<'static> = KeyRange::From(b"m");
const ALL: KeyRange<'static> = KeyRange::From(b"\0");

fn opened(blobs: &BTreeMap<String, Vec<u8>>) -> Engine {
    let options = EngineOptions { incarnation: [9; 16], blob_bytes_max: 2_000, limits: Limits::default() };
    let mut engine = Engine::new(options);
    blobs.iter().for_each(|(id, bytes)| engine.recover(id, bytes).expect("what was written"));
    engine.start().expect("whole batches");
    engine
}

fn flush(engine: &mut Engine, blobs: &mut BTreeMap<String, Vec<u8>>) {
    while let Some(ready) = engine.take_ready() {
        ready.delete.iter().for_each(|id| drop(blobs.remove(id)));
        blobs.extend(ready.put.into_iter().map(|blob| (blob.id, blob.bytes)));
        engine.persisted(ready.through);
    }
}

/// A put, a delete of a range, or both in one transaction.
fn write(rng: &mut Rng, source: &mut Engine) {
    let put = |rng: &mut Rng| Put { key: KEYS[rng.usize(..KEYS.len())], value: b"value", ..Put::default() };
    let request = match rng.u8(..6) {
        0 => Request::DeleteRange(DeleteRange { keys: KeyRange::Key(KEYS[rng.usize(..KEYS.len())]), prev_kv: false }),
        1 => {
            let delete = DeleteRange { keys: KeyRange::Span { start: b"a", end: b"n" }, prev_kv: false };
            let after = Put { key: b"z", value: b"with", ..Put::default() };
            Request::Txn(Txn { success: vec![Op::DeleteRange(delete), Op::Put(after)], ..Txn::default() })
        }
        _ => Request::Put(put(rng)),
    };
    source.apply(request, 0).expect("a plain write");
}

fn keys(engine: &Engine, keys: KeyRange<'_>, revision: u64) -> Vec<KeyValue<'static>> {
    let found = engine.range(&Range { keys, revision, ..Range::default() }).expect("it is kept");
    found.kvs.into_iter().map(KeyValue::into_owned).collect()
}

/// As a watch tells them: of deleted keys with version 0.
fn changes(engine: &Engine, keys: KeyRange<'_>, from: u64, to: u64) -> Vec<KeyValue<'static>> {
    let history = History { keys, from, to, ..History::default() };
    let events = if from > to { Vec::new() } else { engine.history(&history).expect("it is kept") };
    let change = |event: revkv::Event<'_>| match event.kind {
        EventKind::Put => event.kv.into_owned(),
        EventKind::Delete => KeyValue { version: 0, ..event.kv.into_owned() },
    };
    events.into_iter().map(change).collect()
}

#[test]
fn a_mirror_has_what_its_source_has() {
    let first = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in first.map_or(0..SEEDS, |seed| seed..seed + 1) {
        println!("SEED={seed}");
        mirror(&mut Rng::with_seed(seed), seed % 2 == 0);
    }
}

fn mirror(rng: &mut Rng, is_all: bool) {
    let range = if is_all { ALL } else { PART };
    let mut source = Engine::new(EngineOptions::default());
    source.start().expect("nothing is stored");
    (0..10).for_each(|_| write(rng, &mut source));
    let (mut blobs, mut mirror) = (BTreeMap::new(), opened(&BTreeMap::new()));
    let mut begin = source.revision();
    mirror.mirror([1; 16], begin, &keys(&source, range, begin)).expect("it is empty");
    let watch = mirror.watch(&Watch { keys: ALL, start_revision: begin + 1, ..Watch::default() }).expect("ahead");
    let mut seen = Vec::new();
    for _ in 0..STEPS {
        match rng.u8(..12) {
            0 => flush(&mut mirror, &mut blobs),
            1 => {
                // What follows may have been told before.
                let from = begin.max(mirror.revision().saturating_sub(rng.u64(..3))) + 1;
                let to = rng.u64(mirror.revision()..=source.revision());
                let changed = changes(&source, range, from, to);
                assert_eq!(mirror.mirror_changes(to, &changed), Ok(to), "what goes on is taken");
                for batch in mirror.take_events(watch, 0, 1_000).expect("it goes on").batches {
                    seen.extend(batch.events.iter().map(|event| (batch.revision, event.kv.key.to_vec(), event.kind)));
                }
            }
            _ => write(rng, &mut source),
        }
        mirror.check();
    }
    let told: Vec<_> = changes(&source, range, begin + 1, mirror.revision()).into_iter().collect();
    let told: Vec<_> = told.into_iter().map(|kv| (kv.mod_revision, kv.key.to_vec(), kind(&kv))).collect();
    assert_eq!(seen, told, "broke Complete: the watch has all that was mirrored, once");
    flush(&mut mirror, &mut blobs);
    let mut mirror = opened(&blobs);
    if rng.bool() {
        // What came meanwhile is forgotten at the source: everything anew.
        (0..5).for_each(|_| write(rng, &mut source));
        begin = source.revision();
        mirror.mirror([1; 16], begin, &keys(&source, range, begin)).expect("a snapshot");
        flush(&mut mirror, &mut blobs);
        mirror = opened(&blobs);
    }
    for revision in begin..=mirror.revision() {
        assert_eq!(keys(&mirror, range, revision), keys(&source, range, revision), "broke Same: at {revision}");
    }
    assert_eq!(mirror.incarnation(), [1; 16]);
    // A snapshot does not say which change of its transaction each of its keys is, and the hash covers that.
    if is_all && keys(&source, ALL, begin).iter().all(|kv| &*kv.value != b"with") {
        source.apply(Request::Compact { revision: begin }, 0).expect("not compacted yet");
        let at = mirror.revision();
        assert_eq!(mirror.hash(at), source.hash(at), "broke Hash: both are compacted at {begin}");
    }
}

fn kind(kv: &KeyValue<'_>) -> EventKind {
    if kv.version == 0 { EventKind::Delete } else { EventKind::Put }
}

/// What another store cannot have said changes nothing.
#[test]
fn what_does_not_follow_is_refused() {
    let mut mirror = opened(&BTreeMap::new());
    let kv = |key: &'static [u8], create_revision, mod_revision, version| KeyValue {
        key: key.into(),
        create_revision,
        mod_revision,
        version,
        lease: revkv::LeaseId::NONE,
        value: b"".into(),
    };
    mirror.mirror([1; 16], 10, &[kv(b"b", 5, 5, 1), kv(b"a", 3, 4, 2)]).expect("a snapshot");
    let before = (mirror.revision(), mirror.stats(), mirror.hash(0));
    let snapshots: [(&str, u64, Vec<KeyValue<'_>>); 6] = [
        ("of a later revision than it says", 10, vec![kv(b"a", 11, 11, 1)]),
        ("with a key twice", 10, vec![kv(b"a", 3, 4, 2), kv(b"a", 3, 5, 3)]),
        ("with a deleted key", 10, vec![kv(b"a", 0, 4, 0)]),
        ("with an empty key", 10, vec![kv(b"", 3, 4, 2)]),
        ("with a key created after it was changed", 10, vec![kv(b"a", 5, 4, 2)]),
        ("of no revision", 0, vec![]),
    ];
    for (name, revision, keys) in snapshots {
        let code = mirror.mirror([1; 16], revision, &keys).map_err(|error| error.code());
        assert_eq!(code, Err("INVALID_ARGUMENT"), "a snapshot {name}");
    }
    let rows: [(&str, u64, Vec<KeyValue<'_>>, &str); 6] = [
        ("out of order", 12, vec![kv(b"a", 3, 12, 3), kv(b"b", 5, 11, 2)], "INVALID_ARGUMENT"),
        ("beyond what they reach to", 11, vec![kv(b"a", 3, 12, 3)], "INVALID_ARGUMENT"),
        ("without end", u64::MAX, vec![], "INVALID_ARGUMENT"),
        ("with a version left out", 11, vec![kv(b"a", 3, 11, 4)], "DIVERGED"),
        ("of a key that is not there", 11, vec![kv(b"c", 3, 11, 2)], "REVISION_NOT_FOUND"),
        ("that delete what is not there", 11, vec![kv(b"c", 0, 11, 0)], "REVISION_NOT_FOUND"),
    ];
    for (name, to, changes, expected) in rows {
        let code = mirror.mirror_changes(to, &changes).map_err(|error| error.code());
        assert_eq!(code, Err(expected), "changes {name}");
    }
    mirror.check();
    assert_eq!((mirror.revision(), mirror.stats(), mirror.hash(0)), before);
    assert_eq!(mirror.mirror_changes(20, &[kv(b"a", 3, 4, 2), kv(b"c", 15, 15, 1), kv(b"b", 0, 15, 0)]), Ok(20));
}

/// A mirror at revision 3 misses 4, where its source deletes a key, and takes a snapshot of that instead. A watch that goes on
/// at 4 found the history there as it may be read, and was told of the snapshot's puts, but not of the delete, which no
/// snapshot has: a key that was there for it ever after.
#[test]
fn a_watch_is_told_what_was_deleted_at_the_revision_of_a_snapshot() {
    for deleted_at in [4, 5] {
        let mut source = Engine::new(EngineOptions::default());
        source.start().expect("nothing is stored");
        let put = |source: &mut Engine, key: &'static [u8]| {
            source.apply(Request::Put(Put { key, value: b"value", ..Put::default() }), 0).expect("a plain write");
        };
        put(&mut source, b"a");
        put(&mut source, b"b");
        let mut mirror = opened(&BTreeMap::new());
        mirror.mirror([1; 16], 3, &keys(&source, ALL, 3)).expect("it is empty");
        let watching = |resync| Watch { keys: ALL, start_revision: 4, resync, ..Watch::default() };
        let watch = mirror.watch(&watching(false)).expect("ahead");
        let resyncing = mirror.watch(&watching(true)).expect("ahead");
        (4..deleted_at).for_each(|_| put(&mut source, b"c"));
        source
            .apply(Request::DeleteRange(DeleteRange { keys: KeyRange::Key(b"b"), prev_kv: false }), 0)
            .expect("there");
        mirror.mirror([1; 16], deleted_at, &keys(&source, ALL, deleted_at)).expect("a snapshot");
        mirror.check();
        let told = mirror.take_events(watch, 0, 1_000).map_err(|error| error.code());
        let told = told.map(|told| told.batches.iter().flat_map(|batch| &batch.events).map(kind_and_key).collect());
        let expected = match deleted_at {
            4 => Ok(vec![(EventKind::Delete, b"b".to_vec())]),
            _ => Err("COMPACTED"),
        };
        assert_eq!(told, expected, "broke Complete: deleted at {deleted_at}");
        let told = mirror.take_events(resyncing, 0, 1_000).expect("it may resync").batches;
        assert!(!told.is_empty(), "broke Complete: the resync of what was deleted at {deleted_at}");
    }
}

fn kind_and_key(event: &revkv::Event<'_>) -> (EventKind, Vec<u8>) {
    (event.kind, event.kv.key.to_vec())
}
