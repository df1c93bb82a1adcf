//! What revkv is measured against, and the keys and values that all of them are given.
//!
//! The peers are what one would write by hand: a map of the latest values, which keeps no history, in the standard
//! library's tree and in a persistent one; and a history as a map of every version.

#![allow(dead_code, reason = "each benchmark uses its part")]

use std::collections::BTreeMap;

use revkv::{Engine, EngineOptions, KeyRange, KeyValue, Put, Range, Request};

pub const KEY_BYTES: usize = 20;
pub const VALUE_BYTES: usize = 100;
pub type Key = [u8; KEY_BYTES];

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    pub keys: usize,
    /// Of each key.
    pub versions: usize,
    /// The least number of times that a reading measurement is repeated.
    pub rounds: usize,
}

impl Scale {
    /// As large as published under `cargo bench`; small where `cargo test` only wants to see it run.
    pub fn of_arguments() -> Self {
        if std::env::args().any(|argument| argument == "--bench") {
            Self { keys: 100_000, versions: 10, rounds: 31 }
        } else {
            Self { keys: 1_000, versions: 3, rounds: 3 }
        }
    }
}

/// So many keys, ascending: one hundred prefixes of five bytes, spread evenly.
pub fn keys(count: usize) -> Vec<Key> {
    let per_prefix = count.div_ceil(100);
    let key = |number: usize| format!("{:04}/{:015}", number / per_prefix, number % per_prefix * 7919);
    (0..count).map(|number| key(number).into_bytes().try_into().expect("20 bytes")).collect()
}

/// Values that differ, without the time it takes to make them.
pub struct Values([u8; VALUE_BYTES + 256]);

impl Values {
    pub fn new() -> Self {
        let mut rng = fastrand::Rng::with_seed(3);
        Self(std::array::from_fn(|_| rng.u8(..)))
    }

    pub fn get(&self, number: usize) -> &[u8] {
        &self.0[number % 256..][..VALUE_BYTES]
    }
}

/// An engine that stores nothing, or blobs of the size that is kept in a database's own pages.
pub fn engine(blob_bytes_max: usize) -> Engine {
    let mut engine = Engine::new(EngineOptions { blob_bytes_max, ..EngineOptions::default() });
    engine.start().expect("nothing was stored");
    engine
}

pub fn put(engine: &mut Engine, key: &[u8], value: &[u8]) {
    engine.apply(Request::Put(Put { key, value, ..Put::default() }), 0).expect("a legal put");
}

/// The keys of a span, as `revision` has them.
pub fn range<'a>(engine: &'a Engine, start: &[u8], end: &[u8], revision: u64) -> Vec<KeyValue<'a>> {
    let range = Range { keys: KeyRange::Span { start, end }, revision, ..Range::default() };
    engine.range(&range).expect("a readable revision").kvs
}

/// What a hand-written store of the latest values keeps of each key.
#[derive(Clone)]
pub struct Latest {
    pub mod_revision: u64,
    pub create_revision: u64,
    pub version: u64,
    pub lease: i64,
    pub value: Vec<u8>,
}

impl Latest {
    fn new(revision: u64, value: &[u8]) -> Self {
        let value = value.to_vec();
        Self { mod_revision: revision, create_revision: revision, version: 1, lease: 0, value }
    }

    fn update(&mut self, revision: u64, value: &[u8]) {
        self.mod_revision = revision;
        self.version += 1;
        self.value = value.to_vec();
    }
}

/// The latest values in the standard library's tree.
#[derive(Clone, Default)]
pub struct Tree {
    pub map: BTreeMap<Vec<u8>, Latest>,
    revision: u64,
}

impl Tree {
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.revision += 1;
        match self.map.get_mut(key) {
            Some(latest) => latest.update(self.revision, value),
            None => drop(self.map.insert(key.to_vec(), Latest::new(self.revision, value))),
        }
    }

    pub fn range(&self, start: &[u8], end: &[u8]) -> Vec<(&Vec<u8>, &Latest)> {
        self.map.range::<[u8], _>((std::ops::Bound::Included(start), std::ops::Bound::Excluded(end))).collect()
    }
}

/// The latest values in a persistent tree.
#[derive(Clone, Default)]
pub struct Persistent {
    pub map: im::OrdMap<Vec<u8>, Latest>,
    revision: u64,
}

impl Persistent {
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.revision += 1;
        match self.map.get_mut(key) {
            Some(latest) => latest.update(self.revision, value),
            None => drop(self.map.insert(key.to_vec(), Latest::new(self.revision, value))),
        }
    }

    pub fn range(&self, start: &[u8], end: &[u8]) -> Vec<(&Vec<u8>, &Latest)> {
        self.map.range::<_, [u8]>((std::ops::Bound::Included(start), std::ops::Bound::Excluded(end))).collect()
    }
}

/// A key and a revision.
type Version = (Vec<u8>, u64);

/// Every version, by key; and the keys by revision, for those who ask what has happened since.
#[derive(Clone, Default)]
pub struct History {
    pub versions: BTreeMap<Version, Vec<u8>>,
    by_revision: BTreeMap<u64, Vec<u8>>,
    revision: u64,
}

impl History {
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.revision += 1;
        self.versions.insert((key.to_vec(), self.revision), value.to_vec());
        self.by_revision.insert(self.revision, key.to_vec());
    }

    pub fn get(&self, key: &[u8], revision: u64) -> Option<&Vec<u8>> {
        let (found, value) = self.versions.range(..=(key.to_vec(), revision)).next_back()?;
        (found.0 == key).then_some(value)
    }

    pub fn range(&self, start: &[u8], end: &[u8], revision: u64) -> Vec<(&Vec<u8>, &Vec<u8>)> {
        let mut found: Vec<(&Vec<u8>, &Vec<u8>)> = Vec::new();
        let versions = self.versions.range((start.to_vec(), 0)..(end.to_vec(), 0));
        for ((key, _), value) in versions.filter(|((_, version), _)| *version <= revision) {
            match found.last_mut() {
                Some(last) if last.0 == key => last.1 = value,
                _ => found.push((key, value)),
            }
        }
        found
    }

    pub fn since(&self, revision: u64, limit: usize) -> Vec<(&Vec<u8>, &Vec<u8>)> {
        let keys = self.by_revision.range(revision..).take(limit);
        keys.map(|(revision, key)| (key, &self.versions[&(key.clone(), *revision)])).collect()
    }

    pub fn since_of_prefix(&self, prefix: &[u8], revision: u64, limit: usize) -> Vec<(&Version, &Vec<u8>)> {
        let versions = self.versions.range((prefix.to_vec(), 0)..);
        let of_prefix = versions.take_while(|((key, _), _)| key.starts_with(prefix));
        let mut found: Vec<_> = of_prefix.filter(|((_, version), _)| *version >= revision).collect();
        found.sort_by_key(|((_, version), _)| *version);
        found.truncate(limit);
        found
    }

    /// Keeps of each key the version that is seen at `revision`, and what is newer.
    pub fn compact(&mut self, revision: u64) {
        let mut seen = Vec::new();
        let mut newest: Option<&Version> = None;
        for version in self.versions.keys().filter(|(_, version)| *version <= revision) {
            if let Some(before) = newest.replace(version).filter(|before| before.0 == version.0) {
                seen.push(before.clone());
            }
        }
        for version in seen {
            self.versions.remove(&version);
            self.by_revision.remove(&version.1);
        }
    }
}
