//! The Fulmar protocol: frames, datagrams, ids, limits, error codes, and the pure state machines that both
//! ends share.
//!
//! This crate is pure: it has no sockets, no runtime, no clock and no randomness. Time is an argument.
//! The generated protobuf messages are private; every public type holds valid values only.

mod content;
mod datagram;
mod error_code;
mod extensions;
mod frame;
mod hash;
mod id;
pub mod limits;
mod machine;
mod payload;
mod registry;
mod text;
mod varint;
mod wire;

pub use content::{
    AddMembers, Content, ContentError, CreateGroup, Edit, HistoryPolicy, Leave, Message, React, Redact,
    Redacted, RemoveMembers, Role, SetRole, SetTitle, TransferOwnership, UserList, UserListInvalid,
};
pub use datagram::{
    Datagram, DatagramError, DatagramType, HedgedEntry, HedgedSend, Presence, PresenceState, PresenceUpdate,
    Typing, TypingUpdate, encode_grease_datagram,
};
pub use error_code::{ErrorCode, ErrorScope, Retry};
pub use extensions::Extensions;
pub use frame::{
    Accepted, BlockRequest, CaughtUp, Confirm, Confirmed, CursorUpdate, Direction, Done, Entry, Frame,
    FrameDecoder, FrameError, FrameType, GoAway, Hello, HistoryEnd, HistoryRequest, Hole, HoleReason,
    InboxEnd, InboxItem, InboxRequest, LaneOpen, Marks, OwnEntry, Ping, Pong, Problem, ReadMark, ReadState,
    Reauthenticate, Reauthenticated, Refused, Roster, RosterMember, RosterMembers, RosterRequest, Send,
    SendOpen, Sender, SeqRange, SettingsRequest, StreamKind, UserMarks, Watch, Welcome, decode_entry_frame,
    encode_entry, encode_grease_frame,
};
pub use id::{
    BatchNumber, BodyHash, ClientSeq, ConversationId, ConversationIdInvalid, ConversationKind, DeviceId,
    DeviceTag, Epoch, Generation, GroupNonce, HexInvalid, Ordinal, Seq, SessionNumber, TimestampMs, UserId,
    UserIdInvalid,
};
pub use machine::{
    Applied, CursorInvalid, CursorState, Decision, Delivery, EntryDiffers, HedgeBudget, HedgeQueue,
    HedgedEntries, LaneReceiver, LaneViolation, LatestWins, LossEstimate, Outbox, OutboxFull, OutboxInvalid,
    OutboxItem, OutboxLimits, Outcome, Rate, ReadProgress, Refusal, Renumbered, RowInvalid, SendOrder,
    SenderWindow, TokenBucket, TypingState, hedge_delay,
};
pub use payload::{FieldFault, PayloadError};
pub use registry::{ALPN, GREASE_BASE, GREASE_STEP, IGNORABLE_FROM, grease_type};
pub use text::{ContentType, Explanation, Reaction, ServerAddress, SoftwareName, TextInvalid, Title, Token};
