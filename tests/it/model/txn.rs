//! Transactions: the checks before the first change, in etcd's order, then the operations of the path taken.

use std::collections::BTreeSet;

use super::store::{Draft, Model, Outcome};
use crate::op::{Answer, Bytes, Compare, CompareResult, Keys, Kv, Op, Put, Range, Target, Txn};

impl Model {
    pub fn txn(&mut self, txn: &Txn) -> Outcome<Answer> {
        self.check_size(txn.bytes())?;
        check_shape(txn, self.limits.operations_max)?;
        writes(&txn.success)?;
        writes(&txn.failure)?;
        // etcd looks at all puts before it looks at the first range.
        self.each_on_path(txn, &mut |op| if let Op::Put(put) = op { self.check_put(put) } else { Ok(()) })?;
        self.each_on_path(txn, &mut |op| if let Op::Range(range) = op { self.check_range(range) } else { Ok(()) })?;
        let mut puts = Vec::new();
        self.each_on_path(txn, &mut |op| {
            if let Op::Put(put) = op {
                puts.push(self.stored_by(put));
            }
            Ok(())
        })?;
        self.check_room(&puts)?;
        let mut draft = self.draft();
        let answer = self.run(txn, &mut draft)?;
        let (state, changes) = draft.finish();
        self.publish(state, changes);
        Ok(answer)
    }

    /// Every operation that will run. Compares, the nested ones too, see the state before the transaction.
    fn each_on_path(&self, txn: &Txn, check: &mut dyn FnMut(&Op) -> Outcome<()>) -> Outcome<()> {
        self.path(txn).iter().try_for_each(|op| match op {
            Op::Txn(nested) => self.each_on_path(nested, check),
            _ => check(op),
        })
    }

    fn path<'a>(&self, txn: &'a Txn) -> &'a [Op] {
        if self.holds(txn) { &txn.success } else { &txn.failure }
    }

    fn holds(&self, txn: &Txn) -> bool {
        txn.compare.iter().all(|compare| {
            let mut stored = self.present().values().filter(|kv| compare.keys.contains(&kv.key)).peekable();
            if stored.peek().is_none() { compare.admits(None) } else { stored.all(|kv| compare.admits(Some(kv))) }
        })
    }

    /// A put alone asks for its lease first.
    fn check_put(&self, put: &Put) -> Outcome<()> {
        self.check_key(put)?;
        self.check_lease(put)
    }

    pub fn check_key(&self, put: &Put) -> Outcome<()> {
        let needs_key = put.ignore_value || put.ignore_lease;
        if needs_key && !self.present().contains_key(&put.key) { Err("KEY_NOT_FOUND") } else { Ok(()) }
    }

    pub fn check_lease(&self, put: &Put) -> Outcome<()> {
        let is_known = put.lease == 0 || self.leases.contains_key(&put.lease);
        if is_known { Ok(()) } else { Err("LEASE_NOT_FOUND") }
    }

    fn check_range(&self, range: &Range) -> Outcome<()> {
        self.state_at(range.revision).map(drop)
    }

    fn run(&self, txn: &Txn, draft: &mut Draft<'_>) -> Outcome<Answer> {
        let mut responses = Vec::new();
        for op in self.path(txn) {
            responses.push(match op {
                Op::Put(put) => draft.put(put)?,
                Op::DeleteRange(delete) => draft.delete_range(delete),
                Op::Range(range) => draft.range(range)?,
                Op::Txn(nested) => self.run(nested, draft)?,
                _ => unreachable!("not an operation of a txn"),
            });
        }
        Ok(Answer::Txn { revision: draft.revision(), succeeded: self.holds(txn), responses })
    }
}

impl Compare {
    fn admits(&self, stored: Option<&Kv>) -> bool {
        let number = |read: fn(&Kv) -> u64| stored.map_or(0, read);
        let order = match self.target {
            Target::Version => number(|kv| kv.version).cmp(&self.version),
            Target::Create => number(|kv| kv.create_revision).cmp(&self.create_revision),
            Target::Mod => number(|kv| kv.mod_revision).cmp(&self.mod_revision),
            Target::Lease => stored.map_or(0, |kv| kv.lease).cmp(&self.lease),
            Target::Value => match stored {
                Some(kv) => kv.value.cmp(&self.value),
                None => return false,
            },
        };
        match self.result {
            CompareResult::Equal => order.is_eq(),
            CompareResult::NotEqual => order.is_ne(),
            CompareResult::Greater => order.is_gt(),
            CompareResult::Less => order.is_lt(),
        }
    }
}

/// Empty keys, contradictions and size. The budget of a nested txn is what its parent's longest list leaves.
fn check_shape(txn: &Txn, budget: usize) -> Outcome<()> {
    let longest = txn.compare.len().max(txn.success.len()).max(txn.failure.len());
    let left = budget.checked_sub(longest).ok_or("TOO_MANY_OPERATIONS")?;
    txn.compare.iter().try_for_each(|compare| compare.keys.check_shape())?;
    txn.success.iter().chain(&txn.failure).try_for_each(|op| match op {
        Op::Put(put) => put.check_shape(),
        Op::DeleteRange(delete) => delete.keys.check_shape(),
        Op::Range(range) => range.keys.check_shape(),
        Op::Txn(nested) => check_shape(nested, left),
        _ => unreachable!("not an operation of a txn"),
    })
}

/// What a list of operations may put and delete, or DUPLICATE_KEY: etcd's rule with its two holes, a delete from a key
/// on covers nothing, and a put in an earlier nested txn is not held against a delete in a later one.
fn writes(ops: &[Op]) -> Outcome<(BTreeSet<&Bytes>, Vec<&Keys>)> {
    let mut puts = BTreeSet::new();
    let mut deletes: Vec<&Keys> = Vec::new();
    for op in ops {
        if let Op::DeleteRange(delete) = op {
            deletes.push(&delete.keys);
        }
    }
    for op in ops {
        if let Op::Txn(nested) = op {
            let (success_puts, success_deletes) = writes(&nested.success)?;
            let (failure_puts, failure_deletes) = writes(&nested.failure)?;
            let nested_puts = &success_puts | &failure_puts;
            nested_puts.iter().try_for_each(|key| add_put(key, &mut puts, &deletes))?;
            deletes.extend(success_deletes.iter().chain(&failure_deletes));
        }
    }
    for op in ops {
        if let Op::Put(put) = op {
            add_put(&put.key, &mut puts, &deletes)?;
        }
    }
    Ok((puts, deletes))
}

fn add_put<'a>(key: &'a Bytes, puts: &mut BTreeSet<&'a Bytes>, deletes: &[&Keys]) -> Outcome<()> {
    let deleted = deletes.iter().any(|keys| *keys.range_end.0 != *b"\0" && keys.contains(key));
    if deleted || !puts.insert(key) { Err("DUPLICATE_KEY") } else { Ok(()) }
}
