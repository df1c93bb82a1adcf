//! The binding in a real browser: requests and answers as bytes, and errors with their codes.
#![cfg(target_arch = "wasm32")]

use js_sys::Reflect;
use revkv::wasm::Engine;
use wasm_bindgen::JsValue;
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

fn engine(blob_bytes_max: usize) -> Engine {
    let mut engine = Engine::new(&[7; 16], blob_bytes_max, 0).expect("16 bytes name an incarnation");
    engine.start().expect("there is nothing to recover");
    engine
}

fn code(thrown: Result<impl Sized, JsValue>) -> String {
    let thrown = thrown.err().expect("it is refused");
    Reflect::get(&thrown, &"code".into()).ok().and_then(|code| code.as_string()).expect("what is thrown has a code")
}

#[wasm_bindgen_test]
fn a_put_is_read_now_and_as_it_was() {
    let mut engine = engine(0);
    assert_eq!(engine.revision(), 1.0);
    let answer = engine.apply(&put(b"k", b"one"), 0.0).expect("accepted");
    assert_eq!(answer, Packed::default().variant(0).number(2).flags(&[false]).0);
    engine.apply(&put(b"k", b"two"), 0.0).expect("accepted");
    assert_eq!(engine.get(b"k", 0.0).expect("readable"), Some(key_value(b"k", [2, 3, 2], b"two")));
    assert_eq!(engine.get(b"k", 2.0).expect("readable"), Some(key_value(b"k", [2, 2, 1], b"one")));
    assert_eq!(engine.get(b"k", 1.0).expect("readable"), None);
}

#[wasm_bindgen_test]
fn what_is_thrown_has_a_code_and_numbers() {
    let mut engine = engine(0);
    engine.apply(&put(b"k", b"one"), 0.0).expect("accepted");
    engine.apply(&put(b"k", b"two"), 0.0).expect("accepted");
    engine.apply(&compact(3), 0.0).expect("accepted");
    let rows = [
        (code(engine.get(b"", 0.0)), "INVALID_KEY"),
        (code(engine.get(b"k", 4.0)), "FUTURE_REVISION"),
        (code(engine.get(b"k", -1.0)), "INVALID_ARGUMENT"),
        (code(engine.get(b"k", 1.5)), "INVALID_ARGUMENT"),
        (code(engine.get(b"k", f64::NAN)), "INVALID_ARGUMENT"),
        (code(engine.apply(&[9; 7], 0.0)), "INVALID_ARGUMENT"),
        (code(engine.apply(&[put(b"k", b""), vec![0]].concat(), 0.0)), "INVALID_ARGUMENT"),
        (code(engine.watch(&watch_key(b"k", 2))), "COMPACTED"),
        (code(Engine::new(&[7; 15], 0, 0)), "INVALID_ARGUMENT"),
    ];
    for (row, (code, expected)) in rows.into_iter().enumerate() {
        assert_eq!(code, expected, "row {row}");
    }
    let compacted = engine.get(b"k", 2.0).expect_err("compacted");
    let number = |name: &str| Reflect::get(&compacted, &name.into()).ok().and_then(|number| number.as_f64());
    assert_eq!((number("revision"), number("compactRevision")), (Some(2.0), Some(3.0)));
    assert_eq!(engine.revision(), 3.0);
}

#[wasm_bindgen_test]
fn a_watch_is_taken_once() {
    let mut engine = engine(0);
    let id = engine.watch(&watch_key(b"k", 0)).expect("accepted");
    engine.apply(&put(b"other", b""), 0.0).expect("accepted");
    assert!(engine.pending_watches().is_empty());
    engine.apply(&put(b"k", b"v"), 0.0).expect("accepted");
    assert_eq!(engine.pending_watches(), [id]);
    let event = [Packed::default().variant(0).0, key_value(b"k", [3, 3, 1], b"v"), vec![0]].concat();
    let batch = [Packed::default().number(3).flags(&[false]).number(1).0, event].concat();
    let expected = [Packed::default().number(1).0, batch, Packed::default().number(3).0].concat();
    assert_eq!(engine.take_events(id, 0.0, 100).expect("taken"), expected);
    assert!(engine.pending_watches().is_empty());
    assert!(engine.cancel_watch(id) && !engine.cancel_watch(id));
}

#[wasm_bindgen_test]
fn leases_cross_as_big_integers() {
    let mut engine = engine(0);
    let id = i64::MAX - 1;
    let grant = |id: i64| Packed::default().variant(4).number(id.cast_unsigned()).number(2).0;
    engine.apply(&grant(id), 500.0).expect("accepted");
    engine.apply(&grant(-5), 500.0).expect("accepted");
    assert_eq!(engine.leases().to_vec(), [-5, id]);
    assert_eq!(engine.next_deadline(), Some(2500.0));
    assert_eq!(code(engine.apply(&grant(id), 500.0)), "LEASE_EXISTS");
    engine.tick(2500.0).expect("ticks");
    assert_eq!(engine.leases().length(), 0);
}

#[wasm_bindgen_test]
fn what_is_ready_recovers() {
    let mut first = engine(1024);
    first.apply(&put(b"k", &[1; 3000]), 0.0).expect("accepted");
    let ready = first.take_ready().expect("there is something to write");
    assert_eq!((first.take_ready(), first.durable_revision()), (None, 1.0));
    first.persisted(2.0).expect("confirmed");
    assert_eq!(first.durable_revision(), 2.0);

    let mut second = Engine::new(&[9; 16], 1024, 0).expect("16 bytes");
    let blobs = blobs(&ready);
    assert_eq!(blobs.len(), 4, "3 kB in blobs of 1 KiB");
    for (id, bytes) in &blobs {
        second.recover(id, bytes).expect("it is as it was written");
    }
    second.start().expect("it is whole");
    assert_eq!((second.revision(), second.epoch()), (2.0, 2.0));
    assert_eq!(second.get(b"k", 0.0).expect("readable"), Some(key_value(b"k", [2, 2, 1], &[1; 3000])));

    let mut damaged = Engine::new(&[9; 16], 1024, 0).expect("16 bytes");
    let mut bytes = blobs[0].1.clone();
    bytes[200] ^= 1;
    assert_eq!(code(damaged.recover(&blobs[0].0, &bytes)), "CORRUPT");
}

/// The blobs of a packed `Ready`: through, epoch, then each an id and its bytes.
fn blobs(ready: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut rest = &ready[16..];
    let number = |rest: &mut &[u8]| {
        let (number, after) = rest.split_at(8);
        *rest = after;
        u64::from_le_bytes(number.try_into().expect("8 bytes")) as usize
    };
    let bytes = |rest: &mut &[u8]| {
        let length = number(rest);
        let (bytes, after) = rest.split_at(length);
        *rest = after;
        bytes.to_vec()
    };
    let count = number(&mut rest);
    (0..count).map(|_| (String::from_utf8(bytes(&mut rest)).expect("an id is text"), bytes(&mut rest))).collect()
}
