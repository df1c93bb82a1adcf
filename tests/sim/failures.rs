//! A call of the storage fails: each call, in each way, once or for as long as the store is tried to be opened. Nobody is
//! told that something is stored; the engine is thrown away and read again, and what it then has settles what is unknown.
//! Whoever does again what was lost, and nothing else, gets to the same store as if nothing had failed.

use std::sync::Arc;

use crate::crew;
use crate::host::{Acked, Flight, Host};
use crate::medium::{Batch, DurableObject, IndexedDb, Log, Medium, NotLeader};
use crate::story::{self, Point, Story};
use crate::truth::Truth;
use crate::workload::{Step, WORKLOADS, Workload};

const SEEDS: u64 = 1;
/// A storage that fails "for ever" heals after so many openings.
const OPENINGS_FAILING: usize = 3;
/// As `pkg/src/open.ts` has it.
const CLAIM_RETRIES_MAX: usize = 3;

/// When a batch arrives whose answer nobody waits for any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Late {
    Never,
    BeforeReading,
    BeforeClaiming,
    AfterClaiming,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Refused,
    /// There is no room for a blob. What needs none goes on.
    Quota,
    /// It is taken, and the answer is that it failed.
    Taken,
    /// The same, and it is flushed.
    Flushed,
    /// No answer comes.
    Hangs(Late),
}

const OUTCOMES: [Outcome; 8] = [
    Outcome::Refused,
    Outcome::Quota,
    Outcome::Taken,
    Outcome::Flushed,
    Outcome::Hangs(Late::Never),
    Outcome::Hangs(Late::BeforeReading),
    Outcome::Hangs(Late::BeforeClaiming),
    Outcome::Hangs(Late::AfterClaiming),
];

#[test]
fn no_failure_of_a_call_loses_or_repeats_anything() {
    let jobs = crew::jobs(SEEDS, WORKLOADS);
    let counts =
        crew::work(&jobs, |job| fail_each::<IndexedDb>(job) + fail_each::<DurableObject>(job) + fail_each::<Log>(job));
    println!("{} failures of a call", counts.iter().sum::<usize>());
}

/// Lets each call fail in each way; gives the number of failures.
fn fail_each<M: Medium>(job: &crew::Job) -> usize {
    let steps = job.work.steps(job.seed);
    let mut whole = Story::<M>::new(job.work);
    whole.play(&steps, &mut |_, _, _| {});
    let end = whole.host.truth;

    let (mut calls, mut failures) = (0, 0);
    Story::<M>::new(job.work).play(&steps, &mut |point, host, medium| {
        let Point::Asked(flight) = point else { return };
        calls += 1;
        for outcome in OUTCOMES {
            for for_ever in [false, true] {
                let name = format!("{} call {calls} {outcome:?} for ever: {for_ever}", M::NAME);
                let fault = Fault { outcome, for_ever, work: job.work, steps: &steps, end: &end };
                failures += crew::named(&name, || fault.happens(flight, host, medium));
            }
        }
    });
    failures
}

struct Fault<'a> {
    outcome: Outcome,
    for_ever: bool,
    work: &'a Workload,
    steps: &'a [Step],
    /// What there is when nothing fails.
    end: &'a Truth,
}

impl Fault<'_> {
    /// The call fails, and from all that is left the store is opened again. What was acknowledged before is all that is.
    fn happens<M: Medium>(&self, flight: &Flight, host: &Host, medium: &M) -> usize {
        if self.outcome == Outcome::Quota && flight.batch.put.is_empty() {
            return 0;
        }
        let left = self.fail(&flight.batch, medium);
        for medium in &left {
            self.open_again(medium.clone(), &flight.batch, host.acked);
        }
        left.len()
    }

    /// What is left on the medium.
    fn fail<M: Medium>(&self, batch: &Arc<Batch>, medium: &M) -> Vec<M> {
        let mut medium = medium.clone();
        match self.outcome {
            Outcome::Refused => medium.after_failure(),
            Outcome::Quota | Outcome::Hangs(_) => vec![medium],
            Outcome::Taken => {
                medium.write(batch).expect("it is the only writer");
                medium.after_failure()
            }
            Outcome::Flushed => {
                medium.write(batch).expect("it is the only writer");
                medium.flush();
                vec![medium]
            }
        }
    }

    fn open_again<M: Medium>(&self, medium: M, late: &Arc<Batch>, acked: Acked) {
        let mut left = vec![medium];
        for _ in 0..if self.for_ever { OPENINGS_FAILING } else { 0 } {
            left = left.iter().flat_map(|medium| self.fail_to_open(medium, acked)).collect();
        }
        for mut medium in left {
            if self.outcome == Outcome::Hangs(Late::BeforeReading) {
                // One that comes after another opening is refused.
                let _ = medium.write(late);
            }
            let mut story = self.claim(medium, late, acked);
            if self.outcome == Outcome::Hangs(Late::AfterClaiming) {
                assert_eq!(story.medium.write(late), Err(NotLeader), "a writer is deposed by the claim");
            }
            story.go_on(self.steps, self.end);
        }
    }

    /// The store is read, and the claim fails as the first call did.
    fn fail_to_open<M: Medium>(&self, medium: &M, acked: Acked) -> Vec<M> {
        let mut host = story::open(self.work, medium, acked, M::KEEPS_ALL);
        let claim = host.gather().expect("an opening claims the storage");
        self.fail(&claim.batch, medium)
    }

    /// Reads and claims, again where another has written in between.
    fn claim<M: Medium>(&self, mut medium: M, late: &Arc<Batch>, acked: Acked) -> Story<'_, M> {
        for retries in 0..=CLAIM_RETRIES_MAX {
            let mut host = story::open(self.work, &medium, acked, M::KEEPS_ALL);
            if retries == 0 && self.outcome == Outcome::Hangs(Late::BeforeClaiming) {
                let _ = medium.write(late);
            }
            let claim = host.gather().expect("an opening claims the storage");
            if medium.write(&claim.batch).is_ok() {
                host.written(claim);
                return Story::of(self.work, host, medium);
            }
        }
        panic!("the storage was not to be claimed");
    }
}
