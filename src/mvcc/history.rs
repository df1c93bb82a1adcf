//! Looking back: the changes of a range, what differs between two revisions, and putting a range back to how it was.

use super::change::Change;
use super::key_value::{Event, KeyValue, Record};
use super::limits::Answer;
use super::range::{KeyRange, Range, sorted};
use super::store::Store;
use super::txn::WriteTxn;
use crate::codec::{BorrowDecode, Encode};
use crate::error::Error;

/// Which changes of a range are asked for: revisions `from..=to`, oldest first.
#[derive(Debug, Default, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub struct History<'a> {
    /// The keys.
    pub keys: KeyRange<'a>,
    /// The first revision; 0 is the oldest kept.
    pub from: u64,
    /// The last revision; 0 is now.
    pub to: u64,
    /// The most changes to answer; 0 is all.
    pub limit: u64,
}

/// Which changes of a range are asked for, in portions of whole revisions: from `start_revision` on, up to before
/// `end_revision`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub struct Since<'a> {
    /// The keys.
    pub keys: KeyRange<'a>,
    /// The first revision; 0 is the compact revision.
    pub start_revision: u64,
    /// The revision to stop before; 0 is none.
    pub end_revision: u64,
    /// Ends the portion with the revision that reaches this number of events; 0 is none. A revision is never split.
    pub limit: u64,
}

/// A portion of changes.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct SinceResponse<'a> {
    /// The changes, oldest first.
    pub events: Vec<Event<'a>>,
    /// Where to go on: no change of the range lies between the last event and this revision. One more than the store's
    /// revision when all has been given.
    pub next_revision: u64,
}

/// A key that is not the same at two revisions.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct Difference<'a> {
    /// The key as it was at the first revision.
    pub before: Option<KeyValue<'a>>,
    /// The key as it was at the second.
    pub after: Option<KeyValue<'a>>,
}

/// For each change wanted, so many records are looked at in the tree before the index is asked...
const PASSED_OVER: usize = 8;
/// ... and this many at least.
const PASSED_OVER_MIN: usize = 1024;
/// To collect a change from the index and put it in order costs as much as passing over this many in the tree.
const COLLECTED: usize = 4;

impl Store {
    /// Every kept change of a range, oldest first, deletes included. From 0, it begins with the puts before the compact
    /// revision that a read there still sees.
    pub fn history(&self, history: &History<'_>) -> Result<Vec<Event<'_>>, Error> {
        history.keys.validate()?;
        self.check_start(history.from)?;
        let to = self.unpinned(history.to)?;
        let limit = count(history.limit);
        let changes = self.changes(history.keys, history.from, to, limit).take(limit);
        let mut answer = Answer::new(&self.limits);
        changes.map(|record| answer.add(record.key.len(), record.value.len()).map(|()| record.event())).collect()
    }

    /// The changes of a range since a revision, whole revisions.
    pub fn since(&self, since: &Since<'_>) -> Result<SinceResponse<'_>, Error> {
        since.keys.validate()?;
        self.check_start(since.start_revision)?;
        let start = since.start_revision.max(self.compacted());
        let end = if since.end_revision == 0 { u64::MAX } else { since.end_revision };
        let mut events: Vec<Event<'_>> = Vec::new();
        let mut answer = Answer::new(&self.limits);
        for record in self.changes(since.keys, start, self.current(), count(since.limit).saturating_add(1)) {
            let main = record.revision.main;
            let begins = events.last().is_none_or(|event| event.kv.mod_revision < main);
            if main >= end || begins && events.len() >= count(since.limit) {
                // Cut by the end, the next change is known; cut by the limit, the same.
                return Ok(SinceResponse { events, next_revision: main });
            }
            answer.add(record.key.len(), record.value.len())?;
            events.push(record.event());
        }
        Ok(SinceResponse { events, next_revision: self.current() + 1 })
    }

    /// What differs in a range between two revisions (0: now), in key order: keys that are there at one only, or were
    /// written in between.
    pub fn diff(&self, keys: KeyRange<'_>, from: u64, to: u64) -> Result<Vec<Difference<'_>>, Error> {
        keys.validate()?;
        let (from, to) = (self.readable(from)?, self.readable(to)?);
        let both = self.index.within(keys).map(|(_, index)| (index.get(from), index.get(to)));
        let differs = both.filter(|(before, after)| before != after);
        let mut answer = Answer::new(&self.limits);
        let mut key_value = |change: Option<Change>| {
            let kv = change.map(|change| self.record(change).key_value());
            kv.iter().try_for_each(|kv| answer.add(kv.key.len(), kv.value.len())).map(|()| kv)
        };
        differs.map(|(before, after)| Ok(Difference { before: key_value(before)?, after: key_value(after)? })).collect()
    }

    /// Writes the values that a range had at `revision`, as one ordinary transaction: what was not there then is deleted,
    /// what is the same now is not touched. Keys keep the lease they have now. Gives the store's revision.
    pub fn restore_to(&mut self, keys: KeyRange<'_>, revision: u64) -> Result<u64, Error> {
        let range = Range { keys, revision, ..Range::default() };
        let wanted = self.range(&range)?.into_owned().kvs;
        let now = self.range(&Range { revision: 0, ..range })?.into_owned().kvs;
        let find = |kvs: &[KeyValue<'_>], key: &[u8]| kvs.binary_search_by(|kv| (*kv.key).cmp(key)).ok();
        let stale: Vec<_> = wanted
            .iter()
            .map(|kv| (kv, find(&now, &kv.key).map(|place| &now[place])))
            .filter(|(kv, current)| current.is_none_or(|current| current.value != kv.value))
            .collect();
        self.check_room(stale.iter().map(|(kv, _)| (&*kv.key, kv.value.len())))?;
        let mut txn = WriteTxn::begin(self);
        for (kv, current) in stale {
            txn.put(&kv.key, &kv.value, current.map(|current| current.lease).unwrap_or_default());
        }
        for kv in now.iter().filter(|kv| find(&wanted, &kv.key).is_none()) {
            txn.delete_range(KeyRange::Key(&kv.key));
        }
        Ok(txn.commit())
    }

    /// The kept changes of a range with a main in `from..=to`, ascending; about `wanted` of them will be taken.
    ///
    /// They are read from the tree, which passes over the changes of other keys, where the changes wanted come soon or
    /// most are the range's; else they are collected from the index, which finds every change of the range and no other.
    pub fn changes<'s: 'k, 'k>(
        &'s self,
        keys: KeyRange<'k>,
        from: u64,
        to: u64,
        wanted: usize,
    ) -> Box<dyn Iterator<Item = Record<'s>> + 'k> {
        let upto = move || self.records_from(from).take_while(move |record| record.revision.main <= to);
        let records = self.tree.count_within(from, to);
        let soon = || {
            let first = upto().take(wanted.saturating_mul(PASSED_OVER).saturating_add(PASSED_OVER_MIN));
            first.filter(|record| keys.contains(record.key)).take(wanted).count() == wanted
        };
        let is_key = matches!(keys, KeyRange::Key(_));
        if !is_key && (wanted < records && soon() || self.index.has_changes(keys, records / COLLECTED)) {
            return Box::new(upto().filter(move |record| keys.contains(record.key) && self.keeps(record)));
        }
        let changes = self.index.changes(keys, self.compacted(), from, to);
        let changes = sorted(changes.collect(), &|a: &Change, b| a.cmp(b));
        Box::new(changes.into_iter().map(move |change| self.record(change)))
    }

    /// A look back may start at the revision to come: nothing has happened since then, which is an answer.
    fn check_start(&self, from: u64) -> Result<(), Error> {
        if from == self.current() + 1 { Ok(()) } else { self.unpinned(from).map(drop) }
    }
}

fn count(limit: u64) -> usize {
    if limit == 0 { usize::MAX } else { usize::try_from(limit).unwrap_or(usize::MAX) }
}
