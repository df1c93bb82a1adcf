//! Reads: which revisions, which keys, in which order, and how many of them.

use revkv::{KeyRange, KeyValue, LeaseId, Range, RangeResponse, SortBy};

use super::script::{Store, code, from, key, shown, span};

/// a, b, c at revisions 2, 3, 4.
fn abc() -> Store {
    let mut store = Store::new();
    for key in ["a", "b", "c"] {
        store.put(key, key);
    }
    store
}

fn ask<'s>(store: &'s Store, range: &Range<'_>) -> RangeResponse<'s> {
    store.engine.range(range).expect("readable")
}

fn keys(response: &RangeResponse<'_>) -> String {
    let key = |kv: &KeyValue<'_>| String::from_utf8_lossy(&kv.key).into_owned();
    response.kvs.iter().map(key).collect::<Vec<_>>().join(" ")
}

/// etcd's testKVRangeBadRev. The compact revision itself stays readable (#14325 refused it in hashes), and 0 is always
/// the present.
#[test]
fn reads_end_where_history_does() {
    let mut store = abc();
    let before = [(0, "ok"), (1, "ok"), (2, "ok"), (4, "ok"), (5, "FUTURE_REVISION"), (100, "FUTURE_REVISION")];
    let after = [
        (0, "ok"),
        (1, "COMPACTED"),
        (2, "COMPACTED"),
        (3, "COMPACTED"),
        (4, "ok"),
        (5, "FUTURE_REVISION"),
        (u64::MAX, "FUTURE_REVISION"),
    ];
    let check = |store: &Store, rows: &[(u64, &str)], stage: &str| {
        for (revision, expected) in rows {
            assert_eq!(store.readable(*revision), *expected, "range at {revision}, {stage}");
            assert_eq!(code(store.engine.get(b"a", *revision)), *expected, "get at {revision}, {stage}");
            assert_eq!(code(store.engine.hash(*revision)), *expected, "hash at {revision}, {stage}");
            assert_eq!(
                code(store.engine.diff(KeyRange::ALL, *revision, 0)),
                *expected,
                "diff from {revision}, {stage}"
            );
        }
    };
    check(&store, &before, "whole");
    store.compact(4).expect("not compacted before");
    check(&store, &after, "compacted");
    store.remove();
    check(&store, &after, "removed");
    store.reopen();
    check(&store, &after, "reopened");
}

/// The answer's revision is the store's, never the one asked for: a client that watches from it would see old events.
#[test]
fn a_read_of_the_past_answers_with_the_present_revision() {
    let store = abc();
    for revision in 0..=4 {
        assert_eq!(ask(&store, &Range { revision, ..Range::default() }).revision, 4);
    }
}

/// Unsigned bytes, a prefix first. Ranges whose start is not before their end hold nothing, and that is no error.
#[test]
fn ranges_select_in_byte_order() {
    let mut store = Store::new();
    for key in ["foo2", "foo", "\u{7f}", "foo1", "a", "f", "ÿ"] {
        store.put(key, "");
    }
    let rows: [(KeyRange<'_>, &str); 12] = [
        (key("foo"), "foo"),
        (key("fo"), ""),
        (span("foo", "foo1"), "foo"),
        (span("foo", "foo2"), "foo foo1"),
        (span("f", "foo"), "f"),
        (span("foo", "foo"), ""),
        (span("foo2", "foo"), ""),
        (span("", "foo"), "a f"),
        (from("foo1"), "foo1 foo2 \u{7f} ÿ"),
        (from("ÿ\0"), ""),
        (from(""), "a f foo foo1 foo2 \u{7f} ÿ"),
        (KeyRange::ALL, "a f foo foo1 foo2 \u{7f} ÿ"),
    ];
    for (range, expected) in rows {
        let response = ask(&store, &Range { keys: range, ..Range::default() });
        assert_eq!(keys(&response), expected, "{range:?}");
        assert_eq!(response.count, response.kvs.len() as u64, "{range:?}");
    }
    assert_eq!(code(store.engine.range(&Range { keys: key(""), ..Range::default() })), "INVALID_KEY");
    assert_eq!(code(store.engine.get(b"", 0)), "INVALID_KEY");
}

/// etcd-io/etcd#6419, getPrefix: a prefix that ends in 0xff has its end before that byte, and one of nothing else has
/// none. The end is the host's to compute; the ranges it comes to must hold the prefix and nothing beside.
#[test]
fn prefixes_that_end_in_the_last_byte() {
    let mut store = Store::new();
    let keys: [&[u8]; 7] = [b"a", b"a\xfe", b"a\xff", b"a\xff\0", b"a\xff\xff", b"b", b"\xff\xff\x01"];
    for key in keys {
        let put = revkv::Put { key, ..revkv::Put::default() };
        store.apply(revkv::Request::Put(put)).expect("a put");
    }
    let rows: [(KeyRange<'_>, &[&[u8]]); 3] = [
        (KeyRange::Span { start: b"a\xff", end: b"b" }, &keys[2..5]),
        (KeyRange::From(b"\xff\xff"), &keys[6..]),
        (KeyRange::From(b""), &keys),
    ];
    for (range, expected) in rows {
        let got: Vec<_> = ask(&store, &Range { keys: range, ..Range::default() }).kvs;
        let got: Vec<&[u8]> = got.iter().map(|kv| &*kv.key).collect();
        assert_eq!(got, expected, "{range:?}");
    }
}

/// Who does not ask for the count gets all else as it is.
#[test]
fn an_uncounted_answer_is_cut_at_the_limit() {
    let mut store = abc();
    store.put("d", "");
    for descend in [false, true] {
        for sort_by in [SortBy::Key, SortBy::Version, SortBy::Value] {
            for limit in 0..=6 {
                let counted = Range { limit, sort_by, descend, ..Range::default() };
                let uncounted = Range { uncounted: true, ..counted.clone() };
                let (counted, uncounted) = (ask(&store, &counted), ask(&store, &uncounted));
                assert_eq!(
                    (&counted.kvs, counted.more),
                    (&uncounted.kvs, uncounted.more),
                    "limit {limit}, {sort_by:?}"
                );
                let is_counted = uncounted.count == 4;
                let is_cut = uncounted.more && uncounted.count == limit + 1;
                assert!(is_counted || is_cut, "limit {limit}, {sort_by:?}: {}", uncounted.count);
            }
        }
    }
    let response = ask(&store, &Range { uncounted: true, count_only: true, limit: 1, ..Range::default() });
    assert_eq!(response.count, 4);
}

/// etcd-io/etcd#6145: the count is of the range, not of what the limit left of it.
#[test]
fn a_limit_cuts_the_answer_and_not_the_count() {
    let store = abc();
    let rows = [(0, "a b c", false), (1, "a", true), (2, "a b", true), (3, "a b c", false), (4, "a b c", false)];
    let rows = rows.into_iter().chain([(u64::MAX, "a b c", false), (u64::MAX - 1, "a b c", false)]);
    for (limit, expected, more) in rows {
        let response = ask(&store, &Range { limit, ..Range::default() });
        assert_eq!((keys(&response).as_str(), response.more, response.count), (expected, more, 3), "limit {limit}");
        let response = ask(&store, &Range { limit, sort_by: SortBy::Value, ..Range::default() });
        assert_eq!((keys(&response).as_str(), response.more, response.count), (expected, more, 3), "sorted, {limit}");
    }
    let mut store = abc();
    store.put("d", "");
    store.put("e", "");
    let response = ask(&store, &Range { limit: 2, ..Range::default() });
    assert_eq!((response.count, response.more), (5, true));
    let response = ask(&store, &Range { limit: 2, keys: span("b", "e"), revision: 5, ..Range::default() });
    assert_eq!((keys(&response).as_str(), response.count, response.more), ("b c", 3, true));
}

/// etcd's TestV3RangeRequest, "count only".
#[test]
fn a_count_is_whole_whatever_limits_and_filters() {
    let store = abc();
    for (limit, min_mod_revision) in [(0, 0), (1, 0), (2, 0), (0, 4), (1, 4), (9, 100)] {
        let response = ask(&store, &Range { count_only: true, limit, min_mod_revision, ..Range::default() });
        assert_eq!((response.count, response.more, response.kvs), (3, false, vec![]), "limit {limit}");
    }
    assert_eq!(ask(&store, &Range { count_only: true, revision: 3, ..Range::default() }).count, 2);
}

#[test]
fn filters_come_before_the_limit_and_leave_the_count() {
    let mut store = Store::new();
    for key in ["a", "b", "c", "d", "e"] {
        store.put(key, "");
    }
    store.put("a", "again"); // created at 2, changed at 7
    // min mod, max mod, min create, max create, limit
    let rows: [([u64; 5], &str, bool); 10] = [
        ([3, 5, 0, 0, 0], "b c d", false),
        ([3, 5, 0, 0, 2], "b c", true),
        ([3, 5, 0, 0, 3], "b c d", false),
        ([7, 0, 0, 0, 0], "a", false),
        ([0, 3, 0, 0, 0], "b", false),
        ([0, 0, 0, 2, 0], "a", false),
        ([0, 0, 5, 0, 0], "d e", false),
        ([0, 6, 0, 4, 0], "b c", false),
        ([8, 0, 0, 0, 0], "", false),
        ([5, 3, 0, 0, 0], "", false),
    ];
    for ([min_mod_revision, max_mod_revision, min_create_revision, max_create_revision, limit], expected, more) in rows
    {
        let range = Range {
            min_mod_revision,
            max_mod_revision,
            min_create_revision,
            max_create_revision,
            limit,
            ..Range::default()
        };
        let response = ask(&store, &range);
        assert_eq!((keys(&response).as_str(), response.more, response.count), (expected, more, 5), "{range:?}");
    }
    let past = Range { max_mod_revision: 3, revision: 6, ..Range::default() };
    assert_eq!(keys(&ask(&store, &past)), "a b", "filters look at the key as it was");
}

/// Ties are ascending by key, in a descending answer too: etcd's own tests rely on it.
#[test]
fn an_answer_is_sorted_by_what_was_asked_with_ties_by_key() {
    let mut store = Store::new();
    store.put("c", "x"); // created 2
    store.run(["a", "b"].map(|key| super::script::put(key, "y")).to_vec()).expect("both created at 3");
    store.put("d", "x"); // created 4
    store.put("c", "x"); // version 2, changed at 5
    let rows = [
        (SortBy::Key, "a b c d", "d c b a"),
        (SortBy::Version, "a b d c", "c a b d"),
        (SortBy::CreateRevision, "c a b d", "d a b c"),
        (SortBy::ModRevision, "a b d c", "c d a b"),
        (SortBy::Value, "c d a b", "a b c d"),
    ];
    for (sort_by, ascending, descending) in rows {
        for (descend, expected) in [(false, ascending), (true, descending)] {
            let range = Range { sort_by, descend, ..Range::default() };
            assert_eq!(keys(&ask(&store, &range)), expected, "{range:?}");
            let cut = ask(&store, &Range { limit: 1, ..range.clone() });
            assert_eq!((keys(&cut).as_str(), cut.more, cut.count), (&expected[..1], true, 4), "{range:?}");
            let stripped = ask(&store, &Range { keys_only: true, ..range.clone() });
            assert_eq!(keys(&stripped), expected, "values are stripped after they were sorted by");
            assert!(stripped.kvs.iter().all(|kv| kv.value.is_empty()));
        }
    }
}

/// etcd-io/etcd#10511: the limit takes the last keys of a descending answer, not the first keys turned round.
#[test]
fn the_last_key_of_a_range() {
    let store = abc();
    let response = ask(&store, &Range { limit: 1, descend: true, ..Range::default() });
    assert_eq!((keys(&response).as_str(), response.more, response.count), ("c", true, 3));
}

/// etcd sorts only the first keys where a limit comes without an order: it answers `b` here. We sort everything first.
#[test]
fn a_limit_cuts_what_is_sorted_and_sorts_nothing_that_was_cut() {
    let mut store = Store::new();
    for key in ["c", "b", "a"] {
        store.put(key, "");
    }
    store.put("b", "");
    store.put("a", "");
    let response = ask(&store, &Range { limit: 1, sort_by: SortBy::ModRevision, ..Range::default() });
    assert_eq!((keys(&response).as_str(), response.more), ("c", true));
}

#[test]
fn keys_only_leaves_out_the_value_and_nothing_else() {
    let mut store = Store::new();
    store.grant(7, 60).expect("granted");
    store.put("a", "1");
    store.put_leased("a", "2", 7).expect("granted");
    let response = ask(&store, &Range { keys_only: true, ..Range::default() });
    let [kv] = &response.kvs[..] else { panic!("one key") };
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version, kv.lease), (2, 3, 2, LeaseId(7)));
    assert_eq!(shown(&response.kvs), "a=");
}

/// An empty value is a value: the key is there.
#[test]
fn an_empty_value_is_not_absence() {
    let mut store = Store::new();
    store.put("a", "");
    assert_eq!((store.state(0).as_str(), store.life("a", 0)), ("a=", Some((2, 2, 1))));
}
