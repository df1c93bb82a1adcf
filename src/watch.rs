//! Watches: every change of a range from a revision on, in order, whole revisions, none twice.
//!
//! A watcher is a cursor into the history, never a queue: events are read from the revision tree when they are taken, so
//! a slow reader costs nothing and loses nothing until compaction overtakes it. A commit only notes the first revision
//! that a watcher has not taken; a watcher that nothing was noted for has seen all there is.

use crate::codec::{BorrowDecode, Encode};
use crate::error::Error;
use crate::mvcc::{Event, EventKind, KeyRange, Range, RangeResponse, Record, Store};

/// A watcher's id. Ids are not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatcherId(pub u32);

/// What is watched, and from where.
#[derive(Debug, Default, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub struct Watch<'a> {
    /// The keys.
    pub keys: KeyRange<'a>,
    /// The first revision; 0 is the next one. One that is not written yet is waited for.
    pub start_revision: u64,
    /// Gives with each event the key as it was before the revision.
    pub prev_kv: bool,
    /// Leaves puts out.
    pub no_put: bool,
    /// Leaves deletes out.
    pub no_delete: bool,
    /// Where the history wanted is compacted: gives the whole range as it is now, and goes on from there.
    pub resync: bool,
}

/// Every matching change of one revision.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct Batch<'a> {
    /// The revision. Resume at the one after it.
    pub revision: u64,
    /// The events are the range as it is at `revision`, not changes made in it.
    pub resync: bool,
    /// The changes, in the order they were made.
    pub events: Vec<Event<'a>>,
}

/// What was taken from a watcher.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct WatchResponse<'a> {
    /// The revisions with a matching change, ascending.
    pub batches: Vec<Batch<'a>>,
    /// Every matching change up to this revision has been given.
    pub through: u64,
}

#[derive(Debug, Clone)]
enum Target {
    Key(Vec<u8>),
    Span(Vec<u8>, Vec<u8>),
    From(Vec<u8>),
}

impl Target {
    fn of(keys: KeyRange<'_>) -> Self {
        match keys {
            KeyRange::Key(key) => Target::Key(key.to_vec()),
            KeyRange::Span { start, end } => Target::Span(start.to_vec(), end.to_vec()),
            KeyRange::From(start) => Target::From(start.to_vec()),
        }
    }

    fn keys(&self) -> KeyRange<'_> {
        match self {
            Target::Key(key) => KeyRange::Key(key),
            Target::Span(start, end) => KeyRange::Span { start, end },
            Target::From(start) => KeyRange::From(start),
        }
    }
}

/// Invariants: `next <= pending`; every matching change below `next` has been given; where `pending` is absent, there is
/// no matching change at or after `next`.
#[derive(Debug, Clone)]
struct Watcher {
    id: WatcherId,
    target: Target,
    next: u64,
    /// The first revision that may hold a change to give.
    pending: Option<u64>,
    prev_kv: bool,
    no_put: bool,
    no_delete: bool,
    resync: bool,
}

impl Watcher {
    fn matches(&self, record: &Record<'_>) -> bool {
        let dropped = if record.tombstone { self.no_delete } else { self.no_put };
        !dropped && record.revision.main >= self.next && self.target.keys().contains(record.key)
    }
}

/// Every watcher of a store, ids ascending.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watchers {
    watchers: Vec<Watcher>,
    created: u32,
}

impl Watchers {
    /// Begins a watch. The start revision is fixed here: what is written from now on will be seen.
    pub fn watch(&mut self, watch: &Watch<'_>, store: &Store) -> Result<WatcherId, Error> {
        watch.keys.validate()?;
        if watch.keys.holds_nothing() {
            return Err(Error::InvalidRange);
        }
        let next = if watch.start_revision == 0 { store.current() + 1 } else { watch.start_revision };
        if next < store.compacted() && !watch.resync {
            return Err(Error::Compacted { requested: next, compacted: store.compacted() });
        }
        let &Watch { prev_kv, no_put, no_delete, resync, .. } = watch;
        let pending = (next <= store.current()).then_some(next);
        let target = Target::of(watch.keys);
        self.created += 1;
        let id = WatcherId(self.created);
        self.watchers.push(Watcher { id, target, next, pending, prev_kv, no_put, no_delete, resync });
        Ok(id)
    }

    /// Ends a watch. `false`: there is none of this id.
    pub fn cancel(&mut self, id: WatcherId) -> bool {
        self.place_of(id).map(|place| self.watchers.remove(place)).is_some()
    }

    /// Notes a committed record for those who watch its key.
    pub fn follow(&mut self, record: &Record<'_>) {
        for watcher in &mut self.watchers {
            if watcher.pending.is_none() && watcher.matches(record) {
                watcher.pending = Some(record.revision.main);
            }
        }
    }

    /// The watchers that have something to take, in the order they were made.
    pub fn pending(&self) -> Vec<WatcherId> {
        self.watchers.iter().filter(|watcher| watcher.pending.is_some()).map(|watcher| watcher.id).collect()
    }

    /// Takes what a watcher has not seen: whole revisions up to `up_to`, about `events_max` events but at least one
    /// revision. A watcher that compaction has overtaken ends with an error, or begins again where it may resync.
    pub fn take<'s>(
        &mut self,
        id: WatcherId,
        up_to: u64,
        events_max: usize,
        store: &'s Store,
    ) -> Result<WatchResponse<'s>, Error> {
        let place = self.place_of(id).ok_or(Error::InvalidArgument("there is no such watch"))?;
        let watcher = &mut self.watchers[place];
        let compacted = store.compacted();
        if let Some(requested) = watcher.pending.filter(|pending| *pending < compacted) {
            if watcher.resync {
                return Ok(watcher.take_whole(up_to, store));
            }
            self.watchers.remove(place);
            return Err(Error::Compacted { requested, compacted });
        }
        Ok(watcher.take(up_to, events_max, store))
    }

    fn place_of(&self, id: WatcherId) -> Option<usize> {
        self.watchers.binary_search_by_key(&id, |watcher| watcher.id).ok()
    }

    /// The number of watchers.
    pub fn len(&self) -> usize {
        self.watchers.len()
    }

    /// Asserts the invariants.
    pub fn check(&self, store: &Store) {
        for watcher in &self.watchers {
            assert!(watcher.pending.is_none_or(|pending| watcher.next <= pending), "a watcher would go back");
            let from = watcher.next.max(store.compacted());
            let missed = store.records_from(from).find(|record| watcher.matches(record) && store.keeps(record));
            if let Some(record) = missed {
                let noted = watcher.pending.is_some_and(|pending| pending <= record.revision.main);
                assert!(noted, "a watcher was not told of {}", record.revision);
            }
        }
    }
}

impl Watcher {
    fn take<'s>(&mut self, up_to: u64, events_max: usize, store: &'s Store) -> WatchResponse<'s> {
        let bound = bound(up_to, store);
        let mut batches = Vec::new();
        let mut through = bound;
        if let Some(pending) = self.pending {
            if pending <= bound {
                (batches, through) = self.read(pending, bound, events_max, store);
            }
            self.pending = (through < store.current()).then_some(pending.max(through + 1));
        }
        self.next = self.next.max(through + 1);
        WatchResponse { batches, through }
    }

    /// The changes in `from..=bound`, and the revision through which they are complete.
    fn read<'s>(&self, from: u64, bound: u64, events_max: usize, store: &'s Store) -> (Vec<Batch<'s>>, u64) {
        let mut batches: Vec<Batch<'s>> = Vec::new();
        let mut events = 0;
        let records: Box<dyn Iterator<Item = Record<'s>>> = match self.target.keys() {
            // One key's changes are listed by its index: no need to pass over everybody else's.
            keys @ KeyRange::Key(_) => {
                Box::new(store.changes(keys, from, bound).into_iter().map(|revision| store.record(revision)))
            }
            _ => Box::new(store.records_from(from)),
        };
        let mut last = from;
        for record in records {
            let main = record.revision.main;
            if main > bound {
                break;
            }
            if main > last && events >= events_max.max(1) {
                return (batches, main - 1);
            }
            last = main;
            if self.matches(&record) && store.keeps(&record) {
                if batches.last().is_none_or(|batch| batch.revision < main) {
                    batches.push(Batch { revision: main, resync: false, events: Vec::new() });
                }
                let batch = batches.last_mut().expect("there is one for this revision");
                batch.events.push(self.event(&record, store));
                events += 1;
            }
        }
        (batches, bound)
    }

    /// A creation has no previous; one that is compacted away is left out.
    fn event<'s>(&self, record: &Record<'s>, store: &'s Store) -> Event<'s> {
        let mut event = record.event();
        let before = record.revision.main - 1;
        let created = !record.tombstone && record.create_revision == record.revision.main;
        if self.prev_kv && !created && before >= store.compacted() {
            event.prev_kv = store.get_at(record.key, before);
        }
        event
    }

    /// One batch with the whole range as it is at the bound, in place of the history that is gone.
    fn take_whole<'s>(&mut self, up_to: u64, store: &'s Store) -> WatchResponse<'s> {
        let revision = bound(up_to, store);
        let range = Range { keys: self.target.keys(), revision, ..Range::default() };
        let Ok(RangeResponse { kvs, .. }) = store.range(&range) else {
            return WatchResponse { batches: Vec::new(), through: self.next - 1 };
        };
        let events = kvs.into_iter().map(|kv| Event { kind: EventKind::Put, kv, prev_kv: None }).collect();
        self.next = revision + 1;
        self.pending = (revision < store.current()).then_some(self.next);
        WatchResponse { batches: vec![Batch { revision, resync: true, events }], through: revision }
    }
}

/// The last revision to give, where 0 means as far as there is.
fn bound(up_to: u64, store: &Store) -> u64 {
    if up_to == 0 { store.current() } else { up_to.min(store.current()) }
}
