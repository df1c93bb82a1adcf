//! The hash of a history: CRC-32C over the rows that etcd would have in its backend.

use revkv::{Engine, EngineOptions};

use super::store::{Model, Outcome};
use crate::op::{Answer, Bytes, Event, EventType, Op, Put};
use crate::subject::{Driven, Subject};

impl Model {
    /// Of the rows up to the compact revision, those that a read at `revision` sees, or if that sees no key, a read at
    /// the compact revision; of the others all.
    pub fn hash(&self, revision: u64) -> Outcome<Answer> {
        let revision = if revision == 0 { self.revision } else { revision };
        self.check_uncompacted(revision)?;
        let is_empty = self.states.get(&revision).is_none_or(|state| state.is_empty());
        let seen_from = if is_empty { self.compact_revision } else { revision };
        let mut rows = b"key".to_vec();
        for (&main, changes) in self.changes.range(..=revision) {
            for (sub, event) in changes.iter().enumerate() {
                if main > self.compact_revision || self.is_seen(event, seen_from) {
                    add_row(&mut rows, main, sub as u64, event);
                }
            }
        }
        Ok(Answer::Hash { hash: crc32c(&rows), revision, compact_revision: self.compact_revision })
    }
}

/// The row's key, and its value as protobuf: empty fields are left out.
fn add_row(rows: &mut Vec<u8>, main: u64, sub: u64, event: &Event) {
    let is_put = event.r#type == EventType::Put;
    rows.extend([&main.to_be_bytes()[..], b"_", &sub.to_be_bytes(), if is_put { b"" } else { b"t" }].concat());
    let kv = &event.kv;
    add_bytes(rows, 0x0a, &kv.key.0);
    if is_put {
        add_number(rows, 0x10, kv.create_revision);
        add_number(rows, 0x18, kv.mod_revision);
        add_number(rows, 0x20, kv.version);
        add_bytes(rows, 0x2a, &kv.value.0);
        add_number(rows, 0x30, kv.lease as u64);
    }
}

fn add_bytes(rows: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    add_number(rows, tag, bytes.len() as u64);
    rows.extend(bytes);
}

fn add_number(rows: &mut Vec<u8>, tag: u8, mut number: u64) {
    if number == 0 {
        return;
    }
    rows.push(tag);
    while number > 127 {
        rows.push(number as u8 | 128);
        number >>= 7;
    }
    rows.push(number as u8);
}

/// The polynomial of Castagnoli, its bits turned round.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// What eight shifts make of each byte.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| crc >> 8 ^ TABLE[usize::from(crc as u8 ^ byte)])
}

/// Revisions and hashes of etcd's TestHashByRevValue.
const INSIDE: [(u64, u32); 19] = [
    (35, 4082599214),
    (106, 2279933401),
    (177, 3284231217),
    (248, 126286495),
    (319, 900108730),
    (390, 2475485232),
    (461, 1226296507),
    (532, 2503661030),
    (603, 4155130747),
    (674, 106915399),
    (745, 406914006),
    (816, 1882211381),
    (887, 806177088),
    (958, 664311366),
    (1029, 1496914449),
    (1100, 2434525091),
    (1171, 3988652253),
    (1242, 1122462288),
    (1883, 724436716),
];

/// Of its TestHashByRevValueLastRevision.
const NEWEST: [(u64, u32); 19] = [
    (73, 1913897190),
    (145, 224860069),
    (217, 1565167519),
    (289, 1566261620),
    (361, 2037173024),
    (433, 691659396),
    (505, 2713730748),
    (577, 3919322507),
    (649, 769967540),
    (721, 2909194793),
    (793, 1576921157),
    (865, 4067701532),
    (937, 2226384237),
    (1009, 2923408134),
    (1081, 2680329256),
    (1153, 1546717673),
    (1225, 2713657846),
    (1297, 1046575299),
    (2508, 2017735779),
];

/// etcd's names: repeated at different distances.
fn name(n: u64) -> Bytes {
    let often = ["alice", "bob", "celine", "dominik", "eve", "frederica", "gorge"];
    let name = if n % 142 == 30 { "zenek" } else { often[n as usize % often.len()] };
    Bytes::from(if n % 142 == 101 { "xavery" } else { name }.as_bytes())
}

/// Rounds of puts, each followed by a hash and by a compaction at the same revision, as etcd's tests make them.
fn play(subject: &mut impl Subject, hashes: &[(u64, u32)]) {
    let mut compact_revision = 0;
    for (round, &(revision, hash)) in hashes.iter().enumerate() {
        let first = round as u64 * 71;
        let puts = if round + 1 < hashes.len() { 71 } else { 1210 };
        for n in first..=first + puts {
            let value = Bytes::from(n.to_string().as_bytes());
            subject.answer(&Op::Put(Put { key: name(n), value, ..Put::default() }), 0);
        }
        let got = subject.answer(&Op::Hash { revision }, 0);
        assert_eq!(got, Answer::Hash { hash, revision, compact_revision });
        assert!(matches!(subject.answer(&Op::Compact { revision }, 0), Answer::Compact { .. }));
        compact_revision = revision;
    }
}

#[test]
fn hashes_are_etcds() {
    for hashes in [INSIDE, NEWEST] {
        play(&mut Model::new(), &hashes);
        let mut engine = Engine::new(EngineOptions::default());
        engine.start().expect("a fresh engine starts");
        play(&mut Driven::new(engine), &hashes);
    }
}
