//! A host and its medium, playing steps one after the other.

use crate::host::{Acked, Durability, Flight, Host};
use crate::medium::Medium;
use crate::truth::Truth;
use crate::workload::{Step, Workload};

/// Where in a call of the storage a story is.
#[derive(Clone, Copy)]
pub enum Point<'f> {
    /// It is about to do this.
    Asked(&'f Flight),
    /// Readers see it.
    Taken,
    /// It is flushed, and nobody knows.
    Flushed,
    /// Who waited for it has been told.
    Told,
}

/// Sees a story at each point.
type At<'a, M> = &'a mut dyn FnMut(Point<'_>, &Host, &M);

pub struct Story<'a, M> {
    pub work: &'a Workload,
    pub host: Host,
    pub medium: M,
    flight: Option<Flight>,
}

impl<'a, M: Medium> Story<'a, M> {
    /// On a medium that nobody has written to.
    pub fn new(work: &'a Workload) -> Self {
        let medium = M::new();
        let host = open(work, &medium, Acked::nothing(), true);
        Self { work, host, medium, flight: None }
    }

    /// Of a host that has read the medium.
    pub fn of(work: &'a Workload, host: Host, medium: M) -> Self {
        Self { work, host, medium, flight: None }
    }

    /// Plays steps up to the end, and until the storage has done what it was asked.
    pub fn play(&mut self, steps: &[Step], at: At<'_, M>) {
        for step in steps {
            match step {
                Step::Act(act, durability) => self.host.act(act, *durability),
                Step::Flush(durability) => self.host.wait(*durability),
                Step::Turn => self.turn(at),
                Step::Settle => self.settle(at),
                Step::Reopen => self.reopen(at),
            }
        }
        self.answer(at);
    }

    /// What is asked is answered, and what there is now is asked.
    fn turn(&mut self, at: At<'_, M>) {
        self.answer(at);
        self.flight = self.host.gather();
    }

    fn settle(&mut self, at: At<'_, M>) {
        self.turn(at);
        while self.flight.is_some() {
            self.turn(at);
        }
    }

    fn answer(&mut self, at: At<'_, M>) {
        let Self { host, medium, flight, .. } = self;
        let Some(flight) = flight.take() else { return };
        at(Point::Asked(&flight), host, medium);
        medium.write(&flight.batch).expect("it is the only writer");
        at(Point::Taken, host, medium);
        if flight.batch.strict {
            medium.flush();
            at(Point::Flushed, host, medium);
        }
        host.written(flight);
        at(Point::Told, host, medium);
    }

    fn reopen(&mut self, at: At<'_, M>) {
        self.host.wait(Durability::Strict);
        self.settle(at);
        let host = open(self.work, &self.medium, self.host.acked, true);
        let closed = std::mem::replace(&mut self.host, host).truth;
        assert_eq!(self.host.truth.effects, closed.effects, "all is stored when a store is closed");
        // Nothing is stored of an act without an effect, nor of the time.
        self.host.truth = closed;
        self.turn(at);
    }

    /// Plays all steps that come after what the host already has; it must come to the same end as if nothing had happened.
    pub fn go_on(&mut self, steps: &[Step], end: &Truth) {
        let acts = steps.iter().enumerate().filter(|(_, step)| matches!(step, Step::Act(..)));
        let newest = self.host.truth.acts.checked_sub(1).and_then(|nth| acts.map(|(place, _)| place).nth(nth));
        self.play(&steps[newest.map_or(0, |place| place + 1)..], &mut |_, _, _| {});
        self.settle(&mut |_, _, _| {});
        let Truth { acts, effects, compacted, .. } = *end;
        let truth = open(self.work, &self.medium, self.host.acked, true).truth;
        assert_eq!((self.host.truth.acts, truth.effects, truth.compacted), (acts, effects, compacted), "the end");
        assert_eq!(truth.revision(), end.revision(), "every act has been done once");
        assert_eq!(truth.digest(truth.revision()), end.digest(end.revision()), "each at its revision");
        assert_eq!(truth.leases, end.leases, "the leases");
    }
}

/// Reads a medium, and finds everything right.
pub fn open<M: Medium>(work: &Workload, medium: &M, acked: Acked, kept_all: bool) -> Host {
    let image = medium.read();
    acked.check(image, kept_all);
    let host = Host::read(image, work.blob_bytes_max, acked);
    let host = host.unwrap_or_else(|error| panic!("what is legal on a medium does not open: {error}"));
    host.check_read(image);
    host
}
