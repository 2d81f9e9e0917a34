//! The cases of datagrams.

use std::time::Duration;

use bytes::Bytes;
use fulmar_protocol::{
    ClientSeq, Content, ContentType, Datagram, DatagramType, DeviceTag, Entry, ErrorCode, Generation,
    HedgedEntry, HedgedSend, Message, Ordinal, Presence, PresenceState, PresenceUpdate, Seq, TimestampMs,
    Typing, TypingUpdate, encode_grease_datagram,
};
use serde_json::json;

use super::cases::{Case, Head, snake_case, varint};
use super::frames::{direct, group, user};
use crate::schema::Schema;

/// The one code there is for a datagram.
const MALFORMED: ErrorCode = ErrorCode::DatagramMalformed;

pub(super) fn cases(schema: &Schema) -> Vec<Case> {
    let valid = [valid(), hedges()].concat();
    for datagram_type in DatagramType::ALL {
        assert!(valid.iter().any(|(_, datagram)| datagram.datagram_type() == *datagram_type));
    }
    let mut cases: Vec<Case> = valid.iter().map(|(name, datagram)| Case::datagram(name, datagram)).collect();
    cases.push(
        Case::of("ignorable_datagram", encode_grease_datagram(1, b"ignore me").to_vec(), Head::Type)
            .ignored("a type from 0x1000 on that the receiver does not know"),
    );
    let raw =
        |name: &str, bytes: &[u8], doc| Case::of(name, bytes.to_vec(), Head::Type).invalid(MALFORMED, doc);
    cases.push(raw("empty_datagram", &[], "not even a type"));
    cases.push(raw("datagram_cut_in_its_type", &[0x40], "the type has a second byte"));
    cases.push(raw(
        "unknown_critical_datagram",
        &[0x3f],
        "a type below 0x1000 that the receiver does not know",
    ));
    let too_long = encode_grease_datagram(1, &[0; 999]);
    cases.push(raw("datagram_over_the_limit", &too_long, "1,001 bytes, whatever the type"));
    for datagram_type in DatagramType::ALL {
        let name = snake_case(datagram_type.name());
        let rubbish = [varint(datagram_type.number()), vec![0x0f, 0xff]].concat();
        let doc = "a field key with wire type 7, which protobuf does not have";
        cases.push(raw(&format!("{name}_rubbish"), &rubbish, doc));
    }
    cases.extend(bad_fields(schema));
    cases
}

/// Fields that are missing, or hold what they may not.
fn bad_fields(schema: &Schema) -> Vec<Case> {
    let id = direct().to_string();
    let rows = [
        (
            "PresenceUpdate",
            "presence_update_offline",
            "only a server says offline",
            json!({"generation": 1, "state": "PRESENCE_STATE_OFFLINE"}),
        ),
        ("PresenceUpdate", "presence_update_without_state", "the state is missing", json!({"generation": 1})),
        (
            "PresenceUpdate",
            "presence_update_unknown_state",
            "a state of a later edition",
            json!({"state": 4}),
        ),
        (
            "TypingUpdate",
            "typing_update_without_id",
            "the conversation id is missing",
            json!({"generation": 1}),
        ),
        ("Presence", "presence_without_user", "an empty user id", json!({"state": "PRESENCE_STATE_ONLINE"})),
        (
            "Presence",
            "presence_long_user",
            "a user id of 129 bytes",
            json!({"user": "u".repeat(129), "state": "PRESENCE_STATE_ONLINE"}),
        ),
        (
            "Typing",
            "typing_control_character",
            "a user id with a control character",
            json!({"conversation_id": id, "user": "a\tb"}),
        ),
        (
            "HedgedSend",
            "hedged_send_without_number",
            "the client seq is missing",
            json!({"conversation_id": id, "first_unanswered": 1}),
        ),
        (
            "HedgedSend",
            "hedged_send_without_first_unanswered",
            "the lowest unanswered number is missing",
            json!({"conversation_id": id, "client_seq": 1}),
        ),
        ("HedgedEntry", "hedged_entry_without_entry", "the entry is missing", json!({"conversation_id": id})),
    ];
    let case = |(message, name, doc, fields): (&str, &str, &str, serde_json::Value)| {
        Case::of_fields(schema, message, name, &fields, Head::Type).invalid(MALFORMED, doc)
    };
    rows.into_iter().map(case).collect()
}

fn valid() -> Vec<(&'static str, Datagram)> {
    let generation = Generation::new(17);
    vec![
        (
            "presence_update_online",
            Datagram::PresenceUpdate(PresenceUpdate { generation, state: PresenceState::Online }),
        ),
        (
            "presence_update_away",
            Datagram::PresenceUpdate(PresenceUpdate { generation, state: PresenceState::Away }),
        ),
        (
            "typing_update",
            Datagram::TypingUpdate(TypingUpdate { conversation_id: direct(), generation, typing: true }),
        ),
        (
            "typing_update_stopped",
            Datagram::TypingUpdate(TypingUpdate { conversation_id: group(), generation, typing: false }),
        ),
        (
            "presence_online",
            Datagram::Presence(Presence {
                user: user("bob"),
                generation,
                state: PresenceState::Online,
                last_seen: None,
                ttl: Duration::from_secs(70),
            }),
        ),
        (
            "presence_offline",
            Datagram::Presence(Presence {
                user: user("bob"),
                generation,
                state: PresenceState::Offline,
                last_seen: Some(TimestampMs::new(1_799_999_000_000)),
                ttl: Duration::from_secs(70),
            }),
        ),
        (
            "typing",
            Datagram::Typing(Typing {
                conversation_id: direct(),
                user: user("bob"),
                generation,
                typing: true,
                ttl: Duration::from_secs(6),
            }),
        ),
    ]
}

fn hedges() -> Vec<(&'static str, Datagram)> {
    let content = Content::Message(Message {
        content_type: ContentType::parse("text/plain").unwrap(),
        body: Bytes::from_static(b"hello"),
        reply_to: None,
    })
    .encode();
    vec![
        (
            "hedged_send",
            Datagram::HedgedSend(HedgedSend {
                conversation_id: direct(),
                peer: Some(user("bob")),
                client_seq: ClientSeq::new(7),
                content: content.clone(),
                first_unanswered: ClientSeq::new(6),
            }),
        ),
        (
            "hedged_entry",
            Datagram::HedgedEntry(HedgedEntry {
                conversation_id: direct(),
                entry: Entry {
                    seq: Seq::new(12),
                    ordinal: Ordinal::new(11),
                    at: TimestampMs::new(1_799_999_000_000),
                    sender: user("alice"),
                    device_tag: DeviceTag::new([0xa1; 8]),
                    client_seq: ClientSeq::new(7),
                    content,
                },
            }),
        ),
    ]
}
