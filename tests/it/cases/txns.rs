//! Transactions: what is judged, when, on which state, and what a refused one leaves behind (nothing).

use revkv::CompareResult::{Equal, Greater, Less, NotEqual};
use revkv::CompareTarget::{CreateRevision, Lease, ModRevision, Value, Version};
use revkv::{
    Compare, CompareResult, CompareTarget, DeleteRange, KeyRange, LeaseId, Op, OpResponse, Put, Request, Response, Txn,
};

use super::script::{Store, compare, delete, from, key, nested, put, put_leased, read, shown, span};

fn one<'a>(keys: KeyRange<'a>, target: CompareTarget<'a>, result: CompareResult) -> Vec<Compare<'a>> {
    vec![compare(keys, target, result)]
}

/// etcd's TestV3TxnRangeCompare and applyCompare. An absent key has zeros for numbers, so that "create revision = 0"
/// means "not there"; its value compares as false with everything, "not equal" included.
#[test]
fn an_absent_key_has_zeros_and_no_value() {
    let mut store = Store::new();
    let numbers = [Version(0), CreateRevision(0), ModRevision(0), Lease(LeaseId(0))];
    let ones = [Version(1), CreateRevision(1), ModRevision(1), Lease(LeaseId(1))];
    let rows = [(Equal, true, false), (NotEqual, false, true), (Greater, false, false), (Less, false, true)];
    for keys in [key("absent"), span("x", "y"), span("y", "x"), from("absent"), KeyRange::ALL] {
        for (result, with_zero, with_one) in rows {
            for (zero, one_) in numbers.into_iter().zip(ones) {
                assert_eq!(store.holds(one(keys, zero, result)), with_zero, "{keys:?} {result:?} {zero:?}");
                assert_eq!(store.holds(one(keys, one_, result)), with_one, "{keys:?} {result:?} {one_:?}");
            }
            for given in [&b""[..], b"x"] {
                assert!(!store.holds(one(keys, Value(given), result)), "{keys:?} {result:?} {given:?}");
            }
        }
        assert!(!store.holds(one(keys, Lease(LeaseId(0)), Greater)), "{keys:?}");
        assert!(store.holds(one(keys, Lease(LeaseId(-1)), Greater)), "lease ids are signed");
    }
}

/// The stored side stands left of the operator.
#[test]
fn a_present_key_compares_stored_with_given() {
    let mut store = Store::new();
    store.grant(7, 60).expect("granted");
    store.put("a", "l");
    store.put("a", "l");
    store.put_leased("a", "m", 7).expect("granted"); // created 2, changed 4, version 3
    let targets = [
        [Version(2), Version(3), Version(4)],
        [CreateRevision(1), CreateRevision(2), CreateRevision(3)],
        [ModRevision(3), ModRevision(4), ModRevision(5)],
        [Value(b"ll"), Value(b"m"), Value(b"m\0")],
        [Lease(LeaseId(-8)), Lease(LeaseId(7)), Lease(LeaseId(8))],
    ];
    let rows = [
        (Equal, [false, true, false]),
        (NotEqual, [true, false, true]),
        (Greater, [true, false, false]),
        (Less, [false, false, true]),
    ];
    for target in targets {
        for (result, expected) in rows {
            let got = target.map(|given| store.holds(one(key("a"), given, result)));
            assert_eq!(got, expected, "{result:?} {target:?}");
        }
    }
}

/// etcd's TestV3TxnRangeCompare: a compare of a range holds when every key of it fulfils it.
#[test]
fn a_range_compares_each_of_its_keys() {
    let mut store = Store::new();
    for key in ["/a/2", "/a/3", "/a/4", "/f/5"] {
        store.put(key, "v");
    }
    let prefix = span("/a/", "/a0");
    let rows = [
        (from("/a/"), CreateRevision(6), Less, true),
        (from("/a/"), CreateRevision(5), Less, false),
        (prefix, CreateRevision(5), Less, true),
        (prefix, CreateRevision(4), Less, false),
        (prefix, ModRevision(1), Greater, true),
        (prefix, Version(1), Equal, true),
        (prefix, Value(b"v"), Equal, true),
        (prefix, Value(b"v"), NotEqual, false),
        (span("/b/", "/b0"), Value(b"v"), Equal, false),
        (span("/b/", "/b0"), Value(b"v"), NotEqual, false),
        (span("/b/", "/b0"), Lease(LeaseId(0)), Greater, false),
        (span("/b/", "/b0"), Lease(LeaseId(0)), Equal, true),
    ];
    for (keys, target, result, expected) in rows {
        assert_eq!(store.holds(one(keys, target, result)), expected, "{keys:?} {result:?} {target:?}");
    }
    assert_eq!(store.engine.revision(), 5, "a transaction of compares alone changes nothing");
}

/// All compares must hold, and the list taken answers once for each of its operations.
#[test]
fn the_list_taken_is_the_one_that_answers() {
    let mut store = Store::new();
    store.put("a", "1");
    let guarded = |version| Txn {
        compare: vec![compare(key("a"), Version(version), Equal), compare(key("b"), Version(0), Equal)],
        success: vec![put("b", "then"), read(key("b"), 0)],
        failure: vec![read(KeyRange::ALL, 0)],
    };
    let answer = store.txn(guarded(2)).expect("accepted");
    assert_eq!((answer.succeeded, answer.revision, answer.responses.len()), (false, 2, 1));
    let answer = store.txn(guarded(1)).expect("accepted");
    assert_eq!((answer.succeeded, answer.revision, answer.responses.len()), (true, 3, 2));
    let OpResponse::Range(range) = &answer.responses[1] else { panic!("the second operation reads") };
    assert_eq!((shown(&range.kvs).as_str(), range.revision), ("b=then", 3));
    let answer = store.txn(Txn::default()).expect("an empty transaction");
    assert_eq!((answer.succeeded, answer.revision, answer.responses), (true, 3, vec![]));
}

/// etcd's TestV3TxnNestedPath: compares of nested transactions see the state before the whole transaction. Judged while
/// applying, the nested one here would see its parent's put.
#[test]
fn nested_compares_do_not_see_what_their_parent_did() {
    let mut store = Store::new();
    let inner = Txn {
        compare: one(key("k"), Version(1), Equal),
        success: vec![put("seen", "after")],
        failure: vec![put("seen", "before")],
    };
    let answer = store.txn(Txn { success: vec![put("k", ""), Op::Txn(inner)], ..Txn::default() }).expect("accepted");
    let OpResponse::Txn(nested) = &answer.responses[1] else { panic!("the second operation is nested") };
    assert!(!nested.succeeded);
    assert_eq!(store.state(0), "k= seen=before");
}

/// etcd's TestKVTxnOperationInSequence: each operation sees the ones before it; a read at the revision before the
/// transaction sees none of them.
#[test]
fn operations_see_those_before_them() {
    let mut store = Store::new();
    store.put("a", "1");
    let ops = vec![
        read(KeyRange::ALL, 0),
        put("b", "1"),
        read(KeyRange::ALL, 0),
        delete(key("a")),
        read(KeyRange::ALL, 0),
        read(KeyRange::ALL, 2),
        nested(vec![put("c", "1"), read(KeyRange::ALL, 0)]),
    ];
    let answer = store.txn(Txn { success: ops, ..Txn::default() }).expect("accepted");
    let mut reads = Vec::new();
    for response in &answer.responses {
        match response {
            OpResponse::Range(range) => reads.push((range.revision, shown(&range.kvs))),
            OpResponse::Txn(txn) => {
                let OpResponse::Range(range) = &txn.responses[1] else { panic!("it reads second") };
                reads.push((range.revision, shown(&range.kvs)));
            }
            _ => {}
        }
    }
    let reads: Vec<(u64, &str)> = reads.iter().map(|(revision, state)| (*revision, state.as_str())).collect();
    assert_eq!(reads, [(2, "a=1"), (3, "a=1 b=1"), (3, "b=1"), (3, "a=1"), (3, "b=1 c=1")]);
}

/// etcd's TestV3TxnInvalidRange: the revision of a read is checked before the first change, against the state before the
/// transaction, whatever the transaction would make of it. (Replicas of etcd before 3.7 could judge differently, #18667.)
#[test]
fn a_read_that_cannot_be_answered_refuses_the_whole_transaction() {
    let mut store = Store::with_puts_of("k", 3);
    store.compact(3).expect("not compacted before");
    let watch = store.watch(KeyRange::ALL, 0);
    let rows = [
        (100, "FUTURE_REVISION"),
        (5, "FUTURE_REVISION"), // which the put before it would make
        (2, "COMPACTED"),
        (1, "COMPACTED"),
    ];
    for (revision, expected) in rows {
        assert_eq!(store.run(vec![put("a", "1"), read(key("a"), revision)]), Err(expected), "at {revision}");
        let deep = vec![put("a", "1"), nested(vec![nested(vec![read(key("a"), revision)])])];
        assert_eq!(store.run(deep), Err(expected), "nested, at {revision}");
    }
    assert_eq!((store.state(0), store.take(watch)), ("k=3".to_owned(), vec![]));
    for revision in [0, 3, 4] {
        assert!(store.run(vec![put("a", "1"), read(key("a"), revision)]).is_ok(), "at {revision}");
    }
}

/// etcd's TestV3PutMissingLease: a put that names a lease that is not there refuses the whole transaction.
#[test]
fn a_missing_lease_refuses_the_whole_transaction() {
    let mut store = Store::new();
    let watch = store.watch(KeyRange::ALL, 0);
    assert_eq!(store.put_leased("y", "", 123), Err("LEASE_NOT_FOUND"));
    assert_eq!(store.run(vec![put("x", ""), put_leased("y", 123)]), Err("LEASE_NOT_FOUND"));
    assert_eq!(store.run(vec![put("x", ""), nested(vec![put_leased("y", 123)])]), Err("LEASE_NOT_FOUND"));
    assert_eq!((store.engine.revision(), store.state(0), store.take(watch)), (1, String::new(), vec![]));
}

/// etcd's TestCheckTxn: what is wrong only on the path not taken is no failure; a wrong shape is one anywhere.
#[test]
fn the_path_not_taken_is_judged_by_its_shape_alone() {
    let mut store = Store::new();
    store.put("a", "1");
    let kept = Put { key: b"none", ignore_value: true, ..Put::default() };
    let fine = [put_leased("x", 123), Op::Put(kept), read(key("a"), 100)];
    for op in fine {
        let taken = Txn { success: vec![put("b", "1")], failure: vec![op.clone()], ..Txn::default() };
        assert!(store.txn(taken).is_ok(), "{op:?}");
        let nested = Op::Txn(Txn { success: vec![], failure: vec![op.clone()], ..Txn::default() });
        assert!(store.run(vec![put("c", "1"), nested]).is_ok(), "nested {op:?}");
        assert!(store.run(vec![op]).is_err());
    }
    let with_value = Put { key: b"a", value: b"v", ignore_value: true, ..Put::default() };
    let with_lease = Put { key: b"a", lease: LeaseId(1), ignore_lease: true, ..Put::default() };
    let wrong = [
        (vec![put("", "")], "INVALID_KEY"),
        (vec![read(key(""), 0)], "INVALID_KEY"),
        (vec![delete(key(""))], "INVALID_KEY"),
        (vec![Op::Put(with_value)], "VALUE_PROVIDED"),
        (vec![Op::Put(with_lease)], "LEASE_PROVIDED"),
        (vec![put("a", "1"), put("a", "2")], "DUPLICATE_KEY"),
        (vec![read(key("a"), 0); 129], "TOO_MANY_OPERATIONS"),
    ];
    for (failure, expected) in wrong {
        let txn = Txn { success: vec![put("b", "2")], failure, ..Txn::default() };
        assert_eq!(store.txn(txn), Err(expected));
    }
    let unnamed = Txn { compare: one(key(""), Version(0), Equal), ..Txn::default() };
    assert_eq!(store.txn(unnamed), Err("INVALID_KEY"));
}

/// The order of judgement is the answer where more than one thing is wrong: shape, then compares, then the state.
#[test]
fn the_first_thing_wrong_is_the_one_that_is_named() {
    let mut store = Store::new();
    let missing = || put_leased("x", 123);
    assert_eq!(store.run(vec![missing(), put("a", ""), put("a", "")]), Err("DUPLICATE_KEY"));
    assert_eq!(store.run(vec![read(key("a"), 100), missing()]), Err("LEASE_NOT_FOUND"));
    assert_eq!(store.run(vec![missing(), put("", "")]), Err("INVALID_KEY"));
    let twice = [vec![put("a", ""); 2], vec![put("b", ""); 127]].concat();
    assert_eq!(store.run(twice), Err("TOO_MANY_OPERATIONS"));
}

/// etcd's TestV3TxnTooManyOps. Nesting spends the budget by levels, not in total: 64 transactions of 64 puts pass.
#[test]
fn the_longest_list_of_each_level_counts() {
    let names: Vec<String> = (0..64 * 65).map(|name| format!("{name:04}")).collect();
    let puts = |range: std::ops::Range<usize>| names[range].iter().map(|key| put(key, "")).collect::<Vec<_>>();
    let mut store = Store::new();
    let deep = |depth| (0..depth).fold(vec![put("a", "")], |ops, _| vec![nested(ops)]);
    let rows = [
        ("128 puts", puts(0..128), "ok"),
        ("129 puts", puts(0..129), "TOO_MANY_OPERATIONS"),
        ("129 nested", (0..129).map(|at| nested(puts(at..at + 1))).collect(), "TOO_MANY_OPERATIONS"),
        ("127 nested of 1", (0..127).map(|at| nested(puts(at..at + 1))).collect(), "ok"),
        ("128 nested of 1", (0..128).map(|at| nested(puts(at..at + 1))).collect(), "TOO_MANY_OPERATIONS"),
        ("64 nested of 64", (0..64).map(|at| nested(puts(at * 64..at * 64 + 64))).collect(), "ok"),
        ("64 nested of 65", (0..64).map(|at| nested(puts(at * 65..at * 65 + 65))).collect(), "TOO_MANY_OPERATIONS"),
        ("128 levels", deep(127), "ok"),
        ("129 levels", deep(128), "TOO_MANY_OPERATIONS"),
    ];
    for (name, ops, expected) in rows {
        let result = store.run(ops);
        assert_eq!(result.map_or_else(|code| code, |_| "ok"), expected, "{name}");
    }
    let compares = |count| Txn { compare: vec![compare(key("a"), Version(0), Equal); count], ..Txn::default() };
    assert!(store.txn(compares(128)).is_ok());
    assert_eq!(store.txn(compares(129)), Err("TOO_MANY_OPERATIONS"));
}

/// etcd's checkIntervals, and its two holes: a sibling's delete after a sibling's put passes, the other way round does
/// not; a delete "from key on" meets no put at all (#22376). What passes is applied in order.
#[test]
fn a_transaction_that_slips_through_etcds_check_is_applied_in_order() {
    let mut store = Store::new();
    store.put("a", "old");
    let deletes = || nested(vec![delete(key("a"))]);
    let puts = || nested(vec![put("a", "new")]);
    assert_eq!(store.run(vec![deletes(), puts()]), Err("DUPLICATE_KEY"));
    assert_eq!(store.state(0), "a=old");
    assert_eq!(store.run(vec![puts(), deletes()]), Ok(3));
    assert_eq!(store.state(0), "");
    assert_eq!(store.run(vec![put("a", "first"), delete(from("a"))]), Ok(4));
    assert_eq!(store.state(0), "");
    assert_eq!(store.run(vec![delete(from("a")), put("a", "last")]), Ok(5));
    assert_eq!(store.state(0), "a=last");
    assert_eq!(store.run(vec![delete(span("a", "b")), put("a", "")]), Err("DUPLICATE_KEY"));
    assert_eq!(store.run(vec![put("abc", ""), delete(span("abb", "abc"))]), Ok(6));
    assert_eq!(store.run(vec![delete(span("a", "z")), delete(key("a")), delete(KeyRange::ALL)]), Ok(7));
    assert_eq!(store.state(0), "");
}

/// etcd ends its process on a put that keeps the value of a key which the same transaction deleted; some versions of 3.5
/// published the half that was done before (TestWriteTxnPanicWithoutApply, #18679). Here everything is taken back.
#[test]
fn a_failure_in_the_middle_takes_everything_back() {
    let mut store = Store::new();
    store.grant(7, 60).expect("granted");
    store.put_leased("a", "1", 7).expect("granted");
    store.put("b", "1");
    store.flush();
    let watch = store.watch(KeyRange::ALL, 0);
    let (hash, state) = (store.hash(0), store.state(0));
    let late = Op::Put(Put { key: b"a", ignore_value: true, ..Put::default() });
    let ops = || vec![put("0", "new"), nested(vec![put("b", "2")]), delete(from("a")), late.clone(), put("c", "new")];
    assert_eq!(store.run(ops()), Err("KEY_NOT_FOUND"));
    assert_eq!((store.hash(0), store.state(0), store.take(watch)), (hash, state, vec![]));
    assert_eq!((store.keys_of(7), store.engine.take_ready()), (vec!["a".to_owned()], None));
    assert_eq!(store.put("a", "2"), 4);
    assert_eq!((store.life("a", 0), store.life("b", 0)), (Some((2, 4, 2)), Some((3, 3, 1))));
}

/// etcd's TestV3PutIgnoreValue and TestV3PutIgnoreLease.
#[test]
fn a_put_may_keep_the_value_or_the_lease_of_a_key_that_is_there() {
    let mut store = Store::new();
    store.grant(7, 60).expect("granted");
    store.grant(8, 60).expect("granted");
    let mut put = |value: &[u8], lease, [ignore_value, ignore_lease]: [bool; 2]| {
        let put = Put { key: b"a", value, lease: LeaseId(lease), ignore_value, ignore_lease, prev_kv: false };
        store.apply(Request::Put(put))?;
        let kv = store.engine.get(b"a", 0).expect("now").expect("it was put");
        Ok((String::from_utf8_lossy(&kv.value).into_owned(), kv.lease.0, kv.version))
    };
    let row = |value: &str, lease, version| Ok((value.to_owned(), lease, version));
    assert_eq!(put(b"", 0, [true, false]), Err("KEY_NOT_FOUND"));
    assert_eq!(put(b"v", 0, [false, true]), Err("KEY_NOT_FOUND"));
    assert_eq!(put(b"1", 7, [false, false]), row("1", 7, 1));
    assert_eq!(put(b"v", 0, [true, false]), Err("VALUE_PROVIDED"));
    assert_eq!(put(b"v", 7, [false, true]), Err("LEASE_PROVIDED"));
    assert_eq!(put(b"2", 0, [false, true]), row("2", 7, 2));
    assert_eq!(put(b"", 8, [true, false]), row("2", 8, 3));
    assert_eq!(put(b"", 0, [true, true]), row("2", 8, 4));
    assert_eq!(put(b"", 0, [true, false]), row("2", 0, 5), "no lease given detaches");
    assert_eq!(put(b"", 99, [true, false]), Err("LEASE_NOT_FOUND"));
    assert_eq!(put(b"3", 7, [false, false]), row("3", 7, 6));
    assert_eq!(put(b"4", 0, [false, false]), row("4", 0, 7), "a plain put detaches");
    assert_eq!((store.keys_of(7).len(), store.keys_of(8).len()), (0, 0));
}

/// A previous key-value is given where it is asked for and only there, though keeping a value reads it anyway.
#[test]
fn previous_values_are_given_to_who_asks() {
    let mut store = Store::new();
    let put = |value: &'static str, prev_kv, ignore_value| {
        Op::Put(Put { key: b"a", value: value.as_bytes(), prev_kv, ignore_value, ..Put::default() })
    };
    let mut prev = |op| {
        let answer = store.txn(Txn { success: vec![op], ..Txn::default() }).expect("accepted");
        match &answer.responses[..] {
            [OpResponse::Put(put)] => put.prev_kv.iter().map(|kv| (kv.mod_revision, kv.version)).collect::<Vec<_>>(),
            [OpResponse::DeleteRange(delete)] => {
                delete.prev_kvs.iter().map(|kv| (kv.mod_revision, kv.version)).collect()
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(prev(put("1", true, false)), [], "nothing was there");
    assert_eq!(prev(put("2", true, false)), [(2, 1)]);
    assert_eq!(prev(put("", false, true)), []);
    assert_eq!(prev(put("", true, true)), [(4, 3)]);
    assert_eq!(prev(Op::DeleteRange(DeleteRange { keys: key("a"), prev_kv: false })), []);
    assert_eq!(prev(put("1", true, false)), [], "nothing was there any more");
    assert_eq!(prev(Op::DeleteRange(DeleteRange { keys: key("a"), prev_kv: true })), [(7, 1)]);
    let keys = ["c", "a", "b"].map(|key| super::script::put(key, ""));
    store.run(keys.to_vec()).expect("revision 9");
    store.put("b", "");
    let answer = store.apply(Request::DeleteRange(DeleteRange { keys: KeyRange::ALL, prev_kv: true }));
    let Ok(Response::DeleteRange(answer)) = answer else { panic!("{answer:?}") };
    assert_eq!((shown(&answer.prev_kvs).as_str(), answer.deleted), ("a= b= c=", 3), "in the order of keys");
    assert_eq!(answer.prev_kvs[1].mod_revision, 10);
}

/// etcd's TestKVDeleteRange: three keys at revision 4, and what each range removes.
#[test]
fn a_delete_takes_what_is_in_its_range() {
    let rows: [(KeyRange<'_>, u64, u64, &str); 8] = [
        (key("foo"), 1, 5, "foo1=1 foo2=2"),
        (span("foo", "foo2"), 2, 5, "foo2=2"),
        (span("foo", "foo3"), 3, 5, ""),
        (span("foo3", "foo8"), 0, 4, "foo=0 foo1=1 foo2=2"),
        (span("foo", "foo"), 0, 4, "foo=0 foo1=1 foo2=2"),
        (span("foo2", "foo"), 0, 4, "foo=0 foo1=1 foo2=2"),
        (from("foo1"), 2, 5, "foo=0"),
        (KeyRange::ALL, 3, 5, ""),
    ];
    for (keys, deleted, revision, left) in rows {
        let mut store = Store::new();
        for (key, value) in [("foo", "0"), ("foo1", "1"), ("foo2", "2")] {
            store.put(key, value);
        }
        assert_eq!(store.delete(keys), (deleted, revision), "{keys:?}");
        assert_eq!((store.state(0).as_str(), store.state(4).as_str()), (left, "foo=0 foo1=1 foo2=2"), "{keys:?}");
    }
}

/// etcd's checks of the API: an empty key is no key, in every request.
#[test]
fn an_empty_key_is_refused() {
    let mut store = Store::new();
    assert_eq!(store.apply(Request::Put(Put::default())), Err("INVALID_KEY"));
    assert_eq!(store.apply(Request::DeleteRange(DeleteRange { keys: key(""), prev_kv: false })), Err("INVALID_KEY"));
    let ops = [put("", ""), delete(key("")), read(key(""), 0), nested(vec![put("", "")])];
    for op in ops {
        assert_eq!(store.run(vec![op.clone()]), Err("INVALID_KEY"), "{op:?}");
    }
    assert_eq!(store.delete(span("", "z")), (0, 1), "as a bound it is the first of all keys");
}
