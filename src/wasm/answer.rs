//! The answer of a call, where JavaScript reads it.

use super::KEPT_BYTES_MAX;
use super::convert::Refusal;
use crate::codec::{self, Encode};
use crate::error::Error;

/// ```text
/// bytes  4     4       length
///        kind  length  what is given, or why it is refused
/// ```
#[derive(Default)]
pub(super) struct Answer(Vec<u8>);

const HEAD_BYTES: usize = 8;

/// What an answer is.
#[derive(Clone, Copy)]
enum Kind {
    /// There is nothing to give.
    Nothing,
    Given,
    /// A [`Refusal`]; nothing was changed.
    Refused,
}

impl Answer {
    pub fn give(&mut self, result: Result<impl Encode, Error>) -> *const u8 {
        self.give_some(result.map(Some))
    }

    pub fn give_some(&mut self, result: Result<Option<impl Encode>, Error>) -> *const u8 {
        self.begin();
        match result {
            Ok(None) => self.end(Kind::Nothing),
            Ok(Some(value)) => {
                codec::encode_into(&value, &mut self.0);
                self.end(Kind::Given)
            }
            Err(error) => self.refuse(&error),
        }
    }

    /// The bytes as they are.
    pub fn give_bytes(&mut self, result: Result<Option<&[u8]>, &Error>) -> *const u8 {
        self.begin();
        match result {
            Ok(None) => self.end(Kind::Nothing),
            Ok(Some(bytes)) => {
                self.0.extend_from_slice(bytes);
                self.end(Kind::Given)
            }
            Err(error) => self.refuse(error),
        }
    }

    /// Begins an answer of several, each of them with a head of its own.
    pub fn begin_many(&mut self) {
        self.begin();
    }

    pub fn add(&mut self, result: Result<impl Encode, Error>) {
        let at = self.0.len();
        self.0.extend_from_slice(&[0; HEAD_BYTES]);
        let kind = match result {
            Ok(value) => {
                codec::encode_into(&value, &mut self.0);
                Kind::Given
            }
            Err(error) => {
                codec::encode_into(&Refusal::of(&error), &mut self.0);
                Kind::Refused
            }
        };
        self.set_head(at, kind);
    }

    /// Bytes, so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn end_many(&mut self) -> *const u8 {
        self.end(Kind::Given)
    }

    fn refuse(&mut self, error: &Error) -> *const u8 {
        codec::encode_into(&Refusal::of(error), &mut self.0);
        self.end(Kind::Refused)
    }

    fn begin(&mut self) {
        if self.0.capacity() > KEPT_BYTES_MAX {
            self.0 = Vec::new();
        }
        self.0.clear();
        self.0.extend_from_slice(&[0; HEAD_BYTES]);
    }

    fn end(&mut self, kind: Kind) -> *const u8 {
        self.set_head(0, kind);
        self.0.as_ptr()
    }

    /// The head of what begins there and reaches to the end.
    fn set_head(&mut self, at: usize, kind: Kind) {
        let length = u32::try_from(self.0.len() - at - HEAD_BYTES).expect("no answer is larger than the memory");
        self.0[at..at + 4].copy_from_slice(&(kind as u32).to_le_bytes());
        self.0[at + 4..at + HEAD_BYTES].copy_from_slice(&length.to_le_bytes());
    }
}
