//! What is written, by whom, and since when it is certain: pieces, epochs, durable revisions.

use revkv::{Engine, EngineOptions, KeyRange, Ready};

use super::script::{Blobs, Store, compare_with_reopened, delete, from, key, put, recover};

/// What is left of a blob for its piece.
const PIECE_BYTES: usize = BLOB_BYTES - HEADER_BYTES;
const BLOB_BYTES: usize = 400;
const HEADER_BYTES: usize = 140;

/// What the header of a blob says, by its place in the format.
#[derive(Debug, PartialEq)]
struct Header {
    is_notes: bool,
    first: u64,
    last: u64,
    parts: u32,
}

impl Header {
    fn of(blob: &[u8]) -> Self {
        let number = |at: usize| u64::from_le_bytes(blob[at..at + 8].try_into().expect("a header is longer"));
        let half = |at| number(at) as u32;
        Self { is_notes: half(40) == 1, first: number(44), last: number(52), parts: half(108) }
    }
}

/// Writes what is ready, of which at most one piece is no new one: of records, made of others, and no larger than a blob.
/// Gives the bytes put, and whether there was such a piece.
fn write_step(store: &mut Store, ready: Ready) -> (usize, bool) {
    let headers: Vec<Header> = store.blobs.values().map(|blob| Header::of(blob)).collect();
    let head = headers.iter().filter(|header| !header.is_notes).map(|header| header.last).max().unwrap_or(0);
    let put: Vec<Header> = ready.put.iter().map(|blob| Header::of(&blob.bytes)).collect();
    let rewritten: Vec<_> = put.iter().filter(|header| !header.is_notes && header.first <= head).collect();
    assert!(rewritten.len() <= 1 && rewritten.iter().all(|header| header.parts == 1), "one step: {rewritten:?}");
    let notes_anew = put.iter().any(|header| header.is_notes && header.first < header.last);
    assert_eq!(ready.delete.is_empty(), rewritten.is_empty() && !notes_anew, "what is rewritten is deleted");
    let is_step = !rewritten.is_empty();
    let bytes = ready.put.iter().map(|blob| blob.bytes.len()).sum();
    store.write(ready);
    (bytes, is_step)
}

/// The positions of the pieces stored of a stream.
fn row(store: &Store, is_notes: bool) -> Vec<(u64, u64)> {
    let headers = store.blobs.values().map(|blob| Header::of(blob)).filter(|header| header.is_notes == is_notes);
    let mut row: Vec<_> = headers.map(|header| (header.first, header.last)).collect();
    row.sort_unstable();
    row.dedup();
    row
}

fn size(blobs: &Blobs) -> usize {
    blobs.values().map(Vec::len).sum()
}

/// 40 commits, of which some are larger than a blob, by two leases, of which one has no key; then a compaction that is
/// stored and not removed yet.
fn compacted_store() -> Store {
    let mut store = Store::with_blobs_of(BLOB_BYTES);
    store.grant(7, 60).expect("granted");
    store.grant(8, 60).expect("granted");
    for round in 0..40_u64 {
        let value = "v".repeat(round as usize * 10);
        match round % 4 {
            3 => drop(store.run(vec![delete(from("b")), put("b", &value)]).expect("accepted")),
            kind => drop(store.put_leased(["a", "b", "c"][kind as usize], &value, 7).expect("granted")),
        }
        store.flush();
    }
    store.compact(30).expect("not compacted before");
    store.settle();
    store
}

/// Commits write a blob each. A row of small ones becomes one blob that they nearly fill, so that opening reads few.
#[test]
fn small_pieces_are_joined() {
    let mut store = Store::with_blobs_of(BLOB_BYTES);
    let mut steps = 0;
    for number in 0..400 {
        store.put(&format!("k{number:03}"), "value");
        let ready = store.engine.take_ready().expect("a put");
        steps += usize::from(write_step(&mut store, ready).1);
    }
    let row = row(&store, false);
    assert_eq!((row[0].0, row[row.len() - 1].1), (1, 400), "every commit has its position");
    assert!(row.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "without a hole: {row:?}");
    let payload = size(&store.blobs) - store.blobs.len() * HEADER_BYTES;
    let full = payload / (PIECE_BYTES * 3 / 4);
    assert!(row.len() <= full + PIECE_BYTES / 15, "{} pieces of {payload} bytes", row.len());
    assert!((20..=full + 1).contains(&steps), "{steps} steps, where {full} pieces are full");
    compare_with_reopened(&store);
    store.settle();
    compare_with_reopened(&store);
}

/// A join came with every batch, deletions too, and on a full disk had each of them refused. After going back there is none
/// for a while, though it is due.
#[test]
fn where_there_was_no_room_nothing_is_joined_for_a_while() {
    let mut store = Store::with_blobs_of(BLOB_BYTES);
    let put = |store: &mut Store, number: usize| {
        store.put(&format!("k{number:03}"), "value");
        let ready = store.engine.take_ready().expect("a put");
        write_step(store, ready).1
    };
    let first = (0..400).find(|number| put(&mut store, *number)).expect("a row of small pieces is joined");
    let mut spared = Store::with_blobs_of(BLOB_BYTES);
    (0..first).for_each(|number| assert!(!put(&mut spared, number)));
    let mut found = Engine::new(EngineOptions { blob_bytes_max: BLOB_BYTES, ..EngineOptions::default() });
    spared.blobs.iter().for_each(|(id, bytes)| found.recover(id, bytes).expect("a blob that was written"));
    found.start().expect("every blob");
    spared.engine.rewind(found).expect("nobody else has written");
    let joined = (first..400).find(|number| put(&mut spared, *number)).expect("it is tried again");
    assert_eq!(joined - first, 64);
    compare_with_reopened(&spared);
}

/// Of a row of full pieces, compaction forgets more and more of one: it is left alone until half of it is forgotten, in
/// this engine or the ones before, and the others always. When nothing is left of it, that is written once.
#[test]
fn a_piece_of_which_half_is_forgotten_is_rewritten() {
    for restarts in [false, true] {
        let mut store = Store::with_blobs_of(BLOB_BYTES);
        // Ten records of 24 bytes fill a piece so far that it is not joined again.
        let name = |piece: u32, key: u32| format!("{piece}-{key}");
        for piece in 0..4 {
            for key in 0..10 {
                store.put(&name(piece, key), "12345");
            }
            store.settle();
        }
        assert_eq!(row(&store, false), [(1, 1), (2, 2), (3, 3), (4, 4)]);
        let old: Vec<String> = store.blobs.keys().take(4).cloned().collect();
        let mut rewritten = None;
        for key in 0..10 {
            store.put(&name(1, key), "12345");
            store.compact(store.engine.revision()).expect("not compacted before");
            store.remove();
            let mut batches = 0;
            while let Some(ready) = store.engine.take_ready() {
                if ready.delete.contains(&old[1]) {
                    rewritten.get_or_insert(key + 1);
                }
                write_step(&mut store, ready);
                batches += 1;
                assert!(batches < 10, "it is written again and again");
            }
            compare_with_reopened(&store);
            if restarts {
                store.reopen();
            }
        }
        assert_eq!(rewritten, Some(5), "of ten, restarts: {restarts}");
        let left: Vec<bool> = old.iter().map(|id| store.blobs.contains_key(id)).collect();
        assert_eq!(left, [true, false, true, true], "restarts: {restarts}");
    }
}

/// A transaction may be cut into several pieces. One in its middle is rewritten from its first record to its last.
#[test]
fn a_piece_inside_of_a_transaction_is_rewritten() {
    let mut store = Store::with_blobs_of(BLOB_BYTES);
    let names: Vec<String> = (0..60).map(|key| format!("k{key:02}")).collect();
    store.run(names.iter().map(|name| put(name, "1234567")).collect()).expect("accepted");
    store.flush();
    assert_eq!(row(&store, false), [(1, 1), (2, 2), (3, 3), (4, 4)]);
    let middle = store.blobs.keys().nth(1).cloned().expect("four blobs");
    // 15 records of 17 bytes fit in a piece.
    for name in &names[17..27] {
        store.put(name, "new");
        store.compact(store.engine.revision()).expect("not compacted before");
        store.remove();
        store.settle();
        compare_with_reopened(&store);
    }
    assert!(!store.blobs.contains_key(&middle), "the second piece is another");
}

/// Whatever was rewritten by then, what is stored says what is in memory: while a removal runs, when it is done, and when
/// a crash comes between a step and its batch.
#[test]
fn what_is_stored_is_what_is_there_at_every_step() {
    let mut store = compacted_store();
    let (state, hash) = (store.state(30), store.hash(0));
    let mut removed = false;
    while !removed {
        removed = !store.step();
        while let Some(ready) = store.engine.take_ready() {
            let mut crashed = store.clone();
            write_step(&mut store, ready);
            for (name, store) in [("written", &mut store.clone()), ("lost", &mut crashed)] {
                store.crash();
                assert_eq!((store.engine.revision(), store.engine.compact_revision()), (41, 30), "{name}");
                assert_eq!((store.state(30), store.hash(0)), (state.clone(), hash), "{name}");
                assert_eq!((store.keys_of(7), store.keys_of(8)), (vec!["a".to_owned()], vec![]), "{name}");
                store.remove();
                compare_with_reopened(store);
            }
        }
    }
    compare_with_reopened(&store);
    store.reopen();
    assert!(!store.engine.compact_step(), "nothing is left to remove");
    store.put("a", "written after");
    store.compact(store.engine.revision()).expect("not compacted before");
    store.remove();
    store.settle();
    assert_eq!(store.engine.take_ready(), None, "everything was taken");
    compare_with_reopened(&store);
}

/// So many batches of one note each; gives in how many of them all notes were written anew.
fn write_notes(store: &mut Store, batches: usize) -> usize {
    let write_one = |_: &usize| {
        assert_eq!(store.keep_alive(8), Ok(60));
        let before = row(store, true).len();
        store.flush();
        row(store, true).len() <= before
    };
    (0..batches).filter(write_one).count()
}

/// Notes are written anew when most of them say nothing any more. The leases, the compaction and what was forgotten
/// outlive it, whichever engine had noted them.
#[test]
fn notes_that_mean_nothing_any_more_are_left_out() {
    for restarts in [false, true] {
        let mut store = Store::with_blobs_of(BLOB_BYTES);
        store.grant(7, 60).expect("granted");
        store.grant(8, 60).expect("granted");
        store.put_leased("a", "1", 7).expect("granted");
        for key in 0..20 {
            store.put(&format!("k{key:02}"), "12345");
        }
        store.settle();
        // Three records of a full piece are forgotten, which is no reason to write it again.
        for key in 0..3 {
            store.put(&format!("k{key:02}"), "new");
        }
        store.compact(store.engine.revision()).expect("not compacted before");
        store.remove();
        store.settle();
        if restarts {
            store.reopen();
        }
        let anew = write_notes(&mut store, 500);
        assert!((2..100).contains(&anew), "{anew} of 500 batches wrote all notes anew");
        assert!(row(&store, true).len() < 60, "{:?}", row(&store, true));
        compare_with_reopened(&store);
        store.reopen();
        assert_eq!((store.keys_of(7), store.keys_of(8)), (vec!["a".to_owned()], vec![]));
        assert_eq!((store.engine.stats().revisions, store.engine.compact_revision()), (21, 25));
        assert!(!store.engine.compact_step(), "nothing is left to remove");
    }
}

/// Notes that are written anew say of a removal what is so: that it has not come to its end.
#[test]
fn notes_written_anew_end_no_removal() {
    let mut store = Store::with_blobs_of(BLOB_BYTES);
    store.grant(8, 60).expect("granted");
    for value in 1..=9 {
        store.put("a", &value.to_string());
    }
    store.compact(10).expect("not compacted before");
    assert!(write_notes(&mut store, 200) > 0, "written anew");
    store.crash();
    store.remove();
    assert_eq!(store.engine.stats().revisions, 1);
    compare_with_reopened(&store);
}

/// A snapshot ends with its engine: what only it kept is stored still, and is forgotten by the next one, wherever its
/// pieces were by then.
#[test]
fn what_only_a_snapshot_kept_is_forgotten_after_it() {
    for rewritten in [false, true] {
        let mut store = Store::with_blobs_of(BLOB_BYTES);
        for value in 1..=9 {
            store.put("a", &value.to_string());
        }
        if !rewritten {
            store.settle();
        }
        let snapshot = store.engine.snapshot(5).expect("readable");
        store.compact(10).expect("not compacted before");
        store.remove();
        store.settle();
        assert_eq!((store.state(snapshot), store.engine.stats().revisions), ("a=4".to_owned(), 2));
        store.reopen();
        assert_eq!((store.readable(5), store.state(0)), ("COMPACTED", "a=9".to_owned()));
        store.remove();
        assert_eq!(store.engine.stats().revisions, 1);
        compare_with_reopened(&store);
        store.reopen();
        assert!(!store.engine.compact_step(), "nothing is left to remove");
        assert_eq!(store.engine.stats().revisions, 1);
    }
    // Released in the same engine, it is forgotten there.
    let mut store = Store::with_blobs_of(BLOB_BYTES);
    for value in 1..=9 {
        store.put("a", &value.to_string());
    }
    let snapshot = store.engine.snapshot(5).expect("readable");
    store.compact(10).expect("not compacted before");
    store.remove();
    store.flush();
    assert!(store.engine.release_snapshot(snapshot));
    store.remove();
    compare_with_reopened(&store);
    store.reopen();
    assert!(!store.engine.compact_step(), "nothing is left to remove");
}

/// Two streams of several pieces, some joined, some of several blobs, the last batch of both: without any blob, without
/// any two, and with any that was replaced, it does not open. Only the last batch as a whole may be missing.
#[test]
fn no_blob_may_be_missing_and_none_be_there_again() {
    let mut store = Store::with_blobs_of(BLOB_BYTES);
    let mut replaced = Blobs::new();
    let mut write = |store: &mut Store, ready: Ready| {
        replaced.extend(ready.delete.iter().map(|id| (id.clone(), store.blobs[id].clone())));
        write_step(store, ready);
    };
    for round in 0..30 {
        store.grant(round + 1, 60).expect("granted");
        store.put(&format!("k{}", round % 20), &"v".repeat(if round == 18 { 900 } else { 10 }));
        if round == 25 {
            store.compact(20).expect("not compacted before");
            store.remove();
        }
        while let Some(ready) = store.engine.take_ready() {
            write(&mut store, ready);
        }
    }
    let before = store.blobs.len();
    store.grant(99, 60).expect("granted");
    store.put("last", "");
    let ready = store.engine.take_ready().expect("a put and a grant");
    assert_eq!((ready.put.len(), ready.delete.len()), (2, 0));
    write(&mut store, ready);
    let (records, notes) = (row(&store, false), row(&store, true));
    assert!(records.len() > 5 && notes.len() > 5, "{records:?} {notes:?}");
    assert!(records.iter().chain(&notes).any(|(first, last)| last > first), "none was joined: {records:?} {notes:?}");
    assert!(store.blobs.len() > records.len() + notes.len(), "none has parts: {records:?}");

    let open = |blobs: &Blobs| recover(blobs, BLOB_BYTES).map_err(|error| error.code());
    let without = |places: [usize; 2]| {
        let left = store.blobs.iter().enumerate().filter(|(place, _)| !places.contains(place));
        open(&left.map(|(_, (id, bytes))| (id.clone(), bytes.clone())).collect())
    };
    for first in 0..store.blobs.len() {
        for second in first..store.blobs.len() {
            let is_last_batch = (first, second) == (before, before + 1);
            let code = without([first, second]).map_or_else(|code| code, |_| "ok");
            assert_eq!(code, if is_last_batch { "ok" } else { "CORRUPT" }, "without {first} and {second}");
        }
    }
    assert!(replaced.len() > 5, "{} blobs were replaced", replaced.len());
    for (id, bytes) in &replaced {
        let mut blobs = store.blobs.clone();
        blobs.insert(id.clone(), bytes.clone());
        assert_eq!(open(&blobs).map(drop), Err("CORRUPT"), "with the replaced blob {id}");
    }
    assert_eq!(open(&store.blobs).map(|engine| engine.hash(0)), Ok(store.engine.hash(0)));
}

/// A batch of more notes than a blob holds: its parts are refused without the last one, wherever they were cut. Of blobs
/// whose sizes differ by up to the 8 bytes of a note, one ends between two notes, so that what is left of it reads well.
#[test]
fn half_of_the_notes_of_a_batch_is_refused() {
    for blob_bytes in HEADER_BYTES + 256..HEADER_BYTES + 264 {
        let mut store = Store::with_blobs_of(blob_bytes);
        for id in 1..=60 {
            store.grant(id, 60).expect("granted");
        }
        store.flush();
        let last = store.blobs.values().next_back().map(|blob| Header::of(blob)).expect("notes");
        assert_eq!((last.is_notes, last.parts), (true, 2), "of {blob_bytes} bytes");
        assert_eq!(recover(&store.blobs, blob_bytes).map(|engine| engine.leases().len()), Ok(60));
        store.blobs.pop_last();
        let opened = recover(&store.blobs, blob_bytes).map_err(|error| error.code());
        assert_eq!(opened.map(drop), Err("CORRUPT"), "of {blob_bytes} bytes");
    }
}

/// Two copies of a medium that went on apart have pieces for the same positions, and blobs of the same numbers. Mixed,
/// they do not open: a piece is chained to the one before.
#[test]
fn pieces_of_two_copies_are_not_mixed() {
    let mut store = Store::with_puts_of("a", 2);
    store.flush();
    let copies = ["one", "other"].map(|name| {
        let mut copy = store.clone();
        for _ in 0..3 {
            copy.put("a", name);
            copy.flush();
        }
        copy.blobs
    });
    let mixed = |from: [usize; 4]| -> Blobs {
        let ids = copies[0].keys().zip(from);
        ids.map(|(id, from)| (id.clone(), copies[from][id].clone())).collect()
    };
    for (second, third, fourth) in (0..8).map(|bits| (bits & 1, bits >> 1 & 1, bits >> 2)) {
        let code = recover(&mixed([0, second, third, fourth]), 64 << 10).map_or_else(|error| error.code(), |_| "ok");
        let is_one = second == third && third == fourth;
        assert_eq!(code, if is_one { "ok" } else { "CORRUPT" }, "of the copies {second}, {third}, {fourth}");
    }
}

/// What is written is in proportion to what changes, whatever the size of the store, and what is stored to what is kept:
/// 200 keys of which a thousand changes are kept, alone or beside others that do not change. Each change is counted with its key and value, of 107 bytes on average;
/// what it is stored with takes 18 more, the header of a blob 140. The bounds are what was measured and a sixth more.
#[test]
fn little_more_is_written_and_stored_than_changes() {
    let rows = [(1, 0, 5.1, 1.65), (20, 0, 3.75, 1.6), (20, 5_000, 3.75, 1.4)];
    for (commits_per_batch, others, written_max, stored_max) in rows {
        let seed = 7;
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut store = Store::with_blobs_of(8 << 10);
        for other in 0..others {
            store.put(&format!("other/{other:04}"), &"v".repeat(100));
        }
        store.settle();
        let (mut changed, mut written, mut stored_most) = (0, 0, 0.0_f64);
        for commit in 1..=20_000 {
            let (key, value) = (format!("key/{:03}", rng.u32(..200)), "v".repeat(rng.usize(50..150)));
            changed += key.len() + value.len();
            store.put(&key, &value);
            if commit % 100 == 0 && commit > 1_000 {
                store.compact(others + commit - 1_000).expect("not compacted before");
            }
            store.engine.compact_step();
            if commit % commits_per_batch == 0 {
                let ready = store.engine.take_ready().expect("a put");
                written += write_step(&mut store, ready).0;
            }
            if commit % 500 == 0 && commit > 2_000 {
                let kept = store.engine.history(&Default::default()).expect("kept");
                let kept: usize = kept.iter().map(|event| event.kv.key.len() + event.kv.value.len()).sum();
                stored_most = stored_most.max(size(&store.blobs) as f64 / kept as f64);
            }
        }
        let written = written as f64 / changed as f64;
        let measured = format!(
            "seed {seed}, batches of {commits_per_batch} beside {others}: {written:.2} written, {stored_most:.2} stored"
        );
        assert!(written < written_max && stored_most < stored_max, "{measured}");
        store.remove();
        compare_with_reopened(&store);
    }
}

/// The epoch grows with each opening that writes: its first batch, be it empty, claims the storage.
#[test]
fn the_epoch_grows_with_each_opening_that_writes() {
    let mut store = Store::new();
    assert_eq!(store.engine.epoch(), 1);
    store.crash();
    assert_eq!(store.engine.epoch(), 1, "nobody knows of an opening that wrote nothing");
    for epoch in 1..5 {
        let ready = store.engine.take_ready().expect("a claim, if nothing else");
        assert_eq!((ready.epoch, ready.put.len(), store.engine.epoch()), (epoch, 1, epoch));
        store.write(ready);
        assert_eq!(store.engine.take_ready(), None, "it claims once");
        store.crash();
    }
    let mut unstored = Engine::new(EngineOptions::default());
    unstored.start().expect("nothing is stored");
    assert_eq!((unstored.epoch(), unstored.take_ready()), (0, None));
}

/// Two engines of one storage: the later claims it under the very id that the earlier writes next, with a higher epoch,
/// by which a storage can tell them apart. What one that did not look would then hold is not read as if all were well.
#[test]
fn a_deposed_writer_is_found_out() {
    let mut store = Store::with_puts_of("a", 2);
    store.flush();
    let mut deposed = store.clone();
    store.reopen();
    let claim = store.engine.take_ready().expect("a claim");
    // Positions and chain are as they should be where the claim stands in the place of a note: the epoch alone tells.
    let mut noted = deposed.clone();
    noted.grant(7, 60).expect("granted");
    let note = noted.engine.take_ready().expect("a grant");
    noted.put("a", "after the note");
    let behind = noted.engine.take_ready().expect("a put");
    assert_eq!((&note.put[0].id, behind.put.len()), (&claim.put[0].id, 1));
    let [first, second] = ["of the deposed", "again"].map(|value| {
        deposed.put("a", value);
        deposed.engine.take_ready().expect("a put")
    });
    assert_eq!((&first.put[0].id, first.epoch, claim.epoch), (&claim.put[0].id, 1, 2));
    store.write(claim);
    let mut behind_the_claim = store.blobs.clone();
    behind_the_claim.extend(behind.put.into_iter().map(|blob| (blob.id, blob.bytes)));
    let mut appended = store.blobs.clone();
    store.put("a", "of the new writer");
    store.flush();
    let mut overwritten = store.blobs.clone();
    appended.extend(second.put.into_iter().map(|blob| (blob.id, blob.bytes)));
    overwritten.extend(first.put.into_iter().map(|blob| (blob.id, blob.bytes)));
    for (name, blobs) in [("behind the claim", behind_the_claim), ("appended", appended), ("overwritten", overwritten)]
    {
        assert_eq!(recover(&blobs, 64 << 10).map(drop).map_err(|error| error.code()), Err("CORRUPT"), "{name}");
    }
    store.reopen();
    assert_eq!((store.engine.epoch(), store.state(0)), (3, "a=of the new writer".to_owned()));
}

/// What is written and what is confirmed are two things: a reader of durable revisions hears of what is confirmed.
#[test]
fn a_revision_is_durable_when_it_is_confirmed() {
    let mut store = Store::new();
    assert_eq!(store.engine.durable_revision(), 1);
    let watch = store.watch(KeyRange::ALL, 0);
    let mut batches = Vec::new();
    for value in ["1", "2", "3"] {
        store.put("a", value);
        store.put("b", value);
        batches.push(store.engine.take_ready().expect("two puts"));
        assert_eq!(store.engine.durable_revision(), 1, "it is only taken");
    }
    for (confirmed, durable, seen) in [(1, 5, 4), (0, 5, 0), (2, 7, 2)] {
        store.engine.persisted(batches[confirmed].through);
        store.engine.check();
        assert_eq!(store.engine.durable_revision(), durable, "batch {confirmed} is confirmed");
        let taken = store.engine.take_events(watch, durable, usize::MAX).expect("nothing is compacted");
        assert_eq!((taken.through, taken.batches.len()), (durable, seen));
    }
    store.put("a", "4");
    store.engine.persisted(1);
    assert_eq!((store.engine.durable_revision(), store.engine.revision()), (7, 8));
    batches.into_iter().for_each(|ready| store.write(ready));
    store.crash();
    assert_eq!((store.engine.durable_revision(), store.engine.revision()), (7, 7), "what is read back was written");
    store.delete(key("a"));
    assert_eq!(store.engine.durable_revision(), 7);
    store.flush();
    assert_eq!(store.engine.durable_revision(), 8);
}

/// Without a medium there is nothing to wait for.
#[test]
fn without_a_medium_the_newest_revision_is_durable() {
    let mut store = Store::with_blobs_of(0);
    store.put("a", "1");
    assert_eq!((store.engine.durable_revision(), store.engine.take_ready()), (2, None));
}

/// A lease that is kept alive writes a small note each time, which must not be read one by one for ever after.
#[test]
fn many_small_notes_are_written_anew() {
    let mut store = Store::new();
    store.grant(7, 60).expect("granted");
    store.put_leased("a", "1", 7).expect("granted");
    let mut most = 0;
    for _ in 0..2_000 {
        store.tick(10);
        store.keep_alive(7).expect("granted");
        store.flush();
        most = most.max(store.blobs.len());
    }
    assert!((100..300).contains(&most), "{most} blobs");
    compare_with_reopened(&store);
    store.reopen();
    assert_eq!(store.keys_of(7), ["a"]);
}
