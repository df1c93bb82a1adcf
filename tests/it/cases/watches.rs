//! Watches: ordered, unique, whole, complete, resumable; and one clear answer where that cannot be.

use revkv::{KeyRange, Watch, WatcherId};

use super::script::{Store, code, delete, from, key, nested, put, recover, revision_of, span};

fn watch_with(store: &mut Store, watch: &Watch<'_>) -> WatcherId {
    store.engine.watch(watch).expect("a watch that can begin")
}

/// etcd's TestStartWatcherFromCompactedRevision, TestWatcherRequestProgress: the start is inclusive, and the event of
/// the present revision belongs to a watch from it.
#[test]
fn a_watch_begins_with_its_start_revision() {
    let all = ["2 PUT a=1", "3 PUT a=2", "4 PUT a=3", "5 PUT a=4"];
    for (start, first) in [(0, 3), (1, 0), (2, 0), (3, 1), (4, 2), (5, 3), (6, 4)] {
        let mut store = Store::with_puts_of("a", 3);
        let watch = store.watch(key("a"), start);
        assert_eq!(store.engine.pending_watches().is_empty(), start == 0 || start > 4, "start {start}");
        store.put("a", "4");
        assert_eq!(store.take(watch), all[first..], "start {start}");
        assert_eq!(store.take(watch), [""; 0], "start {start}, once more");
    }
}

/// etcd's TestWatchFutureRev and #20221: a watch from a revision to come is silent until then, and never given less.
#[test]
fn a_watch_from_the_future_waits_for_it() {
    let mut store = Store::new();
    let watch = store.watch(key("a"), 10);
    let never = store.watch(KeyRange::ALL, u64::MAX);
    for revision in 2..10 {
        store.put("a", &revision.to_string());
        assert_eq!(store.engine.pending_watches(), [], "at {revision}");
        assert_eq!(store.take_some(watch, 1), Ok((vec![], revision)));
    }
    store.compact(9).expect("not compacted before");
    store.put("a", "10");
    assert_eq!((store.take(watch), store.take(never)), (vec!["10 PUT a=10".to_owned()], vec![]));
}

/// etcd replayed all of history to a watch with a negative start, which was to say "from now on" (PR 20709). There is
/// one way to say it here, and it replays nothing.
#[test]
fn from_now_on_is_never_a_replay() {
    let mut store = Store::with_puts_of("a", 3);
    let watch = store.watch(KeyRange::ALL, 0);
    assert_eq!((store.engine.pending_watches(), store.take_some(watch, 10)), (vec![], Ok((vec![], 4))));
    store.reopen();
    let watch = store.watch(KeyRange::ALL, 0);
    assert_eq!(store.take_some(watch, 10), Ok((vec![], 4)));
}

/// etcd's TestV3WatchEmptyKey: a put of an empty value is a put.
#[test]
fn events_are_puts_and_deletes() {
    let mut store = Store::new();
    let watch = store.watch(from("a"), 0);
    store.put("a", "");
    store.put("a", "");
    store.delete(key("a"));
    store.delete(key("a"));
    store.put("0", "before the range");
    store.put("a", "1");
    assert_eq!(store.take(watch), ["2 PUT a=", "3 PUT a=", "4 DELETE a", "6 PUT a=1"]);
}

/// Which keys a watch sees, next to those it does not.
#[test]
fn a_watch_sees_its_range_and_nothing_beside() {
    let rows: [(KeyRange<'_>, &str); 7] = [
        (key("b"), "b"),
        (span("b", "c"), "b b\0 ba"),
        (span("b", "b\0"), "b"),
        (span("", "b"), "a"),
        (from("ba"), "ba c"),
        (from(""), "a b b\0 ba c"),
        (KeyRange::ALL, "a b b\0 ba c"),
    ];
    for (keys, expected) in rows {
        let mut store = Store::new();
        let live = store.watch(keys, 0);
        for key in ["a", "b", "b\0", "ba", "c"] {
            store.put(key, "");
        }
        let late = store.watch(keys, 1);
        for watch in [live, late] {
            let seen = store.take(watch);
            let seen: Vec<&str> = seen.iter().filter_map(|line| line.split_once("PUT ")?.1.strip_suffix('=')).collect();
            assert_eq!(seen.join(" "), expected, "{keys:?}");
        }
    }
}

/// etcd-io/etcd#5224 and TestWatchDeleteRange: each key of a range delete has its own event; etcd once named the last
/// key three times.
#[test]
fn a_range_delete_names_each_of_its_keys() {
    let mut store = Store::new();
    for key in ["foo_0", "foo_1", "foo_2"] {
        store.put(key, "bar");
    }
    let watch = store.watch(span("foo_", "foo`"), 0);
    assert_eq!(store.delete(span("foo_", "foo_3")), (3, 5));
    assert_eq!(store.take(watch), ["5 DELETE foo_0, DELETE foo_1, DELETE foo_2"]);
}

/// The events of a revision come in the order of its operations, not of its keys, live and from history.
#[test]
fn a_revision_is_told_in_the_order_it_was_made() {
    let mut store = Store::new();
    store.put("b", "0");
    let live = store.watch(KeyRange::ALL, 0);
    let ops = vec![put("c", "1"), nested(vec![delete(span("b", "c"))]), put("a", "1")];
    assert_eq!(store.run(ops), Ok(3));
    let late = store.watch(KeyRange::ALL, 3);
    for watch in [live, late] {
        assert_eq!(store.take(watch), ["3 PUT c=1, DELETE b, PUT a=1"]);
    }
}

/// etcd's TestWatchBatchUnsynced: however few events are asked for, a revision is given whole, and all of them are given
/// in the end, the second change of a key in a revision too.
#[test]
fn portions_are_of_whole_revisions() {
    let mut store = Store::new();
    for _ in 0..12 {
        store.run(vec![delete(from("k")), put("k", "1"), put("l", "1")]).expect("accepted");
    }
    let whole = ["2 PUT k=1, PUT l=1".to_owned()].into_iter();
    let whole: Vec<String> =
        whole.chain((3..=13).map(|main| format!("{main} DELETE k, DELETE l, PUT k=1, PUT l=1"))).collect();
    for (events_max, revisions) in [(0, 1), (1, 1), (4, 1), (5, 2), (9, 3), (1000, 12)] {
        let watch = store.watch(KeyRange::ALL, 3);
        let mut seen = Vec::new();
        while seen.len() < 11 {
            let (lines, through) = store.take_some(watch, events_max).expect("kept");
            assert_eq!(lines.len(), revisions.min(11 - seen.len()), "at most {events_max} events");
            seen.extend(lines);
            assert_eq!(through, seen.len() as u64 + 2, "complete through what was given and no further");
        }
        assert_eq!(seen, whole[1..], "at most {events_max} events");
    }
    let watch = store.watch(KeyRange::ALL, 2);
    assert_eq!(store.take(watch), whole);
}

/// etcd's TestV3WatchProgressWaitsForSync and #15220: a reader that is behind must not be told of progress past events
/// that it has not been given; a reader of a quiet key is told of the present at once (#17507 hung).
#[test]
fn progress_never_passes_events_that_are_still_owed() {
    let mut store = Store::with_puts_of("a", 100);
    let behind = store.watch(key("a"), 2);
    let quiet = store.watch(key("quiet"), 2);
    assert_eq!(store.take_some(quiet, 1), Ok((vec![], 101)));
    let mut given = 1;
    while given < 101 {
        let (lines, through) = store.take_some(behind, 7).expect("kept");
        given += lines.len() as u64;
        assert_eq!(through, given, "the revisions are of this key, one after another");
    }
    assert_eq!(store.take_some(behind, 7), Ok((vec![], 101)));
}

/// etcd's TestWatcherRequestProgress and TestWatcherRequestProgressAll: each watcher has a progress of its own; one that
/// is behind holds back nobody and is not carried along.
#[test]
fn a_slow_watcher_is_alone_with_its_progress() {
    let mut store = Store::with_puts_of("a", 5);
    let slow = store.watch(key("a"), 2);
    let quick = store.watch(key("a"), 2);
    let future = store.watch(key("a"), 9);
    assert_eq!(store.take_some(quick, 100).map(|(lines, through)| (lines.len(), through)), Ok((5, 6)));
    assert_eq!(store.take_some(slow, 1), Ok((vec!["2 PUT a=1".to_owned()], 2)));
    assert_eq!(store.engine.pending_watches(), [slow]);
    store.put("a", "6");
    assert_eq!(store.engine.pending_watches(), [slow, quick]);
    assert_eq!(store.take(quick), ["7 PUT a=6"]);
    assert_eq!(store.take(slow).len(), 5);
    assert_eq!(store.take(future), [""; 0]);
}

/// etcd's TestV3WatchProgressOnMemberRestart, PR 15248, TestV3WatchProgressWaitsForSync: `through` and each batch's
/// revision are bookmarks, and one more than them is where to go on: the revision itself would repeat it. (A header of
/// etcd's names the present, and a client that resumed from it lost events.)
#[test]
fn every_bookmark_resumes_without_loss_or_repetition() {
    let mut store = Store::new();
    for round in 0..10 {
        store.run(vec![put("a", "1"), put("b", "1")]).expect("accepted");
        store.put("other", &round.to_string());
    }
    let watch = store.watch(span("a", "c"), 2);
    let whole = store.take(watch);
    assert_eq!(whole.len(), 10);
    for events_max in 1..=20 {
        let watch = store.watch(span("a", "c"), 2);
        let (given, through) = store.take_some(watch, events_max).expect("kept");
        let last = given.last().map(|line| revision_of(line)).expect("a take gives one revision at least");
        for bookmark in [last, through] {
            let resumed = store.watch(span("a", "c"), bookmark + 1);
            assert_eq!([given.clone(), store.take(resumed)].concat(), whole, "{events_max} events, from {bookmark}");
        }
    }
}

/// A take may be bounded by a revision, as for a reader that is told only of what is durable.
#[test]
fn a_take_goes_no_further_than_its_bound() {
    let mut store = Store::with_puts_of("a", 4);
    let watch = store.watch(key("a"), 0);
    store.put("a", "5");
    store.put("b", "1");
    store.put("a", "6");
    for (up_to, expected) in [(5, vec![]), (6, vec![6]), (6, vec![]), (7, vec![]), (100, vec![8])] {
        let taken = store.engine.take_events(watch, up_to, 100).expect("kept");
        let revisions: Vec<u64> = taken.batches.iter().map(|batch| batch.revision).collect();
        assert_eq!((revisions, taken.through), (expected, up_to.min(8)), "up to {up_to}");
    }
}

/// etcd-io/etcd#17529, TestWatchNoEventLossOnCompact, TestV3NoEventsLostOnCompact: a reader that compaction overtakes is
/// told so; etcd once moved it past the compacted events in silence. What it took before stays taken.
#[test]
fn a_slow_reader_is_told_when_compaction_overtakes_it() {
    let mut store = Store::with_puts_of("a", 100);
    let [slow, nearly, live] = [2, 60, 0].map(|start| store.watch(key("a"), start));
    assert_eq!(store.take_some(slow, 10).map(|(lines, _)| lines.len()), Ok(10));
    store.compact(61).expect("not compacted before");
    assert_eq!(store.engine.pending_watches(), [slow, nearly]);
    let overtaken = store.engine.take_events(slow, 0, 10).expect_err("it has lost events");
    assert_eq!(overtaken, revkv::Error::Compacted { requested: 12, compacted: 61 });
    assert_eq!(code(store.engine.take_events(nearly, 0, 10)), "COMPACTED");
    assert_eq!(code(store.engine.take_events(slow, 0, 10)), "INVALID_ARGUMENT", "it is told once and has ended");
    assert_eq!((store.engine.pending_watches(), store.engine.stats().watchers), (vec![], 1));
    store.put("a", "live");
    assert_eq!(store.take(live), ["102 PUT a=live"]);
}

/// The same watch goes on where it may begin again: with the range as it is, then the changes after it.
#[test]
fn a_slow_reader_may_begin_again_with_the_whole_range() {
    let mut store = Store::with_puts_of("a", 10);
    store.put("b", "1");
    let resyncing = Watch { keys: span("a", "c"), start_revision: 2, resync: true, ..Watch::default() };
    let watch = watch_with(&mut store, &resyncing);
    store.take_some(watch, 3).expect("kept");
    store.compact(9).expect("not compacted before");
    store.put("z", "outside");
    assert_eq!(store.take(watch), ["13 RESYNC PUT a=10, PUT b=1"]);
    store.delete(key("a"));
    assert_eq!(store.take(watch), ["14 DELETE a"]);
    let fresh = watch_with(&mut store, &resyncing);
    assert_eq!(store.take(fresh), ["14 RESYNC PUT b=1"]);
    let live = watch_with(&mut store, &Watch { start_revision: 0, ..resyncing.clone() });
    store.compact(14).expect("not compacted before");
    store.put("b", "2");
    assert_eq!(store.take(live), ["15 PUT b=2"], "who is not behind has lost nothing");
}

/// A watcher that has nothing to take has lost nothing, however far a compaction goes past its last event; so has one
/// that waits for the compact revision itself.
#[test]
fn compaction_leaves_readers_alone_that_are_owed_nothing() {
    let mut store = Store::with_puts_of("a", 5);
    let quiet = store.watch(key("quiet"), 0);
    let at = store.watch(key("a"), 5);
    for _ in 0..5 {
        store.put("other", "");
    }
    store.compact(5).expect("not compacted before");
    store.remove();
    assert_eq!(store.take(at), ["5 PUT a=4", "6 PUT a=5"]);
    store.compact(11).expect("not compacted before");
    store.remove();
    store.put("quiet", "1");
    assert_eq!(store.take(quiet), ["12 PUT quiet=1"]);
}

/// etcd's TestWatchCompactRevision and TestWatchCompacted: one answer that names the compact revision, and no watcher.
/// Compacted at the revision asked for, nothing is lost.
#[test]
fn a_watch_below_the_compact_revision_does_not_begin() {
    let mut store = Store::with_puts_of("a", 3);
    store.compact(4).expect("not compacted before");
    for stage in ["accepted", "removed", "reopened"] {
        for start_revision in 1..4 {
            let refused = store.engine.watch(&Watch { start_revision, ..Watch::default() });
            let expected = revkv::Error::Compacted { requested: start_revision, compacted: 4 };
            assert_eq!(refused, Err(expected), "{stage}");
        }
        assert_eq!((store.engine.stats().watchers, store.engine.pending_watches()), (0, vec![]), "{stage}");
        let at = store.watch(KeyRange::ALL, 4);
        assert_eq!(store.take(at), ["4 PUT a=3"], "{stage}");
        assert!(store.engine.cancel_watch(at));
        match stage {
            "accepted" => store.remove(),
            _ => store.reopen(),
        }
    }
}

/// etcd-io/etcd#18089 (TestDeleteEventDrop): the delete at the compact revision was dropped, and a mirror kept the key
/// for ever.
#[test]
fn a_delete_at_the_compact_revision_is_still_delivered() {
    let mut store = Store::new();
    for value in ["2", "3", "4"] {
        store.put("k", value);
    }
    store.delete(key("k"));
    store.put("k", "6");
    store.compact(5).expect("not compacted before");
    for stage in ["accepted", "removed", "reopened", "reopened twice"] {
        let watch = store.watch(key("k"), 5);
        assert_eq!(store.take(watch), ["5 DELETE k", "6 PUT k=6"], "{stage}");
        match stage {
            "accepted" => store.remove(),
            _ => store.reopen(),
        }
    }
}

/// The complete compact revision is delivered, every key of it, whichever way it was changed.
#[test]
fn the_compact_revision_is_delivered_whole() {
    let mut store = Store::new();
    store.run(vec![put("a", "1"), put("b", "1"), put("c", "1")]).expect("accepted");
    store.run(vec![put("d", "2"), delete(span("a", "c")), put("c", "2")]).expect("accepted");
    store.put("a", "4");
    store.put("d", "5");
    store.compact(3).expect("not compacted before");
    let expected = ["3 PUT d=2, DELETE a, DELETE b, PUT c=2", "4 PUT a=4", "5 PUT d=5"];
    for stage in ["accepted", "removed", "reopened"] {
        let watch = store.watch(KeyRange::ALL, 3);
        assert_eq!(store.take(watch), expected, "{stage}");
        match stage {
            "accepted" => store.remove(),
            _ => store.reopen(),
        }
    }
}

/// etcd-io/etcd#14563 and TestV3WatchWrongRange: a watch that cannot begin disturbs none that is there; etcd's answer
/// bore the id of a living one.
#[test]
fn a_watch_that_is_refused_disturbs_no_other() {
    let mut store = Store::new();
    let first = store.watch(key("a"), 0);
    let refused = [
        (span("b", "a"), "INVALID_RANGE"),
        (span("a", "a"), "INVALID_RANGE"),
        (span("a", ""), "INVALID_RANGE"),
        (key(""), "INVALID_KEY"),
    ];
    for (keys, expected) in refused {
        assert_eq!(code(store.engine.watch(&Watch { keys, ..Watch::default() })), expected, "{keys:?}");
    }
    assert_eq!(store.engine.stats().watchers, 1);
    let second = store.watch(key("a"), 0);
    assert!(second > first, "ids are not used again");
    store.put("a", "1");
    assert_eq!(store.engine.pending_watches(), [first, second]);
    assert_eq!((store.take(first), store.take(second)), (vec!["2 PUT a=1".to_owned()], vec!["2 PUT a=1".to_owned()]));
}

/// etcd's TestWatcherWatchWrongRange: after refusals, cancelling and writing go on as if they had not been.
#[test]
fn cancelling_after_a_refusal_does_not_panic() {
    let mut store = Store::new();
    assert_eq!(code(store.engine.watch(&Watch { keys: span("b", "a"), ..Watch::default() })), "INVALID_RANGE");
    assert!([0, 1, u32::MAX].iter().all(|id| !store.engine.cancel_watch(WatcherId(*id))));
    store.put("a", "1");
    assert_eq!(store.engine.stats().watchers, 0);
}

/// etcd's TestWatcherWatchWithFilter: what is left out is silence, but the position goes on: the put does not come back
/// after a restart. Filters belong to one watch; leaving out both kinds leaves progress.
#[test]
fn filters_leave_out_events_and_not_progress() {
    let mut store = Store::new();
    let mut filtered = |no_put, no_delete| {
        let watch = Watch { keys: from("a"), no_put, no_delete, ..Watch::default() };
        watch_with(&mut store, &watch)
    };
    let (no_put, no_delete, neither, both) =
        (filtered(true, false), filtered(false, true), filtered(true, true), filtered(false, false));
    store.put("a", "1");
    assert_eq!(store.engine.pending_watches(), [no_delete, both]);
    assert_eq!(store.take_some(no_put, 1), Ok((vec![], 2)));
    store.run(vec![put("b", "1"), delete(key("a"))]).expect("accepted");
    assert_eq!(store.take(no_put), ["3 DELETE a"]);
    assert_eq!(store.take(no_delete), ["2 PUT a=1", "3 PUT b=1"]);
    assert_eq!(store.take_some(neither, 1), Ok((vec![], 3)));
    assert_eq!(store.take(both), ["2 PUT a=1", "3 PUT b=1, DELETE a"]);
    store.reopen();
    let resumed = Watch { keys: from("a"), start_revision: 3, no_put: true, ..Watch::default() };
    let resumed = watch_with(&mut store, &resumed);
    assert_eq!(store.take(resumed), ["3 DELETE a"]);
}

/// etcd's TestWatchMixedPrevKVOnSameKeySeparateStreams and TestWatchResponseEventsNotSharedAcrossWatchers: until 3.6.9
/// etcd shared one event between watchers, and who had not asked for the previous value was given it.
#[test]
fn a_previous_value_goes_to_who_asked_for_it() {
    let mut store = Store::new();
    let plain = store.watch(key("a"), 0);
    let asking = watch_with(&mut store, &Watch { keys: key("a"), prev_kv: true, ..Watch::default() });
    for value in ["1", "2"] {
        store.put("a", value);
    }
    store.delete(key("a"));
    store.put("a", "3");
    let with_prev = ["2 PUT a=1", "3 PUT a=2 was 1", "4 DELETE a was 2", "5 PUT a=3"];
    let without = ["2 PUT a=1", "3 PUT a=2", "4 DELETE a", "5 PUT a=3"];
    assert_eq!(store.take(asking), with_prev);
    assert_eq!(store.take(plain), without);
    let late = watch_with(&mut store, &Watch { keys: key("a"), start_revision: 2, prev_kv: true, ..Watch::default() });
    assert_eq!(store.take(late), with_prev, "from history, and with what has come since");
}

/// A key changed twice in one revision: the previous value is the one before the revision, for each of its events but a
/// creation.
#[test]
fn a_previous_value_is_from_before_the_revision() {
    let mut store = Store::new();
    store.put("a", "old");
    let asking = watch_with(&mut store, &Watch { keys: from("a"), prev_kv: true, ..Watch::default() });
    store.run(vec![nested(vec![put("a", "1")]), nested(vec![delete(key("a"))])]).expect("accepted");
    store.run(vec![nested(vec![put("a", "2")]), nested(vec![delete(key("a"))])]).expect("accepted");
    assert_eq!(store.take(asking), ["3 PUT a=1 was old, DELETE a was old", "4 PUT a=2, DELETE a"]);
    store.put("a", "last");
    store.run(vec![delete(from("a")), put("a", "new")]).expect("accepted");
    assert_eq!(
        store.take(asking),
        ["5 PUT a=last", "6 DELETE a was last, PUT a=new"],
        "a creation has no previous value"
    );
}

/// etcd-io/etcd#10681: the previous value of an event at the compact revision is gone; the event is not.
#[test]
fn an_event_outlives_its_previous_value() {
    let mut store = Store::with_puts_of("a", 4);
    store.compact(4).expect("not compacted before");
    for stage in ["accepted", "removed", "reopened"] {
        let asking = watch_with(&mut store, &Watch { start_revision: 4, prev_kv: true, ..Watch::default() });
        assert_eq!(store.take(asking), ["4 PUT a=3", "5 PUT a=4 was 3"], "{stage}");
        match stage {
            "accepted" => store.remove(),
            _ => store.reopen(),
        }
    }
}

/// etcd's TestWatchStreamCancelWatcherByID and #19577: a cancelled watch gives nothing more, also what it was owed; a
/// second cancel finds nothing; the counters are exact.
#[test]
fn a_cancelled_watch_is_gone_with_what_it_was_owed() {
    let mut store = Store::with_puts_of("a", 3);
    let [owed, idle, future, kept] = [2, 0, 9, 2].map(|start| store.watch(key("a"), start));
    store.take_some(owed, 1).expect("kept");
    store.put("a", "4");
    assert_eq!(store.engine.stats().watchers, 4);
    for (left, id) in [(3, owed), (2, future), (1, idle)] {
        assert!(store.engine.cancel_watch(id));
        assert!(!store.engine.cancel_watch(id), "it can be cancelled once");
        assert_eq!(code(store.engine.take_events(id, 0, 1)), "INVALID_ARGUMENT");
        assert_eq!(store.engine.stats().watchers, left);
        store.engine.check();
    }
    assert_eq!(store.engine.pending_watches(), [kept]);
    store.put("a", "5");
    assert_eq!(store.take(kept).len(), 5);
}

/// A reader that never comes costs the writers nothing and loses nothing, as long as nothing is compacted (etcd parks
/// what does not fit a channel of 128 responses).
#[test]
fn a_reader_that_comes_late_finds_everything() {
    let mut store = Store::new();
    let late = store.watch(KeyRange::ALL, 0);
    let other = store.watch(key("a"), 0);
    for round in 0..2_000 {
        store.put(if round % 2 == 0 { "a" } else { "b" }, "");
        assert_eq!(store.take(other).len(), usize::from(round % 2 == 0));
    }
    let mut seen = 0;
    while let [_, ..] = store.engine.pending_watches()[..] {
        seen += store.take_some(late, 128).expect("kept").0.len();
    }
    assert_eq!(seen, 2_000);
}

/// One that is only told that something has changed is moved on, past what compaction has taken too; what comes then is
/// told again.
#[test]
fn a_watcher_is_moved_past_what_it_need_not_see() {
    let mut store = Store::with_puts_of("a", 3);
    let id = store.watch(key("a"), 2);
    store.compact(4).expect("not compacted before");
    assert_eq!(store.engine.pending_watches(), [id]);
    store.engine.skip_events(id).expect("it is there");
    store.engine.check();
    assert_eq!(store.engine.pending_watches(), []);
    store.put("b", "1");
    assert_eq!(store.engine.pending_watches(), []);
    store.put("a", "4");
    assert_eq!(store.engine.pending_watches(), [id]);
    assert_eq!(store.take(id), ["6 PUT a=4"]);
    store.engine.cancel_watch(id);
    assert!(store.engine.skip_events(id).is_err());
}

/// Who was told that its history is gone twice over: the watches that the second one ends are older than those of the first,
/// and were not found any more.
#[test]
fn watches_end_with_one_content_after_another() {
    let mut store = Store::with_puts_of("a", 2);
    store.flush();
    let backup = store.engine.backup(0, true).expect("now");
    let older = store.watch(KeyRange::ALL, 0);
    store.put("a", "refused");
    let newer = store.watch(KeyRange::ALL, 0);
    drop(store.engine.take_ready().expect("a put"));
    let found = recover(&store.blobs, 64 << 10).expect("what was written");
    store.engine.rewind(found).expect("nobody else has written");
    store.engine.check();
    store.engine.restore(&backup, [9; 16]).expect("a whole backup");
    store.engine.check();
    for watch in [older, newer] {
        assert_eq!(code(store.engine.take_events(watch, 0, 10)), "RESTORED");
        store.engine.check();
    }
}
