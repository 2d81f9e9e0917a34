//! What all sessions of a server share, and what they do with it that concerns other nodes too.

use std::sync::Arc;

use fulmar_protocol::ConversationId;

use super::Alternatives;
use crate::{
    auth::Authenticator,
    clock::Rng,
    fanout::{Hub, SessionHandle},
    limits::Limits,
    log::{Log, LogError},
    metrics::Metrics,
    nodes::Node,
};

/// What all sessions share.
pub(crate) struct Shared {
    pub(crate) log: Arc<Log>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) authenticator: Authenticator,
    pub(crate) rng: Rng,
    pub(crate) limits: Arc<Limits>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) epoch: fulmar_protocol::Epoch,
    /// How fast each user sends and starts conversations.
    pub(crate) rates: crate::rates::Rates,
    /// In a cluster: this node among the others.
    pub(crate) node: Option<Arc<Node>>,
    /// Where clients may go when it does.
    pub(crate) alternatives: Alternatives,
    /// Set when the server drains.
    pub(crate) draining: tokio_util::sync::CancellationToken,
}

impl Shared {
    /// Has a session hear of large conversations. What is read afterwards and what is told together miss nothing.
    /// `true`: of some of them it did not hear when this was called, so what was read before may lack something.
    pub(super) async fn take_interest(
        &self,
        session: &Arc<SessionHandle>,
        conversations: &[ConversationId],
    ) -> Result<bool, LogError> {
        let new: Vec<_> = conversations.iter().copied().filter(|it| session.add_interest(*it)).collect();
        for conversation in &new {
            self.hub.take_interest(session, *conversation);
        }
        if let (Some(node), false) = (&self.node, conversations.is_empty()) {
            // Another task of the session may be about to: then this waits for it.
            node.take_interest(conversations).await?;
        }
        session.settle_interests(&new);
        Ok(!new.is_empty())
    }

    /// Takes a session off. No other node tells this one of its user's news any more.
    pub(super) fn unregister(&self, session: &Arc<SessionHandle>) {
        self.hub.unregister(session);
        if let (Some(node), Some(key)) = (&self.node, session.identity.key()) {
            node.release_session(&session.identity.user, key);
        }
    }
}
