//! Reading back what is left of a journal that is damaged, and telling what is not.

use super::blob::{Stream, blob_id};
use super::note;
use super::recovery::{Read, Recovery, Restore, Whole, join, parts_of, restore_notes};
use crate::codec::Encode;
use crate::mvcc::{Record, sorted};

/// Something that was stored and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct Loss {
    /// The blob where it shows.
    pub blob: String,
    /// What is wrong there.
    pub what: String,
    /// The revisions of which something may be missing: from this one...
    pub from_revision: u64,
    /// ... to this one.
    pub to_revision: u64,
}

impl Recovery {
    /// Tells all that can still be read, whatever is missing; gives what cannot. Of several lives of the store, the newest
    /// one's.
    pub fn salvage(mut self, to: &mut dyn Restore) -> Vec<Loss> {
        let mut losses = Losses::default();
        self.blobs = sorted(self.blobs, &|a, b| a.header.sequence.cmp(&b.header.sequence));
        let Some(newest) = self.blobs.last().map(|read| read.header.clone()) else { return Vec::new() };
        let (own, foreign): (Vec<Read>, Vec<Read>) =
            self.blobs.into_iter().partition(|read| read.header.incarnation == newest.incarnation);
        for read in foreign {
            losses.add(read.header.sequence, "it belongs to another life of the store", 0, read.header.to.main);
        }
        let (records, notes): (Vec<Read>, Vec<Read>) =
            own.into_iter().partition(|read| read.header.stream == Stream::Records);
        let mut dead = Vec::new();
        let through = newest.to.main;
        for whole in islands(notes, newest.heads[1], through, &mut losses) {
            let sequence = whole.piece.blobs.start;
            if let Err(error) = restore_notes(vec![whole], &mut dead, to) {
                losses.add(sequence, &error.to_string(), 0, through);
            }
        }
        let dead = sorted(dead, &|a, b| a.cmp(b));
        let mut end = 0;
        for whole in islands(records, newest.heads[0], through, &mut losses) {
            let sequence = whole.piece.blobs.start;
            let piece_to = whole.piece.to;
            end = piece_to.main;
            let each = note::unpack_each(&whole.payload, |record: Record<'_>, _| {
                let revision = record.revision;
                let told = match () {
                    () if revision > piece_to => Err("a record is not of this piece"),
                    () if dead.binary_search(&revision).is_ok() => Ok(()),
                    () => to.record(&record),
                };
                if let Err(what) = told {
                    losses.add(sequence, what, revision.main, revision.main);
                }
                Ok(())
            });
            if let Err((_, what)) = each {
                losses.add(sequence, what, 0, end);
            }
        }
        if let Err(what) = to.end(end) {
            losses.add(newest.sequence, what, 0, end);
        }
        losses.0
    }
}

/// The pieces of a stream that are there whole, in order, and each gap between them as a loss.
fn islands(blobs: Vec<Read>, head: u64, through: u64, losses: &mut Losses) -> Vec<Whole> {
    let mut blobs = sorted(blobs, &|a, b| a.header.first.cmp(&b.header.first));
    let mut islands: Vec<Whole> = Vec::new();
    let mut rest = &mut blobs[..];
    while let Some(header) = rest.first().map(|read| read.header.clone()) {
        let (last, to) = islands.last().map_or((0, 0), |whole| (whole.piece.last, whole.piece.to.main));
        let parts = parts_of(rest).unwrap_or(0);
        let fits = parts > 0 && header.first > last && header.to.main >= to;
        let (piece, others) = std::mem::take(&mut rest).split_at_mut(parts.max(1));
        rest = others;
        if !fits {
            losses.add(
                header.sequence,
                "a part of its piece is missing, or it takes the place of another",
                to,
                header.to.main,
            );
            continue;
        }
        if header.first > last + 1 {
            losses.add(header.sequence, "what comes before it is missing", to, header.to.main);
        }
        islands.push(join(piece));
    }
    let (last, to) = islands.last().map_or((0, 0), |whole| (whole.piece.last, whole.piece.to.main));
    if last < head {
        losses.add(0, "the newest pieces are missing", to, through.max(to));
    }
    islands
}

#[derive(Default)]
struct Losses(Vec<Loss>);

impl Losses {
    fn add(&mut self, sequence: u64, what: &str, from_revision: u64, to_revision: u64) {
        self.0.push(Loss { blob: blob_id(sequence), what: what.to_owned(), from_revision, to_revision });
    }
}
