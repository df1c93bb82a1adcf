//! The past as changes: `since` in portions of whole revisions, `history` as one list, `diff` between two moments, and
//! `restore_to`, which puts a moment back.

use revkv::{Difference, History, KeyRange, Limits, Request, Response, Since};

use super::script::{Outcome, Store, code, delete, events, from, key, nested, put, revision_of, shown, span};

/// Events, and where to go on.
fn since(store: &Store, keys: KeyRange<'_>, start_revision: u64, end_revision: u64, limit: u64) -> (Vec<String>, u64) {
    let since = Since { keys, start_revision, end_revision, limit };
    let response = store.engine.since(&since).expect("kept history");
    (events(&response.events), response.next_revision)
}

fn history(store: &Store, keys: KeyRange<'_>, from: u64, to: u64) -> Vec<String> {
    events(&store.engine.history(&History { keys, from, to, limit: 0 }).expect("kept history"))
}

/// The life of `k` that etcd draws in key_index.go: {2, 4, 6t} {8, 10, 12t} {14, 15.1, 16t}. `other` is changed at the
/// revisions between, and before `k` at 15.
fn three_lives() -> Store {
    let mut store = Store::new();
    for revision in 2..=16 {
        match revision {
            6 | 12 | 16 => assert_eq!(store.delete(key("k")), (1, revision)),
            15 => assert_eq!(store.run(vec![put("other", ""), put("k", "15")]), Ok(15)),
            _ if revision % 2 == 0 => assert_eq!(store.put("k", &revision.to_string()), revision),
            _ => assert_eq!(store.put("other", ""), revision),
        }
    }
    store
}

/// The vector of etcd's first API (RangeEvents, later RangeHistory), where a store began at revision 0; here it is 1.
#[test]
fn portions_name_where_to_go_on() {
    let mut store = Store::new();
    store.put("foo", "1");
    store.delete(key("foo"));
    store.put("foo", "2");
    store.put("unrelated", "");
    let all = ["2 PUT foo=1", "3 DELETE foo", "4 PUT foo=2"];
    let rows: [(u64, u64, &[&str], u64); 8] = [
        (2, 2, &[], 2),
        (2, 3, &all[..1], 3),
        (2, 4, &all[..2], 4),
        (2, 5, &all, 6),
        (4, 5, &all[2..], 6),
        (0, 0, &all, 6),
        (5, 0, &[], 6),
        (6, 0, &[], 6),
    ];
    for (start, end, expected, next) in rows {
        let (got, got_next) = since(&store, key("foo"), start, end, 0);
        assert_eq!(got, expected, "[{start}, {end})");
        assert_eq!(got_next, next, "[{start}, {end})");
    }
    assert_eq!(code(store.engine.since(&Since { start_revision: 7, ..Since::default() })), "FUTURE_REVISION");
}

/// A portion of etcd's first API could end inside a revision and name the next one to go on from: the rest of the
/// revision was never seen. A portion ends on a whole revision, past its limit if it must.
#[test]
fn a_limit_never_splits_a_revision() {
    let mut store = Store::new();
    store.run(vec![put("a", "1"), put("b", "1"), put("c", "1")]).expect("one revision");
    store.put("a", "2");
    store.run(vec![delete(from("a")), put("b", "2")]).expect("one revision");
    let first = ["2 PUT a=1", "2 PUT b=1", "2 PUT c=1"];
    for limit in 1..=3 {
        let (got, next) = since(&store, KeyRange::ALL, 0, 0, limit);
        assert_eq!(got, first, "limit {limit}");
        assert_eq!(next, 3, "limit {limit}");
    }
    let (whole, _) = since(&store, KeyRange::ALL, 0, 0, 0);
    assert_eq!(whole.len(), 8);
    for keys in [KeyRange::ALL, key("b"), from("b")] {
        let (whole, end) = since(&store, keys, 0, 0, 0);
        assert_eq!(end, 5);
        for limit in 1..=9 {
            let (mut joined, mut next) = (Vec::new(), 0);
            while next < end {
                let (portion, after) = since(&store, keys, next, 0, limit);
                assert!(after > next, "{keys:?}, limit {limit}: no progress at {next}");
                joined.extend(portion);
                next = after;
            }
            assert_eq!(joined, whole, "{keys:?}, limit {limit}");
        }
    }
}

/// etcd's TestKeyIndexSince, but that every change of a revision is seen and not its last one alone.
#[test]
fn changes_from_a_revision_on_cross_lives() {
    let store = three_lives();
    let all = [2, 4, 6, 8, 10, 12, 14, 15, 16];
    for start in 2..=17 {
        let expected: Vec<u64> = all.iter().copied().filter(|revision| *revision >= start).collect();
        let mains = |events: &[revkv::Event<'_>]| events.iter().map(|event| event.kv.mod_revision).collect::<Vec<_>>();
        let asked = Since { keys: key("k"), start_revision: start, ..Since::default() };
        let response = store.engine.since(&asked).expect("kept");
        assert_eq!((mains(&response.events), response.next_revision), (expected.clone(), 17), "since {start}");
        let asked = History { keys: key("k"), from: start, ..History::default() };
        assert_eq!(mains(&store.engine.history(&asked).expect("kept")), expected, "history from {start}");
    }
    let tail = ["12 DELETE k", "14 PUT k=14", "15 PUT k=15", "16 DELETE k"];
    assert_eq!(history(&store, key("k"), 11, 0), tail);
    assert_eq!(history(&store, key("k"), 11, 15), tail[..3]);
    assert_eq!(history(&store, KeyRange::ALL, 15, 15), ["15 PUT other=", "15 PUT k=15"]);
}

/// A delete at the compact revision is still owed to whoever reads on from there; what a read there does not see is
/// gone from every view of the past at once, before anything has been removed.
#[test]
fn compacted_history_is_gone_from_every_look_back_at_once() {
    let rows: [(u64, &[u64]); 7] =
        [(4, &[4, 6]), (5, &[4, 6]), (6, &[6, 8]), (7, &[8, 10]), (12, &[12, 14]), (13, &[14, 15]), (16, &[16])];
    for (compacted, kept) in rows {
        let mut store = three_lives();
        store.compact(compacted).expect("not compacted before");
        for stage in ["compacted", "stepped", "removed", "reopened"] {
            let changes = history(&store, key("k"), 0, 0);
            let first: Vec<u64> = changes.iter().map(|event| revision_of(event)).take(kept.len()).collect();
            assert_eq!(first, kept, "compact({compacted}), {stage}");
            let from_start: Vec<_> = history(&store, key("k"), compacted, 0);
            assert_eq!(since(&store, key("k"), 0, 0, 0), (from_start.clone(), 17), "compact({compacted}), {stage}");
            let newer: Vec<_> = changes.into_iter().filter(|event| revision_of(event) >= compacted).collect();
            assert_eq!(from_start, newer, "compact({compacted}), {stage}");
            let below = compacted - 1;
            assert_eq!(code(store.engine.since(&Since { start_revision: below, ..Since::default() })), "COMPACTED");
            assert_eq!(code(store.engine.history(&History { from: below, ..History::default() })), "COMPACTED");
            match stage {
                "compacted" => {
                    store.step();
                }
                "stepped" => store.remove(),
                _ => store.reopen(),
            }
        }
    }
}

/// A key put and deleted in one revision made two changes, which every look back shows in the order they were made.
#[test]
fn changes_of_one_key_in_one_revision_keep_their_order() {
    let mut store = Store::new();
    store.run(vec![nested(vec![put("a", "1"), put("b", "1")]), nested(vec![delete(key("a"))])]).expect("accepted");
    let expected = ["2 PUT a=1", "2 PUT b=1", "2 DELETE a"];
    assert_eq!(history(&store, KeyRange::ALL, 0, 0), expected);
    assert_eq!(since(&store, KeyRange::ALL, 2, 0, 1).0, expected);
    assert_eq!(history(&store, key("a"), 0, 0), ["2 PUT a=1", "2 DELETE a"]);
}

/// A key that was deleted and written again with the same value is a difference: its life is another one.
#[test]
fn a_difference_is_of_changes_and_not_of_values() {
    let mut store = Store::new();
    store.run(vec![put("a", "1"), put("b", "1"), put("c", "1")]).expect("revision 2");
    store.delete(key("a"));
    store.put("a", "1");
    store.delete(key("b"));
    store.put("d", "1");
    let diff = store.engine.diff(KeyRange::ALL, 2, 0).expect("kept");
    let side =
        |kv: Option<&revkv::KeyValue<'_>>| kv.map_or_else(|| "-".to_owned(), |kv| shown(std::slice::from_ref(kv)));
    let line = |row: &Difference<'_>| format!("{} > {}", side(row.before.as_ref()), side(row.after.as_ref()));
    let rows: Vec<String> = diff.iter().map(line).collect();
    assert_eq!(rows, ["a=1 > a=1", "b=1 > -", "- > d=1"]);
    assert_eq!(store.engine.diff(KeyRange::ALL, 4, 4), Ok(vec![]));
}

/// Gives the revision.
fn restore(store: &mut Store, keys: KeyRange<'_>, revision: u64) -> Outcome<u64> {
    match store.apply(Request::RestoreTo { keys, revision })? {
        Response::RestoreTo { revision } => Ok(revision),
        other => unreachable!("a restoration is answered by {other:?}"),
    }
}

/// At 5: a=1 b=1 c=1 d=1. Then a is put with lease 8, b put with another value and back again, c deleted, e put: 10.
fn changed() -> Store {
    let mut store = Store::new();
    for id in [7, 8] {
        store.grant(id, 60).expect("granted");
    }
    for key in ["a", "b", "c", "d"] {
        store.put_leased(key, "1", 7).expect("granted");
    }
    store.put_leased("a", "2", 8).expect("granted");
    store.put("b", "2");
    store.put("b", "1");
    store.delete(key("c"));
    store.put("e", "1");
    store
}

/// Putting a moment back is an ordinary write, of one revision: what is the same is not touched, what was not there is
/// deleted, and the history before it stays.
#[test]
fn a_moment_is_put_back_by_one_revision() {
    let mut store = changed();
    let watch = store.watch(KeyRange::ALL, 0);
    assert_eq!(restore(&mut store, KeyRange::ALL, 5), Ok(11));
    assert_eq!(store.take(watch), ["11 PUT a=1, PUT c=1, DELETE e"]);
    assert_eq!(store.state(0), store.state(5));
    assert_eq!((store.state(10), store.state(6)), ("a=2 b=1 d=1 e=1".to_owned(), "a=2 b=1 c=1 d=1".to_owned()));
    assert_eq!((store.life("a", 0), store.life("b", 0)), (Some((2, 11, 3)), Some((3, 8, 3))), "a lives on");
    assert_eq!((store.life("c", 0), store.life("d", 0)), (Some((11, 11, 1)), Some((5, 5, 1))), "c begins again");
    assert_eq!(restore(&mut store, KeyRange::ALL, 5), Ok(11), "there is nothing left to do");
    assert_eq!(restore(&mut store, KeyRange::ALL, 10), Ok(12), "and it can be undone");
    assert_eq!(
        (store.take(watch), store.state(0)),
        (vec!["12 PUT a=2, PUT e=1, DELETE c".to_owned()], store.state(10))
    );
    store.reopen();
    assert_eq!((store.state(0), store.state(11)), (store.state(10), store.state(5)));
}

/// A key keeps the lease it has, if that is not the one it had then; one that was gone has none: its lease may be gone
/// too, and who held it does not expect the key back.
#[test]
fn a_moment_put_back_leaves_keys_with_their_leases() {
    for restart in [false, true] {
        let mut store = changed();
        restore(&mut store, KeyRange::ALL, 5).expect("readable");
        if restart {
            store.reopen();
        }
        assert_eq!((store.keys_of(7), store.keys_of(8)), (vec!["d".to_owned()], vec!["a".to_owned()]));
        store.revoke(7).expect("granted");
        store.revoke(8).expect("granted");
        assert_eq!(store.state(0), "b=1 c=1", "restart {restart}");
    }
}

#[test]
fn only_a_range_is_put_back_and_only_what_can_be_read() {
    let mut store = changed();
    assert_eq!((restore(&mut store, span("a", "c"), 5), store.state(0)), (Ok(11), "a=1 b=1 d=1 e=1".to_owned()));
    assert_eq!((restore(&mut store, key("e"), 5), store.state(0)), (Ok(12), "a=1 b=1 d=1".to_owned()));
    assert_eq!(restore(&mut store, key("none"), 5), Ok(12));
    assert_eq!(restore(&mut store, KeyRange::ALL, 0), Ok(12), "now is as it is");
    let snapshot = store.engine.snapshot(5).expect("readable");
    store.compact(9).expect("not compacted before");
    store.remove();
    let rows = [
        (key(""), 9, Err("INVALID_KEY")),
        (KeyRange::ALL, 13, Err("FUTURE_REVISION")),
        (KeyRange::ALL, 8, Err("COMPACTED")),
        (KeyRange::ALL, snapshot, Ok(13)),
    ];
    for (keys, revision, expected) in rows {
        assert_eq!(restore(&mut store, keys, revision), expected, "restore_to({revision})");
    }
    assert_eq!(store.state(0), "a=1 b=1 c=1 d=1");
}

/// It is refused whole if its puts do not fit; deletes alone fit always.
#[test]
fn a_moment_that_does_not_fit_is_not_put_back() {
    let mut store = changed();
    let bytes_max = store.engine.stats().bytes;
    store.reopen_with(Limits { bytes_max, ..Limits::default() });
    assert_eq!((restore(&mut store, KeyRange::ALL, 5), store.state(0)), (Err("QUOTA_EXCEEDED"), store.state(10)));
    assert_eq!((restore(&mut store, span("b", "z"), 4), store.engine.revision()), (Err("QUOTA_EXCEEDED"), 10));
    assert_eq!((restore(&mut store, from("d"), 4), store.state(0)), (Ok(11), "a=2 b=1".to_owned()));
    // A put of c, whose name is counted already, beside two deletes.
    let room = bytes_max + 2 * (20 + 1 + 16) + (20 + 2 + 16);
    store.reopen_with(Limits { bytes_max: room - 1, ..Limits::default() });
    assert_eq!(restore(&mut store, key("c"), 5), Err("QUOTA_EXCEEDED"));
    store.reopen_with(Limits { bytes_max: room, ..Limits::default() });
    assert_eq!(restore(&mut store, key("c"), 5), Ok(12));
}
