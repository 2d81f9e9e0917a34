//! A log lane as the driver knows it: where it stands, and what of it is held back.
//!
//! A lane is held back in two cases: while the lane before it in the same conversation has not ended (streams
//! overtake each other), and while the content of an entry of this device is fetched. Its reader pauses
//! then; what was on its way to the driver is kept here, no more than the inputs' queue holds.

use std::collections::{BTreeMap, VecDeque};

use fulmar_protocol::{ClientSeq, ConversationId, Frame, LaneReceiver, Seq};
use tokio::sync::watch;

use crate::driver::inputs::Gate;
use crate::event::Room;
use crate::history::HistoryItem;

/// A log lane.
pub(super) struct Lane {
    pub(super) conversation: ConversationId,
    /// `None` until its LaneOpen was taken.
    pub(super) receiver: Option<LaneReceiver>,
    /// The number that the server expected of this device when it opened the lane. Sends from there on are
    /// this process's; one below may be that of a copy of this state.
    pub(super) expected: ClientSeq,
    hold: Option<Hold>,
    gate: watch::Sender<Gate>,
    pub(super) held: VecDeque<(Frame, Room)>,
    /// The server has ended it; its held frames are still to be taken.
    pub(super) ended: bool,
    /// Contents fetched for entries of this device.
    pub(super) fetched: BTreeMap<Seq, HistoryItem>,
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
    pub(super) fn new(conversation: ConversationId, gate: watch::Sender<Gate>) -> Self {
        Self {
            conversation,
            receiver: None,
            expected: ClientSeq::FIRST,
            hold: None,
            gate,
            held: VecDeque::new(),
            ended: false,
            fetched: BTreeMap::new(),
        }
    }

    pub(super) fn is_held(&self) -> bool {
        self.hold.is_some()
    }

    pub(super) fn hold(&mut self, why: Hold) {
        self.hold = Some(why);
        self.gate.send_replace(Gate::Shut);
    }

    /// What it holds back may be taken.
    pub(super) fn release(&mut self) {
        self.hold = None;
    }

    /// Nothing is held back any more: its task may read on.
    pub(super) fn read_on(&self) {
        self.gate.send_replace(Gate::Open);
    }
}
