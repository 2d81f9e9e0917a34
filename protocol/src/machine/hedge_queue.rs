//! Copies that wait to be sent as datagrams (FUL-HEDGE).
//!
//! QUIC stacks put datagrams and stream data of one moment into one packet, which is then lost with both. So
//! a copy waits a little, until its stream copy has left; that is all the queue is for.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits::{HEDGE_DELAY_MAX, HEDGE_DELAY_MIN};

/// Copies and when they are due, in the order in which they came. Bounded: the oldest makes room, since what
/// it is a copy of has been under way for longest.
#[derive(Clone, Debug)]
pub struct HedgeQueue<T> {
    copies: VecDeque<(Duration, T)>,
    copies_max: usize,
}

/// How long a copy waits: an eighth of the round trip, between the two limits.
#[must_use]
pub fn hedge_delay(round_trip: Duration) -> Duration {
    (round_trip / 8).clamp(HEDGE_DELAY_MIN, HEDGE_DELAY_MAX)
}

impl<T> HedgeQueue<T> {
    /// An empty queue for at most `copies_max` (at least one).
    #[must_use]
    pub fn new(copies_max: usize) -> Self {
        Self { copies: VecDeque::new(), copies_max: copies_max.max(1) }
    }

    /// Puts a copy at the end. Answers with the one that had to make room.
    pub fn push(&mut self, copy: T, due: Duration) -> Option<T> {
        let oldest = if self.copies.len() >= self.copies_max { self.copies.pop_front() } else { None };
        // The round trip may have become shorter; copies stay in order all the same.
        let due = self.copies.back().map_or(due, |(last, _)| due.max(*last));
        self.copies.push_back((due, copy));
        oldest.map(|(_, copy)| copy)
    }

    /// The next copy that is due.
    pub fn pop_due(&mut self, now: Duration) -> Option<T> {
        let (_, copy) = self.copies.pop_front_if(|(due, _)| *due <= now)?;
        Some(copy)
    }

    /// When the next one is.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        self.copies.front().map(|(due, _)| *due)
    }

    /// Lets go of the copies that are not to be kept.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.copies.retain(|(_, copy)| keep(copy));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    // FUL-HEDGE-3
    #[test]
    fn the_delay_follows_the_round_trip_within_its_limits() {
        assert_eq!(hedge_delay(at(1)), HEDGE_DELAY_MIN);
        assert_eq!(hedge_delay(at(160)), at(20));
        assert_eq!(hedge_delay(at(3_000)), HEDGE_DELAY_MAX);
    }

    // FUL-HEDGE-7
    #[test]
    fn copies_leave_in_order_when_due_and_the_oldest_makes_room() {
        let mut queue = HedgeQueue::new(2);
        assert_eq!(queue.push('a', at(20)), None);
        assert_eq!(queue.push('b', at(10)), None);
        assert_eq!(queue.pop_due(at(19)), None);
        assert_eq!(queue.push('c', at(30)), Some('a'));
        assert_eq!(queue.next_due(), Some(at(20)));
        assert_eq!((queue.pop_due(at(30)), queue.pop_due(at(30))), (Some('b'), Some('c')));
        assert_eq!((queue.pop_due(at(90)), queue.next_due()), (None, None));
    }
}
