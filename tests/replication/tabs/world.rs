//! Tabs, their lock, the channel between them and the storage below them, in virtual time: from one event to the next.

use std::collections::BTreeMap;
use std::rc::Rc;

use fastrand::Rng;
use revkv::{Body, Came, Error, Message, Outgoing};

use super::medium::Medium;
use super::storage::Flight;
use super::tab::{Role, Tab};
use super::truth::{Cause, Entry, Ledger};

pub const TABS: usize = 5;

/// What happens at a time.
pub enum Event {
    Message {
        to: u64,
        bytes: Rc<[u8]>,
    },
    Tick {
        tab: u64,
    },
    /// A write reaches the medium.
    Land {
        flight: u64,
    },
    /// The storage says what came of a write.
    Answer {
        flight: u64,
    },
    /// Somebody asks for something.
    Ask,
    Trouble,
    /// The lock goes to whoever is there.
    Elect,
    Thaw {
        tab: u64,
    },
    /// A tab hears that the lock was taken from it.
    Robbed {
        tab: u64,
    },
}

pub struct World<M> {
    pub rng: Rng,
    pub now_ms: u64,
    /// What the clock on the wall is ahead.
    pub ahead_ms: u64,
    agenda: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
    pub medium: M,
    pub flights: BTreeMap<u64, Flight>,
    pub flown: u64,
    pub ledger: Ledger,
    /// How many entries there were, stored or not.
    pub entries: u64,
    /// The last entry that somebody was answered about.
    pub heard: u64,
    pub tabs: Vec<Tab>,
    pub opened: u64,
    /// The tab that holds the lock.
    pub holder: Option<u64>,
    /// Every request that was ever made.
    pub asked: BTreeMap<super::truth::Id, Rc<super::wish::Wish>>,
    /// Of every (revision, compact revision) that some tab had.
    pub hashes: BTreeMap<(u64, u64), u32>,
    pub leases: i64,
    /// Nothing goes wrong.
    pub is_calm: bool,
    pub counts: BTreeMap<&'static str, usize>,
}

impl<M: Medium> World<M> {
    pub fn new(seed: u64) -> Self {
        let mut world = Self {
            rng: Rng::with_seed(seed),
            now_ms: 0,
            ahead_ms: 1 << 40,
            agenda: BTreeMap::new(),
            scheduled: 0,
            medium: M::new(),
            flights: BTreeMap::new(),
            flown: 0,
            ledger: Ledger::new(),
            entries: 0,
            heard: 0,
            tabs: Vec::new(),
            opened: 0,
            holder: None,
            asked: BTreeMap::new(),
            hashes: BTreeMap::new(),
            leases: 0,
            is_calm: false,
            counts: BTreeMap::new(),
        };
        (0..TABS).for_each(|_| world.open());
        world.at(0, Event::Elect);
        world.at(0, Event::Ask);
        world.at(0, Event::Trouble);
        world
    }

    /// What the clocks of all tabs say.
    pub fn wall_ms(&self) -> u64 {
        self.ahead_ms + self.now_ms
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub fn at(&mut self, time_ms: u64, event: Event) {
        self.scheduled += 1;
        self.agenda.insert((time_ms, self.scheduled), event);
    }

    pub fn after(&mut self, wait_ms: u64, event: Event) {
        self.at(self.now_ms + wait_ms, event);
    }

    /// No message is on its way.
    pub fn is_quiet(&self) -> bool {
        !self.agenda.values().any(|event| matches!(event, Event::Message { .. }))
    }

    /// A tab opens.
    pub fn open(&mut self) {
        self.opened += 1;
        self.tabs.push(Tab::new(self.opened));
        let wait_ms = self.rng.u64(..300);
        self.after(wait_ms, Event::Tick { tab: self.opened });
    }

    pub fn place(&self, id: u64) -> Option<usize> {
        self.tabs.iter().position(|tab| tab.id == id)
    }

    pub fn is_frozen(&self, at: usize) -> bool {
        self.tabs[at].frozen_until > self.now_ms
    }

    pub fn run_until(&mut self, end_ms: u64) {
        while self.now_ms < end_ms {
            self.step();
        }
    }

    pub fn step(&mut self) {
        let ((time_ms, _), event) = self.agenda.pop_first().expect("there is always a next tick");
        self.now_ms = time_ms;
        match event {
            Event::Message { to, bytes } => self.deliver(to, bytes),
            Event::Tick { tab } => self.tick(tab),
            Event::Land { flight } => self.land(flight),
            Event::Answer { flight } => self.storage_answers(flight),
            Event::Ask => self.ask(),
            Event::Trouble => self.trouble(),
            Event::Elect => self.elect(),
            Event::Thaw { tab } => self.thaw(tab),
            Event::Robbed { tab } => self.hear_of_robbery(tab),
        }
    }

    fn deliver(&mut self, to: u64, bytes: Rc<[u8]>) {
        let Some(at) = self.place(to) else { return };
        if self.tabs[at].cut_until > self.now_ms {
            self.count("cut");
        } else if self.is_frozen(at) {
            self.tabs[at].keep(bytes);
        } else {
            self.handle(at, &bytes);
            self.look(at);
        }
    }

    /// A tab takes a message.
    pub fn handle(&mut self, at: usize, bytes: &[u8]) {
        let now_ms = self.wall_ms();
        let tab = &mut self.tabs[at];
        let handled = match &mut tab.role {
            Role::Follower(follower) => Ok(follower.handle(&mut tab.engine, bytes, now_ms)),
            Role::Leader(leader) => {
                let asked = Message::read(bytes).and_then(|message| match message.body {
                    Body::Request { number, .. } => Some((message.from, number)),
                    _ => None,
                });
                let last = asked.map(|(from, _)| tab.engine.last_request(from));
                let before = tab.engine.revision();
                let handled = leader.handle(&mut tab.engine, bytes, now_ms);
                let (after, now) = (tab.engine.revision(), asked.map(|(from, _)| tab.engine.last_request(from)));
                match asked.filter(|(_, number)| now == Some(*number) && now > last) {
                    Some(id) => self.record_request(at, before, id),
                    None => assert_eq!(before, after, "broke Once: a write that nobody has asked for"),
                }
                handled
            }
        };
        match handled {
            Ok(outgoing) => self.send(at, outgoing),
            Err(Error::NotLeader) => {
                self.count("heard of another");
                self.resign(at);
            }
            Err(error) => panic!("{error}"),
        }
        self.settle_done(at);
        self.write(at);
    }

    /// A request was applied, when the revision was `before`.
    pub fn record_request(&mut self, at: usize, before: u64, id: (u64, u64)) {
        // Whoever has asked may be gone, and what it wanted with it.
        let wish = self.wishes(id);
        self.record(at, before, Cause::Asked(id, wish));
    }

    pub fn record(&mut self, at: usize, before: u64, cause: Cause) {
        self.entries += 1;
        let tab = &mut self.tabs[at];
        let revision = tab.engine.revision();
        let rows = if revision > before && !matches!(cause, Cause::Skipped) {
            tab.rows(before + 1, revision)
        } else {
            Vec::new()
        };
        tab.host.last = self.entries;
        tab.host.log.push_back(Rc::new(Entry { place: self.entries, revision, rows, cause }));
    }

    pub fn send(&mut self, from: usize, outgoing: Vec<Outgoing>) {
        let sender = &self.tabs[from];
        if sender.cut_until > self.now_ms {
            return;
        }
        let (sender, is_calm) = (sender.id, self.is_calm);
        for Outgoing { to, bytes } in outgoing {
            if let Some(Message { body: Body::Chunk { index: 0, .. }, .. }) = Message::read(&bytes) {
                self.count("snapshot given");
            }
            let bytes: Rc<[u8]> = bytes.into();
            let all: Vec<u64> = self.tabs.iter().map(|tab| tab.id).collect();
            for id in all.into_iter().filter(|id| *id != sender && (to == 0 || *id == to)) {
                let copies = match self.rng.u8(..20) {
                    _ if is_calm => 1,
                    0 => 0,
                    1 => 2,
                    _ => 1,
                };
                for _ in 0..copies {
                    let late_ms = match self.rng.u16(..1_000) {
                        _ if is_calm => 30,
                        0..3 => 60_000,
                        3..40 => 2_000,
                        _ => 30,
                    };
                    let wait_ms = self.rng.u64(1..late_ms);
                    self.after(wait_ms, Event::Message { to: id, bytes: bytes.clone() });
                }
            }
        }
    }

    fn tick(&mut self, id: u64) {
        let Some(at) = self.place(id) else { return };
        let wait_ms = self.rng.u64(200..400);
        self.after(wait_ms, Event::Tick { tab: id });
        if self.is_frozen(at) {
            return;
        }
        let now_ms = self.wall_ms();
        if self.tabs[at].leads() {
            self.expire(at);
            if self.rng.u8(..20) == 0 {
                self.compact(at);
            }
        }
        let tab = &mut self.tabs[at];
        tab.engine.compact_step();
        let outgoing = match &mut tab.role {
            Role::Leader(leader) => leader.tick(&mut tab.engine, now_ms),
            Role::Follower(follower) => follower.tick(&tab.engine, now_ms),
        };
        self.send(at, outgoing);
        self.write(at);
        self.look(at);
        self.check_reads(at);
    }

    /// Leases end, each in a revision of its own.
    fn expire(&mut self, at: usize) {
        let now_ms = self.wall_ms();
        let engine = &mut self.tabs[at].engine;
        let before = engine.revision();
        let leases: BTreeMap<i64, Vec<Vec<u8>>> = engine
            .leases()
            .into_iter()
            .map(|id| (id.0, engine.lease(id, now_ms).expect("it is listed").keys))
            .collect();
        engine.tick(now_ms).expect("nobody can cause an error");
        let left = engine.leases();
        let (mut gone, after) = (leases, engine.revision());
        left.iter().for_each(|id| drop(gone.remove(&id.0)));
        let mut ended: Vec<(u64, i64)> = Vec::new();
        for (id, keys) in gone {
            let tab = &self.tabs[at];
            let is_its =
                |revision: &u64| tab.rows(*revision, *revision).iter().any(|row| keys.contains(&row.1.key.to_vec()));
            let revision = if keys.is_empty() { Some(before) } else { (before + 1..=after).find(is_its) };
            ended.push((revision.expect("broke Leases: its keys are there"), id));
        }
        ended.sort_unstable();
        for (revision, id) in ended {
            self.count("expired");
            self.entries += 1;
            let tab = &mut self.tabs[at];
            let rows = if revision > before { tab.rows(revision, revision) } else { Vec::new() };
            tab.host.last = self.entries;
            let entry = Entry { place: self.entries, revision, rows, cause: Cause::Expired(id) };
            tab.host.log.push_back(Rc::new(entry));
        }
    }

    /// The leader forgets history, as a retention of so many revisions does.
    fn compact(&mut self, at: usize) {
        const KEPT: u64 = 120;
        let now_ms = self.wall_ms();
        let engine = &mut self.tabs[at].engine;
        let revision = engine.durable_revision().saturating_sub(KEPT);
        if revision > engine.compact_revision() + KEPT / 4 {
            engine.apply(revkv::Request::Compact { revision }, now_ms).expect("not compacted before");
            let before = engine.revision();
            self.record(at, before, Cause::Compacted(revision));
            self.count("compaction");
        }
    }

    /// The tab that led does so no more; what it has not answered is asked of the next one.
    pub fn resign(&mut self, at: usize) {
        self.count("resign");
        let tab = &mut self.tabs[at];
        if self.holder == Some(tab.id) {
            self.holder = None;
        }
        tab.engine.resign();
        (tab.flight, tab.is_robbed, tab.host) = (None, false, Default::default());
        let pending = tab.open.iter().map(|(number, open)| (*number, open.wish.packed())).collect();
        tab.role = Role::Follower(revkv::Follower::with_pending(tab.id, pending, tab.next_number));
    }

    fn settle_done(&mut self, at: usize) {
        let Role::Follower(follower) = &mut self.tabs[at].role else { return };
        for (number, came) in follower.take_done() {
            self.answered(at, number, &came);
        }
    }

    /// A client has its answer.
    pub fn answered(&mut self, at: usize, number: u64, came: &Came) {
        let tab = &mut self.tabs[at];
        let id = (tab.id, number);
        let open = tab.open.remove(&number).expect("broke Once: a request is answered twice");
        self.count(match came {
            Came::Applied(_) => "answered",
            Came::Before => "answered without a response",
            Came::Refused(..) => "refused",
        });
        self.ledger.answer(id, &open.wish, came, open.since);
        if let Some(done) = self.ledger.done(id) {
            self.heard = self.heard.max(done.place);
            let has = self.tabs[at].engine.durable_revision();
            assert!(done.revision <= has, "broke Serial: {id:?} cannot be read where it was asked, at {has}");
        }
    }
}
