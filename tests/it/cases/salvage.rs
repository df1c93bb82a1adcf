//! What is left of a damaged medium: all that verifies, and a list of what does not.

use revkv::{Engine, EngineOptions, Loss};

use super::script::{Store, key};

const BLOB_BYTES: usize = 400;

/// Sixty keys, each put once and in a revision of its own, so that what is lost can be told from its revision.
fn store() -> Store {
    let mut store = Store::with_blobs_of(BLOB_BYTES);
    store.grant(7, 60).expect("granted");
    for round in 0..60 {
        store.put(&format!("k{round:02}"), &"v".repeat(round));
        if round % 3 == 0 {
            store.flush();
        }
    }
    store.put_leased("k00", "leased", 7).expect("granted");
    store.flush();
    store
}

fn salvaged<'b>(blobs: impl Iterator<Item = (&'b String, &'b Vec<u8>)>) -> (Engine, Vec<Loss>, usize) {
    let mut engine = Engine::new(EngineOptions::default());
    let refused = blobs.filter(|(id, bytes)| engine.recover(id, bytes).is_err()).count();
    let losses = engine.salvage();
    engine.check();
    (engine, losses, refused)
}

#[test]
fn what_is_whole_is_read_whole() {
    let store = store();
    let (engine, losses, refused) = salvaged(store.blobs.iter());
    assert_eq!((losses, refused), (vec![], 0));
    assert_eq!((engine.hash(0), engine.leases()), (store.engine.hash(0), store.engine.leases()));
    assert_eq!(engine.durable_revision(), engine.revision());
}

/// Each blob is lost in turn, and each is damaged in turn: every record outside the revisions that are told as lost is
/// there with its value, and no other value is. (Without the newest, it is the medium of a moment ago.)
#[test]
fn every_blob_but_the_lost_one_is_read() {
    let store = store();
    let mut lost = 0;
    let newest = store.blobs.len() - 1;
    for (victim, bytes) in store.blobs.iter().take(newest) {
        for is_gone in [true, false] {
            let mut damaged = bytes.clone();
            let middle = damaged.len() / 2;
            damaged[middle] ^= 1;
            let left = store.blobs.iter().map(|(id, bytes)| (id, if id == victim { &damaged } else { bytes }));
            let (engine, losses, refused) = salvaged(left.filter(|(id, _)| !is_gone || *id != victim));
            assert_eq!(refused, usize::from(!is_gone));
            assert!(!losses.is_empty(), "the loss of {victim} is not told");
            let is_told = |main: u64| losses.iter().any(|loss| (loss.from_revision..=loss.to_revision).contains(&main));
            for kv in store.engine.range(&Default::default()).expect("now").kvs {
                match engine.get(&kv.key, 0).expect("now") {
                    Some(found) => assert!(found == kv || is_told(kv.mod_revision), "{victim}: {kv:?} is {found:?}"),
                    None => {
                        assert!(is_told(kv.mod_revision), "{victim}: {kv:?} is lost, and {losses:?} does not say so")
                    }
                }
            }
            lost += losses.len();
        }
    }
    assert!(newest > 8 && lost > newest, "{} blobs, {lost} losses", store.blobs.len());
}

#[test]
fn nothing_is_left_of_nothing() {
    let (engine, losses, refused) = salvaged([].into_iter());
    assert_eq!((engine.revision(), losses, refused), (1, vec![], 0));
}

/// What was salvaged can be kept: as the backup of another store.
#[test]
fn what_is_left_can_be_backed_up() {
    let store = store();
    let victim = store.blobs.keys().nth(3).expect("more than three").clone();
    let (engine, _, _) = salvaged(store.blobs.iter().filter(|(id, _)| **id != victim));
    let mut kept = Store::new();
    kept.engine.restore(&engine.backup(0, true).expect("now"), [9; 16]).expect("a whole backup");
    kept.flush();
    kept.reopen();
    assert_eq!(kept.hash(0), engine.hash(0).expect("now").hash);
    assert!(kept.life("k59", 0).is_some());
}

/// Of a key that was deleted twice the put in between is lost. No store has such a history, so that its backup was refused.
#[test]
fn a_delete_without_its_put_is_left_out_and_told() {
    let mut store = Store::new();
    store.put("a", "1");
    store.delete(key("a"));
    store.flush();
    let before = store.blobs.clone();
    store.put("a", "lost");
    store.flush();
    let lost: Vec<String> = store.blobs.keys().filter(|id| !before.contains_key(*id)).cloned().collect();
    store.delete(key("a"));
    store.put("b", "1");
    store.flush();
    let (engine, losses, _) = salvaged(store.blobs.iter().filter(|(id, _)| !lost.contains(id)));
    assert!(losses.iter().any(|loss| (loss.from_revision, loss.to_revision) == (5, 5)), "{losses:?}");
    let mut kept = Store::new();
    kept.engine.restore(&engine.backup(0, true).expect("now"), [9; 16]).expect("a whole backup");
    assert_eq!(kept.state(0), "b=1");
}
