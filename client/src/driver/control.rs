//! The control stream: what the server says about the session as a whole, and signs of life.

use fulmar_protocol::{Epoch, ErrorCode, Frame};

use crate::command::Reply;
use crate::driver::Driver;
use crate::driver::sending::Breach;
use crate::error::ClientError;
use crate::limits;

/// Answers a caller, if there is one and it still waits.
fn reply_to(reply: Option<Reply<()>>, answer: Result<(), ClientError>) {
    if let Some(reply) = reply {
        let _ = reply.send(answer);
    }
}

impl Driver {
    pub(super) fn take_control(&mut self, frame: Frame) -> Result<(), Breach> {
        match frame {
            Frame::Confirmed(confirmed) => self.handle_confirmed(confirmed.batch)?,
            Frame::Reauthenticated(answer) => self.handle_reauthenticated(answer.expires_at),
            Frame::GoAway(go_away) => self.handle_go_away(&go_away),
            Frame::Pong(pong) => self.handle_pong(pong.nonce)?,
            Frame::Problem(problem) if problem.batch.is_some() => self.handle_confirm_problem(&problem),
            Frame::Problem(problem) => match problem.code {
                code @ (ErrorCode::TokenInvalid
                | ErrorCode::TokenExpired
                | ErrorCode::TokenWrongAudience
                | ErrorCode::TokenRevoked
                | ErrorCode::TokenUserChanged) => self.handle_token_problem(code),
                code => tracing::debug!(%code, message = %problem.message, "the server refused something"),
            },
            other => {
                let cause = format!("{} in an open session", other.frame_type());
                return Err((ErrorCode::FrameUnexpected, cause));
            }
        }
        Ok(())
    }

    /// Sends a Ping, unless one is on its way; its answer is everybody's.
    pub(super) fn ping(&mut self, reply: Option<Reply<()>>) {
        let lost = |cause: &str| Err(ClientError::ConnectionLost { cause: cause.to_owned() });
        let Some(session) = self.phase.session_mut() else {
            return reply_to(reply, self.ended.clone().map_or(lost("there is no session"), Err));
        };
        session.ping_waiters.retain(|waiter| !waiter.is_closed());
        if session.ping_waiters.len() >= limits::PINGS_MAX {
            return reply_to(reply, lost("many wait for an answer already"));
        }
        session.ping_waiters.extend(reply);
        if session.ping.is_none() {
            session.expect_answer(self.now);
            session.send_ping();
        }
    }

    fn handle_pong(&mut self, nonce: u64) -> Result<(), Breach> {
        let Some(session) = self.phase.session_mut() else { return Ok(()) };
        if session.ping.take() != Some(nonce) {
            return Err((ErrorCode::FrameUnexpected, "a Pong without its Ping".to_owned()));
        }
        session.probe_until = None;
        for waiter in session.ping_waiters.drain(..) {
            let _ = waiter.send(Ok(()));
        }
        Ok(())
    }

    /// The store that the server speaks for. Under another epoch nothing that is known of logs holds.
    pub(super) fn take_epoch(&mut self, epoch: Epoch) {
        let before = self.epoch.replace(epoch);
        if before == Some(epoch) {
            return;
        }
        self.journal.epoch(epoch);
        if before.is_some() {
            tracing::warn!(%epoch, "the server's store was restored: cursors are forgotten");
            self.recently_sent.clear();
            for (id, tracked) in self.conversations.iter_mut() {
                tracked.forget_log();
                self.journal.conversation(id);
            }
            // A mark on an entry that is gone would be one on whatever takes its place.
            let cause = "the server's store was restored".to_owned();
            self.confirming.fail(&ClientError::ConnectionLost { cause });
            self.events.push_resynchronised();
        }
    }
}
