//! What is stored is damaged: every bit flipped, every blob cut at every length, runs of zeros, blobs that are missing, in
//! the place of another, there twice, or from another time. It is named, or it is no damage: what opens is what was once
//! stored, whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use revkv::{Engine, EngineOptions, Error};

use crate::host::Acked;
use crate::medium::{Image, IndexedDb, Medium};
use crate::story::{self, Point, Story};
use crate::workload::VARIED;

type Blobs = BTreeMap<String, Arc<[u8]>>;

/// How many stores are damaged by blobs of other times.
const LIVES: u64 = 20;
/// After each so many batches a stop takes the rest.
const FORKED_EACH: usize = 5;
const ZEROS_MAX: usize = 4096;
/// Where runs of zeros begin.
const ZEROS_STEP: usize = 64;

/// A store's life: what was stored after each batch.
struct Life {
    images: Vec<Image>,
}

impl Life {
    fn new(seed: u64) -> Life {
        Life::of(Story::new(&VARIED), seed)
    }

    /// Goes on for the steps of a seed, as long as they take the storage.
    fn of(mut story: Story<'_, IndexedDb>, seed: u64) -> Life {
        let mut images = vec![story.medium.read().clone()];
        let steps = VARIED.steps_from(seed, story.host.truth.clone());
        story.play(&steps, &mut |point, _, medium: &IndexedDb| {
            if matches!(point, Point::Told) {
                images.push(medium.read().clone());
            }
        });
        Life { images }
    }

    fn stored(&self) -> &Blobs {
        &self.images[self.images.len() - 1].blobs
    }

    /// The same life up to the nth batch, and then another one, begun by opening it again.
    fn fork(&self, nth: usize, seed: u64) -> Life {
        let mut medium = IndexedDb::new();
        medium.disk_mut().restore(&self.images[nth]);
        let host = story::open(&VARIED, &medium, Acked::nothing(), false);
        Life::of(Story::of(&VARIED, host, medium), seed)
    }
}

/// Reads blobs, in any order.
fn open<'b>(blobs: impl IntoIterator<Item = (&'b String, &'b [u8])>) -> Result<Engine, Error> {
    let options = EngineOptions { incarnation: [7; 16], blob_bytes_max: VARIED.blob_bytes_max, ..Default::default() };
    let mut engine = Engine::new(options);
    blobs.into_iter().try_for_each(|(id, bytes)| engine.recover(id, bytes))?;
    engine.start().map(|()| engine)
}

fn slices(blobs: &Blobs) -> impl Iterator<Item = (&String, &[u8])> {
    blobs.iter().map(|(id, bytes)| (id, &**bytes))
}

/// The blob that an error names.
fn named(error: &Error) -> &str {
    match error {
        Error::Corrupt { blob, .. } | Error::UnsupportedFormat { blob, .. } => blob,
        other => panic!("{other} is no damage"),
    }
}

/// Asserts that this blob is named when it is like this, among the others that are as they were.
fn assert_named(stored: &Blobs, id: &String, damaged: &[u8]) {
    // It comes first: mostly it is refused at once.
    let others = slices(stored).filter(|(other, _)| *other != id);
    match open([(id, damaged)].into_iter().chain(others)) {
        Ok(_) => panic!("blob {id} is damaged and taken"),
        Err(error) => assert_eq!(named(&error), id, "{error}"),
    }
}

#[test]
fn every_damaged_byte_is_named() {
    let life = Life::new(0);
    let stored = life.stored();
    let bytes: usize = stored.values().map(|bytes| bytes.len()).sum();
    assert!(bytes >= 16 << 10 && stored.len() > 7, "{bytes} bytes in {} blobs are no journal to damage", stored.len());
    let (mut flips, mut cuts, mut zeros) = (0, 0, 0);
    for (id, bytes) in stored {
        let mut damaged = bytes.to_vec();
        for bit in 0..bytes.len() * 8 {
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_named(stored, id, &damaged);
            damaged[bit / 8] ^= 1 << (bit % 8);
            flips += 1;
        }
        for length in 0..bytes.len() {
            assert_named(stored, id, &bytes[..length]);
            cuts += 1;
        }
        assert_named(stored, id, &[bytes, &b"\0"[..]].concat());
        zeros += runs_of_zeros(stored, id, bytes);
    }
    println!("{bytes} bytes in {} blobs: {flips} flips, {cuts} cuts, {zeros} runs of zeros", stored.len());
}

/// Writes zeros of each length that is a power of two.
fn runs_of_zeros(stored: &Blobs, id: &String, bytes: &[u8]) -> usize {
    let lengths = || (0..).map(|power| 1_usize << power).take_while(|length| *length <= ZEROS_MAX);
    let mut runs = 0;
    for first in (0..bytes.len()).step_by(ZEROS_STEP) {
        for length in lengths() {
            let mut damaged = bytes.to_vec();
            damaged[first..bytes.len().min(first + length)].fill(0);
            if damaged != bytes {
                assert_named(stored, id, &damaged);
                runs += 1;
            }
        }
    }
    runs
}

/// Asserts that these blobs are named as damaged, or say what was stored at some time.
fn is_named(blobs: &Blobs, lives: &[&Life], what: &str) -> bool {
    let images = || lives.iter().flat_map(|life| &life.images);
    let engine = match open(slices(blobs)) {
        Ok(engine) => engine,
        Err(error) => {
            let is_legal = images().any(|image| image.blobs == *blobs);
            assert!(!is_legal, "{what}: it was stored like this, and is said to be damaged: {error}");
            u64::from_str_radix(named(&error), 16).expect("a blob's id");
            return true;
        }
    };
    engine.check();
    let otherwise: Vec<_> = images().map(|image| image.said.truth.compare(&engine)).collect();
    let was_never = otherwise.iter().all(Result::is_err);
    let alike = images().zip(&otherwise).find(|(image, _)| image.said.truth.revision() == engine.revision());
    assert!(!was_never, "{what}: what opens at {} was never so: {:?}", engine.revision(), alike.map(|(_, what)| what));
    false
}

/// Counts what was named as damaged, and what was once stored.
#[derive(Debug, Default)]
struct Verdicts {
    named: usize,
    once_stored: usize,
}

impl Verdicts {
    fn judge(&mut self, blobs: &Blobs, lives: &[&Life], what: &str) {
        *(if is_named(blobs, lives, what) { &mut self.named } else { &mut self.once_stored }) += 1;
    }
}

#[test]
fn blobs_that_are_missing_or_out_of_place_are_named() {
    let life = Life::new(0);
    let (stored, lives) = (life.stored(), [&life]);
    let mut verdicts = Verdicts::default();
    let ids: Vec<&String> = stored.keys().collect();
    let without = |gone: &[&String]| -> Blobs {
        stored.iter().filter(|(id, _)| !gone.contains(id)).map(|(id, bytes)| (id.clone(), bytes.clone())).collect()
    };
    for (place, one) in ids.iter().enumerate() {
        verdicts.judge(&without(&[one]), &lives, "one is missing");
        verdicts.judge(&without(&ids[place..]), &lives, "the newest are missing");
        verdicts.judge(&without(&ids[..=place]), &lives, "the oldest are missing");
        for other in &ids[place + 1..] {
            verdicts.judge(&without(&[one, other]), &lives, "two are missing");
            let mut swapped = stored.clone();
            swapped.extend([((*one).clone(), stored[*other].clone()), ((*other).clone(), stored[*one].clone())]);
            verdicts.judge(&swapped, &lives, "two are swapped");
        }
        let copy = format!("{:016x}", u64::MAX >> 11);
        let mut doubled = stored.clone();
        doubled.insert(copy, stored[*one].clone());
        verdicts.judge(&doubled, &lives, "one is there under another id, too");
        let twice = slices(stored).chain([(*one, &*stored[*one])]);
        assert!(open(twice).is_err_and(|error| named(&error) == *one), "{one} is there twice");
        verdicts.named += 1;
    }
    println!("missing, swapped, doubled: {verdicts:?}");
}

#[test]
fn blobs_of_another_time_are_named() {
    const MIXTURES: usize = 5_000;
    let mut verdicts = Verdicts::default();
    for seed in 0..LIVES {
        let life = Life::new(seed);
        let ever: Blobs = life.images.iter().flat_map(|image| image.blobs.clone()).collect();
        for before in &life.images {
            let both = before.blobs.iter().chain(life.stored()).map(|(id, bytes)| (id.clone(), bytes.clone()));
            verdicts.judge(&both.collect(), &[&life], "what was deleted since is there again");
        }
        let mut rng = Rng::with_seed(seed);
        for _ in 0..MIXTURES {
            let mut mixed = rng.choice(&life.images).expect("there are some").blobs.clone();
            for _ in 0..rng.usize(1..4) {
                let (id, bytes) = rng.choice(&ever).expect("there are some");
                if mixed.remove(id).is_none() {
                    mixed.insert(id.clone(), bytes.clone());
                }
            }
            verdicts.judge(&mixed, &[&life], &format!("life {seed}: a mixture of two times"));
        }
    }
    println!("of another time: {verdicts:?}");
}

/// A stop took the last batches, and the store went on otherwise under the same ids; then some of what was lost is there
/// again, in the place of what came after it.
#[test]
fn blobs_of_what_a_stop_took_are_named() {
    let mut verdicts = Verdicts::default();
    for seed in 0..LIVES {
        let life = Life::new(seed);
        for nth in (0..life.images.len()).step_by(FORKED_EACH) {
            let other = life.fork(nth, 1_000 + seed);
            let lost: Blobs = life.images[nth..].iter().flat_map(|image| image.blobs.clone()).collect();
            for image in other.images.iter().step_by(3) {
                let others =
                    |(id, bytes): &(&String, &Arc<[u8]>)| image.blobs.get(*id).is_some_and(|now| now != *bytes);
                for (id, bytes) in lost.iter().filter(others) {
                    let mut spliced = image.blobs.clone();
                    spliced.insert(id.clone(), bytes.clone());
                    let what = format!("life {seed}: {id} of before the stop after batch {nth}");
                    verdicts.judge(&spliced, &[&life, &other], &what);
                }
            }
        }
    }
    println!("of what a stop took: {verdicts:?}");
}
