//! What is written, by whom, and since when it is certain: checkpoints, epochs, durable revisions.

use revkv::{Engine, EngineOptions, KeyRange};

use super::script::{Blobs, Store, compare_with_reopened, delete, from, key, put, recover};

const BLOB_BYTES: usize = 400;

/// A history of 40 batches, with a lease that has keys and one that has none, of which half is compacted and not removed yet.
fn compacted_store() -> Store {
    let mut store = Store::with_blobs_of(BLOB_BYTES);
    store.grant(7, 60).expect("granted");
    store.grant(8, 60).expect("granted");
    for round in 0..40_u64 {
        let value = "v".repeat(round as usize * 10);
        match round % 4 {
            3 => drop(store.run(vec![delete(from("b")), put("b", &value)]).expect("accepted")),
            kind => drop(store.put_leased(["a", "b", "c"][kind as usize], &value, 7).expect("granted")),
        }
        store.flush();
    }
    store.compact(30).expect("not compacted before");
    store.flush();
    store
}

fn ids(blobs: &Blobs) -> Vec<String> {
    blobs.keys().cloned().collect()
}

/// Everything written so far gives way to what is kept, in one batch: a reader of the medium sees the one or the other.
#[test]
fn a_checkpoint_replaces_every_blob_and_is_the_same_store() {
    let mut store = compacted_store();
    let (before, bytes) = (ids(&store.blobs), size(&store.blobs));
    store.put("gathered", "before the checkpoint, and not written alone");
    store.remove();
    let hash = store.hash(0);
    let old = store.clone();
    let ready = store.engine.take_ready().expect("a checkpoint");
    assert_eq!((&ready.delete, ready.through), (&before, 42));
    assert!(ready.put.iter().all(|blob| blob.id > before[before.len() - 1]), "an id is not used again");
    store.write(ready);
    assert!(size(&store.blobs) < bytes, "{} bytes of {bytes} are left", size(&store.blobs));
    compare_with_reopened(&store);
    store.reopen();
    assert_eq!((store.hash(0), store.engine.compact_revision()), (hash, 30));
    assert_eq!((store.keys_of(7), store.keys_of(8)), (old.keys_of(7), vec![]));
    assert!(!store.engine.compact_step(), "nothing is left to remove");

    let mut crashed = old;
    drop(crashed.engine.take_ready());
    crashed.crash();
    assert_eq!((crashed.engine.revision(), crashed.engine.compact_revision()), (41, 30), "the old blobs stand");
    crashed.remove();
    compare_with_reopened(&crashed);
}

/// The second checkpoint replaces the first and what followed it, and leaves out what was gathered but is compacted.
#[test]
fn a_checkpoint_replaces_the_one_before() {
    let mut store = compacted_store();
    store.remove();
    store.flush();
    store.put("a", "written after");
    store.flush();
    let before = ids(&store.blobs);
    for value in ["1", "2", "3"] {
        store.put("c", value);
    }
    store.compact(store.engine.revision()).expect("not compacted before");
    store.remove();
    let ready = store.engine.take_ready().expect("a checkpoint");
    assert_eq!(ready.delete, before);
    store.write(ready);
    compare_with_reopened(&store);
    assert_eq!(store.engine.stats().revisions, 3, "one for each key");
    assert_eq!(store.engine.take_ready(), None, "everything was taken");
}

/// A snapshot ends with its engine, so that what only it kept is not written.
#[test]
fn a_checkpoint_leaves_out_what_only_a_snapshot_keeps() {
    let mut store = Store::with_puts_of("a", 9);
    let snapshot = store.engine.snapshot(5).expect("readable");
    store.compact(10).expect("not compacted before");
    store.remove();
    assert_eq!((store.state(snapshot), store.engine.stats().revisions), ("a=4".to_owned(), 2));
    store.reopen();
    assert_eq!((store.readable(5), store.state(0), store.engine.stats().revisions), ("COMPACTED", "a=9".to_owned(), 1));
}

fn size(blobs: &Blobs) -> usize {
    blobs.values().map(Vec::len).sum()
}

/// The epoch grows with each opening that writes: its first batch, be it empty, claims the storage.
#[test]
fn the_epoch_grows_with_each_opening_that_writes() {
    let mut store = Store::new();
    assert_eq!(store.engine.epoch(), 1);
    store.crash();
    assert_eq!(store.engine.epoch(), 1, "nobody knows of an opening that wrote nothing");
    for epoch in 1..5 {
        let ready = store.engine.take_ready().expect("a claim, if nothing else");
        assert_eq!((ready.epoch, ready.put.len(), store.engine.epoch()), (epoch, 1, epoch));
        store.write(ready);
        assert_eq!(store.engine.take_ready(), None, "it claims once");
        store.crash();
    }
    let mut unstored = Engine::new(EngineOptions::default());
    unstored.start().expect("nothing is stored");
    assert_eq!((unstored.epoch(), unstored.take_ready()), (0, None));
}

/// Two engines of one storage: the later claims it under the very id that the earlier writes next, with a higher epoch,
/// by which a storage can tell them apart. What one that did not look would then hold is not read as if all were well.
#[test]
fn a_deposed_writer_is_found_out() {
    let mut store = Store::with_puts_of("a", 2);
    store.flush();
    let mut deposed = store.clone();
    store.reopen();
    let claim = store.engine.take_ready().expect("a claim");
    let [first, second] = ["of the deposed", "again"].map(|value| {
        deposed.put("a", value);
        deposed.engine.take_ready().expect("a put")
    });
    assert_eq!((&first.put[0].id, first.epoch, claim.epoch), (&claim.put[0].id, 1, 2));
    store.write(claim);
    let mut appended = store.blobs.clone();
    store.put("a", "of the new writer");
    store.flush();
    let mut overwritten = store.blobs.clone();
    appended.extend(second.put.into_iter().map(|blob| (blob.id, blob.bytes)));
    overwritten.extend(first.put.into_iter().map(|blob| (blob.id, blob.bytes)));
    for (name, blobs) in [("appended", appended), ("overwritten", overwritten)] {
        assert_eq!(recover(&blobs, 64 << 10).map(drop).map_err(|error| error.code()), Err("CORRUPT"), "{name}");
    }
    store.reopen();
    assert_eq!((store.engine.epoch(), store.state(0)), (3, "a=of the new writer".to_owned()));
}

/// What is written and what is confirmed are two things: a reader of durable revisions hears of what is confirmed.
#[test]
fn a_revision_is_durable_when_it_is_confirmed() {
    let mut store = Store::new();
    assert_eq!(store.engine.durable_revision(), 1);
    let watch = store.watch(KeyRange::ALL, 0);
    let mut batches = Vec::new();
    for value in ["1", "2", "3"] {
        store.put("a", value);
        store.put("b", value);
        batches.push(store.engine.take_ready().expect("two puts"));
        assert_eq!(store.engine.durable_revision(), 1, "it is only taken");
    }
    for (confirmed, durable, seen) in [(1, 5, 4), (0, 5, 0), (2, 7, 2)] {
        store.engine.persisted(batches[confirmed].through);
        store.engine.check();
        assert_eq!(store.engine.durable_revision(), durable, "batch {confirmed} is confirmed");
        let taken = store.engine.take_events(watch, durable, usize::MAX).expect("nothing is compacted");
        assert_eq!((taken.through, taken.batches.len()), (durable, seen));
    }
    store.put("a", "4");
    store.engine.persisted(1);
    assert_eq!((store.engine.durable_revision(), store.engine.revision()), (7, 8));
    batches.into_iter().for_each(|ready| store.write(ready));
    store.crash();
    assert_eq!((store.engine.durable_revision(), store.engine.revision()), (7, 7), "what is read back was written");
    store.delete(key("a"));
    assert_eq!(store.engine.durable_revision(), 7);
    store.flush();
    assert_eq!(store.engine.durable_revision(), 8);
}

/// Without a medium there is nothing to wait for.
#[test]
fn without_a_medium_the_newest_revision_is_durable() {
    let mut store = Store::with_blobs_of(0);
    store.put("a", "1");
    assert_eq!((store.engine.durable_revision(), store.engine.take_ready()), (2, None));
}
