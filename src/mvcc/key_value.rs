//! A key as it was at one revision, and the change that made it so.

use std::borrow::Cow;

use super::revision::{REVISION_MAX, Revision};
use crate::codec::{BorrowDecode, Encode, EncodeError, Encoder, Unpacker, Writer};

/// A lease's id. 0 is no lease.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, BorrowDecode)]
pub struct LeaseId(pub i64);

impl LeaseId {
    /// The id that means "no lease".
    pub const NONE: Self = Self(0);
}

/// A key and its value at some revision (etcd's `KeyValue`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue<'a> {
    /// The key's bytes.
    pub key: Cow<'a, [u8]>,
    /// The revision of the put that began the key's present life.
    pub create_revision: u64,
    /// The revision of the last change.
    pub mod_revision: u64,
    /// The number of puts in the key's present life.
    pub version: u64,
    /// The lease that the key is attached to, or [`LeaseId::NONE`].
    pub lease: LeaseId,
    /// The value's bytes; may be empty.
    pub value: Cow<'a, [u8]>,
}

impl KeyValue<'_> {
    /// The same, owning its bytes.
    pub fn into_owned(self) -> KeyValue<'static> {
        KeyValue { key: Cow::Owned(self.key.into_owned()), value: Cow::Owned(self.value.into_owned()), ..self }
    }
}

/// As it would be derived, in four writes: most of what is answered is this.
impl Encode for KeyValue<'_> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let numbers = [self.create_revision, self.mod_revision, self.version, self.lease.0.cast_unsigned()];
        let mut words = [0; 40];
        for (word, number) in
            words.as_chunks_mut().0.iter_mut().zip(numbers.into_iter().chain([self.value.len() as u64]))
        {
            *word = number.to_le_bytes();
        }
        let writer = encoder.writer();
        writer.write(&(self.key.len() as u64).to_le_bytes())?;
        writer.write(&self.key)?;
        writer.write(&words)?;
        writer.write(&self.value)
    }
}

/// What a change did to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode)]
pub enum EventKind {
    /// The key was given a value.
    Put,
    /// The key was removed, by a delete or by the end of its lease.
    Delete,
}

/// One change as watchers and `history` see it. A delete's `kv` has the key and the deleting `mod_revision` only.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct Event<'a> {
    /// What happened.
    pub kind: EventKind,
    /// The key after it.
    pub kv: KeyValue<'a>,
    /// The key before the transaction, where asked for, still there and not created by this put.
    pub prev_kv: Option<KeyValue<'a>>,
}

/// One row of the history, as it is kept in a leaf and in the journal. A tombstone's numbers are 0, its value empty;
/// no put has version 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
pub(crate) struct Record<'a> {
    pub revision: Revision,
    pub key: &'a [u8],
    pub create_revision: u64,
    pub version: u64,
    pub lease: LeaseId,
    pub value: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads a record from the front of what it was packed into.
    pub fn unpack(packed: &'a [u8]) -> Option<Self> {
        let mut packed = Unpacker(packed);
        Some(Self {
            revision: Revision::unpack(&mut packed)?,
            key: packed.bytes()?,
            create_revision: packed.number()?,
            version: packed.number()?,
            lease: LeaseId(packed.signed()?),
            value: packed.bytes()?,
        })
    }

    pub fn tombstone(revision: Revision, key: &'a [u8]) -> Self {
        Self { revision, key, create_revision: 0, version: 0, lease: LeaseId::NONE, value: &[] }
    }

    pub fn is_tombstone(&self) -> bool {
        self.version == 0
    }

    /// Refuses what no put and no delete writes, whatever was there before.
    pub fn validate(&self) -> Result<(), &'static str> {
        let Self { revision, key, create_revision, version, .. } = *self;
        if key.is_empty() || create_revision > revision.main || revision.sub == u32::MAX {
            return Err("a record says what no put or delete does");
        }
        if self.is_tombstone() && *self != Record::tombstone(revision, key) {
            return Err("a delete has a value, or what only a put has");
        }
        if version > REVISION_MAX || revision.main > REVISION_MAX {
            return Err("a record has a number larger than the revisions there are");
        }
        Ok(())
    }

    pub fn key_value(&self) -> KeyValue<'a> {
        KeyValue {
            key: Cow::Borrowed(self.key),
            create_revision: self.create_revision,
            mod_revision: self.revision.main,
            version: self.version,
            lease: self.lease,
            value: Cow::Borrowed(self.value),
        }
    }

    pub fn event(&self) -> Event<'a> {
        let kind = if self.is_tombstone() { EventKind::Delete } else { EventKind::Put };
        Event { kind, kv: self.key_value(), prev_kv: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    #[test]
    fn a_record_is_read_as_it_was_packed() {
        for (main, sub, lease) in [(1, 0, 0), (250, 251, -1), (REVISION_MAX, u32::MAX, i64::MIN), (70_000, 9, i64::MAX)]
        {
            let (key, value) = (&[1; 20][..], &[2; 300][..]);
            let revision = Revision { main, sub };
            let record = Record { revision, key, create_revision: main, version: 7, lease: LeaseId(lease), value };
            let mut packed = Vec::new();
            codec::pack_into(&record, &mut packed);
            assert_eq!(Record::unpack(&packed), Some(record));
            assert_eq!(Record::unpack(&packed[..packed.len() - 1]), None);
        }
    }

    #[test]
    fn a_key_value_is_encoded_as_its_fields_in_their_order() {
        let kv = KeyValue {
            key: Cow::Borrowed(b"key"),
            create_revision: 2,
            mod_revision: 1 << 40,
            version: 3,
            lease: LeaseId(-5),
            value: Cow::Borrowed(b"a value"),
        };
        let (mut whole, mut fields) = (Vec::new(), Vec::new());
        codec::encode_into(&kv, &mut whole);
        let KeyValue { key, create_revision, mod_revision, version, lease, value } = &kv;
        codec::encode_into(&(key, create_revision, mod_revision, version, lease, value), &mut fields);
        assert_eq!(whole, fields);
    }
}
