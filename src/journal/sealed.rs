//! Blobs of any content whose checksums are right, for tests of what no writer writes.

use super::blob::{self, Header, Stream};
use super::{Blob, blob_id};
use crate::mvcc::Revision;

/// What the header of a sealed blob says, as far as an input may choose it.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// The number of the blob.
    pub sequence: u64,
    /// The epoch of its writer.
    pub epoch: u64,
    /// Whether it holds notes, or else records.
    pub is_notes: bool,
    /// The positions that it takes.
    pub first: u64,
    /// The last of them.
    pub last: u64,
    /// The last revision that it is about.
    pub to: Revision,
    /// The last positions of records and notes.
    pub heads: [u64; 2],
    /// Which part of its piece it is.
    pub part: u32,
    /// Of how many.
    pub parts: u32,
    /// What it holds.
    pub payload: &'a [u8],
}

/// The pieces as blobs, each sealed, and chained to the one before in its stream.
pub fn seal(pieces: &[Piece<'_>]) -> Vec<Blob> {
    let (mut chains, mut others) = ([blob::CHAIN_START; 2], 0_u64);
    let seal = |piece: &Piece<'_>| {
        let Piece { sequence, epoch, is_notes, first, last, to, heads, part, parts, payload } = *piece;
        let stream = if is_notes { Stream::Notes } else { Stream::Records };
        let chain = chains[usize::from(is_notes)];
        let tail = blob::TAIL_OWN;
        let header = Header {
            incarnation: [7; 16],
            epoch,
            sequence,
            others,
            stream,
            first,
            last,
            to,
            chain,
            tail,
            heads,
            part,
            parts,
        };
        let (bytes, checksum) = header.seal(payload);
        others = others.wrapping_add(checksum);
        if part.saturating_add(1) >= parts {
            chains[usize::from(is_notes)] = checksum;
        }
        Blob { id: blob_id(sequence), bytes }
    };
    pieces.iter().map(seal).collect()
}
