//! Leases: which keys end with them, when, and what a restart does to neither.

use revkv::{Engine, KeyRange, LeaseId, LeasedRequest, Put, Request, TTL_SECONDS_MAX};

use super::script::{Store, delete, from, key, put, put_leased, recover};

/// With leases of 60 seconds.
fn with_leases<const N: usize>(ids: [i64; N]) -> Store {
    let mut store = Store::new();
    for id in ids {
        store.grant(id, 60).expect("granted");
    }
    store
}

#[test]
fn a_grant_is_refused_with_a_reason_and_takes_no_revision() {
    let mut store = Store::new();
    let rows = [
        (0, 60, "INVALID_ARGUMENT"),
        (1, 0, "INVALID_ARGUMENT"),
        (1, TTL_SECONDS_MAX + 1, "INVALID_ARGUMENT"),
        (1, u64::MAX, "INVALID_ARGUMENT"),
        (1, TTL_SECONDS_MAX, "ok"),
        (2, 1, "ok"),
        (2, 1, "LEASE_EXISTS"),
        (i64::MIN, 5, "ok"),
        (i64::MAX, 5, "ok"),
    ];
    for (id, ttl_seconds, expected) in rows {
        let code = store.grant(id, ttl_seconds).map_or_else(|code| code, |_| "ok");
        assert_eq!(code, expected, "grant({id}, {ttl_seconds})");
    }
    let ids: Vec<i64> = store.engine.leases().iter().map(|id| id.0).collect();
    assert_eq!((ids, store.engine.revision()), (vec![i64::MIN, 1, 2, i64::MAX], 1));
}

/// etcd's TestV3LeaseNegativeID, #12535: a lease with a negative id lost its keys with a restart.
#[test]
fn a_negative_lease_survives_a_restart_with_its_keys() {
    let mut store = with_leases([-1, i64::MIN]);
    store.put_leased("a", "1", -1).expect("granted");
    store.put_leased("b", "1", i64::MIN).expect("granted");
    store.reopen();
    assert_eq!((store.keys_of(-1), store.keys_of(i64::MIN)), (vec!["a".to_owned()], vec!["b".to_owned()]));
    assert_eq!((store.revoke(-1), store.state(0)), (Ok(4), "b=1".to_owned()));
}

/// etcd's TestV3LeaseRecoverKeyWithMultipleLease and #6102: a key belongs to the lease of its last put. A lessor that
/// forgets to detach deletes keys of somebody else.
#[test]
fn a_key_put_with_another_lease_survives_the_first() {
    for restart in [false, true] {
        let mut store = with_leases([7, 8]);
        store.put_leased("k", "1", 7).expect("granted");
        store.put_leased("k", "2", 8).expect("granted");
        if restart {
            store.reopen();
        }
        assert_eq!((store.keys_of(7), store.keys_of(8)), (vec![], vec!["k".to_owned()]));
        assert_eq!((store.revoke(7), store.state(0)), (Ok(3), "k=2".to_owned()));
        if restart {
            store.reopen();
        }
        assert_eq!((store.revoke(8), store.state(0)), (Ok(4), String::new()));
    }
}

/// etcd's TestV3LeaseRecoverKeyWithDetachedLease. What detaches a key: a put without a lease, a delete; in the order of
/// a transaction's operations.
#[test]
fn a_key_detached_from_its_lease_survives_it() {
    for restart in [false, true] {
        let mut store = with_leases([7]);
        for key in ["detached", "deleted", "put-again", "back", "kept"] {
            store.put_leased(key, "1", 7).expect("granted");
        }
        store.put("detached", "2");
        store.delete(key("deleted"));
        store.delete(key("put-again"));
        store.put("put-again", "2");
        store.put("back", "2");
        store.put_leased("back", "3", 7).expect("granted");
        store.put_leased("kept", "2", 7).expect("granted");
        store.run(vec![delete(from("z")), put_leased("z", 7)]).expect("accepted");
        store.run(vec![delete(from("z")), put("z", "3")]).expect("accepted");
        if restart {
            store.reopen();
        }
        assert_eq!(store.keys_of(7), ["back", "kept"], "restart {restart}");
        store.revoke(7).expect("granted");
        assert_eq!(store.state(0), "detached=2 put-again=2 z=3", "restart {restart}");
    }
}

/// The attachments are not stored but follow from the newest put of each key; a compaction that removed every older put
/// changes none of them.
#[test]
fn attachments_survive_compaction_and_restart() {
    let mut store = with_leases([7, 8]);
    store.put_leased("a", "1", 7).expect("granted");
    store.put_leased("b", "1", 7).expect("granted");
    store.put_leased("b", "2", 8).expect("granted");
    store.put_leased("c", "1", 8).expect("granted");
    store.delete(key("c"));
    store.compact(6).expect("not compacted before");
    for stage in ["accepted", "removed", "reopened"] {
        assert_eq!((store.keys_of(7), store.keys_of(8)), (vec!["a".to_owned()], vec!["b".to_owned()]), "{stage}");
        match stage {
            "accepted" => store.remove(),
            _ => store.reopen(),
        }
    }
}

/// etcd's TestLessorRevoke: the keys go in one revision, in the order of keys and not of attachment; replicas that
/// deleted in another order had other hashes.
#[test]
fn a_revoked_lease_takes_its_keys_in_order_in_one_revision() {
    let mut store = with_leases([7, 8]);
    for key in ["b", "a", "c"] {
        store.put_leased(key, "1", 7).expect("granted");
    }
    let watch = store.watch(KeyRange::ALL, 0);
    assert_eq!(store.revoke(7), Ok(5));
    assert_eq!(store.take(watch), ["5 DELETE a, DELETE b, DELETE c"]);
    assert_eq!(store.revoke(7), Err("LEASE_NOT_FOUND"));
    assert_eq!(store.revoke(8), Ok(5), "without keys there is nothing to change");
    assert_eq!(store.take(watch), [""; 0]);
}

/// etcd's Lessor.Revoke deletes keys and lease in one commit. Whatever blobs a crash leaves of it, a store that opens
/// has both or neither; one that has part of the batch does not open.
#[test]
fn no_crash_comes_between_a_lease_and_its_keys() {
    let blob_bytes = 400;
    let mut store = Store::with_blobs_of(blob_bytes);
    store.grant(7, 60).expect("granted");
    let keys: Vec<String> = (0..80).map(|key| format!("{key:02}")).collect();
    for key in &keys {
        store.put_leased(key, "1", 7).expect("granted");
    }
    store.flush();
    let before = store.blobs.clone();
    store.revoke(7).expect("granted");
    store.flush();
    let written: Vec<_> = store.blobs.iter().filter(|(id, _)| !before.contains_key(*id)).collect();
    assert!(written.len() > 2, "the batch must be cut for this to mean something");
    let both = |engine: &Engine| (engine.leases().len(), engine.range(&Default::default()).expect("now").count);
    for kept in 0..=written.len() {
        let mut blobs = before.clone();
        blobs.extend(written[..kept].iter().map(|(id, bytes)| ((*id).clone(), (*bytes).clone())));
        let found = recover(&blobs, blob_bytes).map(|engine| both(&engine)).map_err(|error| error.code());
        let expected = match kept {
            0 => Ok((1, keys.len() as u64)),
            _ if kept == written.len() => Ok((0, 0)),
            _ => Err("CORRUPT"),
        };
        assert_eq!(found, expected, "{kept} of {} blobs", written.len());
    }
}

/// etcd's TestLessorExpire and PR 20616: a lease past its end must not be kept alive, revoked yet or not: its keys may be
/// gone on another replica already.
#[test]
fn a_lease_past_its_end_is_never_renewed() {
    let mut store = Store::new();
    store.grant(7, 10).expect("granted");
    store.put_leased("a", "1", 7).expect("granted");
    store.now_ms += 9_999;
    assert_eq!(store.keep_alive(7), Ok(10));
    store.now_ms += 10_000;
    assert_eq!(store.keep_alive(7), Err("LEASE_NOT_FOUND"));
    let lease = store.engine.lease(LeaseId(7), store.now_ms).expect("not revoked yet");
    assert_eq!((lease.remaining_ms, store.state(0).as_str()), (0, "a=1"));
    assert_eq!(store.put_leased("b", "1", 7), Ok(3), "it still takes keys, which end with it");
    store.tick(0);
    assert_eq!((store.keep_alive(7), store.state(0)), (Err("LEASE_NOT_FOUND"), String::new()));
}

/// Nothing expires early, however the engine is ticked; each lease is one revision, its keys ascending, in the order of
/// deadlines.
#[test]
fn leases_expire_at_their_deadlines_one_revision_each() {
    let mut store = Store::new();
    for (id, ttl_seconds) in [(1, 3), (2, 2), (3, 2), (4, 1)] {
        store.grant(id, ttl_seconds).expect("granted");
    }
    for (key, id) in [("d", 1), ("c", 2), ("b", 3), ("a", 3)] {
        store.put_leased(key, "", id).expect("granted");
    }
    let watch = store.watch(KeyRange::ALL, 0);
    store.tick(999);
    assert_eq!((store.engine.leases().len(), store.engine.revision()), (4, 5));
    store.tick(1);
    assert_eq!((store.engine.leases().len(), store.engine.revision()), (3, 5), "it had no keys");
    store.tick(999);
    assert_eq!(store.take(watch), [""; 0]);
    store.tick(5_000);
    assert_eq!(store.take(watch), ["6 DELETE c", "7 DELETE a, DELETE b", "8 DELETE d"]);
    assert_eq!((store.engine.leases().len(), store.engine.next_deadline()), (0, None));
}

/// A deadline is stored, not the time that was left: a restart neither lengthens a lease nor ends it early, and a clock
/// that jumps back revives nothing. (etcd starts every lease over unless checkpoints of leases are switched on.)
#[test]
fn deadlines_survive_restarts() {
    let mut store = Store::new();
    store.grant(7, 10).expect("granted");
    store.grant(8, 10).expect("granted");
    store.put_leased("a", "1", 7).expect("granted");
    store.put_leased("b", "1", 8).expect("granted");
    store.now_ms += 6_000;
    store.keep_alive(8).expect("alive");
    store.reopen();
    store.tick(3_999);
    assert_eq!(store.state(0), "a=1 b=1");
    store.tick(1);
    assert_eq!(store.state(0), "b=1");
    store.reopen();
    store.now_ms -= 8_000;
    store.tick(0);
    assert_eq!((store.keep_alive(7), store.state(0)), (Err("LEASE_NOT_FOUND"), "b=1".to_owned()));
    store.compact(4).expect("not compacted before");
    store.remove();
    store.reopen();
    store.tick(9_999);
    assert_eq!(store.state(0), "b=1", "a checkpoint keeps the deadline");
    store.tick(1);
    assert_eq!(store.state(0), "");
}

/// etcd measures leases with a clock that cannot be set. The host's can: a lease found over by any request stays over
/// when the clock jumps back before the tick that ends it, in the next engine too.
#[test]
fn a_clock_that_jumps_back_revives_no_lease() {
    for restart in [false, true] {
        let mut store = Store::new();
        store.grant(7, 10).expect("granted");
        store.grant(8, 60).expect("granted");
        store.put_leased("a", "1", 7).expect("granted");
        store.now_ms += 10_000;
        store.put("b", "told the time");
        store.now_ms -= 5_000;
        if restart {
            store.reopen();
        }
        assert_eq!(store.keep_alive(7), Err("LEASE_NOT_FOUND"), "restart {restart}");
        let left = |id| store.engine.lease(LeaseId(id), store.now_ms).expect("granted").remaining_ms;
        assert_eq!((left(7), left(8), store.engine.next_deadline()), (0, 55_000, Some(0)), "restart {restart}");
        store.tick(0);
        assert_eq!((store.engine.leases(), store.state(0).as_str()), (vec![LeaseId(8)], "b=told the time"));
    }
}

/// A clock that was a year ahead: it ends what it finds, once; what is granted by it ends in its time when the clock is
/// right again, not in a year, in the next engine neither.
#[test]
fn a_clock_that_was_ahead_lets_no_lease_live_for_ever() {
    const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;
    for restart in [false, true] {
        let mut store = Store::new();
        store.grant(7, 10).expect("granted");
        store.put_leased("a", "1", 7).expect("granted");
        store.tick(YEAR_MS);
        assert_eq!((store.engine.revision(), store.engine.leases()), (3, vec![]));
        store.grant(7, 10).expect("the id is free again");
        store.put_leased("a", "2", 7).expect("granted");
        store.now_ms -= YEAR_MS;
        if restart {
            store.reopen();
        }
        store.tick(0);
        assert_eq!(store.engine.next_deadline(), Some(store.now_ms + 10_000), "restart {restart}");
        store.tick(9_999);
        assert_eq!((store.keys_of(7), store.engine.revision()), (vec!["a".to_owned()], 4), "restart {restart}");
        store.tick(1);
        assert_eq!((store.engine.leases(), store.engine.revision()), (vec![], 5), "restart {restart}");
        store.tick(YEAR_MS);
        assert_eq!(store.engine.revision(), 5, "restart {restart}");
    }
}

/// etcd answers a time to live of -1, and of 0 to a keep-alive, for a lease that is not there. Here it is said once, as
/// absence and as an error with a code.
#[test]
fn an_unknown_lease_is_said_to_be_unknown() {
    let mut store = with_leases([7]);
    assert_eq!(store.engine.lease(LeaseId(8), store.now_ms), None);
    assert_eq!((store.keep_alive(8), store.revoke(8)), (Err("LEASE_NOT_FOUND"), Err("LEASE_NOT_FOUND")));
    assert_eq!((store.keep_alive(0), store.revoke(0)), (Err("LEASE_NOT_FOUND"), Err("LEASE_NOT_FOUND")));
    store.put_leased("b", "", 7).expect("granted");
    store.put_leased("a", "", 7).expect("granted");
    store.now_ms += 1_500;
    let lease = store.engine.lease(LeaseId(7), store.now_ms).expect("granted");
    assert_eq!((lease.ttl_seconds, lease.remaining_ms, lease.keys), (60, 58_500, vec![b"a".to_vec(), b"b".to_vec()]));
}

/// One transaction may move keys between leases more than once: what counts is how it left them.
#[test]
fn a_transaction_leaves_keys_with_their_last_lease() {
    let mut store = with_leases([7, 8]);
    store.put_leased("a", "1", 7).expect("granted");
    let moved = vec![delete(from("a")), put_leased("a", 8), put("b", "1")];
    assert_eq!(store.run(moved), Ok(3));
    assert_eq!((store.keys_of(7), store.keys_of(8)), (vec![], vec!["a".to_owned()]));
    store.reopen();
    assert_eq!((store.keys_of(7), store.keys_of(8)), (vec![], vec!["a".to_owned()]));
    store.put_leased("b", "2", 8).expect("granted");
    store.run(vec![put_leased("a", 7), delete(from("b"))]).expect("accepted");
    assert_eq!((store.keys_of(7), store.keys_of(8)), (vec!["a".to_owned()], vec![]));
}

/// What is refused, or writes nothing, leaves no lease behind; one id is granted once.
#[test]
fn leases_come_with_what_is_written_or_not_at_all() {
    let put = |key, lease| Put { key, value: b"v", lease: LeaseId(lease), ..Put::default() };
    type Row<'a> = (&'a str, &'a [(i64, u64)], Put<'a>, &'a str, &'a [i64]);
    let rows: [Row<'_>; 6] = [
        ("its own", &[(1, 60)], put(b"a", 1), "ok", &[1, 9]),
        ("one that nobody uses", &[(1, 60), (2, 60)], put(b"a", 1), "ok", &[1, 2, 9]),
        ("one that is not there", &[(1, 60)], put(b"a", 3), "LEASE_NOT_FOUND", &[9]),
        ("one that is there", &[(9, 60)], put(b"a", 9), "LEASE_EXISTS", &[9]),
        ("the same twice", &[(1, 60), (1, 60)], put(b"a", 1), "LEASE_EXISTS", &[9]),
        ("one without time", &[(1, 60), (2, 0)], put(b"a", 1), "INVALID_ARGUMENT", &[9]),
    ];
    for (name, leases, put, expected, left) in rows {
        let mut store = with_leases([9]);
        let leases = leases.iter().map(|&(id, ttl_seconds)| (LeaseId(id), ttl_seconds)).collect();
        let applied = store.apply(Request::Leased { leases, request: LeasedRequest::Put(put) });
        assert_eq!(applied.map_or_else(|code| code, |_| "ok"), expected, "{name}");
        for restart in [false, true] {
            if restart {
                store.reopen();
            }
            let ids: Vec<i64> = store.engine.leases().iter().map(|id| id.0).collect();
            assert_eq!(ids, left, "{name}, restarted: {restart}");
            assert_eq!(store.state(0).is_empty(), expected != "ok", "{name}");
        }
    }
}
