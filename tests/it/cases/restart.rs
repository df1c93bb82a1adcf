//! Restarts and crashes: a store comes back as a prefix of its history that ends with a whole transaction, never goes
//! back behind what was written, and a reader goes on where it was.

use revkv::{Engine, KeyRange, Range};

use super::script::{Blobs, Store, compare_with_reopened, delete, from, key, nested, put, recover, revision_of, span};

/// etcd-io/etcd#6567, TestCompactAllAndRestore: compaction had removed the newest row, a tombstone, and a restart
/// took the revision from the rows: it went back, and "now" was compacted.
#[test]
fn the_revision_outlives_the_last_row() {
    let mut store = Store::with_puts_of("a", 3);
    store.delete(key("a"));
    store.compact(5).expect("not compacted before");
    store.remove();
    store.reopen();
    assert_eq!((store.engine.revision(), store.readable(0), store.state(0)), (5, "ok", String::new()));
    let mut store = Store::new();
    store.put("a", "1");
    store.delete(key("a"));
    store.compact(3).expect("not compacted before");
    for stage in ["accepted", "removed", "reopened", "reopened twice"] {
        let response = store.engine.range(&Range::default()).expect("now");
        assert_eq!((response.revision, response.count), (3, 0), "{stage}");
        match stage {
            "accepted" => store.remove(),
            _ => store.reopen(),
        }
    }
    assert_eq!(store.put("a", "2"), 4);
    assert_eq!(store.life("a", 0), Some((4, 4, 1)));
}

/// etcd-io/etcd#17780, TestReproduce17780 and TestRestoreContinueUnfinishedCompaction: a crash between the removal of
/// rows and the note that it was finished took the revision back. Here crashes come after any number of steps, with and
/// without what was ready being written.
#[test]
fn a_crash_in_a_compaction_takes_no_revision_back() {
    let mut whole = Store::new();
    for i in 0..1100 {
        whole.put(&format!("{:03}", i % 600), &i.to_string());
    }
    whole.delete(from("100"));
    let current = whole.engine.revision();
    whole.flush();
    let expected = whole.state(0);
    for compacted in [600, current] {
        for (steps, written) in
            [(0, false), (0, true), (1, true), (2, true), (3, true), (usize::MAX, false), (usize::MAX, true)]
        {
            let mut store = whole.clone();
            store.compact(compacted).expect("not compacted before");
            if written {
                store.flush();
            }
            let _ = (0..steps).all(|_| store.step());
            if written && steps == usize::MAX {
                store.flush();
            }
            store.crash();
            let at = format!("compact({compacted}), {steps} steps, written: {written}");
            assert_eq!(store.engine.revision(), current, "{at}");
            assert_eq!(store.engine.compact_revision(), if written { compacted } else { 0 }, "{at}");
            assert_eq!(store.state(0), expected, "{at}");
            store.remove();
            store.reopen();
            assert_eq!((store.engine.revision(), store.put("a", "")), (current, current + 1), "{at}");
        }
    }
}

/// etcd-io/etcd#19179, TestResumeCompactionOnTombstone: all that is left of a key is its tombstone, and a restart
/// skipped such rows: a watch from the compact revision missed the delete.
#[test]
fn a_key_of_which_only_the_tombstone_is_left_is_restored() {
    let mut store = Store::new();
    for i in 0..5 {
        store.put(&format!("key{i}"), "1");
    }
    store.delete(key("key0"));
    store.compact(7).expect("not compacted before");
    store.flush();
    let mut killed = store.clone();
    killed.step();
    killed.crash();
    store.remove();
    store.reopen();
    for mut store in [killed, store] {
        let watch = store.watch(key("key0"), 7);
        assert_eq!(store.take(watch), ["7 DELETE key0"]);
        assert_eq!(store.delete(key("key0")), (0, 7));
        store.put("key0", "2");
        store.reopen();
        assert_eq!(store.life("key0", 0), Some((8, 8, 1)));
    }
}

/// The same for a key that was deleted and put again in the compact revision: its oldest row is a tombstone, its newest
/// one of the same revision.
#[test]
fn a_life_that_began_in_the_compact_revision_is_restored() {
    let mut store = Store::with_puts_of("a", 3);
    store.run(vec![delete(from("a")), put("a", "new")]).expect("accepted");
    store.put("a", "newer");
    store.compact(5).expect("not compacted before");
    store.remove();
    for _ in 0..3 {
        store.reopen();
        assert_eq!((store.life("a", 5), store.life("a", 6)), (Some((5, 5, 1)), Some((5, 6, 2))));
    }
}

/// etcd-io/etcd#9775, #19487, PR 20281: a store was restored behind or ahead of where a watch waits. A watch of a
/// revision to come is given that one and those after, however the store stands to it.
#[test]
fn a_watch_of_the_future_survives_any_restart() {
    for behind in [true, false] {
        let mut store = Store::with_puts_of("a", 2);
        store.flush();
        if !behind {
            for value in 3..=15 {
                store.put("a", &value.to_string());
            }
            store.flush();
        }
        store.put("a", "lost in the crash");
        store.crash();
        assert_eq!(store.engine.revision(), if behind { 3 } else { 16 });
        let watch = store.watch(key("a"), 5);
        assert_eq!(store.take(watch).len(), if behind { 0 } else { 12 });
        let next = store.engine.revision() + 1;
        for value in next..next + 3 {
            store.put("a", &value.to_string());
        }
        let expected: Vec<String> = (next..next + 3).filter(|r| *r >= 5).map(|r| format!("{r} PUT a={r}")).collect();
        assert_eq!(store.take(watch), expected, "behind: {behind}");
    }
}

/// etcd-io/etcd#8411, TestWatchRestore: after a restore, watches were not registered again and heard nothing more. Here
/// watchers end with their engine, and a reader resumes in the next one at its bookmark.
#[test]
fn a_reader_resumes_in_the_next_engine_without_loss() {
    let mut store = Store::new();
    let (mut seen, mut bookmark) = (Vec::new(), 1);
    for round in 0..30_u64 {
        let watch = store.watch(KeyRange::ALL, bookmark + 1);
        for write in 0..=round % 4 {
            store.run(vec![put("a", &round.to_string()), put("b", &write.to_string())]).expect("accepted");
        }
        let (lines, through) = store.take_some(watch, 1 + (round as usize % 5)).expect("kept");
        seen.extend(lines);
        bookmark = through;
        match round % 3 {
            0 => store.reopen(),
            1 => {
                store.compact(bookmark).expect("not compacted before");
                store.step();
                store.reopen();
            }
            _ => {}
        }
    }
    let watch = store.watch(KeyRange::ALL, bookmark + 1);
    seen.extend(store.take(watch));
    let revisions: Vec<u64> = seen.iter().map(|line| revision_of(line)).collect();
    assert_eq!(revisions, (2..=store.engine.revision()).collect::<Vec<_>>());
    assert!(seen.iter().all(|line| line.contains("PUT a=") && line.contains(", PUT b=")), "whole revisions: {seen:?}");
}

/// etcd's TestWatchRestore, its table: what a watch from each revision sees of a put before and a delete after.
#[test]
fn a_watch_made_after_a_restart_has_all_of_history() {
    for (start, expected) in [
        (1, &["2 PUT foo=bar", "3 DELETE foo"][..]),
        (2, &["2 PUT foo=bar", "3 DELETE foo"]),
        (3, &["3 DELETE foo"]),
        (4, &[]),
        (0, &["3 DELETE foo"]),
    ] {
        let mut store = Store::new();
        store.put("foo", "bar");
        store.reopen();
        let watch = store.watch(key("foo"), start);
        store.delete(key("foo"));
        assert_eq!(store.take(watch), expected, "start {start}");
    }
}

/// etcd-io/etcd#13766 and TestConsistentWatchableStoreSkip: an entry that was applied is not applied again after a
/// crash. Blobs may be read in any order, but each of them, once.
#[test]
fn no_batch_is_applied_twice() {
    let mut store = Store::new();
    for value in ["1", "2", "3"] {
        store.put("a", value);
        store.flush();
    }
    let blobs: Vec<_> = store.blobs.iter().collect();
    let open = |places: &[usize]| {
        let mut engine = Engine::new(revkv::EngineOptions::default());
        places.iter().try_for_each(|place| engine.recover(blobs[*place].0, blobs[*place].1)).expect("whole blobs");
        engine.start().map(|()| engine).map_err(|error| error.code())
    };
    for places in [&[0, 0][..], &[0, 1, 1], &[0, 1, 0], &[0, 1, 2, 2], &[1], &[0, 2], &[2, 1]] {
        assert_eq!(open(places).map(drop), Err("CORRUPT"), "blobs {places:?}");
    }
    for places in [[0, 1, 2], [0, 2, 1], [2, 1, 0], [1, 2, 0]] {
        let engine = open(&places).expect("each of them, once");
        assert_eq!(engine.history(&Default::default()), store.engine.history(&Default::default()), "blobs {places:?}");
    }
    store.reopen();
    assert_eq!((store.life("a", 0), store.engine.revision()), (Some((2, 4, 3)), 4));
}

/// A request that fails or changes nothing leaves nothing to write, so that no replay can make something of it.
#[test]
fn what_changes_nothing_is_not_written() {
    let mut store = Store::with_puts_of("a", 2);
    store.flush();
    assert_eq!(store.run(vec![put("b", ""), put("b", "")]), Err("DUPLICATE_KEY"));
    assert_eq!(store.delete(key("none")), (0, 3));
    assert_eq!(store.run(vec![]), Ok(3));
    assert_eq!(store.compact(9), Err("FUTURE_REVISION"));
    assert_eq!(store.compact(0), Ok(3));
    assert_eq!(store.put_leased("b", "", 9), Err("LEASE_NOT_FOUND"));
    assert_eq!(store.engine.take_ready(), None);
}

/// etcd's TestTxnBlockBackendForceCommit: what is stored ends with a whole transaction, wherever the blobs are cut. Only
/// a batch has an end; a store that has part of one does not open.
#[test]
fn every_stored_prefix_ends_with_a_whole_transaction() {
    let blob_bytes = 400;
    let mut store = Store::with_blobs_of(blob_bytes);
    let mut states = vec![(0, 1, String::new())];
    let value = "v".repeat(90);
    for round in 0..12 {
        for _ in 0..=round % 3 {
            let ops = ["a", "b", "c", "d"].map(|key| put(key, &value)).into_iter();
            let last = nested(vec![delete(key("none")), put("round", if round % 2 == 0 { "even" } else { "odd" })]);
            store.run(ops.chain([last]).collect()).expect("accepted");
        }
        store.flush();
        states.push((store.blobs.len(), store.engine.revision(), store.state(0)));
    }
    let mut opened = 0;
    for kept in 0..=store.blobs.len() {
        let prefix: Blobs = store.blobs.iter().take(kept).map(|(id, bytes)| (id.clone(), bytes.clone())).collect();
        match (recover(&prefix, blob_bytes), states.iter().find(|(blobs, ..)| *blobs == kept)) {
            (Ok(engine), Some((_, revision, state))) => {
                let mut found = store.clone();
                found.engine = engine;
                assert_eq!((found.engine.revision(), &found.state(0)), (*revision, state), "{kept} blobs");
                opened += 1;
            }
            (Err(error), None) => assert_eq!(error.code(), "CORRUPT", "{kept} blobs"),
            (Ok(_), None) => panic!("{kept} blobs end inside a batch and open"),
            (Err(error), Some(_)) => panic!("{kept} blobs are whole batches and do not open: {error}"),
        }
    }
    assert_eq!(opened, 13);
    assert!(store.blobs.len() > 30, "batches must be cut for this to mean something");
}

/// etcd's TestRestoreDelete and TestKVRestore, with more rows than etcd restores in one chunk: none is lost or repeated
/// where pieces meet.
#[test]
fn ten_thousand_rows_come_back() {
    let mut store = Store::with_blobs_of(4 << 10);
    let mut rng = fastrand::Rng::with_seed(20);
    for _ in 0..6_500 {
        let names: Vec<String> = (0..3).map(|place| format!("{place}{:03}", rng.u32(..400))).collect();
        let next = format!("{}~", names[0]);
        let ops = match rng.u8(..5) {
            0 => vec![delete(span(&names[0], &next))],
            1 => vec![delete(key(&names[1]))],
            _ => names.iter().map(|name| put(name, "v")).collect(),
        };
        store.run(ops).expect("accepted");
        if rng.u8(..50) == 0 {
            store.flush();
        }
    }
    assert!(store.engine.stats().revisions > 10_000, "{:?}", store.engine.stats());
    compare_with_reopened(&store);
    store.compact(store.engine.revision() / 2).expect("not compacted before");
    store.remove();
    compare_with_reopened(&store);
}

/// etcd's TestV3HashRestart and TestKVSnapshot: a copy of what is stored is the same store.
#[test]
fn a_copy_of_the_medium_is_the_same_store() {
    let mut store = Store::with_puts_of("a", 10);
    store.grant(7, 60).expect("granted");
    store.put_leased("b", "1", 7).expect("granted");
    store.compact(5).expect("not compacted before");
    store.step();
    store.flush();
    let mut copy = store.clone();
    copy.crash();
    store.put("a", "later");
    assert_eq!(copy.engine.revision(), 12);
    assert_eq!((copy.hash(0), copy.state(7), copy.keys_of(7)), (store.hash(12), store.state(7), store.keys_of(7)));
    copy.put("a", "later");
    assert_eq!(copy.hash(0), store.hash(0));
}

/// A medium that is full refuses the claim: what it holds can be read all the same, unless another claims it.
#[test]
fn an_opening_for_which_there_is_no_room_goes_back_to_what_is_stored() {
    let mut store = Store::with_puts_of("a", 2);
    store.flush();
    let stored = |store: &Store| recover(&store.blobs, 64 << 10).expect("what was written");
    let mut engine = stored(&store);
    drop(engine.take_ready().expect("a claim"));
    assert_eq!(engine.rewind(stored(&store)), Ok(()));
    assert_eq!((engine.revision(), engine.get(b"a", 0).expect("kept").map(|kv| kv.version)), (3, Some(2)));
    let mut other = stored(&store);
    store.write(other.take_ready().expect("a claim"));
    assert_eq!(engine.rewind(stored(&store)).map_err(|error| error.code()), Err("NOT_LEADER"));
}
