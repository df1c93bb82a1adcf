//! What crosses the boundary, and how: every conversion of the binding.

use js_sys::{Object, Reflect};
use wasm_bindgen::JsValue;

use crate::codec::{self, BorrowDecode, Encode};
use crate::error::Error;

/// The largest integer that a JavaScript number holds exactly.
const SAFE_INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

/// Reads a packed request.
pub(super) fn decode<'a, T: BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Result<T, JsValue> {
    codec::decode(bytes).map_err(|_| thrown(Error::InvalidArgument("the request cannot be read")))
}

/// Packs an answer.
pub(super) fn packed<T: Encode>(value: &T) -> Vec<u8> {
    codec::encode(value)
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

/// What JavaScript is thrown: `{ code, message, revision?, compactRevision? }`.
pub(super) fn thrown(error: Error) -> JsValue {
    let object = Object::new();
    let set = |name: &str, value: JsValue| {
        let set = Reflect::set(&object, &name.into(), &value).is_ok();
        assert!(set, "a fresh object takes any property");
    };
    set("code", error.code().into());
    set("message", error.to_string().into());
    match error {
        Error::Compacted { requested, compacted } => {
            set("revision", revision(requested).into());
            set("compactRevision", revision(compacted).into());
        }
        Error::FutureRevision { requested: at, .. }
        | Error::Gap { expected: at, .. }
        | Error::Diverged { revision: at, .. }
        | Error::RevisionNotFound { revision: at } => set("revision", revision(at).into()),
        _ => {}
    }
    object.into()
}
