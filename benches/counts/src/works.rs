//! The works: what is counted, each on a store with the same content.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use revkv::{Commit, DeleteRange, History, KeyRange, Put, Range, Request, Watch};
use wasmi::Val;

use crate::machine::{Machine, Program, decoded, encoded};

const KEYS: usize = 10_000;
const VALUE_BYTES: usize = 100;
const WATCHERS: usize = 1_000;
/// Of one key.
const VERSIONS: usize = 10_000;
/// Events that are taken at once.
const TAKEN_MAX: i32 = 20_000;
/// What IndexedDB takes at once.
const BLOB_BYTES_MAX: i32 = 48 << 10;
/// A work is done so often; the mean counts.
const CALLS: usize = 200;

/// Instructions that a work takes, once.
#[derive(Clone, Copy)]
pub struct Count {
    pub work: &'static str,
    pub instructions: u64,
}

/// Counts every work.
pub fn count_all(program: &Program) -> Result<Vec<Count>> {
    let rooms = [reads, writes, watches, compaction, storage, replication];
    let counts: Result<Vec<Vec<Count>>> = rooms.iter().map(|room| room(program)).collect();
    Ok(counts?.into_iter().flatten().collect())
}

fn reads(program: &Program) -> Result<Vec<Count>> {
    let mut filled = filled(program, 0)?;
    let old = filled.revision()?;
    update_all(&mut filled)?;
    let machine = &mut filled;
    Ok(vec![
        each("get", machine, |machine, n| given(machine.ask("get", &key(n), &[0.0])))?,
        each("get, the value alone", machine, |machine, n| given(machine.ask("value", &key(n), &[0.0])))?,
        each("get, whether it has changed", machine, |machine, n| {
            machine.write(&key(n))?;
            machine.call("modRevision", &[Val::I32(20)]).map(drop)
        })?,
        each("get at an old revision", machine, |machine, n| given(machine.ask("get", &key(n), &[old as f64])))?,
        each("range of 100", machine, |machine, n| range_of_100(machine, n, &Range::default()))?,
        each("range of 100 at an old revision", machine, |machine, n| {
            range_of_100(machine, n, &Range { revision: old, ..Range::default() })
        })?,
        each("range, the first 100 of many", machine, |machine, n| {
            let first = key(n % (KEYS - 100));
            let range = Range { keys: KeyRange::From(&first), limit: 100, uncounted: true, ..Range::default() };
            given(machine.ask("range", &encoded(range)?, &[]))
        })?,
        each("count of a prefix of 100", machine, |machine, n| {
            range_of_100(machine, n, &Range { count_only: true, ..Range::default() })
        })?,
        each("history of 1,000 events", machine, |machine, _| {
            let history = History { from: old + 1, limit: 1_000, ..History::default() };
            given(machine.ask("history", &encoded(history)?, &[]))
        })?,
        each("snapshot and release", machine, |machine, _| {
            machine.ask_numbers("snapshot", &[0.0])?;
            let now = machine.revision()? as f64;
            machine.call("releaseSnapshot", &[Val::F64(now.into())]).map(drop)
        })?,
    ])
}

fn writes(program: &Program) -> Result<Vec<Count>> {
    let mut machine = filled(program, 0)?;
    let machine = &mut machine;
    Ok(vec![
        each("put, update", machine, |machine, n| put(machine, &key(n)))?,
        each("put, new key", machine, |machine, n| put(machine, &key(KEYS + n)))?,
        each("delete", machine, |machine, n| {
            let key = key(KEYS + n);
            let deletion = DeleteRange { keys: KeyRange::Key(&key), prev_kv: false };
            given(machine.ask("apply", &encoded(Request::DeleteRange(deletion))?, &[0.0]))
        })?,
        each("putMany of 100", machine, |machine, n| commit(machine, (n..n + 100).map(|n| key(n % KEYS))))?,
    ])
}

/// As the package does it: what is pending is taken from all of them at once.
fn watches(program: &Program) -> Result<Vec<Count>> {
    let mut machine = filled(program, 0)?;
    let machine = &mut machine;
    for n in 0..WATCHERS {
        let key = key(n);
        given(machine.ask("watch", &encoded(Watch { keys: KeyRange::Key(&key), ..Watch::default() })?, &[]))?;
    }
    let one_of_many = each("put and delivery, 1,000 watchers, one match", machine, |machine, n| {
        put(machine, &key(n % WATCHERS))?;
        deliver(machine)
    })?;
    // A key's versions are no reason to take longer.
    (0..VERSIONS).try_for_each(|_| put(machine, &key(0)))?;
    deliver(machine)?;
    let of_many_versions = each("put and delivery, a key of 10,000 versions", machine, |machine, _| {
        put(machine, &key(0))?;
        deliver(machine)
    })?;
    Ok(vec![one_of_many, of_many_versions])
}

/// To the one watcher that has something to take.
fn deliver(machine: &mut Machine) -> Result<()> {
    let pending = machine.ask_numbers("pendingWatches", &[])?.context("a list is given")?;
    let pending: Vec<u32> = decoded(&pending)?;
    ensure!(pending.len() == 1, "{} watchers have something to take", pending.len());
    let now = machine.revision()?;
    let wanted: Vec<(u32, u64)> = pending.into_iter().map(|id| (id, now)).collect();
    machine.write(&encoded(&wanted)?)?;
    let taken = machine.call("takeMany", &[Val::I32(i32::try_from(encoded(&wanted)?.len())?), Val::I32(TAKEN_MAX)])?;
    given(machine.answer(taken))
}

fn compaction(program: &Program) -> Result<Vec<Count>> {
    let mut machine = filled(program, 0)?;
    update_all(&mut machine)?;
    let compact = encoded(Request::Compact { revision: machine.revision()? })?;
    let (mut all, mut longest) = (machine.count(|machine| given(machine.ask("apply", &compact, &[0.0])))?, 0);
    let mut is_compacting = true;
    while is_compacting {
        let step = machine.count(|machine| {
            is_compacting = machine.call("compactStep", &[])? != 0;
            Ok(())
        })?;
        (all, longest) = (all + step, longest.max(step));
    }
    Ok(vec![
        Count { work: "compaction, a change removed", instructions: all / KEYS as u64 },
        Count { work: "compaction, the longest step", instructions: longest },
    ])
}

fn storage(program: &Program) -> Result<Vec<Count>> {
    let mut machine = filled(program, BLOB_BYTES_MAX)?;
    let mut blobs = BTreeMap::new();
    write_out(&mut machine, &mut blobs)?;
    let written = each("100 puts and their batch", &mut machine, |machine, n| {
        (0..100).try_for_each(|other| put(machine, &key((n + 7 * other) % KEYS)))?;
        write_out(machine, &mut blobs)
    })?;
    let mut found = Machine::new(program, BLOB_BYTES_MAX)?;
    let recovered = found.count(|found| {
        for blob in &blobs {
            found.ask("recover", &encoded(blob)?, &[])?;
        }
        found.ask_numbers("start", &[]).map(drop)
    })?;
    ensure!(found.revision()? == machine.revision()?, "what was stored is not what is found");
    let changes = (KEYS + 100 * CALLS) as u64;
    Ok(vec![written, Count { work: "recovery, a change", instructions: recovered / changes }])
}

fn replication(program: &Program) -> Result<Vec<Count>> {
    let (mut origin, mut copy) = (filled(program, 0)?, started(program, 0)?);
    let mut from = 1.0;
    let mut carry = |origin: &mut Machine, copy: &mut Machine, max: f64| -> Result<[u64; 2]> {
        let mut changes = Vec::new();
        let told = origin.count(|origin| {
            changes = origin.ask_numbers("changes", &[from, 0.0, max])?.context("a change set is given")?;
            Ok(())
        })?;
        let applied = copy.count(|copy| given(copy.ask("applyChanges", &changes, &[])))?;
        from = copy.revision()? as f64;
        Ok([told, applied])
    };
    while copy.revision()? < origin.revision()? {
        carry(&mut origin, &mut copy, 0.0)?;
    }
    for n in 0..CALLS {
        put(&mut origin, &key(place(n)))?;
    }
    let [mut told, mut applied] = [0, 0];
    for _ in 0..CALLS / 100 {
        let [more_told, more_applied] = carry(&mut origin, &mut copy, 100.0)?;
        (told, applied) = (told + more_told, applied + more_applied);
    }
    ensure!(origin.revision()? == copy.revision()?, "the copy is not where its origin is");
    Ok(vec![
        Count { work: "changes, a put", instructions: told / CALLS as u64 },
        Count { work: "applyChanges, a put", instructions: applied / CALLS as u64 },
    ])
}

fn each(
    work: &'static str,
    machine: &mut Machine,
    mut call: impl FnMut(&mut Machine, usize) -> Result<()>,
) -> Result<Count> {
    let all = machine.count(|machine| (0..CALLS).try_for_each(|n| call(machine, place(n))));
    Ok(Count { work, instructions: all.with_context(|| work)? / CALLS as u64 })
}

fn started(program: &Program, blob_bytes_max: i32) -> Result<Machine> {
    let mut machine = Machine::new(program, blob_bytes_max)?;
    machine.ask_numbers("start", &[])?;
    Ok(machine)
}

/// Every key once, in portions of a hundred, as what is loaded comes.
fn filled(program: &Program, blob_bytes_max: i32) -> Result<Machine> {
    let mut machine = started(program, blob_bytes_max)?;
    for first in (0..KEYS).step_by(100) {
        commit(&mut machine, (first..first + 100).map(|n| key(place(n))))?;
    }
    Ok(machine)
}

fn update_all(machine: &mut Machine) -> Result<()> {
    (0..KEYS).try_for_each(|n| put(machine, &key(place(n))))
}

fn put(machine: &mut Machine, key: &[u8]) -> Result<()> {
    let request = Request::Put(Put { key, value: &[b'v'; VALUE_BYTES], ..Put::default() });
    given(machine.ask("apply", &encoded(request)?, &[0.0]))
}

fn commit(machine: &mut Machine, keys: impl Iterator<Item = [u8; 20]>) -> Result<()> {
    let keys: Vec<[u8; 20]> = keys.collect();
    let put = |key| Put { key, value: &[b'v'; VALUE_BYTES], ..Put::default() };
    let puts = keys.iter().map(|key| put(&key[..])).collect();
    let request = Request::Commit(Commit { puts, ..Commit::default() });
    given(machine.ask("apply", &encoded(request)?, &[0.0]))
}

/// The hundred keys that begin as key `n` does.
fn range_of_100(machine: &mut Machine, n: usize, range: &Range<'_>) -> Result<()> {
    let (start, end) = (key(n / 100 * 100), key(n / 100 * 100 + 100));
    let range = Range { keys: KeyRange::Span { start: &start, end: &end }, ..range.clone() };
    given(machine.ask("range", &encoded(range)?, &[]))
}

/// Does with a medium what there is to do, and says that it is done.
fn write_out(machine: &mut Machine, blobs: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    type Ready = (u64, u64, Vec<(String, Vec<u8>)>, Vec<String>);
    while let Some(packed) = machine.ask_numbers("takeReady", &[])? {
        let (through, _, put, deleted): Ready = decoded(&packed)?;
        blobs.extend(put);
        blobs.retain(|id, _| !deleted.contains(id));
        machine.ask_numbers("persisted", &[through as f64])?;
    }
    Ok(())
}

/// 20 bytes; keys ascend with their numbers.
fn key(n: usize) -> [u8; 20] {
    let mut key = *b"user/0000000000/name";
    for (place, digit) in format!("{n:010}").bytes().enumerate() {
        key[5 + place] = digit;
    }
    key
}

/// Where the number is in an order that has every key once, and is no order of the keys.
fn place(n: usize) -> usize {
    n * 6_151 % KEYS
}

fn given(answer: Result<Option<Vec<u8>>>) -> Result<()> {
    answer?.context("there is nothing").map(drop)
}
