//! Promises of [`LaneReceiver`]: each seq is handed over or named once.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::id::{ClientSeq, ConversationId, Ordinal};
use crate::text::Title;

fn seq(number: u64) -> Seq {
    Seq::new(number)
}

fn range(first: u64, last: u64) -> SeqRange {
    SeqRange::new(seq(first)..=seq(last)).unwrap()
}

fn open(next_seq: u64) -> LaneOpen {
    LaneOpen {
        conversation_id: ConversationId::new([2; 16]).unwrap(),
        peer: None,
        title: Title::default(),
        role: None,
        next_seq: seq(next_seq),
        head_seq: seq(0),
        head_ordinal: Ordinal::ZERO,
        read_seq: Seq::ZERO,
        read_ordinal: Ordinal::ZERO,
        next_client_seq: ClientSeq::FIRST,
        marks: Vec::new(),
    }
}

#[test]
fn what_the_device_had_is_not_handed_over_again() {
    let (mut lane, gap) = LaneReceiver::handle_open(seq(5), &open(4));
    assert_eq!(gap, None);
    assert_eq!(lane.handle_entry(seq(4)), Ok(Delivery::Duplicate));
    assert_eq!(lane.handle_hole(range(5, 7)), Ok(Some(range(6, 7))));
    assert_eq!(lane.handle_entry(seq(8)), Ok(Delivery::Deliver));
    assert_eq!(lane.handle_caught_up(seq(8)), Ok(()));
    assert_eq!((lane.had(), lane.next_seq()), (seq(8), seq(9)));
}

#[test]
fn an_entry_by_datagram_is_taken_if_it_is_the_next_and_the_lane_accounts_for_it_all_the_same() {
    let (mut lane, _) = LaneReceiver::handle_open(seq(5), &open(6));
    assert!(!lane.handle_hedged(seq(7)), "past a hole");
    assert!(lane.handle_hedged(seq(6)));
    assert!(!lane.handle_hedged(seq(6)), "twice");
    assert!(lane.handle_hedged(seq(7)));
    assert_eq!(lane.handle_entry(seq(6)), Ok(Delivery::Duplicate));
    assert_eq!(lane.handle_entry(seq(7)), Ok(Delivery::Duplicate));
    assert_eq!(lane.handle_entry(seq(8)), Ok(Delivery::Deliver));
    assert!(!lane.handle_hedged(seq(8)), "the lane was first");
}

#[test]
fn a_lane_that_starts_further_on_names_a_gap() {
    let (mut lane, gap) = LaneReceiver::handle_open(seq(5), &open(9));
    assert_eq!(gap, Some(range(6, 8)));
    assert_eq!(lane.handle_entry(seq(9)), Ok(Delivery::Deliver));
}

#[test]
fn a_lane_that_leaves_out_or_repeats_a_seq_is_in_violation() {
    let (mut lane, _) = LaneReceiver::handle_open(seq(0), &open(1));
    let violation = |expected, found| LaneViolation { expected: seq(expected), found: seq(found) };
    assert_eq!(lane.handle_entry(seq(2)), Err(violation(1, 2)));
    assert_eq!(lane.handle_entry(seq(1)), Ok(Delivery::Deliver));
    assert_eq!(lane.handle_entry(seq(1)), Err(violation(2, 1)));
    assert_eq!(lane.handle_hole(range(3, 4)), Err(violation(2, 3)));
    assert_eq!(lane.handle_caught_up(seq(2)), Err(violation(2, 3)));
}

proptest! {
    #[test]
    fn each_seq_is_handed_over_or_named_once(
        lanes in vec((0_u64..6, vec((any::<bool>(), 1_u64..5, any::<bool>()), 0..12)), 1..12),
    ) {
        let (mut had, mut accounted) = (seq(0), 0);
        for (back, steps) in lanes {
            let start = (had.get() + 1).saturating_sub(back).max(1);
            let (mut lane, gap) = LaneReceiver::handle_open(had, &open(start));
            prop_assert_eq!(gap, None);
            for (is_hole, length, hedged) in steps {
                let next = lane.next_seq().get();
                if hedged && lane.handle_hedged(seq(next + length - 1)) {
                    prop_assert_eq!(next + length - 1, accounted + 1);
                    accounted += 1;
                }
                if is_hole {
                    if let Some(news) = lane.handle_hole(range(next, next + length)).unwrap() {
                        prop_assert_eq!(news.first().get(), accounted + 1);
                        accounted = news.last().get();
                    }
                } else if lane.handle_entry(seq(next)).unwrap() == Delivery::Deliver {
                    prop_assert_eq!(next, accounted + 1);
                    accounted = next;
                }
            }
            had = lane.had();
            prop_assert_eq!(had.get(), accounted);
        }
    }
}
