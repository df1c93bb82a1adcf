//! A store's log applied by another: what replication by numbers gets wrong elsewhere, as rules.
//!
//! Most cases are DKV's (its storage engines differ in nearly all of them) or kvrocks'. What they call a change number is
//! the revision here: dense, one for each transaction, whole.

use revkv::{Applied, ChangeSet, Engine, EngineOptions, KeyRange, LeaseId, WatcherId};

use super::script::{Store, code, compare_with_reopened, delete, events, key, put, span};

/// A source of an incarnation that no other store has.
pub fn source() -> Store {
    let mut store = Store::new();
    store.engine.renew([1; 16]);
    store
}

/// `a`=1, `a`=2, ...: so many puts, from revision 2 on.
fn source_with_puts(puts: u64) -> Store {
    let mut store = source();
    for value in 1..=puts {
        store.put("a", &value.to_string());
    }
    store
}

pub fn changes(source: &Store, from: u64) -> ChangeSet {
    source.engine.changes(from, 0, 0).expect("nothing is forgotten")
}

pub fn apply(replica: &mut Store, changes: &ChangeSet) -> Result<Applied, &'static str> {
    let before = (replica.engine.revision(), replica.engine.stats(), replica.engine.leases());
    let applied = replica.engine.apply_changes(&changes.bytes).map_err(|error| error.code());
    let applied = applied.map(|applied| Applied { source_revision: 0, ..applied });
    replica.engine.check();
    let after = (replica.engine.revision(), replica.engine.stats(), replica.engine.leases());
    assert!(applied.is_ok() || before == after, "{applied:?} left a trace: {before:?} {after:?}");
    applied
}

fn applied(revision: u64, applied: u64, duplicates: u64) -> Result<Applied, &'static str> {
    Ok(Applied { revision, applied, duplicates, source_revision: 0 })
}

/// Asks until there is nothing more; gives the number of portions.
fn catch_up(replica: &mut Store, source: &Store, max: u64) -> usize {
    for portions in 1.. {
        let changes = source.engine.changes(replica.engine.revision(), 0, max).expect("nothing is forgotten");
        apply(replica, &changes).expect("they follow");
        if changes.to == source.engine.revision() {
            return portions;
        }
    }
    unreachable!("there is no end of numbers")
}

/// Both hold the same, to the byte; and so does what the replica has stored.
pub fn compare(replica: &Store, source: &Store) {
    let (mut one, mut other) = (replica.clone(), source.clone());
    one.remove();
    other.remove();
    assert_eq!(one.engine.revision(), other.engine.revision());
    assert_eq!(one.hash(0), other.hash(0));
    let leases = |store: &Store| -> Vec<_> {
        let leases = store.engine.leases().into_iter();
        leases.map(|id| store.engine.lease(id, source.now_ms)).collect()
    };
    assert_eq!(leases(&one), leases(&other));
    assert_eq!(one.engine.backup(0, true), other.engine.backup(0, true));
    compare_with_reopened(&one);
}

#[test]
fn a_replica_is_its_source_to_the_byte() {
    let mut source = source();
    source.grant(7, 60).expect("granted");
    source.put_leased("b", "leased", 7).expect("granted");
    source.run(vec![put("a", "1"), put("c", "1"), delete(key("b"))]).expect("accepted");
    source.put("a", "2");
    source.delete(KeyRange::ALL);
    source.run(vec![put("c", "again")]).expect("accepted");
    let mut replica = Store::new();
    let watch = replica.watch(span("a", "c"), 0);
    assert_eq!(apply(&mut replica, &changes(&source, 1)), applied(6, 5, 0));
    compare(&replica, &source);
    assert_eq!(replica.engine.incarnation(), [1; 16]);
    assert_eq!(replica.life("c", 0), Some((6, 6, 1)));
    let seen = replica.take(watch);
    assert_eq!(seen, ["2 PUT b=leased", "3 PUT a=1, DELETE b", "4 PUT a=2", "5 DELETE a"]);
}

/// DKV's RocksDB engine takes two numbers for each pair, and for a delete of nothing.
#[test]
fn what_changes_nothing_is_no_transaction() {
    let mut source = source_with_puts(5);
    source.delete(key("none"));
    assert_eq!(changes(&source, 1).to, 6);
}

#[test]
fn portions_go_on_from_each_other() {
    let source = source_with_puts(5);
    let portion = source.engine.changes(1, 0, 2).expect("nothing is forgotten");
    assert_eq!((portion.from, portion.to), (1, 3));
    let mut replica = Store::new();
    assert_eq!(catch_up(&mut replica, &source, 2), 3);
    compare(&replica, &source);
}

/// Nothing new is an answer; what is to come is none.
#[test]
fn the_newest_revision_is_the_last_to_go_on_from() {
    let source = source_with_puts(5);
    assert_eq!((changes(&source, 6).from, changes(&source, 6).to), (6, 6));
    assert_eq!(code(source.engine.changes(7, 0, 0)), "FUTURE_REVISION");
    assert_eq!((changes(&source, 0).from, changes(&source, 1).from), (1, 1), "before revision 1 there is nothing");
}

/// RocksDB begins with the first record it still has, without an error, and the replica skips what lies before for ever.
#[test]
fn what_is_forgotten_is_said() {
    let mut source = source_with_puts(5);
    source.delete(key("a"));
    source.put("a", "6");
    source.compact(7).expect("not compacted before");
    source.remove();
    assert_eq!(code(source.engine.changes(5, 0, 0)), "COMPACTED");
    let oldest = changes(&source, 6);
    let mut replica = Store::new();
    assert_eq!(apply(&mut replica, &oldest), Err("GAP"));
    let mut replica = self::source_with_puts(5);
    replica.engine.renew([1; 16]);
    let watch = replica.watch(KeyRange::ALL, 0);
    assert_eq!(apply(&mut replica, &oldest), applied(8, 2, 0));
    assert_eq!(replica.take(watch), ["7 DELETE a", "8 PUT a=6"], "the delete at the compact revision is told");
    assert_eq!(replica.engine.compact_revision(), 7);
    compare(&replica, &source);
}

/// A backup of a moment is compacted there, and has all of the last transaction: deletes and what was overwritten in it too.
#[test]
fn a_backup_of_a_moment_has_its_last_transaction() {
    let mut source = source_with_puts(5);
    source.run(vec![delete(key("a")), put("b", "1")]).expect("accepted");
    let mut restored = Store::new();
    restored.engine.restore(&source.engine.backup(0, false).expect("now"), [1; 16]).expect("a whole backup");
    let watch = restored.watch(KeyRange::ALL, 7);
    assert_eq!(restored.take(watch), ["7 DELETE a, PUT b=1"]);
    assert_eq!(code(restored.engine.changes(5, 0, 0)), "COMPACTED");
    let mut replica = self::source_with_puts(5);
    assert_eq!(apply(&mut replica, &changes(&restored, 6)), applied(7, 1, 0));
    compare(&replica, &restored);
}

/// What the budget of bytes does not hold is given alone.
#[test]
fn a_large_transaction_is_given_alone() {
    let mut source = source();
    let large = "v".repeat(400 << 10);
    source.run(vec![put("a", &large), put("b", &large)]).expect("accepted");
    source.put("a", "small");
    source.put("b", "small");
    let first = changes(&source, 1);
    assert_eq!((first.to, first.bytes.len() > 800 << 10), (2, true));
    assert_eq!((changes(&source, 2).to, changes(&source, 2).bytes.len() < 400), (4, true));
    let mut replica = Store::new();
    assert_eq!(catch_up(&mut replica, &source, 0), 2);
    compare(&replica, &source);
}

/// DKV's engines commit a record in part and report it as good.
#[test]
fn the_first_failure_ends_it_and_leaves_no_trace() {
    let source = source_with_puts(5);
    let mut sets: Vec<_> = (1..=5).map(|from| source.engine.changes(from, 0, 1).expect("kept")).collect();
    let whole = sets[2].clone();
    sets[2].bytes.pop();
    let mut replica = Store::new();
    let outcomes: Vec<_> = sets.iter().map(|set| apply(&mut replica, set).map(|applied| applied.revision)).collect();
    assert_eq!(outcomes, [Ok(2), Ok(3), Err("CORRUPT"), Err("GAP"), Err("GAP")]);
    assert_eq!(replica.state(0), "a=2");
    for set in [&whole, &sets[3], &sets[4]] {
        apply(&mut replica, set).expect("they follow");
    }
    compare(&replica, &source);
}

#[test]
fn what_is_here_already_is_skipped_and_counted() {
    let mut source = source_with_puts(5);
    let (first, last) = (changes(&source, 1), changes(&source, 4));
    let mut replica = Store::new();
    assert_eq!(apply(&mut replica, &first), applied(6, 5, 0));
    assert_eq!(apply(&mut replica, &last), applied(6, 0, 2));
    assert_eq!(apply(&mut replica, &first), applied(6, 0, 5));
    source.put("a", "6");
    assert_eq!(apply(&mut replica, &changes(&source, 4)), applied(7, 1, 2));
    compare(&replica, &source);
    replica.compact(5).expect("not compacted before");
    replica.remove();
    assert_eq!(apply(&mut replica, &first), applied(7, 0, 5), "what is forgotten cannot be compared, and is older");
}

#[test]
fn a_gap_is_said_with_where_to_go_on() {
    let source = source_with_puts(8);
    let mut replica = Store::new();
    apply(&mut replica, &source.engine.changes(1, 0, 4).expect("kept")).expect("they follow");
    let gap = replica.engine.apply_changes(&changes(&source, 6).bytes);
    assert_eq!(gap, Err(revkv::Error::Gap { expected: 5, found: 6 }));
    assert_eq!(replica.state(0), "a=4");
}

#[test]
fn nothing_new_is_applied_as_nothing() {
    let source = source_with_puts(5);
    let mut replica = Store::new();
    apply(&mut replica, &changes(&source, 1)).expect("they follow");
    let watch = replica.watch(KeyRange::ALL, 0);
    assert_eq!(apply(&mut replica, &changes(&source, 6)), applied(6, 0, 0));
    assert!(replica.take(watch).is_empty());
    let mut empty = Store::new();
    assert_eq!(apply(&mut empty, &changes(&self::source(), 1)), applied(1, 0, 0));
    assert_eq!(empty.engine.incarnation(), [1; 16], "an empty source has a name too");
}

/// Data and number are one write: there is nothing between them. DKV's Badger engine counts records, and goes on at the
/// wrong one after a restart.
#[test]
fn a_replica_goes_on_after_a_restart() {
    let mut source = source_with_puts(3);
    source.grant(7, 60).expect("granted");
    source.put_leased("b", "leased", 7).expect("granted");
    let mut replica = Store::new();
    apply(&mut replica, &changes(&source, 1)).expect("they follow");
    replica.flush();
    source.put("a", "4");
    apply(&mut replica, &changes(&source, 5)).expect("they follow");
    // Not stored.
    replica.crash();
    assert_eq!((replica.engine.revision(), replica.engine.incarnation()), (5, [1; 16]));
    assert_eq!(apply(&mut replica, &changes(&source, 5)), applied(6, 1, 0));
    replica.reopen();
    assert_eq!(apply(&mut replica, &changes(&source, 5)), applied(6, 0, 1));
    compare(&replica, &source);
}

/// A restored master that has since passed its slave's number diverges silently in DKV.
#[test]
fn a_source_that_was_restored_is_another_one() {
    let mut source = source_with_puts(3);
    let backup = source.engine.backup(0, true).expect("now");
    source.put("a", "4");
    let mut replica = Store::new();
    apply(&mut replica, &changes(&source, 1)).expect("they follow");
    source.engine.restore(&backup, [2; 16]).expect("a whole backup");
    source.put("b", "other");
    source.put("b", "other");
    assert_eq!(apply(&mut replica, &changes(&source, 5)), Err("DIVERGED"));
    assert_eq!(apply(&mut replica, &changes(&source, 1)), Err("DIVERGED"));
}

/// apache/kvrocks#462: both have written a revision since they were the same, and each has its own.
#[test]
fn the_same_revision_with_other_content_is_said() {
    let mut source = source_with_puts(3);
    let mut replica = Store::new();
    apply(&mut replica, &changes(&source, 1)).expect("they follow");
    replica.put("t", "2");
    source.put("t", "1");
    assert_eq!(apply(&mut replica, &changes(&source, 4)), Err("DIVERGED"), "what both have is compared");
    source.put("t", "later");
    assert_eq!(apply(&mut replica, &changes(&source, 5)), Err("DIVERGED"), "so is what comes before");
    let past = source.engine.changes(4, 0, 1).expect("kept");
    assert_eq!(apply(&mut replica, &past), Err("DIVERGED"));
    assert_eq!(replica.state(0), "a=3 t=2");
}

/// Found by the simulation of tabs: the same requests, applied in another order, end with the same transaction.
#[test]
fn the_same_transaction_at_the_end_does_not_make_it_the_same_history() {
    let mut source = source_with_puts(1);
    let mut replica = Store::new();
    apply(&mut replica, &changes(&source, 1)).expect("they follow");
    for (store, keys) in [(&mut source, ["x", "y", "z"]), (&mut replica, ["y", "x", "z"])] {
        for key in keys {
            store.put(key, "1");
        }
    }
    source.put("a", "2");
    assert_eq!(apply(&mut replica, &changes(&source, 5)), Err("DIVERGED"));
    // Compacted here or there, as much is compared as both have.
    source.compact(4).expect("not compacted before");
    assert_eq!(apply(&mut replica, &changes(&source, 5)), Err("DIVERGED"));
    replica.compact(5).expect("not compacted before");
    assert_eq!(apply(&mut replica, &changes(&source, 5)), applied(6, 1, 0), "what cannot be compared is believed");
}

/// A history that differs before what can be compared shows where a key's numbers do not go on.
#[test]
fn a_change_has_to_follow_from_what_is_here() {
    type Write = fn(&mut Store);
    let rows: [(&str, Write, &str); 4] = [
        (
            "an update of what is not there",
            |store| {
                store.put("only there", "2");
            },
            "REVISION_NOT_FOUND",
        ),
        (
            "a delete of what is not there",
            |store| {
                store.delete(key("only there"));
            },
            "REVISION_NOT_FOUND",
        ),
        (
            "an update of another life",
            |store| {
                store.put("twice", "3");
            },
            "DIVERGED",
        ),
        (
            "a creation of what is there",
            |store| {
                store.put("only here", "1");
            },
            "DIVERGED",
        ),
    ];
    for (name, write, expected) in rows {
        let (mut source, mut replica) = (source(), source());
        source.run(vec![put("only there", "1"), put("twice", "1")]).expect("accepted");
        source.put("twice", "2");
        replica.run(vec![put("only here", "1"), put("twice", "1")]).expect("accepted");
        replica.put("both", "1");
        // The same in both: it hides what comes before.
        for value in 1..=20 {
            let same = |store: &mut Store| store.put("last", &value.to_string());
            assert_eq!((same(&mut source), same(&mut replica)), (3 + value, 3 + value));
        }
        source.put("new", "1");
        write(&mut source);
        assert_eq!(apply(&mut replica, &changes(&source, 23)), Err(expected), "{name}");
        assert_eq!(replica.state_of(key("new")), "", "{name}");
    }
}

/// A new leader that has less than the old one told: an error of DKV's slave for ever, or nothing is said.
#[test]
fn a_source_that_went_back_is_noticed() {
    let mut source = source_with_puts(3);
    source.flush();
    let mut second = source.clone();
    source.put("a", "4");
    let mut replica = Store::new();
    apply(&mut replica, &changes(&source, 1)).expect("they follow");
    second.crash();
    assert_eq!(code(second.engine.changes(replica.engine.revision(), 0, 0)), "FUTURE_REVISION");
    second.put("a", "of the second");
    second.put("a", "of the second");
    assert_eq!(apply(&mut replica, &changes(&second, 5)), Err("DIVERGED"));
}

/// Who follows hears only of what is written.
#[test]
fn changes_end_where_they_are_told_to() {
    let mut source = source_with_puts(3);
    source.flush();
    source.put("a", "4");
    let durable = source.engine.durable_revision();
    let set = source.engine.changes(1, durable, 0).expect("kept");
    assert_eq!((set.to, durable), (4, 4));
    assert_eq!(source.engine.changes(5, durable, 0).expect("kept").to, 5, "never before where it goes on from");
}

fn lease_of(store: &Store, id: i64) -> Option<(u64, i64, usize)> {
    let lease = store.engine.lease(LeaseId(id), 1_000_000)?;
    Some((lease.ttl_seconds, lease.remaining_ms, lease.keys.len()))
}

/// A lease has no revision of its own: it travels with the changes, and alone where there are none.
#[test]
fn leases_follow_their_source() {
    let mut source = source();
    let mut replica = Store::new();
    source.grant(7, 60).expect("granted");
    source.grant(8, 30).expect("granted");
    source.put_leased("b", "leased", 7).expect("granted");
    apply(&mut replica, &changes(&source, 1)).expect("they follow");
    assert_eq!((lease_of(&replica, 7), lease_of(&replica, 8)), (Some((60, 60_000, 1)), Some((30, 30_000, 0))));
    source.tick(20_000);
    source.keep_alive(8).expect("granted");
    apply(&mut replica, &changes(&source, 2)).expect("they follow");
    assert_eq!(replica.engine.lease(LeaseId(8), source.now_ms), source.engine.lease(LeaseId(8), source.now_ms));
    source.tick(31_000);
    source.grant(9, 10).expect("granted");
    source.put_leased("c", "leased", 9).expect("granted");
    source.revoke(7).expect("granted");
    apply(&mut replica, &changes(&source, 2)).expect("they follow");
    assert_eq!(replica.engine.leases(), [LeaseId(9)]);
    compare(&replica, &source);
}

/// A portion ends before the records that delete a lease's keys, though the lease is gone and granted again by then.
#[test]
fn a_lease_is_here_as_long_as_its_keys_are() {
    for max in [1, 2, 3, 0] {
        let mut source = source();
        source.grant(7, 60).expect("granted");
        source.put_leased("b", "first", 7).expect("granted");
        let mut replica = Store::new();
        apply(&mut replica, &changes(&source, 1)).expect("they follow");
        source.put_leased("c", "first", 7).expect("granted");
        source.put("a", "1");
        source.revoke(7).expect("granted");
        source.put("a", "2");
        for _ in 0..2 {
            let portion = source.engine.changes(replica.engine.revision(), 0, max).expect("kept");
            apply(&mut replica, &portion).expect("they follow");
        }
        source.grant(7, 30).expect("granted");
        source.put_leased("d", "second", 7).expect("granted");
        catch_up(&mut replica, &source, max);
        compare(&replica, &source);
        assert_eq!(replica.keys_of(7), ["d"]);
    }
}

/// A source knows only since its start which leases have gone; then it tells all there are.
#[test]
fn leases_that_went_with_another_source_go() {
    let mut source = source();
    source.grant(7, 60).expect("granted");
    source.put_leased("a", "1", 7).expect("granted");
    source.flush();
    let mut second = source.clone();
    // Told, but never stored.
    source.grant(8, 60).expect("granted");
    let mut replica = Store::new();
    apply(&mut replica, &changes(&source, 1)).expect("they follow");
    assert_eq!(replica.engine.leases().len(), 2);
    second.crash();
    second.grant(9, 60).expect("granted");
    apply(&mut replica, &changes(&second, 2)).expect("they follow");
    assert_eq!(replica.engine.leases(), [LeaseId(7), LeaseId(9)]);
    compare(&replica, &second);
}

#[test]
fn leases_gone_in_great_number_are_told_by_those_left() {
    let mut source = source();
    let mut replica = Store::new();
    for id in 1..=2_000 {
        source.grant(id, 60).expect("granted");
    }
    apply(&mut replica, &changes(&source, 1)).expect("they follow");
    for id in 1..2_000 {
        source.revoke(id).expect("granted");
    }
    apply(&mut replica, &changes(&source, 1)).expect("they follow");
    assert_eq!(replica.engine.leases(), [LeaseId(2_000)]);
}

#[test]
fn a_replica_has_a_bound_too() {
    let mut source = source();
    source.put("a", &"v".repeat(4_000));
    let limits = revkv::Limits { bytes_max: 4_000, ..revkv::Limits::default() };
    let mut replica = Store::with_limits(limits);
    assert_eq!(apply(&mut replica, &changes(&source, 1)), Err("QUOTA_EXCEEDED"));
}

/// Who applies changes may have no medium, and be the source of another.
#[test]
fn a_replica_is_a_source_too() {
    let mut source = source_with_puts(3);
    source.grant(7, 60).expect("granted");
    source.put_leased("b", "leased", 7).expect("granted");
    let mut middle = Engine::new(EngineOptions::default());
    middle.start().expect("nothing is stored");
    middle.apply_changes(&changes(&source, 1).bytes).expect("they follow");
    let told = middle.changes(1, 0, 0).expect("kept");
    assert_eq!(told.incarnation, [1; 16]);
    let mut last = Store::new();
    apply(&mut last, &told).expect("they follow");
    compare(&last, &source);
    let history = last.engine.history(&revkv::History::default()).expect("now");
    assert_eq!(events(&history), ["2 PUT a=1", "3 PUT a=2", "4 PUT a=3", "5 PUT b=leased"]);
}

/// A leader with five revisions stored and five more told, resigned; and its successor, which has written others, but for
/// the last. Each may have compacted.
fn deposed(compacts: [bool; 2]) -> (Store, Store, WatcherId) {
    let mut deposed = source_with_puts(4);
    deposed.flush();
    let mut leader = deposed.clone();
    leader.reopen();
    let told = deposed.watch(KeyRange::ALL, 0);
    for (store, value) in [(&mut deposed, "of the deposed"), (&mut leader, "of the leader")] {
        for _ in 6..=9 {
            store.put("a", value);
        }
        store.put("b", "of both");
    }
    assert_eq!(deposed.take(told).len(), 5);
    for (store, compacts) in [&mut deposed, &mut leader].into_iter().zip(compacts) {
        if compacts {
            store.compact(10).expect("not compacted before");
            store.remove();
        }
    }
    deposed.engine.resign();
    (deposed, leader, told)
}

/// What the deposed leader had compacted could not be compared any more, and passed for the same.
#[test]
fn a_deposed_leader_that_compacted_begins_anew() {
    let (mut deposed, leader, told) = deposed([true, false]);
    assert_eq!(deposed.engine.known_revision(), 5);
    assert_eq!(apply(&mut deposed, &changes(&leader, 5)), Err("DIVERGED"));
    let snapshot = leader.engine.backup(0, true).expect("now");
    assert_eq!(deposed.engine.receive_chunk(&snapshot), Ok(Some(10)));
    assert_eq!(code(deposed.engine.take_events(told, 0, 100)), "RESTORED");
    assert_eq!(deposed.hash(0), leader.hash(0));
}

/// The same where the new leader has compacted.
#[test]
fn what_a_deposed_leader_told_is_not_in_a_compacted_snapshot() {
    let (mut deposed, leader, told) = deposed([false, true]);
    assert_eq!(code(leader.engine.changes(deposed.engine.known_revision(), 0, 0)), "COMPACTED");
    let snapshot = leader.engine.backup(0, true).expect("now");
    assert_eq!(deposed.engine.receive_chunk(&snapshot), Ok(Some(10)));
    deposed.engine.check();
    assert_eq!(code(deposed.engine.take_events(told, 0, 100)), "RESTORED");
}

/// Who resigns twice still has what may be gone.
#[test]
fn doubt_is_not_resigned() {
    let (mut deposed, _, _) = deposed([false, false]);
    deposed.engine.resign();
    assert_eq!((deposed.engine.known_revision(), deposed.engine.durable_revision()), (5, 5));
}

/// A portion that ends before what the deposed leader has told of leases, and the next one did not tell it again.
#[test]
fn a_deposed_leader_hears_of_leases_in_every_portion() {
    let mut deposed = source_with_puts(4);
    deposed.grant(7, 60).expect("it is new");
    deposed.flush();
    let mut leader = deposed.clone();
    leader.reopen();
    leader.revoke(7).expect("it was granted");
    for store in [&mut deposed, &mut leader] {
        store.put("a", "of both");
        store.put("a", "of both, too");
    }
    deposed.engine.resign();
    for (from, leases) in [(5, 0), (6, 0)] {
        assert_eq!(deposed.engine.known_revision(), from);
        let portion = leader.engine.changes(from, 0, 1).expect("kept");
        apply(&mut deposed, &portion).expect("it is the same");
        assert_eq!(deposed.engine.leases().len(), leases);
    }
    assert_eq!(deposed.hash(0), leader.hash(0));
}
