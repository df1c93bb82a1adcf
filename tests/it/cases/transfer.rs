//! Everything given to another store, in chunks, while both go on.

use revkv::{Engine, KeyRange, TransferId};

use super::changes::{apply, changes, compare, source};
use super::script::{Store, code, delete, key, put};

/// Three lives of `a`, a lease with `b`, enough keys for several chunks, and a history that is compacted.
fn filled() -> Store {
    let mut store = source();
    store.put("a", "1");
    store.grant(7, 60).expect("granted");
    store.put_leased("b", "leased", 7).expect("granted");
    store.run(vec![delete(key("a")), put("c", "1")]).expect("accepted");
    store.put("a", "again");
    for round in 0..3 {
        for number in 0..40 {
            store.put(&format!("key {number}"), &format!("{round}").repeat(2_000));
        }
    }
    store.compact(60).expect("not compacted before");
    store.flush();
    store
}

fn chunks(source: &mut Engine, id: TransferId) -> Vec<Vec<u8>> {
    let chunks = std::iter::from_fn(|| source.transfer_chunk(id).expect("it is under way")).collect();
    assert_eq!(source.transfer_chunk(id), Ok(None), "once it has ended it has ended");
    chunks
}

fn receive(replica: &mut Engine, chunks: &[Vec<u8>]) -> Option<u64> {
    let mut received = None;
    for chunk in chunks {
        assert_eq!(received, None, "the last chunk is the last");
        received = replica.receive_chunk(chunk).expect("it was given");
        replica.check();
    }
    received
}

/// The whole way.
fn transfer(source: &mut Store, replica: &mut Store) {
    let id = source.engine.begin_transfer(0).expect("now");
    let chunks = chunks(&mut source.engine, id);
    assert!(source.engine.end_transfer(id) && !source.engine.end_transfer(id));
    assert_eq!(receive(&mut replica.engine, &chunks), Some(source.engine.revision()));
}

#[test]
fn what_was_taken_is_what_was_given() {
    for removed in [false, true] {
        let mut source = filled();
        if removed {
            source.remove();
        }
        let id = source.engine.begin_transfer(0).expect("now");
        let chunks = chunks(&mut source.engine, id);
        assert!(chunks.len() > 3 && chunks.iter().all(|chunk| chunk.len() <= 48 << 10), "{}", chunks.len());
        let mut replica = Store::new();
        let watch = replica.watch(KeyRange::ALL, 60);
        replica.flush();
        assert_eq!(receive(&mut replica.engine, &chunks), Some(125));
        source.engine.end_transfer(id);
        assert_eq!((replica.engine.compact_revision(), replica.engine.durable_revision()), (60, 1));
        for revision in 60..=125 {
            assert_eq!(replica.hash(revision), source.hash(revision), "at {revision}");
        }
        assert_eq!(replica.take(watch).len(), 66, "a watch that waited for it");
        replica.flush();
        compare(&replica, &source);
        let mut restored = Store::new();
        restored.engine.restore(&chunks.concat(), [1; 16]).expect("a transfer is a backup");
        compare(&restored, &source);
    }
}

/// What is compacted while it is on its way must not be missing in its later half.
#[test]
fn both_go_on_meanwhile() {
    let mut source = filled();
    let mut replica = Store::new();
    let id = source.engine.begin_transfer(0).expect("now");
    let first = source.engine.transfer_chunk(id).expect("under way").expect("the first chunk");
    assert_eq!(replica.engine.receive_chunk(&first), Ok(None));
    source.run(vec![delete(key("key 3")), put("d", "1")]).expect("accepted");
    source.put("key 4", "new");
    source.revoke(7).expect("granted");
    source.compact(126).expect("not compacted before");
    assert!(!source.step(), "the removal waits");
    assert_eq!(receive(&mut replica.engine, &chunks(&mut source.engine, id)), Some(125));
    assert!(source.engine.end_transfer(id));
    assert!(source.step(), "the removal goes on");
    assert_eq!(apply(&mut replica, &changes(&source, 125)).expect("they follow").applied, 3);
    assert_eq!(replica.engine.compact_revision(), 126);
    compare(&replica, &source);
}

/// A replica that was away for long, of the same history: its watches go on, or are told what is gone, once.
#[test]
fn watches_and_snapshots_go_on_over_a_snapshot() {
    let mut source = filled();
    let mut replica = Store::new();
    transfer(&mut source, &mut replica);
    let (near, far) = (replica.watch(KeyRange::ALL, 0), replica.watch(key("a"), 0));
    let pinned = replica.engine.snapshot(0).expect("now");
    source.put("a", "126");
    source.put("a", "127");
    transfer(&mut source, &mut replica);
    assert_eq!(replica.take(near), ["126 PUT a=126", "127 PUT a=127"]);
    assert_eq!(code(replica.engine.get(b"a", pinned)), "ok");
    source.delete(key("a"));
    source.put("b", "129");
    source.compact(129).expect("not compacted before");
    transfer(&mut source, &mut replica);
    assert_eq!(code(replica.engine.get(b"a", pinned)), "COMPACTED");
    assert_eq!(code(replica.engine.take_events(far, 0, 10)), "COMPACTED");
    assert_eq!(replica.take_some(near, 10), Err("COMPACTED"));
    compare(&replica, &source);
}

/// The replica has written on its own, or followed one who had; whoever was told of that is told that it is gone.
#[test]
fn watches_that_were_told_of_another_history_end() {
    let mut source = filled();
    let mut replica = Store::new();
    transfer(&mut source, &mut replica);
    let (told, untold) = (replica.watch(KeyRange::ALL, 0), replica.watch(KeyRange::ALL, 0));
    replica.put("t", "of the replica");
    assert_eq!(replica.take(told), ["126 PUT t=of the replica"]);
    source.put("t", "of the source");
    assert_eq!(apply(&mut replica, &changes(&source, 125)), Err("DIVERGED"));
    transfer(&mut source, &mut replica);
    assert_eq!(code(replica.engine.take_events(told, 0, 10)), "RESTORED");
    assert_eq!(replica.take(untold), ["126 PUT t=of the source"]);
    compare(&replica, &source);
    // The source went back: what it has lost was told.
    let behind = replica.watch(KeyRange::ALL, 0);
    replica.put("t", "of the replica");
    assert_eq!(replica.take(behind).len(), 1);
    transfer(&mut source, &mut replica);
    assert_eq!(code(replica.engine.take_events(behind, 0, 10)), "RESTORED");
    source.engine.renew([2; 16]);
    transfer(&mut source, &mut replica);
    assert_eq!(code(replica.engine.take_events(untold, 0, 10)), "RESTORED", "another life is all new");
    compare(&replica, &source);
}

#[test]
fn what_is_damaged_on_its_way_changes_nothing() {
    let mut source = filled();
    let id = source.engine.begin_transfer(0).expect("now");
    let chunks = chunks(&mut source.engine, id);
    let mut replica = Store::with_puts_of("a", 2);
    let before = (replica.hash(0), replica.engine.stats());
    let mut refuse = |chunks: &[&[u8]], how: &str| {
        let mut outcomes = chunks.iter().map(|chunk| replica.engine.receive_chunk(chunk));
        let refused = outcomes.find_map(Result::err).unwrap_or_else(|| panic!("{how} was taken"));
        assert_eq!(refused.code(), "CORRUPT", "{how}");
        replica.engine.check();
        assert_eq!((replica.hash(0), replica.engine.stats()), before, "{how}");
    };
    let all: Vec<&[u8]> = chunks.iter().map(|chunk| &chunk[..]).collect();
    let last = all.len() - 1;
    refuse(&[all[0], all[2]], "a chunk missing");
    refuse(&[all[0], all[1], all[1]], "a chunk twice");
    refuse(&[all[0], all[last]], "the last chunk early");
    refuse(&[all[1]], "without its beginning");
    refuse(&[all[0], &all[1][..all[1].len() - 1]], "a chunk cut short");
    for at in (0..all[0].len()).step_by(997) {
        let mut damaged = chunks[0].clone();
        damaged[at] ^= 1;
        if !(4..6).contains(&at) {
            refuse(&[&damaged], &format!("byte {at}"));
        }
    }
    // The beginning of another one ends what was under way.
    assert_eq!(replica.engine.receive_chunk(&chunks[0]), Ok(None));
    assert_eq!(receive(&mut replica.engine, &chunks), Some(125));
    compare(&replica, &source);
}

#[test]
fn a_transfer_is_of_one_content() {
    let mut source = filled();
    assert_eq!(code(source.engine.begin_transfer(59)), "COMPACTED");
    assert_eq!(code(source.engine.begin_transfer(126)), "FUTURE_REVISION");
    let earlier = source.engine.begin_transfer(100).expect("kept");
    let mut replica = Store::new();
    let backup = source.engine.backup(0, true).expect("now");
    let taken = receive(&mut replica.engine, &chunks(&mut source.engine, earlier));
    assert_eq!((taken, replica.engine.revision()), (Some(100), 100));
    assert_eq!(replica.hash(100), source.hash(100));
    apply(&mut replica, &changes(&source, 100)).expect("they follow");
    compare(&replica, &source);
    let cut = source.engine.begin_transfer(0).expect("now");
    source.engine.restore(&backup, [2; 16]).expect("a whole backup");
    assert_eq!(code(source.engine.transfer_chunk(cut)), "RESTORED");
}

#[test]
fn an_empty_store_is_given_too() {
    let mut source = source();
    let mut replica = Store::new();
    transfer(&mut source, &mut replica);
    assert_eq!((replica.engine.revision(), replica.engine.incarnation()), (1, [1; 16]));
    compare(&replica, &source);
}
