//! The machine stops: at every call of the storage, inside and after it; then again while the store is being opened and
//! goes on; and once more. Whatever is left, the store opens, and holds exactly what the last batch said that is there.

use std::collections::HashSet;
use std::fmt;
use std::ops::AddAssign;

use crate::crew;
use crate::host::Host;
use crate::medium::{DurableObject, IndexedDb, Log, Medium, Stopped};
use crate::story::{self, Point, Story};
use crate::workload::{Step, WORKLOADS, Workload};

/// How often the machine stops in one story.
const STOPS_MAX: usize = 3;
const SEEDS: u64 = 14;
/// So that a change of the workloads cannot quietly make this a test of little.
const STATES_MIN: usize = 200_000;

#[test]
fn whatever_a_stop_leaves_opens_as_a_prefix_with_all_that_was_acknowledged() {
    let jobs = crew::jobs(SEEDS, WORKLOADS);
    let counts = crew::work(&jobs, |job| {
        let mut counts = Counts::default();
        counts += explore::<IndexedDb>(job.work, job.seed);
        counts += explore::<DurableObject>(job.work, job.seed);
        counts += explore::<Log>(job.work, job.seed);
        counts
    });
    let mut total = Counts::default();
    for work in WORKLOADS {
        let mut of_work = Counts::default();
        jobs.iter()
            .zip(&counts)
            .filter(|(job, _)| job.work.name == work.name)
            .for_each(|(_, counts)| of_work += *counts);
        println!("{:<32}{of_work}", work.name);
        total += of_work;
    }
    println!("{:<32}{total}", "all");
    assert!(crew::is_replay() || total.states.iter().sum::<usize>() >= STATES_MIN, "too few states: {total}");
}

fn explore<M: Medium>(work: &'static Workload, seed: u64) -> Counts {
    let mut explorer = Explorer { work, seen: HashSet::new(), counts: Counts::default() };
    crew::named(M::NAME, || explorer.play(Story::<M>::new(work), &work.steps(seed), 1));
    explorer.counts
}

/// How many different states of the storage were opened and found right, by the number of stops that led there.
#[derive(Default, Clone, Copy)]
struct Counts {
    calls: usize,
    /// Of them, those that deleted what they wrote anew, and those of several blobs.
    rewriting: usize,
    large: usize,
    states: [usize; STOPS_MAX],
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.rewriting += other.rewriting;
        self.large += other.large;
        self.states.iter_mut().zip(other.states).for_each(|(sum, more)| *sum += more);
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [once, twice, thrice] = self.states;
        let all = once + twice + thrice;
        let Self { calls, rewriting, large, .. } = self;
        write!(f, "{all} states ({once} after one stop, {twice} after two, {thrice} after three), ")?;
        write!(f, "{calls} calls ({rewriting} rewriting, {large} of several blobs)")
    }
}

struct Explorer {
    work: &'static Workload,
    /// The states that have been opened.
    seen: HashSet<(u64, u64, bool)>,
    counts: Counts,
}

impl Explorer {
    /// Plays steps up to the end; where they are stopped is the `nth` stop.
    fn play<M: Medium>(&mut self, mut story: Story<'_, M>, steps: &[Step], nth: usize) {
        self.stop(&story.host, &story.medium, nth);
        story.play(steps, &mut |point, host, medium| {
            if let Point::Asked(flight) = point {
                self.counts.calls += 1;
                self.counts.rewriting += usize::from(!flight.batch.delete.is_empty());
                self.counts.large += usize::from(flight.batch.put.len() > 1);
            }
            self.stop(host, medium, nth);
        });
    }

    /// Goes on from whatever is left when the machine stops here.
    fn stop<M: Medium>(&mut self, host: &Host, medium: &M, nth: usize) {
        for Stopped { medium, kept_all } in medium.stops() {
            host.acked.check(medium.read(), kept_all);
            let (flushed, live) = medium.digest();
            if !self.seen.insert((flushed, live, kept_all)) {
                continue;
            }
            self.counts.states[nth - 1] += 1;
            let again = story::open(self.work, &medium, host.acked, kept_all);
            if nth < STOPS_MAX {
                let steps = self.work.steps_after(live, again.truth.clone());
                self.play(Story::of(self.work, again, medium), &steps, nth + 1);
            }
        }
    }
}
