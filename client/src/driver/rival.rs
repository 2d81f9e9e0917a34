//! When the path of a session is suspect: an attempt begins beside it, with the sends that have no answer, and
//! whichever answers first wins. One at a time; when it fails, the session is given up, as its server was silent
//! all the time.

use tokio::time::Instant;

use crate::driver::Driver;
use crate::driver::attempt::{Established, Lost};
use crate::driver::inputs::Input;
use crate::driver::link::Phase;
use crate::driver::liveness::Traffic;
use crate::driver::opening::Opening;
use crate::driver::session::Session;
use crate::limits;

impl Driver {
    /// Whether the server owes an answer.
    fn awaits_server(&self, session: &Session) -> bool {
        let requests = self.requests.available_permits() < limits::REQUESTS_MAX;
        requests || session.ping.is_some() || session.awaits_answers()
    }

    /// When to look at the path.
    pub(super) fn liveness_due(&self) -> Option<Instant> {
        let session = self.phase.session().filter(|session| session.leave_at.is_none())?;
        session.liveness.next_look(self.awaits_server(session), self.is_in_front())
    }

    /// Looks at the path when it is time, and draws the consequences.
    pub(super) fn pump_liveness(&mut self) {
        if self.liveness_due().is_none_or(|at| at > self.now) {
            return;
        }
        let (now, nth, in_front) = (self.now, self.rng.below(1_000), self.is_in_front());
        let Some(session) = self.phase.session_mut() else { return };
        let keep_alive = in_front && session.liveness.wants_keep_alive(now);
        let heard = session.liveness.look(now, Traffic::of(&session.connection));
        if keep_alive {
            // Even when something was heard: that may have been long ago.
            session.keep_alive(now, u32::try_from(nth).unwrap_or(0));
        }
        if heard {
            return self.old_path_answered();
        }
        let Some(since) = session.liveness.suspect_since() else { return };
        if now >= since + limits::ATTEMPT_TIMEOUT && self.rival.is_none() {
            session.close(fulmar_protocol::ErrorCode::NoError, "no sign of life");
            self.lose(Lost::Passing("no sign of life".to_owned()));
        } else if since == now && self.rival.is_none() && self.closing.is_none() {
            self.begin_rival();
        }
    }

    fn begin_rival(&mut self) {
        tracing::info!("the path is silent: a connection is tried beside it");
        self.stray_at = Some(self.now);
        self.rival = Some(Box::new(self.open()));
    }

    /// A frame came on the session beside which there is a rival.
    pub(super) fn told_by_session(&mut self, input: &Input) {
        let now = self.now;
        let Some(session) = self.phase.session_mut() else { return };
        session.liveness.told(now);
        session.heard_at = now;
        // What lanes tell may have waited for the app; these come as they arrive.
        let just_came = matches!(input, Input::Control(_) | Input::Answer { .. } | Input::Datagram(_));
        if just_came && self.rival.is_some() {
            self.old_path_answered();
        }
    }

    fn old_path_answered(&mut self) {
        let now = self.now;
        // What the old connection lost it sends again only after this; the rival has it with it.
        if self.rival_preferred_until.is_some_and(|until| now < until) || !self.drop_rival() {
            return;
        }
        tracing::info!("the path was only slow");
        if let Some(session) = self.phase.session_mut() {
            session.liveness.look(now, Traffic::of(&session.connection));
            session.liveness.be_patient();
        }
    }

    /// The rival has its Welcome: it is the session now. What the old one had under way goes again.
    pub(super) fn rival_won(&mut self, opening: Opening, established: Established) {
        let old = std::mem::replace(&mut self.phase, Phase::Waiting { retry_at: self.now });
        if let Phase::Up(old) = old {
            tracing::info!("the connection beside the session takes its place");
            self.close_down(*old, &Lost::Passing("another connection took its place".to_owned()));
        }
        self.open_session(opening, established);
    }

    /// Whether `session_replaced` may be this client's own doing: the server took another connection of its own for
    /// the session, one that came to nothing here and arrived there. Believed once for each.
    pub(super) fn replaced_itself(&mut self) -> bool {
        self.stray_at.take().is_some_and(|at| self.now < at + limits::STRAY_GRACE)
    }

    /// New sockets. A session has to answer, or it gets a rival: at once if nothing had come for a while. An attempt
    /// begins anew, as what it sent left by the other network, and its next packet may be seconds away; and nobody
    /// waits any longer.
    pub(super) fn network_changed(&mut self) {
        self.endpoints.rebind();
        self.backoff.reset();
        self.settings.tls.tickets.keep_last(false);
        let was_tried = self.drop_rival();
        let now = self.now;
        match &mut self.phase {
            Phase::Up(session) => {
                let was_silent = was_tried || session.liveness.suspect_since().is_some();
                let soon = session.connection.rtt().saturating_mul(2);
                session.liveness.start_afresh(now, Traffic::of(&session.connection));
                self.probe();
                if was_silent && self.closing.is_none() {
                    self.begin_rival();
                    self.rival_preferred_until =
                        Some(now + soon.clamp(limits::PATH_SILENT_MIN, limits::PATH_SILENT_MAX));
                }
            }
            Phase::Waiting { retry_at } => *retry_at = now,
            Phase::Connecting(_) => {
                self.drop_connecting();
                self.phase = Phase::Waiting { retry_at: now };
            }
            Phase::Resting if self.outbox_bytes > 0 => self.begin_errand(),
            Phase::Resting | Phase::Ended => {}
        }
        self.endpoints.forgive();
    }

    /// Asks for a sign of life, in a packet that is large: the path may be new to the server.
    pub(super) fn probe(&mut self) {
        let until = self.now + limits::PROBE_TIMEOUT;
        let nth = u32::try_from(self.rng.below(1_000)).unwrap_or(0);
        if let Some(session) = self.phase.session_mut() {
            session.probe_until = Some(until);
            session.pad(nth);
            self.ping(None);
        }
    }
}
