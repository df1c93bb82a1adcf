//! A backup: everything at one revision as a journal of its own, its blobs end to end.
//!
//! It is a [`super::Transfer`] in one piece. A blob says how long it is and is checked by itself, and the pieces are checked
//! against each other, so that a backup is read with what reads a medium, and what is cut, damaged or not one is found
//! before anything is touched.

use super::recovery::Restore;
use super::transfer::Incoming;
use crate::error::Error;

/// Reads a backup back.
pub(crate) fn restore_backup(bytes: &[u8], to: &mut dyn Restore) -> Result<(), Error> {
    let mut incoming = Incoming::default();
    if !incoming.push(bytes)? {
        return Err(Error::Corrupt { blob: "of a backup".to_owned(), offset: bytes.len(), what: "it is cut short" });
    }
    incoming.finish(to).map(drop)
}
