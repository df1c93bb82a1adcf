//! How an input tells a journal whose checksums are right: what it does not choose is as a writer would have it.

use revkv::Revision;
use revkv::fuzzing::Piece;

use crate::input::Input;

/// Each blob begins with a byte of these, then what it chooses in this order, then its payload.
const IS_NOTES: u8 = 1;
/// The next blob is another part of the same piece.
const HAS_NEXT: u8 = 2;
/// The number of the blob, and the epoch.
const WRITER: u8 = 4;
/// The first and the last position.
const POSITIONS: u8 = 8;
/// The revision reached, main and sub. Else a byte says how many further it is.
const TO: u8 = 16;
/// The last positions of both streams.
const HEADS: u8 = 32;
/// The number of parts.
const PARTS: u8 = 64;

/// The blobs of an input, those of a stream in the order of their positions.
///
/// Without a choice they are written one after the other, each piece takes the next position, and all blobs know where
/// both streams end.
pub fn read(mut input: Input<'_>) -> Vec<Piece<'_>> {
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    let mut knows_heads = Vec::new();
    let mut begun = [Stream::default(); 2];
    let (mut sequence, mut epoch) = (0_u64, 1);
    while !input.is_empty() {
        let chosen = input.u8();
        let chooses = |what| chosen & what != 0;
        let stream = &mut begun[usize::from(chooses(IS_NOTES))];
        sequence = sequence.wrapping_add(1);
        if chooses(WRITER) {
            (sequence, epoch) = (input.number(), input.number());
        }
        if chooses(POSITIONS) {
            (stream.first, stream.last) = (input.number(), input.number());
        } else if stream.part == 0 {
            (stream.first, stream.last) = (stream.last.wrapping_add(1), stream.last.wrapping_add(1));
        }
        if chooses(TO) {
            stream.to = Revision { main: input.number(), sub: input.number() as u32 };
        } else if stream.part == 0 {
            let main = stream.to.main.saturating_add(input.u8().into());
            stream.to = Revision { main, sub: if chooses(IS_NOTES) { 0 } else { u32::MAX } };
        }
        let heads = if chooses(HEADS) { [input.number(), input.number()] } else { [0; 2] };
        knows_heads.push(chooses(HEADS));
        let parts = if chooses(PARTS) { input.number() as u32 } else { 0 };
        let Stream { first, last, to, part } = *stream;
        let (is_notes, payload) = (chooses(IS_NOTES), input.piece());
        pieces.push(Piece { sequence, epoch, is_notes, first, last, to, heads, part, parts, payload });
        stream.part = if chooses(HAS_NEXT) { part + 1 } else { 0 };
    }
    let ends = begun.map(|stream| stream.last);
    for (piece, _) in pieces.iter_mut().zip(knows_heads).filter(|(_, knows)| !knows) {
        piece.heads = ends;
    }
    count_parts(&mut pieces);
    pieces
}

/// Where it is not chosen, the last part of a piece says how many there are.
fn count_parts(pieces: &mut [Piece<'_>]) {
    let mut parts = [0; 2];
    for piece in pieces.iter_mut().rev() {
        let parts = &mut parts[usize::from(piece.is_notes)];
        *parts = (*parts).max(piece.part + 1);
        piece.parts = if piece.parts == 0 { *parts } else { piece.parts };
        *parts = if piece.part == 0 { 0 } else { *parts };
    }
}

/// The seed that tells these pieces, those of a stream in the order of their positions. Of a whole journal everything is
/// chosen; else a writer is left to say what it can.
pub fn write(pieces: &[Piece<'_>], is_whole: bool) -> Vec<u8> {
    let mut seed = Vec::new();
    let mut reached = [1; 2];
    for piece in pieces {
        let mut chosen = if is_whole { WRITER | POSITIONS | TO | HEADS } else { 0 };
        chosen |= if piece.is_notes { IS_NOTES } else { 0 };
        chosen |= if piece.part + 1 < piece.parts { HAS_NEXT } else { 0 };
        seed.push(chosen);
        let Revision { main, sub } = piece.to;
        if is_whole {
            let numbers = [piece.sequence, piece.epoch, piece.first, piece.last, main, sub.into()];
            numbers.into_iter().chain(piece.heads).for_each(|number| Input::push_number(&mut seed, number));
        } else if piece.part == 0 {
            let reached = &mut reached[usize::from(piece.is_notes)];
            seed.push(u8::try_from(main - std::mem::replace(reached, main)).expect("the story is short"));
        }
        Input::push_piece(&mut seed, piece.payload);
    }
    seed
}

/// What an input has said of a stream.
#[derive(Clone, Copy)]
struct Stream {
    first: u64,
    last: u64,
    to: Revision,
    part: u32,
}

impl Default for Stream {
    fn default() -> Self {
        Self { first: 0, last: 0, to: Revision { main: 1, sub: 0 }, part: 0 }
    }
}
