//! An attempt as the driver knows it: a connection on its way to a session, what its first flight carries, and
//! what comes back for that before Welcome.
//!
//! The driver has at most two: the one in place of a session (`Phase::Connecting`), and one beside a session whose
//! path is suspect (`rival`). Both are the same thing. When its Welcome comes, the session adopts its lanes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// Set before anything is written as early data.
    left_early: Arc<AtomicBool>,
}

/// A send lane of a first flight.
pub(super) struct EarlyLane {
    pub(super) number: SendLaneNumber,
    pub(super) outgoing: mpsc::Sender<LaneWrite>,
    /// The last send that was written on it.
    pub(super) last: ClientSeq,
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

    fn may_have_left_early(&self, id: ConversationId) -> bool {
        self.left_early.load(Ordering::Relaxed) && self.lanes.contains_key(&id)
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
        let left_early = Arc::new(AtomicBool::new(false));
        let attempt = Attempt {
            endpoints: self.endpoints.clone(),
            servers: self.settings.servers.clone(),
            token: self.settings.token.clone(),
            device: self.device,
            user: self.user.clone(),
            backlog_entries_max: self.settings.backlog_entries_max,
            client_name: self.settings.client_name.clone(),
            extensions: self.settings.extensions,
            grease: u32::try_from(self.rng.below(1_000)).unwrap_or(0),
            flight,
            inputs: sender.clone(),
            left_early: Arc::clone(&left_early),
        };
        Opening { attempt: Box::pin(attempt.run()), inputs, sender, lanes, left_early }
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
        self.note_early(&opening);
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
        if let Some(opening) = self.take_connecting() {
            self.note_early(&opening);
        }
    }

    /// Drops the attempt beside a session. Answers whether there was one.
    pub(super) fn drop_rival(&mut self) -> bool {
        let Some(rival) = self.rival.take() else { return false };
        self.note_early(&rival);
        true
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
                    self.note_early_lane(whose, id);
                    self.set_back(id);
                }
                Ok(())
            }
            Input::Breach { code, cause } => Err((code, cause)),
            _ => Ok(()),
        }
    }

    fn note_early_lane(&mut self, whose: Whose, id: ConversationId) {
        let Some(opening) = self.opening_mut(whose) else { return };
        let early = opening.left_early.load(Ordering::Relaxed);
        let Some(lane) = opening.lanes.remove(&id) else { return };
        if early && let Some(tracked) = self.conversations.get_mut(id) {
            tracked.early_through = tracked.early_through.max(Some(lane.last));
        }
    }

    /// Takes note of which numbers a flight may have shown to the server in early data.
    fn note_early(&mut self, opening: &Opening) {
        if !opening.left_early.load(Ordering::Relaxed) {
            return;
        }
        for (id, lane) in &opening.lanes {
            if let Some(tracked) = self.conversations.get_mut(*id) {
                tracked.early_through = tracked.early_through.max(Some(lane.last));
            }
        }
    }

    /// Whether sends without an answer may have left in early data: a flight that somebody has copied may come
    /// again at any time, so their numbers must never stand for anything else.
    pub(super) fn may_have_left_early(&self, id: ConversationId) -> bool {
        let Some(tracked) = self.conversations.get(id) else { return false };
        let connecting = match &self.phase {
            Phase::Connecting(opening) => Some(opening),
            _ => None,
        };
        let under_way = connecting.into_iter().chain(&self.rival).any(|one| one.may_have_left_early(id));
        let before = tracked.early_through.is_some_and(|early| early >= tracked.outbox.lowest_unanswered());
        under_way || before
    }
}
