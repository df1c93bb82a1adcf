//! Two hosts have one storage open: whoever claimed it last writes, the other is refused and acknowledges nothing more,
//! however their reads, claims and writes come in between each other.

use crate::act::{Act, Change};
use crate::crew;
use crate::host::{Durability, Flight, Host};
use crate::medium::{DurableObject, IndexedDb, Log, Medium, NotLeader};
use crate::story::{self, Point, Story};
use crate::truth::Truth;
use crate::workload::{Step, WORKLOADS, Workload};

/// When the batch of the one before arrives, while the next one is opening.
const ARRIVALS: [Arrival; 4] =
    [Arrival::BeforeReading, Arrival::BeforeClaiming, Arrival::AfterClaiming, Arrival::AmongThree];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    BeforeReading,
    BeforeClaiming,
    AfterClaiming,
    /// A third one has read, too, and claims first.
    AmongThree,
}

#[test]
fn whoever_is_deposed_writes_nothing_more() {
    let jobs = crew::jobs(1, WORKLOADS);
    let counts = crew::work(&jobs, |job| {
        take_over_each::<IndexedDb>(job) + take_over_each::<DurableObject>(job) + take_over_each::<Log>(job)
    });
    println!("{} takeovers", counts.iter().sum::<usize>());
}

fn take_over_each<M: Medium>(job: &crew::Job) -> usize {
    let steps = job.work.steps(job.seed);
    let mut whole = Story::<M>::new(job.work);
    whole.play(&steps, &mut |_, _, _| {});
    let end = whole.host.truth;

    let (mut calls, mut takeovers) = (0, 0);
    Story::<M>::new(job.work).play(&steps, &mut |point, host, medium| {
        let Point::Asked(flight) = point else { return };
        calls += 1;
        for arrival in ARRIVALS {
            let name = format!("{} call {calls} {arrival:?}", M::NAME);
            crew::named(&name, || {
                take_over(job.work, arrival, flight.clone(), host.clone(), medium.clone(), &steps, &end)
            });
            takeovers += 1;
        }
    });
    takeovers
}

fn take_over<M: Medium>(
    work: &Workload,
    arrival: Arrival,
    flight: Flight,
    mut old: Host,
    mut medium: M,
    steps: &[Step],
    end: &Truth,
) {
    let is_flush = flight.batch.put.is_empty();
    if arrival == Arrival::BeforeReading {
        assert_eq!(arrive(&mut old, flight.clone(), &mut medium), Ok(()), "nobody else has claimed it");
    }
    let mut new = story::open(work, &medium, old.acked, true);
    if arrival == Arrival::AmongThree {
        let mut third = story::open(work, &medium, old.acked, true);
        let claim = third.gather().expect("an opening claims the storage");
        assert_eq!(arrive(&mut third, claim, &mut medium), Ok(()), "it is the first to claim");
    }
    if arrival == Arrival::BeforeClaiming {
        assert_eq!(arrive(&mut old, flight.clone(), &mut medium), Ok(()), "nobody else has claimed it");
    }
    let mut claim = new.gather().expect("an opening claims the storage");
    // What has put nothing leaves nothing that another has not read.
    let is_beaten = arrival == Arrival::AmongThree || arrival == Arrival::BeforeClaiming && !is_flush;
    if is_beaten {
        assert_eq!(medium.write(&claim.batch), Err(NotLeader), "what was read is not all there is");
        new = story::open(work, &medium, old.acked, true);
        claim = new.gather().expect("an opening claims the storage");
    }
    assert_eq!(arrive(&mut new, claim, &mut medium), Ok(()), "nobody else is opening it");
    if matches!(arrival, Arrival::AfterClaiming | Arrival::AmongThree) {
        // It is told, and stops for good.
        assert_eq!(arrive(&mut old, flight, &mut medium), Err(NotLeader), "it was written before by another");
    } else {
        go_on_deposed(&old, &medium);
    }
    Story::of(work, new, medium).go_on(steps, end);
}

/// The storage is asked, and its answer told.
fn arrive<M: Medium>(host: &mut Host, flight: Flight, medium: &mut M) -> Result<(), NotLeader> {
    medium.write(&flight.batch)?;
    if flight.batch.strict {
        medium.flush();
    }
    host.written(flight);
    Ok(())
}

/// It comes back, knows of nothing, and writes: something, or nothing but a flush.
fn go_on_deposed<M: Medium>(old: &Host, medium: &M) {
    let put = Change { key: b"late"[..].into(), put: Some((b"late"[..].into(), 0)) };
    for acts in [vec![Act::Write(vec![put])], vec![]] {
        let mut old = old.clone();
        acts.iter().for_each(|act| old.act(act, Durability::Strict));
        old.wait(Durability::Strict);
        if let Some(flight) = old.gather() {
            assert_eq!(medium.clone().write(&flight.batch), Err(NotLeader), "a deposed writer is refused");
        }
    }
}
