//! Tabs that lead and follow: what went wrong between them once, and what nobody of them says.

use std::collections::BTreeSet;

use revkv::{Body, Came, Engine, EngineOptions, Follower, Leader, Limits, Message, Outgoing, Put, Ready, Request};

use super::pair::{Pair, packed};
use super::script::{Store, recover};

const BLOB_BYTES: usize = 64 << 10;

fn bytes(mut outgoing: Vec<Outgoing>) -> Vec<u8> {
    assert_eq!(outgoing.len(), 1, "{outgoing:?}");
    outgoing.remove(0).bytes
}

fn kinds(outgoing: &[Outgoing]) -> Vec<&'static str> {
    let kind = |outgoing: &Outgoing| match Message::read(&outgoing.bytes).expect("a message").body {
        Body::Lead => "lead",
        Body::Changes { .. } => "changes",
        Body::Chunk { .. } => "chunk",
        Body::Progress { .. } => "progress",
        Body::Answer { .. } => "answer",
        Body::Follow { .. } => "follow",
        Body::Next { .. } => "next",
        Body::Request { .. } => "request",
    };
    outgoing.iter().map(kind).collect()
}

/// Whoever waited for a time to come waited until the clock had caught up, for hours.
#[test]
fn a_clock_that_is_set_back_stops_nobody() {
    let mut pair = Pair::new();
    let (now_ms, earlier_ms) = (10_000_000, 1_000_000);
    pair.submit("b", "1");
    assert_eq!(kinds(&pair.follower.tick(&pair.replica, now_ms)), ["follow", "request"]);
    assert_eq!(kinds(&pair.follower.tick(&pair.replica, now_ms)), [""; 0], "just asked");
    assert_eq!(kinds(&pair.follower.tick(&pair.replica, earlier_ms)), ["follow", "request"]);
    assert_eq!(kinds(&pair.leader.tick(&mut pair.store.engine, now_ms)), ["progress"]);
    assert_eq!(kinds(&pair.leader.tick(&mut pair.store.engine, now_ms)), [""; 0], "just told");
    assert_eq!(kinds(&pair.leader.tick(&mut pair.store.engine, earlier_ms)), ["progress"]);
}

/// A clock that is set back makes no follower one that is gone; one that is set ahead does, and it comes back.
#[test]
fn followers_that_are_silent_are_forgotten() {
    let mut pair = Pair::new();
    for (now_ms, expected) in [(20_000, 1), (1_000, 1), (29_999, 1), (30_000, 0)] {
        pair.leader.tick(&mut pair.store.engine, now_ms);
        assert_eq!(pair.leader.followers(), expected, "at {now_ms}");
    }
    pair.submit("b", "1");
    pair.stored();
    assert_eq!((pair.leader.followers(), pair.follower.take_done().len()), (1, 1));
}

/// It was refused, its tab was forgotten, and a copy that had been on its way for longer was applied.
#[test]
fn a_refused_request_is_not_applied_when_it_comes_late() {
    let mut pair = Pair::new();
    let request = [&packed("b", "")[..packed("b", "").len() - 2], &[1, 0]].concat();
    let (_, outgoing) = pair.follower.submit(&pair.replica, &request).expect("there is room");
    let late = bytes(outgoing.clone());
    pair.carry(outgoing);
    let done = pair.follower.take_done();
    assert!(matches!(&done[..], [(_, Came::Refused(code, _))] if code == "KEY_NOT_FOUND"), "{done:?}");
    pair.store.put("b", "1");
    pair.stored();
    pair.leader.tick(&mut pair.store.engine, 100_000);
    assert_eq!(pair.leader.followers(), 0);
    let revision = pair.store.engine.revision();
    pair.leader.handle(&mut pair.store.engine, &late, 100_000).expect("it leads");
    assert_eq!((pair.store.engine.revision(), pair.leader.followers()), (revision, 1));
}

/// What a leader was giving is not there any more when it has gone back to what is stored: it was asked for the next part
/// of it for ever.
#[test]
fn a_snapshot_that_has_ended_is_begun_anew() {
    let mut store = Store::new();
    for key in 0..40 {
        store.put(&format!("{key:02}"), &"v".repeat(3_000));
    }
    store.run(vec![]).expect("accepted");
    store.flush();
    store.compact(41).expect("not compacted before");
    let mut pair = Pair::of(store);
    let first = pair.leader.handle(&mut pair.store.engine, &bytes(pair.follower.tick(&pair.replica, 10_000)), 0);
    let met = pair.follower.handle(&mut pair.replica, &bytes(first.expect("it leads")), 0);
    let first = pair.leader.handle(&mut pair.store.engine, &met[0].bytes, 0).expect("it leads");
    assert_eq!(kinds(&first), ["chunk"]);
    let next = pair.follower.handle(&mut pair.replica, &bytes(first), 0);
    assert_eq!(kinds(&next), ["next"]);
    pair.store.put("refused", "for want of room");
    drop(pair.store.engine.take_ready().expect("a put"));
    let found = recover(&pair.store.blobs, BLOB_BYTES).expect("what was written");
    pair.store.engine.rewind(found).expect("nobody else has written");
    pair.leader.taken_back(&pair.store.engine);
    pair.carry(next);
    assert_eq!((pair.replica.revision(), pair.follower.is_in_sync()), (41, true));
}

/// Two leaders of one storage: the first one does not know yet that it is none.
struct Deposed {
    first: Pair,
    second: Engine,
}

impl Deposed {
    fn new() -> Self {
        let mut first = Pair::new();
        let mut second = recover(&first.store.blobs, BLOB_BYTES).expect("what was written");
        let Ready { through, put, .. } = second.take_ready().expect("a claim");
        first.store.blobs.extend(put.into_iter().map(|blob| (blob.id, blob.bytes)));
        second.persisted(through);
        Self { first, second }
    }
}

/// It led after the other one, and had stored more; then it took what that one had for the newer.
#[test]
fn a_tab_that_led_hears_of_no_leader_before_it() {
    let Deposed { mut first, mut second } = Deposed::new();
    second.apply(Request::Put(Put { key: b"b", value: b"2", ..Put::default() }), 0).expect("a put");
    let ready = second.take_ready().expect("a put");
    second.persisted(ready.through);
    second.resign();
    let mut follower = Follower::with_pending(3, Vec::new(), 1);
    for told in [Leader::new(1, &first.store.engine).1, first.leader.tick(&mut first.store.engine, 10_000)] {
        assert_eq!(follower.handle(&mut second, &bytes(told), 10_000), []);
    }
    assert_eq!((follower.dropped(), second.revision(), second.durable_revision()), (2, 4, 4));
    // And it is told by the other one's question.
    let asked = bytes(follower.tick(&second, 20_000));
    let handled = first.leader.handle(&mut first.store.engine, &asked, 20_000);
    assert_eq!(handled.map_err(|error| error.code()), Err("NOT_LEADER"));
}

/// A leader whose storage fails writes anew in a new epoch. Before that is stored, another tab may have claimed it.
#[test]
fn a_leader_speaks_in_the_epoch_that_it_has_claimed() {
    let mut pair = Pair::new();
    let told = |pair: &mut Pair, now_ms| {
        let progress = bytes(pair.leader.tick(&mut pair.store.engine, now_ms));
        Message::read(&progress).expect("a message").epoch
    };
    assert_eq!(told(&mut pair, 10_000), 1);
    let found = recover(&pair.store.blobs, BLOB_BYTES).expect("what was written");
    pair.store.engine.heal(found).expect("nobody else has written");
    assert_eq!((told(&mut pair, 20_000), pair.store.engine.epoch()), (1, 2));
    let other = Message::new(pair.store.engine.incarnation(), 2, 9, 0, Body::Lead).pack();
    let mut healing = pair.store.engine.clone();
    let handled = pair.leader.clone().handle(&mut healing, &other, 20_000);
    assert_eq!(handled.map_err(|error| error.code()), Err("NOT_LEADER"));
    pair.store.flush();
    assert_eq!(told(&mut pair, 30_000), 2);
}

/// It wrote anew in an epoch that another tab had claimed meanwhile, took that tab's for its own, and wrote over it.
#[test]
fn a_leader_that_writes_anew_twice_knows_what_is_not_its_own() {
    let Deposed { mut first, .. } = Deposed::new();
    let blobs = |first: &Pair| recover(&first.store.blobs, BLOB_BYTES).expect("what was written");
    let mut alone = Pair::new();
    for mut pair in [&mut first, &mut alone].map(|pair| std::mem::replace(pair, Pair::new())) {
        let is_alone = pair.store.blobs.len() < Deposed::new().first.store.blobs.len();
        let mut before = pair.store.clone();
        before.blobs = Pair::new().store.blobs;
        pair.store.engine.heal(recover(&before.blobs, BLOB_BYTES).expect("its own")).expect("its own");
        assert_eq!(pair.store.engine.epoch(), 2, "as the other tab's");
        drop(pair.store.engine.take_ready().expect("everything, which nobody has written"));
        let healed = pair.store.engine.heal(blobs(&pair)).map_err(|error| error.code());
        assert_eq!(healed, if is_alone { Ok(()) } else { Err("NOT_LEADER") });
    }
}

/// A batch that was given up arrived after the storage had been read, and before it was written anew: it lay beside the new
/// one, and nothing could be read any more. Both have the same numbers, of which a storage takes the first.
#[test]
fn what_is_written_anew_is_not_put_beside_what_arrives_late() {
    let mut store = Store::with_puts_of("a", 3);
    store.flush();
    store.put("b", "late");
    let late = store.engine.take_ready().expect("a put");
    let found = recover(&store.blobs, BLOB_BYTES).expect("what was written");
    store.engine.heal(found).expect("nobody else has written");
    let anew = store.engine.take_ready().expect("everything");
    let ids = |ready: &Ready| -> BTreeSet<String> { ready.put.iter().map(|blob| blob.id.clone()).collect() };
    assert!(!ids(&late).is_disjoint(&ids(&anew)), "{:?} beside {:?}", ids(&anew), ids(&late));
    assert!(anew.epoch > late.epoch);
}

/// A replica may have removed less than its leader of what is compacted, and its bound is its own.
#[test]
fn a_follower_holds_what_its_leader_holds() {
    let mut pair = Pair::new();
    let limits = Limits { bytes_max: 300, ..Limits::default() };
    pair.replica = Engine::new(EngineOptions { limits, ..EngineOptions::default() });
    pair.replica.start().expect("nothing is stored");
    pair.follower = Follower::new(4, 1);
    let told = Leader::new(1, &pair.store.engine).1;
    pair.carry(told);
    pair.store.put("b", &"v".repeat(1_000));
    pair.stored();
    assert_eq!((pair.replica.revision(), pair.follower.is_in_sync()), (4, true));
    assert_eq!(pair.replica.hash(0), pair.store.engine.hash(0));
    let put = Request::Put(Put { key: b"c", ..Put::default() });
    assert_eq!(pair.replica.apply(put, 0).map_err(|error| error.code()), Err("QUOTA_EXCEEDED"));
}

/// More than are followed: they are dropped, and those who are known are served.
#[test]
fn followers_without_number_are_not_followed() {
    let mut pair = Pair::new();
    let (incarnation, epoch) = (pair.store.engine.incarnation(), pair.store.engine.epoch());
    for from in 100..1_000 {
        let asks = Message::new(incarnation, epoch, from, 1, Body::Follow { revision: 3, anew: false }).pack();
        pair.leader.handle(&mut pair.store.engine, &asks, 0).expect("it leads");
    }
    assert_eq!((pair.leader.followers(), pair.leader.dropped()), (256, 645));
    pair.submit("b", "1");
    pair.stored();
    assert_eq!((pair.follower.take_done().len(), pair.replica.revision()), (1, 4));
    pair.leader.tick(&mut pair.store.engine, 100_000);
    assert_eq!(pair.leader.followers(), 0);
}

/// What comes of a message to a leader: what it answers, and how many it has dropped.
#[test]
fn a_leader_believes_nothing() {
    let large = vec![0; 2 << 20];
    let foreign = [9; 16];
    let own = [7; 16];
    let follow = |revision, anew| Body::Follow { revision, anew };
    let request = |number, oldest, request| Body::Request { number, oldest, request };
    let put = packed("b", "1");
    let too_large = packed("b", &"v".repeat(2 << 20));
    type Row<'a> = (&'a str, [u8; 16], u64, Body<'a>, &'a [&'a str], u64);
    let rows: [Row<'_>; 15] = [
        ("it has everything, and is told so once", own, 1, follow(3, false), &["changes"], 0),
        ("of another life: everything", foreign, 1, follow(3, false), &["chunk"], 0),
        ("it says that its own is wrong", own, 1, follow(3, true), &["chunk"], 0),
        ("from the future", own, 1, follow(u64::MAX, false), &["chunk"], 0),
        ("of an epoch before", own, 0, follow(3, false), &["lead"], 0),
        (
            "a chunk of no transfer: everything",
            own,
            1,
            Body::Next { transfer: 9, index: 7, revision: 1 },
            &["chunk"],
            0,
        ),
        ("a request, not yet stored", own, 1, request(1, 1, &put), &[], 0),
        ("a request that is none", own, 1, request(1, 1, b"\xff"), &["answer"], 0),
        ("a request that is too large", own, 1, request(1, 1, &too_large), &["answer"], 0),
        ("bytes without end", own, 1, request(1, 1, &large), &["answer"], 0),
        ("a request out of order", own, 1, request(3, 1, &put), &[], 1),
        ("a number that nobody counts to", own, 1, request(u64::MAX, u64::MAX, &put), &[], 1),
        ("what a leader says", own, 1, Body::Lead, &[], 1),
        ("a leader's changes", own, 1, Body::Changes { bytes: &large }, &[], 1),
        ("a leader's snapshot", own, 1, Body::Chunk { transfer: 1, index: 0, asked: 3, bytes: &large }, &[], 1),
    ];
    for (name, incarnation, epoch, body, expected, dropped) in rows {
        let mut pair = Pair::new();
        let revision = pair.store.engine.revision();
        let message = Message::new(incarnation, epoch, 50, 1, body).pack();
        for round in 0..2 {
            let answers = pair.leader.handle(&mut pair.store.engine, &message, 0).expect("it leads");
            if round == 0 {
                assert_eq!(kinds(&answers), expected, "{name}");
            }
            assert_eq!(pair.leader.dropped(), dropped * (round + 1), "{name}");
            pair.store.engine.check();
        }
        let written = u64::from(name == "a request, not yet stored");
        assert_eq!(pair.store.engine.revision(), revision + written, "{name}: once, and no other");
    }
}

/// The same of a follower: whatever it is told, it holds what it held, or what the leader has.
#[test]
fn a_follower_believes_nothing() {
    let pair = Pair::new();
    let (own, foreign, epoch) = ([7; 16], [9; 16], pair.store.engine.epoch());
    let mut other = Engine::new(EngineOptions { incarnation: foreign, ..EngineOptions::default() });
    other.start().expect("nothing is stored");
    (0..5).for_each(|_| drop(other.apply(Request::Put(Put { key: b"x", ..Put::default() }), 0)));
    let alien = other.changes(1, 0, 0).expect("kept").bytes;
    let mut diverged = alien.clone();
    diverged[40] ^= 1;
    let progress = |revision, hash| Body::Progress { revision, compact_revision: 0, hash };
    let applied = revkv::Outcome::Applied { response: b"forged" };
    type Row<'a> = (&'a str, [u8; 16], u64, u64, Body<'a>, &'a [&'a str], u64);
    let rows: [Row<'_>; 12] = [
        ("of another life", foreign, epoch, 1, Body::Changes { bytes: &alien }, &["follow"], 0),
        ("with a wrong checksum", own, epoch, 1, Body::Changes { bytes: &diverged }, &[], 1),
        ("cut off", own, epoch, 1, Body::Changes { bytes: &alien[..50] }, &[], 1),
        ("nothing", own, epoch, 1, Body::Changes { bytes: b"" }, &[], 1),
        (
            "a chunk that was not asked for",
            own,
            epoch,
            1,
            Body::Chunk { transfer: 1, index: 1, asked: 3, bytes: b"x" },
            &[],
            0,
        ),
        (
            "a chunk that is none",
            own,
            epoch,
            1,
            Body::Chunk { transfer: 9, index: 0, asked: 3, bytes: b"x" },
            &["follow"],
            1,
        ),
        ("a chunk for who it was", own, epoch, 1, Body::Chunk { transfer: 9, index: 0, asked: 2, bytes: b"x" }, &[], 0),
        ("of a leader before", own, epoch - 1, 1, progress(9, 0), &[], 1),
        ("of nobody's", own, epoch, 8, progress(9, 0), &[], 0),
        ("another hash", own, epoch, 1, progress(3, 1), &["follow"], 0),
        (
            "an answer that nobody waits for",
            own,
            epoch,
            1,
            Body::Answer { number: 7, revision: 3, outcome: applied },
            &[],
            0,
        ),
        ("what a follower says", own, epoch, 1, Body::Follow { revision: 1, anew: true }, &[], 0),
    ];
    let hash = pair.replica.hash(0);
    for (name, incarnation, epoch, from, body, expected, dropped) in rows {
        let (mut replica, mut follower) = (pair.replica.clone(), pair.follower.clone());
        let message = Message::new(incarnation, epoch, from, 2, body).pack();
        let answers = follower.handle(&mut replica, &message, 0);
        assert_eq!((kinds(&answers), follower.dropped()), (expected.to_vec(), dropped), "{name}");
        assert_eq!((replica.hash(0), follower.take_done()), (hash.clone(), vec![]), "{name}");
        replica.check();
    }
}

/// Every message of a dialogue, cut at every byte and with every byte turned round.
#[test]
fn a_damaged_message_is_none() {
    let mut pair = Pair::new();
    let (_, asked) = pair.follower.submit(&pair.replica, &packed("b", "1")).expect("there is room");
    let asked = bytes(asked);
    pair.store.put("c", "1");
    pair.store.flush();
    let told = bytes(pair.leader.advance(&pair.store.engine));
    for message in [&asked, &told] {
        for length in 0..message.len() {
            let (mut leader, mut engine) = (pair.leader.clone(), pair.store.engine.clone());
            assert_eq!(leader.handle(&mut engine, &message[..length], 0), Ok(vec![]), "{length} bytes");
            let (mut follower, mut replica) = (pair.follower.clone(), pair.replica.clone());
            assert_eq!(follower.handle(&mut replica, &message[..length], 0), [], "{length} bytes");
            assert_eq!((leader.dropped(), follower.dropped()), (1, 1), "{length} bytes");
        }
        for at in 0..message.len() {
            let mut message = message.clone();
            message[at] ^= 0xff;
            let (mut leader, mut engine) = (pair.leader.clone(), pair.store.engine.clone());
            drop(leader.handle(&mut engine, &message, 0));
            engine.check();
            let (mut follower, mut replica) = (pair.follower.clone(), pair.replica.clone());
            follower.handle(&mut replica, &message, 0);
            assert!(replica.revision() <= 4, "byte {at}");
            replica.check();
        }
    }
}
