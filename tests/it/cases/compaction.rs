//! Compaction: what it refuses, what it keeps, and that nobody above it can tell how far the removal has come.

use revkv::{KeyRange, Range};

use super::script::{Store, code, delete, from, key, nested, put};

/// Runs `check` at each moment of a compaction that has been accepted: before its first step, after each, and after
/// restarts in between and at the end.
fn at_every_moment(mut store: Store, check: impl Fn(&Store, &str)) {
    check(&store, "accepted");
    loop {
        let mut restarted = store.clone();
        restarted.reopen();
        check(&restarted, "reopened before a step");
        restarted.remove();
        check(&restarted, "reopened before a step and removed");
        if !store.step() {
            break;
        }
        check(&store, "stepped");
    }
    check(&store, "removed");
    store.reopen();
    check(&store, "reopened");
    store.reopen();
    check(&store, "reopened twice");
}

/// etcd's TestKVCompactBad.
#[test]
fn a_revision_is_compacted_once_and_never_ahead() {
    let mut store = Store::with_puts_of("foo", 3);
    let rows = [
        (0, Ok(4)),
        (1, Ok(4)),
        (1, Err("COMPACTED")),
        (0, Err("COMPACTED")),
        (5, Err("FUTURE_REVISION")),
        (4, Ok(4)),
        (4, Err("COMPACTED")),
        (2, Err("COMPACTED")),
        (5, Err("FUTURE_REVISION")),
        (100, Err("FUTURE_REVISION")),
        (u64::MAX, Err("FUTURE_REVISION")),
    ];
    for (revision, expected) in rows {
        assert_eq!(store.compact(revision), expected, "compact({revision})");
    }
}

/// etcd-io/etcd#11370: a store that is compacted before anything was written can be read and watched from there.
#[test]
fn an_empty_store_may_be_compacted_at_its_revision() {
    let mut store = Store::new();
    assert_eq!(store.compact(1), Ok(1));
    at_every_moment(store, |store, stage| {
        assert_eq!((store.readable(0), store.readable(1)), ("ok", "ok"), "{stage}");
        let mut store = store.clone();
        let watch = store.watch(KeyRange::ALL, 1);
        store.put("a", "1");
        assert_eq!(store.take(watch), ["2 PUT a=1"], "{stage}");
    });
}

/// etcd's TestV3CompactCurrentRev: the present must stay readable when it is itself compacted; the first API refused
/// even "now" then.
#[test]
fn the_present_may_be_compacted() {
    let mut store = Store::new();
    store.put("a", "1");
    store.compact(2).expect("not compacted before");
    at_every_moment(store, |store, stage| {
        assert_eq!((store.state(0).as_str(), store.state(2).as_str()), ("a=1", "a=1"), "{stage}");
        assert_eq!(store.engine.revision(), 2, "{stage}");
    });
}

/// etcd's TestHashKVWithCompactedAndFutureRevisions and #14325: the compact revision can be read and hashed, the one
/// before it cannot, from the moment the compaction is accepted.
#[test]
fn the_compact_revision_is_the_oldest_that_answers() {
    let mut store = Store::with_puts_of("a", 5);
    store.compact(4).expect("not compacted before");
    at_every_moment(store, |store, stage| {
        for (revision, expected) in [(1, "COMPACTED"), (3, "COMPACTED"), (4, "ok"), (6, "ok"), (7, "FUTURE_REVISION")] {
            assert_eq!(store.readable(revision), expected, "range at {revision}, {stage}");
            assert_eq!(code(store.engine.hash(revision)), expected, "hash at {revision}, {stage}");
        }
        assert_eq!(store.engine.compact_revision(), 4, "{stage}");
    });
}

/// etcd's TestKVCompactReserveLastValue: what a read at the compact revision sees stays, however old it is.
#[test]
fn the_last_value_before_the_compact_revision_stays() {
    let mut whole = Store::new();
    whole.put("foo", "bar0");
    whole.put("foo", "bar1");
    whole.delete(key("foo"));
    whole.put("foo", "bar2");
    let expected = ["foo=bar0", "foo=bar1", "", "foo=bar2"];
    let kept = [4, 4, 3, 2, 1];
    for compacted in 1..=5 {
        let mut store = whole.clone();
        assert_eq!(store.compact(compacted), Ok(5));
        let watch = store.watch(KeyRange::ALL, 0);
        at_every_moment(store.clone(), |store, stage| {
            for revision in compacted.max(2)..=5 {
                let at = format!("compact({compacted}), at {revision}, {stage}");
                assert_eq!(store.state(revision), expected[revision as usize - 2], "{at}");
                assert_eq!(store.life("foo", revision), whole.life("foo", revision), "{at}");
            }
            assert_eq!(store.engine.revision(), 5, "{stage}");
        });
        store.remove();
        assert_eq!(store.engine.stats().revisions, kept[compacted as usize - 1], "compact({compacted})");
        assert_eq!(store.take(watch), [""; 0], "a compaction is no event");
    }
}

/// etcd-io/etcd#22376, which etcd fails: a key deleted and put again in the revision that is compacted lost its new row,
/// the next read of it ended the process, and after a restart the key was gone.
#[test]
fn a_key_deleted_and_put_in_the_compact_revision_stays() {
    let mut store = Store::new();
    store.put("a", "old");
    store.run(vec![delete(from("a")), put("a", "new")]).expect("accepted");
    store.compact(3).expect("not compacted before");
    at_every_moment(store, |store, stage| {
        assert_eq!((store.state(0).as_str(), store.state(3).as_str()), ("a=new", "a=new"), "{stage}");
        assert_eq!(store.life("a", 0), Some((3, 3, 1)), "{stage}");
        let mut store = store.clone();
        let watch = store.watch(key("a"), 3);
        assert_eq!(store.take(watch), ["3 DELETE a, PUT a=new"], "{stage}");
        store.put("a", "newer");
        assert_eq!(store.life("a", 0), Some((3, 4, 2)), "{stage}");
    });
}

/// The same with the order turned round: a put that nobody can read, and the delete after it, are both owed to a watch
/// from the compact revision, and are gone with the next compaction.
#[test]
fn a_key_put_and_deleted_in_the_compact_revision_is_owed_to_a_watch() {
    let mut store = Store::new();
    store.run(vec![nested(vec![put("a", "1")]), nested(vec![delete(key("a"))]), put("b", "1")]).expect("accepted");
    store.compact(2).expect("not compacted before");
    at_every_moment(store.clone(), |store, stage| {
        assert_eq!(store.state(0), "b=1", "{stage}");
        let mut store = store.clone();
        let watch = store.watch(key("a"), 2);
        assert_eq!(store.take(watch), ["2 PUT a=1, DELETE a"], "{stage}");
    });
    store.put("c", "1");
    store.compact(3).expect("not compacted before");
    store.remove();
    assert_eq!(store.engine.stats().revisions, 2, "those of b and c");
}

/// The tombstone at the compact revision is kept for watchers and goes with the next compaction; a key of which nothing
/// is left takes no room (etcd's TestKeyIndexCompactAndKeep).
#[test]
fn deleted_keys_are_forgotten_by_the_compaction_after_their_delete() {
    let held = |store: &Store| (store.engine.stats().revisions, store.engine.stats().bytes);
    let mut store = Store::new();
    let empty = held(&store);
    store.put("a", "1");
    store.delete(key("a"));
    store.compact(3).expect("not compacted before");
    store.remove();
    let one_tombstone = held(&store);
    assert_eq!(one_tombstone.0, 1);
    store.put("b", "1");
    store.delete(key("b"));
    store.compact(5).expect("not compacted before");
    store.remove();
    assert_eq!(held(&store), one_tombstone, "b has taken the place of a");
    store.run(vec![nested(vec![put("c", "1")]), nested(vec![delete(key("c"))])]).expect("accepted");
    store.put("d", "1");
    store.compact(7).expect("not compacted before");
    store.remove();
    store.delete(key("d"));
    store.put("e", "1");
    store.delete(key("e"));
    store.compact(10).expect("not compacted before");
    store.remove();
    store.reopen();
    assert_eq!((held(&store), store.engine.revision()), (one_tombstone, 10));
    assert!(one_tombstone.1 > empty.1);
}

/// A compaction may be overtaken by the next one before it has removed anything (etcd's queue of compactions).
#[test]
fn a_compaction_may_begin_before_the_last_one_has_ended() {
    let mut store = Store::new();
    for round in 0..3 {
        for key in 0..600 {
            store.put(&format!("{key:03}"), &round.to_string());
        }
    }
    let whole = store.state(1801);
    store.compact(600).expect("not compacted before");
    assert!(store.step());
    store.compact(1200).expect("not compacted before");
    assert!(store.step());
    store.compact(1801).expect("not compacted before");
    at_every_moment(store.clone(), |store, stage| assert_eq!(store.state(0), whole, "{stage}"));
    store.remove();
    assert_eq!(store.engine.stats().revisions, 600);
}

/// What etcd's TestHashKVWhenCompacting asks of hashes, of reads: an answer is a cut through one revision, with
/// keys that have not been visited yet and keys that have.
#[test]
fn a_read_is_whole_while_history_is_removed() {
    let mut store = Store::new();
    for round in 0..3 {
        for key in 0..3000 {
            store.put(&format!("{key:04}"), &round.to_string());
        }
    }
    store.delete(from("2000"));
    let (at, later) = (7000, store.engine.revision());
    let (before_at, before_later) = (store.state(at), store.state(later));
    store.compact(at).expect("not compacted before");
    let mut steps = 0;
    while store.step() {
        steps += 1;
        assert!(store.state(at) == before_at, "at {at}, after {steps} steps");
        assert!(store.state(later) == before_later, "at {later}, after {steps} steps");
        let count = store.engine.range(&Range { count_only: true, revision: at, ..Range::default() });
        assert_eq!(count.expect("readable").count, 3000);
    }
    assert!(steps > 5, "{steps} steps are too few to be in the middle");
}

/// Two snapshots that see one life of a key, and a compaction at the end of another: what is between is forgotten.
#[test]
fn snapshots_may_lie_before_a_life_that_is_forgotten() {
    let mut store = Store::new();
    store.put("a", "1");
    store.delete(key("a"));
    store.put("a", "2");
    store.delete(key("a"));
    for revision in [2, 3] {
        assert_eq!(store.engine.snapshot(revision), Ok(revision));
    }
    store.compact(5).expect("not compacted before");
    store.remove();
    assert_eq!([2, 3, 5].map(|revision| store.state(revision)), ["a=1", "", ""]);
}
