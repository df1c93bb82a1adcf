//! What a seed chooses before the first step: the keys, the sizes, the limits, and how much happens.

use fastrand::Rng;
use revkv::Limits;

use crate::op::Bytes;

/// Few keys, so that they meet; some are prefixes of others, some stand at the ends of the order.
const KEYS: [&[u8]; 12] =
    [b"a", b"a/1", b"a/2", b"a\xff", b"b", b"b/1", b"c", b"c/1", b"\0", b"\0\0", b"\xff", b"\xff\xff"];
/// One seed in so many plays a long sequence.
const LONG_EVERY: u64 = 1_000;
/// One seed in so many has more watchers than the engine asks one by one when a key is written, which are 64, and leaves
/// it with more that are gone.
const CROWDED_EVERY: u64 = 50;
const CROWD: usize = 160;
/// More than one step of a compaction goes through at once.
const LONG_KEYS: usize = 700;

#[derive(Debug)]
pub struct Setup {
    pub steps: usize,
    pub keys: Vec<Bytes>,
    /// Most values are two bytes; some are up to this.
    pub value_bytes_max: usize,
    /// One compaction asked for in so many is made.
    pub compaction_one_in: u32,
    /// How far back a revision that is named may lie.
    pub back: u64,
    pub watchers_max: usize,
    /// One restart in so many happens.
    pub restart_one_in: u32,
    /// Some below one record, some with room for all; 0 stores nothing.
    pub blob_bytes_max: usize,
    pub limits: Limits,
}

impl Setup {
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(!seed);
        let blob_bytes_max = [400, 1 << 10, 4 << 10, 48 << 10, 0][rng.usize(0..5)];
        if seed % LONG_EVERY == LONG_EVERY - 1 {
            return Self::long(blob_bytes_max);
        }
        Self {
            steps: 250,
            keys: KEYS.map(Bytes::from).to_vec(),
            value_bytes_max: 2_000,
            compaction_one_in: [1, 1, 4][rng.usize(0..3)],
            back: [4, 20, 100][rng.usize(0..3)],
            watchers_max: if seed.is_multiple_of(CROWDED_EVERY) { CROWD } else { [4, 12, 40][rng.usize(0..3)] },
            restart_one_in: if blob_bytes_max == 0 { 8 } else { [1, 3, 12][rng.usize(0..3)] },
            blob_bytes_max,
            limits: Self::limits(&mut rng),
        }
    }

    pub fn is_crowded(&self) -> bool {
        self.watchers_max >= CROWD
    }

    /// Leaves by the dozen, keys by the hundred: a compaction takes many steps, and much happens between them.
    fn long(blob_bytes_max: usize) -> Self {
        Self {
            steps: 5_000,
            keys: (0..LONG_KEYS).map(|n| Bytes::from(format!("key/{n:03}").as_bytes())).collect(),
            value_bytes_max: 4_000,
            compaction_one_in: 8,
            back: 1_000,
            watchers_max: 4,
            restart_one_in: 16,
            blob_bytes_max,
            limits: Limits::default(),
        }
    }

    fn limits(rng: &mut Rng) -> Limits {
        let usual = Limits::default();
        let bytes_max = rng.usize(1_500..20_000);
        match rng.u32(0..9) {
            0..3 => usual,
            3 => Limits { commit_bytes_max: rng.usize(50..400), ..usual },
            8 => Limits { response_bytes_max: rng.usize(500..4_000), ..usual },
            4 => Limits { operations_max: rng.usize(1..6), request_bytes_max: rng.usize(4..400), ..usual },
            5 => Limits { operations_max: rng.usize(1..6), request_bytes_max: rng.usize(4..400), bytes_max, ..usual },
            _ => Limits { bytes_max, ..usual },
        }
    }
}
