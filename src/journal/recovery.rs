//! Reading the journal back: every blob checked by itself, then the pieces against each other, then what they hold.

use super::blob::{self, Header, Opened, Stream, TAIL_OWN, blob_id};
use super::note::{self, Note};
use super::pieces::{Piece, Pieces};
use crate::error::Error;
use crate::mvcc::{REVISION_MAX, Record, Revision, sorted};

/// What is told to whoever the journal is read back for. What they refuse is damage.
pub(crate) trait Restore {
    /// All notes come before all records.
    fn note(&mut self, note: &Note<'_>) -> Result<(), &'static str>;
    /// Ascending.
    fn record(&mut self, record: &Record<'_>) -> Result<(), &'static str>;
    /// The revision that the records reach to.
    fn end(&mut self, revision: u64) -> Result<(), &'static str>;
}

/// The blobs read so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recovery {
    pub(super) blobs: Vec<Read>,
}

#[derive(Debug, Clone)]
pub(super) struct Read {
    pub header: Header,
    checksum: u64,
    payload: Vec<u8>,
}

/// What a journal goes on from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recovered {
    pub incarnation: Option<[u8; 16]>,
    pub epoch: u64,
    pub sequence: u64,
    pub(super) records: Pieces,
    pub(super) notes: Pieces,
}

/// A piece of which every blob is there.
pub(super) struct Whole {
    pub piece: Piece,
    pub payload: Vec<u8>,
}

impl Recovery {
    /// Takes a blob. They may come in any order.
    pub fn push(&mut self, id: &str, bytes: &[u8]) -> Result<(), Error> {
        let Opened { header, payload, checksum } = Header::open(id, bytes)?;
        let Header { epoch, sequence, last, to, heads, .. } = header;
        if [epoch, sequence, last, to.main, heads[0], heads[1]].iter().any(|number| *number > REVISION_MAX) {
            return Err(damage(sequence, 0, "a number is larger than any that was written"));
        }
        self.blobs.push(Read { header, checksum, payload: payload.to_vec() });
        Ok(())
    }

    /// Checks that nothing is missing, and tells what there is.
    pub fn finish(mut self, to: &mut dyn Restore) -> Result<Recovered, Error> {
        self.blobs = sorted(self.blobs, &|a, b| a.header.sequence.cmp(&b.header.sequence));
        let Some((newest, others)) = self.blobs.split_last() else { return Ok(Recovered::default()) };
        let (newest, others) = (newest.header.clone(), sum(others));
        self.check_one_life()?;
        let (records, notes): (Vec<Read>, Vec<Read>) =
            self.blobs.into_iter().partition(|read| read.header.stream == Stream::Records);
        let notes = row(notes, newest.heads[1], newest.sequence)?;
        let records = row(records, newest.heads[0], newest.sequence)?;
        // Last, because it cannot say which of them.
        if newest.others != others {
            return Err(damage(newest.sequence, 0, "another blob is not the one that was there when it was written"));
        }
        let mut dead = Vec::new();
        let notes = restore_notes(notes, &mut dead, to)?;
        let dead = sorted(dead, &|a, b| a.cmp(b));
        let records = restore_records(records, &dead, to)?;
        if notes.to() > Revision::first_of(records.to().main) || dead.last() > Some(&records.to()) {
            return Err(damage(newest.sequence, 0, "its notes are of later than its records"));
        }
        to.end(records.to().main).map_err(|what| damage(newest.sequence, 0, what))?;
        let Header { incarnation, epoch, sequence, .. } = newest;
        Ok(Recovered { incarnation: Some(incarnation), epoch, sequence, records, notes })
    }

    fn check_one_life(&self) -> Result<(), Error> {
        for pair in self.blobs.windows(2) {
            let (before, after) = (&pair[0].header, &pair[1].header);
            let what = match () {
                () if before.sequence == after.sequence => "it is there twice",
                () if before.incarnation != after.incarnation => "it belongs to another life of the store",
                () if before.epoch > after.epoch => "its writer was deposed by the one before",
                () if before.heads.iter().zip(&after.heads).any(|(before, after)| before > after) => {
                    "its positions go back"
                }
                () => continue,
            };
            return Err(damage(after.sequence, 0, what));
        }
        Ok(())
    }
}

/// Of the header checksums of these blobs.
fn sum(blobs: &[Read]) -> u64 {
    blobs.iter().fold(0, |sum, read| sum.wrapping_add(read.checksum))
}

/// The pieces of a stream in the order of positions, from 1 to `head` without a hole, each chained to the one before.
fn row(blobs: Vec<Read>, head: u64, newest: u64) -> Result<Vec<Whole>, Error> {
    // Parts of a piece stay as they stand, in the order of their numbers.
    let mut blobs = sorted(blobs, &|a, b| a.header.first.cmp(&b.header.first));
    let mut row: Vec<Whole> = Vec::new();
    let mut rest = &mut blobs[..];
    while let Some(header) = rest.first().map(|read| read.header.clone()) {
        let (first, chain, after) = row.last().map_or((1, blob::CHAIN_START, Revision::first_of(0)), |whole| {
            (whole.piece.last + 1, whole.piece.tail, whole.piece.to)
        });
        let what = match () {
            () if header.first > first => Some("what comes before it is missing"),
            () if header.first < first || header.last < header.first => Some("it takes the place of another"),
            () if header.chain != chain => Some("it does not follow the piece before"),
            () if header.to < after => Some("its revision goes back"),
            () => None,
        };
        if let Some(what) = what {
            return Err(damage(header.sequence, 0, what));
        }
        let parts = parts_of(rest).map_err(|what| damage(header.sequence, 0, what))?;
        let (piece, others) = std::mem::take(&mut rest).split_at_mut(parts);
        rest = others;
        row.push(join(piece));
    }
    match row.last().map_or(0, |whole| whole.piece.last) {
        last if last == head => Ok(row),
        last if last < head => Err(damage(newest, 0, "the newest pieces before it are missing")),
        _ => Err(damage(newest, 0, "there is more than it knows of")),
    }
}

/// The number of blobs that make the piece which begins with the first of these.
pub(super) fn parts_of(blobs: &[Read]) -> Result<usize, &'static str> {
    let first = &blobs[0].header;
    let parts = blobs.iter().zip(0..first.parts).take_while(|(read, part)| {
        let sequence = first.sequence + u64::from(*part);
        let expected = Header { part: *part, sequence, others: read.header.others, ..first.clone() };
        read.header == expected
    });
    let parts = parts.count();
    if parts == first.parts as usize && parts > 0 { Ok(parts) } else { Err("a part of its piece is missing") }
}

pub(super) fn join(parts: &mut [Read]) -> Whole {
    let Read { header, checksum, .. } = &parts[parts.len() - 1];
    let Header { last, to, tail, sequence, .. } = *header;
    let tail = if tail == TAIL_OWN { *checksum } else { tail };
    let (blobs, sum) = (parts[0].header.sequence..sequence + 1, sum(parts));
    let payload = match parts {
        [only] => std::mem::take(&mut only.payload),
        _ => parts.iter_mut().flat_map(|part| std::mem::take(&mut part.payload)).collect(),
    };
    Whole { piece: Piece { blobs, sum, ..Piece::new(last, to, tail, payload.len()) }, payload }
}

pub(super) fn restore_notes(row: Vec<Whole>, dead: &mut Vec<Revision>, to: &mut dyn Restore) -> Result<Pieces, Error> {
    let mut pieces = Pieces::default();
    for Whole { piece, payload } in row {
        let each = note::unpack_each(&payload, |note, _| match note {
            Note::Dead { revisions } => note::unpack_each(revisions, |revision, _| {
                dead.push(revision);
                Ok(())
            })
            .map_err(|(_, what)| what),
            note => to.note(&note),
        });
        each.map_err(|(offset, what)| damage(piece.blobs.start, offset, what))?;
        pieces.push(piece);
    }
    Ok(pieces)
}

fn restore_records(row: Vec<Whole>, dead: &[Revision], to: &mut dyn Restore) -> Result<Pieces, Error> {
    let mut pieces = Pieces::default();
    for Whole { mut piece, payload } in row {
        let span = (pieces.to(), piece.to);
        let each = note::unpack_each(&payload, |record: Record<'_>, bytes| {
            let revision = record.revision;
            if revision <= span.0 || revision > span.1 {
                return Err("a record is not of this piece");
            }
            if dead.binary_search(&revision).is_ok() {
                piece.dead.push(revision);
                piece.dead_bytes += bytes;
                return Ok(());
            }
            to.record(&record)
        });
        each.map_err(|(offset, what)| damage(piece.blobs.start, offset, what))?;
        pieces.push(piece);
    }
    Ok(pieces)
}

/// Offsets count in the payload of a piece, from its first blob on.
fn damage(sequence: u64, offset: usize, what: &'static str) -> Error {
    Error::Corrupt { blob: blob_id(sequence), offset, what }
}
