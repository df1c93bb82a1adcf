//! The syncer under random schedules: a source that is written to, a watch that lags, breaks, repeats and loses, snapshots
//! from replicas that lag, or pinned, and read page by page, and sources that are built anew.
//!
//! Whatever comes in whichever order, the consumer's keys must be the source's whenever it is said that they are.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;
use revkv::{SyncBatch, SyncEvent, SyncKind, SyncOutput, SyncStatus, Syncer};

const SCHEDULES: u64 = 100_000;
const STEPS_MAX: usize = 60;
const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Keys, each with its revision and value.
type State = BTreeMap<&'static str, (u64, u8)>;

/// The same, in a row.
type Items = Vec<(&'static str, (u64, u8))>;

/// All that ever happened, and how it was after each revision.
struct Source {
    events: Vec<Vec<(&'static str, Option<u8>)>>,
    states: Vec<State>,
}

impl Source {
    /// At revision 1, where nothing has happened.
    fn new() -> Self {
        Self { events: vec![Vec::new(); 2], states: vec![State::new(); 2] }
    }

    fn revision(&self) -> u64 {
        self.events.len() as u64 - 1
    }

    fn at(&self, revision: u64) -> &State {
        &self.states[usize::try_from(revision).expect("small")]
    }

    fn write(&mut self, rng: &mut Rng) {
        let revision = self.revision() + 1;
        let mut state = self.at(revision - 1).clone();
        let mut events = Vec::new();
        for _ in 0..rng.usize(1..4) {
            let key = KEYS[rng.usize(..KEYS.len())];
            // Few values, so that another source may have the same.
            let value = rng.u8(..4);
            if rng.u8(..3) > 0 {
                state.insert(key, (revision, value));
                events.push((key, Some(value)));
            } else if state.remove(key).is_some() {
                events.push((key, None));
            }
        }
        if !events.is_empty() {
            self.events.push(events);
            self.states.push(state);
        }
    }
}

/// What the consumer makes of it, and what it never may be told.
struct Consumer {
    keys: BTreeMap<String, (u64, u8)>,
    status: Option<SyncStatus>,
    /// The newest revision told of each key, by this incarnation of the source.
    told: BTreeMap<String, u64>,
    /// The newest batch since the source was in sync.
    batch: u64,
    /// A key may be known by the revision of another source, which had the same value.
    is_rebuilt: bool,
}

impl Consumer {
    fn apply(&mut self, batch: &SyncBatch) {
        assert_ne!(self.status, Some(SyncStatus::Waiting), "broke Order: a change while waiting");
        assert!(!batch.changes.is_empty(), "broke Whole: an empty batch");
        let mut told = Vec::new();
        for change in &batch.changes {
            let key = String::from_utf8(change.key.clone()).expect("text");
            let is_there = self.keys.contains_key(&key);
            assert_eq!(is_there, change.kind != SyncKind::Created, "broke Kind: {change:?}");
            let before = self.told.get(&key).copied().unwrap_or(0);
            assert!(before < change.mod_revision, "broke Unique: {change:?} after {before}");
            match change.kind {
                SyncKind::Deleted => drop(self.keys.remove(&key)),
                _ => drop(self.keys.insert(key.clone(), (change.mod_revision, change.value[0]))),
            }
            told.push((key, change.mod_revision));
        }
        self.told.extend(told);
        if self.status == Some(SyncStatus::InSync) {
            assert!(self.batch < batch.revision, "broke Whole: revision {} in two batches", batch.revision);
            self.batch = batch.revision;
        }
    }

    fn compare(&self, state: &State, when: &str) {
        let theirs = state.iter().map(|(key, (revision, value))| (*key, (*revision, *value)));
        let values = |(key, (revision, value)): (&str, (u64, u8))| {
            (key.to_owned(), if self.is_rebuilt { 0 } else { revision }, value)
        };
        let own: Vec<_> = self.keys.iter().map(|(key, entry)| values((key, *entry))).collect();
        let theirs: Vec<_> = theirs.map(values).collect();
        assert_eq!(own, theirs, "broke Same {when}");
    }
}

struct World {
    rng: Rng,
    source: Source,
    incarnation: u8,
    syncer: Syncer,
    consumer: Consumer,
    /// Whether snapshots are pinned and the watch begins right behind them; or they are from another replica.
    is_pinned: bool,
    /// The next revision that the watch tells; none while it is closed.
    next: Option<u64>,
    /// The snapshot that is being read, and what is still to come of it.
    snapshot: Option<(u64, Items)>,
    story: Vec<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let consumer =
            Consumer { keys: BTreeMap::new(), status: None, told: BTreeMap::new(), batch: 0, is_rebuilt: false };
        let mut world = Self {
            is_pinned: rng.bool(),
            rng,
            source: Source::new(),
            incarnation: 0,
            syncer: Syncer::new(),
            consumer,
            next: None,
            snapshot: None,
            story: Vec::new(),
        };
        for _ in 0..world.rng.usize(..8) {
            world.source.write(&mut world.rng);
        }
        world.connect();
        world
    }

    fn step(&mut self) {
        match self.rng.u8(..16) {
            0..4 => self.source.write(&mut self.rng),
            4..8 => self.watch(),
            8 => self.repeat(),
            9 => self.lose(),
            10..14 => self.read(),
            14 if self.rng.u8(..4) == 0 => self.fail(),
            14 => self.progress(),
            _ if self.rng.u8(..8) == 0 => self.rebuild(),
            _ => {}
        }
        self.take();
    }

    fn tell(&mut self, what: String) {
        self.story.push(what);
    }

    fn connect(&mut self) {
        self.syncer.connected(&[self.incarnation]);
        let from = self.rng.u64(1..=self.source.revision());
        self.next = (!self.is_pinned).then_some(from + 1);
        self.snapshot = None;
        self.tell(format!("connected to {}, watch behind {from}", self.incarnation));
        self.syncer.lost(from);
    }

    /// Some revisions, cut into answers anywhere.
    fn watch(&mut self) {
        let Some(next) = self.next.filter(|next| *next <= self.source.revision()) else { return };
        let last = self.rng.u64(next..=self.source.revision());
        let mut events = Vec::new();
        for revision in next..=last {
            let of_revision = &self.source.events[usize::try_from(revision).expect("small")];
            events.extend(of_revision.iter().map(|(key, value)| (*key, revision, *value)));
        }
        self.next = Some(last + 1);
        self.tell(format!("events {events:?}"));
        let values: Vec<_> = events.iter().map(|(_, _, value)| value.map(|value| [value])).collect();
        let events: Vec<_> = events
            .iter()
            .zip(&values)
            .map(|((key, mod_revision, _), value)| SyncEvent {
                key: key.as_bytes(),
                mod_revision: *mod_revision,
                value: value.as_ref().map(|value| &value[..]),
            })
            .collect();
        let cut = self.rng.usize(..=events.len());
        self.syncer.events(&events[..cut], false);
        self.take();
        self.syncer.events(&events[cut..], true);
    }

    /// The watch broke, and goes on a little before where it was.
    fn repeat(&mut self) {
        if let Some(next) = self.next {
            self.next = Some(self.rng.u64(next.saturating_sub(4).max(2)..=next));
            self.tell(format!("watch goes on at {:?}", self.next));
        }
    }

    /// The watch broke, and what comes next is forgotten.
    fn lose(&mut self) {
        let oldest = self.next.unwrap_or(1).saturating_sub(3).max(1);
        let behind = self.rng.u64(oldest.min(self.source.revision())..=self.source.revision());
        self.tell(format!("lost, watch behind {behind}"));
        self.syncer.lost(behind);
        let waits = self.is_pinned && self.syncer.wants_snapshot().is_some();
        self.next = (!waits).then_some(behind + 1);
    }

    fn read(&mut self) {
        let Some((revision, mut rest)) = self.snapshot.take() else { return self.begin() };
        if rest.is_empty() {
            self.tell(format!("finished {revision}"));
            return self.syncer.snapshot_finished(revision);
        }
        let page: Vec<_> = rest.drain(..self.rng.usize(1..=rest.len())).collect();
        self.tell(format!("page of {revision}: {page:?}"));
        let values: Vec<_> = page.iter().map(|(_, (_, value))| [*value]).collect();
        let items: Vec<_> = page
            .iter()
            .zip(&values)
            .map(|((key, (mod_revision, _)), value)| SyncEvent {
                key: key.as_bytes(),
                mod_revision: *mod_revision,
                value: Some(&value[..]),
            })
            .collect();
        self.syncer.snapshot_page(revision, &items);
        self.snapshot = Some((revision, rest));
    }

    /// A replica may lag, and its answer be too old.
    fn begin(&mut self) {
        let Some(min) = self.syncer.wants_snapshot() else { return };
        let newest = self.source.revision();
        let oldest = if self.is_pinned { newest } else { min.saturating_sub(3).clamp(1, newest) };
        let revision = self.rng.u64(oldest..=newest);
        let does = self.syncer.snapshot_started(revision);
        assert_eq!(does, revision >= min, "an old snapshot is refused");
        self.tell(format!("snapshot at {revision}: {does}"));
        if does {
            let state = self.source.at(revision).iter().map(|(key, entry)| (*key, *entry)).collect();
            self.snapshot = Some((revision, state));
            if self.is_pinned {
                self.next = Some(revision + 1);
            }
        }
    }

    fn fail(&mut self) {
        if self.snapshot.take().is_some() {
            self.tell("snapshot failed".to_owned());
            self.syncer.snapshot_failed();
        }
    }

    fn progress(&mut self) {
        let newest = self.source.revision();
        if self.next == Some(newest + 1) {
            self.tell(format!("progress {newest}"));
            self.syncer.progress(newest);
        }
    }

    fn rebuild(&mut self) {
        self.source = Source::new();
        for _ in 0..self.rng.usize(..12) {
            self.source.write(&mut self.rng);
        }
        self.incarnation += 1;
        self.consumer.is_rebuilt = true;
        self.connect();
        self.consumer.told.clear();
        self.consumer.batch = 0;
    }

    fn take(&mut self) {
        let outputs = self.syncer.take();
        for output in outputs {
            match output {
                SyncOutput::Status(status) => {
                    assert_ne!(self.consumer.status.replace(status), Some(status), "broke Status: told twice");
                    if status == SyncStatus::InSync {
                        let revision = self.syncer.revision();
                        self.consumer.compare(self.source.at(revision), "when in sync");
                        self.consumer.batch = revision;
                    }
                }
                SyncOutput::Batch(batch) => {
                    self.consumer.apply(&batch);
                    if self.consumer.status == Some(SyncStatus::InSync) {
                        self.consumer.compare(self.source.at(batch.revision), "after a batch");
                    }
                }
            }
        }
        assert_eq!(self.syncer.len(), self.consumer.keys.len(), "broke Same: the syncer counts other keys");
    }

    /// Nothing more goes wrong: it must come to an end.
    fn settle(&mut self) {
        for _ in 0..200 {
            if self.next.is_none() || self.syncer.status() != SyncStatus::InSync {
                self.read();
            }
            self.take();
            self.watch();
            self.take();
        }
        assert_eq!(self.syncer.status(), SyncStatus::InSync, "broke Live: it does not come in sync");
        self.consumer.compare(self.source.at(self.source.revision()), "at the end");
    }
}

/// What went wrong and how it came about, if it did, in the first so many steps.
fn run(seed: u64, steps: usize) -> Option<String> {
    let mut world = World::new(seed);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        (0..steps).for_each(|_| world.step());
        world.settle();
    }));
    let panic = outcome.err()?;
    let said = panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "it panicked".to_owned());
    Some(format!("{said}\n{}", world.story.join("\n")))
}

/// Another first seed goes on where this one ends: `REVKV_SEED`.
#[test]
fn the_consumer_ends_with_the_keys_of_the_source() {
    let first: u64 = std::env::var("REVKV_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    for seed in first..first + SCHEDULES {
        if run(seed, STEPS_MAX).is_some() {
            let steps = (0..=STEPS_MAX).find(|steps| run(seed, *steps).is_some()).unwrap_or(STEPS_MAX);
            panic!("seed {seed}, {steps} steps: {}", run(seed, steps).unwrap_or_default());
        }
    }
}
