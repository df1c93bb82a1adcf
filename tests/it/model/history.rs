//! Looking back: the list of changes read again, two states compared, one written over another.

use std::collections::BTreeSet;

use super::store::{Model, Outcome};
use crate::op::{Answer, Event, EventType, Keys, Put};

impl Model {
    /// Every change of the range that a compaction at the compact revision keeps, with its revision.
    fn kept_changes(&self, keys: &Keys) -> impl Iterator<Item = (u64, &Event)> {
        let changes = self.changes.iter().flat_map(|(at, changes)| changes.iter().map(|event| (*at, event)));
        changes.filter(|(at, event)| {
            keys.contains(&event.kv.key) && (*at >= self.compact_revision || self.is_seen(event, self.compact_revision))
        })
    }

    /// A read at this revision, which must be readable, answers this put.
    pub fn is_seen(&self, event: &Event, at: u64) -> bool {
        event.r#type == EventType::Put && self.states[&at].get(&event.kv.key) == Some(&event.kv)
    }

    pub fn history(&self, keys: &Keys, from: u64, to: u64, limit: u64) -> Outcome<Answer> {
        keys.check_shape()?;
        self.check_start(from)?;
        let to = if to == 0 { self.revision } else { to };
        self.check_uncompacted(to)?;
        let events = self.kept_changes(keys).filter(|(at, _)| (from..=to).contains(at)).map(|(_, event)| event);
        Ok(Answer::History(events.take(at_most(limit)).cloned().collect()))
    }

    pub fn since(&self, keys: &Keys, start: u64, end: u64, limit: u64) -> Outcome<Answer> {
        keys.check_shape()?;
        self.check_start(start)?;
        let start = start.max(self.compact_revision);
        let end = if end == 0 { u64::MAX } else { end };
        let mut events: Vec<Event> = Vec::new();
        let mut last = 0;
        for (at, event) in self.kept_changes(keys).filter(|(at, _)| *at >= start) {
            if at >= end || (events.len() >= at_most(limit) && at > last) {
                return Ok(Answer::Since { events, next_revision: at });
            }
            events.push(event.clone());
            last = at;
        }
        Ok(Answer::Since { events, next_revision: self.revision + 1 })
    }

    /// The start may be the revision to come.
    fn check_start(&self, start: u64) -> Outcome<()> {
        if start == 0 || start == self.revision + 1 { Ok(()) } else { self.check_uncompacted(start) }
    }

    pub fn diff(&self, keys: &Keys, from: u64, to: u64) -> Outcome<Answer> {
        keys.check_shape()?;
        let (from, to) = (self.state_at(from)?, self.state_at(to)?);
        let there: BTreeSet<_> = from.keys().chain(to.keys()).filter(|key| keys.contains(key)).collect();
        let both = there.into_iter().map(|key| (from.get(key).cloned(), to.get(key).cloned()));
        Ok(Answer::Diff(both.filter(|(before, after)| before != after).collect()))
    }

    /// First the puts of what is not the same, then the deletes of what was not there, keys ascending.
    pub fn restore_to(&mut self, keys: &Keys, revision: u64) -> Outcome<Answer> {
        keys.check_shape()?;
        let then = self.state_at(revision)?.clone();
        let now = self.present().clone();
        let stale = then
            .values()
            .filter(|kv| keys.contains(&kv.key) && now.get(&kv.key).is_none_or(|current| current.value != kv.value));
        let puts: Vec<Put> = stale
            .map(|kv| {
                let lease = now.get(&kv.key).map_or(0, |current| current.lease);
                Put { key: kv.key.clone(), value: kv.value.clone(), lease, ..Put::default() }
            })
            .collect();
        self.check_room(&puts.iter().map(|put| self.stored_by(put)).collect::<Vec<_>>())?;
        let mut draft = self.draft();
        for put in &puts {
            draft.put(put)?;
        }
        now.keys().filter(|key| keys.contains(key) && !then.contains_key(key)).for_each(|key| draft.delete(key));
        let (state, changes) = draft.finish();
        self.publish(state, changes);
        Ok(Answer::RestoreTo { revision: self.revision })
    }
}

fn at_most(limit: u64) -> usize {
    if limit == 0 { usize::MAX } else { limit as usize }
}
