//! The cases of contents.

use bytes::Bytes;
// Nearly the whole export list is used.
use fulmar_protocol::*;
use serde_json::{Value, json};

use super::cases::{Case, Head};
use super::frames::user;
use crate::schema::Schema;

pub(super) fn cases(schema: &Schema) -> Vec<Case> {
    let mut cases: Vec<Case> = messages()
        .into_iter()
        .chain(changes())
        .map(|(name, content)| Case::content(name, &content))
        .collect();
    let redacted = Content::Redacted(Redacted { by_seq: Seq::new(43) });
    cases.push(
        Case::content("redacted", &redacted)
            .because("made by the server only: from a client it is content_invalid"),
    );
    for (code, name, doc, fields) in bad_messages().into_iter().chain(bad_creations()).chain(bad_changes()) {
        cases.push(Case::of_fields(schema, "Content", name, &fields, Head::Nothing).invalid(code, doc));
    }
    let raw =
        |code, name, bytes: &[u8], doc| Case::of(name, bytes.to_vec(), Head::Nothing).invalid(code, doc);
    cases.push(raw(ErrorCode::ContentInvalid, "empty_content", &[], "no kind at all"));
    cases.push(raw(
        ErrorCode::ContentInvalid,
        "unknown_kind",
        &[0xa2, 0x01, 0x00],
        "a kind of a later edition",
    ));
    cases.push(raw(
        ErrorCode::ContentInvalid,
        "content_rubbish",
        &[0x0f, 0xff],
        "a field key with wire type 7, which protobuf does not have",
    ));
    cases.push(raw(ErrorCode::ContentInvalid, "content_cut", &[0x0a, 0x05, 0x0a], "a part that ends early"));
    let padded = [&redacted.encode()[..], &[0xa2, 0x01, 0xfb, 0xbf, 0x04], &[0; 73_723]].concat();
    cases.push(raw(
        ErrorCode::BodyTooLarge,
        "content_over_the_limit",
        &padded,
        "more than 73,728 bytes, whatever is in it",
    ));
    cases
}

fn messages() -> Vec<(&'static str, Content)> {
    let content_type = ContentType::plain_text();
    let message = |body: Bytes, reply_to| {
        Content::Message(Message { content_type: content_type.clone(), body, reply_to })
    };
    vec![
        ("message", message(Bytes::from_static("Grüße 🐦".as_bytes()), None)),
        ("message_reply", message(Bytes::from_static(b"yes"), Some(Seq::new(41)))),
        ("message_empty", message(Bytes::new(), None)),
        ("message_of_the_largest_size", message(Bytes::from(vec![b'x'; 65_536]), None)),
        (
            "message_of_bytes",
            Content::Message(Message {
                content_type: ContentType::parse("application/octet-stream").unwrap(),
                body: Bytes::from_static(&[0, 1, 0xfe, 0xff]),
                reply_to: None,
            }),
        ),
        (
            "edit",
            Content::Edit(Edit {
                target_seq: Seq::new(42),
                content_type: content_type.clone(),
                body: Bytes::from_static(b"hallo"),
            }),
        ),
        ("redact", Content::Redact(Redact { target_seq: Seq::new(42) })),
        (
            "react",
            Content::React(React {
                target_seq: Seq::new(42),
                reaction: Reaction::parse("👍").unwrap(),
                removed: false,
            }),
        ),
        (
            "react_removed",
            Content::React(React {
                target_seq: Seq::new(42),
                reaction: Reaction::parse("👍").unwrap(),
                removed: true,
            }),
        ),
    ]
}

fn changes() -> Vec<(&'static str, Content)> {
    let users = |ids: &[&str]| UserList::new(ids.iter().map(|id| user(id)).collect()).unwrap();
    let create = |title, members, history_policy| {
        Content::CreateGroup(CreateGroup {
            nonce: GroupNonce::new(*b"0123456789abcdef"),
            title: Title::parse(title).unwrap(),
            members,
            history_policy,
        })
    };
    vec![
        ("create_group", create("birds", users(&["bob", "carol"]), HistoryPolicy::All)),
        ("create_group_alone", create("", users(&[]), HistoryPolicy::FromJoining)),
        ("set_title", Content::SetTitle(SetTitle { title: Title::parse("seabirds").unwrap() })),
        ("set_title_to_none", Content::SetTitle(SetTitle { title: Title::default() })),
        ("add_members", Content::AddMembers(AddMembers { users: users(&["dora", "emil"]) })),
        ("remove_members", Content::RemoveMembers(RemoveMembers { users: users(&["emil"]) })),
        ("leave", Content::Leave(Leave)),
        ("set_role", Content::SetRole(SetRole { user: user("bob"), role: Role::Admin })),
        ("transfer_ownership", Content::TransferOwnership(TransferOwnership { user: user("bob") })),
    ]
}

type BadContent = (ErrorCode, &'static str, &'static str, Value);

fn bad_messages() -> Vec<BadContent> {
    let message =
        |content_type: &str, body: &str| json!({"message": {"content_type": content_type, "body": body}});
    let react = |seq: u64, reaction: &str| json!({"react": {"target_seq": seq, "reaction": reaction}});
    let too_large = "78".repeat(65_537);
    let long_type = format!("text/{}", "x".repeat(124));
    vec![
        (
            ErrorCode::BodyTooLarge,
            "message_too_large",
            "65,537 bytes of body",
            message("text/plain", &too_large),
        ),
        (ErrorCode::ContentInvalid, "message_without_type", "the content type is missing", message("", "78")),
        (ErrorCode::ContentInvalid, "message_bad_type", "not type/subtype", message("text", "78")),
        (
            ErrorCode::ContentInvalid,
            "message_type_not_ascii",
            "a media type is ASCII",
            message("text/plän", "78"),
        ),
        (
            ErrorCode::ContentInvalid,
            "message_long_type",
            "129 bytes of content type",
            message(&long_type, "78"),
        ),
        (
            ErrorCode::BodyTooLarge,
            "edit_too_large",
            "65,537 bytes of body",
            json!({"edit": {"target_seq": 1, "content_type": "text/plain", "body": too_large}}),
        ),
        (
            ErrorCode::ContentInvalid,
            "edit_of_0",
            "there is no entry 0",
            json!({"edit": {"content_type": "text/plain", "body": "78"}}),
        ),
        (ErrorCode::ContentInvalid, "redact_of_0", "there is no entry 0", json!({"redact": {}})),
        (ErrorCode::ContentInvalid, "react_to_0", "there is no entry 0", react(0, "+")),
        (ErrorCode::ContentInvalid, "react_with_nothing", "an empty reaction", react(1, "")),
        (ErrorCode::ContentInvalid, "react_with_much", "65 bytes of reaction", react(1, &"+".repeat(65))),
        (
            ErrorCode::ContentInvalid,
            "react_with_a_control_character",
            "a line break in the reaction",
            react(1, "\n"),
        ),
        (ErrorCode::ContentInvalid, "redacted_by_0", "there is no entry 0", json!({"redacted": {}})),
    ]
}

fn bad_creations() -> Vec<BadContent> {
    let nonce = "30".repeat(16);
    let create = |nonce: &str, title: &str, members: &[String]| {
        let create = json!({"nonce": nonce, "title": title, "members": members});
        json!({ "create_group": create })
    };
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    vec![
        (
            ErrorCode::ContentInvalid,
            "create_group_short_nonce",
            "15 bytes of nonce",
            create(&nonce[..30], "", &[]),
        ),
        (
            ErrorCode::ContentInvalid,
            "create_group_long_title",
            "257 bytes of title",
            create(&nonce, &"t".repeat(257), &[]),
        ),
        (
            ErrorCode::ContentInvalid,
            "create_group_title_with_control_character",
            "a line break in the title",
            create(&nonce, "a\nb", &[]),
        ),
        (
            ErrorCode::GroupTooLarge,
            "create_group_too_many",
            "257 members in one change",
            create(&nonce, "", &too_many()),
        ),
        (
            ErrorCode::ContentInvalid,
            "create_group_member_twice",
            "bob is named twice",
            create(&nonce, "", &ids(&["bob", "bob"])),
        ),
        (
            ErrorCode::UserIdInvalid,
            "create_group_empty_member",
            "an empty user id",
            create(&nonce, "", &ids(&[""])),
        ),
        (
            ErrorCode::ContentInvalid,
            "create_group_unknown_policy",
            "a policy of a later edition",
            json!({"create_group": {"nonce": nonce, "history_policy": 2}}),
        ),
    ]
}

fn bad_changes() -> Vec<BadContent> {
    let long_user = "u".repeat(300);
    vec![
        (
            ErrorCode::ContentInvalid,
            "set_title_too_long",
            "257 bytes of title",
            json!({"set_title": {"title": "t".repeat(257)}}),
        ),
        (ErrorCode::ContentInvalid, "add_nobody", "at least one user is named", json!({"add_members": {}})),
        (
            ErrorCode::GroupTooLarge,
            "add_too_many",
            "257 users in one change",
            json!({"add_members": {"users": too_many()}}),
        ),
        (
            ErrorCode::UserIdInvalid,
            "add_long_user",
            "a user id of 300 bytes",
            json!({"add_members": {"users": [long_user]}}),
        ),
        (
            ErrorCode::ContentInvalid,
            "remove_nobody",
            "at least one user is named",
            json!({"remove_members": {}}),
        ),
        (
            ErrorCode::ContentInvalid,
            "remove_too_many",
            "257 users in one change",
            json!({"remove_members": {"users": too_many()}}),
        ),
        (
            ErrorCode::ContentInvalid,
            "set_role_without_role",
            "the role is missing",
            json!({"set_role": {"user": "bob"}}),
        ),
        (
            ErrorCode::ContentInvalid,
            "set_role_unknown",
            "a role of a later edition",
            json!({"set_role": {"user": "bob", "role": 4}}),
        ),
        (
            ErrorCode::UserIdInvalid,
            "set_role_of_nobody",
            "an empty user id",
            json!({"set_role": {"role": "ROLE_ADMIN"}}),
        ),
        (
            ErrorCode::UserIdInvalid,
            "transfer_to_nobody",
            "an empty user id",
            json!({"transfer_ownership": {}}),
        ),
    ]
}

/// One user more than a change may name.
fn too_many() -> Vec<String> {
    (0..257).map(|number| format!("u{number}")).collect()
}
