//! Writes: puts, range deletes, and transactions of both under conditions.
//!
//! A request is judged whole before its first change, in etcd's order: the shape of all of it, then
//! every compare on the state before, then the operations of the path taken against that state. What can only be seen
//! while applying (`ignore_value` on a key that the same transaction deleted) takes everything back.

use std::borrow::Cow;

use super::change::Change;
use super::compare::Compare;
use super::key_value::{KeyValue, LeaseId, Record};
use super::limits::Answer;
use super::overlap;
use super::range::{KeyRange, Range, RangeResponse};
use super::revision::Revision;
use super::store::Store;
use crate::codec::{self, BorrowDecode, BorrowDecoder, DecodeError, Encode};
use crate::error::Error;

/// Gives a key a value.
#[derive(Debug, Default, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub struct Put<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value; may be empty.
    pub value: &'a [u8],
    /// The lease to attach the key to; [`LeaseId::NONE`] detaches it.
    pub lease: LeaseId,
    /// Answers the key as it was before.
    pub prev_kv: bool,
    /// Keeps the stored value; the key must exist.
    pub ignore_value: bool,
    /// Keeps the stored lease; the key must exist.
    pub ignore_lease: bool,
}

/// Deletes every key of a range that is there.
#[derive(Debug, Default, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub struct DeleteRange<'a> {
    /// The keys.
    pub keys: KeyRange<'a>,
    /// Answers the keys as they were before.
    pub prev_kv: bool,
}

/// If every compare holds the success list, else the failure list, in one revision.
#[derive(Debug, Default, Clone, PartialEq, Eq, Encode)]
pub struct Txn<'a> {
    /// The conditions, all judged on the state before the transaction, in nested ones too.
    pub compare: Vec<Compare<'a>>,
    /// What is done when all hold.
    pub success: Vec<Op<'a>>,
    /// What is done otherwise.
    pub failure: Vec<Op<'a>>,
}

/// One operation of a transaction. Each sees what the ones before it did.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub enum Op<'a> {
    /// Gives a key a value.
    Put(Put<'a>),
    /// Deletes a range.
    DeleteRange(DeleteRange<'a>),
    /// Reads a range.
    Range(Range<'a>),
    /// A transaction inside the transaction.
    Txn(Txn<'a>),
}

/// The answer of a [`Put`].
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct PutResponse {
    /// The store's revision with it.
    pub revision: u64,
    /// The key before it, where asked for and there.
    pub prev_kv: Option<KeyValue<'static>>,
}

/// The answer of a [`DeleteRange`].
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct DeleteRangeResponse {
    /// The store's revision with it: unchanged if nothing was there to delete.
    pub revision: u64,
    /// The number of keys deleted.
    pub deleted: u64,
    /// The keys before it in key order, where asked for.
    pub prev_kvs: Vec<KeyValue<'static>>,
}

/// The answer of a [`Txn`].
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct TxnResponse {
    /// The store's revision with it: unchanged if nothing was changed.
    pub revision: u64,
    /// Which list was taken.
    pub succeeded: bool,
    /// One answer for each operation of the list taken.
    pub responses: Vec<OpResponse>,
}

/// The answer of one operation of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub enum OpResponse {
    /// Of a put.
    Put(PutResponse),
    /// Of a delete.
    DeleteRange(DeleteRangeResponse),
    /// Of a read.
    Range(RangeResponse<'static>),
    /// Of a nested transaction.
    Txn(TxnResponse),
}

/// A transaction may hold transactions.
impl<'de: 'a, 'a, C> BorrowDecode<'de, C> for Txn<'a> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let (compare, success, failure) = codec::decode_level(decoder)?;
        Ok(Self { compare, success, failure })
    }
}

/// Whether a lease is granted: what a transaction needs to know of leases.
pub(crate) trait Leases {
    fn is_granted(&self, id: LeaseId) -> bool;
}

impl Put<'_> {
    pub(super) fn validate(&self) -> Result<(), Error> {
        KeyRange::Key(self.key).validate()?;
        match () {
            () if self.ignore_value && !self.value.is_empty() => Err(Error::ValueProvided),
            () if self.ignore_lease && self.lease != LeaseId::NONE => Err(Error::LeaseProvided),
            () => Ok(()),
        }
    }

    fn needs_key(&self) -> bool {
        self.ignore_value || self.ignore_lease
    }

    fn check_lease(&self, leases: &dyn Leases) -> Result<(), Error> {
        let known = self.lease == LeaseId::NONE || leases.is_granted(self.lease);
        if known { Ok(()) } else { Err(Error::LeaseNotFound { id: self.lease.0 }) }
    }
}

impl Op<'_> {
    fn bytes(&self) -> usize {
        match self {
            Op::Put(put) => put.key.len() + put.value.len(),
            Op::DeleteRange(delete) => delete.keys.bytes(),
            Op::Range(range) => range.keys.bytes(),
            Op::Txn(txn) => txn.bytes(),
        }
    }
}

impl Txn<'_> {
    fn bytes(&self) -> usize {
        let compares = self.compare.iter().map(|compare| match compare.target {
            super::compare::CompareTarget::Value(value) => compare.keys.bytes() + value.len(),
            _ => compare.keys.bytes(),
        });
        compares.chain(self.success.iter().chain(&self.failure).map(Op::bytes)).sum()
    }

    /// The shape of one level and those inside it. The recursion is bounded: each level takes from the budget.
    fn validate(&self, budget: usize) -> Result<(), Error> {
        let longest = self.compare.len().max(self.success.len()).max(self.failure.len());
        let rest = budget.checked_sub(longest).ok_or(Error::TooManyOperations)?;
        self.compare.iter().try_for_each(|compare| compare.keys.validate())?;
        self.success.iter().chain(&self.failure).try_for_each(|op| match op {
            Op::Put(put) => put.validate(),
            Op::DeleteRange(delete) => delete.keys.validate(),
            Op::Range(range) => range.keys.validate(),
            Op::Txn(txn) => txn.validate(rest),
        })
    }
}

/// Which list of a transaction is taken, and of those nested in that list, in order.
struct Path {
    succeeded: bool,
    nested: Vec<Path>,
}

impl Path {
    fn of(txn: &Txn<'_>, store: &Store) -> Self {
        let succeeded = txn.compare.iter().all(|compare| compare.holds(store));
        let nested = (if succeeded { &txn.success } else { &txn.failure }).iter().filter_map(|op| match op {
            Op::Txn(txn) => Some(Self::of(txn, store)),
            _ => None,
        });
        Self { succeeded, nested: nested.collect() }
    }

    fn taken<'t, 'a>(&self, txn: &'t Txn<'a>) -> &'t [Op<'a>] {
        if self.succeeded { &txn.success } else { &txn.failure }
    }

    /// Runs `check` on every operation of the path taken.
    fn each<'a>(&self, txn: &Txn<'a>, check: &mut dyn FnMut(&Op<'a>) -> Result<(), Error>) -> Result<(), Error> {
        let mut nested = self.nested.iter();
        self.taken(txn).iter().try_for_each(|op| match (op, nested.as_slice()) {
            (Op::Txn(txn), [path, ..]) => {
                nested.next();
                path.each(txn, check)
            }
            _ => check(op),
        })
    }
}

impl Store {
    /// Puts one key.
    pub fn put(&mut self, put: &Put<'_>, leases: &dyn Leases) -> Result<PutResponse, Error> {
        self.check_size(put.key.len() + put.value.len())?;
        put.validate()?;
        put.check_lease(leases)?;
        self.check_key(put)?;
        self.check_room([self.put_size(put)].into_iter())?;
        self.write(|txn| txn.run_put(put))
    }

    /// Deletes the keys of a range.
    pub fn delete_range(&mut self, delete: &DeleteRange<'_>) -> Result<DeleteRangeResponse, Error> {
        self.check_size(delete.keys.bytes())?;
        delete.keys.validate()?;
        self.write(|txn| txn.run_delete_range(delete))
    }

    /// Runs a transaction.
    pub fn txn(&mut self, txn: &Txn<'_>, leases: &dyn Leases) -> Result<TxnResponse, Error> {
        self.check_size(txn.bytes())?;
        txn.validate(self.limits.operations_max)?;
        overlap::check(&txn.success)?;
        overlap::check(&txn.failure)?;
        let path = Path::of(txn, self);
        path.each(txn, &mut |op| if let Op::Put(put) = op { self.check_put(put, leases) } else { Ok(()) })?;
        path.each(txn, &mut |op| self.check_range(op))?;
        self.check_room_of(txn, &path)?;
        self.write(|write| write.run_txn(txn, &path))
    }

    /// Deletes these keys in one revision, which it gives: the end of a lease.
    pub fn delete_keys<'k>(&mut self, keys: impl Iterator<Item = &'k [u8]>) -> u64 {
        let mut txn = WriteTxn::begin(self);
        for key in keys {
            txn.delete_range(KeyRange::Key(key));
        }
        txn.commit()
    }

    pub(super) fn write<R>(&mut self, body: impl FnOnce(&mut WriteTxn<'_>) -> Result<R, Error>) -> Result<R, Error> {
        let mut txn = WriteTxn::begin(self);
        let result = body(&mut txn);
        match result {
            Ok(_) => drop(txn.commit()),
            Err(_) => txn.rollback(),
        }
        result
    }

    fn check_room_of(&self, txn: &Txn<'_>, path: &Path) -> Result<(), Error> {
        if self.limits.bytes_max == 0 {
            return Ok(());
        }
        let mut puts = Vec::new();
        path.each(txn, &mut |op| {
            puts.extend(if let Op::Put(put) = op { Some(self.put_size(put)) } else { None });
            Ok(())
        })?;
        self.check_room(puts.into_iter())
    }

    pub(super) fn check_size(&self, bytes: usize) -> Result<(), Error> {
        let bytes_max = self.limits.request_bytes_max;
        if bytes <= bytes_max { Ok(()) } else { Err(Error::TooLarge { bytes, bytes_max }) }
    }

    /// A put's key, and the length of the value it will store.
    pub(super) fn put_size<'a>(&self, put: &Put<'a>) -> (&'a [u8], usize) {
        let kept = || self.get_at(put.key, self.current).map_or(0, |kv| kv.value.len());
        (put.key, if put.ignore_value { kept() } else { put.value.len() })
    }

    pub(super) fn check_put(&self, put: &Put<'_>, leases: &dyn Leases) -> Result<(), Error> {
        self.check_key(put)?;
        put.check_lease(leases)
    }

    fn check_key(&self, put: &Put<'_>) -> Result<(), Error> {
        let is_there = || self.get_at(put.key, self.current).is_some();
        if !put.needs_key() || is_there() { Ok(()) } else { Err(Error::KeyNotFound) }
    }

    fn check_range(&self, op: &Op<'_>) -> Result<(), Error> {
        let Op::Range(range) = op else { return Ok(()) };
        self.readable(range.revision).map(drop)
    }
}

/// A transaction being written: its records are in the tree and the index, and nobody else can look before it ends.
pub(crate) struct WriteTxn<'s> {
    store: &'s mut Store,
    next: Revision,
    answer: Answer,
}

impl<'s> WriteTxn<'s> {
    pub fn begin(store: &'s mut Store) -> Self {
        let next = Revision::first_of(store.current + 1);
        let answer = Answer::new(&store.limits);
        Self { store, next, answer }
    }

    /// Makes the changes visible, if there are any; gives the store's revision.
    pub fn commit(self) -> u64 {
        self.store.current = self.revision();
        self.store.current
    }

    /// Takes every change back, newest first.
    pub fn rollback(self) {
        let Store { tree, index, .. } = self.store;
        while tree.newest().is_some_and(|newest| newest.main == self.next.main) {
            let place = tree.newest_place().expect("there is a newest record");
            let key = tree.record(place).key.to_vec();
            tree.pop(place);
            index.pop(&key);
        }
    }

    /// The revision that an operation sees and answers: the one to come as soon as something has changed.
    pub(super) fn revision(&self) -> u64 {
        if self.next.sub > 0 { self.next.main } else { self.store.current }
    }

    pub fn put(&mut self, key: &[u8], value: &[u8], lease: LeaseId) {
        let revision = self.take_revision();
        let Store { index, tree, .. } = &mut *self.store;
        index.push(key, |newest| {
            let before = newest.filter(|change| !change.is_tombstone()).map(|change| tree.record(change.place()));
            let (create_revision, version) =
                before.map_or((revision.main, 1), |record| (record.create_revision, record.version + 1));
            let record = Record { revision, key, create_revision, version, lease, value };
            Change::new(revision, false, tree.append(&record))
        });
    }

    /// Gives the number of keys deleted.
    pub fn delete_range(&mut self, keys: KeyRange<'_>) -> u64 {
        let alive: Vec<_> = self.store.index.range(keys, self.revision()).map(|(key, _)| key.to_vec()).collect();
        for key in &alive {
            let record = Record::tombstone(self.take_revision(), key);
            let place = self.store.tree.append(&record);
            self.store.index.push(key, |_| Change::new(record.revision, true, place));
        }
        alive.len() as u64
    }

    fn take_revision(&mut self) -> Revision {
        let revision = self.next;
        self.next.sub += 1;
        revision
    }

    fn run_txn(&mut self, txn: &Txn<'_>, path: &Path) -> Result<TxnResponse, Error> {
        let mut nested = path.nested.iter();
        let mut responses = Vec::with_capacity(path.taken(txn).len());
        for op in path.taken(txn) {
            responses.push(match op {
                Op::Put(put) => OpResponse::Put(self.run_put(put)?),
                Op::DeleteRange(delete) => OpResponse::DeleteRange(self.run_delete_range(delete)?),
                Op::Range(range) => OpResponse::Range(self.run_range(range)?),
                Op::Txn(txn) => {
                    let path = nested.next().expect("the path has an entry for each nested transaction");
                    OpResponse::Txn(self.run_txn(txn, path)?)
                }
            });
        }
        Ok(TxnResponse { revision: self.revision(), succeeded: path.succeeded, responses })
    }

    pub(super) fn run_put(&mut self, put: &Put<'_>) -> Result<PutResponse, Error> {
        let wanted = put.prev_kv || put.needs_key();
        let prev_kv = if wanted { self.get(put.key) } else { None };
        if let Some(prev) = &prev_kv {
            self.answer.add(prev.key.len(), prev.value.len())?;
        }
        if put.needs_key() && prev_kv.is_none() {
            return Err(Error::KeyNotFound);
        }
        let (mut value, mut lease) = (Cow::Borrowed(put.value), put.lease);
        if let Some(prev) = &prev_kv {
            if put.ignore_value {
                value = prev.value.clone();
            }
            if put.ignore_lease {
                lease = prev.lease;
            }
        }
        self.put(put.key, &value, lease);
        Ok(PutResponse { revision: self.revision(), prev_kv: prev_kv.filter(|_| put.prev_kv) })
    }

    fn run_delete_range(&mut self, delete: &DeleteRange<'_>) -> Result<DeleteRangeResponse, Error> {
        let range = Range { keys: delete.keys, ..Range::default() };
        let prev_kvs = if delete.prev_kv { self.run_range(&range)?.kvs } else { Vec::new() };
        let deleted = self.delete_range(delete.keys);
        Ok(DeleteRangeResponse { revision: self.revision(), deleted, prev_kvs })
    }

    /// A revision below the transaction's shows the state before it.
    fn run_range(&mut self, range: &Range<'_>) -> Result<RangeResponse<'static>, Error> {
        let now = self.revision();
        let at = if range.revision == 0 { now } else { range.revision };
        self.store.range_at(range, at, now, &mut self.answer).map(RangeResponse::into_owned)
    }

    fn get(&self, key: &[u8]) -> Option<KeyValue<'static>> {
        self.store.get_at(key, self.revision()).map(KeyValue::into_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mvcc::limits::{Limits, REQUEST_BYTES_MAX};

    struct NoLeases;
    impl Leases for NoLeases {
        fn is_granted(&self, _: LeaseId) -> bool {
            false
        }
    }

    fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Op<'a> {
        Op::Put(Put { key, value, ..Put::default() })
    }

    fn delete(key: &[u8]) -> Op<'_> {
        Op::DeleteRange(DeleteRange { keys: KeyRange::Key(key), prev_kv: false })
    }

    fn nested(success: Vec<Op<'_>>) -> Op<'_> {
        Op::Txn(Txn { success, ..Txn::default() })
    }

    fn run(store: &mut Store, success: Vec<Op<'_>>) -> Result<TxnResponse, Error> {
        store.txn(&Txn { success, ..Txn::default() }, &NoLeases)
    }

    /// (create revision, mod revision, version) of key `a`.
    fn numbers(store: &Store) -> Option<(u64, u64, u64)> {
        store.get(b"a", 0).expect("readable").map(|kv| (kv.create_revision, kv.mod_revision, kv.version))
    }

    /// etcd accepts a nested put before a sibling's nested delete; it is applied in order, in one revision.
    #[test]
    fn a_key_put_and_deleted_in_one_revision_is_gone() {
        let mut store = Store::default();
        run(&mut store, vec![nested(vec![put(b"a", b"1")]), nested(vec![delete(b"a")])]).expect("accepted");
        assert_eq!((store.current(), numbers(&store)), (2, None));
        let kinds: Vec<_> = store.records_from(2).map(|record| (record.revision.sub, record.is_tombstone())).collect();
        assert_eq!(kinds, [(0, false), (1, true)]);
        store.check();
    }

    /// The second put comes too late to be refused: everything the transaction did is taken back.
    #[test]
    fn a_failure_while_applying_leaves_no_trace() {
        let mut store = Store::default();
        run(&mut store, vec![put(b"a", b"1")]).expect("accepted");
        run(&mut store, vec![put(b"a", b"2")]).expect("accepted");
        let before = numbers(&store);
        let late = Op::Put(Put { key: b"a", ignore_value: true, ..Put::default() });
        let all = Op::DeleteRange(DeleteRange { keys: KeyRange::From(b"a"), prev_kv: false });
        assert_eq!(run(&mut store, vec![put(b"0", b""), all, late]), Err(Error::KeyNotFound));
        assert_eq!((store.current(), numbers(&store)), (3, before));
        assert_eq!(store.get(b"0", 0), Ok(None));
        store.check();
        run(&mut store, vec![put(b"a", b"3")]).expect("accepted");
        assert_eq!(numbers(&store), Some((2, 4, 3)));
    }

    #[test]
    fn header_revisions_follow_the_view() {
        let mut store = Store::default();
        let response = run(&mut store, vec![delete(b"none"), put(b"b", b"")]).expect("accepted");
        let [OpResponse::DeleteRange(first), OpResponse::Put(second)] = &response.responses[..] else {
            panic!("one answer for each operation")
        };
        assert_eq!((first.revision, second.revision, response.revision), (1, 2, 2));
    }

    /// 128 reads of everything cost no byte of request, and would be an answer of any size.
    #[test]
    fn an_answer_too_large_changes_nothing() {
        let mut store = Store::new(Limits { response_bytes_max: 10_000, ..Limits::default() });
        run(&mut store, vec![put(b"a", &[0; 3000])]).expect("accepted");
        let read = || Op::Range(Range::default());
        assert!(run(&mut store, vec![read(); 3]).is_ok());
        let refused = run(&mut store, vec![put(b"b", b""), read(), read(), read(), read()]);
        assert_eq!(refused.map_err(|error| error.code()), Err("TOO_LARGE"));
        assert_eq!((store.current(), store.get(b"b", 0)), (2, Ok(None)));
        store.check();
    }

    #[test]
    fn nesting_spends_the_budget_of_operations() {
        let mut store = Store::default();
        let keys: Vec<_> = (0..200_u8).map(|key| [key, 1]).collect();
        let puts = |range: std::ops::Range<usize>| keys[range].iter().map(|key| put(key, b"")).collect::<Vec<_>>();
        assert!(run(&mut store, puts(0..128)).is_ok());
        assert_eq!(run(&mut store, puts(0..129)), Err(Error::TooManyOperations));
        let both = |inner: usize| [puts(0..63), vec![nested(puts(100..100 + inner))]].concat();
        assert!(run(&mut store, both(64)).is_ok());
        assert_eq!(run(&mut store, both(65)), Err(Error::TooManyOperations));
        let large = vec![0; REQUEST_BYTES_MAX];
        assert_eq!(run(&mut store, vec![put(b"a", &large)]).map_err(|error| error.code()), Err("TOO_LARGE"));
    }
}
