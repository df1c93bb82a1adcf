//! Promises that are kept without exception, each with the shortest story in which it could break.
//!
//! The model meets most of them too, after hundreds of steps. It cannot damage a journal that the engine wrote, open a
//! store under another name, or put a value as large as a request may be.

use std::collections::BTreeMap;

use revkv::{
    DeleteRange, Engine, EngineOptions, Error, KeyRange, Op, Put, REQUEST_BYTES_MAX, Request, Since, Txn, Watch,
};

/// Room for a header and little more: most batches take several blobs.
const SMALL_BLOB_BYTES: usize = 400;

/// What the engine has handed out to be stored.
#[derive(Default)]
struct Medium(BTreeMap<String, Vec<u8>>);

impl Medium {
    fn write(&mut self, engine: &mut Engine) {
        let ready = engine.take_ready().expect("something to write");
        self.0.extend(ready.put.into_iter().map(|blob| (blob.id, blob.bytes)));
        ready.delete.iter().for_each(|id| drop(self.0.remove(id)));
        engine.persisted(ready.through);
    }

    fn open(&self, name: u8, blob_bytes_max: usize) -> Result<Engine, Error> {
        let incarnation = [name; 16];
        let mut engine = Engine::new(EngineOptions { incarnation, blob_bytes_max, ..EngineOptions::default() });
        self.0.iter().try_for_each(|(id, bytes)| engine.recover(id, bytes))?;
        engine.start()?;
        Ok(engine)
    }

    fn reopen(&self) -> Engine {
        self.open(7, SMALL_BLOB_BYTES).expect("what the engine wrote is read back")
    }

    /// All but the blob at this place.
    fn without(&self, place: usize) -> Medium {
        let others = self.0.iter().enumerate().filter(|(other, _)| *other != place);
        Medium(others.map(|(_, (id, bytes))| (id.clone(), bytes.clone())).collect())
    }
}

fn put(engine: &mut Engine, key: &[u8], value: &[u8]) {
    engine.apply(Request::Put(Put { key, value, ..Put::default() }), 0).expect("a put");
}

fn delete(engine: &mut Engine, key: &[u8]) {
    let delete = DeleteRange { keys: KeyRange::Key(key), prev_kv: false };
    engine.apply(Request::DeleteRange(delete), 0).expect("a delete");
}

fn compact(engine: &mut Engine, revision: u64) {
    engine.apply(Request::Compact { revision }, 0).expect("a compaction");
    while engine.compact_step() {}
}

fn code<T>(outcome: Result<T, Error>) -> Option<&'static str> {
    outcome.map_err(|error| error.code()).err()
}

/// Each blob is chained to the one before; only what is missing at the end cannot be told from what was never written.
#[test]
fn broke_completeness_a_missing_blob_is_noticed() {
    let mut medium = Medium::default();
    let mut engine = medium.reopen();
    for key in [b"a", b"b", b"c", b"d"] {
        put(&mut engine, key, b"value");
        medium.write(&mut engine);
    }
    let last = medium.0.len() - 1;
    for place in 0..last {
        assert_eq!(code(medium.without(place).open(7, SMALL_BLOB_BYTES)), Some("CORRUPT"), "without blob {place}");
    }
    assert!(medium.without(last).open(7, SMALL_BLOB_BYTES).is_ok());
}

/// A medium writes a batch whole or not at all. One that did not is found out, wherever it stopped.
#[test]
fn broke_atomicity_half_a_batch_is_refused() {
    let mut medium = Medium::default();
    let mut engine = medium.reopen();
    put(&mut engine, b"a", b"value");
    medium.write(&mut engine);
    let whole = medium.0.len();
    let large = [0; 2_000];
    let puts = [b"b", b"c"].map(|key| Op::Put(Put { key, value: &large, ..Put::default() }));
    engine.apply(Request::Txn(Txn { success: puts.to_vec(), ..Txn::default() }), 0).expect("two puts");
    medium.write(&mut engine);
    while medium.0.len() > whole + 1 {
        medium.0.pop_last();
        assert_eq!(code(medium.open(7, SMALL_BLOB_BYTES)), Some("CORRUPT"), "{} blobs", medium.0.len());
    }
    medium.0.pop_last();
    assert_eq!(medium.reopen().revision(), 2);
}

/// The name that an opening brings is for a store that is new. Blobs of two names are refused together.
#[test]
fn broke_identity_a_store_keeps_its_incarnation() {
    let mut medium = Medium::default();
    for name in 1..5 {
        let mut engine = medium.open(name, SMALL_BLOB_BYTES).expect("it is one store");
        put(&mut engine, b"key", &[name]);
        medium.write(&mut engine);
    }
    assert_eq!(medium.reopen().revision(), 5);
}

#[test]
fn broke_durability_the_largest_put_survives_a_restart() {
    let mut medium = Medium::default();
    let mut engine = medium.open(7, 64 << 10).expect("nothing is stored");
    let value = vec![b'v'; REQUEST_BYTES_MAX - b"key".len()];
    put(&mut engine, b"key", &value);
    medium.write(&mut engine);
    for engine in [engine, medium.reopen()] {
        let stored = engine.get(b"key", 0).expect("readable").expect("it was put");
        assert!(*stored.value == value[..], "the value is another");
    }
}

/// The newest revision may be a delete that is compacted: what is left of it says how far the store was.
#[test]
fn broke_monotony_a_revision_is_given_once() {
    let mut medium = Medium::default();
    let mut engine = medium.reopen();
    put(&mut engine, b"a", b"value");
    delete(&mut engine, b"a");
    put(&mut engine, b"b", b"value");
    delete(&mut engine, b"b");
    compact(&mut engine, 4);
    medium.write(&mut engine);
    let mut engine = medium.reopen();
    assert_eq!((engine.revision(), engine.compact_revision()), (5, 4));
    compact(&mut engine, 5);
    medium.write(&mut engine);
    assert_eq!(medium.reopen().revision(), 5);
}

/// However small the portions, every event comes once, and the events of a revision together.
#[test]
fn broke_unique_an_event_appears_once() {
    let mut engine = Medium::default().reopen();
    let id = engine.watch(&Watch { start_revision: 1, ..Watch::default() }).expect("a watch");
    for _ in 0..3 {
        let puts = [b"a", b"b", b"c"].map(|key| Op::Put(Put { key, ..Put::default() }));
        engine.apply(Request::Txn(Txn { success: puts.to_vec(), ..Txn::default() }), 0).expect("three puts");
    }
    let mut seen = Vec::new();
    for _ in 0..10 {
        let taken = engine.take_events(id, 0, 1).expect("nothing is compacted");
        seen.extend(taken.batches.iter().map(|batch| (batch.revision, batch.events.len())));
    }
    assert_eq!(seen, [(2, 3), (3, 3), (4, 3)]);
    assert!(engine.pending_watches().is_empty(), "nothing is left to take");
    let since = Since { start_revision: 2, limit: 1, ..Since::default() };
    let since = engine.since(&since).expect("readable");
    assert_eq!((since.events.len(), since.next_revision), (3, 3));
}

/// Who asks for durable revisions only is not shown what a crash could take back, by a resync neither.
#[test]
fn broke_durable_reads_a_resync_stays_within_its_bound() {
    let mut engine = Medium::default().reopen();
    let id = engine.watch(&Watch { start_revision: 2, resync: true, ..Watch::default() }).expect("a watch");
    for value in [b"1", b"2", b"3"] {
        put(&mut engine, b"key", value);
    }
    compact(&mut engine, 3);
    let taken = engine.take_events(id, 3, 1000).expect("it may resync");
    assert_eq!(taken.through, 3);
    let [batch] = &taken.batches[..] else { panic!("one batch: {:?}", taken.batches) };
    assert!(batch.resync && *batch.events[0].kv.value == *b"2");
    let taken = engine.take_events(id, 0, 1000).expect("nothing more is compacted");
    let [batch] = &taken.batches[..] else { panic!("one batch: {:?}", taken.batches) };
    assert!(!batch.resync && *batch.events[0].kv.value == *b"3");
}

/// More watchers than are asked one by one, so that they are sorted by their ranges, made and cancelled between writes.
#[test]
fn broke_reliable_each_of_many_watchers_sees_its_key() {
    let mut engine = Medium::default().reopen();
    let mut watchers = Vec::new();
    for number in 0..200_u8 {
        let watch = Watch { keys: KeyRange::Key(&[b'k', number]), ..Watch::default() };
        watchers.push((number, engine.watch(&watch).expect("a watch")));
        put(&mut engine, b"other", b"");
    }
    for cancelled in [0..0, 3..9, 20..180] {
        watchers.retain(|(number, id)| !(cancelled.contains(number) && engine.cancel_watch(*id)));
        (0..200).for_each(|number| put(&mut engine, &[b'k', number], b""));
        let ids: Vec<_> = watchers.iter().map(|(_, id)| *id).collect();
        assert_eq!(engine.pending_watches(), ids);
        for (number, id) in &watchers {
            let taken = engine.take_events(*id, 0, 1000).expect("nothing is compacted");
            let keys: Vec<_> =
                taken.batches.iter().flat_map(|batch| &batch.events).map(|event| &*event.kv.key).collect();
            assert_eq!(keys, [&[b'k', *number][..]]);
        }
    }
}
