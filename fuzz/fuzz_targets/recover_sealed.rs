//! Any entries under right checksums: what a storage with a foreign or a faulty writer holds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use revkv::fuzzing::{Piece, seal};
use revkv::{Engine, KeyRange, Put, Request};
use revkv_fuzz::{Input, finish, options};

const NUMBER_MAX: u64 = 1 << 50;

fuzz_target!(init: revkv_fuzz::write_seeds("recover_sealed"), |data: &[u8]| {
    let pieces = pieces(Input(data));
    let blobs = seal(&pieces);
    let mut engine = Engine::new(options());
    if blobs.iter().try_for_each(|blob| engine.recover(&blob.id, &blob.bytes)).is_err() || engine.start().is_err() {
        return;
    }
    engine.check();
    // No writer gets so far, and to count on from there might go beyond what is read.
    let sequence = pieces.last().map_or(0, |piece| piece.sequence);
    if engine.revision().max(engine.epoch()).max(sequence) > NUMBER_MAX {
        return;
    }
    // What was recovered must be good for going on with.
    let revision = engine.revision();
    let _ = engine.apply(Request::Put(Put { key: b"a", value: b"after", ..Put::default() }), 0);
    let all = revkv::DeleteRange { keys: KeyRange::From(b"b"), prev_kv: true };
    let _ = engine.apply(Request::DeleteRange(all), 0);
    for id in engine.leases() {
        let _ = engine.apply(Request::LeaseKeepAlive { id }, 0);
    }
    engine.check();
    let _ = engine.apply(Request::Compact { revision }, 0);
    finish(engine, blobs);
});

/// Each piece: what it chooses of its header, then its payload. What it does not choose is as a writer would have it.
fn pieces(mut input: Input<'_>) -> Vec<Piece<'_>> {
    const HAS_NEXT: u8 = 1;
    const SEQUENCE: u8 = 2;
    const EPOCH: u8 = 4;
    const PARTS: u8 = 8;
    const THROUGH: u8 = 16;
    let (mut sequence, mut epoch, mut part, mut through) = (0_u64, 1, 0, 1_u64);
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    while !input.is_empty() {
        let chosen = input.u8();
        sequence = if chosen & SEQUENCE == 0 { sequence.wrapping_add(1) } else { input.u64() };
        epoch = if chosen & EPOCH == 0 { epoch } else { input.u64() };
        through = if chosen & THROUGH == 0 { through.saturating_add(input.u8().into()) } else { input.u64() };
        let parts = if chosen & PARTS == 0 { 0 } else { input.u8().into() };
        pieces.push(Piece { sequence, epoch, part, parts, through, payload: input.piece() });
        part = if chosen & HAS_NEXT == 0 { 0 } else { part + 1 };
    }
    // Where it is not chosen, the last part of a batch says how many there are.
    let mut parts = 0;
    for piece in pieces.iter_mut().rev() {
        parts = parts.max(piece.part + 1);
        piece.parts = if piece.parts == 0 { parts } else { piece.parts };
        parts = if piece.part == 0 { 0 } else { parts };
    }
    pieces
}
