//! The link to the server: attempts, back-off, the end of sessions, and what is final.
//!
//! This layer owns every retry of the connection; nothing below it tries again. Beside it: `opening` (attempts),
//! `rival` (a path that is suspect), `background`, `tokens`.

use std::time::Duration;

use fulmar_protocol::{ErrorCode, GoAway, Welcome};
use quinn::ConnectionError;
use tokio::time::Instant;

use crate::driver::Driver;
use crate::driver::attempt::{Established, Lost};
use crate::driver::inputs::Input;
use crate::driver::opening::{Opening, OpeningNews};
use crate::driver::session::Session;
use crate::error::ClientError;
use crate::limits;

/// Where the link stands.
pub(super) enum Phase {
    /// Until the next attempt.
    Waiting { retry_at: Instant },
    /// An attempt is under way.
    Connecting(Box<Opening>),
    /// A session is open.
    Up(Box<Session>),
    /// The app is in the background, and there is nothing to be sent.
    Resting,
    /// There will be none.
    Ended,
}

/// What the link has to say.
pub(super) enum LinkNews {
    Opening(OpeningNews),
    Input(Input),
}

impl Phase {
    pub(super) fn session(&self) -> Option<&Session> {
        match self {
            Self::Up(session) => Some(session),
            _ => None,
        }
    }

    pub(super) fn session_mut(&mut self) -> Option<&mut Session> {
        match self {
            Self::Up(session) => Some(session),
            _ => None,
        }
    }

    /// Waits for news. Cancel-safe.
    pub(super) async fn next(&mut self) -> LinkNews {
        match self {
            Self::Connecting(opening) => LinkNews::Opening(opening.next().await),
            Self::Up(session) => match session.inputs.recv().await {
                Some(input) => LinkNews::Input(input),
                // The session holds a sender itself.
                None => std::future::pending().await,
            },
            Self::Waiting { .. } | Self::Resting | Self::Ended => std::future::pending().await,
        }
    }
}

impl Driver {
    /// Begins an attempt when it is time, and ends a session that is to be left.
    pub(super) fn pump_link(&mut self) {
        match &mut self.phase {
            Phase::Waiting { retry_at } if *retry_at <= self.now && !self.renewing_device => self.attempt(),
            Phase::Up(session) if session.leave_at.is_some() && !session.left => {
                let due = session.leave_at.is_some_and(|leave_at| leave_at <= self.now);
                let requests = self.requests.available_permits() < limits::REQUESTS_MAX;
                if due || !(session.awaits_answers() || requests) {
                    session.left = true;
                    session.close(ErrorCode::NoError, "asked to come back");
                }
            }
            Phase::Up(session) if session.probe_until.is_some_and(|until| until <= self.now) => {
                session.probe_until = None;
                session.close(ErrorCode::NoError, "no sign of life");
            }
            Phase::Up(session) if session.token_refresh_at.is_some_and(|at| at <= self.now) => {
                session.ask_for_token(self.settings.token.clone());
            }
            _ => {}
        }
    }

    /// When there is something to do here.
    pub(super) fn link_due(&self) -> Option<Instant> {
        let looks = self.liveness_due();
        match &self.phase {
            Phase::Waiting { .. } if self.renewing_device => None,
            Phase::Waiting { retry_at } => Some(*retry_at),
            Phase::Up(session) => {
                let leave_at = session.leave_at.filter(|_| !session.left);
                [leave_at, session.token_refresh_at, session.probe_until, looks].into_iter().flatten().min()
            }
            Phase::Connecting(_) | Phase::Resting | Phase::Ended => None,
        }
    }

    fn attempt(&mut self) {
        self.told.connecting();
        self.phase = Phase::Connecting(Box::new(self.open()));
    }

    pub(super) fn open_session(&mut self, opening: Opening, mut established: Established) {
        // Nothing that was not asked for is in force.
        established.welcome.extensions = established.welcome.extensions.and(self.settings.extensions);
        let welcome = established.welcome.clone();
        if let Some(stored) = self.user.clone().filter(|stored| *stored != welcome.user_id) {
            let token = welcome.user_id;
            let code = quinn::VarInt::from_u32(0);
            fulmar_transport::close(&established.connection, code, b"the state is another user's");
            self.end(ClientError::StateOfAnotherUser { stored, token });
            return;
        }
        if self.user.is_none() {
            self.journal.user(&welcome.user_id);
            self.user = Some(welcome.user_id.clone());
            self.told.user(&welcome.user_id);
        }
        self.take_epoch(welcome.epoch);
        self.endpoints.opened(&established.connection);
        if established.stray {
            self.stray_at = Some(self.now);
        }
        self.settings.tls.tickets.keep_last(false);
        let carried: Vec<_> = opening.lanes.iter().map(|(id, lane)| (*id, lane.carried)).collect();
        let mut session = Session::new(opening, established, self.now);
        if self.settings.token.renews() {
            session.plan_token_refresh(self.now, remaining(&welcome));
        }
        self.told.online(&session.connection);
        tracing::info!(user = %welcome.user_id, session = %welcome.session, "online");
        self.phase = Phase::Up(Box::new(session));
        self.first_session_open = true;
        self.tokens_expired = 0;
        for (id, carried) in carried {
            self.adopt_lane(id, carried);
        }
        self.hedging_after_connect();
        self.confirm_all_unsent();
        self.send_all_unanswered();
        self.receipts_after_connect();
        self.presence_after_connect();
    }

    /// A session or an attempt has ended. Decides what comes next.
    pub(super) fn lose(&mut self, lost: Lost) {
        let mut leave_at = None;
        let phase = std::mem::replace(&mut self.phase, Phase::Waiting { retry_at: self.now });
        if let Phase::Up(session) = phase {
            if session.is_sound(self.now) {
                self.backoff.reset();
            }
            leave_at = session.leave_at;
            self.close_down(*session, &lost);
        } else if matches!(lost, Lost::Passing(_)) {
            // Its Hello may be on its way all the same.
            self.stray_at = Some(self.now);
        }
        match &lost {
            Lost::Handshake(error) if self.first_handshake_is_final && !self.first_session_open => {
                return self.end(error.clone());
            }
            Lost::Closed { code: ErrorCode::TokenExpired, .. } if self.token_may_be_renewed() => {}
            Lost::Closed { code: ErrorCode::SessionReplaced, .. } if self.replaced_itself() => {}
            Lost::Closed { code, message } if lost.is_final() => {
                return self.end(ClientError::Ended { code: *code, message: message.clone() });
            }
            _ => {}
        }
        if let Some(rival) = self.rival.take() {
            tracing::info!(reason = %lost, "the session is gone, the attempt beside it goes on");
            self.told.connecting();
            self.phase = Phase::Connecting(rival);
            return;
        }
        tracing::info!(reason = %lost, "offline");
        // A token that ran out is no failure of the server: the first new one is asked for at once.
        let wait = if self.tokens_expired == 1 { Duration::ZERO } else { self.backoff.next(&mut self.rng) };
        let retry_at = leave_at.unwrap_or(self.now).max(self.now + wait);
        self.phase = Phase::Waiting { retry_at };
        self.told.offline(retry_at, lost.to_string());
    }

    /// Whether asking the source again may help; not for ever.
    fn token_may_be_renewed(&mut self) -> bool {
        self.tokens_expired = self.tokens_expired.saturating_add(1);
        self.settings.token.renews() && self.tokens_expired <= limits::TOKEN_EXPIRED_IN_A_ROW_MAX
    }

    /// Gives back what was under way in a session that is gone.
    pub(super) fn close_down(&mut self, mut session: Session, lost: &Lost) {
        self.endpoints.remember(&session.connection);
        self.confirm_lost(session.confirm.take());
        self.lanes_lost();
        for reply in session.ping_waiters.drain(..) {
            let _ = reply.send(Err(ClientError::ConnectionLost { cause: lost.to_string() }));
        }
        self.presence_lost();
        session.hedging.tell();
        // Whatever ended the session, the connection is not left half open.
        session.close(ErrorCode::NoError, "");
    }

    pub(super) fn handle_lost(&mut self, error: &ConnectionError) {
        match error {
            // Closed here, for a breach or on purpose; the next attempt has its back-off.
            ConnectionError::LocallyClosed => self.lose(Lost::Passing("closed by this client".to_owned())),
            error => self.lose(Lost::from_connection(error)),
        }
    }

    /// The server broke the protocol: the connection is closed with the code, and tried again later.
    pub(super) fn breach(&mut self, code: ErrorCode, cause: &str) {
        if let Some(session) = self.phase.session() {
            session.breach(code, cause);
            self.lose(Lost::Passing(format!("the server broke the protocol: {cause}")));
        }
    }

    /// There will be no further session. Those who wait are told; the state stays as it is.
    pub(super) fn end(&mut self, error: ClientError) {
        tracing::warn!(%error, "ended");
        self.drop_rival();
        if let Phase::Up(session) = std::mem::replace(&mut self.phase, Phase::Ended) {
            self.close_down(*session, &Lost::Passing(error.to_string()));
        }
        self.ended = Some(error.clone());
        self.confirming.fail(&error);
        self.fail_sends(&error);
        self.told.ended(&error);
    }

    pub(super) fn handle_go_away(&mut self, go_away: &GoAway) {
        let shortest = go_away.retry_after_min.min(limits::RETRY_AFTER_MAX);
        let longest = go_away.retry_after_max.clamp(shortest, limits::RETRY_AFTER_MAX);
        let wait = self.rng.duration(shortest, longest);
        tracing::info!(message = %go_away.message, ?wait, named = ?go_away.addresses, "the server asks to be left");
        if let Some(session) = self.phase.session_mut() {
            self.endpoints.leave(session.connection.remote_address(), go_away.addresses.clone());
            session.leave_at = Some(self.now + wait);
            // Requests wait for the next session.
            self.told.no_requests();
        }
    }
}

/// How long the token holds.
fn remaining(welcome: &Welcome) -> Duration {
    welcome.expires_at.since(welcome.server_time)
}
