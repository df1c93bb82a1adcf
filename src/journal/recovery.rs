//! Reading the journal back: blobs in, batches out, each blob checked against itself and the one before.

use super::segment::{self, Header};
use crate::codec;
use crate::error::Error;
use crate::mvcc::REVISION_MAX;

use super::Entry;

/// What has been read so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recovery {
    last: Option<(Header, u64)>,
    blobs: Vec<String>,
    /// The parts of a batch whose last part is still to come.
    parts: Vec<u8>,
}

/// A whole batch: the store's revision after it, and its entries.
pub(crate) struct Batch {
    pub through: u64,
    payload: Vec<u8>,
}

impl Batch {
    /// Hands each entry to `apply`, in order. What it or the encoding refuses is damage in this blob.
    pub fn each(&self, id: &str, mut apply: impl FnMut(Entry<'_>) -> Result<(), &'static str>) -> Result<(), Error> {
        let mut offset = 0;
        while offset < self.payload.len() {
            let corrupt = |what| Error::Corrupt { blob: id.to_owned(), offset, what };
            let read = codec::unpack_prefix(&self.payload[offset..]);
            let (entry, bytes) = read.map_err(|_| corrupt("an entry cannot be read"))?;
            apply(entry).map_err(corrupt)?;
            offset += bytes;
        }
        Ok(())
    }
}

impl Recovery {
    /// Takes the next blob, ids ascending. Gives the batch that it completes.
    pub fn push(&mut self, id: &str, bytes: &[u8]) -> Result<Option<Batch>, Error> {
        let (header, payload, chain) = Header::open(id, bytes)?;
        self.check_follows(&header).map_err(|what| Error::Corrupt { blob: id.to_owned(), offset: 0, what })?;
        self.parts.extend_from_slice(payload);
        let complete = header.part + 1 == header.parts;
        let through = header.through;
        self.blobs.push(id.to_owned());
        self.last = Some((header, chain));
        Ok(complete.then(|| Batch { through, payload: std::mem::take(&mut self.parts) }))
    }

    fn check_follows(&self, header: &Header) -> Result<(), &'static str> {
        if [header.epoch, header.sequence, header.through].iter().any(|number| *number > REVISION_MAX) {
            return Err("a number is larger than any that was written");
        }
        let expected = self.last.as_ref().map_or(segment::CHAIN_START, |(_, chain)| *chain);
        if header.chain != expected {
            return Err("it does not follow the blob before: one is missing or foreign");
        }
        let part =
            self.last.as_ref().filter(|(last, _)| last.part + 1 < last.parts).map_or(0, |(last, _)| last.part + 1);
        if header.part != part || header.part >= header.parts {
            return Err("it is not the part of a batch that comes next");
        }
        match &self.last {
            Some((last, _)) if last.incarnation != header.incarnation => Err("it belongs to another life of the store"),
            Some((last, _)) if last.epoch > header.epoch => Err("its writer was deposed by the one before"),
            Some((last, _)) if last.through > header.through => Err("its revision goes back"),
            _ => Ok(()),
        }
    }

    /// The journal must not end inside a batch: a medium writes a batch whole or not at all.
    pub fn finish(&self) -> Result<(), Error> {
        match &self.last {
            Some((last, _)) if last.part + 1 < last.parts => {
                let blob = segment::blob_id(last.sequence);
                Err(Error::Corrupt { blob, offset: 0, what: "the rest of its batch is missing" })
            }
            _ => Ok(()),
        }
    }

    pub fn incarnation(&self) -> Option<[u8; 16]> {
        self.last.as_ref().map(|(header, _)| header.incarnation)
    }

    pub fn epoch(&self) -> u64 {
        self.last.as_ref().map_or(0, |(header, _)| header.epoch)
    }

    pub fn sequence(&self) -> u64 {
        self.last.as_ref().map_or(0, |(header, _)| header.sequence)
    }

    pub fn chain(&self) -> u64 {
        self.last.as_ref().map_or(segment::CHAIN_START, |(_, chain)| *chain)
    }

    pub fn blobs(&self) -> &[String] {
        &self.blobs
    }
}
