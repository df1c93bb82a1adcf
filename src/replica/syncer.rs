//! A snapshot and the changes after it, merged into one stream of changes.
//!
//! A source gives two things whose order to each other is not known: pages of a snapshot at some revision, and events from
//! a watch. The syncer takes both and gives what a consumer has to do, so that its keys become the source's:
//!
//! ```text
//! taken                               given
//! start                               Waiting
//! lost(10)                            Resyncing            (a snapshot of revision 10 or later is wanted)
//! snapshot at 12: a@4, b@9            Created a, Created b
//! event of 13: a deleted              Deleted a
//! end of the snapshot                 Deleted c            (it was there before, and the snapshot had none)
//!                                     InSync
//! event of 14: b                      Updated b
//! ```
//!
//! Where the source pins the snapshot and the watch begins right behind it, the two do not overlap, and what is left to do
//! is to remember which keys were deleted while their page was still to come. Where they come from different replicas of a
//! cluster, each key remembers up to which revision it was seen. Three rules make up for what else goes wrong: once a
//! snapshot is finished, events up to its revision are dropped; an event whose revision is merged already is dropped; and no
//! snapshot is taken that is older than what was merged.
//!
//! The host does the asking: it opens watches and reads pages, and says what has come. What has gone wrong with a
//! connection but lost nothing need not be told: a watch that begins again behind [`Syncer::revision`] goes on.

use std::collections::{BTreeMap, VecDeque};

use twox_hash::XxHash3_64;

/// So many changes may wait to be taken before the host should stop reading from the source, which keeps what comes
/// after; enough for a page of a snapshot.
const WAITING_MAX: usize = 10_000;

/// How the consumer's keys stand to the source's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncStatus {
    /// As they were when the source was last heard of; or nothing was heard yet.
    Waiting,
    /// Some are as in an earlier revision than others.
    Resyncing,
    /// The source's, at [`Syncer::revision`]. May come again.
    InSync,
}

/// What a change is for the consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncKind {
    /// The key was not there.
    Created,
    /// The key was there.
    Updated,
    /// The key was there, and is no more; the value is empty.
    Deleted,
}

/// One change of the consumer's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncChange {
    /// What it is.
    pub kind: SyncKind,
    /// The key.
    pub key: Vec<u8>,
    /// The revision of the change in the source. Of a key that a snapshot did not have, the snapshot's.
    pub mod_revision: u64,
    /// The value.
    pub value: Vec<u8>,
}

/// Changes to be made together; never none. While in sync, all of one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncBatch {
    /// The revision of the source, or of its snapshot.
    pub revision: u64,
    /// The changes, in the order they were made.
    pub changes: Vec<SyncChange>,
}

/// What a [`Syncer`] gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncOutput {
    /// Another status than before.
    Status(SyncStatus),
    /// Changes.
    Batch(SyncBatch),
}

/// What a source says of one key: in an event of a watch, or in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncEvent<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The revision of the change.
    pub mod_revision: u64,
    /// The value; none if the key was deleted.
    pub value: Option<&'a [u8]>,
}

/// What is known of a key the consumer has.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// It is known how it was at this revision: its own, or that of a snapshot that had it.
    seen: u64,
    /// Of its value.
    checksum: u64,
    /// It is from another incarnation of the source, and `seen` says nothing.
    is_foreign: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Snapshot {
    /// None is needed.
    Idle,
    /// The host is to get one.
    Wanted,
    /// One of this revision is being read.
    Running(u64),
}

/// Events of the newest revision, of which more may come.
#[derive(Debug, Clone, Default)]
struct Held {
    revision: u64,
    events: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// The merger of one source, for one consumer.
///
/// Its memory is in proportion to the consumer's keys, those deleted while a snapshot is read, one revision's events, and
/// what waits to be taken; not to how much happens.
#[derive(Debug, Clone)]
pub struct Syncer {
    status: Option<SyncStatus>,
    incarnation: Option<Vec<u8>>,
    /// No snapshot below this will do.
    min: u64,
    /// The newest snapshot that was finished.
    finished: u64,
    snapshot: Snapshot,
    /// Events up to here have been merged, or are in a finished snapshot.
    merged: u64,
    /// The source has said that there is nothing more up to here.
    progress: u64,
    keys: BTreeMap<Vec<u8>, Known>,
    /// Keys deleted since a snapshot was wanted, which it may still have.
    dead: BTreeMap<Vec<u8>, u64>,
    held: Held,
    outputs: VecDeque<SyncOutput>,
    waiting: usize,
}

impl Default for Syncer {
    fn default() -> Self {
        Self::new()
    }
}

impl Syncer {
    /// Of a consumer that has no keys; it begins with [`SyncStatus::Waiting`].
    pub fn new() -> Self {
        let mut syncer = Self {
            status: None,
            incarnation: None,
            min: 0,
            finished: 0,
            snapshot: Snapshot::Idle,
            merged: 0,
            progress: 0,
            keys: BTreeMap::new(),
            dead: BTreeMap::new(),
            held: Held::default(),
            outputs: VecDeque::new(),
            waiting: 0,
        };
        syncer.set_status(SyncStatus::Waiting);
        syncer
    }

    /// How the consumer's keys stand, once everything given is taken.
    pub fn status(&self) -> SyncStatus {
        self.status.unwrap_or(SyncStatus::Waiting)
    }

    /// Everything up to this revision is known: begin the next watch right behind it.
    pub fn revision(&self) -> u64 {
        self.merged.max(self.progress)
    }

    /// The number of keys that the consumer has.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the consumer has no keys.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Everything since the last call, in order.
    pub fn take(&mut self) -> Vec<SyncOutput> {
        self.waiting = 0;
        self.outputs.drain(..).collect()
    }

    /// Whether so much waits to be taken that nothing more should be read from the source.
    pub fn is_full(&self) -> bool {
        self.waiting >= WAITING_MAX
    }

    /// The least revision of the snapshot that the host is to get, if one is wanted.
    pub fn wants_snapshot(&self) -> Option<u64> {
        (self.snapshot == Snapshot::Wanted).then_some(self.min)
    }

    /// The source was reached, and this is its name: a cluster's id, or a store's incarnation. If it is another one than
    /// before, its revisions are other ones too: everything is read again, and the consumer is told what differs. One that
    /// has gone back, so that it ends before [`Syncer::revision`], is another one: give it another name.
    pub fn connected(&mut self, incarnation: &[u8]) {
        let before = self.incarnation.replace(incarnation.to_vec());
        if before.is_none_or(|before| before == incarnation) {
            return;
        }
        self.set_status(SyncStatus::Waiting);
        for known in self.keys.values_mut() {
            *known = Known { seen: 0, is_foreign: true, ..*known };
        }
        (self.min, self.finished, self.merged, self.progress) = (1, 0, 0, 0);
        self.snapshot = Snapshot::Idle;
        self.held = Held::default();
        self.want();
    }

    /// The watch begins (again) behind this revision, and what came before it may not have been told. While in sync
    /// nothing is lost up to [`Syncer::revision`].
    pub fn lost(&mut self, revision: u64) {
        self.held = Held::default();
        if self.status() == SyncStatus::InSync && revision <= self.revision() {
            return;
        }
        // Never back: what was lost before an earlier place, and overtaken since, is in no later one.
        self.min = self.min.max(revision).max(1);
        self.want();
    }

    /// A snapshot at this revision has begun to come. `false`: it will not do, or none is wanted; try again.
    pub fn snapshot_started(&mut self, revision: u64) -> bool {
        let does = self.snapshot == Snapshot::Wanted && revision >= self.min;
        if does {
            self.snapshot = Snapshot::Running(revision);
        }
        does
    }

    /// A page of the snapshot that was started at this revision.
    pub fn snapshot_page(&mut self, revision: u64, page: &[SyncEvent<'_>]) {
        if self.snapshot != Snapshot::Running(revision) {
            return;
        }
        let mut changes = Vec::new();
        for &SyncEvent { key, mod_revision, value } in page {
            let seen = revision.max(mod_revision);
            if let Some(value) = value
                && self.dead.get(key).is_none_or(|deleted| *deleted <= seen)
            {
                changes.extend(self.see(key, mod_revision, self.seen(key), seen, value));
            }
        }
        self.give(revision, changes);
    }

    /// The snapshot could not be read to its end: compacted, or not reached. Another one is wanted.
    pub fn snapshot_failed(&mut self) {
        if let Snapshot::Running(revision) = self.snapshot {
            // The consumer has seen some of it, and must not go back.
            self.min = self.min.max(revision);
            self.snapshot = Snapshot::Idle;
            self.want();
        }
    }

    /// The last page of the snapshot has come: what it did not have is not there.
    pub fn snapshot_finished(&mut self, revision: u64) {
        if self.snapshot != Snapshot::Running(revision) {
            return;
        }
        let absent: Vec<Vec<u8>> =
            self.keys.iter().filter(|(_, known)| known.seen < revision).map(|(key, _)| key.clone()).collect();
        self.keys.retain(|_, known| known.seen >= revision);
        let deleted = absent.into_iter().map(|key| deleted(key, revision)).collect();
        self.give(revision, deleted);
        self.snapshot = Snapshot::Idle;
        self.finished = self.finished.max(revision);
        self.merged = self.merged.max(revision);
        self.dead.clear();
        if revision >= self.min {
            self.set_status(SyncStatus::InSync);
        }
        self.want();
    }

    /// Events of the watch, in its order. `is_whole`: no more will come of the last one's revision; else it is held back
    /// until they have.
    pub fn events(&mut self, events: &[SyncEvent<'_>], is_whole: bool) {
        for event in events {
            if event.mod_revision != self.held.revision {
                self.merge_held();
                self.held.revision = event.mod_revision;
            }
            self.held.events.push((event.key.to_vec(), event.value.map(<[u8]>::to_vec)));
        }
        if is_whole {
            self.merge_held();
        }
    }

    /// The watch says that it has told everything up to this revision. Only the place to go on from follows it: events that
    /// it has overtaken are still taken.
    pub fn progress(&mut self, revision: u64) {
        self.merge_held();
        if self.status() == SyncStatus::InSync {
            self.progress = self.progress.max(revision);
        }
    }

    /// The source is not followed any more. The consumer keeps its keys, which may have changed by the next
    /// [`Syncer::lost`].
    pub fn stop(&mut self) {
        self.held = Held::default();
        self.snapshot = Snapshot::Idle;
        self.set_status(SyncStatus::Waiting);
    }

    /// Wants a snapshot where one is needed and none is on its way.
    fn want(&mut self) {
        let is_needed = self.finished < self.min;
        if is_needed && self.snapshot == Snapshot::Idle {
            self.snapshot = Snapshot::Wanted;
            self.dead.clear();
        }
        if self.snapshot == Snapshot::Wanted {
            // What was merged must be in it; so it has none of those deleted before.
            self.min = self.min.max(self.merged);
        }
        if is_needed {
            self.set_status(SyncStatus::Resyncing);
        }
    }

    fn merge_held(&mut self) {
        let Held { revision, events } = std::mem::take(&mut self.held);
        if revision <= self.merged || events.is_empty() {
            return;
        }
        let (mut changes, mut touched) = (Vec::new(), Vec::new());
        for (key, value) in events {
            // A key may change more than once in a revision.
            let before = if touched.contains(&key) { revision - 1 } else { self.seen(&key) };
            changes.extend(match value {
                Some(value) => self.see(&key, revision, before, revision, &value),
                None => self.forget(&key, before, revision),
            });
            if before < revision {
                touched.push(key);
            }
        }
        self.merged = revision;
        self.give(revision, changes);
    }

    fn seen(&self, key: &[u8]) -> u64 {
        self.keys.get(key).map_or(0, |known| known.seen)
    }

    /// A key has this value as of revision `seen`, and was seen at `before`.
    fn see(&mut self, key: &[u8], mod_revision: u64, before: u64, seen: u64, value: &[u8]) -> Option<SyncChange> {
        if before >= seen {
            return None;
        }
        let checksum = XxHash3_64::oneshot(value);
        let known = self.keys.insert(key.to_vec(), Known { seen, checksum, is_foreign: false });
        let (kind, differs) = match known {
            None => (SyncKind::Created, true),
            Some(known) if known.is_foreign => (SyncKind::Updated, known.checksum != checksum),
            Some(_) => (SyncKind::Updated, before < mod_revision),
        };
        differs.then(|| SyncChange { kind, key: key.to_vec(), mod_revision, value: value.to_vec() })
    }

    /// A key was deleted at this revision, and was seen at `before`.
    fn forget(&mut self, key: &[u8], before: u64, revision: u64) -> Option<SyncChange> {
        if self.snapshot != Snapshot::Idle {
            self.dead.insert(key.to_vec(), revision);
        }
        if before >= revision {
            return None;
        }
        self.keys.remove(key).map(|_| deleted(key.to_vec(), revision))
    }

    fn set_status(&mut self, status: SyncStatus) {
        if self.status.replace(status) != Some(status) {
            self.outputs.push_back(SyncOutput::Status(status));
        }
    }

    fn give(&mut self, revision: u64, changes: Vec<SyncChange>) {
        if !changes.is_empty() {
            self.waiting += changes.len();
            self.outputs.push_back(SyncOutput::Batch(SyncBatch { revision, changes }));
        }
    }
}

fn deleted(key: Vec<u8>, mod_revision: u64) -> SyncChange {
    SyncChange { kind: SyncKind::Deleted, key, mod_revision, value: Vec::new() }
}
