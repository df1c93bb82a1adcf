//! What the engine takes of memory, beside what one would write by hand: `cargo bench --bench memory`.
//!
//! Bytes are those asked of the allocator, with the blocks they are in: what an allocator adds to a block is its own.
//! Apart from the benchmark of speed, because to count takes time.

mod peers;

use std::alloc::System;

use peers::{History, Key, Persistent, Scale, Tree, Values, engine, put, range};
use revkv::{Engine, KeyRange, Request, Watch};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let scale = Scale::of_arguments();
    let (keys, values) = (peers::keys(scale.keys), Values::new());
    let mut round = Round { keys: &keys, values: &values, rng: fastrand::Rng::with_seed(7) };
    println!("{} keys of {} bytes, values of {}", scale.keys, peers::KEY_BYTES, peers::VALUE_BYTES);
    println!("\n| memory | bytes | blocks | at most |\n|---|---|---|---|");

    let mut revkv = engine(0);
    let first = held(|| round.each(|key, value| put(&mut revkv, key, value)));
    first.print("an entry with one version", keys.len(), "190");
    let counted = revkv.stats().bytes;
    println!("| the same, as `stats` counts it | {} | | |", counted / keys.len());
    let further = held(|| (1..scale.versions).for_each(|_| round.each(|key, value| put(&mut revkv, key, value))));
    further.print("a further version", keys.len() * (scale.versions - 1), "150");
    let counted_further = (revkv.stats().bytes - counted) / (keys.len() * (scale.versions - 1));
    println!("| the same, as `stats` counts it | {counted_further} | | |");

    let mut tree = Tree::default();
    held(|| round.each(|key, value| tree.put(key, value))).print("BTreeMap, an entry", keys.len(), "");
    let mut persistent = Persistent::default();
    held(|| round.each(|key, value| persistent.put(key, value))).print("im, an entry", keys.len(), "");
    let mut history = History::default();
    held(|| round.each(|key, value| history.put(key, value))).print("history map, a version", keys.len(), "");
    drop((tree, persistent, history));

    snapshots(&mut revkv, &keys, &values);
    compaction(&mut revkv, first, further, keys.len());
    watchers(&mut revkv, &keys);
    allocations(&mut revkv, &keys, &values);
}

/// One version of every key.
struct Round<'a> {
    keys: &'a [Key],
    values: &'a Values,
    rng: fastrand::Rng,
}

impl Round<'_> {
    /// In an order of its own each time. Nothing of it is held afterwards.
    fn each(&mut self, mut put: impl FnMut(&Key, &[u8])) {
        let mut order: Vec<usize> = (0..self.keys.len()).collect();
        self.rng.shuffle(&mut order);
        order.iter().for_each(|place| put(&self.keys[*place], self.values.get(*place)));
    }
}

/// What is still held after some work.
#[derive(Debug, Clone, Copy)]
struct Held {
    bytes: i128,
    blocks: i128,
}

impl Held {
    fn print(self, what: &str, count: usize, bound: &str) {
        let each = |number: i128| number as f64 / count as f64;
        println!("| {what} | {:.1} | {:.3} | {bound} |", each(self.bytes), each(self.blocks));
    }
}

fn held(work: impl FnOnce()) -> Held {
    let Stats { allocations, deallocations, bytes_allocated, bytes_deallocated, .. } = counted(work);
    let difference = |more: usize, less: usize| more as i128 - less as i128;
    Held { bytes: difference(bytes_allocated, bytes_deallocated), blocks: difference(allocations, deallocations) }
}

fn counted(work: impl FnOnce()) -> Stats {
    let region = Region::new(ALLOCATOR);
    work();
    region.change()
}

fn snapshots(revkv: &mut Engine, keys: &[Key], values: &Values) {
    let write = |revkv: &mut Engine| keys[..1_000].iter().for_each(|key| put(revkv, key, values.get(0)));
    let plain = held(|| write(revkv));
    let mut revisions = Vec::with_capacity(1_000);
    let snapshots = held(|| {
        for key in &keys[..1_000] {
            put(revkv, key, values.get(1));
            revisions.push(revkv.snapshot(0).expect("now is readable"));
        }
    });
    let more = Held { bytes: snapshots.bytes - plain.bytes, blocks: snapshots.blocks - plain.blocks };
    more.print("a snapshot, one after each of 1,000 puts", 1_000, "");
    assert!(revisions.into_iter().all(|revision| revkv.release_snapshot(revision)), "each is held once");
}

fn compaction(revkv: &mut Engine, first: Held, further: Held, entries: usize) {
    let revision = revkv.revision();
    let freed = held(|| {
        revkv.apply(Request::Compact { revision }, 0).expect("not compacted before");
        while revkv.compact_step() {}
    });
    // But for what the benchmark of snapshots has added, which is gone again.
    let left = |first: i128, further: i128, freed: i128| first + further + freed;
    let bytes = left(first.bytes, further.bytes, freed.bytes);
    let blocks = left(first.blocks, further.blocks, freed.blocks);
    Held { bytes, blocks }.print("an entry after all else is compacted", entries, "190");
    println!("| the same, as `stats` counts it | {} | | |", revkv.stats().bytes / entries);
}

fn watchers(revkv: &mut Engine, keys: &[Key]) {
    let count = keys.len() / 10;
    let mut ids = Vec::with_capacity(count);
    let watching = held(|| {
        for key in &keys[..count] {
            let watch = Watch { keys: KeyRange::Key(key), ..Watch::default() };
            ids.push(revkv.watch(&watch).expect("a legal watch"));
        }
    });
    watching.print("a watcher of a key", count, "");
    assert!(ids.into_iter().all(|id| revkv.cancel_watch(id)), "each is there once");
}

/// How often one operation asks the allocator for something, in the long run.
fn allocations(revkv: &mut Engine, keys: &[Key], values: &Values) {
    println!("\n| calls of the allocator | new blocks | grown blocks |\n|---|---|---|");
    let print = |what: &str, count: usize, Stats { allocations, reallocations, .. }: Stats| {
        let each = |number: usize| number as f64 / count as f64;
        println!("| {what} | {:.3} | {:.3} |", each(allocations), each(reallocations));
    };
    let count = keys.len();
    let second = counted(|| keys.iter().for_each(|key| put(revkv, key, values.get(2))));
    print("put, the second version of a key", count, second);
    (0..6).for_each(|_| keys.iter().for_each(|key| put(revkv, key, values.get(3))));
    let ninth = counted(|| (0..8).for_each(|_| keys.iter().for_each(|key| put(revkv, key, values.get(4)))));
    print("put, the ninth to sixteenth version", count * 8, ninth);
    let gets = counted(|| keys.iter().for_each(|key| drop(revkv.get(key, 0))));
    print("get", count, gets);
    let spans: Vec<_> = keys.chunks_exact(100).map(|chunk| (chunk[0], chunk[99])).collect();
    let ranges = counted(|| spans.iter().for_each(|(start, end)| drop(range(revkv, start, end, 0))));
    print("range of 100", spans.len(), ranges);
}
