//! The binding in a real browser: requests and answers as bytes, and errors with their codes.
#![cfg(target_arch = "wasm32")]

use js_sys::Uint8Array;
use js_sys::WebAssembly::Memory;
use revkv::wasm::Engine;
use wasm_bindgen::JsCast;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

/// Packs as `pkg/src/wire.ts` does: an independent hand, so that a change of the encoding is seen here.
#[derive(Default)]
struct Packed(Vec<u8>);

impl Packed {
    fn variant(mut self, number: u32) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn number(mut self, number: u64) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        let mut packed = self.number(bytes.len() as u64);
        packed.0.extend(bytes);
        packed
    }

    fn flags(mut self, flags: &[bool]) -> Self {
        self.0.extend(flags.iter().map(|flag| u8::from(*flag)));
        self
    }
}

fn put(key: &[u8], value: &[u8]) -> Vec<u8> {
    Packed::default().variant(0).bytes(key).bytes(value).number(0).flags(&[false; 3]).0
}

fn compact(revision: u64) -> Vec<u8> {
    Packed::default().variant(3).number(revision).0
}

fn watch_key(key: &[u8], start_revision: u64) -> Vec<u8> {
    Packed::default().variant(0).bytes(key).number(start_revision).flags(&[false; 4]).0
}

fn key_value(key: &[u8], numbers: [u64; 3], value: &[u8]) -> Vec<u8> {
    let numbered = numbers.into_iter().fold(Packed::default().bytes(key), Packed::number);
    numbered.number(0).bytes(value).0
}

fn memory() -> Uint8Array {
    Uint8Array::new(&wasm_bindgen::memory().unchecked_into::<Memory>().buffer())
}

/// Writes a request into the engine's area; gives its length.
fn written(engine: &mut Engine, request: &[u8]) -> usize {
    let area = engine.area(request.len()) as u32;
    let bytes = Uint8Array::from(request);
    memory().set(&bytes, area);
    request.len()
}

/// What a refusal says.
#[derive(Debug, PartialEq)]
struct Refused {
    code: String,
    revision: u64,
    compacted: u64,
}

fn read(at: *const u8) -> Result<Option<Vec<u8>>, Refused> {
    // Copied out first: a Vec for it may let the memory grow, which detaches a view.
    let bytes = |from: u32, length: u32| memory().slice(from, from + length).to_vec();
    let (at, head) = (at as u32, bytes(at as u32, 8));
    let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("4 bytes"));
    let body = bytes(at + 8, word(4));
    match word(0) {
        0 => Ok(None),
        1 => Ok(Some(body)),
        _ => {
            let mut rest = &body[..];
            let code = String::from_utf8(take_bytes(&mut rest)).expect("a code is text");
            let message = take_bytes(&mut rest);
            assert!(!message.is_empty(), "{code} says nothing");
            Err(Refused { code, revision: take_number(&mut rest), compacted: take_number(&mut rest) })
        }
    }
}

fn given(at: *const u8) -> Result<Vec<u8>, Refused> {
    Ok(read(at)?.expect("it gives something"))
}

fn take_number(rest: &mut &[u8]) -> u64 {
    let (number, after) = rest.split_at(8);
    *rest = after;
    u64::from_le_bytes(number.try_into().expect("8 bytes"))
}

fn take_bytes(rest: &mut &[u8]) -> Vec<u8> {
    let length = take_number(rest) as usize;
    let (bytes, after) = rest.split_at(length);
    *rest = after;
    bytes.to_vec()
}

/// The calls as JavaScript makes them.
trait Calls {
    fn call_apply(&mut self, request: &[u8], now: f64) -> Result<Vec<u8>, Refused>;
    fn call_get(&mut self, key: &[u8], revision: f64) -> Result<Option<Vec<u8>>, Refused>;
    fn call_watch(&mut self, request: &[u8]) -> Result<u32, Refused>;
    fn call_recover(&mut self, id: &str, bytes: &[u8]) -> Result<(), Refused>;
    fn pending(&mut self) -> Vec<u32>;
    fn posted(&self) -> [f64; 5];
}

impl Calls for Engine {
    fn call_apply(&mut self, request: &[u8], now: f64) -> Result<Vec<u8>, Refused> {
        let length = written(self, request);
        given(self.apply(length, now))
    }

    fn call_get(&mut self, key: &[u8], revision: f64) -> Result<Option<Vec<u8>>, Refused> {
        let length = written(self, key);
        let value = read(self.value(length, revision))?;
        let found = read(self.get(length, revision))?;
        assert!(value.iter().all(|value| found.as_ref().is_some_and(|found| found.ends_with(value))));
        Ok(found)
    }

    fn call_watch(&mut self, request: &[u8]) -> Result<u32, Refused> {
        let length = written(self, request);
        given(self.watch(length)).map(|id| u32::from_le_bytes(id.try_into().expect("4 bytes")))
    }

    fn call_recover(&mut self, id: &str, bytes: &[u8]) -> Result<(), Refused> {
        let length = written(self, &Packed::default().bytes(id.as_bytes()).bytes(bytes).0);
        given(self.recover(length)).map(drop)
    }

    fn pending(&mut self) -> Vec<u32> {
        let ids = given(self.pending_watches()).expect("never refused");
        ids[8..].chunks(4).map(|id| u32::from_le_bytes(id.try_into().expect("4 bytes"))).collect()
    }

    fn posted(&self) -> [f64; 5] {
        let board = self.board() as u32;
        let bytes = memory().slice(board, board + 40).to_vec();
        std::array::from_fn(|slot| f64::from_le_bytes(bytes[slot * 8..][..8].try_into().expect("8 bytes")))
    }
}

fn named(name: &[u8], blob_bytes_max: usize) -> Result<Engine, Refused> {
    let mut engine = Engine::new(blob_bytes_max, 0);
    let length = written(&mut engine, name);
    given(engine.name(length)).map(|_| engine)
}

fn engine(blob_bytes_max: usize) -> Engine {
    let mut engine = named(&[7; 16], blob_bytes_max).expect("16 bytes name an incarnation");
    given(engine.start()).expect("there is nothing to recover");
    engine
}

fn code(refused: Result<impl Sized, Refused>) -> String {
    refused.err().expect("it is refused").code
}

#[wasm_bindgen_test]
fn a_put_is_read_now_and_as_it_was() {
    let mut engine = engine(0);
    assert_eq!(engine.posted(), [1.0, 0.0, 1.0, -1.0, 0.0]);
    let answer = engine.call_apply(&put(b"k", b"one"), 0.0).expect("accepted");
    assert_eq!(answer, Packed::default().variant(0).number(2).flags(&[false]).0);
    engine.call_apply(&put(b"k", b"two"), 0.0).expect("accepted");
    assert_eq!(engine.call_get(b"k", 0.0), Ok(Some(key_value(b"k", [2, 3, 2], b"two"))));
    assert_eq!(engine.call_get(b"k", 2.0), Ok(Some(key_value(b"k", [2, 2, 1], b"one"))));
    assert_eq!(engine.call_get(b"k", 1.0), Ok(None));
    assert_eq!(engine.posted(), [3.0, 0.0, 3.0, -1.0, 0.0]);
}

#[wasm_bindgen_test]
fn a_refusal_has_a_code_and_numbers() {
    let mut engine = engine(0);
    engine.call_apply(&put(b"k", b"one"), 0.0).expect("accepted");
    engine.call_apply(&put(b"k", b"two"), 0.0).expect("accepted");
    engine.call_apply(&compact(3), 0.0).expect("accepted");
    let rows = [
        (code(engine.call_get(b"", 0.0)), "INVALID_KEY"),
        (code(engine.call_get(b"k", 4.0)), "FUTURE_REVISION"),
        (code(engine.call_get(b"k", -1.0)), "INVALID_ARGUMENT"),
        (code(engine.call_get(b"k", 1.5)), "INVALID_ARGUMENT"),
        (code(engine.call_get(b"k", f64::NAN)), "INVALID_ARGUMENT"),
        (code(engine.call_apply(&[9; 7], 0.0)), "INVALID_ARGUMENT"),
        (code(engine.call_apply(&[put(b"k", b""), vec![0]].concat(), 0.0)), "INVALID_ARGUMENT"),
        (code(engine.call_watch(&watch_key(b"k", 2))), "COMPACTED"),
        (code(named(&[7; 15], 0)), "INVALID_ARGUMENT"),
    ];
    for (row, (code, expected)) in rows.into_iter().enumerate() {
        assert_eq!(code, expected, "row {row}");
    }
    let compacted = Refused { code: "COMPACTED".into(), revision: 2, compacted: 3 };
    assert_eq!(engine.call_get(b"k", 2.0), Err(compacted));
    assert_eq!(engine.posted(), [3.0, 3.0, 3.0, -1.0, 0.0]);
}

#[wasm_bindgen_test]
fn a_watch_is_taken_once() {
    let mut engine = engine(0);
    let id = engine.call_watch(&watch_key(b"k", 0)).expect("accepted");
    engine.call_apply(&put(b"other", b""), 0.0).expect("accepted");
    assert_eq!((engine.posted()[4], engine.pending()), (0.0, vec![]));
    engine.call_apply(&put(b"k", b"v"), 0.0).expect("accepted");
    assert_eq!((engine.posted()[4], engine.pending()), (1.0, vec![id]));
    let event = [Packed::default().variant(0).0, key_value(b"k", [3, 3, 1], b"v"), vec![0]].concat();
    let batch = [Packed::default().number(3).flags(&[false]).number(1).0, event].concat();
    let expected = [Packed::default().number(1).0, batch, Packed::default().number(3).0].concat();
    assert_eq!(given(engine.take_events(id, 0.0, 100)), Ok(expected));
    assert_eq!((engine.posted()[4], engine.pending()), (0.0, vec![]));
    assert!(engine.cancel_watch(id) && !engine.cancel_watch(id));
}

#[wasm_bindgen_test]
fn leases_cross_as_big_integers() {
    let mut engine = engine(0);
    let id = i64::MAX - 1;
    let grant = |id: i64| Packed::default().variant(4).number(id.cast_unsigned()).number(2).0;
    engine.call_apply(&grant(id), 500.0).expect("accepted");
    engine.call_apply(&grant(-5), 500.0).expect("accepted");
    let ids = Packed::default().number(2).number((-5_i64).cast_unsigned()).number(id.cast_unsigned()).0;
    assert_eq!(given(engine.leases()), Ok(ids));
    assert_eq!(engine.posted()[3], 2500.0);
    assert_eq!(code(engine.call_apply(&grant(id), 500.0)), "LEASE_EXISTS");
    given(engine.tick(2500.0)).expect("ticks");
    assert_eq!(given(engine.leases()), Ok(Packed::default().number(0).0));
    assert_eq!(engine.posted()[3], -1.0);
}

#[wasm_bindgen_test]
fn an_area_grows_and_is_given_back() {
    let mut engine = engine(0);
    for length in [10, 100_000, 1_500_000, 10, 100_000] {
        engine.call_apply(&put(b"k", &vec![7; length]), 0.0).expect("accepted");
        let found = engine.call_get(b"k", 0.0).expect("readable").expect("it is there");
        assert!(found.len() > length && found.ends_with(&vec![7; length]), "{length} bytes");
    }
}

#[wasm_bindgen_test]
fn what_is_ready_recovers() {
    let mut first = engine(1024);
    first.call_apply(&put(b"k", &[1; 3000]), 0.0).expect("accepted");
    let ready = given(first.take_ready()).expect("there is something to write");
    assert_eq!((read(first.take_ready()), first.posted()[2]), (Ok(None), 1.0));
    given(first.persisted(2.0)).expect("confirmed");
    assert_eq!(first.posted()[2], 2.0);

    let mut second = named(&[9; 16], 1024).expect("16 bytes");
    let blobs = blobs(&ready);
    assert_eq!(blobs.len(), 4, "3 kB in blobs of 1 KiB");
    for (id, bytes) in &blobs {
        second.call_recover(id, bytes).expect("it is as it was written");
    }
    given(second.start()).expect("it is whole");
    assert_eq!((second.posted()[0], second.epoch()), (2.0, 2.0));
    assert_eq!(second.call_get(b"k", 0.0), Ok(Some(key_value(b"k", [2, 2, 1], &[1; 3000]))));

    let mut damaged = named(&[9; 16], 1024).expect("16 bytes");
    let mut bytes = blobs[0].1.clone();
    bytes[200] ^= 1;
    assert_eq!(code(damaged.call_recover(&blobs[0].0, &bytes)), "CORRUPT");
}

/// The blobs of a packed `Ready`: through, epoch, then each an id and its bytes.
fn blobs(ready: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut rest = &ready[16..];
    let count = take_number(&mut rest);
    let text = |bytes| String::from_utf8(bytes).expect("an id is text");
    (0..count).map(|_| (text(take_bytes(&mut rest)), take_bytes(&mut rest))).collect()
}
