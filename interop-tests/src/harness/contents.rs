//! Contents in one word each.

use bytes::Bytes;
use fulmar_protocol::{
    AddMembers, Content, ContentType, ConversationId, CreateGroup, Edit, GroupNonce, HistoryPolicy, Leave,
    Message, React, Reaction, Redact, RemoveMembers, Role, Seq, SetRole, SetTitle, Title, TransferOwnership,
    UserList,
};

use super::user;

/// A message.
pub fn text(body: &str) -> Content {
    message(Bytes::copy_from_slice(body.as_bytes()), None)
}

/// A message of any bytes.
pub fn bytes(body: Vec<u8>) -> Content {
    message(body.into(), None)
}

/// A message in reply to another.
pub fn reply(body: &str, to: u64) -> Content {
    message(Bytes::copy_from_slice(body.as_bytes()), Some(Seq::new(to)))
}

fn message(body: Bytes, reply_to: Option<Seq>) -> Content {
    Content::Message(Message { content_type: ContentType::plain_text(), body, reply_to })
}

/// A new body for a message.
pub fn edit(target: u64, body: &str) -> Content {
    Content::Edit(Edit {
        target_seq: Seq::new(target),
        content_type: ContentType::plain_text(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    })
}

/// Takes a message's body away.
pub fn redact(target: u64) -> Content {
    Content::Redact(Redact { target_seq: Seq::new(target) })
}

/// A reaction.
pub fn react(target: u64, reaction: &str) -> Content {
    let reaction = Reaction::parse(reaction).unwrap();
    Content::React(React { target_seq: Seq::new(target), reaction, removed: false })
}

/// The group that a user creates with a nonce of this byte.
pub fn group(creator: &str, nonce: u8) -> ConversationId {
    ConversationId::group(&user(creator), &GroupNonce::new([nonce; 16]))
}

/// Creates the group of that nonce.
pub fn create_group(nonce: u8, members: &[&str], history_policy: HistoryPolicy) -> Content {
    Content::CreateGroup(CreateGroup {
        nonce: GroupNonce::new([nonce; 16]),
        title: Title::parse("Birds").unwrap(),
        members: users(members),
        history_policy,
    })
}

/// Gives a group another title.
pub fn set_title(title: &str) -> Content {
    Content::SetTitle(SetTitle { title: Title::parse(title).unwrap() })
}

/// Adds members.
pub fn add(names: &[&str]) -> Content {
    Content::AddMembers(AddMembers { users: users(names) })
}

/// Removes members.
pub fn remove(names: &[&str]) -> Content {
    Content::RemoveMembers(RemoveMembers { users: users(names) })
}

/// Leaves.
pub fn leave() -> Content {
    Content::Leave(Leave)
}

/// Gives a member a role.
pub fn set_role(name: &str, role: Role) -> Content {
    Content::SetRole(SetRole { user: user(name), role })
}

/// Makes a member the owner.
pub fn transfer(name: &str) -> Content {
    Content::TransferOwnership(TransferOwnership { user: user(name) })
}

/// What a message or edit says; nothing for any other content.
pub fn body_of(content: &Bytes) -> Option<String> {
    let body = match Content::decode(content).ok()? {
        Content::Message(message) => message.body,
        Content::Edit(edit) => edit.body,
        _ => return None,
    };
    Some(String::from_utf8_lossy(&body).into_owned())
}

fn users(names: &[&str]) -> UserList {
    UserList::new(names.iter().map(|name| user(name)).collect()).unwrap()
}
