//! Which hedged sends a server takes (FUL-HEDGE), beside the send lane of the same conversation.
//!
//! A hedged send is a copy, by datagram, of a send that its client has written to a send lane of the same
//! session. The log itself appends nothing twice and nothing out of order, as long as a number stands for
//! one content: the one expected is appended, whatever is behind is a duplicate, whatever is ahead is
//! refused. Two things are left to see to, because a datagram may come when the lane it belongs to is long
//! gone:
//!
//! - **A number may come to stand for another content.** That happens between two lanes, and within a
//!   session only after a refusal that leaves its number unused (`client_seq_ahead`, `not_a_member` and so
//!   on), after `client_seq_reused`, or when a lane was refused. So from then on no hedge of the conversation
//!   is taken in this session: one that is still on its way would be appended under a number which its client
//!   has given away. A client takes the numbers of another session only when it has opened that session; the
//!   datagrams of the former one ended with its connection, and what the former one had queued in the log
//!   stands before whatever the new one queues.
//! - **A refused send must stay refused.** Its copy is not taken once the lane has brought the number: a hedge
//!   is taken only if its number is the next one, past all that came by either way.
//!
//! The answer is given to the copy on the lane alone. Where the hedge was first, that one is a duplicate and
//! gets the hedge's answer.

use std::collections::BTreeSet;

use crate::error_code::{ErrorCode, Retry};
use crate::id::ClientSeq;
use crate::limits::UNANSWERED_SENDS_MAX;

/// What came of one device's sends to one conversation, in one session, by lane and by datagram.
///
/// For each send on the lane: [`handle_lane_send`](Self::handle_lane_send) before it goes to the log. For each
/// hedged send: [`accepts`](Self::accepts), whatever else the server checks, [`handle_hedge`](Self::handle_hedge),
/// then the log. For each answer and each lane that is refused: [`handle_refusal`](Self::handle_refusal) before the
/// client can know of it.
///
/// Bounded: at most 64 hedges are taken whose copy on the lane has not come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendOrder {
    /// Past all that came. `None` while nothing has.
    next: Option<ClientSeq>,
    /// Taken as hedges; the lane has not brought them yet.
    hedged: BTreeSet<ClientSeq>,
    closed: bool,
}

impl SendOrder {
    /// Nothing came yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a hedged send may go to the log: it is the next one, or the first of the session and of those
    /// that its client has no answer to.
    #[must_use]
    pub fn accepts(&self, client_seq: ClientSeq, first_unanswered: ClientSeq) -> bool {
        let next = self.next.unwrap_or(first_unanswered);
        !self.closed && client_seq == next && self.hedged.len() < UNANSWERED_SENDS_MAX
    }

    /// A hedged send goes to the log.
    pub fn handle_hedge(&mut self, client_seq: ClientSeq) {
        self.hedged.insert(client_seq);
        self.pass(client_seq);
    }

    /// A send came on the lane. Answers whether it went to the log before, as a hedge, so that it is not
    /// counted again.
    pub fn handle_lane_send(&mut self, client_seq: ClientSeq) -> bool {
        self.pass(client_seq);
        self.hedged.remove(&client_seq)
    }

    /// A send of the lane is refused, or the lane is. Where that may change numbers, no hedge is taken any
    /// more.
    pub fn handle_refusal(&mut self, code: ErrorCode) {
        self.closed |= match code {
            ErrorCode::ClientSeqAhead | ErrorCode::ClientSeqReused => true,
            // The same number comes again, or is used up.
            code => code.retry() == Retry::Never && !code.consumes_client_seq(),
        };
    }

    /// The lane itself was refused: its sends have failed, and their numbers are free.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Whether hedges are taken no more.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    fn pass(&mut self, client_seq: ClientSeq) {
        let after = client_seq.next();
        self.next = Some(self.next.map_or(after, |next| next.max(after)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn number(number: u64) -> ClientSeq {
        ClientSeq::new(number)
    }

    // FUL-HEDGE-14
    #[test]
    fn a_hedge_is_taken_if_it_is_the_next() {
        let mut order = SendOrder::new();
        assert!(!order.accepts(number(8), number(7)), "ahead of the first without an answer");
        assert!(order.accepts(number(7), number(7)));
        order.handle_hedge(number(7));
        assert!(!order.accepts(number(7), number(7)), "it came already");
        assert!(order.accepts(number(8), number(7)));
        assert!(order.handle_lane_send(number(7)), "counted as a hedge");
        assert!(!order.handle_lane_send(number(7)), "once");
        assert!(!order.handle_lane_send(number(8)));
        assert!(!order.accepts(number(8), number(7)), "the lane has brought it");
        assert!(!order.accepts(number(10), number(10)), "far ahead");
        assert!(order.accepts(number(9), number(1)));
    }

    // FUL-HEDGE-17
    #[test]
    fn after_a_refusal_that_may_change_numbers_none_is_taken() {
        for code in ErrorCode::ALL.iter().copied() {
            let mut order = SendOrder::new();
            order.handle_lane_send(number(1));
            order.handle_refusal(code);
            let may_change_numbers = matches!(
                code,
                ErrorCode::ClientSeqAhead
                    | ErrorCode::ClientSeqReused
                    | ErrorCode::ConversationNotFound
                    | ErrorCode::NotAMember
            );
            if may_change_numbers {
                assert!(!order.accepts(number(2), number(2)), "{}", code.name());
            }
            if code.consumes_client_seq() || code == ErrorCode::RateLimited {
                assert!(order.accepts(number(2), number(2)), "{}", code.name());
            }
        }
    }

    #[test]
    fn hedges_whose_sends_do_not_come_are_bounded() {
        let mut order = SendOrder::new();
        let taken = (1..1_000).filter(|n| {
            let accepted = order.accepts(number(*n), number(1));
            if accepted {
                order.handle_hedge(number(*n));
            }
            accepted
        });
        assert_eq!(taken.count(), UNANSWERED_SENDS_MAX);
    }

    proptest! {
        /// In whatever order copies come, each number goes to the log by datagram at most once, in order, and
        /// never after the lane has brought it.
        #[test]
        fn no_schedule_of_copies_takes_one_twice_or_out_of_order(
            steps in proptest::collection::vec((any::<bool>(), 1_u64..12), 1..100),
        ) {
            let mut order = SendOrder::new();
            let (mut lane_next, mut last_hedge, mut highest_of_lane) = (1, 0, 0);
            for (by_lane, seq) in steps {
                if by_lane {
                    order.handle_lane_send(number(lane_next));
                    highest_of_lane = lane_next;
                    lane_next += 1;
                } else if order.accepts(number(seq), number(1)) {
                    prop_assert!(seq > last_hedge && seq > highest_of_lane);
                    // Nothing lies between it and what came before.
                    prop_assert_eq!(seq, highest_of_lane.max(last_hedge) + 1);
                    order.handle_hedge(number(seq));
                    last_hedge = seq;
                }
            }
        }
    }
}
