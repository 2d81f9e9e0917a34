//! Frames: `type (varint) | length (varint) | payload`. One file for each frame, or for a request and its
//! answers.

mod caught_up;
mod confirm;
mod decoder;
mod entry;
mod error;
mod frame_type;
mod go_away;
mod history;
mod hole;
mod inbox;
mod lane_open;
mod marks;
mod ping;
mod prelude;
mod problem;
mod read_state;
mod reauthenticate;
mod roster;
mod send;
mod seq_range;
mod session;
mod settings;
mod subject;
mod watch;

use bytes::{BufMut, Bytes, BytesMut};

pub use caught_up::CaughtUp;
pub use confirm::{Confirm, Confirmed, CursorUpdate, ReadMark};
pub use decoder::FrameDecoder;
pub use entry::{Entry, OwnEntry, decode_entry_frame, encode_entry};
pub use error::FrameError;
pub use frame_type::{FrameType, Sender, StreamKind};
pub use go_away::GoAway;
pub use history::{Direction, HistoryEnd, HistoryRequest};
pub use hole::{Hole, HoleReason};
pub use inbox::{InboxEnd, InboxItem, InboxRequest};
pub use lane_open::LaneOpen;
pub use marks::{Marks, UserMarks};
pub use ping::{Ping, Pong};
pub use problem::Problem;
pub use read_state::ReadState;
pub use reauthenticate::{Reauthenticate, Reauthenticated};
pub use roster::{Roster, RosterMember, RosterMembers, RosterRequest};
pub use send::{Accepted, Refused, Send, SendOpen};
pub use seq_range::SeqRange;
pub use session::{Hello, Welcome};
pub use settings::{BlockRequest, Done, SettingsRequest};
pub use watch::Watch;

use crate::payload::{Payload, PayloadError};
use crate::registry::grease_type;
use crate::varint;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Opens the session; the first frame of the client's first stream.
    Hello(Hello),
    /// A fresh token for the same user.
    Reauthenticate(Reauthenticate),
    /// Cursors and read marks.
    Confirm(Confirm),
    /// The conversations on screen.
    Watch(Watch),
    /// Is the path alive.
    Ping(Ping),
    /// The session is open.
    Welcome(Welcome),
    /// The new token is in force.
    Reauthenticated(Reauthenticated),
    /// A Confirm is durable.
    Confirmed(Confirmed),
    /// A refusal that does not end the connection.
    Problem(Problem),
    /// The server is about to close; come back later.
    GoAway(GoAway),
    /// Answers Ping.
    Pong(Pong),
    /// Opens a send lane for one conversation.
    SendOpen(SendOpen),
    /// One entry to append.
    Send(Send),
    /// The entry is durable.
    Accepted(Accepted),
    /// The entry was not appended.
    Refused(Refused),
    /// Opens a log lane: where it starts and how the conversation stands.
    LaneOpen(LaneOpen),
    /// One entry of the log.
    Entry(Entry),
    /// One entry of the log that this device sent.
    OwnEntry(OwnEntry),
    /// A range of seqs that is not delivered, and why.
    Hole(Hole),
    /// The lane has reached the head.
    CaughtUp(CaughtUp),
    /// Marks of others.
    Marks(Marks),
    /// The user's own read mark.
    ReadState(ReadState),
    /// Asks for a page of the log.
    HistoryRequest(HistoryRequest),
    /// Ends a page of the log.
    HistoryEnd(HistoryEnd),
    /// Asks for the user's conversations.
    InboxRequest(InboxRequest),
    /// One conversation of the user.
    InboxItem(InboxItem),
    /// Ends a page of conversations.
    InboxEnd(InboxEnd),
    /// Asks who is in a conversation.
    RosterRequest(RosterRequest),
    /// The conversation, without its members.
    Roster(Roster),
    /// Some of the members.
    RosterMembers(RosterMembers),
    /// Blocks or unblocks a user.
    BlockRequest(BlockRequest),
    /// Replaces the user's settings.
    SettingsRequest(SettingsRequest),
    /// The request was carried out and is durable.
    Done(Done),
}

impl Frame {
    /// The type.
    #[must_use]
    pub const fn frame_type(&self) -> FrameType {
        match self {
            Self::Hello(_) => FrameType::Hello,
            Self::Reauthenticate(_) => FrameType::Reauthenticate,
            Self::Confirm(_) => FrameType::Confirm,
            Self::Watch(_) => FrameType::Watch,
            Self::Ping(_) => FrameType::Ping,
            Self::Welcome(_) => FrameType::Welcome,
            Self::Reauthenticated(_) => FrameType::Reauthenticated,
            Self::Confirmed(_) => FrameType::Confirmed,
            Self::Problem(_) => FrameType::Problem,
            Self::GoAway(_) => FrameType::GoAway,
            Self::Pong(_) => FrameType::Pong,
            Self::SendOpen(_) => FrameType::SendOpen,
            Self::Send(_) => FrameType::Send,
            Self::Accepted(_) => FrameType::Accepted,
            Self::Refused(_) => FrameType::Refused,
            Self::LaneOpen(_) => FrameType::LaneOpen,
            Self::Entry(_) => FrameType::Entry,
            Self::OwnEntry(_) => FrameType::OwnEntry,
            Self::Hole(_) => FrameType::Hole,
            Self::CaughtUp(_) => FrameType::CaughtUp,
            Self::Marks(_) => FrameType::Marks,
            Self::ReadState(_) => FrameType::ReadState,
            Self::HistoryRequest(_) => FrameType::HistoryRequest,
            Self::HistoryEnd(_) => FrameType::HistoryEnd,
            Self::InboxRequest(_) => FrameType::InboxRequest,
            Self::InboxItem(_) => FrameType::InboxItem,
            Self::InboxEnd(_) => FrameType::InboxEnd,
            Self::RosterRequest(_) => FrameType::RosterRequest,
            Self::Roster(_) => FrameType::Roster,
            Self::RosterMembers(_) => FrameType::RosterMembers,
            Self::BlockRequest(_) => FrameType::BlockRequest,
            Self::SettingsRequest(_) => FrameType::SettingsRequest,
            Self::Done(_) => FrameType::Done,
        }
    }

    /// Appends the frame's header and payload to `out`. Lists are written whole: keeping them within the
    /// limits beside them is the caller's part.
    pub fn encode(&self, out: &mut BytesMut) {
        let frame_type = self.frame_type();
        match self {
            Self::Hello(frame) => put(frame_type, frame, out),
            Self::Reauthenticate(frame) => put(frame_type, frame, out),
            Self::Confirm(frame) => put(frame_type, frame, out),
            Self::Watch(frame) => put(frame_type, frame, out),
            Self::Ping(frame) => put(frame_type, frame, out),
            Self::Welcome(frame) => put(frame_type, frame, out),
            Self::Reauthenticated(frame) => put(frame_type, frame, out),
            Self::Confirmed(frame) => put(frame_type, frame, out),
            Self::Problem(frame) => put(frame_type, frame, out),
            Self::GoAway(frame) => put(frame_type, frame, out),
            Self::Pong(frame) => put(frame_type, frame, out),
            Self::SendOpen(frame) => put(frame_type, frame, out),
            Self::Send(frame) => put(frame_type, frame, out),
            Self::Accepted(frame) => put(frame_type, frame, out),
            Self::Refused(frame) => put(frame_type, frame, out),
            Self::LaneOpen(frame) => put(frame_type, frame, out),
            Self::Entry(frame) => put(frame_type, frame, out),
            Self::OwnEntry(frame) => put(frame_type, frame, out),
            Self::Hole(frame) => put(frame_type, frame, out),
            Self::CaughtUp(frame) => put(frame_type, frame, out),
            Self::Marks(frame) => put(frame_type, frame, out),
            Self::ReadState(frame) => put(frame_type, frame, out),
            Self::HistoryRequest(frame) => put(frame_type, frame, out),
            Self::HistoryEnd(frame) => put(frame_type, frame, out),
            Self::InboxRequest(frame) => put(frame_type, frame, out),
            Self::InboxItem(frame) => put(frame_type, frame, out),
            Self::InboxEnd(frame) => put(frame_type, frame, out),
            Self::RosterRequest(frame) => put(frame_type, frame, out),
            Self::Roster(frame) => put(frame_type, frame, out),
            Self::RosterMembers(frame) => put(frame_type, frame, out),
            Self::BlockRequest(frame) => put(frame_type, frame, out),
            Self::SettingsRequest(frame) => put(frame_type, frame, out),
            Self::Done(frame) => put(frame_type, frame, out),
        }
    }

    /// The frame's bytes by themselves.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.encode(&mut out);
        out.freeze()
    }

    fn from_payload(frame_type: FrameType, payload: Bytes) -> Result<Self, FrameError> {
        let decoded = match frame_type {
            FrameType::Hello => open(payload, Self::Hello),
            FrameType::Reauthenticate => open(payload, Self::Reauthenticate),
            FrameType::Confirm => open(payload, Self::Confirm),
            FrameType::Watch => open(payload, Self::Watch),
            FrameType::Ping => open(payload, Self::Ping),
            FrameType::Welcome => open(payload, Self::Welcome),
            FrameType::Reauthenticated => open(payload, Self::Reauthenticated),
            FrameType::Confirmed => open(payload, Self::Confirmed),
            FrameType::Problem => open(payload, Self::Problem),
            FrameType::GoAway => open(payload, Self::GoAway),
            FrameType::Pong => open(payload, Self::Pong),
            FrameType::SendOpen => open(payload, Self::SendOpen),
            FrameType::Send => open(payload, Self::Send),
            FrameType::Accepted => open(payload, Self::Accepted),
            FrameType::Refused => open(payload, Self::Refused),
            FrameType::LaneOpen => open(payload, Self::LaneOpen),
            FrameType::Entry => open(payload, Self::Entry),
            FrameType::OwnEntry => open(payload, Self::OwnEntry),
            FrameType::Hole => open(payload, Self::Hole),
            FrameType::CaughtUp => open(payload, Self::CaughtUp),
            FrameType::Marks => open(payload, Self::Marks),
            FrameType::ReadState => open(payload, Self::ReadState),
            FrameType::HistoryRequest => open(payload, Self::HistoryRequest),
            FrameType::HistoryEnd => open(payload, Self::HistoryEnd),
            FrameType::InboxRequest => open(payload, Self::InboxRequest),
            FrameType::InboxItem => open(payload, Self::InboxItem),
            FrameType::InboxEnd => open(payload, Self::InboxEnd),
            FrameType::RosterRequest => open(payload, Self::RosterRequest),
            FrameType::Roster => open(payload, Self::Roster),
            FrameType::RosterMembers => open(payload, Self::RosterMembers),
            FrameType::BlockRequest => open(payload, Self::BlockRequest),
            FrameType::SettingsRequest => open(payload, Self::SettingsRequest),
            FrameType::Done => open(payload, Self::Done),
        };
        decoded.map_err(|cause| FrameError::Malformed { frame: frame_type, cause })
    }
}

/// Appends a whole frame to `out`.
fn put(frame_type: FrameType, payload: &impl Payload, out: &mut BytesMut) {
    payload.encode_after(out, |length, out| put_header(frame_type.number(), length, out));
}

fn put_header(number: u64, length: usize, out: &mut BytesMut) {
    out.reserve(length.saturating_add(2 * varint::BYTES_MAX));
    varint::write(number, out);
    varint::write(u64::try_from(length).unwrap_or(u64::MAX), out);
}

/// Decodes a payload and wraps it.
fn open<P: Payload>(payload: Bytes, wrap: impl FnOnce(P) -> Frame) -> Result<Frame, PayloadError> {
    P::decode(payload).map(wrap)
}

/// Appends a frame of the `n`th reserved type to `out`. It means nothing; receivers skip it. Both ends send
/// one now and then, so that skipping keeps working.
pub fn encode_grease_frame(n: u32, payload: &[u8], out: &mut BytesMut) {
    put_header(grease_type(n), payload.len(), out);
    out.put_slice(payload);
}
