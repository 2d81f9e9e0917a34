//! The app in the background: what is to be sent and confirmed is, then the connection is let go with `away`, and
//! nothing is sent any more. An `enqueue` there is an errand: connect, send, let go again.

use fulmar_protocol::ErrorCode;
use tokio::time::Instant;

use crate::driver::Driver;
use crate::driver::attempt::Lost;
use crate::driver::link::Phase;
use crate::limits;
use crate::shared::Stance;

impl Driver {
    pub(super) fn is_in_front(&self) -> bool {
        self.background_until.is_none()
    }

    /// The app says where it is.
    pub(super) fn take_stance(&mut self) {
        let stance = *self.stance.borrow_and_update();
        match (stance, self.background_until) {
            (Stance::Background, None) => {
                self.background_until = Some(self.now + limits::BACKGROUND_FLUSH);
                self.take_confirmations();
                self.confirming.hurry(self.now);
            }
            (Stance::Foreground, Some(_)) => {
                self.background_until = None;
                self.backoff.reset();
                self.settings.tls.tickets.keep_last(false);
                self.presence_in_front();
                match &mut self.phase {
                    // The device may have slept since the last packet.
                    Phase::Up(_) => self.probe(),
                    Phase::Resting => self.phase = Phase::Waiting { retry_at: self.now },
                    Phase::Waiting { retry_at } => *retry_at = self.now,
                    Phase::Connecting(_) | Phase::Ended => {}
                }
            }
            (Stance::Background, Some(_)) | (Stance::Foreground, None) => {}
        }
    }

    /// Something is to be sent although the app is in the background.
    pub(super) fn begin_errand(&mut self) {
        let Some(until) = &mut self.background_until else { return };
        *until = (*until).max(self.now + limits::BACKGROUND_ERRAND);
        if matches!(self.phase, Phase::Resting) {
            self.backoff.reset();
            self.phase = Phase::Waiting { retry_at: self.now };
        }
    }

    /// When the connection, or the next attempt, is let go; as far as that is known.
    pub(super) fn background_due(&self) -> Option<Instant> {
        let until = self.background_until.filter(|_| self.closing.is_none() && !self.renewing_device)?;
        match &self.phase {
            Phase::Up(session) if self.has_said_all() => {
                Some(until.min(session.heard_at + limits::BACKGROUND_QUIET))
            }
            Phase::Up(_) | Phase::Connecting(_) | Phase::Waiting { .. } => Some(until),
            Phase::Resting | Phase::Ended => None,
        }
    }

    /// Nothing is left to be sent or to be answered.
    fn has_said_all(&self) -> bool {
        let awaits = self.phase.session().is_some_and(|session| session.awaits_answers());
        self.outbox_bytes == 0 && self.confirm_idle() && !awaits
    }

    /// In the background: lets go when all is said, or time is up.
    pub(super) fn pump_background(&mut self) {
        if self.closing.is_some() || self.renewing_device {
            return;
        }
        let errand = self.outbox_bytes > 0 || self.confirming.is_awaited();
        let due = self.background_due().is_some_and(|at| at <= self.now);
        match &self.phase {
            Phase::Up(_) if due => self.let_go(),
            Phase::Connecting(_) | Phase::Waiting { .. } if due || !(self.is_in_front() || errand) => {
                self.let_go();
            }
            _ => {}
        }
    }

    fn let_go(&mut self) {
        tracing::info!("in the background");
        self.drop_rival();
        self.drop_connecting();
        if let Phase::Up(session) = std::mem::replace(&mut self.phase, Phase::Resting) {
            if session.is_sound(self.now) {
                self.backoff.reset();
            }
            session.close(ErrorCode::Away, "the app is in the background");
            self.close_down(*session, &Lost::Passing("the app is in the background".to_owned()));
        }
        self.told.resting();
    }
}
