//! Whether a conversation waits for packets that another one lost.
//!
//! Sixteen busy conversations to one device, on a path of a fixed delay, with loss at the device's tap and without.
//! Packets are sealed, so which conversation a lost one carried is told by time: a message leaves at the moment at
//! which it is appended and synced, and what leaves then is its packet. A conversation is *touched* by a lost packet
//! that left within [`LEAVING`] of one of its messages, and stays touched for [`TOUCHED_FOR`]. A lost
//! acknowledgement counts too, so some conversations are called touched that were not; none the other way round,
//! but for messages that waited for the window.

use std::time::Duration;

use fulmar_network_model::{LinkOptions, Profile, Rate};

use super::figures::{Delivery, Figures, Run};
use super::measure;
use super::options::{Trial, Way};

/// The server's sync, and the clock's grain.
const LEAVING: Duration = Duration::from_millis(4);
/// Longer than a retransmission that is lost again.
const TOUCHED_FOR: Duration = Duration::from_secs(4);
/// What is lost.
const LOSS: f64 = 0.035;

/// uber-p50 without its jitter and its loss, so that what differs is what loss does.
const STEADY: Profile = Profile {
    name: "steady",
    source: "uber-p50 without jitter and loss: 175 ms each way, 1.6 Mbit/s to the device.",
    up: LinkOptions {
        rate: Some(Rate::kilobits(768, 65_536)),
        ..LinkOptions::with_delay(Duration::from_millis(175))
    },
    down: LinkOptions {
        rate: Some(Rate::kilobits(1_600, 131_072)),
        ..LinkOptions::with_delay(Duration::from_millis(175))
    },
};

/// Latencies of the same messages.
#[derive(Debug)]
pub struct HeadOfLine {
    /// Lanes, nothing lost.
    pub without_loss: Figures,
    /// Lanes with loss: messages of conversations that a loss did not touch.
    pub untouched: Figures,
    /// Lanes with loss: all messages.
    pub lanes: Figures,
    /// One stream with loss: all messages.
    pub one_stream: Figures,
}

/// Measures.
#[must_use]
pub fn head_of_line(length: Duration, seeds: u64) -> HeadOfLine {
    let trial = |way, known_loss| Trial { per_second: 16.0, known_loss, ..Trial::new(STEADY, way, length) };
    let measured = |way, loss| measure(&trial(way, loss), 1..1 + seeds);
    let lanes = measured(Way::Lanes, Some(LOSS));
    let untouched = lanes.runs.iter().map(untouched).collect();
    HeadOfLine {
        without_loss: measured(Way::Lanes, None),
        untouched: Figures::of(&trial(Way::Lanes, Some(LOSS)), untouched),
        lanes,
        one_stream: measured(Way::OneStream, Some(LOSS)),
    }
}

/// The messages of a run whose conversation was not touched by a loss of late.
fn untouched(run: &Run) -> Run {
    let touches: Vec<Delivery> =
        run.deliveries.iter().filter(|one| is_hit(one, &run.lost)).copied().collect();
    let is_free = |one: &&Delivery| {
        !touches.iter().any(|touch| {
            touch.conversation == one.conversation
                && touch.appended <= one.appended
                && one.appended < touch.appended + TOUCHED_FOR
        })
    };
    Run { deliveries: run.deliveries.iter().filter(is_free).copied().collect(), ..run.clone() }
}

/// Whether a packet that left with a message was lost.
fn is_hit(one: &Delivery, lost: &[Duration]) -> bool {
    let next = lost.partition_point(|at| *at < one.appended);
    lost.get(next).is_some_and(|at| *at <= one.appended + LEAVING)
}
