//! What tabs say to each other about the store they share.
//!
//! One tab leads: it alone writes to the storage. The others follow: each has a replica, and sends what it wants written.
//!
//! ```text
//! leader                                   follower
//!   Lead ───────────────────────────────────►      to all: there is a new leader
//!   ◄──────────────── Follow { revision: 7 }       give me what comes after 7
//!   Changes { 7..9 } ───────────────────────►
//!   ◄──────────────── Follow { revision: 9 }       I have it; and give me what comes after 9
//!        (nothing yet: it waits)
//!   ◄──────── Request { number: 4, ... }           apply this, once
//!        (applied, and stored)
//!   Changes { 9..10 } ──────────────────────►
//!   Answer { number: 4, revision: 10 } ─────►      (its promise resolves when it is at 10)
//!   Progress { 10, hash } ──────────────────►      every few seconds, where nothing happens
//!
//!   ◄──────────────── Follow { revision: 2 }       too far behind, or of another history
//!   Chunk { index: 0 } ─────────────────────►      everything, in chunks
//!   ◄──────────────── Next { index: 1 }
//!   Chunk { index: 1, is_last } ────────────►
//!   ◄──────────────── Follow { revision: 10 }
//! ```
//!
//! A follower asks, and a leader answers once: nothing is queued for a follower that does not ask, frozen or gone. Whoever
//! hears nothing asks again, since messages may be lost, late, twice and out of order: change sets say where they go on
//! from, chunks which they are, requests their number. A leader tells only what is stored, so that none is behind its
//! followers. Every message has the incarnation of the store and the epoch of the leader: one of a smaller epoch than was
//! heard of is dropped, whoever it is from.

use crate::codec::{self, BorrowDecode, Encode};

const MAGIC: [u8; 4] = *b"rkvm";
const VERSION: u16 = 1;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub struct Message<'a> {
    magic: [u8; 4],
    version: u16,
    /// The life of the store that the sender has.
    pub incarnation: [u8; 16],
    /// The leader's; 0 of a follower that has heard of none.
    pub epoch: u64,
    /// The tab that sends it: not 0.
    pub from: u64,
    /// The tab it is for; 0: all.
    pub to: u64,
    /// What it says.
    pub body: Body<'a>,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub enum Body<'a> {
    /// The sender leads.
    Lead,
    /// What comes after a revision that was asked for.
    Changes {
        /// A change set.
        bytes: &'a [u8],
    },
    /// A part of everything.
    Chunk {
        /// Which transfer it is of.
        transfer: u32,
        /// Which chunk of it, from 0.
        index: u32,
        /// The revision of the follower when it asked: one that has gone on since does not need it any more.
        asked: u64,
        /// What [`Engine::receive_chunk`](crate::Engine::receive_chunk) takes.
        bytes: &'a [u8],
    },
    /// There is nothing new.
    Progress {
        /// What the leader has stored.
        revision: u64,
        /// Its compact revision.
        compact_revision: u64,
        /// The hash of its history at that revision.
        hash: u32,
    },
    /// What came of a request.
    Answer {
        /// The request's number.
        number: u64,
        /// The store's revision with it, which is stored.
        revision: u64,
        /// What came of it.
        outcome: Outcome<'a>,
    },
    /// The sender follows, and asks for what comes after this revision.
    Follow {
        /// Its own.
        revision: u64,
        /// What it has is not the leader's: it asks for everything.
        anew: bool,
    },
    /// It asks for the next chunk.
    Next {
        /// Of which transfer.
        transfer: u32,
        /// Which one.
        index: u32,
        /// The follower's revision, should that transfer be gone.
        revision: u64,
    },
    /// It asks for a write.
    Request {
        /// Which one of its requests this is, from 1.
        number: u64,
        /// The first one that it has no answer to.
        oldest: u64,
        /// A packed [`Request`](crate::Request).
        request: &'a [u8],
    },
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub enum Outcome<'a> {
    /// It was applied.
    Applied {
        /// A packed [`Response`](crate::Response).
        response: &'a [u8],
    },
    /// It was applied, by a leader that is gone; what it would have answered was too long to be kept.
    Before,
    /// It was refused, and has changed nothing.
    Refused {
        /// The error's code.
        code: &'a str,
        /// What it says.
        message: &'a str,
    },
}

impl<'a> Message<'a> {
    /// The message of these parts.
    pub fn new(incarnation: [u8; 16], epoch: u64, from: u64, to: u64, body: Body<'a>) -> Self {
        Self { magic: MAGIC, version: VERSION, incarnation, epoch, from, to, body }
    }

    /// Its bytes.
    pub fn pack(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec::encode_into(self, &mut bytes);
        bytes
    }

    /// Reads a message, which is all of `bytes`. None if it is no message of this version, or says what no tab says.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let message: Self = codec::decode(bytes).ok()?;
        let is_ours = message.magic == MAGIC && message.version == VERSION;
        (is_ours && message.from != 0 && message.from != message.to).then_some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reads_back_as_it_was_packed() {
        let outcome = Outcome::Refused { code: "INVALID_KEY", message: "a key must not be empty" };
        let bodies = [
            Body::Lead,
            Body::Changes { bytes: b"set" },
            Body::Chunk { transfer: 1, index: 2, asked: 3, bytes: b"chunk" },
            Body::Progress { revision: 3, compact_revision: 2, hash: 1 },
            Body::Answer { number: 4, revision: 5, outcome },
            Body::Follow { revision: 6, anew: true },
            Body::Next { transfer: 7, index: 8, revision: 9 },
            Body::Request { number: 9, oldest: 8, request: b"put" },
        ];
        for body in bodies {
            let message = Message::new([7; 16], 3, 1, 2, body);
            let bytes = message.pack();
            assert_eq!(Message::read(&bytes), Some(message.clone()));
            for length in 0..bytes.len() {
                assert_eq!(Message::read(&bytes[..length]), None, "{length} bytes of {message:?}");
            }
            assert_eq!(Message::read(&[&bytes[..], b"x"].concat()), None);
        }
    }

    #[test]
    fn what_no_tab_says_is_no_message() {
        let bytes = |from, to| Message::new([7; 16], 3, from, to, Body::Lead).pack();
        assert!(Message::read(&bytes(1, 0)).is_some());
        for (name, bytes) in [("from nobody", bytes(0, 1)), ("to itself", bytes(1, 1))] {
            assert_eq!(Message::read(&bytes), None, "{name}");
        }
        for at in 0..6 {
            let mut other = bytes(1, 0);
            other[at] ^= 1;
            assert_eq!(Message::read(&other), None, "byte {at}");
        }
    }
}
