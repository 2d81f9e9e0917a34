//! Who may do what in a conversation (FUL-CONV). Pure: it looks at roster and content and decides.

use fulmar_protocol::{Content, ConversationKind, ErrorCode, Role, UserId};

use super::{append::SendRequest, draft::Draft, roster::Roster};

/// Whether this send may be the sender's first here: they are a member, or it begins the conversation.
pub(crate) fn may_begin(draft: &Draft<'_>, request: &SendRequest) -> bool {
    if draft.head.exists() {
        return draft.roster.role(&request.sender.user).is_some();
    }
    match draft.id.kind() {
        ConversationKind::Direct => request.peer.is_some(),
        ConversationKind::Group => matches!(request.parsed, Ok(Content::CreateGroup(_))),
    }
}

/// What somebody who may not begin is told.
pub(crate) fn refusal_of_stranger(draft: &Draft<'_>) -> ErrorCode {
    if draft.head.exists() { ErrorCode::NotAMember } else { ErrorCode::ConversationNotFound }
}

/// Whether the kind of conversation has such entries at all, and the sender's role allows them.
/// What depends on an entry referred to, or on other users, is judged where it is looked up.
pub(crate) fn permits(roster: &Roster, sender: &UserId, content: &Content) -> Result<(), ErrorCode> {
    let Some(role) = roster.role(sender) else {
        return Err(ErrorCode::NotAMember);
    };
    let group_only = |allowed: bool| {
        if roster.kind == ConversationKind::Group && allowed { Ok(()) } else { Err(ErrorCode::NotPermitted) }
    };
    match content {
        Content::Message(_) | Content::Edit(_) | Content::Redact(_) | Content::React(_) => Ok(()),
        Content::SetTitle(_) | Content::AddMembers(_) | Content::RemoveMembers(_) => {
            group_only(role >= Role::Admin)
        }
        Content::Leave(_) => group_only(true),
        Content::SetRole(_) | Content::TransferOwnership(_) => group_only(role == Role::Owner),
        Content::CreateGroup(_) => Err(ErrorCode::ConversationExists),
        Content::Redacted(_) => Err(ErrorCode::ContentInvalid),
    }
}

/// Whether `sender` may remove `user`: admins remove members, the owner removes anybody else.
pub(crate) fn may_remove(roster: &Roster, sender: &UserId, user: &UserId) -> Result<(), ErrorCode> {
    let (Some(own), Some(other)) = (roster.role(sender), roster.role(user)) else {
        return Err(ErrorCode::UserNotMember);
    };
    // Leaving has its own entry, with its own rule for owners.
    if sender == user || own <= other { Err(ErrorCode::NotPermitted) } else { Ok(()) }
}

/// Whether `sender` may redact what `author` wrote.
pub(crate) fn may_redact(roster: &Roster, sender: &UserId, author: &UserId) -> Result<(), ErrorCode> {
    let moderates =
        roster.kind == ConversationKind::Group && roster.role(sender).is_some_and(|role| role >= Role::Admin);
    if sender == author || moderates { Ok(()) } else { Err(ErrorCode::NotPermitted) }
}

/// Whether the owner may leave: only as the last one.
pub(crate) fn may_leave(roster: &Roster, sender: &UserId) -> Result<(), ErrorCode> {
    if roster.role(sender) == Some(Role::Owner) && roster.members.len() > 1 {
        return Err(ErrorCode::OwnerMustTransfer);
    }
    Ok(())
}
