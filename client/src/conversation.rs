//! The handle of one conversation: send, change, read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use fulmar_protocol::{
    AddMembers, Content, ConversationId, Edit, Leave, React, Reaction, Redact, RemoveMembers, Role, Seq,
    SetRole, SetTitle, Title, TransferOwnership, UserId, UserList,
};
use tokio::sync::oneshot;

use crate::command::{Command, Enqueue};
use crate::error::ClientError;
use crate::history::{HistoryPage, HistoryQuery};
use crate::outgoing::{Accepted, OutgoingMessage, Sending};
use crate::request;
use crate::roster::Roster;
use crate::shared::Shared;

/// A conversation. Cheap to clone; keeps the client alive.
#[derive(Clone)]
pub struct Conversation {
    shared: Arc<Shared>,
    id: ConversationId,
    peer: Option<UserId>,
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Conversation").field(&self.id).finish()
    }
}

impl Conversation {
    pub(crate) fn new(shared: Arc<Shared>, id: ConversationId, peer: Option<UserId>) -> Self {
        Self { shared, id, peer }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> ConversationId {
        self.id
    }

    /// Puts an entry into the outbox and waits until the server has it durably, through as many disconnects
    /// as it takes.
    ///
    /// Cancel-safe: when the future is dropped, the entry is either not in the outbox at all, or it is and
    /// will be sent, once.
    ///
    /// # Errors
    /// When the content breaks a limit, the server refuses it, the session is ended for good (the entry then
    /// stays in the outbox), or the client is closed (likewise).
    pub async fn send<C>(&self, content: C) -> Result<Accepted, ClientError>
    where
        C: TryInto<Content>,
        ClientError: From<C::Error>,
    {
        self.enqueue(content).await?.await
    }

    /// Puts an entry into the outbox. Returns when it is there, with a state folder: on disk. Entries of a
    /// conversation are sent in the order of these calls.
    ///
    /// Waits while the outbox of the conversation is full (1,024 entries, or 32 MiB in all outboxes
    /// together). Cancel-safe as [`Conversation::send`] is. Calls one after another wait for the disk one
    /// after another; [`Conversation::enqueue_all`] and calls at the same time share its syncs.
    ///
    /// # Errors
    /// When the content breaks a limit, 1,024 calls wait already, the state cannot be written, or the client
    /// is closed or ended.
    pub async fn enqueue<C>(&self, content: C) -> Result<Sending, ClientError>
    where
        C: TryInto<Content>,
        ClientError: From<C::Error>,
    {
        let content = encode(&content.try_into()?)?;
        let (conversation, peer) = (self.id, self.peer.clone());
        self.shared.ask(|reply| Command::Enqueue(Enqueue { conversation, peer, content, reply })).await
    }

    /// Puts entries into the outbox in their order, all on disk together, and returns when they are there.
    ///
    /// Cancel-safe: when the future is dropped, some of the first may be in the outbox, and are sent, once.
    ///
    /// # Errors
    /// As [`Conversation::enqueue`]. When it fails for one, others may be in the outbox all the same, and are
    /// sent; with content that breaks a limit, none is.
    pub async fn enqueue_all<C>(
        &self,
        contents: impl IntoIterator<Item = C>,
    ) -> Result<Vec<Sending>, ClientError>
    where
        C: TryInto<Content>,
        ClientError: From<C::Error>,
    {
        let encoded: Vec<Bytes> = contents
            .into_iter()
            .map(|content| encode(&content.try_into()?))
            .collect::<Result<_, ClientError>>()?;
        let mut answers = Vec::with_capacity(encoded.len());
        for content in encoded {
            let (reply, answer) = oneshot::channel();
            let (conversation, peer) = (self.id, self.peer.clone());
            let enqueue = Enqueue { conversation, peer, content, reply };
            self.shared.command(Command::Enqueue(enqueue)).await?;
            answers.push(answer);
        }
        let mut sendings = Vec::with_capacity(answers.len());
        for answer in answers {
            sendings.push(answer.await.unwrap_or_else(|_| Err(self.shared.closed()))?);
        }
        Ok(sendings)
    }

    /// Replaces the body of a message of one's own.
    ///
    /// # Errors
    /// As [`Conversation::send`].
    pub async fn edit(&self, target: Seq, message: OutgoingMessage) -> Result<Accepted, ClientError> {
        let (content_type, body, _) = message.into_parts()?;
        self.send(Content::Edit(Edit { target_seq: target, content_type, body })).await
    }

    /// Takes a message back: its body is gone for everybody.
    ///
    /// # Errors
    /// As [`Conversation::send`].
    pub async fn redact(&self, target: Seq) -> Result<Accepted, ClientError> {
        self.send(Content::Redact(Redact { target_seq: target })).await
    }

    /// Reacts to a message, with 1 to 64 bytes of text.
    ///
    /// # Errors
    /// As [`Conversation::send`].
    pub async fn react(&self, target: Seq, reaction: impl AsRef<str>) -> Result<Accepted, ClientError> {
        let reaction = parse_reaction(reaction.as_ref())?;
        self.send(Content::React(React { target_seq: target, reaction, removed: false })).await
    }

    /// Takes a reaction back.
    ///
    /// # Errors
    /// As [`Conversation::send`].
    pub async fn unreact(&self, target: Seq, reaction: impl AsRef<str>) -> Result<Accepted, ClientError> {
        let reaction = parse_reaction(reaction.as_ref())?;
        self.send(Content::React(React { target_seq: target, reaction, removed: true })).await
    }

    /// Gives a group another title.
    ///
    /// # Errors
    /// As [`Conversation::send`].
    pub async fn set_title(&self, title: impl AsRef<str>) -> Result<Accepted, ClientError> {
        let title = Title::parse(title.as_ref())
            .map_err(|cause| ClientError::TextInvalid { what: "the title", cause })?;
        self.send(Content::SetTitle(SetTitle { title })).await
    }

    /// Adds users to a group.
    ///
    /// # Errors
    /// As [`Conversation::send`].
    pub async fn add(&self, users: &[UserId]) -> Result<Accepted, ClientError> {
        self.send(Content::AddMembers(AddMembers { users: UserList::new(users.to_vec())? })).await
    }

    /// Removes users from a group.
    ///
    /// # Errors
    /// As [`Conversation::send`].
    pub async fn remove(&self, users: &[UserId]) -> Result<Accepted, ClientError> {
        self.send(Content::RemoveMembers(RemoveMembers { users: UserList::new(users.to_vec())? })).await
    }

    /// Leaves a group. An owner leaves only when alone.
    ///
    /// # Errors
    /// As [`Conversation::send`].
    pub async fn leave(&self) -> Result<Accepted, ClientError> {
        self.send(Content::Leave(Leave)).await
    }

    /// Makes a member an admin, or an admin a member.
    ///
    /// # Errors
    /// As [`Conversation::send`].
    pub async fn set_role(&self, user: &UserId, role: Role) -> Result<Accepted, ClientError> {
        self.send(Content::SetRole(SetRole { user: user.clone(), role })).await
    }

    /// Makes another member the owner; the owner becomes an admin.
    ///
    /// # Errors
    /// As [`Conversation::send`].
    pub async fn transfer_ownership(&self, user: &UserId) -> Result<Accepted, ClientError> {
        self.send(Content::TransferOwnership(TransferOwnership { user: user.clone() })).await
    }

    /// Marks everything up to `seq` as read by the user. The mark is taken note of at once; the future, which
    /// may be dropped, waits until the server has stored it. Marks are batched, and kept in the state.
    ///
    /// # Errors
    /// When the mark is beyond the head, or the client is closed or ended.
    pub fn mark_read(&self, seq: Seq) -> Marking {
        Marking { answer: self.shared.confirmations.read(self.id, seq) }
    }

    /// One page of the log.
    ///
    /// # Errors
    /// When there is no session within 30 s, or the server refuses.
    pub async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, ClientError> {
        request::history(&self.shared, self.id, query).await
    }

    /// The first page (up to 256 entries) of a range that was [`crate::Event::Skipped`]. Confirm the page
    /// when the app has it, and fetch on from its `next` while that is within the range.
    ///
    /// # Errors
    /// When there is no session within 30 s, or the server refuses.
    pub async fn fetch_skipped(&self, first: Seq, last: Seq) -> Result<HistoryPage, ClientError> {
        let length = last.get().saturating_sub(first.get()).saturating_add(1);
        let limit = u32::try_from(length).unwrap_or(u32::MAX).min(HistoryQuery::LIMIT_MAX);
        let page = self.history(HistoryQuery::forward(first).limit(limit)).await?;
        if self.shared.confirm_automatically {
            page.confirm().await?;
        }
        Ok(page)
    }

    /// Who is in the conversation.
    ///
    /// # Errors
    /// When there is no session within 30 s, or the server refuses.
    pub async fn roster(&self) -> Result<Roster, ClientError> {
        request::roster(&self.shared, self.id).await
    }

    /// Says that the user types (call it with each key, the client sends no more than is needed) or stopped.
    /// A send says that, too. Lost without a word when there is no session.
    ///
    /// # Errors
    /// When the client is closed.
    pub async fn typing(&self, typing: bool) -> Result<(), ClientError> {
        self.shared.command(Command::Typing { conversation: self.id, typing }).await
    }
}

/// A read mark on its way. Awaiting it waits until the server has stored it; dropping it changes nothing.
#[derive(Debug)]
#[must_use = "await it to learn whether the mark was stored; or drop it explicitly"]
pub struct Marking {
    answer: oneshot::Receiver<Result<(), ClientError>>,
}

impl Future for Marking {
    type Output = Result<(), ClientError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(context).map(|answer| answer.unwrap_or(Err(ClientError::Closed)))
    }
}

fn parse_reaction(reaction: &str) -> Result<Reaction, ClientError> {
    Reaction::parse(reaction).map_err(|cause| ClientError::TextInvalid { what: "the reaction", cause })
}

/// Encodes a content, and checks what its types leave open: the length of a body, an empty list of users.
fn encode(content: &Content) -> Result<Bytes, ClientError> {
    let bytes = content.encode();
    Content::decode(&bytes)?;
    Ok(bytes)
}
