//! Who leads: the lock goes to a tab that is there, and is taken from one that does not answer.

use revkv::{Came, Engine, Follower, Leader, Once};

use super::medium::Medium;
use super::tab::Role;
use super::world::{Event, World};

const ELECT_MS: u64 = 100;
/// Whoever leads and is silent for so long is robbed of the lock.
const SILENT_MS: u64 = 3_000;

impl<M: Medium> World<M> {
    pub fn elect(&mut self) {
        self.after(ELECT_MS, Event::Elect);
        let silent = |since: u64| self.now_ms.saturating_sub(since) >= SILENT_MS;
        let held = self.holder.and_then(|holder| self.place(holder));
        let robs = match held {
            None => false,
            Some(at) if self.is_frozen(at) => silent(self.tabs[at].frozen_since),
            // It works, and nobody hears it.
            Some(at) if self.tabs[at].cut_until > self.now_ms => self.rng.u8(..50) == 0,
            Some(_) => false,
        };
        if held.is_some() && !robs || self.rng.u8(..3) > 0 {
            return;
        }
        let is_awake = |at: &usize| !self.is_frozen(*at) && self.tabs[*at].cut_until <= self.now_ms;
        let mut others: Vec<usize> = (0..self.tabs.len()).filter(|at| Some(*at) != held).filter(is_awake).collect();
        if others.is_empty() || !robs && self.rng.u8(..10) == 0 {
            // Whoever waits for a lock gets it, frozen or not.
            others = (0..self.tabs.len()).filter(|at| Some(*at) != held).collect();
        }
        let next = others[self.rng.usize(..others.len())];
        if let Some(victim) = held {
            self.count("stolen");
            self.tabs[victim].is_robbed = true;
            let wait_ms = self.rng.u64(1..600);
            self.after(wait_ms, Event::Robbed { tab: self.tabs[victim].id });
        }
        self.holder = Some(self.tabs[next].id);
        self.tabs[next].is_robbed = false;
        if !self.is_frozen(next) {
            self.claim(next);
        }
    }

    /// A tab has the lock: it reads the storage, and claims it.
    pub fn claim(&mut self, at: usize) {
        let tab = &mut self.tabs[at];
        if self.holder != Some(tab.id) || tab.flight.is_some() && !tab.leads() {
            return;
        }
        if tab.leads() {
            // It was robbed of the lock and got it back, before it noticed.
            self.resign(at);
            self.holder = Some(self.tabs[at].id);
        }
        let mut found = self.found();
        let claim = found.take_ready().expect("a claim");
        self.fly(at, claim, Some(Box::new(found)));
    }

    /// The storage is claimed.
    pub fn lead(&mut self, at: usize, found: Engine) {
        let tab = &mut self.tabs[at];
        if self.holder != Some(tab.id) {
            self.count("claimed for nothing");
            return;
        }
        tab.engine.lead(found);
        tab.host.last = self.ledger.last;
        let follower = std::mem::replace(&mut tab.role, Role::Follower(Follower::new(tab.id, 1)));
        let Role::Follower(follower) = follower else { unreachable!("it has resigned") };
        let (pending, next_number) = follower.into_pending();
        assert_eq!(next_number, tab.next_number, "a tab counts its requests");
        let (leader, outgoing) = Leader::new(tab.id, &tab.engine);
        tab.role = Role::Leader(leader);
        self.count("lead");
        self.send(at, outgoing);
        pending.iter().for_each(|(number, _)| self.apply_own(at, *number));
        self.write(at);
        self.look(at);
    }

    /// A leader's own request.
    pub fn apply_own(&mut self, at: usize, number: u64) {
        let now_ms = self.wall_ms();
        let tab = &mut self.tabs[at];
        let (before, wish) = (tab.engine.revision(), tab.open[&number].wish.clone());
        let came = match tab.engine.apply_once(tab.id, number, wish.request(), now_ms) {
            Ok(Once::Now(response)) => Came::Applied(super::wish::packed(&response)),
            Ok(Once::Before { response: Some(response), .. }) => {
                *self.counts.entry("answer kept").or_default() += 1;
                Came::Applied(response)
            }
            Ok(Once::Before { response: None, .. }) => Came::Before,
            Ok(Once::Refused) => Came::Refused("CONFLICT".to_owned(), String::new()),
            Ok(Once::Old) => panic!("broke Once: a request that is open was forgotten"),
            Err(error) => Came::Refused(error.code().to_owned(), error.to_string()),
        };
        let is_new = tab.engine.last_request(tab.id) == number && matches!(came, Came::Applied(_));
        let id = (tab.id, number);
        tab.host.waiting.push((number, came));
        if is_new && !self.is_recorded(at, id) {
            self.record_request(at, before, id);
        }
    }

    pub fn hear_of_robbery(&mut self, tab: u64) {
        let Some(at) = self.place(tab) else { return };
        if self.tabs[at].is_robbed && !self.is_frozen(at) && self.holder != Some(tab) {
            self.tabs[at].is_robbed = false;
            if self.tabs[at].leads() {
                self.count("robbed");
                self.resign(at);
            }
        }
    }

    /// A tab runs again: it may hear first what came of its write, or what others said, or that it was robbed.
    pub fn thaw(&mut self, tab: u64) {
        let Some(at) = self.place(tab) else { return };
        if self.is_frozen(at) {
            return;
        }
        let flight = self.tabs[at].flight;
        let answer_first = self.rng.bool();
        if answer_first && let Some(flight) = flight {
            self.take_answer(at, flight);
        }
        match self.rng.u8(..3) {
            0 => self.hear_of_robbery(tab),
            1 => self.write(at),
            _ => self.after(50, Event::Robbed { tab }),
        }
        while let Some(bytes) = self.tabs[at].backlog.pop_front() {
            self.handle(at, &bytes);
            self.look(at);
        }
        if !answer_first && let Some(flight) = flight {
            self.take_answer(at, flight);
        }
        if !self.tabs[at].leads() && self.tabs[at].flight.is_none() {
            self.claim(at);
        }
        self.write(at);
    }
}
