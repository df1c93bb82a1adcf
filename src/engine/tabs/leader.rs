//! The tab that leads: what it tells its followers, and what it writes for them.

use std::collections::VecDeque;

use super::{Came, FOLLOWERS_MAX, GONE_MS, Outgoing, PROGRESS_MS, is_over};
use crate::codec;
use crate::engine::{Engine, Once, Request, TransferId};
use crate::error::Error;
use crate::mvcc::{REVISION_MAX, sorted};
use crate::replica::{Body, ChangeSet, Message, REQUESTS_MAX};

/// The tab that leads.
#[derive(Debug, Clone)]
pub struct Leader {
    id: u64,
    followers: Vec<Followed>,
    /// Of followers that are gone, the newest request that was refused: what they sent may still be on its way.
    refused: VecDeque<(u64, u64)>,
    told_ms: u64,
    /// The hash that was told last, and what it is of.
    hash: (u64, u64, u32),
    dropped: u64,
}

/// A follower, as its leader knows it.
#[derive(Debug, Clone, Default)]
struct Followed {
    id: u64,
    heard_ms: u64,
    /// It has all up to here...
    revision: u64,
    /// ... and waits for more.
    waits: bool,
    /// What it was told last reaches to here, leases too.
    told: u64,
    /// Leases may have changed since it was told.
    leases_due: bool,
    /// What was noted beside transactions, and stored, when it was told last.
    noted: u64,
    transfer: Option<Given>,
    /// The newest request that was refused: it does not count as applied, and is not to be applied later.
    refused: u64,
    /// Answers that wait until their revision is stored, and after that for the next request.
    answers: VecDeque<Answered>,
}

#[derive(Debug, Clone)]
struct Given {
    id: TransferId,
    index: u32,
    asked: u64,
    chunk: Vec<u8>,
}

impl Given {
    /// Makes this chunk, if it is the next one and there is one.
    fn go_on(&mut self, index: u32, engine: &mut Engine) -> Result<(), Error> {
        if index == self.index + 1
            && let Some(chunk) = engine.transfer_chunk(self.id)?
        {
            (self.index, self.chunk) = (index, chunk);
        }
        Ok(())
    }
}

#[derive(Debug, Clone)]
struct Answered {
    number: u64,
    revision: u64,
    /// What was noted with it and before: a lease is granted without a revision.
    noted: u64,
    outcome: Came,
    is_sent: bool,
}

impl Answered {
    fn is_stored(&self, engine: &Engine) -> bool {
        self.revision <= engine.durable_revision() && self.noted <= engine.durable_noted
    }
}

impl Leader {
    /// This tab leads from now on, with an engine that was recovered from the storage and has claimed it. Gives what to
    /// tell the others.
    pub fn new(id: u64, engine: &Engine) -> (Self, Vec<Outgoing>) {
        let leader =
            Self { id, followers: Vec::new(), refused: VecDeque::new(), told_ms: 0, hash: (0, 0, 0), dropped: 0 };
        let lead = leader.message(engine, 0, Body::Lead);
        (leader, vec![lead])
    }

    /// The followers heard of lately.
    pub fn followers(&self) -> usize {
        self.followers.len()
    }

    /// Messages that were none, of another epoch, or of no use.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes a message. A message of a larger epoch says that this tab does not lead any more: `NOT_LEADER`.
    ///
    /// # Errors
    /// `NOT_LEADER`: stop writing, and follow.
    pub fn handle(&mut self, engine: &mut Engine, bytes: &[u8], now_ms: u64) -> Result<Vec<Outgoing>, Error> {
        let is_heard = |message: &Message<'_>| message.from != self.id && (message.to == 0 || message.to == self.id);
        let Some(message) = Message::read(bytes).filter(is_heard) else {
            self.dropped += 1;
            return Ok(Vec::new());
        };
        if message.epoch > engine.claimed_epoch {
            return Err(Error::NotLeader);
        }
        let asks = matches!(message.body, Body::Follow { .. } | Body::Next { .. } | Body::Request { .. });
        if asks && message.epoch < engine.claimed_epoch {
            // Whatever it asked of a leader before, it will ask of this one.
            return Ok(vec![self.message(engine, message.from, Body::Lead)]);
        }
        let Some(place) = asks.then(|| self.place_of(message.from, now_ms)).flatten() else {
            self.dropped += 1;
            return Ok(Vec::new());
        };
        let is_same = message.incarnation == engine.incarnation();
        let given = match message.body {
            Body::Follow { revision, anew } => self.follow(place, engine, revision, anew || !is_same),
            Body::Next { transfer, index, revision } => self.next_chunk(place, engine, (transfer, index, revision)),
            Body::Request { number, oldest, request } => {
                self.request(place, engine, number, oldest, request, now_ms);
                None
            }
            _ => None,
        };
        let mut outgoing: Vec<Outgoing> = given.into_iter().collect();
        outgoing.append(&mut self.advance(engine));
        Ok(outgoing)
    }

    /// To be called when more is stored: tells it to those who wait for it.
    pub fn advance(&mut self, engine: &Engine) -> Vec<Outgoing> {
        let mut followers = std::mem::take(&mut self.followers);
        let mut outgoing = self.changes_for_all(&mut followers, engine);
        for followed in &mut followers {
            for answer in followed.answers.iter_mut().filter(|answer| !answer.is_sent && answer.is_stored(engine)) {
                answer.is_sent = true;
                let Answered { number, revision, outcome, .. } = &*answer;
                let (number, revision, outcome) = (*number, *revision, outcome.outcome());
                outgoing.push(self.message(engine, followed.id, Body::Answer { number, revision, outcome }));
            }
        }
        self.followers = followers;
        outgoing
    }

    /// What was applied and could not be stored was taken back, by [`Engine::rewind`], just now: whoever asked for it is told,
    /// and whoever was refused because of it.
    pub fn taken_back(&mut self, engine: &Engine) {
        let (kept, text) = (engine.durable_revision(), "the storage is full, and the request was taken back");
        for followed in &mut self.followers {
            let client = followed.id;
            let is_gone = |answer: &Answered| !answer.is_sent && !engine.is_applied(client, answer.number);
            for answer in followed.answers.iter_mut().filter(|answer| is_gone(answer)) {
                let outcome = Came::Refused("QUOTA_EXCEEDED".to_owned(), text.to_owned());
                (answer.revision, answer.noted, answer.outcome) = (kept, 0, outcome);
                followed.refused = followed.refused.max(answer.number);
            }
        }
    }

    /// Time has passed: says now and then that there is nothing new, and forgets who is gone.
    pub fn tick(&mut self, engine: &mut Engine, now_ms: u64) -> Vec<Outgoing> {
        self.forget_gone(engine, now_ms);
        if !is_over(self.told_ms, PROGRESS_MS, now_ms) {
            return Vec::new();
        }
        self.told_ms = now_ms;
        self.followers.iter_mut().for_each(|followed| followed.leases_due = true);
        let (revision, compact_revision) = (engine.durable_revision(), engine.compact_revision());
        if (self.hash.0, self.hash.1) != (revision, compact_revision) {
            // What is compacted may not be what is stored; then there is none to tell.
            self.hash = (revision, compact_revision, engine.hash(revision).map_or(0, |hash| hash.hash));
        }
        let hash = self.hash.2;
        vec![self.message(engine, 0, Body::Progress { revision, compact_revision, hash })]
    }

    fn forget_gone(&mut self, engine: &mut Engine, now_ms: u64) {
        // A clock that was set back makes nobody gone.
        self.followers.iter_mut().for_each(|followed| followed.heard_ms = followed.heard_ms.min(now_ms));
        let is_gone = |followed: &mut Followed| is_over(followed.heard_ms, GONE_MS, now_ms);
        for followed in self.followers.extract_if(.., is_gone) {
            if let Some(given) = &followed.transfer {
                engine.end_transfer(given.id);
            }
            if followed.refused > 0 {
                self.refused.push_back((followed.id, followed.refused));
            }
        }
        while self.refused.len() > FOLLOWERS_MAX {
            self.refused.pop_front();
        }
    }

    fn message(&self, engine: &Engine, to: u64, body: Body<'_>) -> Outgoing {
        // A leader that writes anew has an epoch that another tab may claim yet.
        let epoch = engine.claimed_epoch;
        Outgoing { to, bytes: Message::new(engine.incarnation(), epoch, self.id, to, body).pack() }
    }

    /// None if there are too many already.
    fn place_of(&mut self, id: u64, now_ms: u64) -> Option<usize> {
        let known = self.followers.iter().position(|followed| followed.id == id);
        if known.is_none() {
            if self.followers.len() >= FOLLOWERS_MAX {
                return None;
            }
            let refused = self.refused.iter().rev().find(|(gone, _)| *gone == id).map_or(0, |(_, number)| *number);
            self.followers.push(Followed { id, refused, ..Followed::default() });
        }
        let place = known.unwrap_or(self.followers.len() - 1);
        self.followers[place].heard_ms = now_ms;
        Some(place)
    }

    fn follow(&mut self, place: usize, engine: &mut Engine, revision: u64, anew: bool) -> Option<Outgoing> {
        let mut followed = std::mem::take(&mut self.followers[place]);
        followed.revision = revision;
        if let Some(given) = followed.transfer.take_if(|given| given.asked != revision) {
            // It has all of it, or does not need it any more.
            engine.end_transfer(given.id);
        }
        let is_ahead = revision > engine.durable_revision();
        let outgoing = match anew || is_ahead || revision + 1 < engine.compact_revision() {
            true => self.begin_transfer(&mut followed, engine),
            false if revision == engine.durable_revision() => {
                let is_told = followed.waits || followed.told == revision;
                followed.waits = true;
                // Leases may change without a revision.
                if !is_told || std::mem::take(&mut followed.leases_due) {
                    self.changes(&mut followed, engine)
                } else {
                    None
                }
            }
            false => self.changes(&mut followed, engine),
        };
        self.followers[place] = followed;
        outgoing
    }

    /// What comes next for a follower, which waits again when it has asked again.
    fn changes(&self, followed: &mut Followed, engine: &Engine) -> Option<Outgoing> {
        let changes = engine.changes(followed.revision, engine.durable_revision(), 0).ok()?;
        Some(self.tell(followed, &changes, engine))
    }

    /// What comes next for all who wait for it. Most wait at the same revision: a change set is made once for those that do.
    fn changes_for_all(&self, followers: &mut [Followed], engine: &Engine) -> Vec<Outgoing> {
        let durable = engine.durable_revision();
        // A lease, or a compaction, makes no revision.
        let is_behind = |followed: &&mut Followed| {
            let is_same = followed.revision == durable && followed.noted >= engine.durable_noted;
            followed.waits && followed.revision <= durable && !is_same
        };
        let behind: Vec<&mut Followed> = followers.iter_mut().filter(is_behind).collect();
        let mut behind = sorted(behind, &|a, b| a.revision.cmp(&b.revision));
        let mut outgoing = Vec::new();
        for same in behind.chunk_by_mut(|a, b| a.revision == b.revision) {
            let Ok(changes) = engine.changes(same[0].revision, durable, 0) else { continue };
            outgoing.extend(same.iter_mut().map(|followed| self.tell(followed, &changes, engine)));
        }
        outgoing
    }

    fn tell(&self, followed: &mut Followed, changes: &ChangeSet, engine: &Engine) -> Outgoing {
        followed.waits = followed.revision == engine.durable_revision();
        (followed.told, followed.noted) = (changes.to, engine.durable_noted);
        self.message(engine, followed.id, Body::Changes { bytes: &changes.bytes })
    }

    /// Everything from its first chunk on; the same one where it was just begun.
    fn begin_transfer(&self, followed: &mut Followed, engine: &mut Engine) -> Option<Outgoing> {
        (followed.waits, followed.told) = (false, 0);
        let is_begun = |given: &Given| given.index == 0 && given.asked == followed.revision;
        if !followed.transfer.as_ref().is_some_and(is_begun) {
            if let Some(given) = followed.transfer.take() {
                engine.end_transfer(given.id);
            }
            // A compaction ahead of what is stored is stored soon; the follower asks again.
            let id = engine.begin_transfer(engine.durable_revision().max(1)).ok()?;
            let chunk = engine.transfer_chunk(id).ok()??;
            followed.transfer = Some(Given { id, index: 0, asked: followed.revision, chunk });
        }
        followed.transfer.as_ref().map(|given| self.chunk(followed.id, engine, given))
    }

    fn chunk(&self, to: u64, engine: &Engine, given: &Given) -> Outgoing {
        let Given { id, index, asked, chunk } = given;
        self.message(engine, to, Body::Chunk { transfer: id.0, index: *index, asked: *asked, bytes: chunk })
    }

    /// The chunk asked for: the one given last once more, or the one after it. Who asks for one of another transfer is given
    /// everything from the beginning.
    fn next_chunk(
        &mut self,
        place: usize,
        engine: &mut Engine,
        (transfer, index, revision): (u32, u32, u64),
    ) -> Option<Outgoing> {
        let mut followed = std::mem::take(&mut self.followers[place]);
        let outgoing = match &mut followed.transfer {
            Some(given) if given.id.0 == transfer => match given.go_on(index, engine) {
                Ok(()) => {
                    let given = followed.transfer.as_ref().filter(|given| given.index == index);
                    given.map(|given| self.chunk(followed.id, engine, given))
                }
                // What it was of is not there any more.
                Err(_) => {
                    (followed.revision, followed.transfer) = (revision, None);
                    self.begin_transfer(&mut followed, engine)
                }
            },
            Some(given) if given.id.0 > transfer && given.index > 0 => None,
            _ => {
                followed.revision = revision;
                self.begin_transfer(&mut followed, engine)
            }
        };
        self.followers[place] = followed;
        outgoing
    }

    /// In the order of a client's numbers, and none twice.
    fn request(&mut self, place: usize, engine: &mut Engine, number: u64, oldest: u64, request: &[u8], now_ms: u64) {
        let followed = &mut self.followers[place];
        followed.answers.retain(|answer| answer.number >= oldest);
        if let Some(answer) = followed.answers.iter_mut().find(|answer| answer.number == number) {
            answer.is_sent = false;
            return;
        }
        let last = engine.last_request(followed.id);
        let is_next = number == (last.max(followed.refused) + 1).max(oldest);
        // No tab counts as far as that.
        if number > last && !is_next || number > REVISION_MAX || followed.answers.len() >= REQUESTS_MAX {
            self.dropped += 1;
            return;
        }
        let applied = match codec::decode::<Request<'_>>(request) {
            Ok(request) => engine.apply_once(followed.id, number, request, now_ms),
            Err(_) => Err(Error::InvalidArgument("the request cannot be read")),
        };
        let (revision, outcome) = match applied {
            Ok(Once::Now(response)) => {
                let mut packed = Vec::new();
                codec::encode_into(&response, &mut packed);
                (engine.revision(), Came::Applied(packed))
            }
            Ok(Once::Before { revision, response }) => (revision, response.map_or(Came::Before, Came::Applied)),
            Ok(Once::Refused) => {
                let text = "the request was refused by a leader that is gone".to_owned();
                (engine.revision(), Came::Refused("CONFLICT".to_owned(), text))
            }
            Ok(Once::Old) => {
                self.dropped += 1;
                return;
            }
            Err(error) => {
                followed.refused = number;
                // By what was there when it was refused, which the follower has to see too.
                (engine.revision(), Came::Refused(error.code().to_owned(), error.to_string()))
            }
        };
        followed.answers.push_back(Answered { number, revision, noted: engine.noted, outcome, is_sent: false });
    }
}
