//! What befalls tabs: they crash, freeze, are cut off, let the lock go, lose power and have their clock set.

use super::medium::Medium;
use super::tab::Tab;
use super::truth::Cause;
use super::world::{Event, TABS, World};

impl<M: Medium> World<M> {
    pub fn trouble(&mut self) {
        // Long quiet times and bad ones.
        let wait_ms = if self.rng.u8(..10) == 0 { 60_000 } else { 4_000 };
        let wait_ms = self.rng.u64(1..wait_ms);
        self.after(wait_ms, Event::Trouble);
        if self.is_calm {
            return;
        }
        let at = self.rng.usize(..self.tabs.len());
        match self.rng.u8(..100) {
            0..35 => self.freeze(at),
            35..50 => self.crash(at),
            50..70 => {
                self.count("partition");
                self.tabs[at].cut_until = self.now_ms + self.rng.u64(100..20_000);
            }
            70..80 => self.let_go(),
            80..88 => self.crash_leader(),
            88..93 => {
                let leader = self.holder.and_then(|holder| self.place(holder)).unwrap_or(at);
                self.freeze(leader);
            }
            93..95 => {
                self.count("reload storm");
                (0..3).for_each(|_| self.crash(0));
            }
            95..97 => self.lose_power(),
            97 => self.restore(),
            _ => self.set_clock(),
        }
    }

    fn freeze(&mut self, at: usize) {
        self.count("freeze");
        let long = self.rng.u8(..10) == 0;
        let wait_ms = self.rng.u64(100..if long { 120_000 } else { 8_000 });
        let now_ms = self.now_ms;
        let tab = &mut self.tabs[at];
        if tab.frozen_until <= now_ms {
            tab.frozen_since = now_ms;
        }
        tab.frozen_until = tab.frozen_until.max(now_ms + wait_ms);
        let (tab, until) = (tab.id, tab.frozen_until);
        self.at(until, Event::Thaw { tab });
    }

    /// What was on its way to the storage may get there.
    fn crash(&mut self, at: usize) {
        self.count("crash");
        let tab = self.tabs.remove(at);
        if let Some(flight) = tab.flight
            && self.rng.bool()
        {
            self.flights.remove(&flight);
        }
        if self.holder == Some(tab.id) {
            self.holder = None;
        }
        self.open();
    }

    fn crash_leader(&mut self) {
        if let Some(at) = self.holder.and_then(|holder| self.place(holder)) {
            self.count("crash of the leader");
            self.crash(at);
        }
    }

    /// A page is hidden, and comes back as a follower.
    fn let_go(&mut self) {
        let Some(at) = self.holder.and_then(|holder| self.place(holder)) else { return };
        if self.is_frozen(at) || !self.tabs[at].leads() {
            return;
        }
        self.count("let go");
        self.resign(at);
        self.holder = None;
    }

    /// All tabs are gone at once, and of the medium what is left after that.
    fn lose_power(&mut self) {
        self.count("loss of power");
        let mut left = self.medium.stops();
        let left = left.swap_remove(self.rng.usize(..left.len()));
        self.tabs.clear();
        self.flights.clear();
        self.holder = None;
        self.replace_medium(left.medium);
        (0..TABS).for_each(|_| self.open());
    }

    /// The leader puts a backup of all there is in the place of it.
    fn restore(&mut self) {
        let Some(at) = self.holder.and_then(|holder| self.place(holder)) else { return };
        if self.is_frozen(at) || !self.tabs[at].leads() {
            return;
        }
        self.count("restore");
        let mut incarnation = [1; 16];
        incarnation[8..].copy_from_slice(&self.now_ms.to_le_bytes());
        let engine = &mut self.tabs[at].engine;
        let (backup, revision) = (engine.backup(0, true).expect("now"), engine.revision());
        engine.restore(&backup, incarnation).expect("its own");
        assert_eq!(engine.revision(), revision, "a backup is of the revision it was made at");
        self.record(at, revision, Cause::Restored);
        self.write(at);
        self.look(at);
    }

    fn set_clock(&mut self) {
        self.count("clock set");
        let by_ms = match self.rng.u8(..3) {
            0 => self.rng.u64(1..2_000),
            1 => self.rng.u64(1..60_000),
            _ => self.rng.u64(1..4 * 3_600_000),
        };
        self.ahead_ms = if self.rng.bool() { self.ahead_ms + by_ms } else { self.ahead_ms - by_ms };
    }

    /// Nothing more goes wrong: in the end everybody has the same, and every answer.
    pub fn settle(&mut self) {
        const PATIENCE_MS: u64 = 150_000;
        self.is_calm = true;
        for at in 0..self.tabs.len() {
            self.tabs[at].cut_until = 0;
            if self.is_frozen(at) {
                let until = self.now_ms + self.rng.u64(1..200);
                self.tabs[at].frozen_until = until;
                self.at(until, Event::Thaw { tab: self.tabs[at].id });
            }
        }
        let (begun_ms, mut checked_ms) = (self.now_ms, self.now_ms);
        while self.now_ms < begun_ms + PATIENCE_MS {
            self.step();
            if self.now_ms > checked_ms + 500 {
                checked_ms = self.now_ms;
                if self.tabs.iter().all(|tab| self.is_settled(tab)) && self.is_quiet() {
                    break;
                }
            }
        }
        let took_ms = self.now_ms - begun_ms;
        for tab in &self.tabs {
            let missing: Vec<&u64> = tab.open.keys().collect();
            assert!(missing.is_empty(), "broke Live: requests {missing:?} of tab {} have no answer", tab.id);
            let has = (tab.engine.durable_revision(), tab.engine.compact_revision(), tab.is_in_sync());
            let stored = (&self.ledger.model.leases, self.ledger.next(tab.told), tab.watch, tab.engine.leases());
            assert!(self.is_settled(tab), "broke Live: after {took_ms} ms tab {} has {has:?} {stored:?}", tab.id);
            tab.engine.check();
        }
        self.check_same();
        self.is_calm = false;
    }

    fn is_settled(&self, tab: &Tab) -> bool {
        let leader = self.holder.and_then(|holder| self.place(holder)).map(|at| &self.tabs[at]);
        let Some(leader) = leader.filter(|leader| leader.leads()) else { return false };
        let revisions = |tab: &Tab| (tab.engine.durable_revision(), tab.engine.leases());
        let is_told = tab.watch.is_some() && self.ledger.next(tab.told).is_none();
        let leads = tab.id == leader.id;
        tab.open.is_empty()
            && tab.leads() == leads
            && tab.is_in_sync()
            && is_told
            && leader.host.log.is_empty()
            && revisions(tab) == revisions(leader)
            // One that led may have forgotten what it had no time to store that it has.
            && tab.engine.compact_revision() >= leader.engine.compact_revision()
            && self.ledger.model.leases.is_empty()
    }

    /// Hashes are the same at every revision that all can read.
    fn check_same(&mut self) {
        let newest = self.tabs[0].engine.durable_revision();
        for revision in self.ledger.model.compacted.max(1)..=newest {
            let is_same = |tab: &&Tab| tab.engine.compact_revision() == self.ledger.model.compacted;
            let hashes: Vec<_> = self.tabs.iter().filter(is_same).map(|tab| tab.engine.hash(revision)).collect();
            assert!(hashes.iter().all(|hash| *hash == hashes[0]), "broke Same: at {revision} {hashes:?}");
        }
    }
}
