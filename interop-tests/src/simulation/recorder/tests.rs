//! Each check of the recorder can fail, and does not fail for what is right.

use std::time::Duration;

use fulmar_client::{Event, Status};
use fulmar_protocol::{
    ClientSeq, Content, ContentType, ConversationId, Edit, ErrorCode, GroupNonce, HoleReason, Message,
    Ordinal, Redact, Redacted, Seq, TimestampMs, UserId,
};
use tokio::time::Instant;

use super::log::Handed;
use super::marks::Standing;
use super::state::State;
use super::{Invariant, MessageId, Recorder};

mod membership;

const NOW: Duration = Duration::ZERO;
/// Alice's devices, bob's, and carol's.
const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

fn user(device: usize) -> UserId {
    UserId::parse(["alice", "bob", "carol"][device]).unwrap()
}

fn of_two() -> ConversationId {
    ConversationId::direct(&user(ALICE), &user(BOB))
}

fn group() -> ConversationId {
    ConversationId::group(&user(ALICE), &GroupNonce::new([7; 16]))
}

fn recorder() -> State {
    let mut state = State::default();
    (0..3).for_each(|device| state.device(device, &user(device)));
    state
}

/// What the recorder found, at the end too.
fn found(mut state: State) -> Option<Invariant> {
    state.check_end(NOW);
    state.violation.map(|violation| violation.invariant)
}

fn message(id: MessageId) -> Content {
    Content::Message(Message {
        content_type: ContentType::parse("text/plain").unwrap(),
        body: id.body(10).into_bytes().into(),
        reply_to: None,
    })
}

fn entry(conversation: ConversationId, seq: u64, ordinal: u64, sender: usize, content: Content) -> Handed {
    Handed {
        conversation,
        seq: Seq::new(seq),
        ordinal: Ordinal::new(ordinal),
        sender: user(sender),
        at: TimestampMs::new(1_000 + seq),
        content: Some(content),
        client_seq: ClientSeq::new(seq),
        unread_after: 0,
    }
}

/// Alice's messages to bob as they should be: both are handed all.
struct Direct {
    state: State,
    messages: Vec<MessageId>,
}

impl Direct {
    fn of(count: usize) -> Self {
        let mut state = recorder();
        let mut messages = Vec::new();
        for _ in 0..count {
            let id = state.new_message(NOW, ALICE, of_two());
            state.enqueued(id);
            messages.push(id);
        }
        Self { state, messages }
    }

    fn entry(&self, seq: u64) -> Handed {
        let id = self.messages[usize::try_from(seq).unwrap() - 1];
        entry(of_two(), seq, seq, ALICE, message(id))
    }

    fn hand(&mut self, device: usize, seq: u64) {
        let mut entry = self.entry(seq);
        entry.unread_after = if device == BOB { seq } else { 0 };
        self.state.handed(NOW, device, &entry);
    }

    /// Everybody has been handed everything.
    fn complete(count: usize) -> Self {
        let mut direct = Self::of(count);
        for seq in 1..=u64::try_from(count).unwrap() {
            direct.state.accepted(NOW, direct.messages[usize::try_from(seq).unwrap() - 1], Seq::new(seq));
            direct.hand(ALICE, seq);
            direct.hand(BOB, seq);
        }
        direct
    }
}

#[test]
fn what_is_right_is_not_found_wrong() {
    assert_eq!(found(Direct::complete(3).state), None);
    let mut direct = Direct::complete(3);
    direct.state.app_died(BOB);
    direct.hand(BOB, 2);
    direct.hand(BOB, 3);
    direct.state.marked_read(BOB, of_two(), Seq::new(2));
    direct.state.marks(NOW, ALICE, of_two(), &user(BOB), (Seq::new(3), Seq::new(2)));
    assert_eq!(found(direct.state), None);
}

#[test]
fn an_entry_that_is_repeated_left_out_or_too_early_is_found() {
    for wrong in [1, 2, 4, 5] {
        let mut direct = Direct::of(5);
        for seq in [1, 2] {
            direct.hand(ALICE, seq);
        }
        direct.hand(ALICE, wrong);
        assert_eq!(direct.state.violation.unwrap().invariant, Invariant::EachSeqOnceInOrder, "{wrong}");
    }
    let mut direct = Direct::complete(2);
    direct.state.app_died(BOB);
    direct.state.skipped(NOW, BOB, of_two(), (Seq::new(4), Seq::new(5)), HoleReason::Skipped);
    assert_eq!(direct.state.violation.unwrap().invariant, Invariant::EachSeqOnceInOrder);
}

#[test]
fn an_entry_that_is_another_for_another_device_is_found() {
    let changes: [fn(&mut Handed); 4] = [
        |entry| entry.sender = user(BOB),
        |entry| entry.at = TimestampMs::new(1),
        |entry| entry.ordinal = Ordinal::new(2),
        |entry| entry.content = None,
    ];
    for change in changes {
        let mut direct = Direct::of(1);
        direct.hand(ALICE, 1);
        let mut other = direct.entry(1);
        change(&mut other);
        direct.state.handed(NOW, BOB, &other);
        assert_eq!(direct.state.violation.unwrap().invariant, Invariant::AcceptedIsNeverLost);
    }
}

#[test]
fn an_answer_that_names_another_place_is_found() {
    let mut direct = Direct::of(2);
    direct.hand(BOB, 1);
    direct.state.accepted(NOW, direct.messages[1], Seq::new(1));
    assert_eq!(direct.state.violation.unwrap().invariant, Invariant::AcceptedIsNeverLost);
    let mut direct = Direct::of(2);
    direct.state.accepted(NOW, direct.messages[0], Seq::new(2));
    direct.hand(BOB, 1);
    assert_eq!(direct.state.violation.unwrap().invariant, Invariant::AcceptedIsNeverLost);
}

#[test]
fn a_message_that_appears_twice_or_in_another_conversation_or_was_refused_is_found() {
    let mut twice = Direct::complete(1);
    let again = entry(of_two(), 2, 2, ALICE, message(twice.messages[0]));
    twice.state.handed(NOW, BOB, &again);
    assert_eq!(found(twice.state), Some(Invariant::EachSendOnceInOrder));

    let mut elsewhere = Direct::of(1);
    let other = ConversationId::direct(&user(ALICE), &user(CAROL));
    elsewhere.state.handed(NOW, CAROL, &entry(other, 1, 1, ALICE, message(elsewhere.messages[0])));
    assert_eq!(found(elsewhere.state), Some(Invariant::EachSendOnceInOrder));

    let mut refused = Direct::of(1);
    refused.state.refused(NOW, refused.messages[0], ErrorCode::NotAMember);
    refused.hand(BOB, 1);
    assert_eq!(found(refused.state), Some(Invariant::EachSendOnceInOrder));

    let mut invented = Direct::of(1);
    invented.state.handed(NOW, BOB, &entry(of_two(), 1, 1, ALICE, message(MessageId(9))));
    assert_eq!(found(invented.state), Some(Invariant::EachSendOnceInOrder));
}

#[test]
fn messages_of_a_device_in_another_order_are_found() {
    let mut direct = Direct::of(2);
    direct.messages.reverse();
    for seq in [1, 2] {
        direct.hand(ALICE, seq);
        direct.hand(BOB, seq);
    }
    assert_eq!(found(direct.state), Some(Invariant::EachSendOnceInOrder));
}

#[test]
fn what_is_missing_in_the_end_is_found() {
    let mut nobody = Direct::of(1);
    nobody.state.accepted(NOW, nobody.messages[0], Seq::new(1));
    assert_eq!(found(nobody.state), Some(Invariant::EverythingArrives));

    assert_eq!(found(Direct::of(1).state), Some(Invariant::EverythingArrives), "no answer");

    // Bob never wrote, and is one of the two all the same.
    let mut not_bob = Direct::of(1);
    not_bob.hand(ALICE, 1);
    assert_eq!(found(not_bob.state), Some(Invariant::EverythingArrives));
}

#[test]
fn time_that_goes_back_and_counts_that_are_wrong_are_found() {
    let mut older = Direct::complete(1);
    let mut second = entry(of_two(), 2, 1, BOB, Content::Redact(Redact { target_seq: Seq::new(1) }));
    second.at = TimestampMs::new(1);
    for device in [ALICE, BOB] {
        older.state.handed(NOW, device, &second);
    }
    assert_eq!(found(older.state), Some(Invariant::EachSeqOnceInOrder));

    let mut counted = Direct::complete(1);
    let second = entry(of_two(), 2, 2, BOB, Content::Redact(Redact { target_seq: Seq::new(1) }));
    for device in [ALICE, BOB] {
        counted.state.handed(NOW, device, &second);
    }
    assert_eq!(found(counted.state), Some(Invariant::EachSeqOnceInOrder));
}

/// Alice's message, bob's edit of it, and the redaction, of which bob was handed only what was left.
fn redacted(by: u64) -> State {
    let mut direct = Direct::of(1);
    direct.hand(ALICE, 1);
    let place = of_two();
    let left = Content::Redacted(Redacted { by_seq: Seq::new(by) });
    direct.state.handed(NOW, BOB, &Handed { unread_after: 1, ..entry(place, 1, 1, ALICE, left) });
    let edit = Edit {
        target_seq: Seq::new(1),
        content_type: ContentType::parse("text/plain").unwrap(),
        body: b"other"[..].into(),
    };
    let redact = Content::Redact(Redact { target_seq: Seq::new(1) });
    for device in [ALICE, BOB] {
        let second = entry(place, 2, 1, ALICE, Content::Edit(edit.clone()));
        let third = entry(place, 3, 1, ALICE, redact.clone());
        for one in [second, third] {
            let unread_after = u64::from(device == BOB);
            direct.state.handed(NOW, device, &Handed { unread_after, ..one });
        }
    }
    direct.state
}

#[test]
fn a_body_may_be_gone_for_who_comes_later_if_somebody_redacted_it() {
    assert_eq!(found(redacted(3)), None);
    assert_eq!(found(redacted(2)), Some(Invariant::EachSeqOnceInOrder), "2 is an edit");
}

#[test]
fn marks_that_say_more_than_is_true_are_found() {
    let (two, three) = (Seq::new(2), Seq::new(3));
    // Delivered what no device of bob's was handed.
    let mut delivered = Direct::of(3);
    delivered.hand(BOB, 1);
    delivered.state.marks(NOW, ALICE, of_two(), &user(BOB), (two, Seq::ZERO));
    assert_eq!(delivered.state.violation.unwrap().invariant, Invariant::MarksAreTrue);
    // Read what he did not say he had read.
    let mut read = Direct::complete(3);
    read.state.marked_read(BOB, of_two(), two);
    read.state.marks(NOW, ALICE, of_two(), &user(BOB), (three, three));
    assert_eq!(found(read.state), Some(Invariant::MarksAreTrue));
    let mut own = Direct::complete(3);
    own.state.unread(NOW, BOB, of_two(), two, 1);
    assert_eq!(found(own.state), Some(Invariant::MarksAreTrue));
}

#[test]
fn unread_figures_that_are_not_those_of_the_log_are_found() {
    let last = |unread_after| {
        let mut direct = Direct::complete(2);
        direct.state.app_died(BOB);
        let last = Handed { unread_after, ..direct.entry(2) };
        direct.state.handed(NOW, BOB, &last);
        found(direct.state)
    };
    assert_eq!(last(2), None);
    assert_eq!(last(1), Some(Invariant::MarksAreTrue), "bob has read nothing");
    assert_eq!(last(3), Some(Invariant::MarksAreTrue), "there are two");
}

#[test]
fn an_inbox_that_is_not_that_of_the_log_is_found() {
    let mut direct = Direct::complete(3);
    direct.state.marked_read(BOB, of_two(), Seq::new(2));
    let wrong = |head, read, unread| {
        let said = Standing { head: Seq::new(head), read: Seq::new(read), unread };
        direct.state.false_standing(&user(BOB), of_two(), said).is_some()
    };
    assert!(!wrong(3, 2, 1) && !wrong(3, 0, 3));
    assert!(wrong(2, 2, 0) && wrong(4, 2, 1) && wrong(3, 3, 0) && wrong(3, 2, 0) && wrong(3, 2, 2));
    direct.state.check_inbox(NOW, BOB, &[]);
    assert_eq!(direct.state.violation.unwrap().invariant, Invariant::EverythingArrives);
}

#[test]
fn a_backup_may_forget_what_was_sent_since_and_repeat_what_the_server_has_forgotten() {
    let mut restored = Direct::of(40);
    restored.state.restored(ALICE);
    assert_eq!(found(restored.state), None, "nothing is owed of what came after the backup");

    let mut repeated = Direct::complete(1);
    repeated.state.backed_up(ALICE);
    for _ in 0..40 {
        let _ = repeated.state.new_message(NOW, ALICE, of_two());
    }
    repeated.state.restored(ALICE);
    let again = entry(of_two(), 2, 2, ALICE, message(repeated.messages[0]));
    for device in [ALICE, BOB] {
        let unread_after = if device == BOB { 2 } else { 0 };
        repeated.state.handed(NOW, device, &Handed { unread_after, ..again.clone() });
    }
    assert_eq!(found(repeated.state), None);
}

#[test]
fn a_client_that_gives_up_is_found() {
    let recorder = Recorder::new(Instant::now());
    let ended = |code| Event::Status(Status::Ended { code, reason: "why".to_owned() });
    recorder.told(ALICE, &ended(None));
    assert!(recorder.violation().is_none(), "the app closed it");
    recorder.told(ALICE, &ended(Some(ErrorCode::SessionReplaced)));
    assert_eq!(recorder.violation().unwrap().invariant, Invariant::NobodyGivesUp);
}

#[test]
fn only_what_led_to_the_first_violation_is_kept() {
    let mut state = recorder();
    state.violate(NOW, Invariant::TimePasses, "first".to_owned());
    state.violate(NOW, Invariant::NothingPanics, "second".to_owned());
    state.tell(NOW, "later");
    assert_eq!(state.violation.as_ref().unwrap().what, "first");
    let last = state.summary().last_events.pop().unwrap();
    assert!(last.contains("first"), "{last}");
}
