//! A tab that follows: what it asks for, and what it waits for.

use std::collections::VecDeque;

use super::{Came, Outgoing, PROGRESS_MS, RETRY_MS, is_over};
use crate::engine::Engine;
use crate::error::Error;
use crate::replica::{Body, Message, REQUESTS_MAX};

/// A tab that follows.
#[derive(Debug, Clone)]
pub struct Follower {
    id: u64,
    epoch: u64,
    /// The tab that leads, if one was heard of.
    leader: u64,
    asked_ms: u64,
    requested_ms: u64,
    heard_ms: u64,
    /// The revision and compact revision at which the hash was compared last.
    compared: (u64, u64),
    /// The transfer that is under way, and the chunk that comes next.
    transfer: Option<(u32, u32)>,
    /// The newest one of this leader that was begun.
    newest_transfer: u32,
    anew: bool,
    in_sync: bool,
    /// The newest revision that the leader has told of.
    told: u64,
    /// Requests without an answer that can be given, numbers ascending.
    pending: VecDeque<Pending>,
    next_number: u64,
    done: Vec<(u64, Came)>,
    dropped: u64,
}

#[derive(Debug, Clone)]
struct Pending {
    number: u64,
    request: Vec<u8>,
    /// An answer that waits until its revision is here.
    answer: Option<(u64, Came)>,
}

impl Follower {
    /// This tab follows from now on. `first_number`: above that of any request it has ever made.
    pub fn new(id: u64, first_number: u64) -> Self {
        Self {
            id,
            epoch: 0,
            leader: 0,
            asked_ms: 0,
            requested_ms: 0,
            heard_ms: 0,
            compared: (0, 0),
            transfer: None,
            newest_transfer: 0,
            anew: false,
            in_sync: false,
            told: 0,
            pending: VecDeque::new(),
            next_number: first_number,
            done: Vec::new(),
            dropped: 0,
        }
    }

    /// The same for a tab that led until now, and has requests of its own that are not known to be stored: what came of them
    /// is asked of the next leader. `next_number` is above theirs.
    pub fn with_pending(id: u64, pending: Vec<(u64, Vec<u8>)>, next_number: u64) -> Self {
        let pending = pending.into_iter().map(|(number, request)| Pending { number, request, answer: None });
        Self { pending: pending.collect(), ..Self::new(id, next_number) }
    }

    /// Everything that the leader had stored when it last said so is here.
    pub fn is_in_sync(&self) -> bool {
        self.in_sync
    }

    /// How many revisions the leader has told of that are not here.
    pub fn lag(&self, engine: &Engine) -> u64 {
        self.told.saturating_sub(engine.known_revision())
    }

    /// Messages that were none, of a smaller epoch, or not for here.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Asks for a write. Gives its number, under which [`Follower::take_done`] will say what came of it; none while
    /// [`REQUESTS_MAX`] are under way.
    pub fn submit(&mut self, engine: &Engine, request: &[u8]) -> Option<(u64, Vec<Outgoing>)> {
        if self.pending.len() >= REQUESTS_MAX {
            return None;
        }
        let number = self.next_number;
        self.next_number += 1;
        self.pending.push_back(Pending { number, request: request.to_vec(), answer: None });
        Some((number, self.requests(engine, number)))
    }

    /// What has come of requests, in their order.
    pub fn take_done(&mut self) -> Vec<(u64, Came)> {
        std::mem::take(&mut self.done)
    }

    /// Requests that no answer has come to, for a tab that begins to lead: it applies them itself, by
    /// [`Engine::apply_once`]. And the number to go on with.
    pub fn into_pending(self) -> (Vec<(u64, Vec<u8>)>, u64) {
        (self.pending.into_iter().map(|pending| (pending.number, pending.request)).collect(), self.next_number)
    }

    /// Takes a message.
    pub fn handle(&mut self, engine: &mut Engine, bytes: &[u8], now_ms: u64) -> Vec<Outgoing> {
        let is_own = |message: &Message<'_>| message.to == 0 || message.to == self.id;
        // A leader before this tab led may not know yet that it is none, and has less than is here.
        let is_new = |message: &Message<'_>| message.epoch >= self.epoch && message.epoch > engine.led;
        let Some(message) = Message::read(bytes).filter(is_own).filter(is_new) else {
            self.dropped += 1;
            return Vec::new();
        };
        let mut outgoing = Vec::new();
        match message.body {
            Body::Follow { .. } | Body::Next { .. } | Body::Request { .. } => return outgoing,
            _ if message.epoch > self.epoch => outgoing.append(&mut self.meet(&message, engine, now_ms)),
            _ if message.from != self.leader => return outgoing,
            _ => {}
        }
        self.heard_ms = now_ms;
        match message.body {
            Body::Changes { bytes } => outgoing.extend(self.changes(engine, bytes, now_ms)),
            Body::Chunk { transfer, index, asked, bytes } => {
                outgoing.extend(self.chunk(engine, (transfer, index, asked), bytes, now_ms));
            }
            Body::Progress { revision, compact_revision, hash } => {
                outgoing.extend(self.progress(engine, (revision, compact_revision, hash), now_ms));
            }
            Body::Answer { number, revision, ref outcome } => {
                let pending = self.pending.iter_mut().find(|pending| pending.number == number);
                if let Some(pending) = pending {
                    pending.answer = Some((revision, Came::of(outcome)));
                }
                if revision > engine.known_revision() {
                    // What it speaks of was lost, or is not sent: a leader may have forgotten this tab.
                    outgoing.extend(self.ask(engine, now_ms));
                }
            }
            _ => {}
        }
        self.settle(engine);
        outgoing
    }

    /// Time has passed: asks again for what has not come.
    pub fn tick(&mut self, engine: &Engine, now_ms: u64) -> Vec<Outgoing> {
        let is_quiet = self.in_sync && !is_over(self.heard_ms, 2 * PROGRESS_MS, now_ms);
        let mut outgoing = Vec::new();
        if !is_quiet && is_over(self.asked_ms, RETRY_MS, now_ms) {
            outgoing.extend(self.ask(engine, now_ms));
        }
        if is_over(self.requested_ms, RETRY_MS, now_ms) {
            outgoing.append(&mut self.requests(engine, 0));
            self.requested_ms = now_ms;
        }
        outgoing
    }

    /// There is a new leader: everything that was under way with the one before is asked of it.
    fn meet(&mut self, message: &Message<'_>, engine: &Engine, now_ms: u64) -> Vec<Outgoing> {
        (self.epoch, self.leader, self.transfer) = (message.epoch, message.from, None);
        self.newest_transfer = 0;
        self.in_sync = false;
        let mut outgoing: Vec<Outgoing> = self.ask(engine, now_ms).into_iter().collect();
        outgoing.append(&mut self.requests(engine, 0));
        outgoing
    }

    fn ask(&mut self, engine: &Engine, now_ms: u64) -> Option<Outgoing> {
        self.asked_ms = now_ms;
        let body = match self.transfer {
            Some((transfer, index)) => Body::Next { transfer, index, revision: engine.known_revision() },
            None => Body::Follow { revision: engine.known_revision(), anew: self.anew },
        };
        // Whoever leads hears it, though it is not known yet.
        Some(self.message(engine, self.leader, body))
    }

    /// The requests from a number on that have no answer.
    fn requests(&self, engine: &Engine, from: u64) -> Vec<Outgoing> {
        let oldest = self.pending.front().map_or(self.next_number, |pending| pending.number);
        let open = self.pending.iter().filter(|pending| pending.number >= from && pending.answer.is_none());
        let request = |pending: &Pending| {
            let body = Body::Request { number: pending.number, oldest, request: &pending.request };
            self.message(engine, self.leader, body)
        };
        open.map(request).collect()
    }

    fn message(&self, engine: &Engine, to: u64, body: Body<'_>) -> Outgoing {
        let epoch = self.epoch.max(engine.led);
        Outgoing { to, bytes: Message::new(engine.incarnation(), epoch, self.id, to, body).pack() }
    }

    fn changes(&mut self, engine: &mut Engine, bytes: &[u8], now_ms: u64) -> Option<Outgoing> {
        if self.anew || self.transfer.is_some() {
            return None;
        }
        match engine.follow_changes(bytes) {
            // A portion that came twice is not asked for again.
            Ok(applied) if applied.applied == 0 && applied.duplicates > 0 => None,
            Ok(applied) => {
                self.told = applied.source_revision;
                self.in_sync = applied.revision == applied.source_revision;
                // What the leader does not have was never stored.
                self.anew = applied.revision > applied.source_revision;
                self.ask(engine, now_ms)
            }
            Err(Error::Diverged { .. } | Error::RevisionNotFound { .. }) => {
                self.anew = true;
                self.in_sync = false;
                self.ask(engine, now_ms)
            }
            Err(Error::Gap { .. }) => self.ask(engine, now_ms),
            Err(_) => {
                self.dropped += 1;
                None
            }
        }
    }

    fn chunk(
        &mut self,
        engine: &mut Engine,
        (transfer, index, asked): (u32, u32, u64),
        bytes: &[u8],
        now_ms: u64,
    ) -> Option<Outgoing> {
        let expects = match self.transfer {
            Some((own, next)) if own == transfer => index == next,
            _ => index == 0 && transfer > self.newest_transfer && asked == engine.known_revision(),
        };
        if !expects {
            return None;
        }
        self.newest_transfer = transfer;
        self.in_sync = false;
        self.transfer = match engine.receive_chunk(bytes) {
            Ok(None) => Some((transfer, index + 1)),
            Ok(Some(_)) => {
                self.anew = false;
                None
            }
            Err(_) => {
                self.dropped += 1;
                self.anew = true;
                None
            }
        };
        self.ask(engine, now_ms)
    }

    fn progress(&mut self, engine: &Engine, told: (u64, u64, u32), now_ms: u64) -> Option<Outgoing> {
        let (revision, compact_revision, hash) = told;
        let own = (engine.known_revision(), engine.compact_revision());
        self.told = revision;
        if self.anew || self.transfer.is_some() {
            return self.ask(engine, now_ms);
        }
        let compares = own == (revision, compact_revision) && own != self.compared && hash != 0;
        let differs = compares && engine.hash(0).is_ok_and(|own| own.hash != hash);
        if compares {
            self.compared = own;
        }
        self.in_sync = own.0 == revision && !differs;
        self.anew = differs;
        self.ask(engine, now_ms)
    }

    /// An answer is given when what it speaks of can be read here.
    fn settle(&mut self, engine: &Engine) {
        while let Some(pending) = self.pending.front()
            && let Some((revision, _)) = pending.answer
            && revision <= engine.known_revision()
            && !self.anew
            && self.transfer.is_none()
        {
            let pending = self.pending.pop_front().expect("there is a first one");
            self.done.extend(pending.answer.map(|(_, came)| (pending.number, came)));
        }
    }
}
