//! What is asked of a store, and what a naive store does about it: plain maps, one for each revision.

use std::collections::BTreeMap;
use std::rc::Rc;

use bincode::config;
use revkv::{
    Compare, CompareResult, CompareTarget, DeleteRange, DeleteRangeResponse, EventKind, KeyRange, KeyValue, LeaseId,
    Op, OpResponse, Put, PutResponse, Range, RangeResponse, Request, Response, Txn, TxnResponse,
};

pub type Key = Vec<u8>;
pub type State = BTreeMap<Key, KeyValue<'static>>;
/// One change of one key, as an event tells it.
pub type Row = (EventKind, KeyValue<'static>);

/// A request of a client, as owned data.
#[derive(Debug, Clone)]
pub enum Wish {
    Put {
        key: Key,
        value: Vec<u8>,
        lease: i64,
        prev_kv: bool,
    },
    /// Puts the value that is there: refused where there is none.
    Touch {
        key: Key,
    },
    Delete {
        from: Key,
        end: Key,
        prev_kv: bool,
    },
    /// If the key was last changed at that revision, gives it this value and reads everything; else reads the key.
    Swap {
        key: Key,
        mod_revision: u64,
        value: Vec<u8>,
    },
    /// Two puts and a delete, of keys that differ.
    Move {
        puts: [Key; 2],
        gone: Key,
        value: Vec<u8>,
    },
    /// Reads everything where it is written.
    Read,
    Grant {
        id: i64,
        ttl_seconds: u64,
    },
    Revoke {
        id: i64,
    },
    KeepAlive {
        id: i64,
    },
    RestoreTo {
        revision: u64,
    },
    Compact {
        revision: u64,
    },
}

impl Wish {
    pub fn request(&self) -> Request<'_> {
        let put = |key, value| Put { key, value, ..Put::default() };
        match self {
            Wish::Put { key, value, lease, prev_kv } => {
                Request::Put(Put { lease: LeaseId(*lease), prev_kv: *prev_kv, ..put(key, value) })
            }
            Wish::Touch { key } => Request::Put(Put { ignore_value: true, ..put(key, b"") }),
            Wish::Delete { from, end, prev_kv } => {
                Request::DeleteRange(DeleteRange { keys: KeyRange::Span { start: from, end }, prev_kv: *prev_kv })
            }
            Wish::Swap { key, mod_revision, value } => {
                let target = CompareTarget::ModRevision(*mod_revision);
                let compare = vec![Compare { keys: KeyRange::Key(key), target, result: CompareResult::Equal }];
                let success = vec![Op::Put(put(key, value)), Op::Range(read(KeyRange::ALL))];
                Request::Txn(Txn { compare, success, failure: vec![Op::Range(read(KeyRange::Key(key)))] })
            }
            Wish::Move { puts, gone, value } => {
                let delete = Op::DeleteRange(DeleteRange { keys: KeyRange::Key(gone), prev_kv: false });
                let success = vec![Op::Put(put(&puts[0], value)), delete, Op::Put(put(&puts[1], value))];
                Request::Txn(Txn { success, ..Txn::default() })
            }
            Wish::Read => Request::Txn(Txn { success: vec![Op::Range(read(KeyRange::ALL))], ..Txn::default() }),
            Wish::Grant { id, ttl_seconds } => Request::LeaseGrant { id: LeaseId(*id), ttl_seconds: *ttl_seconds },
            Wish::Revoke { id } => Request::LeaseRevoke { id: LeaseId(*id) },
            Wish::KeepAlive { id } => Request::LeaseKeepAlive { id: LeaseId(*id) },
            Wish::RestoreTo { revision } => Request::RestoreTo { keys: KeyRange::ALL, revision: *revision },
            Wish::Compact { revision } => Request::Compact { revision: *revision },
        }
    }

    /// What it says may not be so.
    pub fn is_refusable(&self) -> bool {
        match self {
            Wish::Put { lease, .. } => *lease != 0,
            Wish::Touch { .. } | Wish::Revoke { .. } | Wish::KeepAlive { .. } => true,
            Wish::RestoreTo { .. } | Wish::Compact { .. } => true,
            _ => false,
        }
    }

    /// As a follower sends it.
    pub fn packed(&self) -> Vec<u8> {
        packed(&self.request())
    }
}

/// As messages have requests and responses: integers of fixed width.
pub fn packed<T: bincode::Encode>(value: &T) -> Vec<u8> {
    bincode::encode_to_vec(value, config::standard().with_fixed_int_encoding()).expect("memory takes every byte")
}

fn read(keys: KeyRange<'_>) -> Range<'_> {
    Range { keys, ..Range::default() }
}

/// A store at one moment.
#[derive(Debug, Clone)]
pub struct Model {
    pub revision: u64,
    pub compacted: u64,
    pub state: Rc<State>,
    /// Times to live.
    pub leases: Rc<BTreeMap<i64, u64>>,
}

impl Model {
    pub fn new() -> Self {
        Self { revision: 1, compacted: 0, state: Rc::default(), leases: Rc::default() }
    }

    /// What a wish does, and is answered; refusals by their codes. `past`: the state at a revision that can be read.
    pub fn apply(
        &mut self,
        wish: &Wish,
        past: impl Fn(u64) -> Rc<State>,
    ) -> Result<(Vec<Row>, Response), &'static str> {
        let mut draft = Draft { revision: self.revision + 1, state: (*self.state).clone(), rows: Vec::new() };
        let response = match wish {
            Wish::Put { key, value, lease, prev_kv } => {
                if *lease != 0 && !self.leases.contains_key(lease) {
                    return Err("LEASE_NOT_FOUND");
                }
                let before = draft.put(key, value, *lease).filter(|_| *prev_kv);
                Response::Put(PutResponse { revision: draft.revision, prev_kv: before })
            }
            Wish::Touch { key } => {
                let kv = self.state.get(key).ok_or("KEY_NOT_FOUND")?;
                draft.put(key, &kv.value, 0);
                Response::Put(PutResponse { revision: draft.revision, prev_kv: None })
            }
            Wish::Delete { from, end, prev_kv } => {
                let gone: Vec<Key> = self.state.range(from.clone()..end.clone()).map(|(key, _)| key.clone()).collect();
                let before: Vec<KeyValue<'static>> = gone.iter().filter_map(|key| draft.delete(key)).collect();
                let deleted = before.len() as u64;
                let prev_kvs = if *prev_kv { before } else { Vec::new() };
                Response::DeleteRange(DeleteRangeResponse { revision: draft.now(), deleted, prev_kvs })
            }
            Wish::Swap { key, mod_revision, value } => {
                let succeeded = self.state.get(key).map_or(0, |kv| kv.mod_revision) == *mod_revision;
                let responses = match succeeded {
                    true => vec![draft.put_in_txn(key, value), draft.read(None)],
                    false => vec![draft.read(Some(key))],
                };
                Response::Txn(TxnResponse { revision: draft.now(), succeeded, responses })
            }
            Wish::Move { puts, gone, value } => {
                let first = draft.put_in_txn(&puts[0], value);
                let deleted = u64::from(draft.delete(gone).is_some());
                let delete = DeleteRangeResponse { revision: draft.now(), deleted, prev_kvs: Vec::new() };
                let responses = vec![first, OpResponse::DeleteRange(delete), draft.put_in_txn(&puts[1], value)];
                Response::Txn(TxnResponse { revision: draft.now(), succeeded: true, responses })
            }
            Wish::Read => {
                let responses = vec![draft.read(None)];
                Response::Txn(TxnResponse { revision: draft.now(), succeeded: true, responses })
            }
            Wish::Grant { id, ttl_seconds } => {
                if self.leases.contains_key(id) {
                    return Err("LEASE_EXISTS");
                }
                Rc::make_mut(&mut self.leases).insert(*id, *ttl_seconds);
                Response::LeaseGrant { revision: draft.now(), id: LeaseId(*id), ttl_seconds: *ttl_seconds }
            }
            Wish::Revoke { id } => {
                Rc::make_mut(&mut self.leases).remove(id).ok_or("LEASE_NOT_FOUND")?;
                attached(&self.state, *id).iter().for_each(|key| drop(draft.delete(key)));
                Response::LeaseRevoke { revision: draft.now() }
            }
            Wish::KeepAlive { id } => {
                let ttl_seconds = *self.leases.get(id).ok_or("LEASE_NOT_FOUND")?;
                Response::LeaseKeepAlive { revision: draft.now(), ttl_seconds }
            }
            Wish::RestoreTo { revision } => {
                if *revision < self.compacted {
                    return Err("COMPACTED");
                }
                draft.restore(&past(*revision));
                Response::RestoreTo { revision: draft.now() }
            }
            Wish::Compact { revision } => {
                if *revision <= self.compacted {
                    return Err("COMPACTED");
                }
                self.compacted = *revision;
                Response::Compact { revision: draft.now() }
            }
        };
        self.revision = draft.now();
        if !draft.rows.is_empty() {
            self.state = Rc::new(draft.state);
        }
        Ok((draft.rows, response))
    }

    /// A lease is over: what that has changed says which.
    pub fn expire(&mut self, id: i64) -> Vec<Row> {
        let mut draft = Draft { revision: self.revision + 1, state: (*self.state).clone(), rows: Vec::new() };
        attached(&self.state, id).iter().for_each(|key| drop(draft.delete(key)));
        Rc::make_mut(&mut self.leases).remove(&id);
        (self.revision, self.state) = (draft.now(), Rc::new(draft.state));
        draft.rows
    }
}

fn attached(state: &State, lease: i64) -> Vec<Key> {
    state.values().filter(|kv| kv.lease.0 == lease).map(|kv| kv.key.to_vec()).collect()
}

/// A write that is under way.
struct Draft {
    revision: u64,
    state: State,
    rows: Vec<Row>,
}

impl Draft {
    /// The revision so far.
    fn now(&self) -> u64 {
        if self.rows.is_empty() { self.revision - 1 } else { self.revision }
    }

    fn put(&mut self, key: &[u8], value: &[u8], lease: i64) -> Option<KeyValue<'static>> {
        let before = self.state.get(key).cloned();
        let (create_revision, version) =
            before.as_ref().map_or((self.revision, 1), |kv| (kv.create_revision, kv.version + 1));
        let kv = KeyValue {
            key: key.to_vec().into(),
            create_revision,
            mod_revision: self.revision,
            version,
            lease: LeaseId(lease),
            value: value.to_vec().into(),
        };
        self.state.insert(key.to_vec(), kv.clone());
        self.rows.push((EventKind::Put, kv));
        before
    }

    fn put_in_txn(&mut self, key: &[u8], value: &[u8]) -> OpResponse {
        self.put(key, value, 0);
        OpResponse::Put(PutResponse { revision: self.revision, prev_kv: None })
    }

    fn delete(&mut self, key: &[u8]) -> Option<KeyValue<'static>> {
        let before = self.state.remove(key)?;
        let kv = KeyValue {
            key: key.to_vec().into(),
            create_revision: 0,
            mod_revision: self.revision,
            version: 0,
            lease: LeaseId::NONE,
            value: Vec::new().into(),
        };
        self.rows.push((EventKind::Delete, kv));
        Some(before)
    }

    fn read(&self, key: Option<&[u8]>) -> OpResponse {
        let kvs: Vec<KeyValue<'static>> =
            self.state.values().filter(|kv| key.is_none_or(|key| *kv.key == *key)).cloned().collect();
        OpResponse::Range(RangeResponse { revision: self.now(), count: kvs.len() as u64, more: false, kvs })
    }

    fn restore(&mut self, wanted: &State) {
        for (key, kv) in wanted {
            let now = self.state.get(key);
            if now.is_none_or(|now| now.value != kv.value) {
                let lease = now.map_or(0, |now| now.lease.0);
                self.put(key, &kv.value, lease);
            }
        }
        let gone: Vec<Key> = self.state.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect();
        gone.iter().for_each(|key| drop(self.delete(key)));
    }
}
