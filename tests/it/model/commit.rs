//! Commits: what was read must be as it was, then deletes, then puts.

use std::collections::BTreeSet;

use super::store::{Model, Outcome};
use crate::op::{Answer, Commit, DeleteRange, Keys, Put};

/// What each put and range counts as beside its bytes.
const PART_BYTES: usize = 32;

impl Model {
    pub fn commit(&mut self, commit: &Commit) -> Outcome<Answer> {
        if commit.bytes() > self.limits.commit_bytes_max {
            return Err("TOO_LARGE");
        }
        commit.puts.iter().try_for_each(|put| self.check_size(put.key.0.len() + put.value.0.len()))?;
        commit.reads.iter().chain(&commit.deletes).try_for_each(Keys::check_shape)?;
        commit.puts.iter().try_for_each(Put::check_shape)?;
        let keys: BTreeSet<_> = commit.puts.iter().map(|put| &put.key).collect();
        if keys.len() < commit.puts.len() {
            return Err("DUPLICATE_KEY");
        }
        self.state_at(commit.revision)?;
        if commit.revision > 0 && self.has_changed(&commit.reads, commit.revision) {
            return Err("CONFLICT");
        }
        for put in &commit.puts {
            self.check_key(put)?;
            self.check_lease(put)?;
        }
        let puts: Vec<_> = commit.puts.iter().map(|put| self.stored_by(put)).collect();
        self.check_room(&puts)?;
        let mut draft = self.draft();
        for keys in &commit.deletes {
            draft.delete_range(&DeleteRange { keys: keys.clone(), prev_kv: false });
        }
        commit.puts.iter().try_for_each(|put| draft.put(put).map(drop))?;
        let (state, changes) = draft.finish();
        self.publish(state, changes);
        Ok(Answer::Commit { revision: self.revision })
    }

    fn has_changed(&self, reads: &[Keys], since: u64) -> bool {
        let later = self.changes.range(since + 1..).flat_map(|(_, changes)| changes.iter());
        later.into_iter().any(|event| reads.iter().any(|keys| keys.contains(&event.kv.key)))
    }
}

impl Commit {
    fn bytes(&self) -> usize {
        let puts = self.puts.iter().map(|put| put.key.0.len() + put.value.0.len());
        let ranges = self.reads.iter().chain(&self.deletes).map(Keys::bytes);
        puts.chain(ranges).map(|bytes| bytes + PART_BYTES).sum()
    }
}
