//! Watches: every change of a range from a revision on, in order, whole revisions, none twice.
//!
//! A watcher is a cursor into the history, never a queue: events are read from the revision tree when they are taken, so
//! a slow reader costs nothing and loses nothing until compaction overtakes it. A commit only notes the first revision
//! that a watcher has not taken; a watcher that nothing was noted for has seen all there is.

use std::collections::BTreeSet;
use std::ops::Range;

use intervaltree::IntervalTree;

use crate::codec::{BorrowDecode, Encode};
use crate::error::Error;
use crate::mvcc::{Event, EventKind, KeyRange, Record, Store, sorted};

/// The bytes of events after which a taking stops at the next whole revision.
const EVENT_BYTES: usize = 1 << 20;

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
    /// Where the history wanted is compacted: gives the whole range as it is now in one batch, whatever its size, and goes
    /// on from there.
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
    /// Every matching change up to this revision has been given: resume at the one after it, or at the start revision
    /// where that is later.
    pub through: u64,
}

/// A bound of a watched range.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Point {
    /// Before this key.
    Before(Vec<u8>),
    /// After every key.
    End,
}

/// The keys from one bound to the other; a single key is the range up to the key that follows it.
fn points(keys: KeyRange<'_>) -> Range<Point> {
    let before = |key: &[u8]| Point::Before(key.to_vec());
    match keys {
        KeyRange::Key(key) => before(key)..Point::Before([key, &[0]].concat()),
        KeyRange::Span { start, end } => before(start)..before(end),
        KeyRange::From(start) => before(start)..Point::End,
    }
}

/// Invariants: `next <= pending`; every matching change below `next` has been given; where `pending` is absent, there is
/// no matching change at or after `next`.
#[derive(Debug, Clone)]
struct Watcher {
    id: WatcherId,
    range: Range<Point>,
    next: u64,
    /// The first revision that may hold a change to give.
    pending: Option<u64>,
    prev_kv: bool,
    no_put: bool,
    no_delete: bool,
    resync: bool,
}

impl Watcher {
    fn keys(&self) -> KeyRange<'_> {
        match (&self.range.start, &self.range.end) {
            (Point::Before(key), Point::Before(end)) if end.strip_suffix(&[0]) == Some(key) => KeyRange::Key(key),
            (Point::Before(start), Point::Before(end)) => KeyRange::Span { start, end },
            (Point::Before(start), Point::End) => KeyRange::From(start),
            (Point::End, _) => unreachable!("a range begins before a key"),
        }
    }

    fn matches(&self, record: &Record<'_>) -> bool {
        let dropped = if record.is_tombstone() { self.no_delete } else { self.no_put };
        !dropped && record.revision.main >= self.next && self.keys().contains(record.key)
    }
}

/// How many watchers are asked one by one before the tree is made anew: few enough not to be felt, many enough that a
/// stream of new watches does not sort all of them each time.
const APART_MAX: usize = 64;

/// Every watcher of a store, ids ascending.
///
/// Those of a written key are found in an interval tree, so that a commit costs what it concerns, however many watch
/// other keys. The tree is a library's and cannot be changed: watchers made since are kept apart, those that are gone are
/// skipped, and when either are many it is made anew. (Trees that can be changed were tried: they visit every range that
/// begins before the key.)
///
/// Invariants ([`Watchers::check`]): every watcher is in the tree or apart; `due` has those that have
/// ended and those with something pending, ascending.
#[derive(Debug, Clone)]
pub(crate) struct Watchers {
    watchers: Vec<Watcher>,
    ranges: IntervalTree<Point, WatcherId>,
    apart: Vec<WatcherId>,
    /// In the tree, but no more.
    gone: usize,
    due: Vec<WatcherId>,
    created: u32,
    /// Ended without having been told, ascending.
    ended: Vec<WatcherId>,
}

impl Default for Watchers {
    fn default() -> Self {
        let ranges = tree([].iter());
        Self {
            watchers: Vec::new(),
            ranges,
            apart: Vec::new(),
            gone: 0,
            due: Vec::new(),
            ended: Vec::new(),
            created: 0,
        }
    }
}

fn tree<'w>(watchers: impl Iterator<Item = &'w Watcher>) -> IntervalTree<Point, WatcherId> {
    watchers.map(|watcher| (watcher.range.clone(), watcher.id)).collect()
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
        let range = points(watch.keys);
        self.created += 1;
        let id = WatcherId(self.created);
        self.apart.push(id);
        if pending.is_some() {
            self.due.push(id);
        }
        self.watchers.push(Watcher { id, range, next, pending, prev_kv, no_put, no_delete, resync });
        Ok(id)
    }

    /// Ends a watch. `false`: there is none of this id.
    pub fn cancel(&mut self, id: WatcherId) -> bool {
        if self.forget_ended(id) {
            return true;
        }
        let Some(place) = self.place_of(id) else { return false };
        self.watchers.remove(place);
        match self.apart.binary_search(&id) {
            Ok(place) => drop(self.apart.remove(place)),
            Err(_) => self.gone += 1,
        }
        self.set_due(id, false);
        true
    }

    /// Ends every watch, as each is told when it next takes: the content is another.
    pub fn end_all(&mut self) {
        let ended = self.ended.drain(..).chain(self.watchers.drain(..).map(|watcher| watcher.id));
        self.ended = sorted(ended.collect(), &|a, b| a.cmp(b));
        (self.ranges, self.gone, self.due) = (tree([].iter()), 0, self.ended.clone());
        self.apart.clear();
    }

    /// Goes on over another store, at revision `newest`, which is the same up to revision `kept`: who was told of more ends,
    /// and is told so.
    pub fn rewind(&mut self, kept: u64, newest: u64) {
        let told: Vec<WatcherId> = self
            .watchers
            .iter()
            .filter(|watcher| watcher.next > kept.saturating_add(1))
            .map(|watcher| watcher.id)
            .collect();
        for id in told {
            self.cancel(id);
            self.ended.push(id);
        }
        self.ended = sorted(std::mem::take(&mut self.ended), &|a, b| a.cmp(b));
        for watcher in &mut self.watchers {
            watcher.pending = (watcher.next <= newest).then_some(watcher.next);
        }
        let pending = self.watchers.iter().filter(|watcher| watcher.pending.is_some()).map(|watcher| watcher.id);
        self.due = sorted(self.ended.iter().copied().chain(pending).collect(), &|a: &WatcherId, b| a.cmp(b));
    }

    /// Notes a committed record for those who watch its key.
    pub fn follow(&mut self, record: &Record<'_>) {
        if self.watchers.is_empty() {
            return;
        }
        if self.apart.len() > APART_MAX || self.gone > self.watchers.len() + APART_MAX {
            self.ranges = tree(self.watchers.iter());
            self.apart.clear();
            self.gone = 0;
        }
        let found = self.ranges.query_point(Point::Before(record.key.to_vec())).map(|element| element.value);
        let watching: Vec<WatcherId> = found.chain(self.apart.iter().copied()).collect();
        for id in watching {
            let Some(place) = self.place_of(id) else { continue };
            let watcher = &mut self.watchers[place];
            if watcher.pending.is_none() && watcher.matches(record) {
                watcher.pending = Some(record.revision.main);
                self.set_due(id, true);
            }
        }
    }

    /// The watchers that have something to take, in the order they were made.
    pub fn pending(&self) -> Vec<WatcherId> {
        self.due.clone()
    }

    /// Whether any watcher has something to take.
    pub fn has_pending(&self) -> bool {
        !self.due.is_empty()
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
        if self.forget_ended(id) {
            return Err(Error::Restored);
        }
        let place = self.place_of(id).ok_or(Error::InvalidArgument("there is no such watch"))?;
        let watcher = &mut self.watchers[place];
        let compacted = store.compacted();
        let response = match watcher.pending.filter(|pending| *pending < compacted) {
            None => watcher.take(up_to, events_max, store),
            Some(_) if watcher.resync => watcher.take_whole(up_to, store),
            Some(requested) => {
                self.cancel(id);
                return Err(Error::Compacted { requested, compacted });
            }
        };
        let due = watcher.pending.is_some();
        self.set_due(id, due);
        Ok(response)
    }

    /// Moves a watcher past everything there is, what is compacted away included.
    pub fn skip(&mut self, id: WatcherId, store: &Store) -> Result<(), Error> {
        if self.forget_ended(id) {
            return Err(Error::Restored);
        }
        let place = self.place_of(id).ok_or(Error::InvalidArgument("there is no such watch"))?;
        let watcher = &mut self.watchers[place];
        watcher.next = watcher.next.max(store.current() + 1);
        watcher.pending = None;
        self.set_due(id, false);
        Ok(())
    }

    fn forget_ended(&mut self, id: WatcherId) -> bool {
        let Ok(place) = self.ended.binary_search(&id) else { return false };
        self.ended.remove(place);
        self.set_due(id, false);
        true
    }

    fn set_due(&mut self, id: WatcherId, due: bool) {
        match self.due.binary_search(&id) {
            Ok(place) if !due => drop(self.due.remove(place)),
            Err(place) if due => self.due.insert(place, id),
            _ => {}
        }
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
        let pending = self.watchers.iter().filter(|watcher| watcher.pending.is_some()).map(|watcher| watcher.id);
        let due: BTreeSet<WatcherId> = self.ended.iter().copied().chain(pending).collect();
        assert!(
            due.into_iter().eq(self.due.iter().copied()),
            "who is due is not who has something pending, or has ended"
        );
        let in_tree = self.ranges.iter().map(|element| element.value);
        let known: BTreeSet<WatcherId> = in_tree.chain(self.apart.iter().copied()).collect();
        let unknown = self.watchers.iter().find(|watcher| !known.contains(&watcher.id));
        assert!(unknown.is_none(), "a watcher is neither in the tree of ranges nor apart");
        assert_eq!(known.len(), self.watchers.len() + self.gone, "those that are gone are counted wrong");
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
        let wanted = events_max.saturating_add(1);
        let changes = store.changes(self.keys(), from, bound, wanted).filter(|record| self.matches(record));
        let mut bytes = 0;
        for (events, record) in changes.enumerate() {
            let main = record.revision.main;
            if batches.last().is_none_or(|batch| batch.revision < main) {
                if events >= events_max.max(1) || bytes > EVENT_BYTES {
                    return (batches, main - 1);
                }
                batches.push(Batch { revision: main, resync: false, events: Vec::new() });
            }
            let batch = batches.last_mut().expect("there is one for this revision");
            bytes += record.key.len() + record.value.len();
            batch.events.push(self.event(&record, store));
        }
        (batches, bound)
    }

    /// A creation has no previous; one that is compacted away is left out.
    fn event<'s>(&self, record: &Record<'s>, store: &'s Store) -> Event<'s> {
        let mut event = record.event();
        let before = record.revision.main - 1;
        let created = !record.is_tombstone() && record.create_revision == record.revision.main;
        if self.prev_kv && !created && before >= store.compacted() {
            event.prev_kv = store.get_at(record.key, before);
        }
        event
    }

    /// One batch with the whole range as it is at the bound, in place of the history that is gone.
    fn take_whole<'s>(&mut self, up_to: u64, store: &'s Store) -> WatchResponse<'s> {
        let revision = bound(up_to, store);
        if revision < store.compacted() {
            return WatchResponse { batches: Vec::new(), through: self.next - 1 };
        }
        let puts = store.keys_at(self.keys(), revision);
        let events = puts.map(|kv| Event { kind: EventKind::Put, kv, prev_kv: None }).collect();
        self.next = revision + 1;
        self.pending = (revision < store.current()).then_some(self.next);
        WatchResponse { batches: vec![Batch { revision, resync: true, events }], through: revision }
    }
}

/// The last revision to give, where 0 means as far as there is.
fn bound(up_to: u64, store: &Store) -> u64 {
    if up_to == 0 { store.current() } else { up_to.min(store.current()) }
}
