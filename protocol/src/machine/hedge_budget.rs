//! How many bytes hedging (FUL-HEDGE) may add: at most three quarters of the others that the
//! connection sends.
//!
//! A bucket that the connection's own running count of UDP bytes fills: each byte that is not a hedge's is
//! worth a share of a byte of hedges. It holds no more than [`HedgeBudget::BURST_BYTES`], so that a quiet hour does
//! not pay for a flood. The count contains the hedges themselves, so what was taken is taken off again
//! first; where a hedge was dropped on its way out, that errs on the side of fewer.

/// What hedges may take of the other bytes, as a fraction.
const SHARE: (u64, u64) = (3, 4);

/// The bytes that hedges may take. Over any time, what was taken is at most three quarters of what
/// else was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HedgeBudget {
    sent_seen: u64,
    /// Taken, and not found in the count yet.
    taken_unseen: u64,
    /// In parts of a byte, of which a byte has `SHARE.1`.
    parts: u64,
}

impl HedgeBudget {
    /// Bytes: hedges at once, at most.
    pub const BURST_BYTES: u64 = 16 * 1_024;
    /// Bytes: what a datagram costs beside its own: the packet around it.
    pub const PACKET_BYTES: u64 = 32;

    /// An empty budget.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The connection has sent so many UDP bytes since it began, hedges included.
    pub fn handle_sent(&mut self, bytes: u64) {
        let more = bytes.saturating_sub(self.sent_seen);
        self.sent_seen = self.sent_seen.max(bytes);
        let hedges = more.min(self.taken_unseen);
        self.taken_unseen = self.taken_unseen.saturating_sub(hedges);
        let others = more.saturating_sub(hedges);
        let parts = others.saturating_mul(SHARE.0);
        self.parts = self.parts.saturating_add(parts).min(SHARE.1 * Self::BURST_BYTES);
    }

    /// Takes what a datagram of so many bytes costs. `false`: there is not enough, and nothing was taken.
    #[must_use]
    pub fn take(&mut self, datagram_bytes: usize) -> bool {
        let bytes = u64::try_from(datagram_bytes).unwrap_or(u64::MAX).saturating_add(Self::PACKET_BYTES);
        match self.parts.checked_sub(bytes.saturating_mul(SHARE.1)) {
            Some(left) => {
                self.parts = left;
                self.taken_unseen = self.taken_unseen.saturating_add(bytes);
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_hour_of_other_bytes_pays_for_one_burst_only() {
        let mut budget = HedgeBudget::new();
        assert!(!budget.take(1));
        budget.handle_sent(1 << 30);
        let mut taken = 0;
        while budget.take(468) {
            taken += 500;
        }
        assert!(taken <= HedgeBudget::BURST_BYTES && taken + 500 > HedgeBudget::BURST_BYTES, "{taken}");
    }

    proptest! {
        // FUL-HEDGE-6
        #[test]
        fn hedges_never_pass_their_share_of_the_other_bytes(
            steps in proptest::collection::vec((0_u64..3_000, 0_usize..1_000, any::<bool>()), 1..300),
        ) {
            let mut budget = HedgeBudget::new();
            let (mut others, mut hedges, mut waiting) = (0_u64, 0_u64, 0_u64);
            for (other, datagram, leaves_at_once) in steps {
                others += other;
                budget.handle_sent(others + hedges - waiting);
                if budget.take(datagram) {
                    let bytes = u64::try_from(datagram).unwrap() + HedgeBudget::PACKET_BYTES;
                    hedges += bytes;
                    waiting = if leaves_at_once { 0 } else { waiting + bytes };
                }
                prop_assert!(hedges * SHARE.1 <= others * SHARE.0, "{hedges} beside {others}");
            }
        }

        #[test]
        fn no_count_makes_it_overflow(steps in proptest::collection::vec((any::<u64>(), any::<usize>()), 1..50)) {
            let mut budget = HedgeBudget::new();
            for (sent, datagram) in steps {
                budget.handle_sent(sent);
                let _ = budget.take(datagram);
                prop_assert!(budget.parts <= SHARE.1 * HedgeBudget::BURST_BYTES);
            }
        }
    }
}
