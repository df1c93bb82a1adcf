//! What is too much: a store that is full goes on in all that is no put, and nothing is answered that memory may not
//! hold.

use revkv::{
    CompareResult, CompareTarget, DeleteRange, History, KeyRange, LeaseId, Limits, Op, Put, Range, Request, Since, Txn,
};

use super::script::{Store, code, compare, delete, from, key, nested, put, read, span};

/// A store with room for just what is in it: `a` of lease 7, put at 2 and 3 with values of 100 bytes, and `b`, put at 4
/// and deleted at 5. Their names, changes and records are counted as 2 * 81 + 4 * 16 + 4 * 21 + 201 bytes.
fn full_store() -> Store {
    let mut store = Store::with_limits(Limits { bytes_max: 511 - 21 - 16, ..Limits::default() });
    store.grant(7, 60).expect("granted");
    for value in ["1", "2"] {
        store.put_leased("a", &value.repeat(100), 7).expect("there is room");
    }
    assert_eq!(store.put("b", "3"), 4, "it fits to the byte");
    assert_eq!(store.delete(key("b")), (1, 5), "a delete needs no room");
    assert_eq!(store.engine.stats().bytes, 511);
    store
}

/// Takes the first list if `holds`, else the second.
fn txn<'a>(holds: bool, success: Vec<Op<'a>>, failure: Vec<Op<'a>>) -> Request<'a> {
    let result = if holds { CompareResult::Equal } else { CompareResult::NotEqual };
    Request::Txn(Txn { compare: vec![compare(key("a"), CompareTarget::Version(2), result)], success, failure })
}

/// etcd refuses every put in a full store, and goes on to delete and to compact: else nothing could help it. What a
/// transaction would do counts, not what it holds; all of it is refused, or none.
#[test]
fn a_full_store_goes_on_in_all_that_is_no_put() {
    let store = full_store();
    let all = KeyRange::ALL;
    let restore = |keys, revision| Request::RestoreTo { keys, revision };
    let plain = |key, value| Request::Put(Put { key, value, ..Put::default() });
    let id = LeaseId(7);
    let rows = [
        ("a new key", plain(b"c", b""), "QUOTA_EXCEEDED"),
        ("an empty value in place of a long one", plain(b"a", b""), "QUOTA_EXCEEDED"),
        ("a put beside a delete", txn(true, vec![delete(key("a")), put("c", "")], vec![]), "QUOTA_EXCEEDED"),
        ("a put inside", txn(true, vec![delete(key("a")), nested(vec![put("c", "")])], vec![]), "QUOTA_EXCEEDED"),
        ("the put of the other list", txn(true, vec![delete(key("a"))], vec![put("c", "")]), "ok"),
        ("the put of the list taken", txn(false, vec![delete(key("a"))], vec![put("c", "")]), "QUOTA_EXCEEDED"),
        ("reads", txn(true, vec![read(all, 0)], vec![]), "ok"),
        ("a delete", Request::DeleteRange(DeleteRange { keys: all, prev_kv: true }), "ok"),
        ("what was is put back", restore(all, 4), "QUOTA_EXCEEDED"),
        ("what was not is deleted", restore(key("a"), 1), "ok"),
        ("nothing is put back", restore(all, 5), "ok"),
        ("a grant", Request::LeaseGrant { id: LeaseId(8), ttl_seconds: 1 }, "ok"),
        ("a keep-alive", Request::LeaseKeepAlive { id }, "ok"),
        ("a revocation", Request::LeaseRevoke { id }, "ok"),
        ("a compaction", Request::Compact { revision: 5 }, "ok"),
    ];
    for (name, request, expected) in rows {
        let mut store = store.clone();
        let code = store.apply(request).map_or_else(|code| code, |_| "ok");
        assert_eq!(code, expected, "{name}");
    }
    let mut store = store;
    store.tick(60_000);
    assert_eq!((store.state(0), store.engine.revision()), (String::new(), 6), "a lease ends in a full store");
}

/// A put that keeps the value writes it again, and takes as much room as with it.
#[test]
fn a_kept_value_takes_room_again() {
    let mut store = Store::new();
    store.put("a", &"1".repeat(100));
    let room = store.engine.stats().bytes + 16 + 21 + 100;
    for (bytes_max, expected) in [(room - 1, "QUOTA_EXCEEDED"), (room, "ok")] {
        store.reopen_with(Limits { bytes_max, ..Limits::default() });
        let put = Request::Put(Put { key: b"a", ignore_value: true, ..Put::default() });
        assert_eq!(store.apply(put).map_or_else(|code| code, |_| "ok"), expected, "{bytes_max}");
    }
    assert_eq!(store.engine.stats().bytes, room);
}

/// What a put needs of its key is asked before the room for it, alone as in a transaction: who keeps the value of a key
/// that is not there is told so by a full store too.
#[test]
fn a_full_store_tells_that_a_key_is_not_there() {
    let store = full_store();
    let keeps = |key, ignore_value| Put { key, ignore_value, ignore_lease: !ignore_value, ..Put::default() };
    for ignore_value in [true, false] {
        for (key, expected) in [(&b"none"[..], "KEY_NOT_FOUND"), (b"b", "KEY_NOT_FOUND"), (b"a", "QUOTA_EXCEEDED")] {
            let put = || keeps(key, ignore_value);
            let inside = Txn { success: vec![Op::Put(put())], ..Txn::default() };
            for (name, request) in [("alone", Request::Put(put())), ("in a txn", Request::Txn(inside))] {
                let code = store.clone().apply(request).map_or_else(|code| code, |_| "ok");
                assert_eq!(code, expected, "{key:?} {name}, its value kept: {ignore_value}");
            }
        }
    }
}

/// Room is there again when history is removed, not when it is compacted; a restart changes neither.
#[test]
fn removing_history_makes_room() {
    let mut store = full_store();
    assert_eq!(store.delete(key("a")), (1, 6));
    store.compact(6).expect("not compacted before");
    let refused = |store: &mut Store| store.run(vec![put("c", "")]) == Err("QUOTA_EXCEEDED");
    assert!(refused(&mut store), "nothing is removed yet");
    store.reopen();
    assert!(refused(&mut store), "nothing is removed yet, in the next engine");
    store.remove();
    assert_eq!(store.engine.stats().bytes, 81 + 16 + 21, "the delete that is still owed");
    store.reopen();
    assert_eq!((store.put("c", ""), store.state(0)), (7, "c=".to_owned()));
}

/// Opened with less room than it takes, a store is full and not broken.
#[test]
fn a_store_that_has_outgrown_its_limit_opens() {
    let mut store = full_store();
    store.put_leased("a", "", 7).expect_err("it is full");
    store.reopen_with(Limits { bytes_max: 1, ..Limits::default() });
    assert_eq!((store.engine.stats().bytes, store.engine.revision()), (511, 5));
    assert_eq!(store.run(vec![put("c", "")]), Err("QUOTA_EXCEEDED"));
    assert_eq!((store.delete(from("a")), store.compact(6)), ((1, 6), Ok(6)));
    store.remove();
    store.reopen_with(Limits::default());
    assert_eq!(store.put("c", ""), 7);
}

/// etcd's `--max-request-bytes`, of keys and values: both lists of a transaction count, and what it compares with.
#[test]
fn a_request_may_be_as_large_as_the_limit_and_no_larger() {
    let store = Store::with_limits(Limits { request_bytes_max: 20, ..Limits::default() });
    let text = "x".repeat(100);
    for (spare, expected) in [(0, "ok"), (1, "TOO_LARGE")] {
        let of = |bytes: usize| &text[..bytes + spare];
        let txn = |success, failure| Request::Txn(Txn { success, failure, ..Txn::default() });
        let compared = vec![compare(key("a"), CompareTarget::Value(of(19).as_bytes()), CompareResult::Equal)];
        let rows = [
            ("put", Request::Put(Put { key: b"a", value: of(19).as_bytes(), ..Put::default() })),
            ("key", Request::Put(Put { key: of(20).as_bytes(), ..Put::default() })),
            ("delete", Request::DeleteRange(DeleteRange { keys: span("a", of(19)), prev_kv: false })),
            ("puts of both lists", txn(vec![put("a", of(8))], vec![put("b", "0123456789")])),
            ("puts at two levels", txn(vec![put("a", of(8)), nested(vec![put("b", "0123456789")])], vec![])),
            ("reads", txn(vec![read(key("0123456789"), 0), read(key(of(10)), 0)], vec![])),
            ("compare", Request::Txn(Txn { compare: compared, ..Txn::default() })),
        ];
        for (name, request) in rows {
            let code = store.clone().apply(request).map_or_else(|code| code, |_| "ok");
            assert_eq!(code, expected, "{name}, {spare} too many");
        }
    }
}

/// Ten keys that are answered with 200 bytes each, where 1,000 may be answered. An answer that is too large is found
/// while it is made, which changes nothing: what was done by then is taken back.
#[test]
fn an_answer_too_large_is_refused_and_changes_nothing() {
    let mut store = Store::with_limits(Limits { response_bytes_max: 1_000, ..Limits::default() });
    for number in 0..10 {
        store.put(&format!("k{number}"), &"v".repeat(102));
    }
    let range = |keys, limit, keys_only, count_only| Range { keys, limit, keys_only, count_only, ..Range::default() };
    let (five, six) = (span("k0", "k5"), span("k0", "k6"));
    let reads = [
        ("five keys", range(five, 0, false, false), "ok"),
        ("six keys", range(six, 0, false, false), "TOO_LARGE"),
        ("five of six", range(six, 5, false, false), "ok"),
        ("ten keys without values", range(KeyRange::ALL, 0, true, false), "ok"),
        ("their number", range(KeyRange::ALL, 0, false, true), "ok"),
    ];
    for (name, range, expected) in reads {
        assert_eq!(code(store.engine.range(&range)), expected, "{name}");
    }
    let remove = |keys, prev_kv| Op::DeleteRange(DeleteRange { keys, prev_kv });
    let rows = [
        ("six deleted and answered", vec![remove(six, true)], "TOO_LARGE"),
        ("five deleted and answered", vec![remove(five, true)], "ok"),
        ("ten deleted", vec![remove(KeyRange::ALL, false)], "ok"),
        ("five read and one more", vec![put("new", ""), read(five, 0), read(key("k9"), 0)], "TOO_LARGE"),
        (
            "five read, and the last deleted inside",
            vec![read(five, 0), nested(vec![remove(key("k9"), true)])],
            "TOO_LARGE",
        ),
        ("five read, and one that is not there", vec![put("new", ""), read(five, 0), read(key("none"), 0)], "ok"),
    ];
    for (name, ops, expected) in rows {
        let mut store = store.clone();
        let (state, hash) = (store.state_of(five), store.hash(0));
        let code = store.run(ops).map_or_else(|code| code, |_| "ok");
        assert_eq!(code, expected, "{name}");
        let unchanged = (store.state_of(five), store.hash(0), store.engine.revision()) == (state, hash, 11);
        assert_eq!(unchanged, expected == "TOO_LARGE", "{name}: what it left");
    }
    assert_eq!(code(store.engine.history(&History::default())), "TOO_LARGE");
    assert_eq!(code(store.engine.history(&History { limit: 5, ..History::default() })), "ok");
    assert_eq!(code(store.engine.since(&Since::default())), "TOO_LARGE");
    assert_eq!(code(store.engine.since(&Since { limit: 5, ..Since::default() })), "ok");
    // A key that is there at one of two revisions counts once, one that is there at both twice.
    let differ = |store: &Store, from, to| code(store.engine.diff(KeyRange::ALL, from, to));
    assert_eq!((differ(&store, 1, 6), differ(&store, 1, 7), differ(&store, 6, 0)), ("ok", "TOO_LARGE", "ok"));
    store.run(vec![put("k0", "v"), put("k1", &"v".repeat(102))]).expect("accepted");
    assert_eq!((differ(&store, 11, 12), differ(&store, 12, 10), differ(&store, 12, 9)), ("ok", "ok", "TOO_LARGE"));
    let watch = store.watch(KeyRange::ALL, 2);
    assert_eq!(store.take(watch).len(), 11, "a watch is answered in portions already");
}
