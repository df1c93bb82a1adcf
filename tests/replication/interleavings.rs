//! What the syncer makes of each order in which a snapshot and events can come: the 34 interleavings that the first
//! design of Calico's syncer was measured by, with what should come of them.
//!
//! ```text
//! L10          the watch begins behind revision 10, and what came before it may be lost
//! +k@12 -k@12  an event: k set to its name, k deleted
//! S12{a@4}     a snapshot of revision 12 begins, and this is a page of it
//! F12          it is finished; P12: progress; Cone: the source's incarnation
//! X            it could not be read to its end
//! W R I        statuses; N U D: a key created, updated, deleted; a batch is put in brackets
//! ```

use revkv::{SyncEvent, SyncKind, SyncOutput, SyncStatus, Syncer};

fn run(syncer: &mut Syncer, schedule: &str) -> String {
    schedule.split(' ').filter(|step| !step.is_empty()).for_each(|step| take(syncer, step));
    given(syncer)
}

fn take(syncer: &mut Syncer, step: &str) {
    let (what, rest) = step.split_at(1);
    match what {
        "L" => syncer.lost(number(rest)),
        "F" => syncer.snapshot_finished(number(rest)),
        "X" => syncer.snapshot_failed(),
        "P" => syncer.progress(number(rest)),
        "C" => syncer.connected(rest.as_bytes()),
        "S" => {
            let (revision, page) = rest.split_once('{').unwrap_or((rest, ""));
            let revision = number(revision);
            if syncer.wants_snapshot().is_some() && !syncer.snapshot_started(revision) {
                return;
            }
            let page = page.trim_end_matches('}').split(',').filter(|item| !item.is_empty());
            tell(page.map(|item| format!("+{item}")).collect(), |events| syncer.snapshot_page(revision, events));
        }
        _ => tell(step.split(',').map(str::to_owned).collect(), |events| syncer.events(events, true)),
    }
}

/// `"+k@12"` as an event.
fn tell(told: Vec<String>, take: impl FnOnce(&[SyncEvent<'_>])) {
    let event = |told: &'_ String| -> (bool, String, u64) {
        let (key, revision) = told[1..].split_once('@').expect("a key and its revision");
        (told.starts_with('+'), key.to_owned(), number(revision))
    };
    let told: Vec<_> = told.iter().map(event).collect();
    let events: Vec<_> = told
        .iter()
        .map(|(is_set, key, mod_revision)| SyncEvent {
            key: key.as_bytes(),
            mod_revision: *mod_revision,
            value: is_set.then_some(key.as_bytes()),
        })
        .collect();
    take(&events);
}

fn given(syncer: &mut Syncer) -> String {
    let shown = |output| match output {
        SyncOutput::Status(SyncStatus::Waiting) => "W".to_owned(),
        SyncOutput::Status(SyncStatus::Resyncing) => "R".to_owned(),
        SyncOutput::Status(SyncStatus::InSync) => "I".to_owned(),
        SyncOutput::Batch(batch) => {
            assert!(!batch.changes.is_empty(), "an empty batch");
            let changes = batch.changes.iter().map(|change| {
                let kind = match change.kind {
                    SyncKind::Created => "N",
                    SyncKind::Updated => "U",
                    SyncKind::Deleted => "D",
                };
                assert_eq!(change.kind == SyncKind::Deleted, change.value.is_empty(), "{change:?}");
                format!("{kind}{}@{}", String::from_utf8_lossy(&change.key), change.mod_revision)
            });
            let changes: Vec<_> = changes.collect();
            if changes.len() > 1 { format!("[{}]", changes.join(" ")) } else { changes.concat() }
        }
    };
    syncer.take().into_iter().map(shown).collect::<Vec<_>>().join(" ")
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

/// In sync at revision 10 with a@4 b@5 c@6.
fn in_sync() -> Syncer {
    let mut syncer = Syncer::new();
    assert_eq!(run(&mut syncer, "L10 S10{a@4,b@5,c@6} F10"), "W R [Na@4 Nb@5 Nc@6] I");
    syncer
}

#[test]
fn from_the_beginning() {
    let rows = [
        ("I1", "L10 S10{a@4,b@9} F10", "W R [Na@4 Nb@9] I"),
        ("I2", "L3 S3 F3", "W R I"),
        ("I3: the old one is hidden", "L10 +a@12 S11{a@4} F11", "W R Na@12 I"),
        ("I4: not told twice", "L10 +a@11 S12{a@11} F12", "W R Na@11 I"),
        ("I5", "L10 S15{a@14} +a@12 +a@14 F15 +a@16", "W R Na@14 I Ua@16"),
        ("I6: deleted before its page comes", "L10 -a@12 S11{a@4} F11", "W R I"),
        ("I7", "L10 -a@12 +a@13 S11{a@4} F11", "W R Na@13 I"),
        ("I8", "L10 -a@12 S14{a@13} +a@13 F14", "W R Na@13 I"),
        ("I9: a delete that is older", "L10 S15{a@14} -a@12 F15", "W R Na@14 I"),
        (
            "I10: a range deleted",
            "L10 +d/x@11 +d/y@12 +dd@13 -d/x@14,-d/y@14,-d/z@14 S12{d/x@11,d/z@3,dd@2} F12",
            "W R Nd/x@11 Nd/y@12 Ndd@13 [Dd/x@14 Dd/y@14] I",
        ),
        ("I12: stale when it ends", "L10 S12{a@4} L30 F12 S33{a@20} F33", "W R Na@4 Ua@20 I"),
        ("I13: one is enough for both", "L10 L30 S35{a@4} F35", "W R Na@4 I"),
        ("I18: events that waited", "L10 S20 F20 +k@12 -k@14", "W R I"),
        ("I19: a replica that lags", "L10 S12{k@5} L30 -k@35 F12 S32{k@5} F32 S35 F35", "W R Nk@5 Dk@35 I"),
        ("I20", "L10 +k@12 S20 F20 -k@14", "W R Nk@12 Dk@20 I"),
        ("I20b: the watch breaks in between", "L10 S20 F20 +k@12 L20", "W R I"),
        ("I21", "L10 S11{k@5} -k@12 F11", "W R Nk@5 Dk@12 I"),
        ("I22: seen at the snapshot's revision", "L10 +k@11 S11{k@11} F11", "W R Nk@11 I"),
        ("I24: deletes out of order", "L10 -p/c@30 -p/c@20 S25{p/c@3} F25", "W R I"),
        ("I25: a snapshot that is too old", "L10 S9{a@4} F9 S10{a@4} F10", "W R Na@4 I"),
        ("I33: once", "L1 S20{a@4} F20", "W R Na@4 I"),
    ];
    for (name, schedule, expected) in rows {
        assert_eq!(run(&mut Syncer::new(), schedule), expected, "{name}: {schedule}");
    }
}

#[test]
fn from_in_sync() {
    let rows = [
        ("I11", "L30 S31{a@4,b@20,e@25} F31", "R [Ub@20 Ne@25] Dc@31 I"),
        ("I14: nothing was lost", "L10", ""),
        ("I15: replayed", "L8 +a@4", ""),
        ("I16: twice", "+a@11 +a@11", "Ua@11"),
        ("I17: what is not there is deleted", "-zz@12", ""),
        ("I23", "-a@11 +a@12 +a@13", "Da@11 Na@12 Ua@13"),
        // Any bytes are a key here, and any a value: there is nothing that cannot be read (I26, I27).
        ("I28: no answer for a while", "+a@11", "Ua@11"),
        ("I29: the watch was compacted", "L25 S26{a@4,b@5,c@6} F26", "R I"),
        ("one revision, one batch", "+a@11,-b@11,+d@11 +a@12", "[Ua@11 Db@11 Nd@11] Ua@12"),
        (
            "twice in a revision",
            "-a@11,+a@11,-d@11 +d@12,-d@12 +c@13,-c@13",
            "[Da@11 Na@11] [Nd@12 Dd@12] [Uc@13 Dc@13]",
        ),
        ("told further than events came", "P40 L40 P39 +a@41", "Ua@41"),
        ("progress that overtook an event", "P40 +a@20", "Ua@20"),
        ("compacted while it was read", "L20 S25{a@22} X S30{b@5} F30", "R Ua@22 [Da@30 Dc@30] I"),
        ("no older one afterwards", "L20 S25{a@22} X S24{b@5} F24", "R Ua@22"),
        ("events meanwhile", "L20 S25{a@22} -c@26 X S25{c@6} S26{a@22} F26", "R Ua@22 Dc@26 Db@26 I"),
    ];
    for (name, schedule, expected) in rows {
        assert_eq!(run(&mut in_sync(), schedule), expected, "{name}: {schedule}");
    }
}

/// I30: a source that was built anew counts from 1 again, so that everything it says looks old.
#[test]
fn another_incarnation_is_read_again() {
    let mut syncer = Syncer::new();
    assert_eq!(run(&mut syncer, "Cone L10 S10{a@4,b@5,c@6} F10 Cone"), "W R [Na@4 Nb@5 Nc@6] I");
    // The value of a key is its name here: a is the same as before.
    assert_eq!(run(&mut syncer, "Ctwo S3{a@2,d@3} +a@4 -b@5 F3 -a@6"), "W R Nd@3 Ua@4 Db@5 Dc@3 I Da@6");
    let mut syncer = in_sync();
    syncer.connected(b"one");
    syncer.connected(b"two");
    assert!(syncer.snapshot_started(2));
    let other = SyncEvent { key: b"b", mod_revision: 2, value: Some(b"other") };
    syncer.snapshot_page(2, &[other]);
    syncer.snapshot_finished(2);
    assert_eq!(given(&mut syncer), "W R Ub@2 [Da@2 Dc@2] I");
}

/// I31: Calico's watcher blocked behind a queue of 20,000 until its source had forgotten what came next.
#[test]
fn a_consumer_that_is_slow_holds_up_the_source() {
    let (mut syncer, mut revision, mut seen) = (in_sync(), 10, 0);
    let mut most = 0;
    while revision < 30_010 {
        while revision < 30_010 && !syncer.is_full() {
            revision += 1;
            syncer.events(&[SyncEvent { key: b"a", mod_revision: revision, value: Some(b"v") }], true);
        }
        let taken = syncer.take();
        most = most.max(taken.len());
        seen += taken.len();
    }
    assert_eq!((seen, most, syncer.revision(), syncer.status()), (30_000, 10_000, 30_010, SyncStatus::InSync));
}

/// I32: what was followed stays readable when it is no longer.
#[test]
fn a_syncer_that_is_stopped_keeps_its_keys() {
    let mut syncer = in_sync();
    syncer.stop();
    assert_eq!((given(&mut syncer), syncer.len()), ("W".to_owned(), 3));
    assert_eq!(run(&mut syncer, "L20 S20{b@5} F20"), "R [Da@20 Dc@20] I");
}

/// An answer may be cut anywhere, inside a revision too.
#[test]
fn a_revision_that_comes_in_parts_is_merged_whole() {
    let mut syncer = in_sync();
    let event = |key: &'static str, mod_revision| SyncEvent { key: key.as_bytes(), mod_revision, value: Some(b"v") };
    syncer.events(&[event("a", 11), event("a", 12)], false);
    assert_eq!((given(&mut syncer).as_str(), syncer.revision()), ("Ua@11", 11));
    syncer.events(&[event("b", 12)], false);
    syncer.events(&[event("c", 12)], true);
    assert_eq!(given(&mut syncer), "[Ua@12 Ub@12 Uc@12]");
    syncer.events(&[event("a", 13)], false);
    syncer.lost(13);
    syncer.events(&[event("b", 14)], true);
    assert_eq!(given(&mut syncer), "R Ub@14", "the rest of what was cut off will not come");
}
