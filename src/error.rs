//! What can go wrong, each with a stable code that JavaScript sees too.

use std::fmt;

/// A failure of the caller or of the medium. Ours are bugs, and assert.
///
/// Compare [`Error::code`], never the text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The revision asked for lies before the compact revision: its history is gone.
    Compacted {
        /// What was asked for.
        requested: u64,
        /// The oldest revision that can still be read.
        compacted: u64,
    },
    /// The revision asked for has not been written yet.
    FutureRevision {
        /// What was asked for.
        requested: u64,
        /// The newest revision there is.
        current: u64,
    },
    /// An empty key.
    InvalidKey,
    /// A watch on a range that holds no key (start >= end).
    InvalidRange,
    /// A request that makes no sense; the text says what is wrong.
    InvalidArgument(&'static str),
    /// `ignore_value` or `ignore_lease` on a key that does not exist.
    KeyNotFound,
    /// `ignore_value` together with a value.
    ValueProvided,
    /// `ignore_lease` together with a lease.
    LeaseProvided,
    /// A transaction would put one key twice, or put and delete it.
    DuplicateKey,
    /// More operations in one level of a transaction than [`crate::OPERATIONS_MAX`] leaves room for.
    TooManyOperations,
    /// A request larger than [`crate::REQUEST_BYTES_MAX`] or, a commit, [`crate::COMMIT_BYTES_MAX`], or an answer larger than [`crate::RESPONSE_BYTES_MAX`].
    TooLarge {
        /// The size of its keys and values.
        bytes: usize,
        /// The largest that is taken.
        bytes_max: usize,
    },
    /// Keys and history would be counted as more than the store may hold.
    QuotaExceeded {
        /// What they would be counted as.
        bytes: usize,
        /// The most that is allowed.
        bytes_max: usize,
    },
    /// No lease has this id (any more).
    LeaseNotFound {
        /// The id asked for.
        id: i64,
    },
    /// The id of a new lease is taken.
    LeaseExists {
        /// The id asked for.
        id: i64,
    },
    /// Something that a commit has read was changed since.
    Conflict,
    /// The content was replaced by a backup; a watch on what was there ends.
    Restored,
    /// Another store has written to the medium since.
    NotLeader,
    /// A stored blob does not verify: what was found where.
    Corrupt {
        /// The blob's id.
        blob: String,
        /// Where in the blob.
        offset: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// A stored blob was written by a version of the format that this one does not know.
    UnsupportedFormat {
        /// The blob's id.
        blob: String,
        /// The version it names.
        version: u16,
    },
}

impl Error {
    /// The stable name of this failure, the same in Rust and JavaScript.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Compacted { .. } => "COMPACTED",
            Error::FutureRevision { .. } => "FUTURE_REVISION",
            Error::InvalidKey => "INVALID_KEY",
            Error::InvalidRange => "INVALID_RANGE",
            Error::InvalidArgument(_) => "INVALID_ARGUMENT",
            Error::KeyNotFound => "KEY_NOT_FOUND",
            Error::ValueProvided => "VALUE_PROVIDED",
            Error::LeaseProvided => "LEASE_PROVIDED",
            Error::DuplicateKey => "DUPLICATE_KEY",
            Error::TooManyOperations => "TOO_MANY_OPERATIONS",
            Error::TooLarge { .. } => "TOO_LARGE",
            Error::QuotaExceeded { .. } => "QUOTA_EXCEEDED",
            Error::LeaseNotFound { .. } => "LEASE_NOT_FOUND",
            Error::LeaseExists { .. } => "LEASE_EXISTS",
            Error::Conflict => "CONFLICT",
            Error::Restored => "RESTORED",
            Error::NotLeader => "NOT_LEADER",
            Error::Corrupt { .. } => "CORRUPT",
            Error::UnsupportedFormat { .. } => "UNSUPPORTED_FORMAT",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Compacted { requested, compacted } => {
                write!(f, "revision {requested} has been compacted away: read at {compacted} or later")
            }
            Error::FutureRevision { requested, current } => {
                write!(f, "revision {requested} is not written yet: the store is at {current}")
            }
            Error::InvalidKey => f.write_str("a key must not be empty"),
            Error::InvalidRange => f.write_str("the range is empty: its start is not before its end"),
            Error::InvalidArgument(what) => f.write_str(what),
            Error::KeyNotFound => f.write_str("ignoreValue and ignoreLease need a key that exists"),
            Error::ValueProvided => f.write_str("ignoreValue keeps the stored value: give no value with it"),
            Error::LeaseProvided => f.write_str("ignoreLease keeps the stored lease: give no lease with it"),
            Error::DuplicateKey => f.write_str("a transaction may write each key only once"),
            Error::TooManyOperations => f.write_str("too many operations in one transaction: split it"),
            Error::TooLarge { bytes, bytes_max } => {
                write!(
                    f,
                    "the request, or its answer, holds {bytes} bytes of at most {bytes_max}: ask for less at a time"
                )
            }
            Error::QuotaExceeded { bytes, bytes_max } => {
                write!(f, "the store would hold {bytes} bytes of {bytes_max}: delete and compact, or allow more")
            }
            Error::LeaseNotFound { id } => write!(f, "lease {id} is not there: it was never granted, or it is gone"),
            Error::LeaseExists { id } => write!(f, "lease {id} is granted already: choose another id"),
            Error::Conflict => f.write_str("something that was read has changed since: read it again"),
            Error::Restored => f.write_str("the store's content was replaced: read it, and watch from there"),
            Error::NotLeader => f.write_str("another store has written to the medium since: open it again"),
            Error::Corrupt { blob, offset, what } => {
                write!(f, "stored blob {blob} is damaged at byte {offset}: {what}")
            }
            Error::UnsupportedFormat { blob, version } => {
                write!(f, "stored blob {blob} has format {version}: a newer revkv wrote it")
            }
        }
    }
}

impl std::error::Error for Error {}
