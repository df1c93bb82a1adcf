//! What takes a revision, what does not, and the numbers that a key carries.

use revkv::{KeyRange, OpResponse, Range, Request, Txn};

use super::script::{Store, code, delete, from, key, nested, put, read, span};

#[test]
fn a_fresh_store_is_at_revision_1_and_the_first_write_at_2() {
    let mut store = Store::new();
    assert_eq!((store.engine.revision(), store.engine.compact_revision()), (1, 0));
    assert_eq!((store.readable(1), store.state(1)), ("ok", String::new()));
    assert_eq!(store.put("a", "1"), 2);
}

/// etcd's TestKVPutMultipleTimes: the i-th put of a key, from a fresh store.
#[test]
fn every_put_counts_the_same_value_too() {
    let mut store = Store::new();
    let watch = store.watch(key("a"), 0);
    for i in 0..10 {
        assert_eq!(store.put("a", "same"), i + 2);
        assert_eq!(store.life("a", 0), Some((2, i + 2, i + 1)));
    }
    assert_eq!(store.take(watch).len(), 10);
}

#[test]
fn a_delete_ends_the_life_and_the_next_put_begins_another() {
    let mut store = Store::new();
    let lives = [
        (store.put("a", "1"), store.life("a", 0)),
        (store.put("a", "2"), store.life("a", 0)),
        (store.delete(key("a")).1, store.life("a", 0)),
        (store.put("a", "3"), store.life("a", 0)),
    ];
    let expected = [(2, Some((2, 2, 1))), (3, Some((2, 3, 2))), (4, None), (5, Some((5, 5, 1)))];
    assert_eq!(lives, expected);
    for (revision, life) in expected {
        assert_eq!(store.life("a", revision), life, "read back at {revision}");
    }
}

/// A transaction counts once, however many changes it makes; what changes nothing does not count (TestV3TxnRevision).
#[test]
fn only_a_change_takes_a_revision() {
    let mut store = Store::new();
    store.grant(7, 60).expect("granted");
    let read_only = || vec![read(KeyRange::ALL, 0), nested(vec![read(key("a"), 0)])];
    assert_eq!(store.engine.revision(), 1, "a grant");
    assert_eq!(store.run(vec![put("a", "1"), put("b", "1"), put("c", "1")]), Ok(2));
    assert_eq!(store.run(vec![]), Ok(2));
    assert_eq!(store.run(read_only()), Ok(2));
    assert_eq!(store.run(vec![delete(key("none")), delete(span("x", "y"))]), Ok(2));
    assert_eq!(store.run(vec![put("a", "1"), put("a", "2")]), Err("DUPLICATE_KEY"));
    assert_eq!(store.keep_alive(7), Ok(60));
    assert_eq!(store.compact(2), Ok(2));
    assert_eq!(store.revoke(7), Ok(2), "no key was attached");
    assert_eq!(store.put("d", "1"), 3);
}

/// etcd's TestKVDeleteMultipleTimes: a store that counts the call and not the change drifts from its replicas.
#[test]
fn deleting_nothing_ten_times_leaves_no_trace() {
    let mut store = Store::new();
    store.put("foo", "bar");
    assert_eq!(store.delete(key("foo")), (1, 3));
    let watch = store.watch(KeyRange::ALL, 0);
    for _ in 0..10 {
        assert_eq!(store.delete(key("foo")), (0, 3));
    }
    assert_eq!(store.take(watch), [""; 0]);
    store.flush();
    store.delete(key("foo"));
    assert_eq!(store.engine.take_ready(), None, "nothing to write");
}

/// etcd-io/etcd#14490: each operation answers the revision as it is right after it, so a delete that found nothing
/// answers a lower one than the transaction that it is part of.
#[test]
fn an_operation_answers_the_revision_of_its_own_moment() {
    let mut store = Store::new();
    let success = vec![
        delete(key("none")),
        read(key("b"), 0),
        put("b", "1"),
        delete(key("none")),
        nested(vec![read(key("b"), 0)]),
    ];
    let answer = store.txn(Txn { success, ..Txn::default() }).expect("a transaction");
    let revisions = answer.responses.iter().map(|response| match response {
        OpResponse::Put(put) => put.revision,
        OpResponse::DeleteRange(delete) => delete.revision,
        OpResponse::Range(range) => range.revision,
        OpResponse::Txn(txn) => txn.revision,
    });
    assert_eq!((revisions.collect::<Vec<_>>(), answer.revision), (vec![1, 1, 2, 2, 2], 2));
}

/// etcd accepts a nested put before a sibling's nested delete of the same key: both happen, in one revision. A store
/// that keeps one change for each key and revision would lose the put, which watchers must see.
#[test]
fn a_key_put_and_deleted_in_one_revision_leaves_two_events_and_no_key() {
    let mut store = Store::new();
    let watch = store.watch(key("a"), 0);
    assert_eq!(store.run(vec![nested(vec![put("a", "1")]), nested(vec![delete(key("a"))])]), Ok(2));
    assert_eq!(store.state(0), "");
    assert_eq!(store.take(watch), ["2 PUT a=1, DELETE a"]);
    let late = store.watch(key("a"), 2);
    assert_eq!(store.take(late), ["2 PUT a=1, DELETE a"]);
}

#[test]
fn a_key_deleted_and_put_in_one_revision_begins_a_life_there() {
    let mut store = Store::new();
    store.put("a", "old");
    assert_eq!(store.run(vec![delete(from("a")), put("a", "new")]), Ok(3));
    assert_eq!((store.life("a", 0), store.state(0)), (Some((3, 3, 1)), "a=new".to_owned()));
    assert_eq!((store.life("a", 2), store.state(2)), (Some((2, 2, 1)), "a=old".to_owned()));
    let watch = store.watch(key("a"), 3);
    assert_eq!(store.take(watch), ["3 DELETE a, PUT a=new"]);
}

/// The changes of one transaction share its revision, and a put counts puts of its life: put, delete and put again of a
/// key end at version 1.
#[test]
fn a_key_changed_three_times_in_one_revision_is_as_the_last_change_left_it() {
    let mut store = Store::new();
    let watch = store.watch(key("a"), 0);
    let txn = vec![nested(vec![put("a", "1")]), delete(from("a")), nested(vec![delete(key("b"))])];
    assert_eq!(store.run(txn), Ok(2));
    assert_eq!(store.run(vec![nested(vec![put("a", "2")]), nested(vec![delete(key("a"))]), delete(from("a"))]), Ok(3));
    assert_eq!(store.run(vec![put("b", "1"), nested(vec![put("a", "3")])]), Ok(4));
    let again = vec![nested(vec![delete(from("a")), put("a", "4")]), nested(vec![delete(key("a"))])];
    assert_eq!(store.run(again), Ok(5));
    let expected = ["2 PUT a=1, DELETE a", "3 PUT a=2, DELETE a", "4 PUT a=3", "5 DELETE a, PUT a=4, DELETE a"];
    assert_eq!(store.take(watch), expected);
    assert_eq!((store.life("a", 4), store.life("a", 5), store.state(0)), (Some((4, 4, 1)), None, String::new()));
    store.reopen();
    assert_eq!((store.life("a", 4), store.life("a", 5), store.state(0)), (Some((4, 4, 1)), None, String::new()));
}

/// etcd's TestKeyIndexGet and TestKVOperationInSequence: between a delete and the next put the key is neither read nor
/// counted.
#[test]
fn a_key_is_absent_between_its_lives() {
    let mut store = Store::new();
    store.put("a", "1");
    store.put("b", "1");
    store.delete(key("a"));
    store.put("b", "2");
    store.put("a", "2");
    let at = |revision| {
        let response = store.engine.range(&Range { revision, ..Range::default() }).expect("readable");
        (response.count, store.state(revision), response.revision)
    };
    let rows = [(3, 2, "a=1 b=1"), (4, 1, "b=1"), (5, 1, "b=2"), (6, 2, "a=2 b=2")];
    for (revision, count, state) in rows {
        assert_eq!(at(revision), (count, state.to_owned(), 6), "at {revision}, answered with the store's revision");
    }
}

/// etcd's TestConcurrentReadNotBlockingWrite: a reader that began before a write goes on seeing what it saw.
#[test]
fn a_snapshot_does_not_see_what_is_written_after_it() {
    let mut store = Store::new();
    store.put("foo", "bar");
    let snapshot = store.engine.snapshot(0).expect("now");
    store.put("foo", "baz");
    store.delete(key("foo"));
    store.compact(4).expect("not compacted before");
    store.remove();
    assert_eq!((store.state(snapshot), store.state(0)), ("foo=bar".to_owned(), String::new()));
    assert_eq!(store.readable(3), "COMPACTED");
    assert!(store.engine.release_snapshot(snapshot));
    assert_eq!(store.readable(snapshot), "COMPACTED");
}

/// etcd's TestKVTxnWrongID in the shape it has here: an id that names nothing is refused, and what is there stays usable.
#[test]
fn an_id_that_names_nothing_disturbs_nothing() {
    let mut store = Store::new();
    store.grant(7, 60).expect("granted");
    let watch = store.watch(key("a"), 0);
    let snapshot = store.engine.snapshot(0).expect("now");
    let wrong = revkv::WatcherId(watch.0 + 1);
    store.put("a", "1");
    assert_eq!(code(store.engine.take_events(wrong, 0, 1)), "INVALID_ARGUMENT");
    assert!(!store.engine.cancel_watch(wrong) && !store.engine.release_snapshot(snapshot + 1));
    assert_eq!((store.revoke(8), store.keep_alive(8)), (Err("LEASE_NOT_FOUND"), Err("LEASE_NOT_FOUND")));
    assert_eq!((store.take(watch), store.keep_alive(7)), (vec!["2 PUT a=1".to_owned()], Ok(60)));
    assert_eq!((store.state(snapshot), store.engine.stats().leases), (String::new(), 1));
}

/// etcd's TestKVRestore reads everything back after a restart; here the numbers are also those that no retained put of
/// the key would give.
#[test]
fn numbers_of_a_life_survive_the_loss_of_its_first_puts() {
    let mut store = Store::with_puts_of("a", 5);
    store.put("b", "1");
    store.compact(6).expect("not compacted before");
    for stage in ["compacted", "removed", "reopened"] {
        assert_eq!(store.life("a", 0), Some((2, 6, 5)), "{stage}");
        match stage {
            "compacted" => store.remove(),
            _ => store.reopen(),
        }
    }
    store.put("a", "6");
    assert_eq!(store.life("a", 0), Some((2, 8, 6)));
    let restored = store.apply(Request::RestoreTo { keys: key("a"), revision: 7 });
    assert!(restored.is_ok());
    assert_eq!((store.life("a", 0), store.state(0)), (Some((2, 9, 7)), "a=5 b=1".to_owned()));
}
