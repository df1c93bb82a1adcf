//! Random operations, put to the engine and to a naive store that is obviously right: every answer must be the same.
//!
//! The naive store ([`store`]) keeps one whole map of keys for each revision. It is written from the rules of etcd's
//! documentation and shares no code with the engine; etcd's own answers judge it in `traces`.
//!
//! `REVKV_SEED=n` replays one seed, `REVKV_SEEDS` and `REVKV_STEPS` set how many seeds and how many steps of each.

mod lease;
mod random;
mod shrink;
mod store;
mod txn;
mod watch;
mod world;

use std::env;

pub use store::Model;

use random::Source;
use world::{Step, World};

const SEEDS: u64 = 200;
const STEPS: usize = 250;

#[test]
fn engine_answers_as_the_model_does() {
    let steps = number("REVKV_STEPS").unwrap_or(STEPS as u64) as usize;
    match number("REVKV_SEED") {
        Some(seed) => play_or_shrink(seed, steps),
        None => (0..number("REVKV_SEEDS").unwrap_or(SEEDS)).for_each(|seed| play_or_shrink(seed, steps)),
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

fn play_or_shrink(seed: u64, length: usize) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let steps: Vec<u64> = (0..length).map(|_| rng.u64(..)).collect();
    if shrink::failure_of(|| play(seed, &steps, &mut Vec::new())).is_some() {
        let steps = shrink::shrink(steps, |steps| play(seed, steps, &mut Vec::new()));
        let mut played = Vec::new();
        let failure = shrink::failure_of(|| play(seed, &steps, &mut played)).expect("shrinking keeps the failure");
        let listed: Vec<String> = played.iter().map(|step| format!("  {step:?}")).collect();
        panic!("seed {seed}, {} steps:\n{}\n{failure}\nREVKV_SEED={seed} replays it", steps.len(), listed.join("\n"));
    }
}

/// A step is a seed of its own, and names revisions by their distance from the present: it means something after any
/// other steps.
fn play(seed: u64, steps: &[u64], played: &mut Vec<Step>) {
    let mut world = World::new(seed);
    for step in steps {
        let step = Source::new(*step).step(&world);
        played.push(step.clone());
        world.play(&step);
    }
    world.compare_everything();
}
