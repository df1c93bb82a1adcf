//! What users of the tabs ask for, and what they see: answers, watches, reads.

use std::rc::Rc;

use revkv::{Event as Change, EventKind, KeyRange, Since};

use super::medium::Medium;
use super::tab::{Open, Role, Tab};
use super::truth::Id;
use super::wish::{Key, Row, Wish};
use super::world::{Event, World};

const KEYS: u8 = 20;
const LEASE_SECONDS: u64 = 40;
/// So many hashes are remembered.
const HASHES: usize = 2_000;

impl Tab {
    /// What these revisions have changed.
    pub fn rows(&self, from: u64, to: u64) -> Vec<Row> {
        let since = Since { keys: KeyRange::ALL, start_revision: from, end_revision: to + 1, ..Since::default() };
        let events = self.engine.since(&since).expect("just written").events;
        events.into_iter().filter(|event| event.kv.mod_revision <= to).map(row).collect()
    }
}

fn row(event: Change<'_>) -> (EventKind, revkv::KeyValue<'static>) {
    (event.kind, event.kv.into_owned())
}

impl<M: Medium> World<M> {
    /// Somebody asks for something, alone or many things at once.
    pub fn ask(&mut self) {
        let wait_ms = self.rng.u64(1..1_400);
        self.after(wait_ms, Event::Ask);
        if self.is_calm {
            return;
        }
        let many = if self.rng.u8(..60) == 0 { self.rng.u8(2..40) } else { 1 };
        let at = self.rng.usize(..self.tabs.len());
        if self.is_frozen(at) {
            return;
        }
        for _ in 0..many {
            self.submit(at);
        }
        self.write(at);
        self.look(at);
    }

    fn submit(&mut self, at: usize) {
        let wish = Rc::new(self.wish(at));
        let tab = &mut self.tabs[at];
        let since = (self.heard, tab.durable);
        let number = tab.next_number;
        let outgoing = match &mut tab.role {
            Role::Leader(_) => None,
            Role::Follower(follower) => match follower.submit(&tab.engine, &wish.packed()) {
                Some((given, outgoing)) => {
                    assert_eq!(given, number, "a tab counts its requests");
                    Some(outgoing)
                }
                // Too much is under way.
                None => return,
            },
        };
        tab.next_number += 1;
        tab.open.insert(number, Open { wish: wish.clone(), since });
        let id = (tab.id, number);
        self.asked.insert(id, wish);
        match outgoing {
            Some(outgoing) => self.send(at, outgoing),
            None => self.apply_own(at, number),
        }
    }

    pub fn wishes(&self, id: Id) -> Rc<Wish> {
        self.asked.get(&id).expect("broke Once: it was asked for").clone()
    }

    /// This leader has done it already, and not stored it.
    pub fn is_recorded(&self, at: usize, id: Id) -> bool {
        use super::truth::Cause;
        let is_it = |cause: &Cause| matches!(cause, Cause::Asked(own, _) if *own == id);
        self.ledger.done(id).is_some_and(|done| !done.is_forgotten())
            || self.tabs[at].host.log.iter().any(|entry| is_it(&entry.cause))
    }

    fn key(&mut self) -> Key {
        format!("key/{:02}", self.rng.u8(..KEYS)).into_bytes()
    }

    fn value(&mut self) -> Vec<u8> {
        let long = self.rng.u8(..30) == 0;
        let length = self.rng.usize(..if long { 6_000 } else { 200 });
        vec![self.rng.u8(..); length]
    }

    fn lease(&mut self) -> i64 {
        self.rng.i64(self.leases.saturating_sub(4).max(0)..=self.leases).max(1)
    }

    fn wish(&mut self, at: usize) -> Wish {
        let key = self.key();
        let engine = &self.tabs[at].engine;
        let (seen, revision) = (engine.mod_revision(&key), engine.revision());
        match self.rng.u8(..100) {
            0..40 => Wish::Put { key, value: self.value(), lease: 0, prev_kv: self.rng.bool() },
            40..48 => Wish::Put { key, value: self.value(), lease: self.lease(), prev_kv: false },
            48..54 => Wish::Touch { key },
            54..62 => {
                let end = [&key[..], b"0"].concat();
                let end = if self.rng.u8(..4) == 0 { self.key().max(end) } else { end };
                Wish::Delete { from: key, end, prev_kv: self.rng.bool() }
            }
            62..74 => {
                // What it has seen may be out of date.
                Wish::Swap { key, mod_revision: seen, value: self.value() }
            }
            74..80 => {
                let first = self.rng.u8(..KEYS - 2);
                let [one, gone, other] = [0, 1, 2].map(|more| format!("key/{:02}", first + more).into_bytes());
                Wish::Move { puts: [one, other], gone, value: self.value() }
            }
            80..84 => Wish::Read,
            84..90 => {
                self.leases += 1;
                Wish::Grant { id: self.leases, ttl_seconds: self.rng.u64(1..LEASE_SECONDS) }
            }
            90..93 => Wish::Revoke { id: self.lease() },
            93..97 => Wish::KeepAlive { id: self.lease() },
            97..99 => Wish::RestoreTo { revision: revision.saturating_sub(self.rng.u64(..30)).max(1) },
            _ => Wish::Compact { revision: revision.saturating_sub(self.rng.u64(60..200)).max(1) },
        }
    }

    /// The tab's watch: all of what is stored is there, once, in order, each revision whole.
    pub fn look(&mut self, at: usize) {
        let tab = &mut self.tabs[at];
        let (now, life) = (tab.engine.durable_revision(), tab.engine.incarnation());
        if tab.life != life {
            // What it had was of another one.
            (tab.life, tab.durable, tab.told) = (life, 0, 0);
            tab.watch.take().map(|watch| tab.engine.cancel_watch(watch));
        }
        assert!(now >= tab.durable, "broke Reads: tab {} goes back from {} to {now}", tab.id, tab.durable);
        tab.durable = now;
        let Some(watch) = tab.watch else {
            if tab.is_in_sync() && now > 1 {
                tab.begin_watch();
            }
            return;
        };
        if !tab.engine.has_pending_watches() {
            return;
        }
        let taken = match tab.engine.take_events(watch, now.max(1), 50) {
            Ok(taken) => taken,
            Err(error) => {
                let is_forgotten = error.code() == "COMPACTED" && self.ledger.model.compacted > tab.told + 1;
                assert!(is_forgotten, "broke Watches: tab {} at {}: {error}", tab.id, tab.told);
                tab.begin_watch();
                return self.count("watch overtaken");
            }
        };
        for batch in taken.batches {
            let revision = batch.revision;
            let next = self.ledger.next(tab.told);
            assert_eq!(next, Some(revision), "broke Watches: tab {} was told of {revision} after {}", tab.id, tab.told);
            let rows = self.ledger.rows(revision).expect("it is the next one");
            let is_same = batch.events.into_iter().map(row).eq(rows.iter().cloned());
            assert!(is_same, "broke Watches: tab {} was told another at {revision}", tab.id);
            tab.told = revision;
        }
    }

    /// What is read as stored is what was stored. To hash all history takes longer than all the rest, so it is done seldom.
    pub fn check_reads(&mut self, at: usize) {
        let engine = &self.tabs[at].engine;
        let (revision, compacted) = (engine.durable_revision(), engine.compact_revision());
        if revision < 2 || revision < compacted {
            return;
        }
        if self.rng.u8(..10) == 0 {
            self.ledger.check_state(engine, revision);
        }
        if self.rng.u8(..60) == 0 {
            let hash = engine.hash(revision).expect("readable").hash;
            let known = *self.hashes.entry((revision, compacted)).or_insert(hash);
            assert_eq!(hash, known, "broke Same: tab {} at {revision}, compacted at {compacted}", self.tabs[at].id);
            while self.hashes.len() > HASHES {
                self.hashes.pop_first();
            }
        }
    }
}
