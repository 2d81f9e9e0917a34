//! What reader tasks tell the driver, and the tasks themselves: one for each stream that the server writes
//! on, owned by the session's task set and ended with it.
//!
//! A log lane's task takes room for a frame's events before it hands the frame over; that is where an app
//! that does not read is felt.

use fulmar_protocol::{ConversationId, Datagram, ErrorCode, Frame, LaneOpen, Message};
use quinn::{Connection, ConnectionError, RecvStream};
use tokio::sync::mpsc;

use crate::error::ClientError;
use crate::event::{EventRoom, Room};
use crate::history::HistoryItem;
use crate::transport::{FrameReader, ReadError};

/// Which log lane of the session: numbers rise in the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LaneNumber(pub(super) u64);

/// Which send lane of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SendLaneNumber(pub(super) u64);

/// What reader tasks tell the driver.
pub(super) enum Input {
    Control(Frame),
    LaneOpened { lane: LaneNumber, open: LaneOpen, room: Room },
    LaneFrame { lane: LaneNumber, frame: Frame, room: Room },
    LaneEnded { lane: LaneNumber },
    /// History for entries of this device whose content is not known any more.
    OwnFetched { lane: LaneNumber, items: Result<Vec<HistoryItem>, ClientError> },
    Answer { conversation: ConversationId, lane: SendLaneNumber, frame: Frame },
    SendLaneEnded { conversation: ConversationId, lane: SendLaneNumber, code: Option<ErrorCode> },
    Datagram(Datagram),
    Token(Result<String, ClientError>),
    Breach { code: ErrorCode, cause: String },
    Lost(ConnectionError),
}

/// The driver's end of the readers.
pub(super) type Inputs = mpsc::Sender<Input>;
