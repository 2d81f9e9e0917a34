//! What the admin port may ask of a running server.

use std::sync::Arc;

use fulmar_protocol::{ErrorCode, SessionNumber, UserId};
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{AdminApi, AdminFailure, Draining, ReadinessPart, Revoked, SessionInfo, Sessions},
    fanout::SessionHandle,
    log::Listeners as _,
    session::Shared,
    store::{Health, Store},
};

/// See the module.
pub(crate) struct Operations {
    pub(crate) shared: Arc<Shared>,
    pub(crate) store: Store,
    pub(crate) stop_accepting: CancellationToken,
}

impl AdminApi for Operations {
    fn readiness(&self) -> Vec<ReadinessPart> {
        let store = match self.store.health() {
            Health::Good => None,
            Health::Failed { reason } => Some(format!("the store takes no writes: {reason}")),
            Health::Unreachable => Some("the store cannot be reached".to_owned()),
            Health::Closed => Some("the store is closed".to_owned()),
        };
        let stopping = self.stop_accepting.is_cancelled();
        let endpoint = stopping.then(|| "draining: no new connections are taken".to_owned());
        let mut parts = vec![
            ReadinessPart { name: "store", problem: store },
            ReadinessPart { name: "endpoint", problem: endpoint },
        ];
        if let Some(node) = &self.shared.node {
            let problem = node.bars_appends().map(str::to_owned);
            parts.push(ReadinessPart { name: "node", problem });
        }
        parts
    }

    fn sessions(&self, after: SessionNumber, limit: usize) -> Sessions {
        let mut sessions = self.shared.hub.sessions();
        let total = sessions.len();
        sessions.retain(|session| session.identity.number > after);
        sessions.sort_unstable_by_key(|session| session.identity.number);
        sessions.truncate(limit);
        Sessions { total, sessions: sessions.iter().map(|session| info(session)).collect() }
    }

    fn revoke(&self, user: UserId) -> BoxFuture<'_, Result<Revoked, AdminFailure>> {
        Box::pin(async move {
            let revoked = self.shared.log.revoke(&user).await;
            let revoked_before =
                revoked.map_err(|error| AdminFailure::StoreUnavailable(error.to_string()))?;
            // A session that registers from here on reads the revocation itself.
            let sessions_ended = self.shared.hub.end_sessions_of(&user, ErrorCode::TokenRevoked);
            if let Some(node) = &self.shared.node
                && let Err(error) = node.end_sessions_of(&user, ErrorCode::TokenRevoked).await
            {
                return Err(AdminFailure::StoreUnavailable(error.to_string()));
            }
            tracing::info!(%user, sessions_ended, "tokens were revoked");
            Ok(Revoked { user, revoked_before, sessions_ended })
        })
    }

    fn drain(&self) -> BoxFuture<'_, Result<Draining, AdminFailure>> {
        let sessions = self.shared.hub.sessions().len();
        tracing::info!(sessions, "draining");
        self.stop_accepting.cancel();
        self.shared.draining.cancel();
        Box::pin(async move { Ok(Draining { sessions }) })
    }

    fn metrics(&self) -> String {
        self.shared.metrics.render()
    }
}

fn info(session: &SessionHandle) -> SessionInfo {
    let identity = &session.identity;
    SessionInfo {
        session: identity.number,
        user: identity.user.clone(),
        device: identity.device,
        address: session.connection().remote_address(),
        client: identity.client.as_str().to_owned(),
        connected_at: identity.connected_at,
        expires_at: session.expires_at(),
    }
}
