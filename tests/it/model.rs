//! Random operations, put to the engine and to a naive store that is obviously right: every answer must be the same.
//!
//! The naive store ([`store`]) keeps one whole map of keys for each revision. It is written from the rules of etcd's
//! documentation and shares no code with the engine; etcd's own answers judge it in `traces`.
//!
//! `REVKV_SEED=n` replays one seed, `REVKV_SEEDS` and `REVKV_STEPS` set how many seeds and how many steps of each.

mod commit;
mod hash;
mod history;
mod lease;
mod medium;
mod random;
mod setup;
mod shrink;
mod size;
mod snapshot;
mod store;
mod txn;
mod watch;
mod world;

use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

pub use store::Model;

use random::Source;
use setup::Setup;
use world::{Step, World};

/// Over a million steps, in about half a minute on two cores.
const SEEDS: u64 = 4_000;

#[test]
fn engine_answers_as_the_model_does() {
    let failure = match number("REVKV_SEED") {
        Some(seed) => failure_of(seed),
        None => first_failure(number("REVKV_SEEDS").unwrap_or(SEEDS)),
    };
    if let Some(failure) = failure {
        panic!("{failure}");
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// Plays the seeds below `seeds` on all cores, the highest first: the long ones are not left for the end.
fn first_failure(seeds: u64) -> Option<String> {
    let left = AtomicU64::new(seeds);
    let work = || {
        loop {
            let seed = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).ok()? - 1;
            let failure = failure_of(seed);
            if failure.is_some() {
                left.store(0, Ordering::Relaxed);
                return failure;
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers.into_iter().filter_map(|worker| worker.join().expect("a worker catches what fails")).next()
    })
}

fn failure_of(seed: u64) -> Option<String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let length = number("REVKV_STEPS").map_or(Setup::of(seed).steps, |steps| steps as usize);
    let mut steps: Vec<u64> = (0..length).map(|_| rng.u64(..)).collect();
    let mut played = Vec::new();
    shrink::failure_of(|| play(seed, &steps, &mut played))?;
    steps.truncate(played.len());
    let steps = shrink::shrink(steps, |steps| play(seed, steps, &mut Vec::new()));
    played.clear();
    let failure = shrink::failure_of(|| play(seed, &steps, &mut played)).expect("shrinking keeps the failure");
    let listed: Vec<String> = played.iter().map(|step| format!("  {step:?}")).collect();
    let setup = Setup::of(seed);
    Some(format!(
        "seed {seed}, {:?}, blobs of {}, {} steps:\n{}\n{failure}\nREVKV_SEED={seed} replays it",
        setup.limits,
        setup.blob_bytes_max,
        steps.len(),
        listed.join("\n")
    ))
}

/// A step is a seed of its own, and names revisions by their distance from the present: it means something after any
/// other steps.
fn play(seed: u64, steps: &[u64], played: &mut Vec<Step>) {
    let mut world = World::new(seed);
    for step in steps {
        let step = Source::new(*step, &world).step();
        played.push(step.clone());
        world.play(&step);
    }
    world.compare_everything();
}
