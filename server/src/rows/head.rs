//! The head of a conversation: the one row that every append reads and writes.

use bytes::Bytes;
use fulmar_protocol::{HistoryPolicy, Ordinal, Seq, TimestampMs};

use super::value::{self, RowError};

/// How a conversation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The last seq; zero when there is no entry yet (a direct conversation that was only blocked).
    pub(crate) seq: Seq,
    pub(crate) ordinal: Ordinal,
    /// When the last entry was appended. Time never goes back within a conversation.
    pub(crate) at: TimestampMs,
    /// Rises with every change of members, roles, `wrote` and blocks: what caches are checked against.
    pub(crate) roster_version: u64,
    pub(crate) history_policy: HistoryPolicy,
    /// Direct conversations: whether the user that sorts first has blocked the other, and the reverse.
    pub(crate) first_blocks: bool,
    pub(crate) second_blocks: bool,
    /// Set once the group outgrew the fan-out limit: its inbox rows no longer follow the head.
    pub(crate) large: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Row {
    #[prost(uint64, tag = "1")]
    seq: u64,
    #[prost(uint64, tag = "2")]
    ordinal: u64,
    #[prost(uint64, tag = "3")]
    at_ms: u64,
    #[prost(uint64, tag = "4")]
    roster_version: u64,
    #[prost(bool, tag = "5")]
    history_all: bool,
    #[prost(bool, tag = "6")]
    first_blocks: bool,
    #[prost(bool, tag = "7")]
    second_blocks: bool,
    #[prost(bool, tag = "8")]
    large: bool,
}

impl Head {
    /// A conversation that does not exist yet.
    pub(crate) fn new() -> Self {
        Self {
            seq: Seq::ZERO,
            ordinal: Ordinal::new(0),
            at: TimestampMs::new(0),
            roster_version: 0,
            history_policy: HistoryPolicy::FromJoining,
            first_blocks: false,
            second_blocks: false,
            large: false,
        }
    }

    pub(crate) fn exists(&self) -> bool {
        self.seq > Seq::ZERO
    }

    pub(crate) fn encode(&self) -> Bytes {
        value::encode(&Row {
            seq: self.seq.get(),
            ordinal: self.ordinal.get(),
            at_ms: self.at.get(),
            roster_version: self.roster_version,
            history_all: self.history_policy == HistoryPolicy::All,
            first_blocks: self.first_blocks,
            second_blocks: self.second_blocks,
            large: self.large,
        })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let row: Row = value::decode("head", bytes)?;
        Ok(Self {
            seq: Seq::new(row.seq),
            ordinal: Ordinal::new(row.ordinal),
            at: TimestampMs::new(row.at_ms),
            roster_version: row.roster_version,
            history_policy: if row.history_all { HistoryPolicy::All } else { HistoryPolicy::FromJoining },
            first_blocks: row.first_blocks,
            second_blocks: row.second_blocks,
            large: row.large,
        })
    }
}
