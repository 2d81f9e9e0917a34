//! The first flight: the frames of sends without an answer, that go along with Hello.
//!
//! At most `FLIGHT_LANES_MAX` lanes and `FLIGHT_BYTES_MAX` bytes, which a server takes before it knows the
//! client; the conversations used last go first. Nothing of it counts as sent until a session adopts it: were
//! it lost, it is all still to be sent.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use fulmar_protocol::{ConversationId, Frame, SendOpen};
use tokio::sync::mpsc;

use crate::driver::Driver;
use crate::driver::inputs::{SendLaneNumber, SendLaneTask};
use crate::driver::opening::EarlyLane;
use crate::driver::send_lane::LANE_WRITES_MAX;
use crate::limits::{FLIGHT_BYTES_MAX, FLIGHT_LANES_MAX};

impl Driver {
    /// What goes along with the next Hello. Nothing before the user is known, whose sends they are.
    pub(super) fn first_flight(&mut self) -> (BTreeMap<ConversationId, EarlyLane>, Vec<SendLaneTask>) {
        let (mut lanes, mut tasks) = (BTreeMap::new(), Vec::new());
        if self.user.is_none() || self.renewing_device {
            return (lanes, tasks);
        }
        let (now, elapsed) = (self.now, self.clock.elapsed(self.now));
        let unanswered = self.conversations.iter().filter(|(_, tracked)| {
            let rests = tracked.lane_not_before.is_some_and(|at| at > now);
            let held = self.needs_new_device && tracked.outbox.is_settled_for_new_device();
            !(tracked.outbox.is_empty() || held || tracked.renumbering > 0 || tracked.renumbered || rests)
        });
        let mut ids: Vec<_> = unanswered.map(|(id, tracked)| (Reverse(tracked.touched), id)).collect();
        ids.sort_unstable();
        let mut bytes_left = FLIGHT_BYTES_MAX;
        for (_, id) in ids {
            if tasks.len() >= FLIGHT_LANES_MAX {
                break;
            }
            let Some(tracked) = self.conversations.get(id) else { continue };
            let mut bytes = BytesMut::new();
            Frame::SendOpen(SendOpen { conversation_id: id, peer: tracked.peer.clone() }).encode(&mut bytes);
            let (mut last, mut unanswered) = (None, 0usize);
            for send in tracked.outbox.unanswered_sends(elapsed) {
                let client_seq = send.client_seq;
                let before = bytes.len();
                Frame::Send(send).encode(&mut bytes);
                if bytes.len() > bytes_left {
                    bytes.truncate(before);
                    break;
                }
                last = Some(client_seq);
                unanswered = unanswered.saturating_add(1);
            }
            let Some(last) = last else { continue };
            bytes_left = bytes_left.saturating_sub(bytes.len());
            let number = SendLaneNumber(u64::try_from(tasks.len()).unwrap_or(u64::MAX).saturating_add(1));
            let (outgoing, written) = mpsc::channel(LANE_WRITES_MAX);
            lanes.insert(id, EarlyLane { number, outgoing, carried: last, unanswered });
            let outgoing = Arc::new(tokio::sync::Mutex::new(written));
            tasks.push(SendLaneTask { conversation: id, number, first: bytes.freeze(), outgoing });
        }
        (lanes, tasks)
    }
}
