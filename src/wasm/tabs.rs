//! The engine as one of several tabs: what the host tells it of them, and what it wants sent. Messages are given as a list
//! of `Outgoing`s, which the host sends as they are.

use wasm_bindgen::prelude::*;

use super::Engine;
use super::convert::{decode, millis, number, revision};
use crate::engine::{Came, Follower, Leader, Once, Outgoing};
use crate::error::Error;

/// What this tab is to the others of its store.
pub(super) enum Tab {
    /// It knows of none.
    Alone,
    Leader(Leader),
    Follower(Follower),
}

#[wasm_bindgen]
impl Engine {
    /// This tab, of this number, leads from now on, with what it has recovered and claimed.
    pub fn lead(&mut self, id: f64) -> *const u8 {
        let lead = number(id).map(|id| {
            let (leader, outgoing) = Leader::new(id, &self.engine);
            self.tab = Tab::Leader(leader);
            outgoing
        });
        self.answer.give(lead)
    }

    /// Takes what `found` has recovered and claimed in the place of what it has, to lead with it.
    #[wasm_bindgen(js_name = takeLead)]
    pub fn take_lead(&mut self, found: Self) -> *const u8 {
        self.engine.lead(found.engine);
        self.post();
        self.answer.give(Ok(()))
    }

    /// This tab, of this number, follows from now on. Its requests that nobody has answered are a list of (number, request);
    /// `next` is the number of its next one.
    pub fn follow(&mut self, length: usize, id: f64, next: f64) -> *const u8 {
        let pending: Result<Vec<(u64, Vec<u8>)>, _> = decode(&self.area[..length]);
        let follow = pending.and_then(|pending| {
            self.tab = Tab::Follower(Follower::with_pending(number(id)?, pending, number(next)?));
            self.engine.resign();
            Ok(())
        });
        self.post();
        self.answer.give(follow)
    }

    /// Takes a message. `NOT_LEADER`: another tab leads, and this one is to follow.
    #[wasm_bindgen(js_name = handleMessage)]
    pub fn handle_message(&mut self, length: usize, now: f64) -> *const u8 {
        let Self { engine, area, tab, .. } = self;
        let handled = match tab {
            Tab::Leader(leader) => leader.handle(engine, &area[..length], millis(now)),
            Tab::Follower(follower) => Ok(follower.handle(engine, &area[..length], millis(now))),
            Tab::Alone => Ok(Vec::new()),
        };
        self.post();
        self.answer.give(handled)
    }

    /// Time has passed.
    #[wasm_bindgen(js_name = tickTabs)]
    pub fn tick_tabs(&mut self, now: f64) -> *const u8 {
        let outgoing = match &mut self.tab {
            Tab::Leader(leader) => leader.tick(&mut self.engine, millis(now)),
            Tab::Follower(follower) => follower.tick(&self.engine, millis(now)),
            Tab::Alone => Vec::new(),
        };
        self.answer.give(Ok(outgoing))
    }

    /// More is stored: tells it to those who wait for it.
    #[wasm_bindgen(js_name = advanceTabs)]
    pub fn advance_tabs(&mut self) -> *const u8 {
        let outgoing = match &mut self.tab {
            Tab::Leader(leader) => leader.advance(&self.engine),
            _ => Vec::new(),
        };
        self.answer.give(Ok(outgoing))
    }

    /// Asks the leader for a write. Nothing: too many are under way.
    pub fn submit(&mut self, length: usize) -> *const u8 {
        let Self { engine, area, tab, .. } = self;
        let outgoing: Option<Vec<Outgoing>> = match tab {
            Tab::Follower(follower) => follower.submit(engine, &area[..length]).map(|(_, outgoing)| outgoing),
            _ => None,
        };
        self.answer.give_some(Ok(outgoing))
    }

    /// What has come of requests: a list of (number, `Came`).
    #[wasm_bindgen(js_name = takeDone)]
    pub fn take_done(&mut self) -> *const u8 {
        let done: Vec<(u64, Came)> = match &mut self.tab {
            Tab::Follower(follower) => follower.take_done(),
            _ => Vec::new(),
        };
        self.answer.give(Ok(done))
    }

    /// Applies a request of this tab that it has asked others for before: an `Once`.
    #[wasm_bindgen(js_name = applyOnce)]
    pub fn apply_once(&mut self, length: usize, id: f64, count: f64, now: f64) -> *const u8 {
        let Self { engine, area, .. } = self;
        let applied: Result<Once, Error> = number(id).and_then(|id| {
            let request = decode(&area[..length])?;
            engine.apply_once(id, number(count)?, request, millis(now))
        });
        self.post();
        self.answer.give(applied)
    }

    /// How it stands with others, as four numbers: followers, revisions that this one is behind, messages dropped, and 1 where
    /// all that was told is here.
    #[wasm_bindgen(js_name = tabStats)]
    pub fn tab_stats(&mut self) -> *const u8 {
        #[expect(clippy::cast_precision_loss, reason = "there are not that many")]
        let count = |count: usize| count as f64;
        let stats = match &self.tab {
            Tab::Alone => [0.0, 0.0, 0.0, 1.0],
            Tab::Leader(leader) => [count(leader.followers()), 0.0, revision(leader.dropped()), 1.0],
            Tab::Follower(follower) => {
                let in_sync = f64::from(u8::from(follower.is_in_sync()));
                [0.0, revision(follower.lag(&self.engine)), revision(follower.dropped()), in_sync]
            }
        };
        self.answer.give(Ok(stats))
    }
}
