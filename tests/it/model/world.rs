//! The engine and the model side by side.

use std::collections::BTreeSet;

use super::medium::Medium;
use super::setup::Setup;
use super::size::{Kept, Removal};
use super::store::Model;
use super::watch::Watcher;
use crate::op::{Answer, Batch, Event, Keys, Op, Range, Watch};
use crate::subject::{self, Driven, Subject};

/// Of a long history, so many revisions are read, evenly spread.
const REVISIONS_COMPARED: usize = 64;

/// One thing that happens. Watchers are named by their place among those there are.
#[derive(Clone, Debug)]
pub enum Step {
    Op(Op),
    /// Takes from a watcher revisions up to this one (0: all), about so many events.
    Take {
        watcher: usize,
        up_to: u64,
        events_max: usize,
    },
    /// Takes from every watcher all that waits for it.
    TakeAll,
    Cancel {
        watcher: usize,
    },
    /// Many watches begin at once.
    Crowd(Vec<Watch>),
    /// All but so many end at once, the oldest first.
    Disperse {
        left: usize,
    },
    /// The clock moves, unnoticed by the engine.
    Wait {
        ms: i64,
    },
    /// The clock moves, and the engine is told.
    Tick {
        ms: i64,
    },
    CompactSteps(usize),
    /// Reads the history from a revision on, portion by portion.
    Walk {
        keys: Keys,
        start: u64,
        limit: u64,
    },
    /// One batch that is ready goes to the medium, which does not confirm it yet.
    Write,
    /// The medium confirms one of the writes.
    Confirm {
        nth: usize,
    },
    /// What is ready goes to the medium and is confirmed.
    Store,
    /// What is ready goes to the medium, and a new engine is built from it.
    Reopen,
    /// A new engine is built from what the medium has.
    Crash,
    /// The same, after what was ready had been taken and before it was written.
    CrashWriting,
}

pub struct World {
    driven: Driven,
    pub model: Model,
    pub setup: Setup,
    now_ms: u64,
    medium: Medium,
    durable: u64,
    /// The engine has not come to the end with removing old history.
    removing: bool,
    /// What is written or gathered for the medium asks for a removal, and does not say that it is done.
    compacts: bool,
    watchers_made: u32,
    played: usize,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let setup = Setup::of(seed);
        let medium = Medium::new(&setup);
        Self {
            driven: Driven::new(medium.open()),
            model: Model::with_limits(setup.limits),
            setup,
            now_ms: 1_000_000_000,
            medium,
            durable: 1,
            removing: false,
            compacts: false,
            watchers_made: 0,
            played: 0,
        }
    }

    pub fn play(&mut self, step: &Step) {
        match step {
            Step::Op(op) => drop(self.ask(op)),
            Step::Take { watcher, up_to, events_max } => {
                if let Some(id) = self.nth_watcher(*watcher) {
                    self.take(id, *up_to, *events_max);
                }
            }
            Step::TakeAll => {
                let ids: Vec<u32> = self.model.watchers.keys().copied().collect();
                ids.into_iter().for_each(|id| self.take(id, 0, usize::MAX));
            }
            Step::Crowd(watches) => watches.iter().for_each(|watch| drop(self.ask(&Op::Watch(watch.clone())))),
            Step::Disperse { left } => {
                let ended = self.model.watchers.len().saturating_sub(*left);
                let ids: Vec<u32> = self.model.watchers.keys().copied().take(ended).collect();
                ids.into_iter().for_each(|id| self.cancel(id));
            }
            Step::Cancel { watcher } => {
                if let Some(id) = self.nth_watcher(*watcher) {
                    self.cancel(id);
                }
            }
            Step::Wait { ms } => self.now_ms = self.now_ms.saturating_add_signed(*ms),
            Step::Tick { ms } => {
                self.now_ms = self.now_ms.saturating_add_signed(*ms);
                self.driven.engine.tick(self.now_ms).expect("a tick only deletes");
                self.model.tick(self.now_ms);
            }
            Step::CompactSteps(steps) => (0..*steps).for_each(|_| self.compact_step()),
            Step::Walk { keys, start, limit } => self.walk(keys, *start, *limit),
            Step::Write => drop(self.write()),
            Step::Confirm { nth } => {
                let writes = self.medium.unconfirmed.len();
                if let Some(nth) = nth.checked_rem(writes) {
                    let through = self.medium.unconfirmed.remove(nth);
                    self.confirm(through);
                }
            }
            Step::Store => self.store(),
            Step::Reopen => {
                self.store();
                self.restart();
            }
            Step::Crash => self.restart(),
            Step::CrashWriting => {
                drop(self.driven.engine.take_ready());
                self.restart();
            }
        }
        self.played += 1;
        self.check();
    }

    /// Asks both; gives what both answer.
    fn ask(&mut self, op: &Op) -> Answer {
        let before = self.standing();
        let bytes = self.driven.engine.stats().bytes;
        let (got, expected) = if let Op::Watch(watch) = op {
            self.watchers_made += 1;
            let id = self.watchers_made;
            let made = |outcome: Result<(), String>| outcome.map_or_else(Answer::Error, |()| Answer::Watch {});
            (made(self.driven.watch(id, watch)), made(Subject::watch(&mut self.model, id, watch)))
        } else {
            let got = self.driven.answer(op, self.now_ms);
            let refused = got == Answer::error("QUOTA_EXCEEDED");
            self.model.removal = if self.removing { Removal::Running { bytes, refused } } else { Removal::Done };
            if got == Answer::error("TOO_LARGE") {
                self.check_too_large(op);
                if op.is_request() {
                    self.model.tell(self.now_ms);
                }
                assert_eq!(self.standing(), before, "{op:?} failed and left a trace");
                return got;
            }
            (got, Subject::answer(&mut self.model, op, self.now_ms))
        };
        assert!(got == expected, "{op:?}\nexpected {expected:?}\n     got {got:?}");
        assert!(got.bytes() <= self.setup.limits.response_bytes_max, "{op:?} is answered with {} bytes", got.bytes());
        match (op, &got) {
            (_, Answer::Error(_)) => assert_eq!(self.standing(), before, "{op:?} failed and left a trace"),
            (Op::Compact { revision: 1.. }, _) => (self.removing, self.compacts) = (true, true),
            (Op::ReleaseSnapshot { revision }, Answer::ReleaseSnapshot { released: true }) => {
                let last = !self.model.pins.contains(revision);
                self.removing |= last && *revision < self.model.compact_revision;
            }
            _ => {}
        }
        got
    }

    /// The request is, or else its answer. An answer is found to be while the request is being applied, so that the
    /// model, which sees it whole, may have met another failure.
    fn check_too_large(&self, op: &Op) {
        let mut model = self.model.clone();
        let whole = Subject::answer(&mut model, op, self.now_ms);
        let late = whole == Answer::error("KEY_NOT_FOUND") && matches!(op, Op::Txn(_));
        let fits = whole != Answer::error("TOO_LARGE") && !self.model.may_be_too_large(op, &whole);
        assert!(late || !fits, "{op:?}\nexpected {whole:?}\n     got TOO_LARGE");
    }

    /// What a request that fails must leave as it is: not the deadlines, which follow the time that is told with it.
    fn standing(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let engine = &self.driven.engine;
        (engine.revision(), engine.compact_revision(), engine.stats(), engine.pending_watches())
    }

    fn compact_step(&mut self) {
        let before = self.driven.engine.stats();
        let more = self.driven.engine.compact_step();
        if self.removing {
            let pinned = self.model.pins.iter().any(|pin| *pin < self.model.compact_revision);
            (self.removing, self.compacts) = (more, self.compacts && (more || pinned));
        } else {
            assert!(!more && self.driven.engine.stats() == before, "there was nothing to remove");
        }
    }

    /// Portion by portion the history is what it is as a whole.
    fn walk(&mut self, keys: &Keys, start: u64, limit: u64) {
        let present = self.model.revision;
        let mut start_revision = start;
        let mut walked: Vec<Event> = Vec::new();
        while start_revision <= present {
            let since = Op::Since { keys: keys.clone(), start_revision, end_revision: 0, limit };
            let Answer::Since { events, next_revision } = self.ask(&since) else { return };
            assert!(next_revision > start_revision, "the portion from {start_revision} ends where it began");
            walked.extend(events);
            start_revision = next_revision;
        }
        let from = start.max(self.model.compact_revision);
        let history = Op::History { keys: keys.clone(), from, to: 0, limit: 0 };
        if let Answer::History(whole) = self.ask(&history) {
            assert!(start > present || whole == walked, "{walked:?} was walked of {whole:?}");
        }
    }

    fn cancel(&mut self, id: u32) {
        self.model.watchers.remove(&id);
        let watcher = self.driven.watchers.remove(&id).expect("the model and the engine have the same");
        assert!(self.driven.engine.cancel_watch(watcher), "a watcher can be cancelled");
        assert!(!self.driven.engine.cancel_watch(watcher), "a watcher can be cancelled once");
        assert!(self.driven.engine.take_events(watcher, 0, 1).is_err(), "nothing comes after a cancel");
    }

    fn nth_watcher(&self, nth: usize) -> Option<u32> {
        let count = self.model.watchers.len().max(1);
        self.model.watchers.keys().nth(nth % count).copied()
    }

    fn take(&mut self, id: u32, up_to: u64, events_max: usize) {
        let Watcher { watch, lost, .. } = self.model.watchers[&id].clone();
        let may_be_lost = self.model.may_be_lost(id);
        let watcher = self.driven.watchers[&id];
        let (got, resync, through) = match self.driven.engine.take_events(watcher, up_to, events_max) {
            Ok(taken) => {
                let resync = taken.batches.first().is_some_and(|batch| batch.resync);
                assert!(taken.batches.iter().skip(1).all(|batch| !batch.resync), "only the first batch is a resync");
                (taken.batches.iter().map(subject::batch).collect::<Vec<_>>(), resync, taken.through)
            }
            Err(error) => {
                assert_eq!(error.code(), "COMPACTED");
                assert!(may_be_lost && !watch.resync, "watcher {id} {watch:?} lost nothing: {error}");
                assert!(!self.driven.engine.cancel_watch(watcher), "a watcher that lost changes is gone");
                self.driven.watchers.remove(&id);
                self.model.watchers.remove(&id);
                return;
            }
        };
        self.check_extent(id, up_to, events_max, &got, through);
        assert!(!resync || (may_be_lost && watch.resync), "watcher {id} {watch:?} lost nothing and was resynced");
        assert!(resync || !lost || got.is_empty(), "watcher {id} {watch:?} lost changes and was not told");
        let mut expected = Vec::new();
        if resync {
            expected.push(self.model.resync(id, got[0].revision));
        }
        expected.extend(self.model.take(id, through));
        assert_eq!(got, expected, "watcher {id} {watch:?} through {through}");
    }

    /// A take goes no further than asked, and stops before only with enough events, or where all that it could give is
    /// a resync that lies beyond.
    fn check_extent(&self, id: u32, up_to: u64, events_max: usize, got: &[Batch], through: u64) {
        let present = self.model.revision;
        let bound = if up_to == 0 { present } else { up_to.min(present) };
        assert!(through <= bound.max(self.model.watchers[&id].next - 1), "through {through} is past the bound {bound}");
        let events = |batches: &[Batch]| batches.iter().map(|batch| batch.events.len()).sum::<usize>();
        let before_last = events(&got[..got.len().saturating_sub(1)]);
        assert!(before_last < events_max.max(1), "{before_last} events before the last batch, {events_max} asked for");
        let whole = through >= bound || events(got) >= events_max;
        let waits = self.model.may_be_lost(id) && bound < self.model.compact_revision;
        assert!(whole || waits, "the take stopped at {through} without a reason");
    }

    /// Whether there was something to write: the first batch has all that happened, further ones only rewrite.
    fn write(&mut self) -> bool {
        let Some(ready) = self.driven.engine.take_ready() else { return false };
        assert!(self.medium.is_there(), "nothing is stored without a medium");
        self.medium.write(ready, &self.model, self.compacts);
        true
    }

    fn confirm(&mut self, through: u64) {
        self.driven.engine.persisted(through);
        self.durable = self.durable.max(through);
    }

    fn store(&mut self) {
        while self.write() {}
        while let Some(through) = self.medium.unconfirmed.pop() {
            self.confirm(through);
        }
    }

    fn restart(&mut self) {
        let (engine, model) = self.medium.restart(self.driven.engine.epoch());
        self.driven = Driven::new(engine);
        self.removing = model.removal != Removal::Done;
        self.compacts = self.removing;
        self.durable = model.revision;
        self.model = model;
        self.compare_everything();
    }

    /// What holds after every step, and is cheap to ask.
    fn check(&mut self) {
        let engine = &self.driven.engine;
        engine.check();
        assert_eq!(engine.revision(), self.model.revision, "revision");
        assert_eq!(engine.compact_revision(), self.model.compact_revision, "compact revision");
        assert_eq!(engine.next_deadline(), self.model.next_deadline(), "the next deadline");
        let durable = if self.medium.is_there() { self.durable } else { self.model.revision };
        assert_eq!(engine.durable_revision(), durable, "the durable revision");
        self.check_stats();
        self.check_pending();
        if self.ask(&Op::Range(Range { keys: everything(), ..Range::default() })) == Answer::error("TOO_LARGE") {
            let keys = self.setup.keys.clone();
            keys.into_iter().for_each(|key| drop(self.ask(&Op::Get { key, revision: 0 })));
        }
        if let Some(place) = self.played.checked_rem(self.model.pins.len()) {
            let revision = self.model.pins[place];
            self.ask(&Op::Range(Range { keys: everything(), revision, ..Range::default() }));
        }
    }

    fn check_stats(&self) {
        let stats = self.driven.engine.stats();
        assert_eq!(stats.watchers, self.model.watchers.len(), "watchers");
        assert_eq!(stats.leases, self.model.leases.len(), "leases");
        assert_eq!(stats.keys, self.model.present().len(), "keys");
        let Kept { changes, bytes, .. } = *self.model.kept;
        if self.removing {
            let written = self.model.changes_written();
            assert!((changes..=written).contains(&stats.revisions), "{} changes of {written}", stats.revisions);
            assert!(stats.bytes >= bytes, "{} bytes are counted, {bytes} have to be kept", stats.bytes);
        } else {
            assert_eq!((stats.revisions, stats.bytes), (changes, bytes), "changes and bytes");
        }
    }

    fn check_pending(&self) {
        let pending = self.driven.engine.pending_watches();
        assert!(pending.is_sorted(), "watchers wait in the order they were made");
        for (id, watcher) in &self.driven.watchers {
            let expected = &self.model.watchers[id];
            let (waits, is_pending) = (self.model.waits(*id), pending.contains(watcher));
            assert!(is_pending || !waits, "watcher {id} {:?} waits and is not pending", expected.watch);
            assert!(!is_pending || waits || !expected.caught_up, "watcher {id} {:?} waits for nothing", expected.watch);
        }
        let made: BTreeSet<_> = self.driven.watchers.values().collect();
        assert!(pending.iter().all(|watcher| made.contains(watcher)), "a watcher waits that is gone");
    }

    /// Every state that can be read, every change that is kept, every lease.
    pub fn compare_everything(&mut self) {
        let (oldest, newest) = (self.model.compact_revision.max(1), self.model.revision);
        let apart = ((newest - oldest) as usize / REVISIONS_COMPARED).max(1);
        let mut revisions: Vec<u64> = (oldest..=newest).step_by(apart).chain([newest]).collect();
        revisions.extend(&self.model.pins);
        for revision in revisions {
            self.ask(&Op::Range(Range { keys: everything(), revision, ..Range::default() }));
        }
        self.ask(&Op::History { keys: everything(), from: 0, to: 0, limit: 0 });
        [oldest, newest].into_iter().for_each(|revision| drop(self.ask(&Op::Hash { revision })));
        self.walk(&everything(), 0, 3);
        self.ask(&Op::LeaseLeases);
        let leases: Vec<i64> = self.model.leases.keys().copied().collect();
        leases.into_iter().for_each(|id| drop(self.ask(&Op::LeaseTimeToLive { id })));
    }
}

pub fn everything() -> Keys {
    Keys { key: b"\0"[..].into(), range_end: b"\0"[..].into() }
}
