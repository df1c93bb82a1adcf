//! Snapshots: revisions that stay readable, each as often as it was asked for.

use super::store::{Model, Outcome};
use crate::op::Answer;

impl Model {
    pub fn snapshot(&mut self, revision: u64) -> Outcome<Answer> {
        self.state_at(revision)?;
        let revision = if revision == 0 { self.revision } else { revision };
        self.pins.push(revision);
        self.pins.sort_unstable();
        Ok(Answer::Snapshot { revision })
    }

    pub fn release_snapshot(&mut self, revision: u64) -> Answer {
        let place = self.pins.iter().position(|pin| *pin == revision);
        if let Some(place) = place {
            self.pins.remove(place);
            self.forget_states();
            self.count();
        }
        Answer::ReleaseSnapshot { released: place.is_some() }
    }

    /// They end with the engine that gave them.
    pub fn forget_snapshots(&mut self) {
        self.pins.clear();
        self.forget_states();
        self.count();
    }
}
