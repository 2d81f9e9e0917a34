//! The cases of frames that are refused, each for one reason.

use fulmar_protocol::{ErrorCode, Frame, FrameType};
use serde_json::{Value, json};

use super::cases::{Case, Head, snake_case};
use super::frames::{direct, group};
use crate::schema::Schema;

/// What is refused; for each frame at least one that is cut and one that is rubbish.
pub(super) fn cases(schema: &Schema, valid: &[(&str, Frame)]) -> Vec<Case> {
    let mut cases: Vec<Case> =
        FrameType::ALL.iter().flat_map(|frame_type| rubbish(*frame_type, valid)).collect();
    cases.extend(bad_headers());
    for (message, code, name, doc, fields) in bad_fields() {
        cases.push(Case::of_fields(schema, message, name, &fields, Head::TypeAndLength).invalid(code, doc));
    }
    cases
}

/// What is no payload of any message, and a frame that ends early.
fn rubbish(frame_type: FrameType, valid: &[(&str, Frame)]) -> [Case; 2] {
    let name = snake_case(frame_type.name());
    let (_, frame) = valid.iter().find(|(_, frame)| frame.frame_type() == frame_type).unwrap();
    let bytes = frame.to_bytes();
    let cut = match bytes.len() {
        2 => vec![bytes[0]], // no payload: the length is missing
        length => bytes[..length - 1].to_vec(),
    };
    let number = u8::try_from(frame_type.number()).unwrap();
    [
        Case::of(&format!("{name}_cut"), cut, Head::TypeAndLength)
            .invalid(ErrorCode::FrameTruncated, "the stream ends inside the frame"),
        Case::of(&format!("{name}_rubbish"), vec![number, 2, 0x0f, 0xff], Head::TypeAndLength)
            .invalid(ErrorCode::FrameMalformed, "a field key with wire type 7, which protobuf does not have"),
    ]
}

fn bad_headers() -> Vec<Case> {
    let case = |code, name, bytes: &[u8], doc| {
        Case::of(name, bytes.to_vec(), Head::TypeAndLength).invalid(code, doc)
    };
    vec![
        case(
            ErrorCode::UnknownCriticalFrame,
            "unknown_critical_frame",
            &[0x3f, 0x00],
            "a type below 0x1000 that the receiver does not know",
        ),
        case(
            ErrorCode::UnknownCriticalFrame,
            "unknown_critical_frame_at_the_border",
            &[0x4f, 0xff, 0x00],
            "0xfff is the last critical type",
        ),
        case(
            ErrorCode::FrameTooLong,
            "frame_over_the_limit",
            &[0x21, 0x80, 0x01, 0x40, 0x01],
            "81,921 bytes: refused at the header, before any of the payload comes",
        ),
        case(
            ErrorCode::FrameTooLong,
            "hello_over_its_limit",
            &[0x01, 0x60, 0x01],
            "8,193 bytes, one more than a Hello may have",
        ),
        case(
            ErrorCode::FrameTooLong,
            "ignorable_frame_over_the_limit",
            &[0x50, 0x21, 0x80, 0x01, 0x40, 0x01],
            "what is skipped has the same limit",
        ),
        case(
            ErrorCode::FrameTooLong,
            "largest_length",
            &[0x21, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            "2^62 - 1 bytes",
        ),
    ]
}

type BadFields = (&'static str, ErrorCode, &'static str, &'static str, Value);

fn bad_fields() -> Vec<BadFields> {
    let (direct, group) = (direct().to_string(), group().to_string());
    let no_kind = "03".repeat(16);
    let long_user = "u".repeat(300);
    let long_text = "x".repeat(257);
    let open = json!({
        "conversation_id": direct, "kind": "CONVERSATION_KIND_DIRECT", "peer": "bob", "next_seq": 1, "next_client_seq": 1,
    });
    let with = |base: &Value, field: &str, value: Value| {
        let mut changed = base.clone();
        changed[field] = value;
        changed
    };
    let item = json!({"conversation_id": group, "kind": "CONVERSATION_KIND_GROUP"});
    let entry = json!({"seq": 1, "sender": "bob", "device_tag": "0011223344556677", "client_seq": 1});
    let id = |conversation_id: &str| json!({ "conversation_id": conversation_id });
    let range = |first: u64, last: u64| json!({"first": first, "last": last});
    let cursor = |skipped: Value| json!({"batch": 1, "cursors": [{"conversation_id": direct, "seq": 9, "skipped": [skipped]}]});
    vec![
        (
            "Hello",
            ErrorCode::FrameMalformed,
            "hello_short_device_id",
            "15 bytes of device id",
            json!({"token": "t", "device_id": "d1".repeat(15)}),
        ),
        (
            "Hello",
            ErrorCode::FrameMalformed,
            "hello_long_client",
            "65 bytes of client name",
            json!({"device_id": "d1".repeat(16), "client": "c".repeat(65)}),
        ),
        (
            "Welcome",
            ErrorCode::UserIdInvalid,
            "welcome_without_user",
            "an empty user id",
            json!({"session": 1}),
        ),
        ("Confirm", ErrorCode::FrameMalformed, "confirm_batch_0", "batches count from 1", json!({})),
        (
            "Confirm",
            ErrorCode::FrameMalformed,
            "confirm_range_reversed",
            "a range whose last lies before its first",
            cursor(range(5, 4)),
        ),
        (
            "Confirm",
            ErrorCode::FrameMalformed,
            "confirm_range_from_0",
            "there is no entry 0",
            cursor(range(0, 4)),
        ),
        (
            "Confirm",
            ErrorCode::FrameMalformed,
            "confirm_read_0",
            "a read mark of 0",
            json!({"batch": 1, "reads": [{"conversation_id": direct}]}),
        ),
        ("Confirmed", ErrorCode::FrameMalformed, "confirmed_batch_0", "batches count from 1", json!({})),
        (
            "Watch",
            ErrorCode::FrameMalformed,
            "watch_no_kind",
            "a conversation id that starts with neither 01 nor 02",
            json!({"conversation_ids": [no_kind]}),
        ),
        (
            "Problem",
            ErrorCode::FrameMalformed,
            "problem_long_message",
            "257 bytes of message",
            json!({"code": 1, "message": long_text}),
        ),
        (
            "Problem",
            ErrorCode::FrameMalformed,
            "problem_control_character",
            "a line break in the message",
            json!({"code": 1, "message": "a\nb"}),
        ),
        (
            "GoAway",
            ErrorCode::FrameMalformed,
            "go_away_reversed",
            "the longest wait is below the shortest",
            json!({"retry_after_ms_min": 2, "retry_after_ms_max": 1}),
        ),
        (
            "SendOpen",
            ErrorCode::FrameMalformed,
            "send_open_short_id",
            "a conversation id of 15 bytes",
            id(&direct[..30]),
        ),
        (
            "SendOpen",
            ErrorCode::UserIdInvalid,
            "send_open_long_peer",
            "a user id of 300 bytes",
            with(&id(&direct), "peer", json!(long_user)),
        ),
        (
            "Send",
            ErrorCode::FrameMalformed,
            "send_client_seq_0",
            "numbers count from 1",
            json!({"content": "00"}),
        ),
        (
            "Accepted",
            ErrorCode::FrameMalformed,
            "accepted_seq_0",
            "seqs count from 1",
            json!({"client_seq": 1}),
        ),
        (
            "Refused",
            ErrorCode::FrameMalformed,
            "refused_client_seq_0",
            "numbers count from 1",
            json!({"code": 1}),
        ),
        (
            "LaneOpen",
            ErrorCode::FrameMalformed,
            "lane_open_wrong_kind",
            "a direct conversation's id called a group",
            with(&open, "kind", json!("CONVERSATION_KIND_GROUP")),
        ),
        (
            "LaneOpen",
            ErrorCode::FrameMalformed,
            "lane_open_no_kind",
            "the kind is missing",
            with(&open, "kind", json!("CONVERSATION_KIND_UNSPECIFIED")),
        ),
        (
            "LaneOpen",
            ErrorCode::FrameMalformed,
            "lane_open_without_peer",
            "a direct conversation has a peer",
            with(&open, "peer", json!("")),
        ),
        (
            "LaneOpen",
            ErrorCode::FrameMalformed,
            "lane_open_direct_with_title",
            "a direct conversation has no title",
            with(&open, "title", json!("t")),
        ),
        (
            "LaneOpen",
            ErrorCode::FrameMalformed,
            "lane_open_next_seq_0",
            "a lane starts at 1 or later",
            with(&open, "next_seq", json!(0)),
        ),
        (
            "LaneOpen",
            ErrorCode::FrameMalformed,
            "lane_open_unknown_role",
            "a role of a later edition",
            with(&open, "role", json!(9)),
        ),
        (
            "Entry",
            ErrorCode::FrameMalformed,
            "entry_seq_0",
            "seqs count from 1",
            with(&entry, "seq", json!(0)),
        ),
        (
            "Entry",
            ErrorCode::UserIdInvalid,
            "entry_without_sender",
            "an empty user id",
            with(&entry, "sender", json!("")),
        ),
        (
            "Entry",
            ErrorCode::FrameMalformed,
            "entry_short_tag",
            "7 bytes of device tag",
            with(&entry, "device_tag", json!("00112233445566")),
        ),
        (
            "OwnEntry",
            ErrorCode::FrameMalformed,
            "own_entry_client_seq_0",
            "numbers count from 1",
            json!({"seq": 1}),
        ),
        (
            "Hole",
            ErrorCode::FrameMalformed,
            "hole_reversed",
            "a range whose last lies before its first",
            json!({"first_seq": 2, "last_seq": 1, "reason": "HOLE_REASON_SKIPPED"}),
        ),
        (
            "Hole",
            ErrorCode::FrameMalformed,
            "hole_without_reason",
            "the reason is missing",
            json!({"first_seq": 1, "last_seq": 1}),
        ),
        (
            "Marks",
            ErrorCode::UserIdInvalid,
            "marks_without_user",
            "an empty user id",
            json!({"marks": [{"read_seq": 1}]}),
        ),
        (
            "HistoryRequest",
            ErrorCode::FrameMalformed,
            "history_request_unknown_direction",
            "a direction of a later edition",
            with(&id(&direct), "direction", json!(2)),
        ),
        (
            "InboxRequest",
            ErrorCode::FrameMalformed,
            "inbox_request_short_id",
            "neither nothing nor 16 bytes",
            json!({"after_conversation_id": "01"}),
        ),
        (
            "InboxItem",
            ErrorCode::FrameMalformed,
            "inbox_item_group_with_peer",
            "a group has no peer",
            with(&item, "peer", json!("bob")),
        ),
        (
            "InboxItem",
            ErrorCode::FrameMalformed,
            "inbox_item_long_title",
            "257 bytes of title",
            with(&item, "title", json!(long_text)),
        ),
        (
            "InboxEnd",
            ErrorCode::FrameMalformed,
            "inbox_end_no_kind",
            "a conversation id that starts with neither 01 nor 02",
            json!({"next_conversation_id": no_kind}),
        ),
        (
            "RosterRequest",
            ErrorCode::FrameMalformed,
            "roster_request_without_id",
            "the conversation id is missing",
            json!({}),
        ),
        ("Roster", ErrorCode::FrameMalformed, "roster_without_kind", "the kind is missing", json!({})),
        (
            "Roster",
            ErrorCode::FrameMalformed,
            "roster_unknown_policy",
            "a policy of a later edition",
            json!({"kind": "CONVERSATION_KIND_GROUP", "history_policy": 7}),
        ),
        (
            "RosterMembers",
            ErrorCode::FrameMalformed,
            "roster_members_without_role",
            "the role is missing",
            json!({"members": [{"user": "bob"}]}),
        ),
        (
            "BlockRequest",
            ErrorCode::UserIdInvalid,
            "block_request_without_user",
            "an empty user id",
            json!({"blocked": true}),
        ),
    ]
}
