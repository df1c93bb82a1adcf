//! The versioned store: what was written at every revision, until it is compacted.
//!
//! It promises: a read at a revision sees exactly the transactions up to it, for ever until compacted; a transaction is
//! one revision, whole or not at all; an error changes nothing. It knows nothing of time, leases' ends, watchers or
//! storage.

mod compaction;
mod compare;
mod index;
mod key_index;
mod key_value;
mod overlap;
mod range;
mod revision;
mod revision_tree;
mod store;
mod txn;

pub use compare::{Compare, CompareResult, CompareTarget};
pub use key_value::{Event, EventKind, KeyValue, LeaseId};
pub use range::{KeyRange, Range, RangeResponse, SortBy};
pub use revision::Revision;
pub use store::History;
pub use txn::{
    DeleteRange, DeleteRangeResponse, OPERATIONS_MAX, Op, OpResponse, Put, PutResponse, REQUEST_BYTES_MAX, Txn,
    TxnResponse,
};

pub(crate) use key_value::Record;
pub(crate) use store::Store;
pub(crate) use txn::Leases;
#[cfg(test)]
pub(crate) use txn::WriteTxn;
