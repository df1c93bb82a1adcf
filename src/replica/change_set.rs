//! A run of transactions as bytes that another store can apply.
//!
//! `docs/format.md` has the bytes: a header that is checked before any of it is believed, then what became of leases, then
//! the records as the journal packs them.

use twox_hash::XxHash3_64;

use crate::codec::{self, BorrowDecode, Encode};
use crate::error::Error;
use crate::header::{Checked, Kind};
use crate::mvcc::{LeaseId, REVISION_MAX, Record, Revision};

const MAGIC: [u8; 4] = *b"rkvc";
const VERSION: u16 = 1;
/// The leases told are all there are.
const LEASES_COMPLETE: u16 = 1;
const FROM_AT: usize = 32;
const LENGTHS_AT: usize = 72;
const PAYLOAD_CHECKSUM_AT: usize = 80;
const CHECKSUM_AT: usize = 88;
const HEADER_BYTES: usize = CHECKSUM_AT + 8;
const KIND: Kind = Kind { magic: MAGIC, version: VERSION, checksum_at: CHECKSUM_AT, alien: "it is no change set" };

/// Committed transactions, whole and in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSet {
    /// The life of the store they are of.
    pub incarnation: [u8; 16],
    /// They go on from this revision...
    pub from: u64,
    /// ... and reach to this one; the same where there are none.
    pub to: u64,
    /// What [`Engine::apply_changes`](crate::Engine::apply_changes) takes.
    pub bytes: Vec<u8>,
}

/// What became of a [`ChangeSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The store's revision with it.
    pub revision: u64,
    /// The revisions that were new.
    pub applied: u64,
    /// The revisions that were there already.
    pub duplicates: u64,
    /// What the source had when it gave them.
    pub source_revision: u64,
}

/// What the header says, in the order stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
pub(crate) struct ChangeSetHeader {
    pub incarnation: [u8; 16],
    /// Of the source's opening.
    pub epoch: u64,
    pub from: u64,
    pub to: u64,
    /// What the source has; more than `to` if there is more to ask for.
    pub revision: u64,
    /// The source's.
    pub compact_revision: u64,
    /// The [`checksum`] of the last transactions up to `from`; 0 where the source cannot tell.
    pub previous: u64,
}

/// The checked part of a header, as it is stored.
#[derive(Encode, BorrowDecode)]
struct Stored {
    magic: [u8; 4],
    version: u16,
    flags: u16,
    header: ChangeSetHeader,
    lease_bytes: u32,
    record_bytes: u32,
    payload_checksum: u64,
}

/// What became of one lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
pub(crate) enum LeaseChange {
    /// It is there, with this deadline.
    Set { id: LeaseId, ttl_seconds: u64, deadline_ms: u64 },
    /// It is gone.
    Gone { id: LeaseId },
}

/// A change set that has been read and checked: everything in it decodes, and is what some request writes.
#[derive(Debug, Clone)]
pub(crate) struct OpenedChanges<'a> {
    pub header: ChangeSetHeader,
    /// The leases told are all there are.
    pub leases_complete: bool,
    leases: &'a [u8],
    records: &'a [u8],
}

/// Of the packed records of transactions. Each says its revision, so that a sum is enough. Never 0.
pub(crate) fn checksum(packed: &mut dyn Iterator<Item = (Revision, &[u8])>) -> u64 {
    packed.fold(0_u64, |sum, (_, packed)| sum.wrapping_add(XxHash3_64::oneshot(packed))).max(1)
}

/// What a change set holds, packed.
#[derive(Debug, Default)]
pub(crate) struct Payload {
    pub(super) leases: Vec<u8>,
    /// The leases told are all there are.
    pub leases_complete: bool,
    pub records: Vec<u8>,
}

impl Payload {
    pub fn lease(&mut self, change: LeaseChange) {
        codec::pack_into(&change, &mut self.leases);
    }

    /// The change set of this header.
    pub fn seal(mut self, header: &ChangeSetHeader) -> ChangeSet {
        let length = |length: usize| u32::try_from(length).expect("a change set is far smaller than 4 GiB");
        let (lease_bytes, record_bytes) = (length(self.leases.len()), length(self.records.len()));
        self.leases.append(&mut self.records);
        let stored = Stored {
            magic: MAGIC,
            version: VERSION,
            flags: if self.leases_complete { LEASES_COMPLETE } else { 0 },
            header: *header,
            lease_bytes,
            record_bytes,
            payload_checksum: XxHash3_64::oneshot(&self.leases),
        };
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.leases.len());
        codec::encode_into(&stored, &mut bytes);
        let checksum = XxHash3_64::oneshot(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes.append(&mut self.leases);
        let ChangeSetHeader { incarnation, from, to, .. } = *header;
        ChangeSet { incarnation, from, to, bytes }
    }
}

impl<'a> OpenedChanges<'a> {
    /// Reads a change set, which is all of `bytes`.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        let Checked { head, rest: payload, .. } = KIND.check(NAME, bytes)?;
        let stored: Stored = codec::decode(head).map_err(|_| corrupt(0, "the header cannot be read"))?;
        if stored.flags & !LEASES_COMPLETE != 0 {
            return Err(Error::UnsupportedFormat { blob: NAME.to_owned(), version: VERSION });
        }
        let (leases, records) = payload
            .split_at_checked(stored.lease_bytes as usize)
            .filter(|(_, records)| records.len() == stored.record_bytes as usize)
            .ok_or_else(|| corrupt(LENGTHS_AT, "the payload does not have its length"))?;
        if XxHash3_64::oneshot(payload) != stored.payload_checksum {
            return Err(corrupt(PAYLOAD_CHECKSUM_AT, "the payload does not match its checksum"));
        }
        let leases_complete = stored.flags & LEASES_COMPLETE != 0;
        let opened = Self { header: stored.header, leases_complete, leases, records };
        opened.validate()?;
        Ok(opened)
    }

    fn validate(&self) -> Result<(), Error> {
        let ChangeSetHeader { from, to, revision, .. } = self.header;
        if from == 0 || from > to || to > revision || revision > REVISION_MAX {
            return Err(corrupt(FROM_AT, "its revisions are not in order"));
        }
        let (mut set, mut gone, mut leases) = (None, None, Unpacked::new(self.leases));
        while let Some(lease) = leases.lease() {
            let (last, id) = match lease {
                LeaseChange::Set { id, .. } => (&mut set, id),
                LeaseChange::Gone { id } => (&mut gone, id),
            };
            if last.replace(id).is_some_and(|last| last >= id) {
                return Err(corrupt(HEADER_BYTES + leases.offset, "leases are not in order"));
            }
        }
        let (mut newest, mut records) = (Revision { main: from, sub: u32::MAX }, self.records(0));
        let records_at = HEADER_BYTES + self.leases.len();
        while let Some(record) = records.record() {
            let Revision { main, sub } = record.revision;
            let follows = if main == newest.main { newest.sub.checked_add(1) == Some(sub) } else { sub == 0 };
            if !follows || main < newest.main || main > to {
                return Err(corrupt(records_at + records.offset, "a record does not follow the one before"));
            }
            record.validate().map_err(|what| corrupt(records_at + records.offset, what))?;
            newest = record.revision;
        }
        for (unread, at) in [(leases, HEADER_BYTES), (records, records_at)] {
            if unread.offset < unread.bytes.len() {
                return Err(corrupt(at + unread.offset, "what follows cannot be read"));
            }
        }
        Ok(())
    }

    /// What those above find wrong with its leases.
    pub fn corrupt(&self, what: &'static str) -> Error {
        corrupt(HEADER_BYTES, what)
    }

    /// What became of leases: those set, and those gone, each ascending.
    pub fn leases(&self) -> impl Iterator<Item = LeaseChange> + use<'a> {
        let mut leases = Unpacked::new(self.leases);
        std::iter::from_fn(move || leases.lease())
    }

    /// The records behind revision `after`, ascending.
    pub fn records(&self, after: u64) -> Unpacked<'a> {
        let mut records = Unpacked::new(self.records);
        let mut next = records;
        while next.record().is_some_and(|record| record.revision.main <= after) {
            records = next;
        }
        records
    }
}

/// What errors call a change set.
const NAME: &str = "of changes";

fn corrupt(offset: usize, what: &'static str) -> Error {
    Error::Corrupt { blob: NAME.to_owned(), offset, what }
}

/// Reads packed values one after the other, up to the first that cannot be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unpacked<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Unpacked<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    #[inline(never)]
    fn record(&mut self) -> Option<Record<'a>> {
        self.step()
    }

    #[inline(never)]
    fn lease(&mut self) -> Option<LeaseChange> {
        self.step()
    }

    fn step<T: BorrowDecode<'a, ()>>(&mut self) -> Option<T> {
        let (value, length) = codec::unpack_prefix(&self.bytes[self.offset..]).ok()?;
        self.offset += length;
        Some(value)
    }
}

impl<'a> Iterator for Unpacked<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        self.record()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: ChangeSetHeader = ChangeSetHeader {
        incarnation: [7; 16],
        epoch: 3,
        from: 4,
        to: 6,
        revision: 9,
        compact_revision: 2,
        previous: 1,
    };

    fn put(main: u64, sub: u32) -> Record<'static> {
        let revision = Revision { main, sub };
        Record { revision, key: b"a", create_revision: main, version: 1, lease: LeaseId::NONE, value: b"v" }
    }

    fn sealed(header: &ChangeSetHeader, records: &[Record<'_>]) -> Vec<u8> {
        let mut packed = Vec::new();
        records.iter().for_each(|record| codec::pack_into(record, &mut packed));
        let mut payload = Payload { leases_complete: true, records: packed, ..Payload::default() };
        payload.lease(LeaseChange::Set { id: LeaseId(1), ttl_seconds: 2, deadline_ms: 3 });
        payload.lease(LeaseChange::Gone { id: LeaseId(4) });
        payload.seal(header).bytes
    }

    #[test]
    fn a_change_set_reads_back_as_it_was_sealed() {
        let records = [put(5, 0), put(6, 0), put(6, 1)];
        let bytes = sealed(&HEADER, &records);
        let opened = OpenedChanges::open(&bytes).expect("it was sealed");
        assert_eq!((&opened.header, opened.leases_complete), (&HEADER, true));
        assert_eq!(opened.leases().count(), 2);
        assert!(opened.records(0).eq(records) && opened.records(5).eq(records[1..].to_vec()));
        assert_eq!(bytes.len(), HEADER_BYTES + 6 + 3 * 9);
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_named() {
        let bytes = sealed(&HEADER, &[put(5, 0)]);
        let code = |bytes: &[u8]| OpenedChanges::open(bytes).map_or_else(|error| error.code(), |_| "ok");
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let expected = if (32..48).contains(&bit) { "UNSUPPORTED_FORMAT" } else { "CORRUPT" };
            assert_eq!(code(&damaged), expected, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(code(&bytes[..length]), "CORRUPT", "length {length}");
        }
        assert_eq!(code(&[&bytes[..], b"x"].concat()), "CORRUPT");
    }

    /// Behind right checksums: a checksum is no seal.
    #[test]
    fn what_no_source_says_is_damage() {
        let tombstone = Record { value: b"v", ..Record::tombstone(Revision { main: 5, sub: 0 }, b"a") };
        let rows: [(&str, ChangeSetHeader, Vec<Record<'_>>); 10] = [
            ("before the first revision", ChangeSetHeader { from: 0, ..HEADER }, vec![]),
            ("turned round", ChangeSetHeader { from: 7, ..HEADER }, vec![]),
            ("more than there is", ChangeSetHeader { revision: 5, ..HEADER }, vec![]),
            ("without end", ChangeSetHeader { to: u64::MAX, revision: u64::MAX, ..HEADER }, vec![]),
            ("a record of what is known", HEADER, vec![put(4, 0)]),
            ("a record of what comes later", HEADER, vec![put(7, 0)]),
            ("a transaction without its beginning", HEADER, vec![put(5, 1)]),
            ("a transaction with a hole", HEADER, vec![put(5, 0), put(5, 2)]),
            ("records that go back", HEADER, vec![put(6, 0), put(5, 0)]),
            ("a delete with a value", HEADER, vec![tombstone]),
        ];
        for (name, header, records) in rows {
            let code = OpenedChanges::open(&sealed(&header, &records)).map_or_else(|error| error.code(), |_| "ok");
            assert_eq!(code, "CORRUPT", "{name}");
        }
    }
}
