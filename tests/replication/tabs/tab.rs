//! One tab: an engine, what it is at the moment, and what it waits for.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use revkv::{Came, Engine, EngineOptions, Follower, Leader, Limits, Watch, WatcherId};

use super::truth::Entry;
use super::wish::Wish;

pub enum Role {
    Leader(Leader),
    Follower(Follower),
}

pub struct Tab {
    pub id: u64,
    pub engine: Engine,
    pub role: Role,
    /// Until then it does nothing; messages and answers wait.
    pub frozen_until: u64,
    pub frozen_since: u64,
    /// Until then it hears nothing, and nobody hears it.
    pub cut_until: u64,
    pub backlog: VecDeque<Rc<[u8]>>,
    /// The lock was taken from it, which it does not know.
    pub is_robbed: bool,
    /// The batch on its way to the storage, or the claim of a tab that is to lead.
    pub flight: Option<u64>,
    /// The life of the store that it has.
    pub life: [u8; 16],
    pub watch: Option<WatcherId>,
    /// What the watch has told: up to here.
    pub told: u64,
    /// The newest revision that it has had as stored.
    pub durable: u64,
    /// Requests that were made here and are not answered, by number.
    pub open: BTreeMap<u64, Open>,
    pub next_number: u64,
    pub host: Host,
}

/// What a tab that leads keeps beside its engine.
#[derive(Default)]
pub struct Host {
    /// Its own requests, judged, which wait for the next batch.
    pub waiting: Vec<(u64, Came)>,
    /// What it did that is not known to be stored.
    pub log: VecDeque<Rc<Entry>>,
    /// The last of what it did, or found.
    pub last: u64,
}

pub struct Open {
    pub wish: Rc<Wish>,
    /// The last entry that anybody had heard of, and the revision that this tab had, when it was asked.
    pub since: (u64, u64),
}

/// More than a channel keeps for a page that does not run.
const BACKLOG_MAX: usize = 1_000;

impl Tab {
    /// With nothing.
    pub fn new(id: u64) -> Self {
        let mut incarnation = [100; 16];
        incarnation[..8].copy_from_slice(&id.to_le_bytes());
        let mut engine = Engine::new(EngineOptions { incarnation, ..EngineOptions::default() });
        engine.start().expect("nothing is stored");
        Self {
            id,
            engine,
            role: Role::Follower(Follower::new(id, 1)),
            frozen_until: 0,
            frozen_since: 0,
            cut_until: 0,
            backlog: VecDeque::new(),
            is_robbed: false,
            flight: None,
            life: incarnation,
            watch: None,
            told: 0,
            durable: 0,
            open: BTreeMap::new(),
            next_number: 1,
            host: Host::default(),
        }
    }

    pub fn leads(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// It holds what was stored when it last heard.
    pub fn is_in_sync(&self) -> bool {
        match &self.role {
            Role::Leader(_) => true,
            Role::Follower(follower) => follower.is_in_sync(),
        }
    }

    pub fn keep(&mut self, bytes: Rc<[u8]>) {
        if self.backlog.len() < BACKLOG_MAX {
            self.backlog.push_back(bytes);
        }
    }

    /// Watches everything from the next revision on.
    pub fn begin_watch(&mut self) {
        self.told = self.engine.durable_revision();
        let watch = Watch { start_revision: self.told + 1, ..Watch::default() };
        self.watch = Some(self.engine.watch(&watch).expect("a legal watch"));
    }
}

/// An engine for the storage: blobs are small, so that there are many.
pub fn for_storage() -> Engine {
    Engine::new(EngineOptions { incarnation: [7; 16], blob_bytes_max: 4_000, limits: Limits::default() })
}
