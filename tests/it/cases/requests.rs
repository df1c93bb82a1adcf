//! Requests of other tabs, each applied at most once, whoever leads.

use revkv::{Came, LeaseId, Once, Put, PutResponse, Request, Response};

use super::pair::Pair;
use super::script::{Store, code, compare_with_reopened};

fn put<'a>(key: &'a str, value: &'a str) -> Request<'a> {
    Request::Put(Put { key: key.as_bytes(), value: value.as_bytes(), ..Put::default() })
}

fn once(store: &mut Store, client: u64, number: u64, request: Request<'_>) -> String {
    let outcome = store.engine.apply_once(client, number, request, store.now_ms);
    store.engine.check();
    match outcome {
        Ok(Once::Now(_)) => format!("now {}", store.engine.revision()),
        Ok(Once::Before { revision, .. }) => format!("before {revision}"),
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

/// As a response is answered, and kept.
fn answered(response: &Response) -> Vec<u8> {
    let Response::Put(PutResponse { revision, prev_kv: None }) = response else { unreachable!("{response:?}") };
    [&0_u32.to_le_bytes()[..], &revision.to_le_bytes(), &[0]].concat()
}

/// The next leader answers what the one before would have, unless that was long.
#[test]
fn a_short_answer_is_kept_with_its_request() {
    let mut store = Store::new();
    let values = ["", "short", &"long ".repeat(20)];
    let mut first = Vec::new();
    for (number, value) in (1..).zip(values) {
        let Request::Put(put) = put("a", value) else { unreachable!("a put") };
        let request = Request::Put(Put { prev_kv: number > 1, ..put });
        first.push(store.engine.apply_once(7, number, request, 0));
    }
    let long = store.engine.apply_once(7, 4, Request::Put(Put { key: b"a", prev_kv: true, ..Put::default() }), 0);
    assert!(matches!(long, Ok(Once::Now(_))), "{long:?}");
    store.flush();
    let Ok(Once::Now(response)) = &first[0] else { unreachable!("{first:?}") };
    let [again, _, third, fourth] = [1, 2, 3, 4].map(|number| {
        let before = store.engine.apply_once(7, number, put("a", "again"), 0);
        store.reopen();
        let reopened = store.engine.apply_once(7, number, put("a", "again"), 0);
        assert_eq!(before, reopened, "{number}");
        reopened
    });
    assert_eq!(again, Ok(Once::Before { revision: 2, response: Some(answered(response)) }));
    let is_of_short = |response: &Vec<u8>| response.ends_with(b"\x05\0\0\0\0\0\0\0short");
    assert!(
        matches!(&third, Ok(Once::Before { revision: 4, response: Some(response) }) if is_of_short(response)),
        "{third:?}"
    );
    assert_eq!(fourth, Ok(Once::Before { revision: 5, response: None }));
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

#[test]
fn a_follower_hears_of_what_is_stored() {
    let mut pair = Pair::new();
    assert!(pair.follower.is_in_sync());
    assert_eq!(pair.replica.hash(0), pair.store.engine.hash(0));
    let number = pair.submit("b", "1");
    assert_eq!((pair.replica.revision(), pair.store.engine.revision(), pair.follower.take_done()), (3, 4, vec![]));
    pair.stored();
    let done = pair.follower.take_done();
    assert!(matches!(&done[..], [(done, Came::Applied(_))] if *done == number), "{done:?}");
    assert_eq!((pair.replica.revision(), pair.follower.is_in_sync()), (4, true));
    // What cannot be read is refused, and asks for nothing more.
    let (_, outgoing) = pair.follower.submit(&pair.replica, b"no request").expect("there is room");
    pair.carry(outgoing);
    let done = pair.follower.take_done();
    assert!(matches!(&done[..], [(_, Came::Refused(code, _))] if code == "INVALID_ARGUMENT"), "{done:?}");
}

/// What was written, that it is here, and nothing more: two messages for each commit.
#[test]
fn a_commit_is_told_once() {
    let mut pair = Pair::new();
    let before = pair.carried;
    for value in 0..10 {
        pair.store.put("b", &value.to_string());
        pair.stored();
    }
    assert_eq!(pair.carried - before, 20);
    assert_eq!((pair.replica.revision(), pair.follower.is_in_sync()), (13, true));
    // Leases change without a revision, and are told when the time has come.
    pair.store.grant(5, 60).expect("granted");
    pair.stored();
    let told = pair.leader.tick(&mut pair.store.engine, 10_000);
    pair.carry(told);
    assert_eq!(pair.replica.leases(), [LeaseId(5)]);
}

/// A lease makes no revision, nor does a compaction; they are written all the same, and answered when they are stored.
#[test]
fn what_makes_no_revision_is_answered_when_it_is_stored() {
    let mut pair = Pair::new();
    let u64s = |kind: u32, numbers: &[u64]| {
        let numbers = numbers.iter().flat_map(|number| number.to_le_bytes());
        kind.to_le_bytes().into_iter().chain(numbers).collect::<Vec<u8>>()
    };
    for (name, request) in [("a grant", u64s(4, &[7, 60])), ("a compaction", u64s(3, &[3]))] {
        let (_, outgoing) = pair.follower.submit(&pair.replica, &request).expect("there is room");
        pair.carry(outgoing);
        assert_eq!(pair.follower.take_done(), [], "{name}");
        pair.stored();
        let done = pair.follower.take_done();
        assert!(matches!(&done[..], [(_, Came::Applied(_))]), "{name}: {done:?}");
    }
    assert_eq!((pair.replica.leases(), pair.replica.compact_revision()), (vec![LeaseId(7)], 3));
}

/// The medium is full: what it refused is taken back, and so is the answer.
#[test]
fn a_follower_hears_of_what_was_taken_back() {
    let mut pair = Pair::new();
    let number = pair.submit("b", "refused");
    drop(pair.store.engine.take_ready().expect("a put"));
    let found = super::script::recover(&pair.store.blobs, 64 << 10).expect("what was written");
    pair.store.engine.rewind(found).expect("nobody else has written");
    pair.leader.taken_back(&pair.store.engine);
    pair.stored();
    let done = pair.follower.take_done();
    assert!(
        matches!(&done[..], [(done, Came::Refused(code, _))] if *done == number && code == "QUOTA_EXCEEDED"),
        "{done:?}"
    );
    let number = pair.submit("b", "accepted");
    pair.stored();
    let done = pair.follower.take_done();
    assert!(matches!(&done[..], [(done, Came::Applied(_))] if *done == number), "{done:?}");
    assert_eq!(pair.replica.hash(0), pair.store.engine.hash(0));
    assert_eq!(pair.store.state(0), "a=2 b=accepted");
}

/// It was applied each time it came.
#[test]
fn a_number_that_cannot_be_noted_is_refused() {
    let mut store = Store::new();
    for _ in 0..2 {
        assert_eq!(code(store.engine.apply_once(7, u64::MAX, put("a", "1"), 0)), "INVALID_ARGUMENT");
        assert_eq!(store.engine.revision(), 1);
    }
    assert_eq!(code(store.engine.apply_once(7, 1 << 53, put("a", "1"), 0)), "ok");
    assert!(matches!(store.engine.apply_once(7, 1 << 53, put("a", "1"), 0), Ok(Once::Before { revision: 2, .. })));
    compare_with_reopened(&store);
}
