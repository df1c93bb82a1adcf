//! Commits: many keys in one revision, and only if what was read for them is as it was.

use revkv::{Commit, KeyRange, LeaseId, Limits, Put, Request, Response};

use super::script::{Outcome, Store, from, key, span};

fn put<'a>(key: &'a str, value: &'a str) -> Put<'a> {
    Put { key: key.as_bytes(), value: value.as_bytes(), ..Put::default() }
}

/// Gives the revision.
fn commit(store: &mut Store, commit: Commit<'_>) -> Outcome<u64> {
    match store.apply(Request::Commit(commit))? {
        Response::Commit(response) => Ok(response.revision),
        other => unreachable!("a commit is answered by {other:?}"),
    }
}

fn puts<'a>(puts: Vec<Put<'a>>) -> Commit<'a> {
    Commit { puts, ..Commit::default() }
}

/// More than a transaction may have operations.
#[test]
fn any_number_of_keys_is_one_revision() {
    let mut store = Store::new();
    let keys: Vec<String> = (0..1_000).map(|number| format!("{number:04}")).collect();
    assert_eq!(commit(&mut store, puts(keys.iter().map(|key| put(key, "v")).collect())), Ok(2));
    assert_eq!((store.engine.stats().keys, store.engine.revision()), (1_000, 2));
    store.reopen();
    assert_eq!((store.engine.stats().keys, store.engine.revision()), (1_000, 2));
    assert_eq!(commit(&mut store, Commit::default()), Ok(2), "nothing to do is no revision");
    let nothing = Commit { deletes: vec![key("absent")], ..Commit::default() };
    assert_eq!(commit(&mut store, nothing), Ok(2), "nor is nothing to delete");
}

#[test]
fn deletes_come_before_puts() {
    let mut store = Store::new();
    commit(&mut store, puts(vec![put("a", "1"), put("b", "1"), put("c", "1")])).expect("puts");
    let both = Commit { deletes: vec![span("a", "c")], puts: vec![put("b", "2")], ..Commit::default() };
    assert_eq!(commit(&mut store, both), Ok(3));
    let b = store.engine.get(b"b", 0).expect("readable").expect("put again");
    assert_eq!((b.create_revision, b.version), (3, 1), "a new life");
    assert_eq!(store.engine.stats().keys, 2);
    store.engine.check();
}

/// What has changed after revision 3, of `a` put at 2, `b` at 3, then each row's write.
#[test]
fn a_change_of_what_was_read_is_a_conflict() {
    type Write = fn(&mut Store);
    let put_a: Write = |store| _ = store.put("a", "2");
    let put_c: Write = |store| _ = store.put("c", "1");
    let delete_a: Write = |store| _ = store.delete(key("a"));
    let come_and_go: Write = |store| {
        store.put("c", "1");
        store.delete(key("c"));
    };
    let rows: [(&str, Write, KeyRange<'_>, bool); 11] = [
        ("another value", put_a, key("a"), true),
        ("another key", put_a, key("b"), false),
        ("a value in the range", put_a, KeyRange::ALL, true),
        ("a value beside the range", put_a, from("b"), false),
        ("a key that was absent", put_c, key("c"), true),
        ("a phantom", put_c, from("b"), true),
        ("beyond the end", put_c, span("a", "c"), false),
        ("a deleted key", delete_a, key("a"), true),
        ("gone from the range", delete_a, span("a", "b"), true),
        ("come and gone", come_and_go, from("c"), true),
        ("a range that holds nothing", put_a, span("b", "a"), false),
    ];
    for (name, write, keys, conflict) in rows {
        for compacted in [false, true] {
            let mut store = Store::new();
            store.put("a", "1");
            store.put("b", "1");
            assert_eq!(store.engine.snapshot(0), Ok(3));
            write(&mut store);
            if compacted {
                store.put("0", "1"); // A delete at the compact revision itself is kept.
                store.compact(store.engine.revision()).expect("not compacted before");
                store.remove();
            }
            // What came and went, and is forgotten, is as it was.
            let expected = conflict && !(compacted && name == "come and gone");
            let now = store.engine.revision();
            let wanted = if expected { Err("CONFLICT") } else { Ok(now + 1) };
            let request = Commit { revision: 3, reads: vec![keys], puts: vec![put("x", "1")], ..Commit::default() };
            assert_eq!(commit(&mut store, request), wanted, "{name}, compacted: {compacted}");
        }
    }
}

/// A revision that can no more be read says nothing about what came since.
#[test]
fn what_was_read_at_a_forgotten_revision_cannot_be_known() {
    let mut store = Store::with_puts_of("a", 3);
    store.compact(4).expect("not compacted before");
    let reading = |revision| Commit { revision, reads: vec![key("b")], puts: vec![put("x", "1")], ..Commit::default() };
    assert_eq!(commit(&mut store, reading(3)), Err("COMPACTED"));
    assert_eq!(commit(&mut store, reading(5)), Err("FUTURE_REVISION"));
    assert_eq!(commit(&mut store, reading(4)), Ok(5));
}

#[test]
fn is_refused_whole() {
    let mut store = Store::with_limits(Limits { request_bytes_max: 20, commit_bytes_max: 200, ..Limits::default() });
    store.put("a", "1");
    let ten = "0123456789";
    let leased = Put { lease: LeaseId(5), ..put("c", "1") };
    let keeping = |key| Put { ignore_value: true, ..put(key, "") };
    let rows = [
        ("twice", puts(vec![put("b", "1"), put("c", "1"), put("b", "2")]), "DUPLICATE_KEY"),
        ("an empty key", puts(vec![put("b", "1"), put("", "1")]), "INVALID_KEY"),
        ("an empty key read", Commit { reads: vec![key("")], ..puts(vec![put("b", "1")]) }, "INVALID_KEY"),
        ("an empty key deleted", Commit { deletes: vec![key("")], ..puts(vec![put("b", "1")]) }, "INVALID_KEY"),
        ("no lease", puts(vec![put("b", "1"), leased]), "LEASE_NOT_FOUND"),
        ("nothing to keep", puts(vec![put("b", "1"), keeping("c")]), "KEY_NOT_FOUND"),
        ("kept and deleted", Commit { deletes: vec![key("a")], ..puts(vec![keeping("a")]) }, "KEY_NOT_FOUND"),
        ("a large put", puts(vec![put("b", ten), put("c", "01234567890123456789")]), "TOO_LARGE"),
        ("many puts", puts(["b", "c", "d", "e", "f"].map(|key| put(key, ten)).to_vec()), "TOO_LARGE"),
        ("many reads", Commit { reads: vec![key("b"); 7], ..Commit::default() }, "TOO_LARGE"),
    ];
    for (name, request, expected) in rows {
        assert_eq!(commit(&mut store, request), Err(expected), "{name}");
        assert_eq!(store.state(0), "a=1", "{name}");
    }
    assert_eq!(commit(&mut store, puts(["b", "c", "d", "e"].map(|key| put(key, ten)).to_vec())), Ok(3));
}
