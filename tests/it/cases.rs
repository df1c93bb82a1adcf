//! Named cases: what implementations of etcd's semantics get wrong, and the rules of those semantics as tables.
//!
//! Each case says what went wrong elsewhere, in etcd's own tests and issues where they name it. Cases of etcd without a
//! counterpart here, and why:
//! - the index of a replicated log entry is stored with the entry's changes (etcd-io/etcd#13766, #14685): an engine
//!   applies what its one writer tells it, and no log is replayed into it but its own journal (`restart`);
//! - a transaction is named by an id, and a wrong one is refused (TestKVTxnWrongID): a transaction is one request;
//! - a backend is swapped inside a living store (TestWatchRestore, TestWatchRestoreSyncedWatcher): there is no restore
//!   of a backup into a running engine; `restart` has its half of the promise, a reader that goes on where it was;
//! - a hash computed by a compaction is cached under the compact revision before it (TestCompactionHash): a hash is
//!   always computed, so that it is never one of an interrupted compaction (#15919);
//! - negative revisions (#13871): revisions are unsigned, and what crosses from JavaScript is checked there;
//! - a watch asks for an id of its own (TestWatcherRequestsCustomID): ids are given, and none is used again;
//! - progress of all watches of a stream at once (TestWatcherRequestProgressAll): there are no streams; every answer to
//!   a watcher says how far it is complete.

mod backup;
mod changes;
mod commits;
mod compaction;
mod golden;
mod hash;
mod history;
mod journal;
mod leases;
mod limits;
mod pair;
mod ranges;
mod requests;
mod restart;
mod revisions;
mod salvage;
mod script;
mod tabs;
mod transfer;
mod txns;
mod watches;
