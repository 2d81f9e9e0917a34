//! Tokens within a session: a new one in good time before the old one expires. An attempt asks for its own.

use std::time::Duration;

use fulmar_protocol::{ErrorCode, Frame, Reauthenticate, TimestampMs, Token};

use crate::driver::Driver;
use crate::driver::inputs::Input;
use crate::driver::session::Session;
use crate::error::ClientError;
use crate::limits;
use crate::token::TokenSource;

impl Session {
    /// Asks the source for a new token, which comes as an input.
    pub(super) fn ask_for_token(&mut self, source: TokenSource) {
        self.token_refresh_at = None;
        let sender = self.sender();
        self.spawn(async move {
            let token = source.token().await;
            // An error means that the session has ended meanwhile.
            let _ = sender.send(Input::Token(token)).await;
        });
    }
}

impl Driver {
    /// The source gave a new token, or failed.
    pub(super) fn handle_token(&mut self, token: Result<Token, ClientError>) {
        let retry_at = self.now + self.backoff_within_session();
        let Some(session) = self.phase.session_mut() else { return };
        match token {
            Ok(token) => session.control(Frame::Reauthenticate(Reauthenticate { token })),
            Err(error) => {
                tracing::warn!(%error, "no new token yet");
                session.token_refresh_at = Some(retry_at);
            }
        }
    }

    pub(super) fn handle_reauthenticated(&mut self, expires_at: TimestampMs) {
        let now = self.now;
        let Some(session) = self.phase.session_mut() else { return };
        let elapsed = now.saturating_duration_since(session.opened);
        let server_time = session.server_time.plus(elapsed);
        session.plan_token_refresh(now, expires_at.since(server_time));
    }

    /// The server did not take a new token; the old one holds until it expires.
    pub(super) fn handle_token_problem(&mut self, code: ErrorCode) {
        tracing::warn!(%code, "the new token was refused");
        let retry_at = self.now + self.backoff_within_session();
        if let Some(session) = self.phase.session_mut()
            && self.settings.token.renews()
        {
            session.token_refresh_at = Some(retry_at);
        }
    }

    fn backoff_within_session(&mut self) -> Duration {
        self.rng.duration(limits::TOKEN_RETRY_MIN, limits::TOKEN_RETRY_MAX)
    }
}
