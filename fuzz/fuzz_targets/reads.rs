//! Any bytes as packed reads and watches of an engine with some content.
#![no_main]

use libfuzzer_sys::fuzz_target;
use revkv::fuzzing::{pack, unpack};
use revkv::{Engine, Event, History, Range, Since, Watch};
use revkv_fuzz::engine;

fuzz_target!(init: revkv_fuzz::write_seeds("reads"), |data: &[u8]| {
    let (mut engine, _) = engine();
    let mut rest = data;
    while let Some(after) = read(&mut engine, rest) {
        rest = after;
    }
    engine.check();
});

/// Does the first read of the input; gives the rest.
fn read<'a>(engine: &mut Engine, input: &'a [u8]) -> Option<&'a [u8]> {
    let (tag, input) = input.split_first()?;
    match tag % 4 {
        0 => unpack(input).map(|(asked, rest)| (range(engine, &asked), rest).1),
        1 => unpack(input).map(|(asked, rest)| (history(engine, &asked), rest).1),
        2 => unpack(input).map(|(asked, rest)| (since(engine, &asked), rest).1),
        _ => unpack(input).map(|(asked, rest)| (watch(engine, &asked), rest).1),
    }
}

fn range(engine: &Engine, asked: &Range<'_>) {
    let Ok(response) = engine.range(asked) else { return };
    pack(&response);
    assert!(response.kvs.len() as u64 <= response.count, "more keys than were counted");
    assert!(asked.limit == 0 || response.kvs.len() as u64 <= asked.limit, "more keys than the limit");
    let plain = Range { keys: asked.keys, revision: asked.revision, ..Range::default() };
    let whole = engine.range(&plain).expect("the same range is readable");
    for kv in &response.kvs {
        let found = whole.kvs.iter().find(|other| other.key == kv.key).expect("a filter adds no key");
        assert!(asked.keys_only || found == kv, "a filter changes no key");
        assert_eq!(engine.get(&kv.key, asked.revision).expect("readable").as_ref(), Some(found), "get is range of one");
    }
}

fn history(engine: &Engine, asked: &History<'_>) {
    let Ok(events) = engine.history(asked) else { return };
    pack(&events);
    assert!(asked.limit == 0 || events.len() as u64 <= asked.limit, "more events than the limit");
    assert!(ascend(&events), "events go back");
}

/// In portions of the limit it gives what it gives at once.
fn since(engine: &Engine, asked: &Since<'_>) {
    let Ok(whole) = engine.since(&Since { limit: 0, ..asked.clone() }) else { return };
    pack(&whole);
    let mut events = Vec::new();
    let mut next = Since { ..asked.clone() };
    loop {
        let portion = engine.since(&next).expect("the next revision may be asked for");
        events.extend(portion.events);
        let ends = portion.next_revision > engine.revision();
        let done = ends || asked.end_revision != 0 && portion.next_revision >= asked.end_revision;
        if done {
            break;
        }
        assert!(portion.next_revision > next.start_revision, "a portion does not go on");
        next.start_revision = portion.next_revision;
    }
    assert!(ascend(&events), "events go back");
    assert_eq!(events, whole.events, "the portions are not the whole");
}

/// From where it starts it gives what `since` does.
fn watch(engine: &mut Engine, asked: &Watch<'_>) {
    let Ok(id) = engine.watch(asked) else { return };
    engine.check();
    let mut engine = engine.clone();
    let (revision, start_revision) = (engine.revision(), asked.start_revision);
    let since = Since { keys: asked.keys, start_revision, ..Since::default() };
    let plain = !asked.prev_kv && !asked.no_put && !asked.no_delete;
    let expected = engine.since(&since).ok().filter(|_| plain && (1..=revision).contains(&start_revision));
    let expected = expected.map(|response| pack(&response.events));
    match engine.take_events(id, 0, usize::MAX) {
        Ok(response) => {
            pack(&response);
            let resync = response.batches.iter().any(|batch| batch.resync);
            let events: Vec<Event<'_>> = response.batches.into_iter().flat_map(|batch| batch.events).collect();
            if let Some(expected) = expected.filter(|_| !resync) {
                assert_eq!(pack(&events), expected, "a watch does not give what since does");
            }
        }
        Err(error) => assert_eq!(error.code(), "COMPACTED", "a watch ends for no other reason"),
    }
    engine.check();
}

fn ascend(events: &[Event<'_>]) -> bool {
    events.is_sorted_by_key(|event| event.kv.mod_revision)
}
