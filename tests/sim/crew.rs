//! Work for all cores, and what to type to see one piece of it again.
//!
//! `REVKV_SEED=n` replays one seed, `REVKV_SEEDS` sets how many are played.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::workload::Workload;

/// One workload, played from one seed.
pub struct Job {
    pub work: &'static Workload,
    pub seed: u64,
}

/// Each workload with each seed.
pub fn jobs(seeds: u64, workloads: &'static [Workload]) -> Vec<Job> {
    let seeds = match number("REVKV_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("REVKV_SEEDS").unwrap_or(seeds),
    };
    seeds.flat_map(|seed| workloads.iter().map(move |work| Job { work, seed })).collect()
}

/// Only part of the usual work is done.
pub fn is_replay() -> bool {
    number("REVKV_SEED").is_some() || number("REVKV_SEEDS").is_some()
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// Does every job, on all cores; gives what each came to.
pub fn work<R: Send>(jobs: &[Job], each: impl Fn(&Job) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::new());
    let worker = || {
        while let Some((place, job)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|place| Some((place, jobs.get(place)?)))
        {
            let name = format!("{}: REVKV_SEED={} replays it", job.work.name, job.seed);
            let result = named(&name, || each(job));
            done.lock().expect("no other worker has failed").push((place, result));
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(worker))));
    let mut done = done.into_inner().expect("no worker has failed");
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Says where it was if it fails.
pub fn named<R>(name: &str, body: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        eprintln!("in {name}");
        resume_unwind(panic)
    })
}
