//! What crosses the boundary, and how: every conversion of the binding.

use crate::codec::{self, BorrowDecode, Encode};
use crate::error::Error;

/// The largest integer that a JavaScript number holds exactly.
const SAFE_INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

/// Reads a packed request.
pub(super) fn decode<'a, T: BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Result<T, Error> {
    codec::decode(bytes).map_err(|_| Error::InvalidArgument("the request cannot be read"))
}

/// A revision as a number. Revisions count up by one from 1, so that they stay exact.
#[expect(clippy::cast_precision_loss, reason = "2^53 transactions are out of reach")]
pub(super) fn revision(revision: u64) -> f64 {
    revision as f64
}

/// A number that must be a non-negative safe integer.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a safe integer")]
pub(super) fn number(number: f64) -> Result<u64, Error> {
    let exact = (0.0..=SAFE_INTEGER_MAX).contains(&number) && number.fract() == 0.0;
    if exact { Ok(number as u64) } else { Err(Error::InvalidArgument("a revision is an integer from 0 to 2^53 - 1")) }
}

/// A time; fractions of a millisecond are cut off, and what is no time is the beginning of it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, NaN is 0")]
pub(super) fn millis(now: f64) -> u64 {
    now as u64
}

/// The 16 bytes that name a life of the store.
pub(super) fn incarnation(bytes: &[u8]) -> Result<[u8; 16], Error> {
    bytes.try_into().map_err(|_| Error::InvalidArgument("an incarnation is 16 bytes"))
}

/// Why a call is refused.
#[derive(Encode)]
pub(super) struct Refusal {
    code: &'static str,
    message: String,
    /// The revision that the refusal is about, and the compact revision; or 0.
    revision: u64,
    compacted: u64,
}

impl Refusal {
    pub fn of(error: &Error) -> Self {
        let (revision, compacted) = match *error {
            Error::Compacted { requested, compacted } => (requested, compacted),
            Error::FutureRevision { requested: at, .. }
            | Error::Gap { expected: at, .. }
            | Error::Diverged { revision: at, .. }
            | Error::RevisionNotFound { revision: at } => (at, 0),
            _ => (0, 0),
        };
        Self { code: error.code(), message: error.to_string(), revision, compacted }
    }
}
