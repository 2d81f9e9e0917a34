//! Promises of [`CursorState`], against a set of every single entry.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn range(first: u64, last: u64) -> SeqRange {
    SeqRange::new(Seq::new(first)..=Seq::new(last)).unwrap()
}

fn seq(number: u64) -> Seq {
    Seq::new(number)
}

#[test]
fn delivered_ends_before_the_first_hole() {
    let mut cursor = CursorState::default();
    cursor.confirm(seq(4));
    assert_eq!(cursor.delivered_up_to(), seq(4));
    cursor.skip(range(5, 9));
    cursor.confirm(seq(12));
    assert_eq!((cursor.seq(), cursor.delivered_up_to()), (seq(12), seq(4)));
    cursor.fetched(range(8, 9));
    assert_eq!(cursor.skipped(), [range(5, 7)]);
    cursor.fetched(range(1, 7));
    assert_eq!(cursor.delivered_up_to(), seq(12));
}

#[test]
fn a_hole_counts_once_what_lies_before_it_is_confirmed() {
    let mut cursor = CursorState::default();
    cursor.confirm(seq(3));
    cursor.skip(range(6, 10));
    assert_eq!((cursor.seq(), cursor.skipped()), (seq(3), &[][..]));
    cursor.confirm(seq(5));
    assert_eq!((cursor.seq(), cursor.skipped()), (seq(10), &[range(6, 10)][..]));
}

#[test]
fn a_hole_up_to_the_head_moves_the_cursor_there() {
    let mut cursor = CursorState::default();
    cursor.skip(range(1, 100));
    assert_eq!((cursor.seq(), cursor.delivered_up_to()), (seq(100), Seq::ZERO));
}

#[test]
fn a_cursor_never_goes_back() {
    let mut cursor = CursorState::new(seq(10), vec![range(2, 3)]).unwrap();
    assert!(!cursor.replace(CursorState::new(seq(9), vec![]).unwrap()));
    assert_eq!(cursor.skipped(), [range(2, 3)]);
    assert!(cursor.replace(CursorState::new(seq(10), vec![]).unwrap()));
    cursor.confirm(seq(5));
    assert_eq!((cursor.seq(), cursor.delivered_up_to()), (seq(10), seq(10)));
}

#[test]
fn ranges_that_are_out_of_order_or_past_the_cursor_are_refused() {
    let new = |skipped| CursorState::new(seq(10), skipped);
    assert_eq!(new(vec![range(4, 5), range(1, 2)]), Err(CursorInvalid::RangesOutOfOrder));
    assert_eq!(new(vec![range(1, 2), range(2, 5)]), Err(CursorInvalid::RangesOutOfOrder));
    assert_eq!(new(vec![range(1, 2), range(3, 5)]), Err(CursorInvalid::RangesOutOfOrder));
    assert_eq!(new(vec![range(4, 11)]), Err(CursorInvalid::RangeBeyondCursor));
    let many = (0..17).map(|n| range(n * 2 + 1, n * 2 + 1)).collect();
    assert_eq!(CursorState::new(seq(99), many), Err(CursorInvalid::TooManyRanges { ranges: 17 }));
    assert!(new(vec![range(1, 2), range(4, 10)]).is_ok());
}

#[test]
fn the_two_that_lie_closest_are_joined_when_there_are_too_many() {
    let mut cursor = CursorState::default();
    for n in 0..16 {
        cursor.skip(range(n * 10 + 1, n * 10 + 5));
        cursor.confirm(seq(n * 10 + 10));
    }
    cursor.confirm(seq(161));
    assert_eq!(cursor.skipped().len(), 16);
    cursor.skip(range(162, 170));
    assert_eq!(cursor.skipped().len(), 16);
    let joined = cursor.skipped().iter().map(SeqRange::entries).max();
    assert_eq!(joined, Some(15), "one pair with four entries between them was joined");
}

/// What a client may do.
#[derive(Clone, Debug)]
enum Step {
    Entries(u64),
    Hole(u64),
    ConfirmAll,
    Fetch(u64, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1_u64..6).prop_map(Step::Entries),
        (1_u64..6).prop_map(Step::Hole),
        Just(Step::ConfirmAll),
        (1_u64..120, 0_u64..9).prop_map(|(first, more)| Step::Fetch(first, first + more)),
    ];
    proptest::collection::vec(step, 0..80)
}

proptest! {
    #[test]
    fn a_cursor_never_claims_an_entry_that_is_missing(steps in steps()) {
        let (mut cursor, mut head, mut missing) = (CursorState::default(), 0, BTreeSet::new());
        for step in steps {
            let delivered = cursor.delivered_up_to();
            match step {
                Step::Entries(entries) => head += entries,
                Step::Hole(entries) => {
                    cursor.skip(range(head + 1, head + entries));
                    missing.extend(head + 1..=head + entries);
                    head += entries;
                }
                Step::ConfirmAll => cursor.confirm(seq(head)),
                Step::Fetch(first, last) => {
                    cursor.fetched(range(first, last));
                    missing.retain(|seq| !(first..=last).contains(seq));
                }
            }
            prop_assert!(cursor.delivered_up_to() >= delivered);
            prop_assert!(cursor.seq() <= seq(head));
            for seq_missing in missing.iter().copied().map(seq).filter(|seq| *seq <= cursor.seq()) {
                prop_assert!(cursor.skipped().iter().any(|range| range.contains(seq_missing)));
            }
            let id = ConversationId::new([1; 16]).unwrap();
            let update = CursorState::try_from(&cursor.update(id));
            prop_assert_eq!(update.as_ref().map(CursorState::seq), Ok(cursor.seq()));
            prop_assert_eq!(CursorState::decode(&cursor.encode()), Ok(cursor.clone()));
        }
    }

    #[test]
    fn no_row_makes_it_panic(row: Vec<u8>) {
        let _ = CursorState::decode(&row);
    }

    #[test]
    fn no_order_of_calls_makes_it_panic(
        calls in proptest::collection::vec((0_u8..3, any::<u64>(), any::<u64>()), 0..60),
    ) {
        let mut cursor = CursorState::default();
        for (call, one, other) in calls {
            let (low, high) = (one.min(other).max(1), one.max(other).max(1));
            match call {
                0 => cursor.confirm(seq(low / 3)),
                1 => cursor.skip(range(low, high)),
                _ => cursor.fetched(range(low, high)),
            }
            prop_assert!(cursor.skipped.len() <= limits::SKIPPED_RANGES_MAX);
            prop_assert!(are_apart(&cursor.skipped));
        }
    }
}
