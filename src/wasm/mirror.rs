//! The engine as the mirror of another kind of store. Keys and changes cross as `Record`s; where in its transaction each of
//! them is, the engine finds out.

use wasm_bindgen::prelude::*;

use super::Engine;
use super::convert::{decode, number};
use crate::mvcc::{KeyValue, Record};

#[wasm_bindgen]
impl Engine {
    /// Replaces everything by what another store holds: an incarnation and a list of `Record`s, at a revision.
    pub fn mirror(&mut self, length: usize, revision: f64) -> *const u8 {
        let Self { engine, area, .. } = self;
        let mirrored = decode(&area[..length]).and_then(|(incarnation, records): ([u8; 16], Vec<Record<'_>>)| {
            engine.mirror(incarnation, number(revision)?, &key_values(&records))
        });
        self.post();
        self.answer.give(mirrored)
    }

    /// Takes over changes of another store, a list of `Record`s, up to a revision; gives the revision there is here.
    #[wasm_bindgen(js_name = mirrorChanges)]
    pub fn mirror_changes(&mut self, length: usize, to: f64) -> *const u8 {
        let Self { engine, area, .. } = self;
        let mirrored = decode(&area[..length])
            .and_then(|records: Vec<Record<'_>>| engine.mirror_changes(number(to)?, &key_values(&records)));
        self.post();
        self.answer.give(mirrored)
    }
}

fn key_values<'a>(records: &[Record<'a>]) -> Vec<KeyValue<'a>> {
    records.iter().map(Record::key_value).collect()
}
