//! Which transactions write one key twice: accepted and refused exactly as etcd 3.5 does (`checkIntervals`).
//!
//! Inside one list of operations a key may be put once, and not both put and deleted. A nested transaction takes one of
//! its two lists, so they may put the same key; siblings may not. Two pairs pass on purpose, because etcd lets them: a
//! nested put before a sibling's nested delete of it, and a put inside a delete "from key on". They are applied in
//! order.

use std::cmp::Ordering;

use super::range::{KeyRange, ordered};
use super::txn::Op;
use crate::error::Error;

/// What a list of operations may write, its nested transactions included.
#[derive(Default)]
struct Writes<'a> {
    /// Ascending, so that lists are merged and a delete finds the first put it could cover by halving: the work stays
    /// far from quadratic for the largest request.
    puts: Vec<&'a [u8]>,
    deletes: Vec<KeyRange<'a>>,
}

/// Refuses a list of operations that would write a key twice.
pub(super) fn check(ops: &[Op<'_>]) -> Result<(), Error> {
    Writes::of(ops).map(drop)
}

impl<'a> Writes<'a> {
    /// The order matters: this level's deletes, then the nested transactions one by one, then this level's puts.
    fn of(ops: &'a [Op<'a>]) -> Result<Self, Error> {
        let mut writes = Self::default();
        let mut puts = Vec::new();
        for op in ops {
            match op {
                Op::Put(put) => puts.push(put.key),
                // etcd's interval of a delete "from key on" ends before it begins, and so meets nothing.
                Op::DeleteRange(delete) if !matches!(delete.keys, KeyRange::From(_)) => {
                    writes.deletes.push(delete.keys)
                }
                _ => {}
            }
        }
        for op in ops {
            if let Op::Txn(txn) = op {
                let (taken, other) = (Self::of(&txn.success)?, Self::of(&txn.failure)?);
                let either = writes.check_deletes(&taken.puts).and_then(|()| writes.check_deletes(&other.puts));
                writes.add(&either.and_then(|()| union(&taken.puts, &other.puts, true))?)?;
                writes.deletes.extend(taken.deletes.into_iter().chain(other.deletes));
            }
        }
        let order = ordered(puts.len(), &|a, b| puts[a].cmp(puts[b]));
        let puts: Vec<_> = order.into_iter().map(|place| puts[place]).collect();
        let repeated = puts.windows(2).any(|pair| pair[0] == pair[1]);
        if repeated { Err(Error::DuplicateKey) } else { writes.check_deletes(&puts).and_then(|()| writes.add(&puts)) }?;
        Ok(writes)
    }

    fn add(&mut self, puts: &[&'a [u8]]) -> Result<(), Error> {
        self.puts = union(&self.puts, puts, false)?;
        Ok(())
    }

    fn check_deletes(&self, puts: &[&'a [u8]]) -> Result<(), Error> {
        let covers = |keys: &KeyRange<'_>| {
            let first = puts.partition_point(|key| *key < keys.start());
            puts.get(first).is_some_and(|key| keys.contains(key))
        };
        if self.deletes.iter().any(covers) { Err(Error::DuplicateKey) } else { Ok(()) }
    }
}

/// The keys of both lists, ascending as they are. One that is in both must be allowed to repeat.
fn union<'a>(a: &[&'a [u8]], b: &[&'a [u8]], may_repeat: bool) -> Result<Vec<&'a [u8]>, Error> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let mut union = Vec::with_capacity(a.len() + b.len());
    while let (Some(left), Some(right)) = (a.peek(), b.peek()) {
        match left.cmp(right) {
            Ordering::Less => union.extend(a.next()),
            Ordering::Greater => union.extend(b.next()),
            Ordering::Equal if may_repeat => drop(a.next()),
            Ordering::Equal => return Err(Error::DuplicateKey),
        }
    }
    union.extend(a.chain(b));
    Ok(union)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mvcc::txn::{DeleteRange, Put, Txn};

    fn put(key: &'static [u8]) -> Op<'static> {
        Op::Put(Put { key, ..Put::default() })
    }

    fn delete(keys: KeyRange<'static>) -> Op<'static> {
        Op::DeleteRange(DeleteRange { keys, prev_kv: false })
    }

    fn nested(success: Vec<Op<'static>>, failure: Vec<Op<'static>>) -> Op<'static> {
        Op::Txn(Txn { compare: vec![], success, failure })
    }

    /// What a real etcd 3.5 says to each.
    #[test]
    fn accepts_and_refuses_what_etcd_does() {
        let a = || KeyRange::Key(b"a");
        let rows: [(&str, Vec<Op<'static>>, bool); 13] = [
            ("put a, put a", vec![put(b"a"), put(b"a")], false),
            ("put a, delete a", vec![put(b"a"), delete(a())], false),
            ("delete a, put a", vec![delete(a()), put(b"a")], false),
            ("outside", vec![put(b"abc"), delete(KeyRange::Span { start: b"abb", end: b"abc" })], true),
            ("put a, nested delete a", vec![put(b"a"), nested(vec![delete(a())], vec![])], false),
            ("nested delete a, put a", vec![nested(vec![delete(a())], vec![]), put(b"a")], false),
            ("delete a, nested put a", vec![delete(a()), nested(vec![put(b"a")], vec![])], false),
            ("siblings put", vec![nested(vec![put(b"a")], vec![]), nested(vec![], vec![put(b"a")])], false),
            ("then and else put", vec![nested(vec![put(b"a")], vec![put(b"a")])], true),
            (
                "sibling deletes, then puts",
                vec![nested(vec![delete(a())], vec![]), nested(vec![put(b"a")], vec![])],
                false,
            ),
            (
                "sibling puts, then deletes",
                vec![nested(vec![put(b"a")], vec![]), nested(vec![delete(a())], vec![])],
                true,
            ),
            ("deletes overlap", vec![delete(a()), delete(KeyRange::ALL)], true),
            ("delete from a on, put b", vec![delete(KeyRange::From(b"a")), put(b"b")], true),
        ];
        for (name, ops, accepted) in rows {
            let expected = if accepted { Ok(()) } else { Err(Error::DuplicateKey) };
            assert_eq!(check(&ops), expected, "{name}");
        }
    }
}
