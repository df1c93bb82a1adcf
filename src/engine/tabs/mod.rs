//! The tabs of one store: one leads, the others follow. What they say is in `replica::message`, with a drawing.
//!
//! Both are state machines beside an engine: they take messages and the time, and give messages. Who leads is decided
//! elsewhere, by a lock; that there is one writer, by the storage and its epoch.

mod follower;
mod leader;

use crate::codec::Encode;
use crate::replica::Outcome;
pub use follower::Follower;
pub use leader::Leader;

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct Outgoing {
    /// The tab it is for; 0: all.
    pub to: u64,
    /// A packed [`Message`](crate::Message).
    pub bytes: Vec<u8>,
}

/// What is not heard of for so long is asked for again.
const RETRY_MS: u64 = 1_000;
/// So often followers are told that there is nothing new.
const PROGRESS_MS: u64 = 5_000;
/// A follower that says nothing for so long is forgotten, and a transfer that it asked for. If it comes back, it asks.
const GONE_MS: u64 = 30_000;
/// More are not followed; each costs a chunk of memory, and what it says may be forged.
const FOLLOWERS_MAX: usize = 256;

/// Whether so long a time is over. Where the clock was set back, nobody knows, and it is taken to be.
fn is_over(since_ms: u64, time_ms: u64, now_ms: u64) -> bool {
    now_ms.checked_sub(since_ms).is_none_or(|passed_ms| passed_ms >= time_ms)
}

/// What came of a request, by itself.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub enum Came {
    /// It was applied, and this is the packed [`Response`](crate::Response).
    Applied(Vec<u8>),
    /// It was applied by a leader that is gone, and what it would have answered was too long to be kept.
    Before,
    /// It was refused: code and text.
    Refused(String, String),
}

impl Came {
    fn outcome(&self) -> Outcome<'_> {
        match self {
            Came::Applied(response) => Outcome::Applied { response },
            Came::Before => Outcome::Before,
            Came::Refused(code, message) => Outcome::Refused { code, message },
        }
    }

    fn of(outcome: &Outcome<'_>) -> Self {
        match *outcome {
            Outcome::Applied { response } => Came::Applied(response.to_vec()),
            Outcome::Before => Came::Before,
            Outcome::Refused { code, message } => Came::Refused(code.to_owned(), message.to_owned()),
        }
    }
}
