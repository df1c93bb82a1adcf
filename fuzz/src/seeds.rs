//! The seeds: made from the story and written where libFuzzer looks for its corpus, so that none is kept as a file.

use std::fs;
use std::path::Path;

use revkv::fuzzing::{self, pack};
use revkv::{History, KeyRange, Range, Since, SortBy, Watch};

use crate::input::Input;
use crate::story;

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
        "round_trip" => round_trip(),
        _ => unreachable!("a target has seeds"),
    }
}

/// The journal of the story, whole, and the first half of it.
fn recover() -> Vec<Vec<u8>> {
    let (_, blobs) = story::engine();
    let seed = |blobs: &[revkv::Blob]| {
        let mut seed = Vec::new();
        blobs.iter().for_each(|blob| Input::push_piece(&mut seed, &blob.bytes));
        seed
    };
    vec![seed(&blobs), seed(&blobs[..blobs.len() / 2]), seed(&blobs[..1])]
}

/// The same, as payloads, each a batch.
fn recover_sealed() -> Vec<Vec<u8>> {
    let journals = [journal(1), journal(3), journal(usize::MAX)];
    journals
        .iter()
        .map(|batches| {
            let mut seed = Vec::new();
            for payload in batches {
                seed.push(0);
                seed.push(1);
                Input::push_piece(&mut seed, payload);
            }
            seed
        })
        .collect()
}

/// The story's journal, as payloads of batches of so many requests.
fn journal(requests: usize) -> Vec<Vec<u8>> {
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
    batches.iter().map(|blob| fuzzing::payload(blob).to_vec()).collect()
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

fn round_trip() -> Vec<Vec<u8>> {
    let tagged = |tag: u8, seeds: Vec<Vec<u8>>| seeds.into_iter().map(move |seed| [vec![tag], seed].concat());
    let reads = reads().into_iter().map(|seed| [vec![seed[0] + 2], seed[1..].to_vec()].concat());
    tagged(0, journal(usize::MAX)).chain(tagged(1, request())).chain(reads).collect()
}
