//! The leases of the engine: granted, kept alive, ended by hand or by time, and granted for what one request writes.

use super::{Engine, Response};
use crate::codec::{BorrowDecode, Encode};
use crate::error::Error;
use crate::journal::Note;
use crate::lease::{self, LeaseInfo};
use crate::mvcc::{Commit, LeaseId, Put, Txn};

/// A request whose puts may name leases that are granted with it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub enum LeasedRequest<'a> {
    /// Gives a key a value.
    Put(Put<'a>),
    /// Runs a transaction.
    Txn(Txn<'a>),
    /// Writes any number of keys.
    Commit(Commit<'a>),
}

impl Engine {
    /// Ends the leases whose deadline has passed, each in a revision of its own.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn tick(&mut self, now_ms: u64) -> Result<(), Error> {
        while let Some(id) = self.lessor.expired(now_ms) {
            self.revoke(id)?;
        }
        self.tell(now_ms);
        Ok(())
    }

    /// When the next lease ends, in ms: call [`Engine::tick`] then. 0: one is over.
    pub fn next_deadline(&self) -> Option<u64> {
        self.lessor.next_deadline()
    }

    /// A lease as it stands at this time. To ask is not to tell: a read leaves no trace, so that a lease which has nothing
    /// left by it is over only with the next request or tick.
    pub fn lease(&self, id: LeaseId, now_ms: u64) -> Option<LeaseInfo> {
        self.lessor.info(id, now_ms)
    }

    /// Every lease, ids ascending.
    pub fn leases(&self) -> Vec<LeaseId> {
        self.lessor.iter().map(|(id, _, _)| id).collect()
    }

    pub(super) fn grant(&mut self, id: LeaseId, ttl_seconds: u64, now_ms: u64) -> Result<Response, Error> {
        self.lessor.check_grant(id, ttl_seconds)?;
        self.set_lease(id, ttl_seconds, now_ms);
        Ok(Response::LeaseGrant { revision: self.store.current(), id, ttl_seconds })
    }

    pub(super) fn keep_alive(&mut self, id: LeaseId, now_ms: u64) -> Result<Response, Error> {
        let ttl_seconds = self.lessor.ttl_seconds(id, now_ms)?;
        self.set_lease(id, ttl_seconds, now_ms);
        Ok(Response::LeaseKeepAlive { revision: self.store.current(), ttl_seconds })
    }

    fn set_lease(&mut self, id: LeaseId, ttl_seconds: u64, now_ms: u64) {
        let deadline_ms = lease::deadline(ttl_seconds, now_ms);
        self.lessor.set(id, ttl_seconds, deadline_ms, self.store.current());
        self.note(&Note::Lease { id, ttl_seconds, deadline_ms });
    }

    /// Lets the lessor know the time; what it moves for that is stored.
    pub(super) fn tell(&mut self, now_ms: u64) {
        for (id, ttl_seconds, deadline_ms) in self.lessor.tell(now_ms, self.store.current()) {
            self.note(&Note::Lease { id, ttl_seconds, deadline_ms });
        }
    }

    /// The deleted keys and the end of the lease reach the storage in one batch: no crash comes between.
    pub(super) fn revoke(&mut self, id: LeaseId) -> Result<Response, Error> {
        let keys = self.lessor.keys(id)?;
        let revision = self.write(|store, _| Ok(store.delete_keys(keys.iter().map(|key| &**key))))?;
        self.lessor.remove(id, revision);
        self.note(&Note::LeaseGone { id });
        Ok(Response::LeaseRevoke { revision })
    }

    pub(super) fn leased(
        &mut self,
        leases: &[(LeaseId, u64)],
        request: LeasedRequest<'_>,
        now_ms: u64,
    ) -> Result<Response, Error> {
        for (place, &(id, ttl_seconds)) in leases.iter().enumerate() {
            self.lessor.check_grant(id, ttl_seconds)?;
            if leases[..place].iter().any(|(other, _)| *other == id) {
                return Err(Error::LeaseExists { id: id.0 });
            }
        }
        let before = self.store.current();
        leases.iter().for_each(|&(id, ttl_seconds)| self.set_lease(id, ttl_seconds, now_ms));
        let result = match request {
            LeasedRequest::Put(put) => self.put(&put),
            LeasedRequest::Txn(txn) => self.txn(&txn),
            LeasedRequest::Commit(commit) => self.commit(&commit),
        };
        if self.store.current() == before {
            for &(id, _) in leases {
                self.lessor.remove(id, before);
                self.note(&Note::LeaseGone { id });
            }
        }
        result
    }
}
