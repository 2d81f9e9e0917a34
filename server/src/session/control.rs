//! The control stream after Welcome: each frame is answered before the next one is read.

use fulmar_protocol::{
    BatchNumber, Confirm, Confirmed, ConversationId, CursorState, ErrorCode, Explanation, Frame, Pong,
    Problem, Reauthenticate, Reauthenticated,
};

use super::{End, Session};
use crate::log::CursorClaim;

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
        let confirmed: Vec<_> = claims.iter().map(|claim| (claim.conversation, claim.cursor.seq())).collect();
        let identity = &self.handle.identity;
        let result = self.shared.log.confirm(&identity.user, &identity.device, claims, confirm.reads).await;
        match result {
            Ok(refused) => {
                for (conversation, seq) in confirmed {
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
