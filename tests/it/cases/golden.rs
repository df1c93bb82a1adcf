//! Stores written in the first version of the format, kept as files: every later version reads them as this one did.
//!
//! `REVKV_GOLDEN=write` writes them anew, which only a new version of the format may ask for.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use revkv::{Engine, Once, Put, Request};

use super::script::{Blobs, Store, delete, from, key, put, recover};

const BLOB_BYTES: usize = 1024;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(name)
}

/// Everything the format knows: puts and deletes, several changes in a revision, values cut over blobs, pieces joined and
/// written again, leases granted, moved and gone, a compaction that is done and one that is not, and requests of other tabs
/// with answers that are kept and one that is too long for it.
fn written() -> Store {
    let mut store = Store::with_blobs_of(BLOB_BYTES);
    store.grant(7, 60).expect("granted");
    store.grant(-8, 600).expect("granted");
    for round in 0..40_u64 {
        store.put(&format!("key/{:02}", round % 10), &"v".repeat(round as usize * 3));
        store.flush();
    }
    store.put_leased("leased", "of 7", 7).expect("granted");
    store.put("large", &"l".repeat(3 * BLOB_BYTES));
    store.run(vec![delete(from("key/05")), put("a", "1"), put("\u{0}", "")]).expect("accepted");
    store.flush();
    store.compact(30).expect("not compacted before");
    store.remove();
    store.flush();
    store.tick(1_000);
    store.keep_alive(7).expect("granted");
    store.revoke(-8).expect("granted");
    store.delete(key("a"));
    store.flush();
    store.compact(43).expect("not compacted before");
    for (number, value) in [(1, "1"), (3, &*"v".repeat(128)), (4, "2")] {
        let request = Request::Put(Put { key: b"once", value: value.as_bytes(), prev_kv: true, ..Put::default() });
        store.engine.apply_once(1 << 40, number, request, store.now_ms).expect("a put");
    }
    store.flush();
    store
}

/// What is there, as text: the blobs' own bytes are in the file beside it.
fn told(engine: &Engine) -> String {
    let mut text = String::new();
    for revision in engine.compact_revision()..=engine.revision() {
        let hash = engine.hash(revision).expect("readable");
        let kvs = engine.range(&revkv::Range { revision, ..Default::default() }).expect("readable").kvs;
        let keys: Vec<String> = kvs.iter().map(|kv| format!("{}@{}", kv.key.escape_ascii(), kv.mod_revision)).collect();
        text.push_str(&format!("{revision} {:08x} {}\n", hash.hash, keys.join(" ")));
    }
    for id in engine.leases() {
        let lease = engine.lease(id, 0).expect("listed");
        text.push_str(&format!("lease {} {}\n", id.0, lease.ttl_seconds));
    }
    for number in 1..=engine.last_request(1 << 40) {
        let known = engine.clone().apply_once(1 << 40, number, Request::Compact { revision: 0 }, 0);
        let Ok(Once::Before { revision, response }) = known else {
            text.push_str(&format!("request {number} {known:?}\n"));
            continue;
        };
        let response = response.map(|bytes| bytes.escape_ascii().to_string());
        text.push_str(&format!("request {number} {revision} {response:?}\n"));
    }
    text
}

/// Each blob as its id, a space, its bytes in hex.
fn hex(blobs: &Blobs) -> String {
    let line = |(id, bytes): (&String, &Vec<u8>)| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{id} {hex}\n")
    };
    blobs.iter().map(line).collect()
}

fn blobs(text: &str) -> Blobs {
    let blob = |line: &str| {
        let (id, hex) = line.split_once(' ').expect("an id and bytes");
        let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"));
        (id.to_owned(), bytes.collect())
    };
    text.lines().map(blob).collect::<BTreeMap<_, _>>()
}

#[test]
fn version_1_is_read_for_ever() {
    let store = written();
    if std::env::var_os("REVKV_GOLDEN").is_some_and(|wish| wish == "write") {
        fs::create_dir_all(path("")).expect("a folder");
        fs::write(path("version-1.blobs"), hex(&store.blobs)).expect("written");
        fs::write(path("version-1.txt"), told(&store.engine)).expect("written");
    }
    let stored = fs::read_to_string(path("version-1.blobs")).expect("the golden file");
    let engine = recover(&blobs(&stored), BLOB_BYTES).expect("version 1 is known");
    engine.check();
    assert_eq!(told(&engine), fs::read_to_string(path("version-1.txt")).expect("the golden file"));
    // The same requests are the same bytes; where they are not, the format is another, and has another version.
    assert!(stored == hex(&store.blobs), "version 1 is not what it was");
}

#[test]
fn another_version_and_an_unknown_flag_are_unsupported() {
    for (at, what) in [(4, "version"), (6, "flags")] {
        let mut store = written().blobs;
        let (id, bytes) = store.iter_mut().next().expect("blobs");
        bytes[at] = 2;
        // The header's checksum is right: it is another format, not damage.
        let checksum = twox_hash::XxHash3_64::oneshot(&bytes[..132]).to_le_bytes();
        bytes[132..140].copy_from_slice(&checksum);
        let mut engine = Engine::new(Default::default());
        let refused = engine.recover(id, bytes).map_err(|error| error.code());
        assert_eq!(refused, Err("UNSUPPORTED_FORMAT"), "{what}");
    }
}
