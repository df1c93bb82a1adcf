//! Media as they fail: what each kind takes, what it refuses, and what may be left on it after a stop.
//!
//! A write lands whole in what readers see. It outlives a loss of power when the medium has flushed it, which it does in
//! the order of the writes: after a stop some first part of what was not flushed is there, the rest is not. (A frame of a
//! log that is torn counts as not there: to see that is the adapter's part.)

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use revkv::{Ready, Stats};

use super::truth::Truth;

/// What a batch says, and the store that said it.
#[derive(Debug)]
pub struct Said {
    pub truth: Truth,
    pub stats: Stats,
}

/// What a host hands to its storage.
#[derive(Debug)]
pub struct Batch {
    pub epoch: u64,
    pub put: Vec<(String, Arc<[u8]>)>,
    pub delete: Vec<String>,
    pub strict: bool,
    /// What the medium holds when this is on it.
    pub said: Arc<Said>,
    digest: u64,
}

impl Batch {
    pub fn new(ready: Ready, strict: bool, said: Arc<Said>) -> Self {
        let mut hasher = DefaultHasher::new();
        ready.put.iter().for_each(|blob| (&blob.id, &blob.bytes).hash(&mut hasher));
        (ready.epoch, &ready.delete).hash(&mut hasher);
        let put = ready.put.into_iter().map(|blob| (blob.id, blob.bytes.into())).collect();
        Self { epoch: ready.epoch, put, delete: ready.delete, strict, said, digest: hasher.finish() }
    }
}

/// Another store has written since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotLeader;

/// What is on a medium.
#[derive(Debug, Clone)]
pub struct Image {
    pub blobs: BTreeMap<String, Arc<[u8]>>,
    /// Of the last writer.
    epoch: u64,
    /// The highest id ever put.
    head: String,
    /// What a reader has to find.
    pub said: Arc<Said>,
    digest: u64,
}

impl Image {
    fn new() -> Self {
        let said = Arc::new(Said { truth: Truth::new(), stats: Stats::default() });
        Self { blobs: BTreeMap::new(), epoch: 0, head: String::new(), said, digest: 0 }
    }

    fn apply(&mut self, batch: &Batch) -> Result<(), NotLeader> {
        if batch.epoch < self.epoch || batch.put.iter().any(|(id, _)| *id <= self.head) {
            return Err(NotLeader);
        }
        for (id, bytes) in &batch.put {
            assert!(*id > self.head, "blob {id} is not above the one before");
            self.head.clone_from(id);
            self.blobs.insert(id.clone(), bytes.clone());
        }
        for id in &batch.delete {
            assert!(self.blobs.remove(id).is_some(), "blob {id} is deleted and was not there");
        }
        (self.epoch, self.said) = (batch.epoch, batch.said.clone());
        let mut hasher = DefaultHasher::new();
        (self.digest, batch.digest).hash(&mut hasher);
        self.digest = hasher.finish();
        Ok(())
    }
}

/// What is left of a medium after a stop, and what has to be.
pub struct Stopped<M> {
    pub medium: M,
    /// All that was taken is there, flushed or not: the host was killed and the medium lives on.
    pub kept_all: bool,
}

/// A kind of storage, as `pkg/src/storage` has it.
pub trait Medium: Clone + Send {
    const NAME: &'static str;
    /// A call that fails costs nothing that was taken before.
    const KEEPS_ALL: bool = true;

    fn new() -> Self;

    fn disk(&self) -> &Disk;

    fn disk_mut(&mut self) -> &mut Disk;

    /// Whatever may be left after a stop now.
    fn stops(&self) -> Vec<Stopped<Self>>;

    /// What is left where a write failed without being taken, and the machine runs on.
    fn after_failure(&self) -> Vec<Self>;

    /// Takes a batch: readers see it.
    fn write(&mut self, batch: &Arc<Batch>) -> Result<(), NotLeader> {
        self.disk_mut().write(batch)
    }

    /// What a strict write does before it answers.
    fn flush(&mut self) {
        self.disk_mut().flush();
    }

    /// What a reader finds.
    fn read(&self) -> &Image {
        &self.disk().live
    }

    /// A number for what is on it, flushed and not.
    fn digest(&self) -> (u64, u64) {
        let Disk { flushed, live, .. } = self.disk();
        (flushed.digest, live.digest)
    }
}

/// What a machine shows its readers, and what of it would outlive a loss of power.
#[derive(Debug, Clone)]
pub struct Disk {
    flushed: Arc<Image>,
    unflushed: Vec<Arc<Batch>>,
    live: Image,
}

impl Disk {
    fn new() -> Self {
        Self { flushed: Arc::new(Image::new()), unflushed: Vec::new(), live: Image::new() }
    }

    /// Puts back what was there.
    pub fn restore(&mut self, image: &Image) {
        *self = Self { flushed: Arc::new(image.clone()), unflushed: Vec::new(), live: image.clone() };
    }

    fn write(&mut self, batch: &Arc<Batch>) -> Result<(), NotLeader> {
        self.live.apply(batch)?;
        self.unflushed.push(batch.clone());
        Ok(())
    }

    fn flush(&mut self) {
        if !self.unflushed.is_empty() {
            self.flushed = Arc::new(self.live.clone());
            self.unflushed.clear();
        }
    }

    /// What may be left when power is lost: each first part of what is not flushed.
    fn prefixes(&self) -> Vec<Disk> {
        let mut image = (*self.flushed).clone();
        let whole = |image: &Image| {
            let flushed = Arc::new(image.clone());
            Disk { live: image.clone(), flushed, unflushed: Vec::new() }
        };
        let mut prefixes = vec![whole(&image)];
        for batch in &self.unflushed {
            image.apply(batch).expect("it was taken once");
            prefixes.push(whole(&image));
        }
        prefixes
    }
}

/// Transactions that are there whole or not. What was taken outlives a kill of the browser, and of a loss of power what
/// was written "strict" and all before it.
#[derive(Debug, Clone)]
pub struct IndexedDb(Disk);

impl Medium for IndexedDb {
    const NAME: &'static str = "IndexedDb";

    fn new() -> Self {
        Self(Disk::new())
    }

    fn disk(&self) -> &Disk {
        &self.0
    }

    fn disk_mut(&mut self) -> &mut Disk {
        &mut self.0
    }

    fn stops(&self) -> Vec<Stopped<Self>> {
        let lost = self.0.prefixes().into_iter().map(|disk| Stopped { medium: Self(disk), kept_all: false });
        lost.chain([Stopped { medium: self.clone(), kept_all: true }]).collect()
    }

    fn after_failure(&self) -> Vec<Self> {
        vec![self.clone()]
    }

    /// The adapter looks whether the last blob ever put is there.
    fn read(&self) -> &Image {
        let image = &self.0.live;
        let last = image.blobs.keys().next_back().map_or("", String::as_str);
        assert_eq!(last, image.head, "the adapter says CORRUPT: the newest blob is gone");
        image
    }
}

/// Batches in an object's buffer, of which a reset, for whatever reason, loses the last ones.
#[derive(Debug, Clone)]
pub struct DurableObject(Disk);

impl Medium for DurableObject {
    const NAME: &'static str = "DurableObject";
    const KEEPS_ALL: bool = false;

    fn new() -> Self {
        Self(Disk::new())
    }

    fn disk(&self) -> &Disk {
        &self.0
    }

    fn disk_mut(&mut self) -> &mut Disk {
        &mut self.0
    }

    fn stops(&self) -> Vec<Stopped<Self>> {
        self.0.prefixes().into_iter().map(|disk| Stopped { medium: Self(disk), kept_all: false }).collect()
    }

    /// A failed write resets the object.
    fn after_failure(&self) -> Vec<Self> {
        self.stops().into_iter().map(|stopped| stopped.medium).collect()
    }
}

/// Frames of a log, of a file or of Level. A strict one flushes the log, and so all frames before it; in between, the
/// machine may stop. Who opens the log flushes what is there before believing it.
#[derive(Debug, Clone)]
pub struct Log(Disk);

impl Medium for Log {
    const NAME: &'static str = "Log";

    fn new() -> Self {
        Self(Disk::new())
    }

    fn disk(&self) -> &Disk {
        &self.0
    }

    fn disk_mut(&mut self) -> &mut Disk {
        &mut self.0
    }

    fn stops(&self) -> Vec<Stopped<Self>> {
        let lost = self.0.prefixes().into_iter().map(|disk| Stopped { medium: Self(disk), kept_all: false });
        // A process that is killed leaves its frames to the system; they are flushed when the log is opened.
        let mut killed = self.clone();
        killed.flush();
        lost.chain([Stopped { medium: killed, kept_all: true }]).collect()
    }

    /// The log takes nothing more before it is opened again, which flushes it.
    fn after_failure(&self) -> Vec<Self> {
        let mut reopened = self.clone();
        reopened.flush();
        vec![reopened]
    }
}
