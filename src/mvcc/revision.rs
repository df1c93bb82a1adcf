//! Where a change lies in the history: `main` counts transactions, `sub` the changes inside one.

use std::fmt;

use crate::codec::{BorrowDecode, Encode, Unpacker};

/// No count gets there, one by one; and JavaScript holds it exactly.
pub(crate) const REVISION_MAX: u64 = 1 << 53;

/// The position of one change, ordered by `main`, then `sub`.
///
/// ```text
/// put a          -> (2, 0)
/// txn{ put b     -> (3, 0)
///      delete a  -> (3, 1) }
/// ```
///
/// A fresh store is at main revision 1; a transaction that changes something takes the next one, whatever the number
/// of its changes. Where one number is enough (a store's revision, a read at a revision) it
/// is the `main`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, BorrowDecode)]
pub struct Revision {
    /// The transaction.
    pub main: u64,
    /// The change inside it, in the order of execution.
    pub sub: u32,
}

impl Revision {
    /// The first change of transaction `main`.
    pub(crate) fn first_of(main: u64) -> Self {
        Self { main, sub: 0 }
    }
}

impl Revision {
    /// Reads the next of what was packed.
    #[inline]
    pub(super) fn unpack(packed: &mut Unpacker<'_>) -> Option<Self> {
        Some(Self { main: packed.number()?, sub: u32::try_from(packed.number()?).ok()? })
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.main, self.sub)
    }
}
