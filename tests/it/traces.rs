//! The answers that a real etcd gave, asked again of the engine.
//!
//! The model that judges the engine elsewhere has to give the same answers, so that a rule which both misread shows here.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use revkv::{Engine, EngineOptions};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::Model;
use crate::op::{Answer, Event, Op};
use crate::subject::{Driven, Subject};

/// Long before the first lease of a trace ends, whatever number of operations.
const NOW_MS: u64 = 1_700_000_000_000;

struct Trace {
    operations: Vec<(Op, Answer)>,
    watches: Vec<Stream>,
}

/// Everything that a watch ever saw.
#[derive(Debug, Default, PartialEq, Deserialize)]
struct Stream {
    watch: u32,
    events: Vec<Event>,
    canceled: Option<Canceled>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Canceled {
    compact_revision: u64,
    reason: String,
}

#[test]
fn engine_answers_as_etcd_did() {
    for path in files() {
        let mut engine = Engine::new(EngineOptions { incarnation: [7; 16], ..EngineOptions::default() });
        engine.start().expect("a fresh engine starts");
        let mut driven = Driven::new(engine);
        replay(&path, &mut driven, |driven| driven.engine.check());
    }
}

#[test]
fn model_answers_as_etcd_did() {
    for path in files() {
        replay(&path, &mut Model::new(), |_| ());
    }
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
    let entries = folder.read_dir().expect("the folder of traces is readable");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "gz"));
    files.sort();
    assert!(!files.is_empty(), "no traces in {}", folder.display());
    files
}

fn replay<S: Subject>(path: &Path, subject: &mut S, check: impl Fn(&S)) {
    let file = path.file_name().expect("a file").to_string_lossy();
    let trace = read(path);
    let mut streams = BTreeMap::new();
    for (number, (op, expected)) in trace.operations.iter().enumerate() {
        let got = perform(op, subject, &mut streams).into_traced();
        assert_same(&format!("{file}, operation {number}: {op:?}"), expected, &got);
        for (id, delivery) in subject.drain() {
            let stream: &mut Stream = streams.get_mut(&id).expect("only watchers that were made deliver");
            match delivery {
                Ok(events) => stream.events.extend(events),
                Err(compact_revision) => {
                    stream.canceled = Some(Canceled { compact_revision, reason: String::new() });
                }
            }
        }
        check(subject);
    }
    assert_eq!(trace.watches.len(), streams.len(), "{file}: the number of watches");
    for expected in &trace.watches {
        let id = expected.watch;
        let got = &streams[&id];
        for (number, (expected, got)) in expected.events.iter().zip(&got.events).enumerate() {
            assert_same(&format!("{file}, watch {id}, event {number}"), expected, got);
        }
        assert_same(&format!("{file}, watch {id}, its end"), &expected.canceled, &got.canceled);
        assert_same(&format!("{file}, watch {id}, how many events"), &expected.events.len(), &got.events.len());
    }
}

fn perform<S: Subject>(op: &Op, subject: &mut S, streams: &mut BTreeMap<u32, Stream>) -> Answer {
    let Op::Watch(watch) = op else { return subject.answer(op, NOW_MS) };
    let canceled = match subject.watch(watch.id, watch).as_ref().map_err(String::as_str) {
        Ok(()) => None,
        Err("INVALID_RANGE") => {
            Some(Canceled { compact_revision: 0, reason: "mvcc: watcher range is empty".to_owned() })
        }
        Err("COMPACTED") => Some(Canceled { compact_revision: subject.compact_revision(), reason: String::new() }),
        Err(code) => return Answer::error(code),
    };
    streams.insert(watch.id, Stream { watch: watch.id, events: Vec::new(), canceled });
    Answer::Watch {}
}

fn assert_same<T: PartialEq + Debug>(what: &str, expected: &T, got: &T) {
    assert!(expected == got, "{what}\nexpected {expected:?}\n     got {got:?}");
}

fn read(path: &Path) -> Trace {
    let mut trace = Trace { operations: Vec::new(), watches: Vec::new() };
    let lines = BufReader::new(GzDecoder::new(File::open(path).expect("a readable trace"))).lines();
    for (number, line) in lines.enumerate().skip(1) {
        let line = line.expect("gzip of lines of text");
        trace.add(&line).unwrap_or_else(|error| panic!("{}, line {}: {error}", path.display(), number + 1));
    }
    trace
}

impl Trace {
    fn add(&mut self, line: &str) -> Result<(), serde_json::Error> {
        let mut fields: Map<String, Value> = serde_json::from_str(line)?;
        match (fields.remove("op"), fields.remove("result")) {
            (Some(op), Some(result)) => {
                let mut answer = answer(&op, result)?;
                // The trace has them in the order of their base64.
                if let Answer::LeaseTimeToLive { keys, .. } = &mut answer {
                    keys.sort();
                }
                self.operations.push((Op::deserialize(op)?, answer));
            }
            _ => self.watches.push(Stream::deserialize(Value::Object(fields))?),
        }
        Ok(())
    }
}

/// A result does not say what it answers; the operation does.
fn answer(op: &Value, result: Value) -> Result<Answer, serde_json::Error> {
    match (result["error"].as_str(), op["type"].as_str()) {
        (Some(message), _) => Ok(Answer::error(code(message))),
        (None, Some(kind)) => Answer::deserialize(Value::Object(Map::from_iter([(kind.to_owned(), result)]))),
        (None, None) => Err(serde::de::Error::missing_field("op.type")),
    }
}

/// Our code for a failure that etcd words so.
fn code(message: &str) -> &str {
    match message.trim_start_matches("etcdserver: ") {
        "mvcc: required revision has been compacted" => "COMPACTED",
        "mvcc: required revision is a future revision" => "FUTURE_REVISION",
        "key is not provided" => "INVALID_KEY",
        "key not found" => "KEY_NOT_FOUND",
        "value is provided" => "VALUE_PROVIDED",
        "lease is provided" => "LEASE_PROVIDED",
        "duplicate key given in txn request" => "DUPLICATE_KEY",
        "too many operations in txn request" => "TOO_MANY_OPERATIONS",
        "requested lease not found" => "LEASE_NOT_FOUND",
        "lease already exists" => "LEASE_EXISTS",
        other => other,
    }
}
