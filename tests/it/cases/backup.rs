//! A store as bytes that another can be made of, and a medium that is written anew after a failure.

use revkv::{Engine, EngineOptions, Error, KeyRange, TransferId};

use super::script::{Store, code, compare_with_reopened, delete, key, put};

const OTHER_LIFE: [u8; 16] = [9; 16];

/// Three lives of `a`, a lease with `b`, and a history that is compacted at 4.
fn store() -> Store {
    let mut store = Store::with_puts_of("a", 3);
    store.grant(7, 60).expect("granted");
    store.put_leased("b", "leased", 7).expect("granted");
    store.run(vec![delete(key("a")), put("c", "1")]).expect("accepted");
    store.put("a", "again");
    store.compact(4).expect("not compacted before");
    store.remove();
    store.flush();
    store
}

fn restored(backup: &[u8]) -> Store {
    let mut store = Store::with_puts_of("other", 20);
    store.flush();
    store.engine.restore(backup, OTHER_LIFE).expect("a whole backup");
    store.engine.check();
    store
}

#[test]
fn a_backup_with_history_is_the_same_store() {
    let before = store();
    let backup = before.engine.backup(0, true).expect("now");
    let mut after = restored(&backup);
    assert_eq!((after.engine.revision(), after.engine.compact_revision()), (7, 4));
    for revision in 4..=7 {
        assert_eq!((after.hash(revision), after.state(revision)), (before.hash(revision), before.state(revision)));
    }
    assert_eq!((after.readable(3), after.keys_of(7)), ("COMPACTED", vec!["b".to_owned()]));
    assert_eq!(after.engine.durable_revision(), 1, "nothing of it is stored");
    after.flush();
    compare_with_reopened(&after);
    assert_eq!(after.engine.backup(0, true).expect("now").len(), backup.len());
}

#[test]
fn a_backup_of_a_moment_has_its_keys_and_no_history() {
    let before = store();
    let mut after = restored(&before.engine.backup(5, false).expect("readable"));
    assert_eq!((after.engine.revision(), after.engine.compact_revision()), (5, 5));
    assert_eq!((after.state(0), after.life("a", 0)), (before.state(5), Some((2, 4, 3))));
    assert_eq!((after.engine.stats().revisions, after.readable(4)), (2, "COMPACTED"));
    assert_eq!(after.put("a", "on"), 6);
    after.flush();
    compare_with_reopened(&after);
    let now = restored(&before.engine.backup(0, false).expect("now"));
    assert_eq!((now.state(0), now.engine.stats().revisions), (before.state(0), 3), "a record for each key");
    assert_eq!(code(before.engine.backup(3, false)), "COMPACTED");
    assert_eq!(code(before.engine.backup(8, true)), "FUTURE_REVISION");
}

/// What was stored gives way in the batch that writes the backup, and not before.
#[test]
fn what_was_there_ends_with_the_restore() {
    let mut store = Store::with_puts_of("a", 2);
    store.flush();
    let old = store.blobs.clone();
    let watches = [store.watch(KeyRange::ALL, 0), store.watch(key("a"), 2)];
    let snapshot = store.engine.snapshot(2).expect("readable");
    let backup = Store::with_puts_of("b", 9).engine.backup(0, true).expect("now");
    store.engine.restore(&backup, OTHER_LIFE).expect("a whole backup");
    assert_eq!(store.engine.pending_watches(), watches);
    assert!(!store.engine.release_snapshot(snapshot));
    for watch in watches {
        assert_eq!(code(store.engine.take_events(watch, 0, 100)), "RESTORED");
    }
    assert_eq!((store.engine.pending_watches(), store.engine.stats().watchers), (vec![], 0));
    let ready = store.engine.take_ready().expect("the backup");
    assert_eq!(ready.delete, old.keys().cloned().collect::<Vec<_>>());
    store.write(ready);
    compare_with_reopened(&store);
}

#[test]
fn a_backup_that_is_cut_or_damaged_changes_nothing() {
    let backup = store().engine.backup(0, true).expect("now");
    let mut store = Store::with_puts_of("a", 2);
    let before = (store.hash(0), store.engine.stats());
    let mut refuse = |bytes: &[u8], how: &str| {
        let code = code(store.engine.restore(bytes, OTHER_LIFE));
        assert!(["CORRUPT", "UNSUPPORTED_FORMAT"].contains(&code), "{how}: {code}");
    };
    for bit in 0..backup.len() * 8 {
        let mut damaged = backup.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        refuse(&damaged, &format!("bit {bit}"));
    }
    for length in 0..backup.len() {
        refuse(&backup[..length], &format!("{length} bytes"));
    }
    refuse(&[&backup[..], &backup[..]].concat(), "twice");
    assert_eq!((store.hash(0), store.engine.stats()), before);
    store.engine.check();
}

fn reopened(store: &Store) -> Engine {
    let mut engine = Engine::new(EngineOptions { blob_bytes_max: 64 << 10, ..EngineOptions::default() });
    for (id, bytes) in &store.blobs {
        engine.recover(id, bytes).expect("a blob that was written");
    }
    engine.start().expect("every blob");
    engine
}

/// A write failed, and nobody knows whether it is stored. It is not retried: everything is written again.
#[test]
fn a_medium_that_failed_is_written_anew() {
    for reached in [false, true] {
        let mut store = store();
        store.put("a", "in doubt");
        let in_doubt = store.engine.take_ready().expect("a put");
        if reached {
            store.write(in_doubt);
        }
        let epoch = store.engine.epoch();
        let found = reopened(&store);
        store.engine.heal(found).expect("nobody else has written");
        assert_eq!(store.engine.epoch(), epoch + 1);
        store.put("a", "since");
        store.flush();
        compare_with_reopened(&store);
        assert_eq!((store.state(8), store.engine.revision()), ("a=in doubt b=leased c=1".to_owned(), 9));
    }
}

/// The batch of a restore fails again and again, the medium holding what was there before.
#[test]
fn a_restore_that_is_not_taken_is_written_anew() {
    let mut store = store();
    let backup = Store::with_puts_of("b", 9).engine.backup(0, true).expect("now");
    for life in [1, 2] {
        store.engine.restore(&backup, [life; 16]).expect("a whole backup");
        for _ in 0..2 {
            drop(store.engine.take_ready().expect("the backup"));
            let found = reopened(&store);
            store.engine.heal(found).expect("nobody else has written");
        }
    }
    store.flush();
    compare_with_reopened(&store);
    assert_eq!(store.state(0), "b=9");
}

/// Found by random histories of replicas: what the first one was to replace stayed, and the medium held two lives.
#[test]
fn a_restore_before_the_last_one_is_written_replaces_all() {
    let mut store = store();
    let backup = Store::with_puts_of("b", 9).engine.backup(0, true).expect("now");
    store.engine.restore(&backup, [1; 16]).expect("a whole backup");
    store.engine.restore(&backup, [2; 16]).expect("a whole backup");
    store.flush();
    compare_with_reopened(&store);
    assert_eq!((store.state(0).as_str(), reopened(&store).incarnation()), ("b=9", [2; 16]));
}

#[test]
fn a_medium_that_another_has_written_is_left_alone() {
    let mut deposed = store();
    let mut other = deposed.clone();
    other.reopen();
    other.put("a", "of the other");
    other.flush();
    let found = reopened(&other);
    assert_eq!(code(deposed.engine.heal(found)), "NOT_LEADER");
}

/// The medium is full: what it refused is gone, and its revisions name nothing else.
#[test]
fn what_a_full_medium_refused_is_taken_back() {
    let mut store = store();
    let (told, untold) = (store.watch(KeyRange::ALL, 0), store.watch(KeyRange::ALL, 0));
    store.engine.snapshot(5).expect("readable");
    store.put_leased("a", "refused", 7).expect("granted");
    store.grant(8, 60).expect("granted");
    assert_eq!(store.take(told), ["8 PUT a=refused"]);
    drop(store.engine.take_ready().expect("a put"));
    store.put("a", "refused too");
    let found = reopened(&store);
    store.engine.rewind(found).expect("nobody else has written");
    store.engine.check();
    assert_eq!((store.state(0), store.engine.revision(), store.engine.durable_revision()), (store.state(7), 9, 7));
    assert_eq!((store.keys_of(7), store.engine.leases().len()), (vec!["b".to_owned()], 1));
    assert_eq!(code(store.engine.take_events(told, 0, 100)), "RESTORED");
    assert!(!store.engine.release_snapshot(5));
    assert_eq!(store.put("a", "accepted"), 10);
    assert_eq!(store.take(untold), ["10 PUT a=accepted"]);
    store.flush();
    compare_with_reopened(&store);
}

/// The medium is older than what was told as written. It becomes another life of the store.
#[test]
fn a_medium_that_lost_its_end_is_renewed() {
    let mut store = store();
    let before = store.engine.incarnation();
    store.engine.renew(OTHER_LIFE);
    assert_ne!(before, OTHER_LIFE);
    store.flush();
    compare_with_reopened(&store);
    assert_eq!((reopened(&store).incarnation(), store.state(0)), (OTHER_LIFE, "a=again b=leased c=1".to_owned()));
}

/// Everything that moves records or forgets them is tried between two portions.
#[test]
fn a_backup_is_as_it_was_cut_whatever_happens_while_it_is_read() {
    for history in [true, false] {
        let mut store = Store::with_puts_of("a", 1500);
        for _ in 0..1500 {
            store.put("b", &"v".repeat(100));
        }
        let revision = store.engine.revision() - 10;
        let expected = store.engine.backup(revision, history).expect("readable");
        let info = store.engine.begin_backup(revision, history).expect("readable");
        assert_eq!((info.size, info.revision), (expected.len(), revision));
        let (mut read, mut portions) = (Vec::new(), 0);
        let transfer = TransferId(info.id);
        while let Some(portion) = store.engine.transfer_chunk(transfer).expect("it goes on") {
            read.extend(portion);
            portions += 1;
            store.put("a", "later");
            if portions == 2 {
                store.compact(revision).expect("not compacted before");
                assert!(!store.engine.compact_step(), "nothing is removed meanwhile");
            }
            store.flush();
        }
        assert!(portions > 2 || !history, "{portions} portions");
        assert!(read == expected, "the backup is another");
        let changes = store.engine.stats().revisions;
        assert!(store.engine.end_transfer(transfer) && !store.engine.end_transfer(transfer));
        store.remove();
        assert!(!history || store.engine.stats().revisions < changes, "then it is removed");
        assert_eq!(code(store.engine.transfer_chunk(transfer)), "RESTORED", "it has ended");
    }
}

/// Zero says "all" to those who take events or changes, so that nothing of a restored content would have been held back.
#[test]
fn nothing_of_a_restored_content_counts_as_stored() {
    let mut after = restored(&store().engine.backup(0, true).expect("now"));
    let watch = after.watch(KeyRange::ALL, 4);
    let durable = after.engine.durable_revision();
    assert_eq!(after.engine.take_events(watch, durable, 100).expect("readable").batches, []);
    assert_eq!(after.engine.changes(4, durable, 0).map(|changes| changes.to), Ok(4));
    after.flush();
    let durable = after.engine.durable_revision();
    assert_eq!(after.engine.take_events(watch, durable, 100).expect("readable").batches.len(), 4);
}

/// The medium is full when a backup is to replace what it holds: the content goes back to another life of the store. What
/// that one had given before, stored or not, is given to nothing else, and nobody goes on from the other content.
#[test]
fn a_restore_that_a_full_medium_refused_is_taken_back() {
    let backup = Store::with_puts_of("a", 3).engine.backup(0, true).expect("now");
    let mut store = store();
    let life = store.engine.incarnation();
    store.put("a", "told and not stored");
    store.put("a", "told too");
    assert_eq!(store.engine.revision(), 9);
    store.engine.restore(&backup, OTHER_LIFE).expect("a whole backup");
    let of_the_backup = store.watch(KeyRange::ALL, 0);
    drop(store.engine.take_ready().expect("another life"));
    let found = reopened(&store);
    store.engine.rewind(found).expect("nobody else has written");
    store.engine.check();
    assert_eq!((store.engine.incarnation(), store.state(0)), (life, store.state(7)));
    assert_eq!(code(store.engine.take_events(of_the_backup, 0, 100)), "RESTORED");
    assert_eq!(store.put("a", "accepted"), 10);
    store.flush();
    compare_with_reopened(&store);
}

/// Nothing was ever written, because the first batch failed: what was found has no name yet but the one it was given.
#[test]
fn a_first_batch_that_fails_is_no_other_writer() {
    for is_full in [false, true] {
        let mut store = Store::new();
        store.put("a", "1");
        let life = store.engine.incarnation();
        drop(store.engine.take_ready().expect("a put"));
        let options = EngineOptions { incarnation: [3; 16], blob_bytes_max: 64 << 10, ..EngineOptions::default() };
        let mut found = Engine::new(options);
        found.start().expect("nothing is stored");
        let settled = if is_full { store.engine.rewind(found) } else { store.engine.heal(found) };
        assert_eq!(code(settled), "ok", "is full: {is_full}");
        store.engine.check();
        assert_eq!((store.engine.incarnation(), store.engine.revision()), (life, 2));
        assert_eq!(store.state(0), if is_full { "" } else { "a=1" });
        store.put("b", "1");
        store.flush();
        compare_with_reopened(&store);
    }
}

/// What is recovered has its name, whether or not anything is to be written.
#[test]
fn a_life_that_is_only_read_has_its_name() {
    let store = store();
    let mut engine = Engine::new(EngineOptions { incarnation: [3; 16], ..EngineOptions::default() });
    store.blobs.iter().for_each(|(id, bytes)| engine.recover(id, bytes).expect("a blob that was written"));
    engine.start().expect("every blob");
    assert_eq!(engine.incarnation(), store.engine.incarnation());
}

/// Of a large backup it is told where it is damaged: in which of its blobs, and where in that.
#[test]
fn damage_of_a_backup_is_named() {
    let mut store = Store::new();
    for number in 0..20 {
        store.put(&format!("k{number}"), &"v".repeat(8_000));
    }
    let mut backup = store.engine.backup(0, true).expect("now");
    let id = store.engine.begin_transfer(0).expect("now");
    let first = store.engine.transfer_chunk(id).expect("under way").expect("the first");
    backup[first.len() + 132] ^= 1;
    let error = store.engine.restore(&backup, OTHER_LIFE).expect_err("the second blob is damaged");
    assert!(matches!(&error, Error::Corrupt { blob, offset: 132, .. } if blob == "0000000000000002"), "{error}");
}
