//! The driver: one task that owns the client's state.
//!
//! Its loop waits for one of: the end, the disk, the app, the clock, the server; takes what came, in bounded
//! portions; and then pumps: writes what may be written. It never waits for anything else, so that no peer
//! and no disk can hold up the rest. It owns every task of the client: the session's reader tasks end with
//! the session, the writer thread with the driver, and the driver with the last handle.
//!
//! Files: `link` (attempts, back-off, ends), `opening` and `attempt` (one attempt), `flight` (what goes along with
//! it), `liveness` and `rival` (a path that is suspect), `background`, `tokens`; `session` (one connection),
//! `control`, `inputs` (reader tasks); `sending`, `send_lane`, `refusals` and `numbering`; `log_lanes`, `lane` and
//! `receiving`; `confirming`, `watching`, `presence`; `journal` (what is written to the state), `tracked` (one
//! conversation).

mod attempt;
mod background;
mod clock;
mod confirming;
mod control;
mod flight;
mod hedging;
mod inputs;
mod journal;
mod lane;
mod launch;
mod link;
mod liveness;
mod log_lanes;
mod numbering;
mod opening;
mod presence;
mod receiving;
mod recently_sent;
mod refusals;
mod rival;
mod send_lane;
mod sending;
mod session;
mod tokens;
mod told;
mod tracked;
mod watching;

use std::collections::BTreeSet;
use std::sync::Arc;

use fulmar_protocol::{ConversationId, DeviceId, Epoch, ErrorCode, LossEstimate, SeqRange, UserId};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::builder::Settings;
use crate::command::Command;
use crate::confirmations::Confirmations;
use crate::driver::clock::Clock;
use crate::driver::confirming::Confirming;
use crate::driver::inputs::Input;
use crate::driver::journal::{Effect, Journal};
use crate::driver::link::{LinkNews, Phase};
use crate::driver::opening::{Opening, OpeningNews, Whose};
use crate::driver::presence::Ephemeral;
use crate::driver::recently_sent::RecentlySent;
use crate::driver::sending::Breach;
use crate::driver::told::Told;
use crate::driver::tracked::Conversations;
use crate::driver::watching::Watching;
use crate::error::ClientError;
use crate::event::EventSender;
use crate::limits;
use crate::rng::Rng;
use crate::shared::Stance;
use crate::transport::Endpoints;

pub(crate) use launch::launch;

/// All state of a client.
pub(crate) struct Driver {
    settings: Settings,
    endpoints: Endpoints,
    commands: mpsc::Receiver<Command>,
    cancel: CancellationToken,
    confirmations: Arc<Confirmations>,
    /// Shared with the handles' requests, to see whether any is under way.
    requests: Arc<Semaphore>,
    events: EventSender,
    told: Told,
    journal: Journal,
    clock: Clock,
    /// The time of this turn: when its wait ended.
    now: Instant,
    rng: Rng,

    user: Option<UserId>,
    device: DeviceId,
    epoch: Option<Epoch>,
    /// A new device id is on its way to the state; no session before it is there.
    renewing_device: bool,
    /// One is needed, as soon as nothing else is unanswered under the old one.
    needs_new_device: bool,
    devices_renewed: u32,

    phase: Phase,
    /// An attempt beside a session whose path is suspect.
    rival: Option<Box<Opening>>,
    /// When this client last began a connection that the server may take for the session without its knowing.
    stray_at: Option<Instant>,
    /// Until when a rival goes on although the session's path answers.
    rival_preferred_until: Option<Instant>,
    /// Where the app says it is.
    stance: watch::Receiver<Stance>,
    /// In the background: until when a connection is kept, or tried for.
    background_until: Option<Instant>,
    backoff: Backoff,
    first_handshake_is_final: bool,
    first_session_open: bool,
    tokens_expired: u32,
    /// Why there will be no further session.
    ended: Option<ClientError>,
    /// `close` was called: by then it must be done.
    closing: Option<Instant>,

    conversations: Conversations,
    recently_sent: RecentlySent,
    /// Bytes of content that wait for the disk or for an answer.
    outbox_bytes: usize,
    /// Conversations that may have something to send.
    sendable: BTreeSet<ConversationId>,
    send_timers: BTreeSet<(Instant, ConversationId)>,
    waiting_for_room: BTreeSet<ConversationId>,
    confirming: Confirming,
    watching: Watching,
    ephemeral: Ephemeral,
    /// What is known of the path, over all sessions.
    loss: LossEstimate,
}

/// What ended a wait.
enum Turn {
    Cancelled,
    Committed(Result<Vec<Effect>, ClientError>),
    Command(Option<Command>),
    Confirmations,
    Stance,
    Due,
    Link(LinkNews),
    Rival(OpeningNews),
}

impl Driver {
    /// Runs until the client is closed or its last handle is dropped.
    pub(crate) async fn run(mut self) {
        loop {
            self.pump();
            if self.is_closed() {
                break;
            }
            let turn = self.next_turn().await;
            self.now = self.clock.now();
            match turn {
                Turn::Cancelled | Turn::Command(None) => break,
                Turn::Committed(Ok(effects)) => self.take_effects(effects),
                Turn::Committed(Err(error)) => self.end(error),
                Turn::Command(Some(command)) => self.take_commands(command),
                Turn::Confirmations => self.take_confirmations(),
                Turn::Stance => self.take_stance(),
                Turn::Due => {}
                Turn::Link(news) => self.take_news(news),
                Turn::Rival(news) => self.take_opening_news(Whose::Rival, news),
            }
        }
        self.finish().await;
    }

    async fn next_turn(&mut self) -> Turn {
        let due = self.due();
        let sleep = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let closing = self.closing.is_some();
        let rival = async {
            match &mut self.rival {
                Some(rival) => rival.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Turn::Cancelled,
            effects = self.journal.committed() => Turn::Committed(effects),
            command = self.commands.recv(), if !closing => Turn::Command(command),
            () = self.confirmations.changed() => Turn::Confirmations,
            Ok(()) = self.stance.changed() => Turn::Stance,
            news = self.phase.next() => Turn::Link(news),
            news = rival => Turn::Rival(news),
            // Last, since each turn does what is due anyway: a moment that has passed must not hide the rest.
            () = sleep => Turn::Due,
        }
    }

    /// Does what can be done now.
    fn pump(&mut self) {
        self.pump_background();
        self.pump_liveness();
        self.pump_link();
        self.pump_waiting();
        self.pump_new_device();
        self.flush_journal();
        self.pump_sends();
        self.pump_hedges();
        self.pump_confirmations();
        self.pump_watching();
        self.pump_presence();
        self.flush_journal();
    }

    fn flush_journal(&mut self) {
        loop {
            let conversations = &self.conversations;
            let row = |id| conversations.get(id).map(tracked::Tracked::row);
            let effects = self.journal.flush(self.now, row);
            if effects.is_empty() {
                return;
            }
            // In memory all is durable at once, and what follows from it may be, too.
            self.take_effects(effects);
        }
    }

    /// When the next pump is due without anything coming in.
    fn due(&self) -> Option<Instant> {
        let session = self.phase.session();
        let sends = self.send_timers.first().map(|(at, _)| *at).filter(|_| session.is_some());
        let lanes = session.and_then(session::Session::send_lanes_due);
        // What became sendable while this turn's pump was past sending.
        let sendable = (session.is_some() && !self.sendable.is_empty()).then_some(self.now);
        [
            self.journal.due(),
            self.link_due(),
            self.background_due(),
            self.confirm_due(),
            self.presence_due(),
            sends,
            lanes,
            sendable,
            self.hedges_due(),
            self.closing,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn take_effects(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Enqueued(id, client_seq) => self.entry_stored(id, client_seq),
                Effect::Settled(id, lowest) => self.settled(id, lowest),
                Effect::Renumbered(id) => self.numbers_stored(id),
                Effect::Prepared(prepared) => self.send_confirm(prepared),
                Effect::DeviceRenewed => self.device_stored(),
            }
        }
    }

    /// Takes a command and those that wait behind it, so that they share a sync and a write.
    fn take_commands(&mut self, first: Command) {
        self.take_command(first);
        for _ in 1..limits::COMMANDS_PER_TURN_MAX {
            match self.commands.try_recv() {
                Ok(command) if self.closing.is_none() => self.take_command(command),
                _ => return,
            }
        }
    }

    fn take_command(&mut self, command: Command) {
        match command {
            Command::Enqueue(enqueue) => self.enqueue(enqueue),
            Command::Watch { conversations } => self.watch(conversations),
            Command::Fetched { conversation, first, last } => {
                if let Some(range) = SeqRange::new(first..=last) {
                    self.fetched(conversation, range);
                }
            }
            Command::Typing { conversation, typing } => self.typing(conversation, typing),
            Command::Presence { state } => self.set_presence(state),
            Command::Ping { reply } => self.ping(Some(reply)),
            Command::NetworkChanged => self.network_changed(),
            Command::Close => {
                self.take_confirmations();
                self.confirming.hurry(self.now);
                self.drop_rival();
                self.closing = Some(self.now + limits::CLOSE_FLUSH);
            }
        }
    }

    fn take_news(&mut self, news: LinkNews) {
        let input = match news {
            LinkNews::Opening(news) => return self.take_opening_news(Whose::Link, news),
            LinkNews::Input(input) => input,
        };
        self.take_input(input);
        for _ in 1..limits::INPUTS_PER_TURN_MAX {
            let Some(session) = self.phase.session_mut() else { return };
            let Ok(input) = session.inputs.try_recv() else { return };
            self.take_input(input);
        }
    }

    fn take_input(&mut self, input: Input) {
        self.told_by_session(&input);
        if let Err((code, cause)) = self.try_input(input) {
            self.breach(code, &cause);
        }
    }

    fn try_input(&mut self, input: Input) -> Result<(), Breach> {
        match input {
            Input::Control(frame) => self.take_control(frame)?,
            Input::LaneStream(stream) => {
                let room = self.events.room();
                if let Some(session) = self.phase.session_mut() {
                    session.read_lane(stream, room);
                }
            }
            Input::LaneOpened { lane, open, room } => self.lane_opened(lane, *open, room)?,
            Input::LaneFrame { lane, frame, room } => self.lane_frame(lane, frame, room)?,
            Input::LaneEnded { lane } => self.lane_ended(lane)?,
            Input::OwnFetched { lane, wanted, items } => self.own_fetched(lane, wanted, items)?,
            Input::Answer { conversation, lane, frame } => self.handle_answer(conversation, lane, frame)?,
            Input::SendLaneEnded { conversation, lane, code } => {
                self.handle_send_lane_ended(conversation, lane, code);
            }
            Input::Datagram(datagram) => self.handle_datagram(datagram),
            Input::Token(token) => self.handle_token(token),
            Input::Breach { code, cause } => return Err((code, cause)),
            Input::Lost(error) => self.handle_lost(&error),
        }
        Ok(())
    }

    fn is_closed(&self) -> bool {
        let Some(by) = self.closing else { return false };
        let Some(session) = self.phase.session() else { return true };
        by <= self.now || (self.confirm_idle() && !session.awaits_answers())
    }

    /// Says goodbye, writes what is left, and lets go of everything.
    async fn finish(mut self) {
        self.take_confirmations();
        let closed = self.ended.clone().unwrap_or(ClientError::Closed);
        self.confirmations.close(closed.clone());
        self.confirming.fail(&closed);
        self.fail_sends(&closed);
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            // Dropping it tells its caller.
            drop(command);
        }
        if let Some(session) = self.phase.session() {
            session.close(ErrorCode::NoError, "goodbye");
        }
        self.phase = Phase::Ended;
        self.rival = None;
        let Self { journal, conversations, endpoints, told, .. } = self;
        let row = |id| conversations.get(id).map(tracked::Tracked::row);
        let goodbye = tokio::time::timeout(limits::GOODBYE, endpoints.wait_idle());
        // Past the time allowed the goodbye may be lost; the server notices by itself.
        let (_, ()) = tokio::join!(goodbye, journal.close(row));
        told.closed();
    }
}
