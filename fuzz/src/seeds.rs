//! The seeds: made from the story and written where libFuzzer looks for its corpus, so that none is kept as a file.

use std::fs;
use std::path::Path;

use revkv::fuzzing::{self, pack};
use revkv::{Blob, Body, History, KeyRange, Message, Outcome, Range, Since, SortBy, Watch};

use crate::input::Input;
use crate::{sealed, story};

/// Writes the seeds of a target. To be called before libFuzzer reads the corpus.
pub fn write(target: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).expect("the corpus can be written");
    for (number, seed) in of(target).iter().enumerate() {
        fs::write(folder.join(format!("seed-{number:02}")), seed).expect("the corpus can be written");
    }
}

fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "recover" => recover(),
        "recover_sealed" => recover_sealed(),
        "request" => request(),
        "reads" => reads(),
        "changes" => changes(),
        "tabs" => tabs(),
        "round_trip" => round_trip(),
        _ => unreachable!("a target has seeds"),
    }
}

/// The journal of the story, whole, and the first half of it.
fn recover() -> Vec<Vec<u8>> {
    let (_, blobs) = story::engine();
    let seed = |blobs: &[Blob]| {
        let mut seed = Vec::new();
        blobs.iter().for_each(|blob| Input::push_piece(&mut seed, &blob.bytes));
        seed
    };
    vec![seed(&blobs), seed(&blobs[..blobs.len() / 2]), seed(&blobs[..1])]
}

/// The same with every number chosen, and journals that leave them to a writer.
fn recover_sealed() -> Vec<Vec<u8>> {
    let whole = |blobs: &[Blob]| sealed::write(&pieces(blobs), true);
    let appended = |blobs: Vec<Blob>| sealed::write(&pieces(&blobs), false);
    let (_, blobs) = story::engine();
    vec![whole(&blobs), whole(&blobs[..1]), appended(journal(1)), appended(journal(3)), appended(journal(usize::MAX))]
}

/// Blobs as pieces, those of a stream in the order of their positions.
fn pieces(blobs: &[Blob]) -> Vec<fuzzing::Piece<'_>> {
    let mut pieces: Vec<_> = blobs.iter().map(fuzzing::piece).collect();
    pieces.sort_by_key(|piece| (piece.first, piece.sequence));
    pieces
}

/// The story's journal in batches of so many requests, none of which rewrites anything.
fn journal(requests: usize) -> Vec<Blob> {
    let options = revkv::EngineOptions { blob_bytes_max: 1 << 16, ..story::options() };
    let mut engine = revkv::Engine::new(options);
    engine.start().expect("nothing was stored");
    let mut batches = Vec::new();
    for portion in story::tell().chunks(requests.min(1 << 10)) {
        for request in portion {
            engine.apply(request.clone(), 0).expect("the story is legal");
        }
        batches.extend(engine.take_ready().into_iter().flat_map(|ready| ready.put));
    }
    batches
}

/// Each request of the story alone, and all of them.
fn request() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = story::tell().iter().map(pack).collect();
    seeds.push(seeds.concat());
    seeds
}

fn reads() -> Vec<Vec<u8>> {
    let keys = [KeyRange::ALL, KeyRange::Key(b"a"), KeyRange::Span { start: b"a", end: b"d" }];
    let range = Range { keys: keys[0], sort_by: SortBy::ModRevision, descend: true, limit: 2, ..Range::default() };
    let since = Since { keys: keys[2], start_revision: 8, end_revision: 12, limit: 2 };
    let history = History { keys: keys[0], from: 8, to: 12, limit: 3 };
    let watch = Watch { keys: keys[2], start_revision: 8, prev_kv: true, no_delete: true, ..Watch::default() };
    let mut seeds = vec![
        [vec![0], pack(&range)].concat(),
        [vec![1], pack(&history)].concat(),
        [vec![2], pack(&since)].concat(),
        [vec![3], pack(&watch)].concat(),
    ];
    for keys in keys {
        seeds.push([vec![0], pack(&Range { keys, revision: 9, ..Range::default() })].concat());
        seeds.push([vec![3], pack(&Watch { keys, start_revision: 2, resync: true, ..Watch::default() })].concat());
    }
    seeds.push(seeds.concat());
    seeds
}

/// What two tabs say until one has what the other has, and writes something.
fn tabs() -> Vec<Vec<u8>> {
    let (engine, _) = story::engine();
    let (incarnation, epoch) = (engine.incarnation(), engine.epoch());
    let request = pack(&story::tell()[2]);
    let changes = engine.changes(engine.revision() - 1, 0, 0).expect("it is kept").bytes;
    let answer = Body::Answer { number: 1, revision: 9, outcome: Outcome::Before };
    let hash = engine.hash(0).expect("now").hash;
    let progress = Body::Progress { revision: engine.revision(), compact_revision: engine.compact_revision(), hash };
    let of_follower = [
        Body::Follow { revision: 1, anew: false },
        Body::Next { transfer: 1, index: 1, revision: 1 },
        Body::Follow { revision: engine.revision(), anew: false },
        Body::Request { number: 1, oldest: 1, request: &request },
    ];
    let of_leader = [Body::Lead, Body::Changes { bytes: &changes }, answer, progress];
    let from = |from: u64, to: u64| move |body| Message::new(incarnation, epoch, from, to, body).pack();
    let all: Vec<Vec<u8>> =
        of_follower.into_iter().map(from(2, 1)).chain(of_leader.into_iter().map(from(1, 2))).collect();
    let seed = |messages: &[Vec<u8>]| {
        let mut seed = Vec::new();
        for message in messages {
            seed.push(1);
            Input::push_piece(&mut seed, message);
        }
        seed
    };
    let mut seeds: Vec<Vec<u8>> = all.iter().map(|message| seed(std::slice::from_ref(message))).collect();
    seeds.push(seed(&all));
    seeds
}

/// The story as change sets of one transaction, of three, and of all; sealed anew, and as they are.
fn changes() -> Vec<Vec<u8>> {
    let (told, _) = story::engine();
    let mut early = revkv::Engine::new(story::options());
    early.start().expect("nothing was stored");
    for request in story::tell().into_iter().take(8) {
        early.apply(request, 0).expect("the story is legal");
    }
    let mut seeds = Vec::new();
    for (source, from) in [(&told, told.compact_revision()), (&early, 1)] {
        for max in [1, 3, 0] {
            let set = source.changes(from, 0, max).expect("it is kept").bytes;
            let mut whole = vec![1];
            Input::push_piece(&mut whole, &set);
            seeds.extend([sealed_changes(&set), whole]);
        }
    }
    seeds.push(seeds.concat());
    seeds
}

/// What the bytes of a change set say, for a target that seals it again.
fn sealed_changes(set: &[u8]) -> Vec<u8> {
    let u64_at = |at: usize| u64::from_le_bytes(set[at..at + 8].try_into().expect("eight bytes"));
    let mut seed = vec![0];
    [32, 40, 48, 56, 64].into_iter().for_each(|at| Input::push_number(&mut seed, u64_at(at)));
    seed.push(set[6]);
    let (leases, records) = set[96..].split_at((u64_at(72) & 0xffff_ffff) as usize);
    Input::push_piece(&mut seed, leases);
    Input::push_piece(&mut seed, records);
    seed
}

fn round_trip() -> Vec<Vec<u8>> {
    let tagged = |tag: u8, seeds: Vec<Vec<u8>>| seeds.into_iter().map(move |seed| [vec![tag], seed].concat());
    let reads = reads().into_iter().map(|seed| [vec![seed[0] + 2], seed[1..].to_vec()].concat());
    let payloads = |is_notes| {
        let blobs = journal(usize::MAX);
        let of_stream = pieces(&blobs).into_iter().filter(|piece| piece.is_notes == is_notes);
        of_stream.map(|piece| piece.payload.to_vec()).collect()
    };
    let packed = tagged(0, payloads(false)).chain(tagged(6, payloads(true)));
    packed.chain(tagged(1, request())).chain(reads).collect()
}
