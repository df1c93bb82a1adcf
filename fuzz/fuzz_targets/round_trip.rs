//! What decodes packs to the same bytes again: no two encodings mean one thing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use revkv::fuzzing::{skip_note, skip_record, unpack};
use revkv::{History, Range, Request, Since, Watch};

fuzz_target!(init: revkv_fuzz::write_seeds("round_trip"), |data: &[u8]| {
    let Some((tag, mut rest)) = data.split_first() else { return };
    let skip = |bytes| match tag % 7 {
        0 => skip_record(bytes),
        6 => skip_note(bytes),
        1 => unpack::<Request<'_>>(bytes).map(|(_, rest)| rest),
        2 => unpack::<Range<'_>>(bytes).map(|(_, rest)| rest),
        3 => unpack::<History<'_>>(bytes).map(|(_, rest)| rest),
        4 => unpack::<Since<'_>>(bytes).map(|(_, rest)| rest),
        _ => unpack::<Watch<'_>>(bytes).map(|(_, rest)| rest),
    };
    while let Some(after) = skip(rest) {
        rest = after;
    }
});
