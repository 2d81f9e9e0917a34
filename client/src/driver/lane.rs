//! A log lane as the driver knows it: where it stands, and what of it is held back.
//!
//! Frames are held back in two cases, each bounded by the room that they took in the event queue: while the
//! lane before it in the same conversation has not ended (streams overtake each other), and while the
//! content of an entry of this device is fetched.

use std::collections::{HashMap, VecDeque};

use fulmar_protocol::{ConversationId, Frame, LaneReceiver, Seq};

use crate::event::Room;
use crate::history::HistoryItem;

/// A log lane.
pub(super) struct Lane {
    pub(super) conversation: ConversationId,
    /// `None` until its LaneOpen was taken.
    pub(super) receiver: Option<LaneReceiver>,
    pub(super) hold: Option<Hold>,
    pub(super) held: VecDeque<(Frame, Room)>,
    /// The server has ended it; its held frames are still to be taken.
    pub(super) ended: bool,
    /// Contents fetched for entries of this device.
    pub(super) fetched: HashMap<Seq, HistoryItem>,
}

/// Why a lane's frames are held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// The lane before it has not ended.
    Predecessor,
    /// The content of an entry is being fetched.
    Content,
}

impl Lane {
    pub(super) fn new(conversation: ConversationId) -> Self {
        Self {
            conversation,
            receiver: None,
            hold: None,
            held: VecDeque::new(),
            ended: false,
            fetched: HashMap::new(),
        }
    }
}
