//! The conditions of a transaction.

use std::cmp::Ordering;

use super::key_value::{KeyValue, LeaseId};
use super::range::KeyRange;
use super::store::Store;
use crate::codec::{BorrowDecode, Encode};

/// What of the key is compared, and with what. It is read as "stored <result> given".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
pub enum CompareTarget<'a> {
    /// The number of puts in the key's life; 0 is an absent key.
    Version(u64),
    /// When the key's life began; 0 is an absent key.
    CreateRevision(u64),
    /// When the key last changed; 0 is an absent key.
    ModRevision(u64),
    /// The value. On an absent key every comparison with a value is false, "not equal" too.
    Value(&'a [u8]),
    /// The lease; an absent key has none.
    Lease(LeaseId),
}

/// How the stored side must stand to the given one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
pub enum CompareResult {
    /// stored = given
    #[default]
    Equal,
    /// stored != given
    NotEqual,
    /// stored > given
    Greater,
    /// stored < given
    Less,
}

/// One condition. Of a range, every key must fulfil it; a range without a key is like an absent key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub struct Compare<'a> {
    /// The keys that must fulfil it.
    pub keys: KeyRange<'a>,
    /// What is compared with what.
    pub target: CompareTarget<'a>,
    /// How they must stand.
    pub result: CompareResult,
}

impl Compare<'_> {
    /// Whether it holds now.
    pub(super) fn holds(&self, store: &Store) -> bool {
        let mut kvs = store.keys_at(self.keys, store.current()).peekable();
        if kvs.peek().is_none() { self.holds_absent() } else { kvs.all(|kv| self.holds_for(&kv)) }
    }

    fn holds_for(&self, kv: &KeyValue<'_>) -> bool {
        self.result.admits(match self.target {
            CompareTarget::Version(given) => kv.version.cmp(&given),
            CompareTarget::CreateRevision(given) => kv.create_revision.cmp(&given),
            CompareTarget::ModRevision(given) => kv.mod_revision.cmp(&given),
            CompareTarget::Value(given) => (*kv.value).cmp(given),
            CompareTarget::Lease(given) => kv.lease.cmp(&given),
        })
    }

    fn holds_absent(&self) -> bool {
        self.result.admits(match self.target {
            CompareTarget::Version(given)
            | CompareTarget::CreateRevision(given)
            | CompareTarget::ModRevision(given) => 0.cmp(&given),
            CompareTarget::Lease(given) => LeaseId::NONE.cmp(&given),
            CompareTarget::Value(_) => return false,
        })
    }
}

impl CompareResult {
    fn admits(self, stored: Ordering) -> bool {
        match self {
            CompareResult::Equal => stored.is_eq(),
            CompareResult::NotEqual => stored.is_ne(),
            CompareResult::Greater => stored.is_gt(),
            CompareResult::Less => stored.is_lt(),
        }
    }
}
