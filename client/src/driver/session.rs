//! One open session: its connection, its tasks, and what is under way on it. Dropping it ends its tasks.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fulmar_protocol::{ConversationId, ErrorCode, Frame, Ping, TimestampMs, Watch, encode_grease_datagram};
use quinn::{Connection, VarInt};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::command::Reply;
use crate::driver::attempt::Established;
use crate::driver::confirming::UnderWay;
use crate::driver::hedging::Hedging;
use crate::driver::inputs::{self, Gate, Input, Inputs, LaneNumber};
use crate::driver::lane::Lane;
use crate::driver::liveness::{Liveness, Traffic};
use crate::driver::opening::Opening;
use crate::driver::send_lane::SendLane;
use crate::event::EventRoom;
use crate::limits;
use crate::transport::close_for;

/// One open session.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) inputs: mpsc::Receiver<Input>,
    sender: Inputs,
    control: mpsc::Sender<Bytes>,
    tasks: JoinSet<()>,
    buffer: BytesMut,
    pub(super) opened: Instant,
    /// The server's time when it was opened.
    pub(super) server_time: TimestampMs,
    /// Log lanes by number.
    pub(super) lanes: BTreeMap<LaneNumber, Lane>,
    lanes_opened: u64,
    /// The gates of lanes whose LaneOpen has not come yet.
    gates: BTreeMap<LaneNumber, watch::Sender<Gate>>,
    pub(super) send_lanes: BTreeMap<ConversationId, SendLane>,
    pub(super) send_lanes_opened: u64,
    /// Conversations that wait for a send lane.
    pub(super) lanes_wanted: VecDeque<ConversationId>,
    pub(super) watched: Vec<ConversationId>,
    /// The Confirm that was not answered yet.
    pub(super) confirm: Option<UnderWay>,
    pub(super) batches: u64,
    /// The Ping that was not answered, by its nonce.
    pub(super) ping: Option<u64>,
    /// Who waits for its answer.
    pub(super) ping_waiters: Vec<Reply<()>>,
    /// A sign of life must come by then.
    pub(super) probe_until: Option<Instant>,
    pub(super) pings_sent: u64,
    pub(super) token_refresh_at: Option<Instant>,
    /// The server is going away: nothing new is begun, and the next session comes at this time.
    pub(super) leave_at: Option<Instant>,
    /// It has been left.
    pub(super) left: bool,
    /// What is known of the path.
    pub(super) liveness: Liveness,
    /// When a reader last told something.
    pub(super) heard_at: Instant,
    pub(super) hedging: Hedging,
}

impl Session {
    /// Begins when Welcome has come. The lanes of the first flight go on as lanes of the session.
    pub(super) fn new(opening: Opening, established: Established, now: Instant) -> Self {
        let Established { connection, control, frames, welcome, mut tasks, lanes: mut flight, .. } =
            established;
        let Opening { inputs, sender, lanes, .. } = opening;
        let (outgoing, written) = mpsc::channel(limits::CONTROL_FRAMES_MAX);
        let adopt = |(id, early)| Some((id, SendLane::adopted(early, flight.remove(&id)?, now)));
        let send_lanes: BTreeMap<_, _> = lanes.into_iter().filter_map(adopt).collect();
        let liveness = Liveness::new(now, Traffic::of(&connection));
        tasks.spawn(inputs::write_control(control, written));
        tasks.spawn(inputs::read_control(frames, sender.clone()));
        tasks.spawn(inputs::watch_connection(connection.clone(), sender.clone()));
        tasks.spawn(inputs::read_datagrams(connection.clone(), sender.clone()));
        tasks.spawn(inputs::accept_lanes(connection.clone(), sender.clone()));
        Self {
            connection,
            inputs,
            sender,
            control: outgoing,
            tasks,
            buffer: BytesMut::new(),
            opened: now,
            server_time: welcome.server_time,
            lanes: BTreeMap::new(),
            lanes_opened: 0,
            gates: BTreeMap::new(),
            send_lanes,
            send_lanes_opened: limits::FLIGHT_LANES_MAX.try_into().unwrap_or(u64::MAX),
            lanes_wanted: VecDeque::new(),
            watched: Vec::new(),
            confirm: None,
            batches: 0,
            ping: None,
            ping_waiters: Vec::new(),
            probe_until: None,
            pings_sent: 0,
            token_refresh_at: None,
            leave_at: None,
            left: false,
            liveness,
            heard_at: now,
            hedging: Hedging::new(welcome.extensions),
        }
    }

    /// Encodes frames into one buffer.
    pub(super) fn encode(&mut self, frames: impl IntoIterator<Item = Frame>) -> Bytes {
        for frame in frames {
            frame.encode(&mut self.buffer);
        }
        self.buffer.split().freeze()
    }

    /// Something is about to be asked of the server: from now on its silence counts.
    pub(super) fn expect_answer(&mut self, now: Instant) {
        if self.liveness.is_out_of_date(now) {
            self.liveness.look(now, Traffic::of(&self.connection));
        }
    }

    /// Sends a packet that means nothing and that QUIC acknowledges, so that nobody on the way forgets the path.
    pub(super) fn keep_alive(&mut self, now: Instant, nth: u32) {
        self.expect_answer(now);
        self.liveness.keep_alive_sent();
        let bytes = encode_grease_datagram(nth, b"");
        if self.connection.send_datagram(bytes).is_err() && self.ping.is_none() {
            self.send_ping();
        }
    }

    /// Makes the next packet a large one. Until an address is proven a server may send no more than three times
    /// what came from there, and its own proof takes most of that.
    pub(super) fn pad(&mut self, nth: u32) {
        let bytes = encode_grease_datagram(nth, &[0; limits::PADDING_BYTES]);
        if self.connection.send_datagram(bytes).is_err() {
            tracing::debug!("a server without datagrams is asked in a small packet");
        }
    }

    /// Sends a Ping. Not while one is on its way.
    pub(super) fn send_ping(&mut self) {
        self.pings_sent = self.pings_sent.saturating_add(1);
        let nonce = self.pings_sent;
        self.ping = Some(nonce);
        self.control(Frame::Ping(Ping { nonce }));
    }

    /// Sends a frame on the control stream. A control stream that takes nothing any more is a dead one.
    pub(super) fn control(&mut self, frame: Frame) {
        let bytes = self.encode([frame]);
        if let Err(mpsc::error::TrySendError::Full(_)) = self.control.try_send(bytes) {
            self.close(ErrorCode::Internal, "the control stream is blocked");
        }
    }

    /// A task that ends with the session.
    pub(super) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        // Those that have ended are let go.
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(task)
    }

    pub(super) fn sender(&self) -> Inputs {
        self.sender.clone()
    }

    /// Reads a stream that the server has opened.
    pub(super) fn read_lane(&mut self, stream: quinn::RecvStream, room: EventRoom) {
        self.lanes_opened = self.lanes_opened.saturating_add(1);
        let lane = LaneNumber(self.lanes_opened);
        let (gate, seen) = watch::channel(Gate::Shut);
        self.gates.insert(lane, gate);
        let sender = self.sender();
        self.spawn(inputs::read_lane(lane, stream, seen, room, sender));
    }

    /// The gate of a lane that has told which conversation it is of, or has ended without.
    pub(super) fn take_gate(&mut self, lane: LaneNumber) -> Option<watch::Sender<Gate>> {
        self.gates.remove(&lane)
    }

    /// Replaces the set of watched conversations, if it is another.
    pub(super) fn watch(&mut self, conversations: Vec<ConversationId>) {
        if conversations != self.watched {
            self.control(Frame::Watch(Watch { conversation_ids: conversations.clone() }));
            self.watched = conversations;
        }
    }

    /// Closes the connection over a breach of the protocol.
    pub(super) fn breach(&self, code: ErrorCode, cause: &str) {
        close_for(&self.connection, code, cause);
    }

    /// Closes the connection for a cause that is not the server's doing.
    pub(super) fn close(&self, code: ErrorCode, reason: &str) {
        tracing::debug!(%code, reason, "closing the connection");
        fulmar_transport::close(&self.connection, VarInt::from_u32(code.code()), reason.as_bytes());
    }

    /// Whether something is on its way to the server that it has not answered.
    pub(super) fn awaits_answers(&self) -> bool {
        self.confirm.is_some() || self.send_lanes.values().any(SendLane::awaits_answers)
    }

    /// Whether it has lasted long enough to count as a success.
    pub(super) fn is_sound(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.opened) >= limits::SESSION_SOUND_AFTER
    }

    /// When the token should be renewed, given how long it still holds.
    pub(super) fn plan_token_refresh(&mut self, now: Instant, remaining: Duration) {
        let remaining = remaining.min(limits::TOKEN_LIFE_MAX);
        let lead = limits::TOKEN_RENEWAL_LEAD.min(remaining / 5);
        self.token_refresh_at = Some(now + remaining.saturating_sub(lead));
    }
}
