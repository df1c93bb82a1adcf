//! The hash of a history: etcd's numbers for etcd's histories, whatever has become of the rows by then.

use std::ops::RangeInclusive;

use crc::{CRC_32_ISCSI, Crc};
use revkv::{KeyRange, Op};

use super::script::{Store, code, delete, from, key, nested, put, put_leased};

/// What is done to a store between what a case asks of it; none of it may be seen in a hash.
#[derive(Debug, Clone, Copy)]
enum Upkeep {
    None,
    OneStep,
    Removal,
    Reopening,
    Snapshot,
}

const UPKEEP: [Upkeep; 5] = [Upkeep::None, Upkeep::OneStep, Upkeep::Removal, Upkeep::Reopening, Upkeep::Snapshot];

impl Upkeep {
    fn run(self, store: &mut Store) {
        match self {
            Self::None => {}
            Self::OneStep => {
                store.step();
            }
            Self::Removal => store.remove(),
            Self::Reopening => {
                store.step();
                store.reopen();
            }
            Self::Snapshot => {
                store.engine.snapshot(0).expect("now");
                store.remove();
            }
        }
    }
}

/// The hash, as it is at every moment of removing what was compacted, and after it.
fn steady_hash(store: &Store, revision: u64) -> u32 {
    let mut store = store.clone();
    let hash = store.hash(revision);
    loop {
        let mut restarted = store.clone();
        restarted.reopen();
        assert_eq!(restarted.hash(revision), hash, "at {revision}, reopened");
        if !store.step() {
            break;
        }
        assert_eq!(store.hash(revision), hash, "at {revision}, in the middle of the removal");
    }
    assert_eq!(store.hash(revision), hash, "at {revision}, removed");
    store.reopen();
    assert_eq!(store.hash(revision), hash, "at {revision}, removed and reopened");
    hash
}

fn name(i: u32) -> &'static str {
    const NAMES: [&str; 7] = ["alice", "bob", "celine", "dominik", "eve", "frederica", "gorge"];
    match i {
        _ if i % 142 == 30 => "zenek",
        _ if i % 71 == 30 => "xavery",
        _ => NAMES[i as usize % 7],
    }
}

fn put_names(store: &mut Store, range: RangeInclusive<u32>) {
    for i in range {
        store.put(name(i), &i.to_string());
    }
}

/// etcd's TestHashByRevValue and TestHashByRevValueLastRevision: rounds of 72 puts, in each a hash at the revision that
/// is given and a compaction there; at last a round of 1211 puts and a hash.
fn check_golden(hashes: &[(u64, u32)], upkeep: Upkeep) {
    let mut store = Store::new();
    let (last, rounds) = hashes.split_last().expect("there are hashes");
    let mut compacted = 0;
    for (round, (revision, expected)) in (0..).zip(rounds) {
        let start = round * 71;
        put_names(&mut store, start..=start + 71);
        upkeep.run(&mut store);
        let hash = store.engine.hash(*revision).expect("kept");
        assert_eq!((hash.hash, hash.revision, hash.compact_revision), (*expected, *revision, compacted), "{upkeep:?}");
        store.compact(*revision).expect("not compacted before");
        compacted = *revision;
        upkeep.run(&mut store);
    }
    let start = u32::try_from(rounds.len()).expect("few rounds") * 71;
    put_names(&mut store, start..=start + 1210);
    let hash = store.engine.hash(last.0).expect("kept");
    assert_eq!((hash.hash, hash.revision, hash.compact_revision), (last.1, last.0, compacted), "{upkeep:?}");
}

#[test]
fn etcds_hashes_at_revisions_in_the_past() {
    let golden = [
        (35, 4_082_599_214),
        (106, 2_279_933_401),
        (177, 3_284_231_217),
        (248, 126_286_495),
        (319, 900_108_730),
        (390, 2_475_485_232),
        (461, 1_226_296_507),
        (532, 2_503_661_030),
        (603, 4_155_130_747),
        (674, 106_915_399),
        (745, 406_914_006),
        (816, 1_882_211_381),
        (887, 806_177_088),
        (958, 664_311_366),
        (1029, 1_496_914_449),
        (1100, 2_434_525_091),
        (1171, 3_988_652_253),
        (1242, 1_122_462_288),
        (1883, 724_436_716),
    ];
    for upkeep in UPKEEP {
        check_golden(&golden, upkeep);
    }
}

#[test]
fn etcds_hashes_at_the_present() {
    let golden = [
        (73, 1_913_897_190),
        (145, 224_860_069),
        (217, 1_565_167_519),
        (289, 1_566_261_620),
        (361, 2_037_173_024),
        (433, 691_659_396),
        (505, 2_713_730_748),
        (577, 3_919_322_507),
        (649, 769_967_540),
        (721, 2_909_194_793),
        (793, 1_576_921_157),
        (865, 4_067_701_532),
        (937, 2_226_384_237),
        (1009, 2_923_408_134),
        (1081, 2_680_329_256),
        (1153, 1_546_717_673),
        (1225, 2_713_657_846),
        (1297, 1_046_575_299),
        (2508, 2_017_735_779),
    ];
    for upkeep in UPKEEP {
        check_golden(&golden, upkeep);
    }
}

#[test]
fn small_histories() {
    let mut store = Store::new();
    assert_eq!(store.hash(1), 1_084_519_789);
    store.put("foo0", "bar0");
    store.put("foo1", "bar0");
    assert_eq!((store.hash(2), store.hash(3), store.hash(0)), (3_436_377_166, 3_282_802_313, 3_282_802_313));
    let mut store = Store::new();
    store.put("k", "");
    assert_eq!(store.hash(2), 3_417_322_274);
}

/// The revisions compacted, one after another.
type Compactions = &'static [u64];
/// Of each revision.
type Hashes = &'static [(u64, u32)];

/// What a compaction makes of the hashes of one history: the compact revision is part of what is hashed, the way to it
/// is not.
#[test]
fn a_hash_is_of_a_history_and_its_compact_revision() {
    let mut whole = Store::new();
    whole.grant(7, 60).expect("granted");
    whole.run(vec![put("a", "1"), put("b", "2")]).expect("accepted");
    whole.delete(key("a"));
    whole.put_leased("a", "3", 7).expect("granted");
    let rows: [(Compactions, Hashes); 7] = [
        (&[], &[(2, 2_787_448_889), (3, 2_979_079_126), (4, 1_852_924_133)]),
        (&[2], &[(2, 2_787_448_889), (3, 3_270_586_706), (4, 810_383_111)]),
        (&[3], &[(3, 3_786_234_968), (4, 3_648_518_135)]),
        (&[4], &[(4, 3_648_518_135)]),
        (&[2, 3], &[(3, 3_786_234_968), (4, 3_648_518_135)]),
        (&[1, 2, 3], &[(3, 3_786_234_968), (4, 3_648_518_135)]),
        (&[2, 4], &[(4, 3_648_518_135)]),
    ];
    for upkeep in UPKEEP {
        for (compactions, hashes) in rows {
            let mut store = whole.clone();
            for revision in compactions {
                store.compact(*revision).expect("not compacted before");
                upkeep.run(&mut store);
            }
            for (revision, expected) in hashes {
                assert_eq!(
                    steady_hash(&store, *revision),
                    *expected,
                    "compact {compactions:?}, at {revision}, {upkeep:?}"
                );
            }
        }
    }
}

/// etcd's TestCompactionHash. etcd answers the number from before the compaction, which it cached while compacting; an
/// interrupted compaction published a wrong one (#15919). Ours is always that of the present compact revision, resumed
/// or not.
#[test]
fn a_hash_after_a_compaction_is_not_the_one_cached_during_it() {
    let mut store = Store::new();
    for value in 0..5 {
        store.put("a", &value.to_string());
    }
    let before = store.engine.hash(4).expect("kept");
    assert_eq!((before.hash, before.compact_revision), (785_569_753, 0));
    store.compact(4).expect("not compacted before");
    let after = store.engine.hash(4).expect("kept");
    assert_eq!((after.hash, after.compact_revision), (2_464_627_551, 4));
    assert_eq!(steady_hash(&store, 4), 2_464_627_551);
}

/// etcd-io/etcd#18337: where no row is seen at the hashed revision, etcd's number changes when the removal is done: from
/// 2587454935 to this one, which is ours all along.
#[test]
fn a_hash_of_nothing_is_that_of_an_empty_store() {
    let mut store = Store::new();
    store.put("a", "1");
    store.delete(key("a"));
    store.compact(3).expect("not compacted before");
    assert_eq!(steady_hash(&store, 3), 1_084_519_789);
}

#[test]
fn only_kept_revisions_have_a_hash() {
    let mut store = Store::with_puts_of("a", 4);
    let hash = |store: &Store, revision| code(store.engine.hash(revision));
    assert_eq!([0, 1, 5, 6].map(|revision| hash(&store, revision)), ["ok", "ok", "ok", "FUTURE_REVISION"]);
    store.engine.snapshot(2).expect("readable");
    store.compact(3).expect("not compacted before");
    let codes = [1, 2, 3, 5, 6].map(|revision| hash(&store, revision));
    assert_eq!(codes, ["COMPACTED", "COMPACTED", "ok", "ok", "FUTURE_REVISION"], "a snapshot keeps no history");
    assert_eq!(store.hash(0), store.hash(5));
}

/// The rows of etcd's backend, spelled out: the bucket's name, then for each row its key (main, `_`, sub, `t` for a
/// tombstone) and its value (a protobuf KeyValue without empty fields).
#[test]
fn rows_are_encoded_as_etcd_stores_them() {
    let row = |main: u8, sub: u8, mark: &[u8]| [&[0; 7], &[main, b'_'][..], &[0; 7], &[sub], mark].concat();
    let mut store = Store::new();
    for (id, ttl_seconds) in [(1, 60), (300, 60), (-1, 60)] {
        store.grant(id, ttl_seconds).expect("granted");
    }
    let mut rows = b"key".to_vec();
    let mut check = |store: &Store, added: &[&[u8]], what: &str| {
        added.iter().for_each(|bytes| rows.extend_from_slice(bytes));
        assert_eq!(store.hash(0), Crc::<u32>::new(&CRC_32_ISCSI).checksum(&rows), "{what}");
    };
    store.put("foo0", "bar0");
    let value = [&b"\x0a\x04foo0\x10\x02\x18\x02\x20\x01\x2a\x04bar0"[..]];
    check(&store, &[&row(2, 0, b""), value[0]], "a put");
    store.put("k", "");
    check(&store, &[&row(3, 0, b""), b"\x0a\x01k\x10\x03\x18\x03\x20\x01"], "an empty value is left out");
    store.put("k", "v");
    check(&store, &[&row(4, 0, b""), b"\x0a\x01k\x10\x03\x18\x04\x20\x02\x2a\x01v"], "a second version");
    store.run(vec![put("l", ""), delete(from("k"))]).expect("accepted");
    let added: [&[u8]; 6] = [
        &row(5, 0, b""),
        b"\x0a\x01l\x10\x05\x18\x05\x20\x01",
        &row(5, 1, b"t"),
        b"\x0a\x01k",
        &row(5, 2, b"t"),
        b"\x0a\x01l",
    ];
    check(&store, &added, "tombstones, their subs counted");
}

#[test]
fn numbers_are_encoded_as_varints() {
    let mut store = Store::new();
    for id in [1, 300, -1] {
        store.grant(id, 60).expect("granted");
    }
    let long = "v".repeat(200);
    let prefix = |key: u8| [b"key", &[0; 7][..], &[2, b'_'], &[0; 8], &[0x0a, 1, key]].concat();
    let rows: [(&str, i64, &[u8]); 3] = [
        ("", 300, b"\x10\x02\x18\x02\x20\x01\x30\xac\x02"),
        ("", -1, b"\x10\x02\x18\x02\x20\x01\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        (&long, 1, &[b"\x10\x02\x18\x02\x20\x01\x2a\xc8\x01", long.as_bytes(), b"\x30\x01"].concat()),
    ];
    for (value, lease, expected) in rows {
        let mut store = store.clone();
        store.put_leased("a", value, lease).expect("granted");
        let row = [&prefix(b'a'), expected].concat();
        assert_eq!(store.hash(0), Crc::<u32>::new(&CRC_32_ISCSI).checksum(&row), "lease {lease}");
    }
    // A version, a create revision and a mod revision of two bytes: the 129th put of a key, alone after a compaction.
    for _ in 0..128 {
        store.put("x", "");
    }
    for _ in 0..129 {
        store.put("a", "");
    }
    store.delete(key("x"));
    store.compact(store.engine.revision()).expect("not compacted before");
    let row = b"key\0\0\0\0\0\0\x01\x02_\0\0\0\0\0\0\0\0\x0a\x01a\x10\x82\x01\x18\x82\x02\x20\x81\x01";
    assert_eq!(steady_hash(&store, 0), Crc::<u32>::new(&CRC_32_ISCSI).checksum(row));
}

/// etcd's TestHashKVWhenCompacting and #8311: hashes taken while rows disappear, of a store large enough that the index
/// and the rows are far apart in the middle of it.
#[test]
fn a_hash_does_not_move_while_history_is_removed() {
    let mut store = Store::new();
    for round in 0..3 {
        for key in 0..3000 {
            store.put(&format!("{key:04}"), &round.to_string());
        }
    }
    store.delete(from("2400"));
    let current = store.engine.revision();
    let at = 7000;
    let mut unremoved = store.clone();
    store.compact(at).expect("not compacted before");
    unremoved.compact(at).expect("not compacted before");
    let expected = [at, at + 700, current].map(|revision| unremoved.hash(revision));
    let mut steps = 0;
    while store.step() {
        steps += 1;
        assert_eq!([at, at + 700, current].map(|revision| store.hash(revision)), expected, "after {steps} steps");
    }
    assert!(steps > 5, "{steps} steps are too few to be in the middle");
    assert_eq!([at, at + 700, current].map(|revision| store.hash(revision)), expected, "removed");
    store.reopen();
    assert_eq!([at, at + 700, current].map(|revision| store.hash(revision)), expected, "reopened");
}

/// Everything that can be hashed.
fn all_hashes(store: &Store) -> Vec<(u64, u32)> {
    let first = store.engine.compact_revision().max(1);
    (first..=store.engine.revision()).map(|revision| (revision, store.hash(revision))).collect()
}

/// One random write of the few keys, deletes and twice-written keys often.
fn write(rng: &mut fastrand::Rng, stores: &mut [Store]) {
    const KEYS: [&str; 4] = ["a", "b", "c", "d"];
    let mut pick = || KEYS[rng.usize(..KEYS.len())];
    let (first, second) = (pick(), pick());
    let value = rng.u8(..4).to_string();
    let ops: Vec<Op<'_>> = match rng.u8(..6) {
        0 | 1 => vec![put(first, &value)],
        2 => vec![delete(key(first))],
        3 => vec![delete(from(first)), put(second, &value)],
        4 => vec![nested(vec![put(first, &value), put_leased("e", 7)]), nested(vec![delete(key(first))])],
        _ => vec![delete(KeyRange::ALL)],
    };
    for store in stores {
        store.run(ops.clone()).expect("accepted");
    }
}

/// What may be done to a store while it is written. The first never removes what is compacted.
#[derive(Debug, Clone, Copy)]
enum Habit {
    RemovesNothing,
    RemovesAtOnce,
    RemovesInSteps,
    Reopens,
    CompactsTwice,
    HoldsSnapshots,
}

impl Habit {
    fn after_write(self, store: &mut Store, rng: &mut fastrand::Rng) {
        match self {
            Self::RemovesAtOnce => store.remove(),
            Self::RemovesInSteps => {
                store.step();
            }
            Self::Reopens if rng.u8(..8) == 0 => store.reopen(),
            Self::HoldsSnapshots if rng.u8(..8) == 0 => {
                let revision = store.engine.snapshot(0).expect("now");
                if rng.bool() {
                    store.engine.release_snapshot(revision);
                }
                store.step();
            }
            _ => {}
        }
    }

    fn compact(self, store: &mut Store, revision: u64) {
        let half = store.engine.compact_revision().midpoint(revision);
        if matches!(self, Self::CompactsTwice) && half > store.engine.compact_revision() {
            store.compact(half).expect("not compacted before");
            store.step();
        }
        store.compact(revision).expect("not compacted before");
    }
}

fn hashes_agree(habits: &[Habit]) {
    for seed in 0..60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut stores: Vec<Store> = habits.iter().map(|_| Store::new()).collect();
        for store in &mut stores {
            store.grant(7, 60).expect("granted");
        }
        for step in 0..120 {
            write(&mut rng, &mut stores);
            let (compacted, current) = (stores[0].engine.compact_revision(), stores[0].engine.revision());
            let compaction = (rng.u8(..12) == 0 && current > compacted).then(|| rng.u64(compacted + 1..=current));
            for (habit, store) in habits.iter().zip(&mut stores) {
                compaction.into_iter().for_each(|revision| habit.compact(store, revision));
                habit.after_write(store, &mut rng);
            }
            if step % 10 == 0 {
                let expected = all_hashes(&stores[0]);
                for (habit, store) in habits.iter().zip(&stores) {
                    assert_eq!(all_hashes(store), expected, "seed {seed}, step {step}: {habit:?}");
                }
            }
        }
    }
}

/// A hash depends on the history, the compact revision and the revision, and on nothing that is done beside writing.
#[test]
fn a_hash_does_not_tell_how_a_store_was_compacted_or_restarted() {
    use Habit::{CompactsTwice, RemovesAtOnce, RemovesInSteps, RemovesNothing, Reopens};
    hashes_agree(&[RemovesNothing, RemovesAtOnce, RemovesInSteps, Reopens, CompactsTwice]);
}

#[test]
fn a_hash_does_not_tell_that_snapshots_are_held() {
    hashes_agree(&[Habit::RemovesNothing, Habit::HoldsSnapshots]);
}

/// The other half: stores with different histories have different hashes.
#[test]
fn a_hash_sees_every_part_of_a_change() {
    let history = |ops: Vec<Op<'_>>| {
        let mut store = Store::new();
        store.grant(7, 60).expect("granted");
        store.put("a", "1");
        store.run(ops).expect("accepted");
        store.put("z", "1");
        store.hash(0)
    };
    let hashes = [
        history(vec![]),
        history(vec![put("a", "1")]),
        history(vec![put("a", "2")]),
        history(vec![put("b", "1")]),
        history(vec![put_leased("a", 7)]),
        history(vec![put("a", "")]),
        history(vec![delete(key("a"))]),
        history(vec![put("a", "1"), put("b", "1")]),
        history(vec![put("b", "1"), put("a", "1")]),
        history(vec![delete(from("a")), put("a", "1")]),
    ];
    let distinct: std::collections::BTreeSet<u32> = hashes.into_iter().collect();
    assert_eq!(distinct.len(), hashes.len(), "{hashes:?}");
}
