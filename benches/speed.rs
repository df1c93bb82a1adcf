//! How fast the engine is, beside what one would write by hand: `cargo bench --bench speed`.
//!
//! A harness of its own, because what matters are ratios on machines that are noisy: those who are compared take turns,
//! round by round, so that a slow second hits all of them; a ratio is the median of the rounds' ratios, given with the
//! quartiles. Criterion would measure one after the other, and print times of which no two compare.

mod peers;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::ops::Range;
use std::time::Instant;

use peers::{History, Key, Latest, Persistent, Scale, Tree, Values, engine, put, range};
use revkv::{
    Body, Engine, EngineOptions, KeyRange, KeyValue, Leader, Message, Ready, Request, Since, Watch, WatcherId,
};

/// Of one turn of a measurement that only reads.
const READS: usize = 10_000;
/// Of one turn of a measurement that reads a hundred entries, or a thousand.
const SCANS: usize = 200;
const SNAPSHOTS: usize = 1_000;

fn main() {
    let scale = Scale::of_arguments();
    println!("{} keys of {} bytes, values of {}", scale.keys, peers::KEY_BYTES, peers::VALUE_BYTES);
    println!("\n| work | ns | beside | ns | ratio (quartiles) | at most |\n|---|---|---|---|---|---|");
    let mut stores = Stores::new(&scale);
    stores.puts(&scale);
    stores.gets(&scale);
    stores.ranges(&scale);
    stores.looks_back(&scale);
    stores.snapshots(&scale);
    compaction(&scale, &stores);
    drop(stores);
    puts_with_snapshots(&scale);
    puts_with_watchers(&scale);
    puts_with_followers(&scale);
    journal(&scale);
    growth(&scale);
}

/// Everybody's store, with the same content.
struct Stores {
    keys: Vec<Key>,
    values: Values,
    rng: fastrand::Rng,
    revkv: Engine,
    tree: Tree,
    persistent: Persistent,
    history: History,
}

impl Stores {
    fn new(scale: &Scale) -> Self {
        Self {
            keys: peers::keys(scale.keys),
            values: Values::new(),
            rng: fastrand::Rng::with_seed(7),
            revkv: engine(0),
            tree: Tree::default(),
            persistent: Persistent::default(),
            history: History::default(),
        }
    }

    /// Every version of every key, each version in an order of its own.
    fn puts(&mut self, scale: &Scale) {
        let Self { keys, values, rng, revkv, tree, persistent, history } = self;
        let mut order: Vec<usize> = (0..keys.len()).collect();
        for (name, versions) in [("put, new key", 0..1), ("put, update", 1..scale.versions)] {
            let mut race = Race::default();
            for _ in versions {
                rng.shuffle(&mut order);
                for chunk in order.chunks(keys.len() / 10) {
                    let each = || chunk.iter().map(|place| (&keys[*place], values.get(*place)));
                    let times = [
                        time(|| each().for_each(|(key, value)| put(revkv, key, value))),
                        time(|| each().for_each(|(key, value)| tree.put(key, value))),
                        time(|| each().for_each(|(key, value)| persistent.put(key, value))),
                        time(|| each().for_each(|(key, value)| history.put(key, value))),
                    ];
                    race.round(chunk.len(), times);
                }
            }
            race.print(name, &[("BTreeMap", Some(1.5)), ("im", None), ("history map", None)]);
        }
    }

    fn gets(&mut self, scale: &Scale) {
        let Self { keys, rng, revkv, tree, persistent, history, .. } = self;
        let old = old_revisions(scale, revkv);
        let (mut now, mut then) = (Race::default(), Race::default());
        for _ in 0..scale.rounds {
            let wanted: Vec<(&Key, u64)> = (0..READS).map(|_| (one_of(rng, keys), rng.u64(old.clone()))).collect();
            let get = |key: &Key, at| look(&revkv.get(key, at).expect("readable").expect("it is there").value);
            let latest = time(|| wanted.iter().map(|(key, _)| get(key, 0)).sum::<usize>());
            let peers = [
                time(|| wanted.iter().map(|(key, _)| look(&tree.map[&key[..]].value)).sum::<usize>()),
                time(|| wanted.iter().map(|(key, _)| look(&persistent.map[&key[..]].value)).sum::<usize>()),
            ];
            now.round(READS, [latest, peers[0], peers[1]]);
            let times = [
                time(|| wanted.iter().map(|(key, at)| get(key, *at)).sum::<usize>()),
                latest,
                time(|| {
                    wanted.iter().map(|(key, at)| look(history.get(*key, *at).expect("it was there"))).sum::<usize>()
                }),
            ];
            then.round(READS, times);
        }
        now.print("get", &[("BTreeMap", Some(1.2)), ("im", None)]);
        then.print("get at an old revision", &[("get", Some(1.2)), ("history map", None)]);
    }

    fn ranges(&mut self, scale: &Scale) {
        let Self { keys, rng, revkv, tree, persistent, history, .. } = self;
        let old = old_revisions(scale, revkv);
        let (mut now, mut then) = (Race::default(), Race::default());
        for _ in 0..scale.rounds {
            let wanted: Vec<_> = (0..SCANS).map(|_| (hundred(rng, keys), rng.u64(old.clone()))).collect();
            let each = |scan: &dyn Fn(&Key, &Key, u64) -> usize| {
                time(|| wanted.iter().map(|((start, end), at)| scan(start, end, *at)).sum::<usize>())
            };
            let ours = |kvs: Vec<KeyValue<'_>>| black_box(kvs).iter().map(|kv| look(&kv.value)).sum();
            let latest = each(&|start, end, _| ours(range(revkv, start, end, 0)));
            let theirs = |found: Vec<(&Vec<u8>, &Latest)>| black_box(found).iter().map(|(_, kv)| look(&kv.value)).sum();
            let peers = [
                each(&|start, end, _| theirs(tree.range(start, end))),
                each(&|start, end, _| theirs(persistent.range(start, end))),
            ];
            now.round(SCANS, [latest, peers[0], peers[1]]);
            let old = each(&|start, end, at| ours(range(revkv, start, end, at)));
            let versions = |start: &Key, end: &Key, at| black_box(history.range(start, end, at));
            let slow = each(&|start, end, at| versions(start, end, at).iter().map(|(_, value)| look(value)).sum());
            then.round(SCANS, [old, latest, slow]);
        }
        now.print("range of 100", &[("BTreeMap", Some(2.0)), ("im", None)]);
        then.print("range of 100 at an old revision", &[("range of 100", Some(1.5)), ("history map", None)]);
        self.first_of_all(scale);
    }

    /// A limit cuts the answer, but the count in it is of the whole range.
    fn first_of_all(&mut self, scale: &Scale) {
        let mut race = Race::default();
        for _ in 0..scale.rounds {
            let whole = revkv::Range { limit: 100, ..revkv::Range::default() };
            let times = [
                time(|| black_box(self.revkv.range(&whole).expect("readable").kvs).len()),
                time(|| black_box(self.tree.map.iter().take(100).collect::<Vec<_>>()).len()),
            ];
            race.round(1, times);
        }
        race.print("the first 100 of everything, and the count", &[("BTreeMap, no count", None)]);
    }

    fn looks_back(&mut self, scale: &Scale) {
        let Self { keys, rng, revkv, history, .. } = self;
        let old = old_revisions(scale, revkv);
        let (mut all, mut prefix) = (Race::default(), Race::default());
        for _ in 0..scale.rounds {
            let wanted: Vec<_> = (0..SCANS / 10).map(|_| (one_of(rng, keys), rng.u64(old.clone()))).collect();
            let since = |keys: KeyRange<'_>, start_revision| {
                let since = Since { keys, start_revision, limit: 1_000, ..Since::default() };
                black_box(revkv.since(&since).expect("readable").events).len()
            };
            let times = [
                time(|| wanted.iter().map(|(_, revision)| since(KeyRange::ALL, *revision)).sum::<usize>()),
                time(|| {
                    wanted.iter().map(|(_, revision)| black_box(history.since(*revision, 1_000)).len()).sum::<usize>()
                }),
            ];
            all.round(wanted.len(), times);
            let of_prefix = |key: &Key, revision| {
                // After `/` comes `0`.
                let end = [&key[..4], b"0"].concat();
                since(KeyRange::Span { start: &key[..5], end: &end }, revision)
            };
            let slow = |key: &Key, revision| black_box(history.since_of_prefix(&key[..5], revision, 1_000)).len();
            let times = [
                time(|| wanted.iter().map(|(key, revision)| of_prefix(key, *revision)).sum::<usize>()),
                time(|| wanted.iter().map(|(key, revision)| slow(key, *revision)).sum::<usize>()),
            ];
            prefix.round(wanted.len(), times);
        }
        all.print("1,000 events since a revision", &[("history map", None)]);
        prefix.print("1,000 events of one prefix of 100", &[("history map", None)]);
    }

    fn snapshots(&mut self, scale: &Scale) {
        let Self { revkv, tree, persistent, .. } = self;
        let mut race = Race::default();
        for _ in 0..scale.rounds.min(11) {
            let times = [
                time(|| {
                    for _ in 0..READS {
                        let revision = revkv.snapshot(0).expect("now is readable");
                        assert!(revkv.release_snapshot(black_box(revision)), "it is held");
                    }
                }) / 1_000.0,
                time(|| (0..READS).for_each(|_| drop(black_box(persistent.map.clone())))) / 1_000.0,
                time(|| drop(black_box(tree.map.clone()))) * (READS / 1_000) as f64,
            ];
            race.round(READS / 1_000, times);
        }
        race.print("snapshot, and its release", &[("im", None), ("BTreeMap clone", None)]);
    }
}

/// Revisions at which every key is there, and none is the newest.
fn old_revisions(scale: &Scale, engine: &Engine) -> Range<u64> {
    scale.keys as u64 + 2..engine.revision()
}

fn one_of<'k>(rng: &mut fastrand::Rng, keys: &'k [Key]) -> &'k Key {
    &keys[rng.usize(..keys.len())]
}

/// The bounds of a hundred keys.
fn hundred<'k>(rng: &mut fastrand::Rng, keys: &'k [Key]) -> (&'k Key, &'k Key) {
    let start = rng.usize(..keys.len() - 100);
    (&keys[start], &keys[start + 100])
}

/// What is read is looked at: a store that gives a value without having touched it has put the work off, not saved it.
fn look(value: &[u8]) -> usize {
    value[0].into()
}

/// All history but the newest version of each key is forgotten. On clones, each made before the clock runs.
fn compaction(scale: &Scale, stores: &Stores) {
    let Stores { revkv, history, .. } = stores;
    let revision = revkv.revision();
    let removed = scale.keys * (scale.versions - 1);
    let mut race = Race::default();
    let mut steps: Vec<f64> = Vec::new();
    for _ in 0..3 {
        let (mut revkv, mut history) = (revkv.clone(), history.clone());
        let mut times = Vec::new();
        revkv.apply(Request::Compact { revision }, 0).expect("not compacted before");
        let mut more = true;
        while more {
            times.push(time(|| more = revkv.compact_step()));
        }
        race.round(removed, [times.iter().sum(), time(|| history.compact(revision))]);
        // Each round takes the same steps: what only one of them was slow in was the machine.
        steps = if steps.is_empty() { times } else { steps.iter().zip(times).map(|(a, b)| a.min(b)).collect() };
    }
    race.print("compaction, per change removed", &[("history map", None)]);
    let longest = steps.iter().copied().fold(0.0, f64::max);
    println!("| the longest of its {} steps | {longest:.0} | | | | 1000000 |", steps.len());
}

/// Every key with a version, then so many updates.
fn filled(keys: &[Key], values: &Values, blob_bytes_max: usize) -> Engine {
    let mut engine = engine(blob_bytes_max);
    keys.iter().enumerate().for_each(|(place, key)| put(&mut engine, key, values.get(place)));
    engine
}

fn puts_with_snapshots(scale: &Scale) {
    let (keys, values, mut rng) = (peers::keys(scale.keys), Values::new(), fastrand::Rng::with_seed(11));
    let (mut plain, mut held) = (filled(&keys, &values, 0), filled(&keys, &values, 0));
    for _ in 0..SNAPSHOTS {
        let place = rng.usize(..keys.len());
        put(&mut plain, &keys[place], values.get(place));
        put(&mut held, &keys[place], values.get(place));
        held.snapshot(0).expect("now is readable");
    }
    let mut race = Race::default();
    for _ in 0..scale.rounds {
        let places: Vec<usize> = (0..READS).map(|_| rng.usize(..keys.len())).collect();
        let write =
            |engine: &mut Engine| places.iter().for_each(|place| put(engine, &keys[*place], values.get(*place)));
        race.round(READS, [time(|| write(&mut held)), time(|| write(&mut plain))]);
    }
    race.print("put while 1,000 snapshots are held", &[("none held", Some(1.2))]);
}

/// Each put is of a watched key, and concerns one watcher.
fn puts_with_watchers(scale: &Scale) {
    let (keys, values, mut rng) = (peers::keys(scale.keys), Values::new(), fastrand::Rng::with_seed(13));
    for (name, width) in [("key", 1), ("range", 2)] {
        let counts = [0, 100, 1_000, 10_000].map(|count| count * keys.len() / 100_000);
        let mut engines = counts.map(|count| {
            let mut engine = filled(&keys, &values, 0);
            let watched = (0..count).map(|number| number * (keys.len() / count));
            for place in watched {
                let span = KeyRange::Span { start: &keys[place], end: &keys[place + width] };
                let keys = if width == 1 { KeyRange::Key(&keys[place]) } else { span };
                engine.watch(&Watch { keys, ..Watch::default() }).expect("a legal watch");
            }
            engine
        });
        let mut puts = Race::default();
        let mut takes = Race::default();
        for _ in 0..scale.rounds {
            let chosen: Vec<usize> = (0..1_000).map(|_| rng.usize(..10_000)).collect();
            let mut written = [0.0; 4];
            let mut taken = [0.0; 4];
            for (which, engine) in engines.iter_mut().enumerate() {
                let count = counts[which].max(1);
                let places: Vec<usize> = chosen.iter().map(|number| number % count * (keys.len() / count)).collect();
                written[which] =
                    time(|| places.iter().for_each(|place| put(engine, &keys[*place], values.get(*place))));
                taken[which] = time(|| drain(engine));
            }
            let [none, few, many, most] = written;
            puts.round(chosen.len(), [most, many, few, none]);
            takes.round(chosen.len(), [taken[3], taken[2]]);
        }
        let beside = counts.map(|count| format!("{count}"));
        let beside = [(&*beside[2], Some(1.5)), (&*beside[1], None), (&*beside[0], None)];
        puts.print(&format!("put, {} watchers, each on a {name}", counts[3]), &beside);
        takes.print(&format!("an event taken, {} watchers, each on a {name}", counts[3]), &beside[..1]);
    }
}

fn drain(engine: &mut Engine) {
    let due: Vec<WatcherId> = engine.pending_watches();
    for id in due {
        black_box(engine.take_events(id, 0, usize::MAX).expect("nothing is compacted").batches);
    }
}

/// A leader's work for commits of some puts each: the storage is handed the batch, every follower is told, and asks for more.
fn puts_with_followers(scale: &Scale) {
    const COUNTS: [u64; 4] = [20, 5, 1, 0];
    let (keys, values, mut rng) = (peers::keys(scale.keys), Values::new(), fastrand::Rng::with_seed(19));
    for group in [1, 100] {
        let mut leaders = COUNTS.map(|_| {
            let mut engine = filled(&keys, &values, 48 << 10);
            while let Some(ready) = engine.take_ready() {
                engine.persisted(ready.through);
            }
            let (leader, _) = Leader::new(1, &engine);
            (leader, engine)
        });
        let mut race = Race::default();
        for _ in 0..scale.rounds {
            let places: Vec<usize> = (0..2_000).map(|_| rng.usize(..keys.len())).collect();
            let mut times = [0.0; COUNTS.len()];
            for ((followers, (leader, engine)), taken) in COUNTS.iter().zip(&mut leaders).zip(&mut times) {
                *taken = time(|| {
                    for places in places.chunks(group) {
                        places.iter().for_each(|place| put(engine, &keys[*place], values.get(*place)));
                        let ready = engine.take_ready().expect("puts");
                        engine.persisted(ready.through);
                        black_box(leader.advance(engine));
                        (2..2 + followers).for_each(|from| ask(leader, engine, from));
                    }
                });
            }
            race.round(places.len(), times);
        }
        let beside = [("5", None), ("1", None), ("none", None)];
        race.print(&format!("put in a commit of {group}, stored, told to 20 followers"), &beside);
    }
}

/// A follower has everything, and waits for more.
fn ask(leader: &mut Leader, engine: &mut Engine, from: u64) {
    let body = Body::Follow { revision: engine.revision(), anew: false };
    let message = Message::new(engine.incarnation(), engine.epoch(), from, 1, body).pack();
    black_box(leader.handle(engine, &message, 0).expect("it leads"));
}

/// Written in batches of a hundred puts, then read back.
fn journal(scale: &Scale) {
    const BLOB_BYTES: usize = 48 << 10;
    let (keys, values) = (peers::keys(scale.keys), Values::new());
    let (mut written, mut read) = (Race::default(), Race::default());
    for _ in 0..scale.rounds.min(5) {
        let (mut plain, mut stored, mut tree) = (engine(0), engine(BLOB_BYTES), Tree::default());
        let mut blobs: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let each = || keys.iter().enumerate().map(|(place, key)| (place, key, values.get(place)));
        let puts = time(|| each().for_each(|(_, key, value)| put(&mut plain, key, value)));
        let journaled = time(|| {
            for (place, key, value) in each() {
                put(&mut stored, key, value);
                if place % 100 == 99
                    && let Some(Ready { put, delete, .. }) = stored.take_ready()
                {
                    blobs.extend(put.into_iter().map(|blob| (blob.id, blob.bytes)));
                    delete.iter().for_each(|id| drop(blobs.remove(id)));
                }
            }
        });
        written.round(keys.len(), [journaled, puts]);
        let mut again = Engine::new(EngineOptions { blob_bytes_max: BLOB_BYTES, ..EngineOptions::default() });
        let recovered = time(|| {
            blobs.iter().for_each(|(id, bytes)| again.recover(id, bytes).expect("what was written is read"));
            again.start().expect("whole batches were written");
        });
        assert_eq!(again.revision(), plain.revision(), "everything was recovered");
        let inserts = time(|| each().for_each(|(_, key, value)| tree.put(key, value)));
        read.round(keys.len(), [recovered, puts, inserts]);
    }
    written.print("put in key order, with a journal", &[("without", None)]);
    read.print("recovery, per entry in key order", &[("put in key order", None), ("BTreeMap", None)]);
}

/// The same with ten times as many keys, over and over.
fn growth(scale: &Scale) {
    println!("\n| ns, of so many keys | put, update | get | range of 100 | 1,000 events |\n|---|---|---|---|---|");
    for count in [1_000, 10_000, 100_000, 1_000_000].into_iter().filter(|count| *count <= scale.keys * 10) {
        let (keys, values, mut rng) = (peers::keys(count), Values::new(), fastrand::Rng::with_seed(17));
        let mut engine = filled(&keys, &values, 0);
        let mut columns: [Vec<f64>; 4] = Default::default();
        for _ in 0..scale.rounds {
            let places: Vec<usize> = (0..READS).map(|_| rng.usize(..count)).collect();
            let spans: Vec<_> = (0..SCANS).map(|_| hundred(&mut rng, &keys)).collect();
            let start_revision = engine.revision() - 999;
            let since = Since { start_revision, limit: 1_000, ..Since::default() };
            let times = [
                time(|| places.iter().for_each(|place| put(&mut engine, &keys[*place], values.get(*place)))),
                time(|| places.iter().for_each(|place| drop(black_box(engine.get(&keys[*place], 0))))),
                time(|| spans.iter().for_each(|(start, end)| drop(black_box(range(&engine, *start, *end, 0))))),
                time(|| (0..10).for_each(|_| drop(black_box(engine.since(&since))))),
            ];
            for (column, (time, count)) in columns.iter_mut().zip(times.iter().zip([READS, READS, SCANS, 10])) {
                column.push(time / count as f64);
            }
        }
        let [put, get, range, since] = columns.map(|mut column| quartiles(&mut column)[1]);
        println!("| {count} | {put:.0} | {get:.0} | {range:.0} | {since:.0} |");
    }
}

/// What each round took: first ours, then the others', in ns per operation.
#[derive(Default)]
struct Race(Vec<Vec<f64>>);

impl Race {
    fn round<const PEERS: usize>(&mut self, operations: usize, times: [f64; PEERS]) {
        self.0.push(times.iter().map(|time| time / operations as f64).collect());
    }

    /// A line for each peer, with the bound of the ratio where there is one.
    fn print(&self, work: &str, peers: &[(&str, Option<f64>)]) {
        let ours = self.median(|round| round[0]);
        for (place, (peer, bound)) in peers.iter().enumerate() {
            let theirs = self.median(|round| round[place + 1]);
            let mut ratios: Vec<f64> = self.0.iter().map(|round| round[0] / round[place + 1]).collect();
            let [low, ratio, high] = quartiles(&mut ratios).map(short);
            let bound = bound.map_or(String::new(), |bound| bound.to_string());
            println!("| {work} | {} | {peer} | {} | {ratio} ({low} to {high}) | {bound} |", short(ours), short(theirs));
        }
    }

    fn median(&self, of: impl Fn(&Vec<f64>) -> f64) -> f64 {
        let mut times: Vec<f64> = self.0.iter().map(of).collect();
        quartiles(&mut times)[1]
    }
}

fn quartiles(numbers: &mut [f64]) -> [f64; 3] {
    numbers.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| numbers[(numbers.len() - 1) * quarter / 4])
}

/// Three digits that count.
fn short(number: f64) -> String {
    match number {
        10.0.. => format!("{number:.0}"),
        1.0.. => format!("{number:.2}"),
        _ => format!("{number:.4}"),
    }
}

/// In ns.
#[expect(clippy::disallowed_methods, reason = "the engine is told the time; who measures it must read it")]
fn time<R>(work: impl FnOnce() -> R) -> f64 {
    let start = Instant::now();
    black_box(work());
    start.elapsed().as_nanos() as f64
}
