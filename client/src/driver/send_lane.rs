//! Send lanes: opened when there is something to send, closed when idle, at most `SEND_LANES_MAX` at once.

use std::sync::Arc;

use bytes::Bytes;
use fulmar_protocol::limits::UNANSWERED_SENDS_MAX;
use fulmar_protocol::{ConversationId, Frame};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::driver::Driver;
use crate::driver::inputs::{self, LaneWrite, SendLaneNumber, SendLaneTask};
use crate::driver::opening::EarlyLane;
use crate::driver::session::Session;
use crate::limits::{SEND_ANSWER_TIMEOUT, SEND_LANE_CLOSING, SEND_LANE_IDLE, SEND_LANES_MAX};

/// Writes that wait for a lane's stream: each holds a send at least, so there are no more than sends without
/// an answer; and the reset.
pub(super) const LANE_WRITES_MAX: usize = UNANSWERED_SENDS_MAX + 1;

/// A send lane as the driver knows it.
pub(super) struct SendLane {
    pub(super) number: SendLaneNumber,
    /// `None`: closed from this side, the server is to close its own.
    outgoing: Option<mpsc::Sender<LaneWrite>>,
    /// Sends without an answer.
    unanswered: usize,
    /// The last send, answer or closing.
    active_at: Instant,
    task: AbortHandle,
}

impl SendLane {
    /// A lane of a first flight, which has become the session's.
    pub(super) fn adopted(early: EarlyLane, task: AbortHandle, now: Instant) -> Self {
        let EarlyLane { number, outgoing, unanswered, .. } = early;
        Self { number, outgoing: Some(outgoing), unanswered, active_at: now, task }
    }
}

/// What is to be done with a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Care {
    Close,
    Reset,
    GiveUp,
}

impl SendLane {
    pub(super) fn is_closing(&self) -> bool {
        self.outgoing.is_none()
    }

    pub(super) fn awaits_answers(&self) -> bool {
        self.unanswered > 0
    }

    fn is_idle(&self) -> bool {
        self.unanswered == 0 && !self.is_closing()
    }

    /// An answer came.
    pub(super) fn answered(&mut self, now: Instant) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.active_at = now;
    }

    /// When something is to be done with it, and what.
    fn care(&self) -> (Instant, Care) {
        if self.is_closing() {
            (self.active_at + SEND_LANE_CLOSING, Care::GiveUp)
        } else if self.unanswered == 0 {
            (self.active_at + SEND_LANE_IDLE, Care::Close)
        } else {
            (self.active_at + SEND_ANSWER_TIMEOUT, Care::Reset)
        }
    }

    /// No more sends. What was written is answered still.
    fn close(&mut self, now: Instant) {
        self.outgoing = None;
        self.active_at = now;
    }

    fn reset(&mut self, now: Instant) {
        if let Some(outgoing) = self.outgoing.take() {
            let _ = outgoing.try_send(LaneWrite::Reset);
        }
        self.active_at = now;
    }
}

impl Session {
    /// Opens a send lane. Its stream is opened by its task, when the server permits one.
    pub(super) fn open_send_lane(&mut self, conversation: ConversationId, now: Instant) {
        self.send_lanes_opened = self.send_lanes_opened.saturating_add(1);
        let number = SendLaneNumber(self.send_lanes_opened);
        let (outgoing, written) = mpsc::channel(LANE_WRITES_MAX);
        let (connection, sender) = (self.connection.clone(), self.sender());
        let written = Arc::new(tokio::sync::Mutex::new(written));
        let lane = SendLaneTask { conversation, number, first: Bytes::new(), outgoing: written };
        let task = self.spawn(inputs::run_send_lane(connection, lane, sender));
        let lane = SendLane { number, outgoing: Some(outgoing), unanswered: 0, active_at: now, task };
        self.send_lanes.insert(conversation, lane);
    }

    /// Whether another lane may be opened. If not, an idle one is closed, and its end brings those back who
    /// wait.
    pub(super) fn make_room_for_send_lane(&mut self, now: Instant) -> bool {
        if self.send_lanes.len() < SEND_LANES_MAX {
            return true;
        }
        let idle = self.send_lanes.values_mut().filter(|lane| lane.is_idle());
        if let Some(lane) = idle.min_by_key(|lane| lane.active_at) {
            lane.close(now);
        }
        false
    }

    /// Writes sends onto a lane, all in one piece.
    pub(super) fn write_sends(&mut self, id: ConversationId, frames: Vec<Frame>, sends: usize, now: Instant) {
        self.expect_answer(now);
        let bytes: Bytes = self.encode(frames);
        let Some(lane) = self.send_lanes.get_mut(&id) else { return };
        if lane.unanswered == 0 {
            lane.active_at = now;
        }
        lane.unanswered = lane.unanswered.saturating_add(sends);
        if let Some(outgoing) = &lane.outgoing {
            // An error means that the lane's task has ended, which it tells by itself.
            let _ = outgoing.try_send(LaneWrite::Frames(bytes));
        }
    }

    /// Takes back what the server has not read of a lane, and waits for its end.
    pub(super) fn reset_send_lane(&mut self, id: ConversationId, now: Instant) {
        if let Some(lane) = self.send_lanes.get_mut(&id) {
            lane.reset(now);
        }
    }

    /// A lane that has ended.
    pub(super) fn take_send_lane(&mut self, id: ConversationId, number: SendLaneNumber) -> Option<SendLane> {
        self.send_lanes.get(&id).filter(|lane| lane.number == number)?;
        self.send_lanes.remove(&id)
    }

    /// When there is something to do here.
    pub(super) fn send_lanes_due(&self) -> Option<Instant> {
        self.send_lanes.values().map(|lane| lane.care().0).min()
    }
}

impl Driver {
    /// Closes idle lanes, and gives up on those that do not answer or do not end.
    pub(super) fn pump_send_lanes(&mut self) {
        let now = self.now;
        let Some(session) = self.phase.session_mut() else { return };
        for _ in 0..session.lanes_wanted.len() {
            if session.make_room_for_send_lane(now) {
                self.sendable.extend(session.lanes_wanted.pop_front());
            }
        }
        let mut given_up = Vec::new();
        for (id, lane) in &mut session.send_lanes {
            match lane.care() {
                (at, _) if at > now => {}
                (_, Care::Close) => lane.close(now),
                (_, Care::Reset) => {
                    tracing::debug!(conversation = %id, "sends were not answered");
                    lane.reset(now);
                }
                (_, Care::GiveUp) => {
                    lane.task.abort();
                    given_up.push((*id, lane.number));
                }
            }
        }
        for (id, number) in given_up {
            self.handle_send_lane_ended(id, number, None);
            self.set_back(id);
        }
    }
}
