//! The types of frames: number, name, who sends it, on which stream, and whether it may be replayed.
//!
//! The rows are those of `spec/registry.toml` (a test compares the two).

use std::fmt;

use crate::limits;

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// The end that opened the connection.
    Client,
    /// The other end.
    Server,
}

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamKind {
    /// The client's first bidirectional stream.
    Control,
    /// A client's bidirectional stream that starts with `SendOpen`.
    SendLane,
    /// A server's unidirectional stream.
    LogLane,
    /// A client's bidirectional stream that starts with a request.
    Request,
}

/// The type of a frame that this edition knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameType {
    /// Opens the session; the first frame of the client's first stream.
    Hello,
    /// A fresh token for the same user.
    Reauthenticate,
    /// Cursors and read marks.
    Confirm,
    /// The conversations on screen.
    Watch,
    /// Is the path alive.
    Ping,
    /// The session is open.
    Welcome,
    /// The new token is in force.
    Reauthenticated,
    /// A Confirm is durable.
    Confirmed,
    /// A refusal that does not end the connection.
    Problem,
    /// The server is about to close; come back later.
    GoAway,
    /// Answers Ping.
    Pong,
    /// Opens a send lane for one conversation.
    SendOpen,
    /// One entry to append.
    Send,
    /// The entry is durable.
    Accepted,
    /// The entry was not appended.
    Refused,
    /// Opens a log lane: where it starts and how the conversation stands.
    LaneOpen,
    /// One entry of the log.
    Entry,
    /// One entry of the log that this device sent.
    OwnEntry,
    /// A range of seqs that is not delivered, and why.
    Hole,
    /// The lane has reached the head.
    CaughtUp,
    /// Marks of others.
    Marks,
    /// The user's own read mark.
    ReadState,
    /// Asks for a page of the log.
    HistoryRequest,
    /// Ends a page of the log.
    HistoryEnd,
    /// Asks for the user's conversations.
    InboxRequest,
    /// One conversation of the user.
    InboxItem,
    /// Ends a page of conversations.
    InboxEnd,
    /// Asks who is in a conversation.
    RosterRequest,
    /// The conversation, without its members.
    Roster,
    /// Some of the members.
    RosterMembers,
    /// Blocks or unblocks a user.
    BlockRequest,
    /// Replaces the user's settings.
    SettingsRequest,
    /// The request was carried out and is durable.
    Done,
}

/// One row of the registry.
struct Row {
    number: u16,
    name: &'static str,
    sender: Sender,
    streams: &'static [StreamKind],
    replay_safe: bool,
}

const fn row(
    number: u16,
    name: &'static str,
    sender: Sender,
    streams: &'static [StreamKind],
    replay_safe: bool,
) -> Row {
    Row { number, name, sender, streams, replay_safe }
}

impl FrameType {
    /// Every type of this edition, in the order of the registry.
    pub const ALL: &'static [Self] = &[
        Self::Hello,
        Self::Reauthenticate,
        Self::Confirm,
        Self::Watch,
        Self::Ping,
        Self::Welcome,
        Self::Reauthenticated,
        Self::Confirmed,
        Self::Problem,
        Self::GoAway,
        Self::Pong,
        Self::SendOpen,
        Self::Send,
        Self::Accepted,
        Self::Refused,
        Self::LaneOpen,
        Self::Entry,
        Self::OwnEntry,
        Self::Hole,
        Self::CaughtUp,
        Self::Marks,
        Self::ReadState,
        Self::HistoryRequest,
        Self::HistoryEnd,
        Self::InboxRequest,
        Self::InboxItem,
        Self::InboxEnd,
        Self::RosterRequest,
        Self::Roster,
        Self::RosterMembers,
        Self::BlockRequest,
        Self::SettingsRequest,
        Self::Done,
    ];

    const fn row(self) -> Row {
        use Sender::{Client, Server};
        use StreamKind::{Control, LogLane, Request, SendLane};
        match self {
            Self::Hello => row(0x01, "Hello", Client, &[Control], true),
            Self::Reauthenticate => row(0x02, "Reauthenticate", Client, &[Control], false),
            Self::Confirm => row(0x03, "Confirm", Client, &[Control], false),
            Self::Watch => row(0x04, "Watch", Client, &[Control], false),
            Self::Ping => row(0x05, "Ping", Client, &[Control], false),
            Self::Welcome => row(0x10, "Welcome", Server, &[Control], false),
            Self::Reauthenticated => row(0x11, "Reauthenticated", Server, &[Control], false),
            Self::Confirmed => row(0x12, "Confirmed", Server, &[Control], false),
            Self::Problem => row(0x13, "Problem", Server, &[Control, Request], false),
            Self::GoAway => row(0x14, "GoAway", Server, &[Control], false),
            Self::Pong => row(0x15, "Pong", Server, &[Control], false),
            Self::SendOpen => row(0x20, "SendOpen", Client, &[SendLane], true),
            Self::Send => row(0x21, "Send", Client, &[SendLane], true),
            Self::Accepted => row(0x22, "Accepted", Server, &[SendLane], false),
            Self::Refused => row(0x23, "Refused", Server, &[SendLane], false),
            Self::LaneOpen => row(0x28, "LaneOpen", Server, &[LogLane], false),
            Self::Entry => row(0x29, "Entry", Server, &[LogLane, Request], false),
            Self::OwnEntry => row(0x2a, "OwnEntry", Server, &[LogLane], false),
            Self::Hole => row(0x2b, "Hole", Server, &[LogLane, Request], false),
            Self::CaughtUp => row(0x2c, "CaughtUp", Server, &[LogLane], false),
            Self::Marks => row(0x2d, "Marks", Server, &[LogLane], false),
            Self::ReadState => row(0x2e, "ReadState", Server, &[LogLane], false),
            Self::HistoryRequest => row(0x30, "HistoryRequest", Client, &[Request], true),
            Self::HistoryEnd => row(0x31, "HistoryEnd", Server, &[Request], false),
            Self::InboxRequest => row(0x32, "InboxRequest", Client, &[Request], true),
            Self::InboxItem => row(0x33, "InboxItem", Server, &[Request], false),
            Self::InboxEnd => row(0x34, "InboxEnd", Server, &[Request], false),
            Self::RosterRequest => row(0x35, "RosterRequest", Client, &[Request], true),
            Self::Roster => row(0x36, "Roster", Server, &[Request], false),
            Self::RosterMembers => row(0x37, "RosterMembers", Server, &[Request], false),
            Self::BlockRequest => row(0x38, "BlockRequest", Client, &[Request], false),
            Self::SettingsRequest => row(0x39, "SettingsRequest", Client, &[Request], false),
            Self::Done => row(0x3a, "Done", Server, &[Request], false),
        }
    }

    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u64 {
        u64::from(self.row().number)
    }

    /// The name, which is also that of the message in the schema.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Which end sends it.
    #[must_use]
    pub const fn sender(self) -> Sender {
        self.row().sender
    }

    /// The streams that may carry it.
    #[must_use]
    pub const fn streams(self) -> &'static [StreamKind] {
        self.row().streams
    }

    /// Whether it may be acted on before the handshake is complete (0-RTT), where it may be a replay.
    #[must_use]
    pub const fn replay_safe(self) -> bool {
        self.row().replay_safe
    }

    /// Whether `sender` may send it on such a stream. If not, it is `frame_unexpected`.
    #[must_use]
    pub fn belongs(self, sender: Sender, stream: StreamKind) -> bool {
        let row = self.row();
        row.sender == sender && row.streams.contains(&stream)
    }

    /// The longest payload it may have.
    #[must_use]
    pub const fn payload_bytes_max(self) -> usize {
        match self {
            Self::Hello | Self::Reauthenticate => limits::HELLO_PAYLOAD_BYTES_MAX,
            _ => limits::FRAME_PAYLOAD_BYTES_MAX,
        }
    }

    /// The type with this number, if this edition has one.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0x01 => Self::Hello,
            0x02 => Self::Reauthenticate,
            0x03 => Self::Confirm,
            0x04 => Self::Watch,
            0x05 => Self::Ping,
            0x10 => Self::Welcome,
            0x11 => Self::Reauthenticated,
            0x12 => Self::Confirmed,
            0x13 => Self::Problem,
            0x14 => Self::GoAway,
            0x15 => Self::Pong,
            0x20 => Self::SendOpen,
            0x21 => Self::Send,
            0x22 => Self::Accepted,
            0x23 => Self::Refused,
            0x28 => Self::LaneOpen,
            0x29 => Self::Entry,
            0x2a => Self::OwnEntry,
            0x2b => Self::Hole,
            0x2c => Self::CaughtUp,
            0x2d => Self::Marks,
            0x2e => Self::ReadState,
            0x30 => Self::HistoryRequest,
            0x31 => Self::HistoryEnd,
            0x32 => Self::InboxRequest,
            0x33 => Self::InboxItem,
            0x34 => Self::InboxEnd,
            0x35 => Self::RosterRequest,
            0x36 => Self::Roster,
            0x37 => Self::RosterMembers,
            0x38 => Self::BlockRequest,
            0x39 => Self::SettingsRequest,
            0x3a => Self::Done,
            _ => return None,
        })
    }
}

impl fmt::Display for FrameType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
