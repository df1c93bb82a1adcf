//! Requests of other tabs, each applied at most once, whoever leads.

use revkv::{LeaseId, Once, Put, Request};

use super::script::{Store, code, compare_with_reopened};

fn put<'a>(key: &'a str, value: &'a str) -> Request<'a> {
    Request::Put(Put { key: key.as_bytes(), value: value.as_bytes(), ..Put::default() })
}

fn once(store: &mut Store, client: u64, number: u64, request: Request<'_>) -> String {
    let outcome = store.engine.apply_once(client, number, request, store.now_ms);
    store.engine.check();
    match outcome {
        Ok(Once::Now(_)) => format!("now {}", store.engine.revision()),
        Ok(Once::Before { revision }) => format!("before {revision}"),
        Ok(other) => format!("{other:?}"),
        Err(error) => error.code().to_owned(),
    }
}

/// That a request was applied is stored with what it wrote: no crash comes between.
#[test]
fn no_crash_comes_between_a_request_and_its_number() {
    let mut store = Store::new();
    assert_eq!(once(&mut store, 7, 1, put("a", "1")), "now 2");
    assert_eq!(once(&mut store, 7, 1, put("a", "1")), "before 2");
    store.flush();
    assert_eq!(once(&mut store, 7, 2, put("a", "2")), "now 3");
    store.crash();
    assert_eq!((store.engine.last_request(7), store.state(0).as_str()), (1, "a=1"), "neither of the second is stored");
    assert_eq!(once(&mut store, 7, 1, put("a", "1")), "before 2");
    assert_eq!(once(&mut store, 7, 2, put("a", "2")), "now 3");
    store.reopen();
    assert_eq!(once(&mut store, 7, 2, put("a", "2")), "before 3");
    assert_eq!(once(&mut store, 8, 2, put("b", "1")), "now 4", "another client has its own numbers");
    compare_with_reopened(&store);
}

/// A refusal is not stored; that a later request was applied says that there was one.
#[test]
fn what_was_refused_is_not_applied_later() {
    let mut store = Store::new();
    let leased = Request::Put(Put { key: b"a", lease: LeaseId(5), ..Put::default() });
    assert_eq!(once(&mut store, 7, 1, leased.clone()), "LEASE_NOT_FOUND");
    assert_eq!(once(&mut store, 7, 2, put("b", "1")), "now 2");
    store.grant(5, 60).expect("granted");
    store.reopen();
    assert_eq!(once(&mut store, 7, 1, leased), "Refused");
    assert_eq!(store.state(0), "b=1");
}

#[test]
fn numbers_are_kept_when_notes_are_written_anew_and_end_with_the_content() {
    let mut store = Store::new();
    for number in 1..=200 {
        once(&mut store, 7, number, put("a", &number.to_string()));
        store.flush();
    }
    // More notes than are written one after the other for ever.
    for client in 100..500 {
        once(&mut store, client, 1, put("b", "1"));
        store.flush();
    }
    once(&mut store, 7, 201, put("a", "201"));
    store.settle();
    store.reopen();
    let outcomes = [201, 200, 138, 137].map(|number| once(&mut store, 7, number, put("a", "again")));
    assert_eq!(outcomes[0], "before 602");
    assert_eq!(store.engine.revision(), 602, "{outcomes:?}");
    let backup = store.engine.backup(0, true).expect("now");
    assert_eq!(code(store.engine.restore(&backup, [9; 16])), "ok");
    assert_eq!(once(&mut store, 7, 201, put("a", "of another life")), "now 603");
}
