//! What a tab that leads writes, and how the storage answers: it may refuse, fail, be full or not answer at all. The tab does
//! what the package does: at most one batch is under way, and a storage that has failed is read and written anew.

use std::rc::Rc;
use std::sync::Arc;

use revkv::{Came, Engine, Ready};

use super::medium::{Batch, Medium, NotLeader, Said};
use super::tab::{Role, for_storage};
use super::truth::{Cause, Entry, Truth};
use super::world::{Event, World};

/// A batch that the storage was asked to write.
pub struct Flight {
    pub tab: u64,
    batch: Arc<Batch>,
    through: u64,
    entries: Vec<Rc<Entry>>,
    /// Requests of the tab itself that wait for it.
    group: Vec<(u64, Came)>,
    fate: Fate,
    /// The store that was read, of a tab that is to lead.
    found: Option<Box<Engine>>,
    answer: Option<Answer>,
}

/// What the storage does with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Written,
    /// It fails, and has done nothing.
    Refused,
    /// It fails, and has written it; whether that outlives a loss of power is open.
    Taken,
    /// No answer comes.
    Hangs,
    /// There is no room.
    Full,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Written,
    NotLeader,
    Failed,
    Full,
}

/// The package waits a minute; here it is less, so that more happens in an hour.
const DEADLINE_MS: u64 = 10_000;

impl<M: Medium> World<M> {
    /// The storage is asked to write what there is.
    pub fn write(&mut self, at: usize) {
        let tab = &mut self.tabs[at];
        if !tab.leads() || tab.flight.is_some() {
            return;
        }
        match tab.engine.take_ready() {
            Some(ready) => self.fly(at, ready, None),
            None => {
                let waiting = std::mem::take(&mut tab.host.waiting);
                waiting.iter().for_each(|(number, came)| self.answered(at, *number, came));
            }
        }
    }

    pub fn fly(&mut self, at: usize, ready: Ready, found: Option<Box<Engine>>) {
        let fate = self.fate(found.is_some());
        let tab = &mut self.tabs[at];
        let engine = found.as_deref().unwrap_or(&tab.engine);
        let last = if found.is_some() { self.ledger.last } else { tab.host.last };
        let truth = Truth { last, revision: engine.revision(), compacted: engine.compact_revision() };
        let said = Arc::new(Said { truth, stats: engine.stats() });
        let through = ready.through;
        let group = if found.is_some() { Vec::new() } else { std::mem::take(&mut tab.host.waiting) };
        let entries = if found.is_some() { Vec::new() } else { tab.host.log.iter().cloned().collect() };
        let batch = Arc::new(Batch::new(ready, true, said));
        self.flown += 1;
        tab.flight = Some(self.flown);
        let flight = Flight { tab: tab.id, batch, through, entries, group, fate, found, answer: None };
        self.flights.insert(self.flown, flight);
        let flight = self.flown;
        let (wait_ms, late_ms) = (self.rng.u64(1..40), self.rng.u64(1..2 * DEADLINE_MS));
        match fate {
            Fate::Written | Fate::Taken => self.after(wait_ms, Event::Land { flight }),
            Fate::Refused | Fate::Full => self.after(wait_ms, Event::Answer { flight }),
            Fate::Hangs => {
                self.after(DEADLINE_MS, Event::Answer { flight });
                if self.rng.bool() {
                    self.after(late_ms, Event::Land { flight });
                }
            }
        }
        if let Some(flight) = self.flights.get_mut(&flight) {
            flight.answer = match fate {
                Fate::Written | Fate::Taken => None,
                Fate::Refused | Fate::Hangs => Some(Answer::Failed),
                Fate::Full => Some(Answer::Full),
            };
        }
    }

    fn fate(&mut self, is_claim: bool) -> Fate {
        if self.is_calm {
            return Fate::Written;
        }
        let fate = match self.rng.u16(..1_000) {
            0..3 => Fate::Refused,
            3..6 => Fate::Taken,
            6..8 => Fate::Hangs,
            8..12 if !is_claim => Fate::Full,
            _ => return Fate::Written,
        };
        self.count(match fate {
            Fate::Refused => "write refused",
            Fate::Taken => "write taken and failed",
            Fate::Hangs => "write without an answer",
            _ => "storage full",
        });
        fate
    }

    /// A write reaches the medium, whoever has asked for it, there still or not.
    pub fn land(&mut self, number: u64) {
        let Some(flight) = self.flights.get_mut(&number) else { return };
        let written = self.medium.write(&flight.batch);
        match written {
            Ok(()) => {
                self.ledger.store(&flight.entries);
                assert_eq!(self.ledger.last, flight.batch.said.truth.last, "broke Order: a batch over another's");
            }
            Err(NotLeader) => *self.counts.entry("write of one that is deposed").or_default() += 1,
        }
        match (flight.fate, written) {
            (Fate::Written, Ok(())) => {
                self.medium.flush();
                flight.answer = Some(Answer::Written);
            }
            (Fate::Written | Fate::Taken, Err(NotLeader)) => flight.answer = Some(Answer::NotLeader),
            (Fate::Taken, Ok(())) => {
                flight.answer = Some(Answer::Failed);
                let mut left = self.medium.after_failure();
                let left = left.swap_remove(self.rng.usize(..left.len()));
                self.replace_medium(left);
            }
            _ => return,
        }
        self.storage_answers(number);
    }

    /// Something of what was there may be gone.
    pub fn replace_medium(&mut self, medium: M) {
        self.medium = medium;
        let last = self.medium.read().said.truth.last;
        self.ledger.back_to(last);
    }

    pub fn storage_answers(&mut self, number: u64) {
        let Some(flight) = self.flights.get(&number) else { return };
        match self.place(flight.tab) {
            Some(at) if self.is_frozen(at) => {}
            Some(at) => self.take_answer(at, number),
            None => drop(self.flights.remove(&number)),
        }
    }

    /// A tab hears what came of its write.
    pub fn take_answer(&mut self, at: usize, number: u64) {
        let Some(answer) = self.flights.get(&number).and_then(|flight| flight.answer) else { return };
        if self.tabs[at].flight != Some(number) {
            // It has resigned meanwhile. What hangs may still land.
            if self.flights[&number].fate != Fate::Hangs {
                self.flights.remove(&number);
            }
            return;
        }
        self.tabs[at].flight = None;
        let flight = self.flights.get_mut(&number).expect("it is there");
        let (found, group) = (flight.found.take(), std::mem::take(&mut flight.group));
        let (through, last) = (flight.through, flight.batch.said.truth.last);
        if flight.fate != Fate::Hangs {
            self.flights.remove(&number);
        }
        match (found, answer) {
            (Some(mut found), Answer::Written) => {
                found.persisted(through);
                self.lead(at, *found);
            }
            (Some(_), _) => self.claim(at),
            (None, Answer::Written) => self.written(at, (through, last), group),
            (None, Answer::NotLeader) => {
                self.count("deposed");
                self.resign(at);
            }
            (None, Answer::Failed) => self.heal(at, group),
            (None, Answer::Full) => self.take_back(at, group),
        }
    }

    fn written(&mut self, at: usize, (through, last): (u64, u64), group: Vec<(u64, Came)>) {
        self.ledger.acked = self.ledger.acked.max(last);
        let tab = &mut self.tabs[at];
        tab.engine.persisted(through);
        while tab.host.log.pop_front_if(|entry| entry.place <= last).is_some() {}
        group.iter().for_each(|(number, came)| self.answered(at, *number, came));
        let tab = &mut self.tabs[at];
        let Role::Leader(leader) = &mut tab.role else { unreachable!("only who leads writes") };
        let outgoing = leader.advance(&tab.engine);
        self.send(at, outgoing);
        self.write(at);
        self.look(at);
    }

    /// The store as it is read from the medium.
    pub fn found(&mut self) -> Engine {
        let image = self.medium.read();
        let mut engine = for_storage();
        for (id, bytes) in &image.blobs {
            engine.recover(id, bytes).unwrap_or_else(|error| panic!("broke Durable: {error}"));
        }
        engine.start().unwrap_or_else(|error| panic!("broke Durable: {error}"));
        assert_eq!(image.said.truth.last, self.ledger.last, "the ledger is that of the medium");
        let told = (image.said.truth.revision, image.said.truth.compacted);
        let has = (engine.revision(), engine.compact_revision());
        assert_eq!(has, told, "broke Durable: revision and compact revision");
        let (read, stats) = (engine.stats(), image.said.stats);
        let counted = (read.keys, read.revisions, read.leases);
        assert_eq!(
            counted,
            (stats.keys, stats.revisions, stats.leases),
            "broke Durable: what is stored, and was in memory"
        );
        self.ledger.check_found(&engine);
        engine
    }

    /// The storage has failed: it is read again, and everything is written anew.
    fn heal(&mut self, at: usize, group: Vec<(u64, Came)>) {
        self.count("heal");
        let found = self.found();
        let tab = &mut self.tabs[at];
        match tab.engine.heal(found) {
            Ok(()) => {
                tab.host.waiting.splice(..0, group);
                self.write(at);
            }
            Err(_) => self.resign(at),
        }
    }

    /// There is no room: what is not stored is taken back.
    fn take_back(&mut self, at: usize, group: Vec<(u64, Came)>) {
        self.count("taken back");
        self.ledger.full = self.entries;
        let found = self.found();
        let tab = &mut self.tabs[at];
        if tab.engine.rewind(found).is_err() {
            return self.resign(at);
        }
        let Role::Leader(leader) = &mut tab.role else { unreachable!("only who leads writes") };
        leader.taken_back(&tab.engine);
        tab.host.log.clear();
        tab.host.last = self.ledger.last;
        let waiting: Vec<(u64, Came)> = group.into_iter().chain(std::mem::take(&mut tab.host.waiting)).collect();
        if tab.engine.revision() > self.ledger.model.revision {
            let revision = tab.engine.revision();
            self.record(at, revision, Cause::Skipped);
        }
        for (number, came) in waiting {
            // One that failed before may have been stored nevertheless.
            match self.tabs[at].engine.is_applied(self.tabs[at].id, number) {
                true => self.tabs[at].host.waiting.push((number, came)),
                false => self.answered(at, number, &Came::Refused("QUOTA_EXCEEDED".to_owned(), String::new())),
            }
        }
        let tab = &mut self.tabs[at];
        let Role::Leader(leader) = &mut tab.role else { unreachable!("only who leads writes") };
        let outgoing = leader.advance(&tab.engine);
        self.send(at, outgoing);
        self.write(at);
    }
}
