//! Tabs that share a store, over hours: on a channel that loses, delays, repeats and reorders; on a storage that takes its
//! time, fails, is full, hangs and loses power; with tabs that crash, freeze, are cut off and robbed of their lock, and with
//! clocks that are set. Virtual time, from one event to the next, from a seed.
//!
//! What has to hold is judged by a list of all that was ever stored ([`truth`]), which no tab has a part in, and by a naive
//! store ([`wish`]) that says what each request does and is answered:
//! - Atomic: what a request did is what the naive store does, all of it in one revision (P1);
//! - Order: what is stored goes on without a hole, and no stored revision names two contents (P2, P5, P6);
//! - Durable: what was told as stored is read from the storage, to the byte (P3, P4);
//! - Serial: a request is answered as the naive store does where it is stored, which is behind all that was answered before
//!   it was asked (P7);
//! - Reads: what a tab has as stored is what was stored, and does not go back (P4, P7);
//! - Same: replicas have the same hash at every common revision;
//! - Watches: every tab's watch has everything that is stored, once, in order, whole, or hears that it is forgotten (P8);
//! - Once, Answers: a request is stored at most once, those of a tab in their order; who is told that it was applied finds
//!   it stored, who is told that it was refused, never, and rightly (P9);
//! - Leases: what a lease's end deletes are its keys, and each ends once;
//! - Live: when nothing more goes wrong, everybody has all answers and the same store within seconds.

mod client;
mod lock;
#[path = "../../sim/medium.rs"]
#[allow(dead_code, reason = "the simulation of one store uses the rest")]
mod medium;
mod storage;
mod tab;
mod trouble;
mod truth;
mod wish;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use medium::{DurableObject, IndexedDb, Log, Medium};
use world::World;

const SEEDS: u64 = 20;
const MINUTES: u64 = 60;
/// So often everything is let settle.
const CALM_MS: u64 = 10 * 60_000;

/// What a whole run is to have seen.
const OFTEN: [&str; 28] = [
    "answer kept",
    "answered",
    "answered without a response",
    "clock set",
    "compaction",
    "crash of the leader",
    "cut",
    "deposed",
    "expired",
    "freeze",
    "heal",
    "heard of another",
    "lead",
    "let go",
    "loss of power",
    "partition",
    "refused",
    "reload storm",
    "resign",
    "restore",
    "robbed",
    "snapshot given",
    "stolen",
    "taken back",
    "write of one that is deposed",
    "write refused",
    "write taken and failed",
    "write without an answer",
];

type Counts = BTreeMap<&'static str, usize>;

fn play<M: Medium>(seed: u64, minutes: u64) -> Counts {
    let mut world = World::<M>::new(seed);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let end_ms = minutes * 60_000;
        while world.now_ms < end_ms {
            world.run_until((world.now_ms + CALM_MS).min(end_ms));
            world.settle();
        }
    }));
    let at = world.now_ms;
    assert!(ended.is_ok(), "seed {seed} at {at} ms: REVKV_SEED={seed} REVKV_TABS_SEEDS=1 replays it");
    world.counts
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// `REVKV_SEED` is the first seed; `REVKV_TABS_SEEDS` and `REVKV_TABS_MINUTES` say how many are played, and for how long.
#[test]
fn tabs_that_share_a_store_agree() {
    let first = number("REVKV_SEED").unwrap_or(1);
    let (seeds, minutes) =
        (number("REVKV_TABS_SEEDS").unwrap_or(SEEDS), number("REVKV_TABS_MINUTES").unwrap_or(MINUTES));
    let next = AtomicU64::new(first);
    let all: Mutex<Counts> = Mutex::new(Counts::new());
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                break;
            }
            let counts = match seed % 3 {
                0 => play::<IndexedDb>(seed, minutes),
                1 => play::<Log>(seed, minutes),
                _ => play::<DurableObject>(seed, minutes),
            };
            let mut all = all.lock().expect("no other worker has failed");
            counts.into_iter().for_each(|(what, count)| *all.entry(what).or_default() += count);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(worker))));
    let counts = all.into_inner().expect("no worker has failed");
    println!("{seeds} seeds of {minutes} minutes: {counts:?}");
    if seeds * minutes >= SEEDS * MINUTES {
        for what in OFTEN {
            assert!(counts.get(what).is_some_and(|count| *count > 10), "{what} hardly ever happened: {counts:?}");
        }
    }
}
