//! What is asked of a store. An act names keys, revisions and times outright, so that it can be done again elsewhere.

use std::sync::Arc;

use revkv::{Commit, DeleteRange, Engine, Error, KeyRange, LeaseId, Op, Put, Request, Txn};

use crate::truth::Key;

/// One key of a transaction: put with a value and a lease, or deleted.
#[derive(Debug, Clone)]
pub struct Change {
    pub key: Key,
    pub put: Option<(Arc<[u8]>, i64)>,
}

#[derive(Debug, Clone)]
pub enum Act {
    /// A transaction, or of one put: a put; or, of an even number of them and nothing else: a commit.
    Write(Vec<Change>),
    /// Deletes the keys from the first one up to before the second.
    DeleteFrom(Key, Key),
    Compact(u64),
    Grant {
        id: i64,
        ttl_seconds: u64,
    },
    KeepAlive(i64),
    Revoke(i64),
    RestoreTo(u64),
    /// The clock goes on to this time.
    Tick(u64),
    CompactSteps(usize),
    /// Lives as long as the engine.
    Snapshot(u64),
    Release(u64),
}

impl Act {
    pub fn apply(&self, engine: &mut Engine, now_ms: u64) -> Result<(), Error> {
        let request = match self {
            Act::Write(changes) => match &changes[..] {
                [Change { key, put: Some((value, lease)) }] => Request::Put(put(key, value, *lease)),
                changes => commit(changes).map_or_else(|| Request::Txn(txn(changes)), Request::Commit),
            },
            Act::DeleteFrom(start, end) => {
                Request::DeleteRange(DeleteRange { keys: KeyRange::Span { start, end }, ..DeleteRange::default() })
            }
            Act::Compact(revision) => Request::Compact { revision: *revision },
            Act::Grant { id, ttl_seconds } => Request::LeaseGrant { id: LeaseId(*id), ttl_seconds: *ttl_seconds },
            Act::KeepAlive(id) => Request::LeaseKeepAlive { id: LeaseId(*id) },
            Act::Revoke(id) => Request::LeaseRevoke { id: LeaseId(*id) },
            Act::RestoreTo(revision) => Request::RestoreTo { keys: KeyRange::ALL, revision: *revision },
            Act::Tick(now_ms) => return engine.tick(*now_ms),
            Act::CompactSteps(steps) => {
                let _ = (0..*steps).all(|_| engine.compact_step());
                return Ok(());
            }
            Act::Snapshot(revision) => return engine.snapshot(*revision).map(drop),
            // It is gone if the engine that gave it is.
            Act::Release(revision) => {
                engine.release_snapshot(*revision);
                return Ok(());
            }
        };
        engine.apply(request, now_ms).map(drop)
    }
}

fn put<'a>(key: &'a [u8], value: &'a [u8], lease: i64) -> Put<'a> {
    Put { key, value, lease: LeaseId(lease), ..Put::default() }
}

fn commit(changes: &[Change]) -> Option<Commit<'_>> {
    let put = |change| match change {
        &Change { ref key, put: Some((ref value, lease)) } => Some(put(key, value, lease)),
        Change { put: None, .. } => None,
    };
    let puts: Option<Vec<_>> = changes.iter().map(put).collect();
    puts.filter(|puts| puts.len().is_multiple_of(2)).map(|puts| Commit { puts, ..Commit::default() })
}

fn txn(changes: &[Change]) -> Txn<'_> {
    Txn { success: changes.iter().map(op).collect(), ..Txn::default() }
}

fn op(change: &Change) -> Op<'_> {
    let key = &change.key;
    match &change.put {
        Some((value, lease)) => Op::Put(put(key, value, *lease)),
        None => Op::DeleteRange(DeleteRange { keys: KeyRange::Key(key), ..DeleteRange::default() }),
    }
}
