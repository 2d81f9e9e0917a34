//! The cases of frames with a field that is never valid.

use fulmar_protocol::ErrorCode;
use serde_json::{Value, json};

use super::cases::{Case, Head};
use super::frames::{direct, group};
use crate::schema::Schema;

pub(super) fn cases(schema: &Schema) -> Vec<Case> {
    let malformed = [session(), go_away(), lanes(), requests()].concat();
    let case = |code, (message, name, doc, fields): BadFields| {
        Case::of_fields(schema, message, name, &fields, Head::TypeAndLength).invalid(code, doc)
    };
    let malformed = malformed.into_iter().map(|bad| case(ErrorCode::FrameMalformed, bad));
    malformed.chain(user_ids().into_iter().map(|bad| case(ErrorCode::UserIdInvalid, bad))).collect()
}

type BadFields = (&'static str, &'static str, &'static str, Value);

/// Of the control stream.
fn session() -> Vec<BadFields> {
    let direct = direct().to_string();
    let no_kind = "03".repeat(16);
    let long_text = "x".repeat(257);
    let range = |first: u64, last: u64| json!({"first": first, "last": last});
    let cursor = |skipped: Value| {
        let update = json!({"conversation_id": direct, "seq": 9, "skipped": [skipped]});
        json!({"batch": 1, "cursors": [update]})
    };
    vec![
        (
            "Hello",
            "hello_short_device_id",
            "15 bytes of device id",
            json!({"token": "t", "device_id": "d1".repeat(15)}),
        ),
        (
            "Hello",
            "hello_long_client",
            "65 bytes of client name",
            json!({"device_id": "d1".repeat(16), "client": "c".repeat(65)}),
        ),
        ("Confirm", "confirm_batch_0", "batches count from 1", json!({})),
        (
            "Confirm",
            "confirm_range_reversed",
            "a range whose last lies before its first",
            cursor(range(5, 4)),
        ),
        ("Confirm", "confirm_range_from_0", "there is no entry 0", cursor(range(0, 4))),
        (
            "Confirm",
            "confirm_read_0",
            "a read mark of 0",
            json!({"batch": 1, "reads": [{"conversation_id": direct}]}),
        ),
        ("Confirmed", "confirmed_batch_0", "batches count from 1", json!({})),
        (
            "Watch",
            "watch_no_kind",
            "a conversation id that starts with neither 01 nor 02",
            json!({"conversation_ids": [no_kind]}),
        ),
        ("Problem", "problem_long_message", "257 bytes of message", json!({"code": 1, "message": long_text})),
        (
            "Problem",
            "problem_control_character",
            "a line break in the message",
            json!({"code": 1, "message": "a\nb"}),
        ),
    ]
}

/// Of `GoAway`.
fn go_away() -> Vec<BadFields> {
    vec![
        (
            "GoAway",
            "go_away_reversed",
            "the longest wait is below the shortest",
            json!({"retry_after_ms_min": 2, "retry_after_ms_max": 1}),
        ),
        (
            "GoAway",
            "go_away_too_many_addresses",
            "nine addresses",
            json!({"addresses": vec!["localhost:1"; 9]}),
        ),
        ("GoAway", "go_away_no_port", "an address without a port", json!({"addresses": ["localhost"]})),
        ("GoAway", "go_away_port_0", "an address with port 0", json!({"addresses": ["localhost:0"]})),
        ("GoAway", "go_away_space", "an address with a space in it", json!({"addresses": ["local host:1"]})),
        (
            "GoAway",
            "go_away_long_address",
            "an address of 256 bytes",
            json!({"addresses": [format!("{}:1", "a".repeat(254))]}),
        ),
    ]
}

/// Of send lanes and log lanes.
fn lanes() -> Vec<BadFields> {
    let direct = direct().to_string();
    let open = json!({
        "conversation_id": direct,
        "kind": "CONVERSATION_KIND_DIRECT",
        "peer": "bob",
        "next_seq": 1,
        "next_client_seq": 1,
    });
    let entry = json!({"seq": 1, "sender": "bob", "device_tag": "0011223344556677", "client_seq": 1});
    vec![
        ("SendOpen", "send_open_short_id", "a conversation id of 15 bytes", id(&direct[..30])),
        ("Send", "send_client_seq_0", "numbers count from 1", json!({"content": "00"})),
        ("Accepted", "accepted_seq_0", "seqs count from 1", json!({"client_seq": 1})),
        ("Refused", "refused_client_seq_0", "numbers count from 1", json!({"code": 1})),
        (
            "LaneOpen",
            "lane_open_wrong_kind",
            "a direct conversation's id called a group",
            with(&open, "kind", json!("CONVERSATION_KIND_GROUP")),
        ),
        (
            "LaneOpen",
            "lane_open_no_kind",
            "the kind is missing",
            with(&open, "kind", json!("CONVERSATION_KIND_UNSPECIFIED")),
        ),
        (
            "LaneOpen",
            "lane_open_without_peer",
            "a direct conversation has a peer",
            with(&open, "peer", json!("")),
        ),
        (
            "LaneOpen",
            "lane_open_direct_with_title",
            "a direct conversation has no title",
            with(&open, "title", json!("t")),
        ),
        (
            "LaneOpen",
            "lane_open_next_seq_0",
            "a lane starts at 1 or later",
            with(&open, "next_seq", json!(0)),
        ),
        ("LaneOpen", "lane_open_unknown_role", "a role of a later edition", with(&open, "role", json!(9))),
        ("Entry", "entry_seq_0", "seqs count from 1", with(&entry, "seq", json!(0))),
        (
            "Entry",
            "entry_short_tag",
            "7 bytes of device tag",
            with(&entry, "device_tag", json!("00112233445566")),
        ),
        ("OwnEntry", "own_entry_client_seq_0", "numbers count from 1", json!({"seq": 1})),
        (
            "Hole",
            "hole_reversed",
            "a range whose last lies before its first",
            json!({"first_seq": 2, "last_seq": 1, "reason": "HOLE_REASON_SKIPPED"}),
        ),
        ("Hole", "hole_without_reason", "the reason is missing", json!({"first_seq": 1, "last_seq": 1})),
    ]
}

/// Of requests and their answers.
fn requests() -> Vec<BadFields> {
    let direct = direct().to_string();
    let no_kind = "03".repeat(16);
    let long_text = "x".repeat(257);
    let item = json!({"conversation_id": group().to_string(), "kind": "CONVERSATION_KIND_GROUP"});
    vec![
        (
            "HistoryRequest",
            "history_request_unknown_direction",
            "a direction of a later edition",
            with(&id(&direct), "direction", json!(2)),
        ),
        (
            "InboxRequest",
            "inbox_request_short_id",
            "neither nothing nor 16 bytes",
            json!({"after_conversation_id": "01"}),
        ),
        ("InboxItem", "inbox_item_group_with_peer", "a group has no peer", with(&item, "peer", json!("bob"))),
        ("InboxItem", "inbox_item_long_title", "257 bytes of title", with(&item, "title", json!(long_text))),
        (
            "InboxEnd",
            "inbox_end_no_kind",
            "a conversation id that starts with neither 01 nor 02",
            json!({"next_conversation_id": no_kind}),
        ),
        ("RosterRequest", "roster_request_without_id", "the conversation id is missing", json!({})),
        ("Roster", "roster_without_kind", "the kind is missing", json!({})),
        (
            "Roster",
            "roster_unknown_policy",
            "a policy of a later edition",
            json!({"kind": "CONVERSATION_KIND_GROUP", "history_policy": 7}),
        ),
        (
            "RosterMembers",
            "roster_members_without_role",
            "the role is missing",
            json!({"members": [{"user": "bob"}]}),
        ),
    ]
}

/// User ids that are none, which have a code of their own.
fn user_ids() -> Vec<BadFields> {
    let direct = direct().to_string();
    let long_user = "u".repeat(300);
    let entry = json!({"seq": 1, "sender": "bob", "device_tag": "0011223344556677", "client_seq": 1});
    vec![
        ("Welcome", "welcome_without_user", "an empty user id", json!({"session": 1})),
        (
            "SendOpen",
            "send_open_long_peer",
            "a user id of 300 bytes",
            with(&id(&direct), "peer", json!(long_user)),
        ),
        ("Entry", "entry_without_sender", "an empty user id", with(&entry, "sender", json!(""))),
        ("Marks", "marks_without_user", "an empty user id", json!({"marks": [{"read_seq": 1}]})),
        ("BlockRequest", "block_request_without_user", "an empty user id", json!({"blocked": true})),
    ]
}

fn with(base: &Value, field: &str, value: Value) -> Value {
    let mut changed = base.clone();
    changed[field] = value;
    changed
}

fn id(conversation_id: &str) -> Value {
    json!({ "conversation_id": conversation_id })
}
