//! What a store takes: which changes it has to keep, what they are counted as, and what does not fit any more.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::store::{Model, Outcome};
use crate::op::{Answer, Bytes, Compare, Event, EventType, Keys, Kv, Op, Put, Target, Txn};

const KEY_BYTES: usize = 80;
const CHANGE_BYTES: usize = 16;
const RECORD_BYTES: usize = 20;
/// What a key in an answer is counted as beside its bytes.
const ANSWERED_BYTES: usize = 96;

/// What is left when everything has been removed that may be.
#[derive(Debug, Default)]
pub struct Kept {
    /// Those of which a change is left, be it a delete.
    pub keys: BTreeSet<Bytes>,
    pub changes: usize,
    pub bytes: usize,
}

/// Whether the engine has come to the end with removing what a compaction or a released snapshot left. On the way it
/// holds more than it must keep, and how much more is its own affair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Removal {
    Done,
    /// It says that it holds so many bytes; and whether it refused the request in question for want of room.
    Running {
        bytes: usize,
        refused: bool,
    },
}

impl Model {
    /// Counts again, from the whole history.
    pub fn count(&mut self) {
        let mut lives: BTreeMap<&Bytes, Vec<&Event>> = BTreeMap::new();
        for event in self.changes.values().flat_map(|changes| changes.iter()) {
            lives.entry(&event.kv.key).or_default().push(event);
        }
        let mut kept = Kept::default();
        for (key, life) in lives {
            let changes = self.kept_of(&life);
            if !changes.is_empty() {
                kept.keys.insert(key.clone());
                kept.changes += changes.len();
                let records: usize = changes.iter().map(|event| record_bytes(key, event.kv.value.0.len())).sum();
                kept.bytes += KEY_BYTES + key.0.len() + records;
            }
        }
        self.kept = Rc::new(kept);
    }

    /// Of one key's changes: all from the compact revision on; below it, what a read at a snapshot or at the compact
    /// revision sees, and of the deletes that such a read meets only those that hide one of the puts kept.
    fn kept_of<'e>(&self, life: &[&'e Event]) -> Vec<&'e Event> {
        let (older, newer) = life.split_at(life.partition_point(|event| event.kv.mod_revision < self.compact_revision));
        let pins = self.pins.iter().copied().filter(|pin| *pin < self.compact_revision);
        let mut kept: Vec<&Event> = Vec::new();
        for at in pins.chain([self.compact_revision]) {
            let place = life.partition_point(|event| event.kv.mod_revision <= at);
            let Some(met) = place.checked_sub(1).and_then(|place| older.get(place)).copied() else { continue };
            let last = kept.last().copied();
            let hides = last.is_some_and(|last| last.r#type == EventType::Put);
            if (met.r#type == EventType::Put || hides) && last.is_none_or(|last| !std::ptr::eq(last, met)) {
                kept.push(met);
            }
        }
        kept.extend(newer);
        kept
    }

    /// The number of changes ever written.
    pub fn changes_written(&self) -> usize {
        self.changes.values().map(|changes| changes.len()).sum()
    }

    pub fn check_size(&self, bytes: usize) -> Outcome<()> {
        if bytes > self.limits.request_bytes_max { Err("TOO_LARGE") } else { Ok(()) }
    }

    /// A put's key, and the length of the value that it will store.
    pub fn stored_by(&self, put: &Put) -> (Bytes, usize) {
        let kept = self.present().get(&put.key).map_or(0, |kv| kv.value.0.len());
        (put.key.clone(), if put.ignore_value { kept } else { put.value.0.len() })
    }

    pub fn check_room(&self, puts: &[(Bytes, usize)]) -> Outcome<()> {
        if self.limits.bytes_max == 0 || puts.is_empty() {
            return Ok(());
        }
        let records: usize = puts.iter().map(|(key, value)| record_bytes(key, *value)).sum();
        let forgotten = puts.iter().filter(|(key, _)| !self.kept.keys.contains(key));
        let keys: usize = forgotten.map(|(key, _)| KEY_BYTES + key.0.len()).sum();
        let is_full = match self.removal {
            Removal::Done => self.kept.bytes + records + keys > self.limits.bytes_max,
            // A key that may be forgotten may also be remembered still.
            Removal::Running { bytes, .. } if bytes + records > self.limits.bytes_max => true,
            Removal::Running { bytes, .. } if bytes + records + keys <= self.limits.bytes_max => false,
            Removal::Running { refused, .. } => refused,
        };
        if is_full { Err("QUOTA_EXCEEDED") } else { Ok(()) }
    }
}

/// A change in the tree and in its key's index.
fn record_bytes(key: &Bytes, value: usize) -> usize {
    RECORD_BYTES + key.0.len() + value + CHANGE_BYTES
}

impl Model {
    /// Whether an answer of this size, or what has to be read for it, is more than one answer may be.
    pub fn may_be_too_large(&self, op: &Op, answer: &Answer) -> bool {
        let unseen = match op {
            Op::Put(put) => self.read_by(put),
            Op::Txn(txn) => txn.ops().into_iter().filter_map(Op::as_put).map(|put| self.read_by(put)).sum(),
            Op::Commit(commit) => commit.puts.iter().map(|put| self.read_by(put)).sum(),
            Op::RestoreTo { keys, revision } => [*revision, 0].map(|at| self.state_bytes(keys, at)).into_iter().sum(),
            _ => 0,
        };
        answer.bytes() + unseen > self.limits.response_bytes_max
    }

    /// A put that keeps something of its key reads it, asked for or not.
    fn read_by(&self, put: &Put) -> usize {
        let kv = self.present().get(&put.key).filter(|_| put.ignore_value || put.ignore_lease);
        kv.map_or(0, Kv::bytes)
    }

    fn state_bytes(&self, keys: &Keys, revision: u64) -> usize {
        let there = self.state_at(revision).into_iter().flat_map(|state| state.values());
        there.filter(|kv| keys.contains(&kv.key)).map(Kv::bytes).sum()
    }
}

impl Kv {
    fn bytes(&self) -> usize {
        ANSWERED_BYTES + self.key.0.len() + self.value.0.len()
    }
}

impl Answer {
    /// The keys in it with their values, as the largest answer is counted.
    pub fn bytes(&self) -> usize {
        let all = |kvs: &[Kv]| kvs.iter().map(Kv::bytes).sum();
        match self {
            Self::Put { prev_kv, .. } => prev_kv.iter().map(Kv::bytes).sum(),
            Self::Range { kvs, .. } => all(kvs),
            Self::DeleteRange { prev_kvs, .. } => all(prev_kvs),
            Self::Txn { responses, .. } => responses.iter().map(Self::bytes).sum(),
            Self::History(events) | Self::Since { events, .. } => events.iter().map(|event| event.kv.bytes()).sum(),
            Self::Diff(differences) => {
                differences.iter().flat_map(|(before, after)| before.iter().chain(after)).map(Kv::bytes).sum()
            }
            _ => 0,
        }
    }
}

impl Keys {
    pub fn bytes(&self) -> usize {
        match (&*self.key.0, &*self.range_end.0) {
            (b"\0", b"\0") => 0,
            (key, b"\0") => key.len(),
            (key, end) => key.len() + end.len(),
        }
    }
}

impl Txn {
    /// Of both lists, whichever is taken.
    pub fn bytes(&self) -> usize {
        let ops = self.success.iter().chain(&self.failure).map(Op::bytes);
        self.compare.iter().map(Compare::bytes).chain(ops).sum()
    }

    /// Those of nested transactions too.
    fn ops(&self) -> Vec<&Op> {
        let ops = self.success.iter().chain(&self.failure);
        ops.flat_map(|op| if let Op::Txn(nested) = op { nested.ops() } else { vec![op] }).collect()
    }
}

impl Op {
    fn as_put(&self) -> Option<&Put> {
        if let Op::Put(put) = self { Some(put) } else { None }
    }

    fn bytes(&self) -> usize {
        match self {
            Op::Put(put) => put.key.0.len() + put.value.0.len(),
            Op::DeleteRange(delete) => delete.keys.bytes(),
            Op::Range(range) => range.keys.bytes(),
            Op::Txn(txn) => txn.bytes(),
            _ => unreachable!("not an operation of a txn"),
        }
    }
}

impl Compare {
    fn bytes(&self) -> usize {
        self.keys.bytes() + if self.target == Target::Value { self.value.0.len() } else { 0 }
    }
}
