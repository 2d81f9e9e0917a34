//! What is said comes out as it went in; what breaks the rules is refused; what is unknown is nothing.

use fulmar_protocol::{ClientSeq, DeviceTag, Entry, Ordinal, Seq};
use proptest::prelude::*;

use super::*;
use crate::limits::HINT_ENTRIES_BYTES_MAX;
use crate::log::StoredEntry;
use crate::rows::Head;

fn user_named(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn somewhere() -> ConversationId {
    ConversationId::direct(&user_named("alice"), &user_named("bob"))
}

fn entry(seq: u64, bytes: usize) -> StoredEntry {
    StoredEntry::encode(Entry {
        seq: Seq::new(seq),
        ordinal: Ordinal::new(seq),
        at: TimestampMs::new(seq),
        sender: user_named("alice"),
        device_tag: DeviceTag::new([1; 8]),
        client_seq: ClientSeq::new(seq),
        content: Bytes::from(vec![7; bytes]),
    })
}

fn head(seq: u64) -> Head {
    Head { seq: Seq::new(seq), ordinal: Ordinal::new(seq), ..Head::new() }
}

fn hint(head: Head, entries: &[StoredEntry]) -> Message {
    Message::Hint(Hint {
        conversation: somewhere(),
        news: HintNews::Head { head, entries: EntryRun::first_of(entries), redacted: true },
        to: HintTo::Users(vec![user_named("alice"), user_named("bob")]),
    })
}

/// One of each kind, in the order of the kinds, and what else there is of some.
fn one_of_each() -> Vec<Message> {
    let user = user_named("alice");
    let device = Some(DeviceId::new([3; 16]));
    let token = EndToken::new(u64::MAX);
    vec![
        hint(head(3), &[entry(2, 10), entry(3, 20)]),
        Message::Hint(Hint { conversation: somewhere(), news: HintNews::Marks, to: HintTo::AllInterested }),
        Message::HintsLost,
        Message::Typing { conversation: somewhere(), user: user.clone(), typing: true },
        Message::PresenceWatch { user: user.clone(), watch: true },
        Message::Presence {
            user: user.clone(),
            state: PresenceState::Away,
            last_seen: Some(TimestampMs::new(9)),
        },
        Message::Presence { user: user.clone(), state: PresenceState::Offline, last_seen: None },
        Message::EndSessions {
            user: user.clone(),
            device,
            up_to: Some(SessionNumber::new(1 << 40)),
            code: ErrorCode::SessionReplaced,
            token,
        },
        Message::EndSessions {
            user: user.clone(),
            device: None,
            up_to: None,
            code: ErrorCode::TokenRevoked,
            token,
        },
        Message::SessionsEnded { user: user.clone(), device, token },
        Message::Blocked { user, other: user_named("bob"), blocked: true },
    ]
}

fn decode(wire: &wire::Message) -> Result<Option<Message>, MessageError> {
    Message::decode(Bytes::from(wire.encode_to_vec()))
}

/// The hint as it goes over the wire, for tests to change.
fn wire_hint(message: Message) -> wire::Hint {
    match message.into_wire() {
        WireKind::Hint(hint) => hint,
        other => panic!("not a hint: {other:?}"),
    }
}

fn decode_hint(hint: wire::Hint) -> Result<Option<Message>, MessageError> {
    decode(&wire::Message { kind: Some(WireKind::Hint(hint)) })
}

#[test]
fn every_message_says_what_it_said_before_it_was_sent() {
    for message in one_of_each() {
        let encoded = message.clone().encode().unwrap();
        let length = prost::decode_length_delimiter(&encoded[..]).unwrap();
        let encoded = encoded.slice(encoded.len() - length..);
        assert_eq!(Message::decode(encoded), Ok(Some(message)));
    }
}

#[test]
fn what_a_later_version_says_is_nothing_and_no_fault() {
    // A kind with the number 200, a field of bytes.
    assert_eq!(Message::decode(Bytes::from_static(&[0xc2, 0x0c, 1, 7])), Ok(None));
    assert_eq!(Message::decode(Bytes::new()), Ok(None));
    let news = wire::Hint { news: 77, ..wire_hint(hint(head(1), &[])) };
    assert_eq!(decode_hint(news), Ok(None));
    let to = wire::Hint { to: None, ..wire_hint(hint(head(1), &[])) };
    assert_eq!(decode_hint(to), Ok(None));
    let state = wire::Presence { user: "alice".to_owned(), state: 77, last_seen_ms: 0 };
    assert_eq!(decode(&wire::Message { kind: Some(WireKind::Presence(state)) }), Ok(None));
}

#[test]
fn entries_of_a_hint_follow_one_another_and_none_is_after_its_head() {
    let frames =
        |entries: &[StoredEntry]| entries.iter().map(|entry| entry.frame.clone()).collect::<Vec<_>>();
    let with = |head: Head, entries: &[StoredEntry]| {
        decode_hint(wire::Hint { entries: frames(entries), ..wire_hint(hint(head, &[])) })
    };
    assert!(with(head(5), &[entry(3, 1), entry(4, 1)]).is_ok_and(|message| message.is_some()));
    assert!(with(head(5), &[entry(3, 1), entry(5, 1)]).is_err(), "a hole");
    assert!(with(head(5), &[entry(4, 1), entry(3, 1)]).is_err(), "backwards");
    assert!(with(head(5), &[entry(6, 1)]).is_err(), "after the head");
    assert!(with(head(5), &[entry(3, 10_000), entry(4, 10_000)]).is_err(), "too many bytes");
    let broken = wire::Hint { entries: vec![Bytes::from_static(b"?")], ..wire_hint(hint(head(5), &[])) };
    assert!(decode_hint(broken).is_err(), "not an entry");
}

#[test]
fn a_run_is_the_first_entries_that_follow_one_another_and_fit() {
    let run = |entries: &[StoredEntry]| {
        EntryRun::first_of(entries).as_slice().iter().map(|entry| entry.seq.get()).collect::<Vec<_>>()
    };
    assert_eq!(run(&[entry(3, 1), entry(4, 1), entry(6, 1), entry(7, 1)]), [3, 4]);
    assert_eq!(run(&[entry(3, 10_000), entry(4, 10_000)]), [3]);
    assert!(run(&[entry(3, HINT_ENTRIES_BYTES_MAX)]).is_empty());
}

#[test]
fn malformed_fields_are_refused() {
    let base = wire_hint(hint(head(1), &[]));
    let short = wire::Hint { conversation: Bytes::from_static(b"short"), ..base.clone() };
    assert!(decode_hint(short).is_err());
    let kind = wire::Hint { conversation: Bytes::from_static(&[9; 16]), ..base.clone() };
    assert!(decode_hint(kind).is_err());
    let head = wire::Hint { head: Bytes::from_static(&[9, 9]), ..base.clone() };
    assert!(decode_hint(head).unwrap_err().to_string().contains("value version 9"));
    let nobody = wire::hint::To::Users(wire::Users { users: vec![String::new()] });
    assert!(decode_hint(wire::Hint { to: Some(nobody), ..base }).is_err());
    let device = wire::EndSessions {
        user: "a".to_owned(),
        device: Bytes::from_static(b"x"),
        code: 1,
        token: 1,
        up_to: 0,
    };
    assert!(decode(&wire::Message { kind: Some(WireKind::EndSessions(device)) }).is_err());
}

#[test]
fn a_hint_for_more_users_than_allowed_is_neither_sent_nor_taken() {
    let to = |number: usize| {
        let users = (0..number).map(|user| user_named(&user.to_string())).collect();
        Message::Hint(Hint { conversation: somewhere(), news: HintNews::Marks, to: HintTo::Users(users) })
    };
    assert!(to(HINT_USERS_MAX).encode().is_some());
    assert!(to(HINT_USERS_MAX + 1).encode().is_none());
    assert!(decode_hint(wire_hint(to(HINT_USERS_MAX))).is_ok());
    assert!(decode_hint(wire_hint(to(HINT_USERS_MAX + 1))).is_err());
}

#[test]
fn the_largest_hint_fits_into_a_message() {
    let longest = |number: usize| user_named(&format!("{number:0>128}"));
    let largest = Message::Hint(Hint {
        conversation: somewhere(),
        news: HintNews::Head {
            head: head(2),
            entries: EntryRun::first_of(&[entry(1, HINT_ENTRIES_BYTES_MAX - 100)]),
            redacted: true,
        },
        to: HintTo::Users((0..HINT_USERS_MAX).map(longest).collect()),
    });
    assert!(largest.encode().is_some());
}

proptest! {
    #[test]
    fn no_bytes_whatever_upset_the_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Message::decode(Bytes::from(bytes));
    }

    #[test]
    fn no_damage_to_a_message_upsets_the_decoder(which in 0..11_usize, at in any::<prop::sample::Index>(), to: u8) {
        let mut encoded = one_of_each()[which].clone().encode().unwrap().to_vec();
        let at = at.index(encoded.len());
        encoded[at] = to;
        let _ = Message::decode(Bytes::from(encoded));
    }
}
