//! A store as the cases speak to it: short verbs, text for bytes, codes for errors, and a medium to restart from.

use std::collections::BTreeMap;

use revkv::{
    Batch, Compare, CompareResult, CompareTarget, DeleteRange, Engine, EngineOptions, Error, Event, EventKind,
    KeyRange, KeyValue, LeaseId, Limits, Op, Put, Range, Ready, Request, Response, Txn, TxnResponse, Watch, WatcherId,
};

/// A failure is its code.
pub type Outcome<T> = Result<T, &'static str>;

/// What a medium holds: blobs by id.
pub type Blobs = BTreeMap<String, Vec<u8>>;

const BLOB_BYTES_MAX: usize = 64 << 10;

/// A check visits everything, so that after each write of a larger store it would be most of a test.
const CHECKED_REVISIONS_MAX: usize = 200;

/// An engine, the medium under it and the time. After each request the engine checks itself, if it is small.
#[derive(Clone)]
pub struct Store {
    pub engine: Engine,
    pub blobs: Blobs,
    pub now_ms: u64,
    blob_bytes_max: usize,
    limits: Limits,
    /// Of all that was ever written.
    newest_id: String,
}

impl Store {
    /// At revision 1, with a medium that holds nothing.
    pub fn new() -> Self {
        Self::with_blobs_of(BLOB_BYTES_MAX)
    }

    /// The same on a medium that takes blobs of so many bytes at most.
    pub fn with_blobs_of(blob_bytes_max: usize) -> Self {
        Self::with(blob_bytes_max, Limits::default())
    }

    /// The same with other limits.
    pub fn with_limits(limits: Limits) -> Self {
        Self::with(BLOB_BYTES_MAX, limits)
    }

    fn with(blob_bytes_max: usize, limits: Limits) -> Self {
        let engine = open(&Blobs::new(), blob_bytes_max, limits).expect("nothing is stored");
        Self { engine, blobs: Blobs::new(), now_ms: 1_000_000, blob_bytes_max, limits, newest_id: String::new() }
    }

    /// `a`=1, `a`=2, ...: so many puts of one key, each a revision, from revision 2 on.
    pub fn with_puts_of(key: &str, puts: u64) -> Self {
        let mut store = Self::new();
        for value in 1..=puts {
            store.put(key, &value.to_string());
        }
        store
    }

    /// A refused request leaves no trace.
    pub fn apply(&mut self, request: Request<'_>) -> Outcome<Response> {
        let before = (self.engine.revision(), self.engine.stats(), self.engine.pending_watches());
        let result = self.engine.apply(request, self.now_ms).map_err(|error| error.code());
        self.check();
        let after = (self.engine.revision(), self.engine.stats(), self.engine.pending_watches());
        assert!(result.is_ok() || before == after, "{result:?} left a trace: {before:?} {after:?}");
        result
    }

    fn check(&self) {
        if self.engine.stats().revisions <= CHECKED_REVISIONS_MAX {
            self.engine.check();
        }
    }

    /// Gives the revision.
    pub fn put(&mut self, key: &str, value: &str) -> u64 {
        self.put_leased(key, value, 0).expect("a plain put")
    }

    pub fn put_leased(&mut self, key: &str, value: &str, lease: i64) -> Outcome<u64> {
        let (key, value, lease) = (key.as_bytes(), value.as_bytes(), LeaseId(lease));
        match self.apply(Request::Put(Put { key, value, lease, ..Put::default() }))? {
            Response::Put(response) => Ok(response.revision),
            other => unreachable!("a put is answered by {other:?}"),
        }
    }

    /// Gives (number deleted, revision).
    pub fn delete(&mut self, keys: KeyRange<'_>) -> (u64, u64) {
        match self.apply(Request::DeleteRange(DeleteRange { keys, prev_kv: false })) {
            Ok(Response::DeleteRange(response)) => (response.deleted, response.revision),
            other => unreachable!("a delete is answered by {other:?}"),
        }
    }

    pub fn txn(&mut self, txn: Txn<'_>) -> Outcome<TxnResponse> {
        match self.apply(Request::Txn(txn))? {
            Response::Txn(response) => Ok(response),
            other => unreachable!("a txn is answered by {other:?}"),
        }
    }

    /// A transaction without a condition; gives the revision.
    pub fn run(&mut self, success: Vec<Op<'_>>) -> Outcome<u64> {
        Ok(self.txn(Txn { success, ..Txn::default() })?.revision)
    }

    /// Whether these compares hold.
    pub fn holds(&mut self, compare: Vec<Compare<'_>>) -> bool {
        self.txn(Txn { compare, ..Txn::default() }).expect("compares alone").succeeded
    }

    /// Gives the revision of the store, which stays.
    pub fn compact(&mut self, revision: u64) -> Outcome<u64> {
        match self.apply(Request::Compact { revision })? {
            Response::Compact { revision } => Ok(revision),
            other => unreachable!("a compaction is answered by {other:?}"),
        }
    }

    /// One step of removing what was compacted. `true`: there is more to do.
    pub fn step(&mut self) -> bool {
        let more = self.engine.compact_step();
        self.engine.check();
        more
    }

    /// Removes all that was compacted.
    pub fn remove(&mut self) {
        while self.step() {}
    }

    pub fn grant(&mut self, id: i64, ttl_seconds: u64) -> Outcome<Response> {
        self.apply(Request::LeaseGrant { id: LeaseId(id), ttl_seconds })
    }

    /// Gives the revision.
    pub fn revoke(&mut self, id: i64) -> Outcome<u64> {
        match self.apply(Request::LeaseRevoke { id: LeaseId(id) })? {
            Response::LeaseRevoke { revision } => Ok(revision),
            other => unreachable!("a revocation is answered by {other:?}"),
        }
    }

    /// Gives the time to live.
    pub fn keep_alive(&mut self, id: i64) -> Outcome<u64> {
        match self.apply(Request::LeaseKeepAlive { id: LeaseId(id) })? {
            Response::LeaseKeepAlive { ttl_seconds, .. } => Ok(ttl_seconds),
            other => unreachable!("a keep-alive is answered by {other:?}"),
        }
    }

    /// Time passes and the engine is told.
    pub fn tick(&mut self, ms: u64) {
        self.now_ms += ms;
        self.engine.tick(self.now_ms).expect("a tick only deletes");
        self.engine.check();
    }

    /// The keys attached to a lease.
    pub fn keys_of(&self, id: i64) -> Vec<String> {
        let lease = self.engine.lease(LeaseId(id), self.now_ms).expect("granted");
        lease.keys.iter().map(|key| text(key)).collect()
    }

    /// Every key there at a revision (0: now), as `"a=1 b=2"`.
    pub fn state(&self, revision: u64) -> String {
        let range = Range { revision, ..Range::default() };
        shown(&self.engine.range(&range).expect("a readable revision").kvs)
    }

    /// The keys of a range there now, the same.
    pub fn state_of(&self, keys: KeyRange<'_>) -> String {
        shown(&self.engine.range(&Range { keys, ..Range::default() }).expect("now").kvs)
    }

    /// (create revision, mod revision, version) of a key at a revision (0: now).
    pub fn life(&self, key: &str, revision: u64) -> Option<(u64, u64, u64)> {
        let kv = self.engine.get(key.as_bytes(), revision).expect("a readable revision")?;
        Some((kv.create_revision, kv.mod_revision, kv.version))
    }

    /// "ok", or why a revision cannot be read.
    pub fn readable(&self, revision: u64) -> &'static str {
        code(self.engine.range(&Range { revision, ..Range::default() }))
    }

    /// The hash at a revision (0: now).
    pub fn hash(&self, revision: u64) -> u32 {
        self.engine.hash(revision).expect("a revision with a hash").hash
    }

    pub fn watch(&mut self, keys: KeyRange<'_>, start_revision: u64) -> WatcherId {
        let watch = Watch { keys, start_revision, ..Watch::default() };
        self.engine.watch(&watch).expect("a watch that can begin")
    }

    /// Everything that waits for a watcher: a line for each revision, as `"3 PUT a=1, DELETE b"`.
    pub fn take(&mut self, id: WatcherId) -> Vec<String> {
        self.take_some(id, usize::MAX).expect("a watcher that lost nothing").0
    }

    /// About so many events, and the revision through which all have been given.
    pub fn take_some(&mut self, id: WatcherId, events_max: usize) -> Outcome<(Vec<String>, u64)> {
        let taken = self.engine.take_events(id, 0, events_max).map_err(|error| error.code())?;
        let lines: Vec<String> = taken.batches.iter().map(line).collect();
        let through = taken.through;
        self.check();
        Ok((lines, through))
    }

    /// Writes what is ready to the medium.
    pub fn flush(&mut self) {
        if let Some(ready) = self.engine.take_ready() {
            self.write(ready);
        }
    }

    /// Writes all that is ready, and what of the stored is worth rewriting.
    pub fn settle(&mut self) {
        let batches_max = self.blobs.len() + 2;
        let mut batches = 0;
        while let Some(ready) = self.engine.take_ready() {
            self.write(ready);
            batches += 1;
            assert!(batches <= batches_max, "{batches} batches, and there is more to write");
        }
    }

    /// Writes this to the medium, which confirms it. Ids only ascend, no blob is too large, and only what is there is
    /// deleted.
    pub fn write(&mut self, ready: Ready) {
        for id in ready.delete {
            assert!(self.blobs.remove(&id).is_some(), "blob {id} is deleted and was not there");
        }
        for blob in ready.put {
            assert!(self.newest_id < blob.id, "blob {} is not the newest", blob.id);
            assert!(blob.bytes.len() <= self.blob_bytes_max, "blob {} is too large for the medium", blob.id);
            self.newest_id.clone_from(&blob.id);
            self.blobs.insert(blob.id, blob.bytes);
        }
        self.engine.persisted(ready.through);
    }

    /// Builds a new engine from what the medium holds. Watchers and snapshots are gone.
    pub fn crash(&mut self) {
        self.engine = open(&self.blobs, self.blob_bytes_max, self.limits).expect("what the engine wrote");
        self.engine.check();
    }

    /// A restart that loses nothing.
    pub fn reopen(&mut self) {
        self.flush();
        self.crash();
    }

    /// The same into an engine with other limits.
    pub fn reopen_with(&mut self, limits: Limits) {
        self.limits = limits;
        self.reopen();
    }
}

/// An engine started from blobs.
pub fn recover(blobs: &Blobs, blob_bytes_max: usize) -> Result<Engine, Error> {
    open(blobs, blob_bytes_max, Limits::default())
}

fn open(blobs: &Blobs, blob_bytes_max: usize, limits: Limits) -> Result<Engine, Error> {
    let mut engine = Engine::new(EngineOptions { incarnation: [7; 16], blob_bytes_max, limits });
    blobs.iter().try_for_each(|(id, bytes)| engine.recover(id, bytes))?;
    engine.start()?;
    Ok(engine)
}

/// A restart that loses nothing changes nothing.
pub fn compare_with_reopened(store: &Store) {
    let mut reopened = store.clone();
    reopened.reopen();
    let (was, is) = (store.engine.stats(), reopened.engine.stats());
    assert_eq!((is.keys, is.revisions, is.bytes), (was.keys, was.revisions, was.bytes));
    assert_eq!(reopened.engine.history(&Default::default()), store.engine.history(&Default::default()));
    let (first, last) = (store.engine.compact_revision().max(1), store.engine.revision());
    for revision in [first, last.min(first + 1), (first + last) / 2, last] {
        assert_eq!(reopened.hash(revision), store.hash(revision), "at {revision}");
        let range = Range { revision, ..Range::default() };
        assert_eq!(reopened.engine.range(&range), store.engine.range(&range), "at {revision}");
    }
}

/// "ok", or the code of the failure.
pub fn code<T>(result: Result<T, Error>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "ok")
}

pub fn key(key: &str) -> KeyRange<'_> {
    KeyRange::Key(key.as_bytes())
}

pub fn span<'a>(start: &'a str, end: &'a str) -> KeyRange<'a> {
    KeyRange::Span { start: start.as_bytes(), end: end.as_bytes() }
}

pub fn from(start: &str) -> KeyRange<'_> {
    KeyRange::From(start.as_bytes())
}

pub fn put<'a>(key: &'a str, value: &'a str) -> Op<'a> {
    Op::Put(Put { key: key.as_bytes(), value: value.as_bytes(), ..Put::default() })
}

pub fn put_leased<'a>(key: &'a str, lease: i64) -> Op<'a> {
    Op::Put(Put { key: key.as_bytes(), lease: LeaseId(lease), ..Put::default() })
}

pub fn delete(keys: KeyRange<'_>) -> Op<'_> {
    Op::DeleteRange(DeleteRange { keys, prev_kv: false })
}

pub fn read(keys: KeyRange<'_>, revision: u64) -> Op<'_> {
    Op::Range(Range { keys, revision, ..Range::default() })
}

pub fn nested(success: Vec<Op<'_>>) -> Op<'_> {
    Op::Txn(Txn { success, ..Txn::default() })
}

pub fn compare<'a>(keys: KeyRange<'a>, target: CompareTarget<'a>, result: CompareResult) -> Compare<'a> {
    Compare { keys, target, result }
}

/// Keys and values as `"a=1 b=2"`.
pub fn shown(kvs: &[KeyValue<'_>]) -> String {
    kvs.iter().map(pair).collect::<Vec<_>>().join(" ")
}

/// Events as `"2 PUT a=1"`, each with its revision.
pub fn events(events: &[Event<'_>]) -> Vec<String> {
    events.iter().map(|event| format!("{} {}", event.kv.mod_revision, change(event))).collect()
}

/// The revision that a line of [`events`] or [`Store::take`] begins with.
pub fn revision_of(line: &str) -> u64 {
    let (revision, _) = line.split_once(' ').expect("a revision and what happened in it");
    revision.parse().expect("a line begins with its revision")
}

fn line(batch: &Batch<'_>) -> String {
    let mark = if batch.resync { " RESYNC" } else { "" };
    let inside = |event: &Event<'_>| batch.resync || event.kv.mod_revision == batch.revision;
    assert!(batch.events.iter().all(inside), "a batch holds its own revision: {batch:?}");
    let changes: Vec<String> = batch.events.iter().map(change).collect();
    format!("{}{mark} {}", batch.revision, changes.join(", "))
}

/// A delete has the key and the deleting revision, and nothing else.
fn change(event: &Event<'_>) -> String {
    let KeyValue { create_revision, version, lease, value, .. } = &event.kv;
    let was = event.prev_kv.as_ref().map_or_else(String::new, |prev| format!(" was {}", text(&prev.value)));
    match event.kind {
        EventKind::Put => format!("PUT {}{was}", pair(&event.kv)),
        EventKind::Delete => {
            assert_eq!((*create_revision, *version, *lease, value.len()), (0, 0, LeaseId::NONE, 0), "{event:?}");
            format!("DELETE {}{was}", text(&event.kv.key))
        }
    }
}

fn pair(kv: &KeyValue<'_>) -> String {
    format!("{}={}", text(&kv.key), text(&kv.value))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
