//! Operations and answers as plain owned data, in etcd's words and in the form the traces are written in.
//!
//! Traces are read into these, the model answers in these, and [`crate::subject`] asks the engine in these. So each
//! comparison is one `==` over every field.

use std::fmt;
use std::rc::Rc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer};

/// A key, a range end or a value. Shared, because the model copies whole maps of them.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub Rc<[u8]>);

impl Bytes {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.len().min(40);
        write!(f, "b\"{}\"", self.0[..shown].escape_ascii())?;
        if shown < self.0.len() { write!(f, "..{}", self.0.len()) } else { Ok(()) }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map(|bytes| Self(bytes.into())).map_err(serde::de::Error::custom)
    }
}

/// Which keys are meant, as on etcd's wire: no end is the key alone, the end `"\0"` is "from the key on", and both
/// `"\0"` is everything.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Keys {
    pub key: Bytes,
    pub range_end: Bytes,
}

impl Keys {
    pub fn contains(&self, key: &Bytes) -> bool {
        match &*self.range_end.0 {
            b"" => *key == self.key,
            b"\0" => *key >= self.key,
            _ => self.key <= *key && *key < self.range_end,
        }
    }

    /// The key is not before its range end.
    pub fn holds_nothing(&self) -> bool {
        !matches!(&*self.range_end.0, b"" | b"\0") && self.key >= self.range_end
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.range_end.0 {
            b"" => write!(f, "{:?}", self.key),
            b"\0" => write!(f, "[{:?}, ..)", self.key),
            _ => write!(f, "[{:?}, {:?})", self.key, self.range_end),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Op {
    Put(Put),
    Range(Range),
    DeleteRange(DeleteRange),
    Txn(Txn),
    Compact { revision: u64 },
    LeaseGrant { id: i64, ttl: u64 },
    LeaseRevoke { id: i64 },
    LeaseKeepAlive { id: i64 },
    LeaseTimeToLive { id: i64 },
    LeaseLeases,
    Watch(Watch),
    Get { key: Bytes, revision: u64 },
    History { keys: Keys, from: u64, to: u64, limit: u64 },
    Since { keys: Keys, start_revision: u64, end_revision: u64, limit: u64 },
    Diff { keys: Keys, from: u64, to: u64 },
    RestoreTo { keys: Keys, revision: u64 },
    Commit(Commit),
    Hash { revision: u64 },
    Snapshot { revision: u64 },
    ReleaseSnapshot { revision: u64 },
}

impl Op {
    /// The engine is told the time with it.
    pub fn is_request(&self) -> bool {
        matches!(
            self,
            Op::Put(_)
                | Op::DeleteRange(_)
                | Op::Txn(_)
                | Op::Compact { .. }
                | Op::LeaseGrant { .. }
                | Op::LeaseRevoke { .. }
                | Op::LeaseKeepAlive { .. }
                | Op::RestoreTo { .. }
                | Op::Commit(_)
        )
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Put {
    pub key: Bytes,
    pub value: Bytes,
    pub lease: i64,
    pub prev_kv: bool,
    pub ignore_value: bool,
    pub ignore_lease: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Range {
    #[serde(flatten)]
    pub keys: Keys,
    pub revision: u64,
    pub limit: u64,
    pub keys_only: bool,
    pub count_only: bool,
    pub sort_target: SortTarget,
    pub sort_order: SortOrder,
    pub min_mod_revision: u64,
    pub max_mod_revision: u64,
    pub min_create_revision: u64,
    pub max_create_revision: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SortTarget {
    #[default]
    Key,
    Version,
    Create,
    Mod,
    Value,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SortOrder {
    #[default]
    None,
    Ascend,
    Descend,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeleteRange {
    #[serde(flatten)]
    pub keys: Keys,
    pub prev_kv: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Txn {
    pub compare: Vec<Compare>,
    pub success: Vec<Op>,
    pub failure: Vec<Op>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Commit {
    pub revision: u64,
    pub reads: Vec<Keys>,
    pub deletes: Vec<Keys>,
    pub puts: Vec<Put>,
}

/// Read as "stored `result` given"; only the operand that `target` names counts.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Compare {
    #[serde(flatten)]
    pub keys: Keys,
    pub target: Target,
    pub result: CompareResult,
    #[serde(default)]
    pub version: u64,
    #[serde(default)]
    pub create_revision: u64,
    #[serde(default)]
    pub mod_revision: u64,
    #[serde(default)]
    pub value: Bytes,
    #[serde(default)]
    pub lease: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Target {
    Version,
    Create,
    Mod,
    Value,
    Lease,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CompareResult {
    Equal,
    NotEqual,
    Greater,
    Less,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Watch {
    /// What the trace calls it.
    pub id: u32,
    #[serde(flatten)]
    pub keys: Keys,
    /// 0 is from now on.
    pub start_revision: u64,
    pub prev_kv: bool,
    pub filters: Vec<Filter>,
    /// Ours, not etcd's: a compacted start gives the range as it is instead of an error.
    pub resync: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    NoPut,
    NoDelete,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kv {
    pub key: Bytes,
    pub value: Bytes,
    pub create_revision: u64,
    pub mod_revision: u64,
    pub version: u64,
    pub lease: i64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    pub r#type: EventType,
    pub kv: Kv,
    pub prev_kv: Option<Kv>,
}

/// All changes of one revision that a watcher sees.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub revision: u64,
    pub events: Vec<Event>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventType {
    Put,
    Delete,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Answer {
    Put {
        #[serde(default)]
        revision: u64,
        prev_kv: Option<Kv>,
    },
    Range {
        #[serde(default)]
        revision: u64,
        kvs: Vec<Kv>,
        count: u64,
        more: bool,
    },
    DeleteRange {
        #[serde(default)]
        revision: u64,
        deleted: u64,
        prev_kvs: Vec<Kv>,
    },
    Txn {
        #[serde(default)]
        revision: u64,
        succeeded: bool,
        responses: Vec<Answer>,
    },
    Compact {
        revision: u64,
    },
    LeaseGrant {
        revision: u64,
        id: i64,
        ttl: u64,
    },
    LeaseRevoke {
        revision: u64,
    },
    LeaseKeepAlive {
        revision: u64,
        ttl: u64,
    },
    LeaseTimeToLive {
        revision: u64,
        exists: bool,
        granted_ttl: u64,
        #[serde(default)]
        remaining_ms: i64,
        keys: Vec<Bytes>,
    },
    LeaseLeases {
        revision: u64,
        ids: Vec<i64>,
    },
    Watch {},
    Get(Option<Kv>),
    History(Vec<Event>),
    Since {
        events: Vec<Event>,
        next_revision: u64,
    },
    /// Each key before and after.
    Diff(Vec<(Option<Kv>, Option<Kv>)>),
    RestoreTo {
        revision: u64,
    },
    Commit {
        revision: u64,
    },
    Hash {
        hash: u32,
        revision: u64,
        compact_revision: u64,
    },
    Snapshot {
        revision: u64,
    },
    ReleaseSnapshot {
        released: bool,
    },
    /// One of the package's codes.
    Error(String),
}

impl Answer {
    pub fn error(code: &str) -> Self {
        Self::Error(code.to_owned())
    }

    /// What a trace records of this answer: the operations of a txn without their own revisions, a lease without the
    /// time it has left.
    pub fn into_traced(mut self) -> Self {
        if let Self::Txn { responses, .. } = &mut self {
            responses.iter_mut().for_each(Self::forget_revisions);
        }
        if let Self::LeaseTimeToLive { remaining_ms, .. } = &mut self {
            *remaining_ms = 0;
        }
        self
    }

    fn forget_revisions(&mut self) {
        match self {
            Self::Put { revision, .. } | Self::Range { revision, .. } | Self::DeleteRange { revision, .. } => {
                *revision = 0;
            }
            Self::Txn { revision, responses, .. } => {
                *revision = 0;
                responses.iter_mut().for_each(Self::forget_revisions);
            }
            _ => {}
        }
    }
}
