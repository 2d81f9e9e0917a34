//! The control stream after Welcome: each frame is answered before the next one is read, but for a Confirm. That one
//! waits for the store while others are answered, so that a slow store does not look like a dead path; a second one
//! waits for the first.

use std::sync::Arc;

use fulmar_protocol::{
    BatchNumber, Confirm, Confirmed, ConversationId, CursorState, ErrorCode, Explanation, Frame, Pong,
    Problem, Reauthenticate, Reauthenticated, Seq,
};

use tokio::sync::oneshot;

use super::{End, Session};
use crate::log::{ConfirmRefusal, CursorClaim, LogError};

/// A Confirm that the store has not answered yet.
pub(super) struct Confirming {
    batch: BatchNumber,
    cursors: Vec<(ConversationId, Seq)>,
    storing: oneshot::Receiver<Result<Vec<ConfirmRefusal>, LogError>>,
}

/// What the store says of the Confirm that waits for it. For ever when there is none. Dropping it loses nothing.
pub(super) async fn stored(confirming: &mut Option<Confirming>) -> Result<Vec<ConfirmRefusal>, LogError> {
    match confirming {
        Some(confirming) => {
            let ended = |_| Err(LogError::Unfinished("a Confirm's task ended".to_owned()));
            (&mut confirming.storing).await.unwrap_or_else(ended)
        }
        None => std::future::pending().await,
    }
}

impl Session {
    pub(super) async fn handle_control(&mut self, frame: Frame) -> Result<(), End> {
        match frame {
            Frame::Confirm(confirm) => self.confirm(confirm).await,
            Frame::Watch(watch) => self.watch(watch).await,
            Frame::Ping(ping) => self.write_control(&Frame::Pong(Pong { nonce: ping.nonce })).await,
            Frame::Reauthenticate(token) => self.reauthenticate(token).await,
            _ => Err(ErrorCode::FrameUnexpected),
        }
    }

    async fn confirm(&mut self, confirm: Confirm) -> Result<(), End> {
        if self.confirming.is_some() {
            let result = stored(&mut self.confirming).await;
            self.answer_confirm(result).await?;
        }
        let batch = confirm.batch;
        if let Err(code) = confirm.check() {
            return self.problem(code, None, Some(batch)).await;
        }
        let mut claims = Vec::with_capacity(confirm.cursors.len());
        for update in confirm.cursors {
            let conversation = update.conversation_id;
            match CursorState::new(update.seq, update.skipped) {
                Ok(cursor) => {
                    claims.push(CursorClaim { conversation, cursor, sent: self.handle.sent(&conversation) });
                }
                Err(_) => self.problem(ErrorCode::CursorInvalid, Some(conversation), Some(batch)).await?,
            }
        }
        let cursors = claims.iter().map(|claim| (claim.conversation, claim.cursor.seq())).collect();
        let (shared, handle) = (Arc::clone(&self.shared), Arc::clone(&self.handle));
        let (answer, storing) = oneshot::channel();
        self.tasks.spawn(async move {
            let identity = &handle.identity;
            let log = &shared.log;
            let result = log.confirm(&identity.user, &identity.device, claims, confirm.reads).await;
            // The session may be over.
            drop(answer.send(result));
            Ok(())
        });
        self.confirming = Some(Confirming { batch, cursors, storing });
        Ok(())
    }

    /// Answers the Confirm that waited for the store.
    pub(super) async fn answer_confirm(
        &mut self,
        result: Result<Vec<ConfirmRefusal>, LogError>,
    ) -> Result<(), End> {
        let Some(Confirming { batch, cursors, .. }) = self.confirming.take() else { return Ok(()) };
        match result {
            Ok(refused) => {
                for (conversation, seq) in cursors {
                    if !refused.iter().any(|refusal| refusal.conversation == conversation) {
                        self.handle.set_confirmed(conversation, seq);
                    }
                }
                for refusal in refused {
                    self.problem(refusal.code, Some(refusal.conversation), Some(batch)).await?;
                }
                self.write_control(&Frame::Confirmed(Confirmed { batch })).await
            }
            Err(error) => {
                let code = error.code();
                tracing::warn!(%error, "a Confirm was not stored");
                self.problem(code, None, Some(batch)).await
            }
        }
    }

    async fn reauthenticate(&mut self, reauthenticate: Reauthenticate) -> Result<(), End> {
        let now = self.shared.log.now();
        let identity = match self.shared.authenticator.verify(reauthenticate.token.as_str(), now) {
            Ok(identity) => identity,
            Err(error) => return self.problem(error.code(), None, None).await,
        };
        if identity.user != self.handle.identity.user {
            return self.problem(ErrorCode::TokenUserChanged, None, None).await;
        }
        match self.shared.log.revoked_before(&identity.user).await {
            Ok(before) if before.is_some_and(|before| identity.issued_at <= before) => {
                return self.problem(ErrorCode::TokenRevoked, None, None).await;
            }
            Ok(_) => {}
            Err(error) => return self.problem(error.code(), None, None).await,
        }
        self.handle.set_token(identity.issued_at, identity.expires_at);
        self.write_control(&Frame::Reauthenticated(Reauthenticated { expires_at: identity.expires_at })).await
    }

    /// Says that something was refused. The session goes on.
    pub(super) async fn problem(
        &mut self,
        code: ErrorCode,
        conversation: Option<ConversationId>,
        batch: Option<BatchNumber>,
    ) -> Result<(), End> {
        self.shared.metrics.error(code);
        self.write_control(&Frame::Problem(Problem {
            code,
            message: Explanation::new(code.name()),
            conversation_id: conversation,
            batch,
            retry_after: None,
        }))
        .await
    }
}
