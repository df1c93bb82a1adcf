//! Replication: what one store tells another, as state machines and bytes.
//!
//! It promises: a replica's revisions are its source's, whole transactions, in order; what does not follow from what a
//! replica has is named and changes nothing; no received byte is believed before its checksum.

mod change_set;
#[cfg(fuzzing)]
pub mod fuzzing;
mod message;
mod requests;
mod syncer;

pub use change_set::{Applied, ChangeSet};
pub(crate) use change_set::{ChangeSetHeader, LeaseChange, OpenedChanges, Payload, checksum};
pub use message::{Body, Message, Outcome};
pub use requests::REQUESTS_MAX;
pub(crate) use requests::{Known, Requests, kept};
pub use syncer::{SyncBatch, SyncChange, SyncEvent, SyncKind, SyncOutput, SyncStatus, Syncer};
