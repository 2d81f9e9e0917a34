//! Whether a path loses packets: what hedging (FUL-HEDGE) waits for.
//!
//! Fed with a connection's own running counts of packets sent and lost. Both are kept as weights that fade:
//! by packets, so that a busy connection soon believes what it sees, and by time, so that a quiet one does
//! not go by what was long ago. All arithmetic is on whole numbers, so that the same counts give the same
//! answer everywhere:
//!
//! ```text
//! n packets more, l of them lost, after a time t:
//!     weight = (weight * 120 s / (120 s + t) + n or l) * 256 / (256 + n)
//! ```
//!
//! The weight of what was sent thus never passes 256 packets. Fading takes the same share of both, so time
//! alone changes how much is known and not the rate. The path is lossy from 1 % on, once at least one and a
//! half losses weigh in (one alone is chance), and no longer below 0.5 %. After [`FORGOTTEN_AFTER`] without a
//! packet nothing is known. A client of three packets a second on a path of 3 % needs some thirty seconds
//! for its first evidence; so that a returning one need not wait again, the estimate may be carried over to
//! its next connection ([`LossEstimate::carry_over`]).
//!
//! [`FORGOTTEN_AFTER`]: LossEstimate::FORGOTTEN_AFTER

use std::time::Duration;

/// One packet's weight.
const PACKET: u64 = 1 << 16;
/// Packets after which half of what was known before is gone.
const FADES_OVER_PACKETS: u64 = 256;
/// Milliseconds after which half of what was known before is gone.
const FADES_OVER_MS: u64 = 120_000;
/// Losses that must weigh in before a path is called lossy.
const EVIDENCE: u64 = PACKET + PACKET / 2;
/// Lossy from one loss in so many packets on,
const ON_ONE_IN: u64 = 100;
/// and no longer below one in so many.
const OFF_ONE_IN: u64 = 200;
/// Packets' weight that an estimate brings to another connection at most: the path may be another.
const CARRIED_PACKETS: u64 = 64;

/// An estimate of a path's loss. Time is an argument, since any origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossEstimate {
    /// The connection's counts when last looked.
    sent_seen: u64,
    lost_seen: u64,
    /// Weights.
    sent: u64,
    lost: u64,
    /// When a packet was last sent.
    sent_at: Duration,
    lossy: bool,
}

impl LossEstimate {
    /// What is known is forgotten after so long without a packet, within a connection or between two.
    pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);

    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The connection has sent and lost so many packets since it began. Counts that go back are passed over.
    pub fn handle_counts(&mut self, sent: u64, lost: u64, now: Duration) {
        let quiet = now.saturating_sub(self.sent_at);
        if quiet > Self::FORGOTTEN_AFTER {
            (self.sent, self.lost, self.lossy) = (0, 0, false);
        }
        let more = sent.saturating_sub(self.sent_seen);
        let lost_more = lost.saturating_sub(self.lost_seen);
        if more == 0 && lost_more == 0 {
            return;
        }
        self.sent_seen = self.sent_seen.max(sent);
        self.lost_seen = self.lost_seen.max(lost);
        let quiet_ms = u64::try_from(quiet.as_millis()).unwrap_or(u64::MAX);
        self.sent_at = self.sent_at.max(now);
        let faded = |weight: u64, news: u64| {
            let weight = share(weight, FADES_OVER_MS, FADES_OVER_MS.saturating_add(quiet_ms));
            let weight = weight.saturating_add(news.saturating_mul(PACKET));
            share(weight, FADES_OVER_PACKETS, FADES_OVER_PACKETS.saturating_add(more))
        };
        self.sent = faded(self.sent, more);
        self.lost = faded(self.lost, lost_more).min(self.sent);
        self.lossy = if self.lossy {
            self.lost.saturating_mul(OFF_ONE_IN) >= self.sent
        } else {
            self.lost >= EVIDENCE && self.lost.saturating_mul(ON_ONE_IN) >= self.sent
        };
    }

    /// Another connection begins, whose counts start at nothing. What is known is kept, with less weight.
    #[must_use]
    pub fn carry_over(mut self) -> Self {
        let kept = self.sent.min(CARRIED_PACKETS * PACKET);
        self.lost = share(self.lost, kept, self.sent.max(1));
        self.sent = kept;
        (self.sent_seen, self.lost_seen) = (0, 0);
        self
    }

    /// Whether the path loses enough for hedging to be worth its bytes.
    #[must_use]
    pub const fn is_lossy(&self) -> bool {
        self.lossy
    }
}

/// `weight * part / whole`, rounded down.
fn share(weight: u64, part: u64, whole: u64) -> u64 {
    let product = u128::from(weight).saturating_mul(u128::from(part));
    u64::try_from(product / u128::from(whole.max(1))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
