//! The engine as it gives another one everything, and takes it.

use super::Engine;
use super::stored::{NOTHING, Restoring, attach};
use crate::error::Error;
use crate::journal::Transfer;
use crate::lease::Lessor;
use crate::mvcc::Store;
use crate::replica::Requests;

/// Names a snapshot that is being given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransferId(pub u32);

impl Engine {
    /// Begins to give another engine everything at a revision (0: now), with the history from the compact revision on,
    /// in chunks of about 48 KiB that are made as they are asked for. As long as one is under way nothing is removed of
    /// what is compacted; end those that nobody asks for any more.
    ///
    /// # Errors
    /// `COMPACTED`, `FUTURE_REVISION`.
    ///
    /// ```
    /// # use revkv::{Engine, EngineOptions, Put, Request};
    /// # let mut leader = Engine::new(EngineOptions { incarnation: [1; 16], ..EngineOptions::default() });
    /// # leader.start()?;
    /// # let mut follower = Engine::new(EngineOptions::default());
    /// # follower.start()?;
    /// # leader.apply(Request::Put(Put { key: b"a", value: b"1", ..Put::default() }), 0)?;
    /// let transfer = leader.begin_transfer(0)?;
    /// while let Some(chunk) = leader.transfer_chunk(transfer)? {
    ///     follower.receive_chunk(&chunk)?;
    /// }
    /// leader.end_transfer(transfer);
    /// assert_eq!((follower.revision(), follower.incarnation()), (2, [1; 16]));
    /// # Ok::<(), revkv::Error>(())
    /// ```
    pub fn begin_transfer(&mut self, revision: u64) -> Result<TransferId, Error> {
        let transfer = self.transfer(revision, true)?;
        Ok(self.add_transfer(transfer))
    }

    pub(super) fn add_transfer(&mut self, transfer: Transfer) -> TransferId {
        self.transferred += 1;
        let id = TransferId(self.transferred);
        self.transfers.push((id, transfer));
        id
    }

    /// The next chunk; none when all have been given.
    ///
    /// # Errors
    /// `RESTORED` if the content was replaced meanwhile, or the transfer was ended.
    pub fn transfer_chunk(&mut self, id: TransferId) -> Result<Option<Vec<u8>>, Error> {
        let Self { store, transfers, .. } = self;
        let (_, transfer) = transfers.iter_mut().find(|(own, _)| *own == id).ok_or(Error::Restored)?;
        Ok(transfer.next_chunk(store))
    }

    /// Ends a transfer, whatever has been given. `false`: there is none. What was compacted meanwhile is removed by
    /// [`Engine::compact_step`].
    pub fn end_transfer(&mut self, id: TransferId) -> bool {
        let before = self.transfers.len();
        self.transfers.retain(|(own, _)| *own != id);
        self.transfers.len() < before
    }

    /// Takes the next chunk of a snapshot; with the last one everything here is replaced by it, and the revision is given
    /// that it is of. The first chunk of another snapshot begins anew.
    ///
    /// Where it has all that is here, watches go on where they were, and snapshots that can still be read. Else snapshots are
    /// released, and watches that were told of what is not in it end with `RESTORED`.
    ///
    /// # Errors
    /// `CORRUPT` and `UNSUPPORTED_FORMAT`; nothing has changed, and another snapshot is needed.
    pub fn receive_chunk(&mut self, chunk: &[u8]) -> Result<Option<u64>, Error> {
        let mut incoming = std::mem::take(&mut self.incoming);
        if !incoming.push(chunk)? {
            self.incoming = incoming;
            return Ok(None);
        }
        let (mut store, mut lessor) = (Store::new(self.options.limits), Lessor::default());
        let incarnation = incoming.finish(&mut Restoring::new(&mut store, &mut lessor))?;
        attach(&store, &mut lessor);
        let newest = store.current();
        let incarnation = incarnation.unwrap_or_default();
        self.replace(store, lessor, incarnation);
        self.set_durable(NOTHING, 0);
        self.renew(incarnation);
        Ok(Some(newest))
    }

    /// Begins to lead, in a tab that followed until now: with what the storage holds, which `found` has recovered. It was
    /// started, and has taken nothing but its claim. Watches and snapshots go on as over a snapshot that was received.
    pub fn lead(&mut self, found: Self) {
        let incarnation = found.incarnation();
        let (durable, compacted) = (found.durable, found.durable_compacted);
        self.replace(found.store, found.lessor, incarnation);
        (self.options, self.journal, self.requests) = (found.options, found.journal, found.requests);
        self.claimed_epoch = found.claimed_epoch;
        self.set_durable(durable, compacted);
    }

    /// Leads no more: another tab writes to the storage, or is to. What is not stored is still here, and does not count as
    /// durable, until the next leader has told the same or something else.
    pub fn resign(&mut self) {
        self.is_doubtful |= self.journal.is_some();
        self.led = self.led.max(self.claimed_epoch);
        self.options.incarnation = self.incarnation();
        self.options.blob_bytes_max = 0;
        self.journal = None;
        self.requests = Requests::default();
        self.transfers.clear();
        self.lessor.forget_time();
    }

    /// Puts another content in the place of this one.
    pub(super) fn replace(&mut self, mut store: Store, lessor: Lessor, incarnation: [u8; 16]) {
        let kept = match () {
            () if incarnation == self.incarnation() => {
                let common = self.store.common(&store);
                if self.is_comparable(store.compacted()) { common } else { common.min(self.durable) }
            }
            // Nothing was told of what is not there.
            () if self.is_untouched() => u64::MAX,
            () => 0,
        };
        let newest = store.current();
        if kept >= self.store.current() {
            store.take_pins(&self.store, kept);
        } else {
            self.replaced += 1;
        }
        (self.store, self.lessor) = (store, lessor);
        self.is_doubtful = false;
        self.transfers.clear();
        self.requests = Requests::default();
        if kept > 0 {
            self.watchers.rewind(kept, newest);
        } else {
            self.watchers.end_all();
        }
    }
}
