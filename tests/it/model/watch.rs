//! Watchers: a range, and the revision from which on its changes have not been given yet.

use super::store::{Model, Outcome};
use crate::op::{Answer, Batch, Event, EventType, Filter, Op, Watch};
use crate::subject::{Delivery, Subject};

#[derive(Clone)]
pub struct Watcher {
    pub watch: Watch,
    /// Everything before it has been given.
    pub next: u64,
    /// When it last took something it had then seen all there was: only what came since can be lost to it.
    pub caught_up: bool,
    /// Changes that it still had to see are compacted away.
    pub lost: bool,
}

impl Model {
    pub fn add_watcher(&mut self, id: u32, watch: &Watch) -> Outcome<()> {
        watch.keys.check_shape()?;
        if watch.keys.holds_nothing() {
            return Err("INVALID_RANGE");
        }
        let next = if watch.start_revision == 0 { self.revision + 1 } else { watch.start_revision };
        let lost = next < self.compact_revision;
        if lost && !watch.resync {
            return Err("COMPACTED");
        }
        self.watchers.insert(id, Watcher { watch: watch.clone(), next, caught_up: next > self.revision, lost });
        Ok(())
    }

    /// What the watcher sees of the revisions from its next one to `through`.
    pub fn batches(&self, id: u32, through: u64) -> Vec<Batch> {
        let mut batches: Vec<Batch> = Vec::new();
        for (revision, event) in self.unseen(id, through) {
            if batches.last().is_none_or(|batch| batch.revision < revision) {
                batches.push(Batch { revision, events: Vec::new() });
            }
            let batch = batches.last_mut().expect("there is one for this revision");
            batch.events.push(self.with_prev(&self.watchers[&id].watch, event));
        }
        batches
    }

    /// The changes, with their revisions, that the watcher waits for up to `through`.
    fn unseen(&self, id: u32, through: u64) -> impl Iterator<Item = (u64, &Event)> {
        let Watcher { watch, next, .. } = &self.watchers[&id];
        let new = self.changes.range(*next..=through.max(*next)).filter(move |(at, _)| **at <= through);
        new.flat_map(|(at, changes)| changes.iter().map(|event| (*at, event))).filter(|(_, event)| {
            let filter = if event.r#type == EventType::Put { Filter::NoPut } else { Filter::NoDelete };
            watch.keys.contains(&event.kv.key) && !watch.filters.contains(&filter)
        })
    }

    /// The same, given away.
    pub fn take(&mut self, id: u32, through: u64) -> Vec<Batch> {
        let batches = self.batches(id, through);
        let watcher = self.watchers.get_mut(&id).expect("a watcher of this id");
        watcher.next = watcher.next.max(through + 1);
        watcher.caught_up = through >= self.revision;
        batches
    }

    /// The range as it was at `revision`, in place of what was lost.
    pub fn resync(&mut self, id: u32, revision: u64) -> Batch {
        assert_eq!(self.check_uncompacted(revision), Ok(()), "a resync at {revision}");
        let state = &self.states[&revision];
        let watcher = &self.watchers[&id];
        let kvs = state.values().filter(|kv| watcher.watch.keys.contains(&kv.key)).cloned();
        let events = kvs.map(|kv| Event { r#type: EventType::Put, kv, prev_kv: None }).collect();
        let watcher = self.watchers.get_mut(&id).expect("it was just read");
        (watcher.next, watcher.lost, watcher.caught_up) = (revision + 1, false, revision == self.revision);
        Batch { revision, events }
    }

    /// Its place is compacted away. If nothing that it wanted was lost, it may go on or be told that it lost.
    pub fn may_be_lost(&self, id: u32) -> bool {
        let watcher = &self.watchers[&id];
        watcher.lost || (!watcher.caught_up && watcher.next < self.compact_revision)
    }

    /// Something is there to take: changes, or the news that they are lost.
    pub fn waits(&self, id: u32) -> bool {
        self.watchers[&id].lost || self.unseen(id, self.revision).next().is_some()
    }

    fn with_prev(&self, watch: &Watch, event: &Event) -> Event {
        let created = event.kv.create_revision == event.kv.mod_revision;
        let before = self.before(&event.kv.key, event.kv.mod_revision);
        Event { prev_kv: before.filter(|_| watch.prev_kv && !created).cloned(), ..event.clone() }
    }

    /// What the coming compaction does to the watchers that still wait for changes before it, or at it: those are about
    /// to be thinned (see `survivors`), perhaps to nothing that is waited for.
    pub fn overtake(&mut self, revision: u64) {
        let ids: Vec<u32> = self.watchers.keys().copied().collect();
        for id in ids {
            let lost = self.unseen(id, revision.saturating_sub(1)).next().is_some();
            let waits = self.unseen(id, revision).next().is_some();
            let watcher = self.watchers.get_mut(&id).expect("it was just listed");
            if lost {
                watcher.lost = true;
            } else if waits && watcher.caught_up {
                (watcher.next, watcher.caught_up) = (watcher.next.max(revision), false);
            }
        }
    }
}

impl Subject for Model {
    fn answer(&mut self, op: &Op, now_ms: u64) -> Answer {
        self.perform(op, now_ms).unwrap_or_else(Answer::error)
    }

    fn watch(&mut self, id: u32, watch: &Watch) -> Result<(), String> {
        self.add_watcher(id, watch).map_err(str::to_owned)
    }

    fn compact_revision(&self) -> u64 {
        self.compact_revision
    }

    fn drain(&mut self) -> Vec<(u32, Delivery)> {
        let through = self.revision;
        let ids: Vec<u32> = self.watchers.keys().copied().collect();
        ids.into_iter()
            .map(|id| (id, Ok(self.take(id, through).into_iter().flat_map(|batch| batch.events).collect())))
            .collect()
    }
}
