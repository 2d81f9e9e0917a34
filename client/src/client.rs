//! The handle of a client. Clones share one driver; when the last handle is dropped (conversations count),
//! the connection is closed and everything the client spawned ends.

use std::sync::Arc;

use fulmar_protocol::{
    Content, ConversationId, CreateGroup, DeviceId, GroupNonce, HistoryPolicy, PresenceState, Title, UserId,
    UserList,
};
use tokio::sync::watch;

use crate::builder::ClientBuilder;
use crate::command::Command;
use crate::conversation::Conversation;
use crate::error::ClientError;
use crate::inbox::InboxItem;
use crate::outgoing::Accepted;
use crate::request::{self, Settings};
use crate::shared::{Identity, Shared, Stance};
use crate::status::Status;

/// A client of one user on one device.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Client")
            .field("status", &*self.shared.status.borrow())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Settings for a new client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The user, as the server knows them. `None` before the first session on this state.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        self.shared.identity.borrow().user.clone()
    }

    /// This device's id. It changes when the state turns out to be an old copy of itself.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        let Identity { device, .. } = *self.shared.identity.borrow();
        device
    }

    /// Follows how the client stands with the server.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.shared.status.clone()
    }

    /// The direct conversation with `peer`. Nothing is sent; the first message starts it.
    ///
    /// # Errors
    /// [`ClientError::UserUnknown`] before the first session on this state.
    pub fn direct(&self, peer: &UserId) -> Result<Conversation, ClientError> {
        let id = ConversationId::direct(&self.shared.user()?, peer);
        Ok(Conversation::new(Arc::clone(&self.shared), id, Some(peer.clone())))
    }

    /// A conversation that exists. For the first message of a direct conversation use [`Client::direct`],
    /// since the server must be told the other user.
    #[must_use]
    pub fn conversation(&self, id: ConversationId) -> Conversation {
        Conversation::new(Arc::clone(&self.shared), id, None)
    }

    /// Creates a group with `members` (the creator, who becomes its owner, need not be named).
    ///
    /// # Errors
    /// As [`Conversation::send`].
    pub async fn create_group(
        &self,
        title: impl AsRef<str>,
        members: &[UserId],
        history_policy: HistoryPolicy,
    ) -> Result<(Conversation, Accepted), ClientError> {
        let user = self.shared.user()?;
        let nonce = GroupNonce::new(self.shared.rng.lock().octets());
        let title = Title::parse(title.as_ref())
            .map_err(|cause| ClientError::TextInvalid { what: "the title", cause })?;
        let members = members.iter().filter(|member| **member != user).cloned().collect();
        let members = UserList::new(members)?;
        let content = Content::CreateGroup(CreateGroup { nonce, title, members, history_policy });
        let id = ConversationId::group(&user, &nonce);
        let conversation = Conversation::new(Arc::clone(&self.shared), id, None);
        let accepted = conversation.send(content).await?;
        Ok((conversation, accepted))
    }

    /// All conversations of the user, ordered by id. Fetches as many pages as there are.
    ///
    /// # Errors
    /// When there is no session within 30 s, or the server refuses.
    pub async fn inbox(&self) -> Result<Vec<InboxItem>, ClientError> {
        request::inbox(&self.shared).await
    }

    /// Blocks or unblocks a user: no direct messages, presence or typing from them.
    ///
    /// # Errors
    /// When there is no session within 30 s, or the server refuses.
    pub async fn block(&self, user: &UserId, blocked: bool) -> Result<(), ClientError> {
        request::block(&self.shared, user, blocked).await
    }

    /// Replaces the user's settings.
    ///
    /// # Errors
    /// When there is no session within 30 s, or the server refuses.
    pub async fn settings(&self, settings: Settings) -> Result<(), ClientError> {
        request::settings(&self.shared, settings).await
    }

    /// Names the conversations on screen (at most 64), in place of those named before: their lanes stay
    /// open and go first, and the presence of their members is told.
    ///
    /// # Errors
    /// With more than 64, or when the client is closed.
    pub async fn watch(&self, conversations: &[ConversationId]) -> Result<(), ClientError> {
        let most = fulmar_protocol::limits::WATCHED_CONVERSATIONS_MAX;
        if conversations.len() > most {
            let expected = format!("at most {most} conversations");
            return Err(ClientError::ArgumentInvalid { what: "the watched set", expected });
        }
        self.shared.command(Command::Watch { conversations: conversations.to_vec() }).await
    }

    /// Says whether the user is there: online, as long as nothing else is said, or away. Repeated to the server
    /// as long as the client lives; lost with it.
    ///
    /// # Errors
    /// For [`PresenceState::Offline`], which is the server's to tell, or when the client is closed.
    pub async fn set_presence(&self, state: PresenceState) -> Result<(), ClientError> {
        if state == PresenceState::Offline {
            let expected = "online or away; close the client to be offline".to_owned();
            return Err(ClientError::ArgumentInvalid { what: "the presence", expected });
        }
        self.shared.command(Command::Presence { state }).await
    }

    /// Asks the server for a sign of life.
    ///
    /// # Errors
    /// When there is no session, or it ends before the answer.
    pub async fn ping(&self) -> Result<(), ClientError> {
        self.shared.ask(|reply| Command::Ping { reply }).await
    }

    /// To be called when the device came to another network, lost one or got one back (the platform tells the app).
    /// A client that waits for its next attempt makes it at once, and the wait after that is the shortest again.
    /// An open connection moves to the new address; when it does not answer within about three round trips, a
    /// new one is tried beside it, and whichever answers first is used. Harmless to call too often.
    ///
    /// # Errors
    /// When the client is closed.
    pub async fn network_changed(&self) -> Result<(), ClientError> {
        self.shared.command(Command::NetworkChanged).await
    }

    /// To be called when the app goes into the background. What is in the outbox and what was confirmed has two more
    /// seconds; then the connection is let go so that it can be resumed, others see the user as away, and nothing
    /// is sent or received any more: [`Status::Background`] tells when. What is enqueued or marked as read
    /// after that connects once more, for half a minute at most, and what arrives meanwhile is delivered as usual.
    /// Requests wait for such a connection, or the foreground.
    ///
    /// Takes effect at once, from any thread; there is nothing to wait for or to cancel. Calling it again
    /// changes nothing, and of several calls the last one counts.
    pub fn background(&self) {
        self.stand(Stance::Background);
    }

    /// To be called when the app comes to the foreground: the client connects at once, or makes sure that the
    /// connection it still has is alive. A client begins in the foreground. Otherwise as [`Client::background`].
    pub fn foreground(&self) {
        self.stand(Stance::Foreground);
    }

    fn stand(&self, stance: Stance) {
        self.shared.stance.send_if_modified(|known| std::mem::replace(known, stance) != stance);
    }

    /// Stores and sends what was confirmed, says goodbye, and ends. Returns when nothing of the client runs
    /// any more and its state folder is free; other handles then fail with [`ClientError::Closed`]. What is
    /// in the outbox stays there. Takes at most a few seconds.
    pub async fn close(&self) {
        let driver = self.shared.driver.lock().take();
        if self.shared.command(Command::Close).await.is_err() {
            tracing::trace!("closed before");
        }
        match driver {
            // An error means that the runtime is going down, and the driver with it.
            Some(driver) => drop(driver.await),
            None => self.shared.commands.closed().await,
        }
    }
}
