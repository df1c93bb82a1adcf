//! The versioned store: what was written at every revision, until it is compacted.
//!
//! It promises: a read at a revision sees exactly the transactions up to it, for ever until compacted; a transaction is
//! one revision, whole or not at all; an error changes nothing. It knows nothing of time, leases' ends, watchers or
//! storage.

mod change;
mod commit;
mod compaction;
mod compare;
mod hash;
mod history;
mod index;
mod key;
mod key_index;
mod key_value;
mod limits;
mod overlap;
mod range;
mod revision;
mod revision_tree;
mod store;
mod txn;

pub use commit::{Commit, CommitResponse};
pub use compare::{Compare, CompareResult, CompareTarget};
pub use hash::Hash;
pub use history::{Difference, History, Since, SinceResponse};
pub use key_value::{Event, EventKind, KeyValue, LeaseId};
pub use limits::{COMMIT_BYTES_MAX, Limits, OPERATIONS_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};
pub(crate) use range::sorted;
pub use range::{KeyRange, Range, RangeResponse, SortBy};
pub(crate) use revision::REVISION_MAX;
pub use revision::Revision;
pub use txn::{DeleteRange, DeleteRangeResponse, Op, OpResponse, Put, PutResponse, Txn, TxnResponse};

pub(crate) use key_value::Record;
pub(crate) use store::{Kept, Size, Store};
pub(crate) use txn::Leases;
#[cfg(test)]
pub(crate) use txn::WriteTxn;
