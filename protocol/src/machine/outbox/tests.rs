//! Promises of [`Outbox`], one by one. That they hold together, over a bad link, is shown by the two-ended
//! harness.

use super::*;
use crate::id::{Seq, TimestampMs};
use crate::text::Explanation;

const NOW: Duration = Duration::from_secs(100);
const BACK_OFF: Duration = Duration::from_secs(2);

fn number(client_seq: u64) -> ClientSeq {
    ClientSeq::new(client_seq)
}

fn accepted(client_seq: u64) -> Accepted {
    Accepted { client_seq: number(client_seq), seq: Seq::FIRST, at: TimestampMs::new(0) }
}

fn refused(client_seq: u64, code: ErrorCode) -> Refused {
    Refused {
        client_seq: number(client_seq),
        code,
        message: Explanation::default(),
        retry_after: None,
        expected_client_seq: None,
    }
}

fn ahead(client_seq: u64, expected: u64) -> Refused {
    Refused { expected_client_seq: Some(number(expected)), ..refused(client_seq, ErrorCode::ClientSeqAhead) }
}

fn outbox(items: u64) -> Outbox {
    let mut outbox = Outbox::new(OutboxLimits::default());
    for item in 1..=items {
        assert_eq!(outbox.push(Bytes::from(format!("body {item}"))), Ok(number(item)));
    }
    outbox
}

fn send_all(outbox: &mut Outbox, now: Duration) -> Vec<u64> {
    std::iter::from_fn(|| outbox.poll_send(now)).map(|send| send.client_seq.get()).collect()
}

fn numbers(outbox: &Outbox) -> Vec<u64> {
    outbox.items().map(|item| item.client_seq.get()).collect()
}

// FUL-SEND-11
#[test]
fn sends_go_in_order_and_at_most_64_have_no_answer() {
    let mut outbox = outbox(100);
    assert_eq!(send_all(&mut outbox, NOW), (1..=64).collect::<Vec<_>>());
    assert!(outbox.handle_accepted(&accepted(3)).is_some());
    assert_eq!(send_all(&mut outbox, NOW), [], "the server must not forget its answer to 1");
    assert!(outbox.handle_accepted(&accepted(1)).is_some());
    assert_eq!(send_all(&mut outbox, NOW), [], "a restart would ask for 1 again, which is still stored");
    assert!(outbox.waits_for_settling());
    outbox.settle(outbox.lowest_unanswered());
    assert!(!outbox.waits_for_settling());
    assert_eq!(send_all(&mut outbox, NOW), [65]);
    assert!(outbox.handle_accepted(&accepted(1)).is_none(), "an answer that came twice");
}

#[test]
fn what_has_no_answer_is_sent_again_on_the_next_lane() {
    let mut outbox = outbox(3);
    assert_eq!(send_all(&mut outbox, NOW), [1, 2, 3]);
    outbox.handle_accepted(&accepted(2));
    assert_eq!(outbox.handle_lane_lost(), []);
    assert_eq!(send_all(&mut outbox, NOW), [1, 3]);
}

#[test]
fn a_refusal_that_may_be_retried_waits_its_time() {
    let mut outbox = outbox(2);
    send_all(&mut outbox, NOW);
    let limited = Refused { retry_after: Some(Duration::from_secs(7)), ..refused(1, ErrorCode::RateLimited) };
    assert_eq!(outbox.handle_refused(&limited, NOW, BACK_OFF), Refusal::Again);
    assert_eq!(outbox.handle_refused(&ahead(2, 1), NOW, BACK_OFF), Refusal::Again);
    assert_eq!(send_all(&mut outbox, NOW), []);
    let later = outbox.next_send_at().unwrap();
    assert_eq!(later, NOW + Duration::from_secs(7));
    assert_eq!(send_all(&mut outbox, later), [1, 2]);
    assert_eq!(outbox.next_send_at(), None);
    let unavailable = refused(1, ErrorCode::StoreUnavailable);
    assert_eq!(outbox.handle_refused(&unavailable, later, BACK_OFF), Refusal::Again);
    assert_eq!(outbox.next_send_at(), Some(later + BACK_OFF));
}

#[test]
fn a_permanent_refusal_uses_its_number_up() {
    let mut outbox = outbox(2);
    send_all(&mut outbox, NOW);
    let refusal = outbox.handle_refused(&refused(1, ErrorCode::NotPermitted), NOW, BACK_OFF);
    assert!(matches!(refusal, Refusal::Failed(item) if item.client_seq == number(1)));
    assert!(!outbox.needs_new_lane());
    assert_eq!(outbox.push(Bytes::new()), Ok(number(3)));
    let again = outbox.handle_refused(&refused(1, ErrorCode::NotPermitted), NOW, BACK_OFF);
    assert_eq!(again, Refusal::Stale);
}

#[test]
fn a_refusal_of_a_stranger_frees_its_number() {
    let mut alone = outbox(1);
    send_all(&mut alone, NOW);
    alone.handle_refused(&refused(1, ErrorCode::NotAMember), NOW, BACK_OFF);
    assert_eq!(alone.push(Bytes::new()), Ok(number(1)));

    let mut outbox = outbox(3);
    send_all(&mut outbox, NOW);
    outbox.handle_refused(&refused(1, ErrorCode::NotAMember), NOW, BACK_OFF);
    assert!(
        outbox.needs_new_lane(),
        "a copy of 2 may be on the lane: it must not become 1 before that is gone"
    );
    assert_eq!(send_all(&mut outbox, NOW), []);
    let renumbered = outbox.handle_lane_lost();
    assert_eq!(renumbered.first(), Some(&Renumbered { from: number(2), to: number(1) }));
    assert_eq!(send_all(&mut outbox, NOW), [1, 2]);
    assert_eq!(outbox.next_client_seq(), number(3));
}

#[test]
fn a_server_that_expects_less_makes_the_outbox_number_anew() {
    let items = (5..8).map(|item| OutboxItem { client_seq: number(item), content: Bytes::new() });
    let mut outbox = Outbox::restore(OutboxLimits::default(), number(8), items).unwrap();
    assert_eq!(send_all(&mut outbox, NOW), [5, 6, 7]);
    assert_eq!(outbox.handle_refused(&ahead(5, 3), NOW, BACK_OFF), Refusal::Again);
    assert_eq!(outbox.handle_refused(&ahead(6, 3), NOW, BACK_OFF), Refusal::Again);
    assert!(outbox.needs_new_lane());
    assert_eq!(outbox.push(Bytes::new()), Ok(number(8)));
    assert_eq!(outbox.handle_lane_lost().len(), 4);
    assert_eq!((numbers(&outbox), outbox.next_client_seq()), (vec![3, 4, 5, 6], number(7)));
}

#[test]
fn what_the_server_may_have_appended_keeps_its_number() {
    let mut outbox = outbox(4);
    send_all(&mut outbox, NOW);
    // 1 is durable, but its answer was lost; 2 was refused and is no longer here; the server expects 2.
    outbox.handle_refused(&refused(2, ErrorCode::NotAMember), NOW, BACK_OFF);
    assert_eq!(outbox.handle_lane_lost().len(), 2);
    assert_eq!(numbers(&outbox), [1, 2, 3]);
}

#[test]
fn a_server_that_contradicts_itself_is_not_asked_at_once_again() {
    let mut outbox = outbox(1);
    send_all(&mut outbox, NOW);
    assert_eq!(outbox.handle_refused(&ahead(1, 9), NOW, BACK_OFF), Refusal::Again);
    assert_eq!(send_all(&mut outbox, NOW), []);
    assert_eq!(send_all(&mut outbox, NOW + BACK_OFF), [1]);
}

#[test]
fn a_forgotten_device_sends_nothing_until_it_has_a_new_id() {
    let mut outbox = outbox(3);
    send_all(&mut outbox, NOW);
    outbox.handle_accepted(&accepted(1));
    let reused = outbox.handle_refused(&refused(2, ErrorCode::ClientSeqReused), NOW, BACK_OFF);
    assert_eq!(reused, Refusal::DeviceForgotten);
    assert_eq!(outbox.handle_lane_lost(), []);
    assert!(outbox.needs_new_device());
    assert_eq!(send_all(&mut outbox, NOW), []);
    assert_eq!(outbox.renumber(ClientSeq::FIRST).len(), 2);
    assert_eq!(send_all(&mut outbox, NOW), [1, 2]);
}

#[test]
fn a_full_outbox_takes_no_more() {
    let limits = OutboxLimits { items_max: 2, bytes_max: 10 };
    let mut outbox = Outbox::new(limits);
    assert!(outbox.push(Bytes::from_static(b"12345678")).is_ok());
    let full = OutboxFull { items: 1, bytes: 8 };
    assert_eq!(outbox.push(Bytes::from_static(b"123")), Err(full));
    assert!(outbox.push(Bytes::from_static(b"12")).is_ok());
    assert!(outbox.push(Bytes::new()).is_err());
    outbox.handle_accepted(&accepted(1));
    assert_eq!(outbox.push(Bytes::new()), Ok(number(3)));
}

#[test]
fn stored_items_out_of_order_are_refused() {
    let item = |client_seq| OutboxItem { client_seq: number(client_seq), content: Bytes::new() };
    let restore =
        |items: Vec<OutboxItem>| Outbox::restore(OutboxLimits::default(), number(9), items).map(|_| ());
    assert_eq!(restore(vec![item(4), item(7)]), Ok(()));
    assert_eq!(restore(vec![item(4), item(4)]), Err(OutboxInvalid { at: number(4) }));
    assert_eq!(restore(vec![item(9)]), Err(OutboxInvalid { at: number(9) }));
    assert_eq!(restore(vec![item(0)]), Err(OutboxInvalid { at: number(0) }));
}

// FUL-SEND-12
#[test]
fn a_first_flight_carries_what_has_no_answer_and_marks_nothing_until_it_is_adopted() {
    let mut outbox = outbox(100);
    outbox.handle_accepted(&accepted(2));
    let flight = |outbox: &Outbox| -> Vec<_> {
        outbox.unanswered_sends(NOW).map(|send| send.client_seq.get()).collect()
    };
    let expected: Vec<_> = std::iter::once(1).chain(3..=64).collect();
    assert_eq!(flight(&outbox), expected);
    assert_eq!(flight(&outbox), expected, "looking at it changes nothing");
    outbox.mark_sent(number(10));
    assert_eq!(send_all(&mut outbox, NOW), (11..=64).collect::<Vec<_>>());
    let limited = Refused { retry_after: Some(BACK_OFF), ..refused(1, ErrorCode::RateLimited) };
    outbox.handle_refused(&limited, NOW, BACK_OFF);
    assert_eq!(flight(&outbox), [], "it waits its time");
}

// FUL-SEND-25
#[test]
fn for_a_new_device_id_what_is_there_is_sent_and_what_is_new_is_held() {
    let mut outbox = outbox(2);
    outbox.hold_new();
    assert_eq!(outbox.push(Bytes::from_static(b"new")), Ok(number(3)));
    assert_eq!(send_all(&mut outbox, NOW), [1, 2]);
    assert!(!outbox.is_settled_for_new_device());
    assert!(outbox.handle_accepted(&accepted(1)).is_some());
    assert!(outbox.handle_accepted(&accepted(2)).is_some());
    assert!(outbox.is_settled_for_new_device());
    let _ = outbox.renumber(ClientSeq::FIRST);
    assert_eq!(send_all(&mut outbox, NOW), [1]);
}

/// A refusal that leaves its number free moved the next number below the mark, and an empty outbox counted as
/// unanswered for ever: nothing was sent any more, in any conversation.
#[test]
fn a_number_that_goes_back_does_not_hold_up_a_new_device_id() {
    let mut outbox = outbox(1);
    outbox.hold_new();
    assert_eq!(send_all(&mut outbox, NOW), [1]);
    let refusal = outbox.handle_refused(&refused(1, ErrorCode::NotAMember), NOW, BACK_OFF);
    assert!(matches!(refusal, Refusal::Failed(_)));
    assert_eq!(outbox.next_client_seq(), ClientSeq::FIRST);
    assert!(outbox.is_settled_for_new_device());
}
