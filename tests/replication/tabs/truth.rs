//! The list of all that was ever stored, in its order, which no tab has a part in: each entry is what one request did, and
//! a naive store says what it should have done and answered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use revkv::{Came, Engine, KeyRange, KeyValue, Range, Since};

use super::wish::{Model, Row, State, Wish, packed};

/// How far a medium is written.
#[derive(Debug, Clone)]
pub struct Truth {
    /// The last entry.
    pub last: u64,
    pub revision: u64,
    pub compacted: u64,
}

impl Truth {
    pub fn new() -> Self {
        Self { last: 0, revision: 1, compacted: 0 }
    }
}

/// A tab's request, by the tab and its number.
pub type Id = (u64, u64);

/// Something that a leader did.
#[derive(Debug)]
pub struct Entry {
    /// Of all entries, ascending in time.
    pub place: u64,
    /// The store's revision with it.
    pub revision: u64,
    pub rows: Vec<Row>,
    pub cause: Cause,
}

#[derive(Debug)]
pub enum Cause {
    Asked(Id, Rc<Wish>),
    /// Time was told, and this lease is gone.
    Expired(i64),
    Compacted(u64),
    /// What there was no room for was taken back; its revisions are not given again.
    Skipped,
    /// Another life of the store began, with the same content. It knows of no request.
    Restored,
}

/// What a request has done, as it is stored.
#[derive(Debug, Clone)]
pub struct Done {
    pub place: u64,
    pub revision: u64,
    pub response: Vec<u8>,
    /// Where another life of the store has begun since, in which it may be done again.
    forgotten: Option<u64>,
}

impl Done {
    pub fn is_forgotten(&self) -> bool {
        self.forgotten.is_some()
    }
}

#[derive(Debug, Clone)]
struct Written {
    place: u64,
    rows: Rc<[Row]>,
    state: Rc<State>,
}

/// So many revisions are remembered, which is more than any tab has behind it.
const REMEMBERED: usize = 4_000;
/// A medium that loses its end loses no more than so many batches.
const MOMENTS: usize = 16;
/// Longer responses are not kept with their requests.
const KEPT_BYTES: usize = 128;

#[derive(Debug)]
pub struct Ledger {
    pub model: Model,
    pub last: u64,
    /// The last entry that somebody was told is stored.
    pub acked: u64,
    written: BTreeMap<u64, Written>,
    done: BTreeMap<Id, Done>,
    refused: BTreeSet<Id>,
    newest: BTreeMap<u64, u64>,
    moments: VecDeque<(u64, Model)>,
    /// Where and at which revision each lease was granted.
    granted: BTreeMap<i64, (u64, u64)>,
    /// Of all entries the last one when there was no room for something.
    pub full: u64,
}

impl Ledger {
    pub fn new() -> Self {
        let first = Written { place: 0, rows: Rc::default(), state: Rc::default() };
        Self {
            model: Model::new(),
            last: 0,
            acked: 0,
            written: BTreeMap::from([(1, first)]),
            done: BTreeMap::new(),
            refused: BTreeSet::new(),
            newest: BTreeMap::new(),
            moments: VecDeque::from([(0, Model::new())]),
            granted: BTreeMap::new(),
            full: 0,
        }
    }

    /// Entries are stored, those before them were.
    pub fn store(&mut self, entries: &[Rc<Entry>]) {
        for entry in entries {
            if entry.place > self.last {
                self.append(entry);
            }
        }
        self.moments.push_back((self.last, self.model.clone()));
        if self.moments.len() > MOMENTS {
            self.moments.pop_front();
        }
        while self.written.len() > REMEMBERED {
            self.written.pop_first();
        }
    }

    fn append(&mut self, entry: &Entry) {
        self.last = entry.place;
        let rows = match &entry.cause {
            Cause::Asked(id, wish) => self.ask(*id, wish, entry.place),
            Cause::Expired(lease) => {
                assert!(self.model.leases.contains_key(lease), "broke Leases: {lease} is over twice");
                self.model.expire(*lease)
            }
            Cause::Compacted(revision) => {
                self.model.compacted = self.model.compacted.max(*revision);
                Vec::new()
            }
            Cause::Restored => {
                self.newest.clear();
                for done in self.done.values_mut() {
                    done.forgotten = done.forgotten.or(Some(entry.place));
                }
                Vec::new()
            }
            Cause::Skipped => {
                assert!(entry.revision >= self.model.revision, "broke Order: a revision was given again");
                self.model.revision = entry.revision;
                Vec::new()
            }
        };
        assert_eq!(self.model.revision, entry.revision, "broke Order: {entry:?}");
        assert_eq!(rows, entry.rows, "broke Atomic: {:?} did something else", entry.cause);
        if !rows.is_empty() {
            let written = Written { place: entry.place, rows: rows.into(), state: self.model.state.clone() };
            let before = self.written.insert(entry.revision, written);
            assert!(before.is_none(), "broke Order: revision {} names two contents", entry.revision);
        }
    }

    fn ask(&mut self, id: Id, wish: &Wish, place: u64) -> Vec<Row> {
        assert!(!self.refused.contains(&id), "broke Answers: {id:?} was refused and is stored");
        let before = self.newest.insert(id.0, id.1).unwrap_or(0);
        assert!(before < id.1, "broke Once: request {id:?} is stored after number {before}");
        let Self { model, written, .. } = self;
        let past = |revision| written.range(..=revision).next_back().expect("remembered").1.state.clone();
        let applied = model.apply(wish, past);
        let (rows, response) =
            applied.unwrap_or_else(|code| panic!("broke Answers: {wish:?} has to be refused: {code}"));
        if let Wish::Grant { id, .. } = wish {
            self.granted.insert(*id, (place, self.model.revision));
        }
        self.done
            .insert(id, Done { place, revision: self.model.revision, response: packed(&response), forgotten: None });
        rows
    }

    /// The medium has lost its end.
    pub fn back_to(&mut self, last: u64) {
        if last == self.last {
            return;
        }
        assert!(last >= self.acked, "broke Durable: {last} is the last that is left, and {} was told", self.acked);
        while self.moments.back().is_some_and(|(place, _)| *place > last) {
            self.moments.pop_back();
        }
        let (place, model) = self.moments.back().expect("no more is lost");
        assert_eq!(*place, last, "batches are whole");
        (self.model, self.last) = (model.clone(), last);
        self.written.retain(|_, written| written.place <= last);
        self.done.retain(|_, done| done.place <= last);
        self.granted.retain(|_, (place, _)| *place <= last);
        self.done.values_mut().for_each(|done| done.forgotten = done.forgotten.filter(|place| *place <= last));
        self.newest.clear();
        for ((client, number), done) in &self.done {
            if !done.is_forgotten() {
                self.newest.insert(*client, *number);
            }
        }
    }

    pub fn done(&self, id: Id) -> Option<&Done> {
        self.done.get(&id)
    }

    /// A request is answered, that was made when `floor` was the last entry that anybody had heard of, in a tab that had
    /// `revision`. It may be refused by a leader that does not know yet that there is another, and so by what was there
    /// before; but not before what the tab itself had.
    pub fn answer(&mut self, id: Id, wish: &Wish, came: &Came, (floor, revision): (u64, u64)) {
        let (code, _) = match came {
            Came::Applied(_) | Came::Before => return self.answer_applied(id, wish, came, floor),
            Came::Refused(code, text) => (code.as_str(), text),
        };
        let is_stored = self.done.get(&id).is_some_and(|done| !done.is_forgotten());
        assert!(!is_stored, "broke Answers: {id:?} {wish:?} was refused with {code} and is stored");
        self.refused.insert(id);
        let is_gone = |lease: &i64| {
            !self.model.leases.contains_key(lease) || self.granted.get(lease).is_none_or(|at| at.1 >= revision)
        };
        let is_right = match (code, wish) {
            ("QUOTA_EXCEEDED", _) => self.full >= floor,
            // Of a leader that is gone, whose reason nobody knows.
            ("CONFLICT", wish) => wish.is_refusable() || self.full >= floor,
            ("LEASE_NOT_FOUND", Wish::Put { lease, .. } | Wish::Revoke { id: lease }) => is_gone(lease),
            // It was granted in a life of the store that has ended since, and the lease is there still.
            ("LEASE_EXISTS", Wish::Grant { .. }) => self.done.get(&id).is_some_and(Done::is_forgotten),
            // It may be over before it is gone.
            ("LEASE_NOT_FOUND", Wish::KeepAlive { .. }) => true,
            // Of a tab that led, and had more than was stored.
            ("FUTURE_REVISION", Wish::RestoreTo { revision: wished }) => *wished > revision,
            ("COMPACTED", Wish::RestoreTo { revision }) => *revision < self.model.compacted,
            ("COMPACTED", Wish::Compact { revision }) => *revision <= self.model.compacted,
            ("KEY_NOT_FOUND", Wish::Touch { key }) => {
                let before = self.written.range(..=revision).next_back();
                let since = before.into_iter().chain(self.written.range(revision + 1..));
                since.into_iter().any(|(_, written)| !written.state.contains_key(key))
            }
            _ => false,
        };
        assert!(is_right, "broke Answers: {id:?} {wish:?} was refused with {code}");
    }

    fn answer_applied(&mut self, id: Id, wish: &Wish, came: &Came, floor: u64) {
        let done = self.done.get_mut(&id);
        let Done { place, response, .. } =
            done.unwrap_or_else(|| panic!("broke Answers: {id:?} {wish:?} is not stored"));
        assert!(*place > floor, "broke Serial: {id:?} {wish:?} comes before what was answered before it was asked");
        match came {
            Came::Applied(bytes) => assert_eq!(bytes, response, "broke Serial: {id:?} {wish:?}"),
            _ => assert!(response.len() > KEPT_BYTES, "broke Answers: {id:?} {wish:?} has lost its answer"),
        }
        // Nobody asks for it again.
        response.clear();
    }

    /// The state at a revision, if it is remembered.
    pub fn state(&self, revision: u64) -> Option<&State> {
        self.written.range(..=revision).next_back().map(|(_, written)| &*written.state)
    }

    pub fn rows(&self, revision: u64) -> Option<&[Row]> {
        self.written.get(&revision).map(|written| &*written.rows)
    }

    /// The first revision after one that changed something.
    pub fn next(&self, revision: u64) -> Option<u64> {
        self.written.range(revision + 1..).next().map(|(revision, _)| *revision)
    }

    /// What was read from the medium is what was stored on it.
    pub fn check_found(&self, found: &Engine) {
        let newest = self.written.keys().next_back().copied().unwrap_or(1);
        assert!(found.revision() >= newest, "broke Durable: {newest} is stored, {} is found", found.revision());
        assert_eq!(found.compact_revision(), self.model.compacted, "broke Durable: what was compacted");
        let leases: Vec<i64> = found.leases().iter().map(|id| id.0).collect();
        assert!(leases.iter().eq(self.model.leases.keys()), "broke Durable: the leases {leases:?}");
        let start_revision = self.model.compacted + 1;
        let since = found.since(&Since { keys: KeyRange::ALL, start_revision, ..Since::default() }).expect("kept");
        let events = since.events.into_iter().map(|event| (event.kind, event.kv.into_owned()));
        let stored = self.written.range(start_revision..).flat_map(|(_, written)| written.rows.iter().cloned());
        assert!(events.eq(stored), "broke Order: the history is not what it was");
        self.check_state(found, found.revision());
    }

    /// A read at a revision gives what was there.
    pub fn check_state(&self, engine: &Engine, revision: u64) {
        let Some(state) = self.state(revision) else { return };
        let read = engine.range(&Range { revision, ..Range::default() });
        let kvs: Vec<KeyValue<'_>> = match read {
            Ok(read) => read.kvs,
            Err(error) => panic!("broke Reads: {error}"),
        };
        assert!(kvs.iter().eq(state.values()), "broke Reads: at {revision} {kvs:?}");
    }
}
