//! What operations are put to: the engine, or the model that it is compared with.

use std::collections::BTreeMap;

use revkv::{Engine, KeyRange, LeaseId, Request, Response, SortBy, WatcherId};

use crate::op::{
    Answer, Batch, Bytes, Commit, Compare, CompareResult, DeleteRange, Event, EventType, Filter, Keys, Kv, Op, Put,
    Range, SortOrder, SortTarget, Target, Txn, Watch,
};

/// Everything that waits for a watcher, or the compact revision that it was too slow for.
pub type Delivery = Result<Vec<Event>, u64>;

pub trait Subject {
    /// Answers everything but a watch.
    fn answer(&mut self, op: &Op, now_ms: u64) -> Answer;
    /// Makes a watcher that the caller knows as `id`; the error is a code.
    fn watch(&mut self, id: u32, watch: &Watch) -> Result<(), String>;
    fn compact_revision(&self) -> u64;
    /// Takes what waits for each watcher.
    fn drain(&mut self) -> Vec<(u32, Delivery)>;
}

/// The engine under its public verbs, its watchers under the caller's ids.
pub struct Driven {
    pub engine: Engine,
    pub watchers: BTreeMap<u32, WatcherId>,
}

impl Driven {
    pub fn new(engine: Engine) -> Self {
        Self { engine, watchers: BTreeMap::new() }
    }
}

impl Subject for Driven {
    fn answer(&mut self, op: &Op, now_ms: u64) -> Answer {
        ask(&mut self.engine, op, now_ms).unwrap_or_else(|error| Answer::error(error.code()))
    }

    fn watch(&mut self, id: u32, watch: &Watch) -> Result<(), String> {
        let watcher = self.engine.watch(&watch.request()).map_err(|error| error.code().to_owned())?;
        self.watchers.insert(id, watcher);
        Ok(())
    }

    fn compact_revision(&self) -> u64 {
        self.engine.compact_revision()
    }

    fn drain(&mut self) -> Vec<(u32, Delivery)> {
        let mut deliveries = Vec::new();
        loop {
            let pending = self.engine.pending_watches();
            let Some((&id, &watcher)) = self.watchers.iter().find(|(_, watcher)| pending.contains(watcher)) else {
                return deliveries;
            };
            let delivery = match self.engine.take_events(watcher, 0, 1000) {
                Ok(taken) => Ok(taken.batches.iter().flat_map(|taken| batch(taken).events).collect()),
                Err(error) => {
                    assert_eq!(error.code(), "COMPACTED");
                    Err(self.engine.compact_revision())
                }
            };
            if delivery.is_err() {
                self.watchers.remove(&id);
            }
            deliveries.push((id, delivery));
        }
    }
}

fn ask(engine: &mut Engine, op: &Op, now_ms: u64) -> Result<Answer, revkv::Error> {
    let request = match op {
        Op::Put(put) => Request::Put(put.request()),
        Op::DeleteRange(delete) => Request::DeleteRange(delete.request()),
        Op::Txn(txn) => Request::Txn(txn.request()),
        Op::Compact { revision } => Request::Compact { revision: *revision },
        Op::LeaseGrant { id, ttl } => Request::LeaseGrant { id: LeaseId(*id), ttl_seconds: *ttl },
        Op::LeaseRevoke { id } => Request::LeaseRevoke { id: LeaseId(*id) },
        Op::LeaseKeepAlive { id } => Request::LeaseKeepAlive { id: LeaseId(*id) },
        Op::Range(range) => return engine.range(&range.request()).map(range_answer),
        Op::Get { key, revision } => return Ok(Answer::Get(engine.get(&key.0, *revision)?.as_ref().map(kv))),
        Op::History { keys, from, to, limit } => {
            let history = revkv::History { keys: keys.range(), from: *from, to: *to, limit: *limit };
            return Ok(Answer::History(engine.history(&history)?.iter().map(event).collect()));
        }
        Op::Since { keys, start_revision, end_revision, limit } => {
            let (start_revision, end_revision, limit) = (*start_revision, *end_revision, *limit);
            let since = engine.since(&revkv::Since { keys: keys.range(), start_revision, end_revision, limit })?;
            let events = since.events.iter().map(event).collect();
            return Ok(Answer::Since { events, next_revision: since.next_revision });
        }
        Op::Diff { keys, from, to } => {
            let diff = engine.diff(keys.range(), *from, *to)?;
            let both =
                diff.iter().map(|difference| (difference.before.as_ref().map(kv), difference.after.as_ref().map(kv)));
            return Ok(Answer::Diff(both.collect()));
        }
        Op::RestoreTo { keys, revision } => Request::RestoreTo { keys: keys.range(), revision: *revision },
        Op::Commit(commit) => Request::Commit(commit.request()),
        Op::Hash { revision } => {
            let revkv::Hash { hash, revision, compact_revision } = engine.hash(*revision)?;
            return Ok(Answer::Hash { hash, revision, compact_revision });
        }
        Op::Snapshot { revision } => return Ok(Answer::Snapshot { revision: engine.snapshot(*revision)? }),
        Op::ReleaseSnapshot { revision } => {
            return Ok(Answer::ReleaseSnapshot { released: engine.release_snapshot(*revision) });
        }
        Op::LeaseTimeToLive { id } => return Ok(time_to_live(engine, *id, now_ms)),
        Op::LeaseLeases => {
            let ids = engine.leases().iter().map(|id| id.0).collect();
            return Ok(Answer::LeaseLeases { revision: engine.revision(), ids });
        }
        Op::Watch(_) => unreachable!("a watch is made by Subject::watch"),
    };
    engine.apply(request, now_ms).map(answer)
}

fn time_to_live(engine: &Engine, id: i64, now_ms: u64) -> Answer {
    let info = engine.lease(LeaseId(id), now_ms);
    Answer::LeaseTimeToLive {
        revision: engine.revision(),
        exists: info.is_some(),
        granted_ttl: info.as_ref().map_or(0, |info| info.ttl_seconds),
        remaining_ms: info.as_ref().map_or(0, |info| info.remaining_ms),
        keys: info.map_or(Vec::new(), |info| info.keys.iter().map(|key| bytes(key)).collect()),
    }
}

fn answer(response: Response) -> Answer {
    match response {
        Response::Put(put) => Answer::Put { revision: put.revision, prev_kv: put.prev_kv.as_ref().map(kv) },
        Response::DeleteRange(delete) => delete_answer(delete),
        Response::Txn(txn) => txn_answer(txn),
        Response::Compact { revision } => Answer::Compact { revision },
        Response::LeaseGrant { revision, id, ttl_seconds } => {
            Answer::LeaseGrant { revision, id: id.0, ttl: ttl_seconds }
        }
        Response::LeaseRevoke { revision } => Answer::LeaseRevoke { revision },
        Response::LeaseKeepAlive { revision, ttl_seconds } => Answer::LeaseKeepAlive { revision, ttl: ttl_seconds },
        Response::RestoreTo { revision } => Answer::RestoreTo { revision },
        Response::Commit(commit) => Answer::Commit { revision: commit.revision },
    }
}

fn delete_answer(delete: revkv::DeleteRangeResponse) -> Answer {
    Answer::DeleteRange {
        revision: delete.revision,
        deleted: delete.deleted,
        prev_kvs: delete.prev_kvs.iter().map(kv).collect(),
    }
}

fn range_answer(range: revkv::RangeResponse<'_>) -> Answer {
    let kvs = range.kvs.iter().map(kv).collect();
    Answer::Range { revision: range.revision, kvs, count: range.count, more: range.more }
}

fn txn_answer(txn: revkv::TxnResponse) -> Answer {
    let responses = txn.responses.into_iter().map(|response| match response {
        revkv::OpResponse::Put(put) => answer(Response::Put(put)),
        revkv::OpResponse::DeleteRange(delete) => delete_answer(delete),
        revkv::OpResponse::Range(range) => range_answer(range),
        revkv::OpResponse::Txn(txn) => txn_answer(txn),
    });
    Answer::Txn { revision: txn.revision, succeeded: txn.succeeded, responses: responses.collect() }
}

fn bytes(bytes: &[u8]) -> Bytes {
    Bytes::from(bytes)
}

fn kv(kv: &revkv::KeyValue<'_>) -> Kv {
    Kv {
        key: bytes(&kv.key),
        value: bytes(&kv.value),
        create_revision: kv.create_revision,
        mod_revision: kv.mod_revision,
        version: kv.version,
        lease: kv.lease.0,
    }
}

fn event(event: &revkv::Event<'_>) -> Event {
    let r#type = match event.kind {
        revkv::EventKind::Put => EventType::Put,
        revkv::EventKind::Delete => EventType::Delete,
    };
    Event { r#type, kv: kv(&event.kv), prev_kv: event.prev_kv.as_ref().map(kv) }
}

pub fn batch(batch: &revkv::Batch<'_>) -> Batch {
    Batch { revision: batch.revision, events: batch.events.iter().map(event).collect() }
}

impl Keys {
    fn range(&self) -> KeyRange<'_> {
        match (&*self.key.0, &*self.range_end.0) {
            (b"\0", b"\0") => KeyRange::From(b""),
            (key, b"") => KeyRange::Key(key),
            (key, b"\0") => KeyRange::From(key),
            (start, end) => KeyRange::Span { start, end },
        }
    }
}

impl Put {
    fn request(&self) -> revkv::Put<'_> {
        revkv::Put {
            key: &self.key.0,
            value: &self.value.0,
            lease: LeaseId(self.lease),
            prev_kv: self.prev_kv,
            ignore_value: self.ignore_value,
            ignore_lease: self.ignore_lease,
        }
    }
}

impl DeleteRange {
    fn request(&self) -> revkv::DeleteRange<'_> {
        revkv::DeleteRange { keys: self.keys.range(), prev_kv: self.prev_kv }
    }
}

impl Range {
    fn request(&self) -> revkv::Range<'_> {
        revkv::Range {
            keys: self.keys.range(),
            revision: self.revision,
            limit: self.limit,
            keys_only: self.keys_only,
            count_only: self.count_only,
            uncounted: false,
            sort_by: match self.sort_target {
                SortTarget::Key => SortBy::Key,
                SortTarget::Version => SortBy::Version,
                SortTarget::Create => SortBy::CreateRevision,
                SortTarget::Mod => SortBy::ModRevision,
                SortTarget::Value => SortBy::Value,
            },
            descend: self.sort_order == SortOrder::Descend,
            min_mod_revision: self.min_mod_revision,
            max_mod_revision: self.max_mod_revision,
            min_create_revision: self.min_create_revision,
            max_create_revision: self.max_create_revision,
        }
    }
}

impl Commit {
    fn request(&self) -> revkv::Commit<'_> {
        revkv::Commit {
            revision: self.revision,
            reads: self.reads.iter().map(Keys::range).collect(),
            deletes: self.deletes.iter().map(Keys::range).collect(),
            puts: self.puts.iter().map(Put::request).collect(),
        }
    }
}

impl Txn {
    fn request(&self) -> revkv::Txn<'_> {
        revkv::Txn {
            compare: self.compare.iter().map(Compare::request).collect(),
            success: self.success.iter().map(operation).collect(),
            failure: self.failure.iter().map(operation).collect(),
        }
    }
}

fn operation(op: &Op) -> revkv::Op<'_> {
    match op {
        Op::Put(put) => revkv::Op::Put(put.request()),
        Op::DeleteRange(delete) => revkv::Op::DeleteRange(delete.request()),
        Op::Range(range) => revkv::Op::Range(range.request()),
        Op::Txn(txn) => revkv::Op::Txn(txn.request()),
        _ => unreachable!("not an operation of a txn"),
    }
}

impl Compare {
    fn request(&self) -> revkv::Compare<'_> {
        revkv::Compare {
            keys: self.keys.range(),
            target: match self.target {
                Target::Version => revkv::CompareTarget::Version(self.version),
                Target::Create => revkv::CompareTarget::CreateRevision(self.create_revision),
                Target::Mod => revkv::CompareTarget::ModRevision(self.mod_revision),
                Target::Value => revkv::CompareTarget::Value(&self.value.0),
                Target::Lease => revkv::CompareTarget::Lease(LeaseId(self.lease)),
            },
            result: match self.result {
                CompareResult::Equal => revkv::CompareResult::Equal,
                CompareResult::NotEqual => revkv::CompareResult::NotEqual,
                CompareResult::Greater => revkv::CompareResult::Greater,
                CompareResult::Less => revkv::CompareResult::Less,
            },
        }
    }
}

impl Watch {
    fn request(&self) -> revkv::Watch<'_> {
        revkv::Watch {
            keys: self.keys.range(),
            start_revision: self.start_revision,
            prev_kv: self.prev_kv,
            no_put: self.filters.contains(&Filter::NoPut),
            no_delete: self.filters.contains(&Filter::NoDelete),
            resync: self.resync,
        }
    }
}
