//! A versioned key-value store with etcd's semantics: every revision of every key, until it is compacted.
//!
//! ```
//! use revkv::{Engine, EngineOptions, Put, Request};
//!
//! let mut engine = Engine::new(EngineOptions::default());
//! engine.start()?;
//! let put = |value| Request::Put(Put { key: b"greeting", value, ..Put::default() });
//! engine.apply(put(b"hello"), 0)?;
//! engine.apply(put(b"good morning"), 0)?;
//!
//! let now = engine.get(b"greeting", 0)?.expect("it was put");
//! assert_eq!((&*now.value, now.create_revision, now.mod_revision, now.version), (&b"good morning"[..], 2, 3, 2));
//! let before = engine.get(b"greeting", 2)?.expect("it was put");
//! assert_eq!(&*before.value, b"hello");
//! # Ok::<(), revkv::Error>(())
//! ```
//!
//! The crate is a state machine: see [`Engine`]. In a browser it is the npm package `revkv`, whose binding is the module
//! `wasm`.

mod codec;
mod engine;
mod error;
mod header;
mod journal;
mod lease;
mod mvcc;
mod replica;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod wasm;
mod watch;

pub use engine::{
    BackupInfo, Came, Engine, EngineOptions, Follower, Leader, LeasedRequest, Once, Outgoing, Request, Response, Stats,
    TransferId,
};
pub use error::Error;
#[cfg(fuzzing)]
pub use journal::fuzzing;
pub use journal::{Blob, Loss, Ready};
pub use lease::{LeaseInfo, TTL_SECONDS_MAX};
pub use mvcc::{
    COMMIT_BYTES_MAX, Commit, CommitResponse, Compare, CompareResult, CompareTarget, DeleteRange, DeleteRangeResponse,
    Difference, Event, EventKind, Hash, History, KeyRange, KeyValue, LeaseId, Limits, OPERATIONS_MAX, Op, OpResponse,
    Put, PutResponse, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX, Range, RangeResponse, Revision, Since, SinceResponse,
    SortBy, Txn, TxnResponse,
};
#[cfg(fuzzing)]
pub use replica::fuzzing as replica_fuzzing;
pub use replica::{
    Applied, Body, ChangeSet, Message, Outcome, REQUESTS_MAX, SyncBatch, SyncChange, SyncEvent, SyncKind, SyncOutput,
    SyncStatus, Syncer,
};
pub use watch::{Batch, Watch, WatchResponse, WatcherId};
