//! Which conversation a command is about: the direct one with a user, or one by its id.

use clap::Args;
use fulmar_client::{Client, Conversation, ConversationId, UserId};

use crate::failure::Failure;

/// A conversation that must be named.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct NamedConversation {
    /// The direct conversation with this user
    #[arg(long, value_name = "USER")]
    with: Option<UserId>,
    /// The conversation with this id, 32 hexadecimal digits (fulmar inbox lists them)
    #[arg(long, value_name = "ID")]
    conversation: Option<ConversationId>,
}

impl NamedConversation {
    pub(crate) fn of(&self, client: &Client) -> Result<Conversation, Failure> {
        named(client, self.with.as_ref(), self.conversation)?
            .ok_or_else(|| Failure::usage("no conversation is named: add --with USER or --conversation ID"))
    }
}

/// A conversation that may be named.
#[derive(Debug, Args)]
#[group(required = false, multiple = false)]
pub(crate) struct OptionalConversation {
    /// Only the direct conversation with this user
    #[arg(long, value_name = "USER")]
    with: Option<UserId>,
    /// Only the conversation with this id, 32 hexadecimal digits (fulmar inbox lists them)
    #[arg(long, value_name = "ID")]
    conversation: Option<ConversationId>,
}

impl OptionalConversation {
    pub(crate) fn of(&self, client: &Client) -> Result<Option<Conversation>, Failure> {
        named(client, self.with.as_ref(), self.conversation)
    }

    /// Whether it is named by an id, which must exist; a user may be one who has not written yet.
    pub(crate) fn is_named_by_id(&self) -> bool {
        self.conversation.is_some()
    }
}

/// A recipient, who must be named.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Recipient {
    /// Send to this user
    #[arg(long, value_name = "USER")]
    to: Option<UserId>,
    /// Send into the conversation with this id, 32 hexadecimal digits
    #[arg(long, value_name = "ID")]
    conversation: Option<ConversationId>,
}

impl Recipient {
    pub(crate) fn of(&self, client: &Client) -> Result<Conversation, Failure> {
        named(client, self.to.as_ref(), self.conversation)?
            .ok_or_else(|| Failure::usage("no recipient is named: add --to USER or --conversation ID"))
    }
}

fn named(
    client: &Client,
    user: Option<&UserId>,
    id: Option<ConversationId>,
) -> Result<Option<Conversation>, Failure> {
    Ok(match (user, id) {
        (Some(user), _) => Some(client.direct(user)?),
        (None, Some(id)) => Some(client.conversation(id)),
        (None, None) => None,
    })
}
