//! What is too much: of operations, of bytes in a request, in an answer, in all.

use crate::error::Error;

/// The most operations (or compares) in one level of a transaction; a nested transaction has what its parent's longest
/// list leaves (etcd's `--max-txn-ops`).
pub const OPERATIONS_MAX: usize = 128;
/// The most bytes of keys and values in one request (etcd's `--max-request-bytes`).
pub const REQUEST_BYTES_MAX: usize = 1536 << 10;

/// The most bytes in one commit, which may fill a store at once: what it takes to hold and to decode it stays well below
/// the memory of a small device.
pub const COMMIT_BYTES_MAX: usize = 32 << 20;

/// The most bytes of keys and values in one answer. More would need memory of a size that a browser may refuse, which
/// ends the engine; a limit on the range asks for less.
pub const RESPONSE_BYTES_MAX: usize = 256 << 20;

/// What a store takes and answers at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Operations (or compares) in one level of a transaction.
    pub operations_max: usize,
    /// Bytes of keys and values in one request.
    pub request_bytes_max: usize,
    /// Bytes of keys and values in one commit, each put and each range counted with 32 more. A put of it is held against
    /// `request_bytes_max` too.
    pub commit_bytes_max: usize,
    /// Bytes of keys and values in one answer. What a watch gives is not held against it: that comes in portions, but for
    /// one revision, which is not split, and the whole range of a resync.
    pub response_bytes_max: usize,
    /// Bytes that all keys and their history may be counted as; 0 is no bound. Puts past it are refused, deletes and
    /// compaction go on.
    pub bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            operations_max: OPERATIONS_MAX,
            request_bytes_max: REQUEST_BYTES_MAX,
            commit_bytes_max: COMMIT_BYTES_MAX,
            response_bytes_max: RESPONSE_BYTES_MAX,
            bytes_max: 0,
        }
    }
}

/// How large an answer has become, so that none grows beyond what memory takes.
pub(super) struct Answer {
    bytes: usize,
    bytes_max: usize,
}

impl Answer {
    /// Beside its bytes, what a key in an answer is held in.
    const KEY_BYTES: usize = 96;

    pub fn new(limits: &Limits) -> Self {
        Self { bytes: 0, bytes_max: limits.response_bytes_max }
    }

    /// Counts one more key with its value, or refuses it.
    pub fn add(&mut self, key: usize, value: usize) -> Result<(), Error> {
        self.bytes += Self::KEY_BYTES + key + value;
        let Self { bytes, bytes_max } = *self;
        if bytes <= bytes_max { Ok(()) } else { Err(Error::TooLarge { bytes, bytes_max }) }
    }
}
