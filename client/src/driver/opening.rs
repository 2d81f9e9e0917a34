//! An attempt as the driver knows it: a connection on its way to a session, what its first flight carries, and
//! what comes back for that before Welcome.
//!
//! The driver has at most two: the one in place of a session (`Phase::Connecting`), and one beside a session whose
//! path is suspect (`rival`). Both are the same thing. When its Welcome comes, the session adopts its lanes.

use std::collections::BTreeMap;

use fulmar_protocol::{ClientSeq, ConversationId, ErrorCode, Frame, Refused};
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use crate::driver::Driver;
use crate::driver::attempt::{Attempt, Established, Lost};
use crate::driver::inputs::{Input, Inputs, LaneWrite, SendLaneNumber};
use crate::driver::link::Phase;
use crate::driver::sending::Breach;
use crate::limits;

/// An attempt that is under way.
pub(super) struct Opening {
    attempt: BoxFuture<'static, Result<Established, Lost>>,
    pub(super) inputs: mpsc::Receiver<Input>,
    pub(super) sender: Inputs,
    pub(super) lanes: BTreeMap<ConversationId, EarlyLane>,
}

/// A send lane of a first flight.
pub(super) struct EarlyLane {
    pub(super) number: SendLaneNumber,
    pub(super) outgoing: mpsc::Sender<LaneWrite>,
    /// The last send that need not be written again: all before the first that was refused.
    pub(super) carried: ClientSeq,
    pub(super) unanswered: usize,
}

/// What an opening has to say.
pub(super) enum OpeningNews {
    Input(Input),
    Attempted(Result<Established, Lost>),
}

/// Which opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The one in place of a session.
    Link,
    /// The one beside a session.
    Rival,
}

impl Opening {
    /// Waits for news; answers before the attempt's own end, so that they are taken before Welcome. Cancel-safe.
    /// Not to be called after the end.
    pub(super) async fn next(&mut self) -> OpeningNews {
        tokio::select! {
            biased;
            Some(input) = self.inputs.recv() => OpeningNews::Input(input),
            outcome = &mut self.attempt => OpeningNews::Attempted(outcome),
        }
    }
}

impl EarlyLane {
    fn refused(&mut self, refused: &Refused) {
        let before = ClientSeq::new(refused.client_seq.get().saturating_sub(1));
        self.carried = self.carried.min(before);
    }
}

impl Driver {
    /// Begins an attempt.
    pub(super) fn open(&mut self) -> Opening {
        let (sender, inputs) = mpsc::channel(limits::INPUTS_MAX);
        let (lanes, flight) = self.first_flight();
        let attempt = Attempt {
            endpoints: self.endpoints.clone(),
            servers: self.endpoints.servers(&self.settings.servers),
            token: self.settings.token.clone(),
            device: self.device,
            user: self.user.clone(),
            backlog_entries_max: self.settings.backlog_entries_max,
            client_name: self.settings.client_name.clone(),
            extensions: self.settings.extensions,
            grease: u32::try_from(self.rng.below(1_000)).unwrap_or(0),
            flight,
            inputs: sender.clone(),
        };
        Opening { attempt: Box::pin(attempt.run()), inputs, sender, lanes }
    }

    fn opening_mut(&mut self, whose: Whose) -> Option<&mut Opening> {
        match (whose, &mut self.phase) {
            (Whose::Rival, _) => self.rival.as_deref_mut(),
            (Whose::Link, Phase::Connecting(opening)) => Some(opening),
            (Whose::Link, _) => None,
        }
    }

    pub(super) fn take_opening_news(&mut self, whose: Whose, news: OpeningNews) {
        match news {
            OpeningNews::Input(input) => {
                if let Err((_, cause)) = self.early_input(whose, input) {
                    // Dropping the attempt closes the connection.
                    let lost = Lost::Passing(format!("the server broke the protocol: {cause}"));
                    self.handle_attempted(whose, Err(lost));
                }
            }
            OpeningNews::Attempted(outcome) => self.handle_attempted(whose, outcome),
        }
    }

    fn handle_attempted(&mut self, whose: Whose, outcome: Result<Established, Lost>) {
        let opening = match whose {
            Whose::Rival => self.rival.take(),
            Whose::Link => self.take_connecting(),
        };
        let Some(opening) = opening else { return };
        if matches!(outcome, Err(Lost::Passing(_))) {
            self.settings.tls.tickets.keep_last(true);
        }
        match (whose, outcome) {
            (Whose::Link, Ok(established)) => self.open_session(*opening, established),
            (Whose::Link, Err(lost)) => self.lose(lost),
            (Whose::Rival, Ok(established)) => self.rival_won(*opening, established),
            (Whose::Rival, Err(lost)) => tracing::debug!(reason = %lost, "the rival failed"),
        }
    }

    fn take_connecting(&mut self) -> Option<Box<Opening>> {
        if !matches!(self.phase, Phase::Connecting(_)) {
            return None;
        }
        match std::mem::replace(&mut self.phase, Phase::Waiting { retry_at: self.now }) {
            Phase::Connecting(opening) => Some(opening),
            _ => None,
        }
    }

    /// Drops the attempt in place of a session, if there is one. The caller says what comes next.
    pub(super) fn drop_connecting(&mut self) {
        drop(self.take_connecting());
    }

    /// Drops the attempt beside a session. Answers whether there was one.
    pub(super) fn drop_rival(&mut self) -> bool {
        self.rival.take().is_some()
    }

    /// What comes on the lanes of a first flight. No other reader runs before Welcome.
    fn early_input(&mut self, whose: Whose, input: Input) -> Result<(), Breach> {
        match input {
            Input::Answer { conversation: id, lane, frame } => {
                let known = self.opening_mut(whose).and_then(|opening| opening.lanes.get_mut(&id));
                let Some(early) = known.filter(|early| early.number == lane) else { return Ok(()) };
                early.unanswered = early.unanswered.saturating_sub(1);
                match frame {
                    Frame::Accepted(accepted) => self.handle_accepted(id, &accepted),
                    Frame::Refused(refused) => {
                        early.refused(&refused);
                        self.handle_refused(id, refused);
                        Ok(())
                    }
                    other => {
                        let cause = format!("{} on a send lane", other.frame_type());
                        Err((ErrorCode::FrameUnexpected, cause))
                    }
                }
            }
            Input::SendLaneEnded { conversation: id, lane, .. } => {
                // Why does not matter: the session's own lane will be told again.
                if let Some(opening) = self.opening_mut(whose)
                    && opening.lanes.get(&id).is_some_and(|early| early.number == lane)
                {
                    opening.lanes.remove(&id);
                    self.set_back(id);
                }
                Ok(())
            }
            Input::Breach { code, cause } => Err((code, cause)),
            _ => Ok(()),
        }
    }
}
