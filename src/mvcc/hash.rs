//! One number for a history: equal to what etcd's HashKV gives for the same one.
//!
//! CRC-32C over the bytes that etcd would have in its backend: the name of the bucket, then each row's key and value
//! (etcd's `kvHasher`). Rows at or below the compact revision count only while a read at the hashed revision sees them;
//! where it sees no key at all, those count that a read at the compact revision sees. The number does not depend on how
//! far the removal has come; in the second case etcd's does, until it has removed all it will (etcd-io/etcd#18337).

use crc::{CRC_32_ISCSI, Crc, Digest, Table};

use super::key_value::Record;
use super::range::KeyRange;
use super::revision::Revision;
use super::store::Store;
use crate::codec::Encode;
use crate::error::Error;

static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISCSI);

/// The hash of a history, and what it depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode)]
pub struct Hash {
    /// The number.
    pub hash: u32,
    /// The last revision that counts.
    pub revision: u64,
    /// The compact revision. Hashes of stores with different ones do not compare.
    pub compact_revision: u64,
}

impl Store {
    /// The hash of all revisions up to this one (0: now).
    pub fn hash(&self, revision: u64) -> Result<Hash, Error> {
        let revision = self.unpinned(revision)?;
        let compact_revision = self.compacted();
        let mut digest = CRC.digest();
        digest.update(b"key");
        let mut row = Row::default();
        let is_empty = self.index.range(KeyRange::ALL, revision).next().is_none();
        let seen_from = if is_empty { compact_revision } else { revision };
        for record in self.records_from(0).take_while(|record| record.revision.main <= revision) {
            if self.counts(&record, seen_from) {
                row.feed(&record, &mut digest);
            }
        }
        Ok(Hash { hash: digest.finalize(), revision, compact_revision })
    }

    fn counts(&self, record: &Record<'_>, seen_from: u64) -> bool {
        let seen = || self.index.get(record.key).and_then(|index| index.get(seen_from));
        record.revision.main > self.compacted() || seen().is_some_and(|change| change.revision() == record.revision)
    }
}

/// A row as etcd stores it, in a buffer that is used again.
#[derive(Default)]
struct Row(Vec<u8>);

impl Row {
    fn feed(&mut self, record: &Record<'_>, digest: &mut Digest<'_, u32, Table<1>>) {
        self.0.clear();
        self.key(record.revision, record.is_tombstone());
        self.value(record);
        digest.update(&self.0);
    }

    /// Main and sub, big-endian, with `_` between; a tombstone is marked with `t`.
    fn key(&mut self, revision: Revision, tombstone: bool) {
        self.0.extend(revision.main.to_be_bytes());
        self.0.push(b'_');
        self.0.extend(u64::from(revision.sub).to_be_bytes());
        if tombstone {
            self.0.push(b't');
        }
    }

    /// etcd's protobuf KeyValue: fields in the order of their numbers, empty ones left out.
    fn value(&mut self, record: &Record<'_>) {
        self.bytes(1, record.key);
        if !record.is_tombstone() {
            self.number(2, record.create_revision);
            self.number(3, record.revision.main);
            self.number(4, record.version);
            self.bytes(5, record.value);
            self.number(6, record.lease.0.cast_unsigned());
        }
    }

    fn number(&mut self, field: u8, number: u64) {
        if number != 0 {
            self.0.push(field << 3);
            self.varint(number);
        }
    }

    fn bytes(&mut self, field: u8, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.0.push(field << 3 | 2);
            self.varint(bytes.len() as u64);
            self.0.extend(bytes);
        }
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }
}
