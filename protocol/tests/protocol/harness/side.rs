//! One device with its link, and what a client does to drive it. The server's end is beside it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use fulmar_protocol::{
    BatchNumber, ClientSeq, Confirm, ConversationId, CursorState, Datagram, DeviceId, Epoch, Extensions,
    Frame, FrameDecoder, HedgedEntries, HedgedSend, Hello, LaneReceiver, Send, SendOpen, Seq, SoftwareName,
    Token,
};

use super::device::{Device, OnDisk};
use super::link::{Item, Link, Stream};
use super::random::Random;
use super::server::{SendLane, Server};
use super::session::Session;
use super::world::{Fault, Scenario, range};

/// What a step may use.
pub(super) struct Moment<'world> {
    pub(super) server: &'world mut Server,
    pub(super) random: &'world mut Random,
    pub(super) now: Duration,
    pub(super) calm: bool,
}

pub(super) struct Side {
    pub(super) device: Device,
    pub(super) backup: Option<OnDisk>,
    pub(super) restored: bool,
    pub(super) scenario: Scenario,
    pub(super) link: Link,
    /// The device's end.
    connection: u32,
    state: State,
    epoch: Option<Epoch>,
    send_lane: Option<u32>,
    lanes: u32,
    log_lane: u32,
    /// How far the server has accounted for the log in this session: no cursor past it is sent.
    accounted: Seq,
    waiting: BTreeMap<u32, Vec<Item>>,
    decoders: BTreeMap<Stream, FrameDecoder>,
    /// First flights, for replays.
    flights: Vec<(DeviceId, Vec<Send>)>,
    /// The server's end.
    pub(super) session: Option<Session>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Offline { until: Duration },
    Connecting,
    Online,
}

impl fmt::Debug for Side {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = self.session.as_ref().map(|session| (session.connection, session.position));
        write!(formatter, "{:?}, connection {}, session {session:?}", self.state, self.connection)
    }
}

pub(super) fn conversation() -> ConversationId {
    ConversationId::new([2; 16]).unwrap()
}

impl Side {
    pub(super) fn new(number: usize, scenario: Scenario) -> Self {
        Self {
            device: Device::new(number, scenario),
            backup: None,
            restored: false,
            scenario,
            link: Link::default(),
            connection: 1,
            state: State::Offline { until: Duration::ZERO },
            epoch: None,
            send_lane: None,
            lanes: 0,
            log_lane: 1,
            accounted: Seq::ZERO,
            waiting: BTreeMap::new(),
            decoders: BTreeMap::new(),
            flights: Vec::new(),
            session: None,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.state == State::Online && self.link.is_idle()
    }

    pub(super) fn step(&mut self, moment: &mut Moment<'_>) {
        while let Some(((connection, stream), item)) = self.link.receive(moment.now, moment.random) {
            match stream {
                Stream::ControlUp | Stream::Sends(_) => self.handle_up(connection, stream, item, moment),
                _ if connection == self.connection => self.handle_down(stream, item, moment),
                _ => {}
            }
        }
        while let Some((connection, datagram)) = self.link.receive_datagram(moment.now) {
            match datagram {
                Datagram::HedgedSend(hedged) => self.handle_hedged_send(connection, hedged, moment),
                Datagram::HedgedEntry(hedged)
                    if connection == self.connection && self.state == State::Online =>
                {
                    self.device.handle_hedged(&hedged.entry);
                }
                _ => {}
            }
        }
        self.drive_device(moment);
        self.drive_log_lane(moment);
    }

    /// The connection is gone.
    pub(super) fn cut(&mut self, now: Duration, random: &mut Random) {
        self.link.cut(self.connection, random);
        self.state = State::Offline { until: now + random.millis(400) };
        self.forget_streams();
    }

    /// Both ends are gone, and everything between them.
    pub(super) fn end_all(&mut self, now: Duration) {
        self.link = Link::default();
        self.session = None;
        self.state = State::Offline { until: now };
        self.flights.clear();
        self.forget_streams();
    }

    fn forget_streams(&mut self) {
        self.connection += 1;
        self.send_lane = None;
        self.log_lane = 1;
        self.waiting.clear();
        self.decoders.clear();
        self.device.lane = None;
        self.device.hedged = HedgedEntries::new();
        let _renumbered = self.device.outbox.handle_lane_lost();
        self.device.store();
    }

    /// The device gives up its send lane, for whatever reason.
    pub(super) fn reset_lane(&mut self, now: Duration, random: &mut Random) {
        if let Some(lane) = self.send_lane.take() {
            self.link.reset((self.connection, Stream::Sends(lane)), now, random);
        }
        let _renumbered = self.device.outbox.handle_lane_lost();
        self.device.store();
    }

    /// A first flight comes again, without its connection: its answers go nowhere.
    pub(super) fn replay(&self, server: &mut Server, random: &mut Random) {
        if let Some((device, sends)) = self.flights.get(random.below(self.flights.len().max(1))) {
            let mut lane = SendLane::default();
            for send in sends.iter().take(1 + random.below(sends.len().max(1))) {
                server.handle_send(*device, &mut lane, send.clone());
            }
        }
    }

    fn drive_device(&mut self, moment: &mut Moment<'_>) {
        match self.state {
            State::Offline { until } if moment.now >= until => {
                self.state = State::Connecting;
                let hello = Frame::Hello(Hello {
                    token: Token::new("token"),
                    device_id: self.device.id,
                    backlog_entries_max: 0,
                    client: SoftwareName::default(),
                    extensions: Extensions::NONE,
                    user_id: None,
                });
                self.link.send((self.connection, Stream::ControlUp), &hello, moment.now, moment.random);
            }
            State::Offline { .. } | State::Connecting => {}
            State::Online => {
                self.drive_outbox(moment);
                self.confirm(moment);
                self.fetch(moment);
            }
        }
    }

    fn drive_outbox(&mut self, moment: &mut Moment<'_>) {
        if self.device.outbox.needs_new_device() {
            self.cut(moment.now, moment.random);
            let mut octets = self.device.id.get();
            octets[15] += 100;
            self.device.id = DeviceId::new(octets);
            let _renumbered = self.device.outbox.renumber(ClientSeq::FIRST);
            self.device.store();
            return;
        }
        if self.device.outbox.needs_new_lane() {
            if self.scenario.fault == Some(Fault::RenumbersOnOpenLane) {
                let _renumbered = self.device.outbox.handle_lane_lost();
            } else {
                self.reset_lane(moment.now, moment.random);
            }
        }
        if self.send_lane.is_none() && !self.device.outbox.is_empty() {
            self.lanes += 1;
            self.send_lane = Some(self.lanes);
            self.flights.push((self.device.id, Vec::new()));
            let open = Frame::SendOpen(SendOpen { conversation_id: conversation(), peer: None });
            self.link.send((self.connection, Stream::Sends(self.lanes)), &open, moment.now, moment.random);
        }
        let Some(lane) = self.send_lane else { return };
        self.device.store();
        while let Some(send) = self.device.outbox.poll_send(moment.now) {
            if let Some((_, flight)) = self.flights.last_mut().filter(|(_, flight)| flight.len() < 16) {
                flight.push(send.clone());
            }
            let stream = (self.connection, Stream::Sends(lane));
            if self.scenario.hedges {
                let hedged = HedgedSend {
                    conversation_id: conversation(),
                    peer: None,
                    client_seq: send.client_seq,
                    content: send.content.clone(),
                    first_unanswered: self.device.outbox.lowest_unanswered(),
                };
                let datagram = Datagram::HedgedSend(hedged);
                self.link.datagram(self.connection, &datagram, moment.now, moment.random);
            }
            self.link.send(stream, &Frame::Send(send), moment.now, moment.random);
        }
    }

    /// The app confirms some of what it was handed, or all.
    fn confirm(&mut self, moment: &mut Moment<'_>) {
        let behind = self.device.cursor.seq() < self.device.app.last()
            || self.device.cursor != self.cursor_on_server(moment);
        if self.device.cursor.seq() > self.accounted {
            return; // had from a former session, and not confirmed there
        }
        if !(behind && moment.random.chance(if moment.calm { 50 } else { 5 })) {
            return;
        }
        let last = self.device.app.last().min(self.accounted);
        let (low, high) = (self.device.cursor.seq().get(), last.get());
        let some = low + moment.random.below(usize::try_from(high.saturating_sub(low)).unwrap() + 1) as u64;
        self.device.cursor.confirm(Seq::new(if moment.calm { high } else { some }));
        self.device.store();
        let confirm = Frame::Confirm(Confirm {
            batch: BatchNumber::FIRST,
            cursors: vec![self.device.cursor.update(conversation())],
            reads: vec![],
        });
        self.link.send((self.connection, Stream::ControlUp), &confirm, moment.now, moment.random);
    }

    fn cursor_on_server(&self, moment: &Moment<'_>) -> CursorState {
        moment.server.stored.cursors.get(&self.device.id).cloned().unwrap_or_default()
    }

    /// The app scrolls into a gap: a page of history.
    fn fetch(&mut self, moment: &mut Moment<'_>) {
        let Some(gap) = self.device.cursor.skipped().first().copied() else { return };
        if !moment.random.chance(if moment.calm { 50 } else { 3 }) {
            return;
        }
        let length = 1 + moment.random.below(20) as u64;
        let last = Seq::new(gap.last().get().min(gap.first().get() + length));
        let Some(page) = range(gap.first(), last) else { return };
        for seq in (page.first().get()..=page.last().get()).map(Seq::new) {
            self.device.app.gaps.remove(&seq);
            self.device.app.handed.insert(seq, moment.server.entry(seq).content.clone());
        }
        self.device.cursor.fetched(page);
        self.device.store();
    }

    fn handle_down(&mut self, stream: Stream, item: Item, moment: &mut Moment<'_>) {
        if let Stream::Log(lane) = stream {
            self.waiting.entry(lane).or_default().push(item);
            self.read_log_lanes(moment);
        } else {
            self.handle_item(stream, item, moment);
        }
    }

    /// One lane after the other, in the order in which they were opened, and none before Welcome: it may
    /// bring a new epoch.
    fn read_log_lanes(&mut self, moment: &mut Moment<'_>) {
        while self.state == State::Online
            && let Some(items) = self.waiting.remove(&self.log_lane)
        {
            let lane = self.log_lane;
            items.into_iter().for_each(|item| self.handle_item(Stream::Log(lane), item, moment));
            if lane == self.log_lane {
                break;
            }
        }
    }

    fn handle_item(&mut self, stream: Stream, item: Item, moment: &mut Moment<'_>) {
        let Item::Bytes(bytes) = item else {
            match stream {
                Stream::Log(_) => self.log_lane += 1,
                Stream::Answers(lane) if self.send_lane == Some(lane) => {
                    self.send_lane = None;
                    let _renumbered = self.device.outbox.handle_lane_lost();
                    self.device.store();
                }
                _ => {}
            }
            return;
        };
        let decoder = self.decoders.entry(stream).or_default();
        decoder.push(bytes);
        let frames: Vec<Frame> = std::iter::from_fn(|| decoder.next_frame().unwrap()).collect();
        for frame in frames {
            match (stream, frame) {
                (Stream::ControlDown, Frame::Welcome(welcome)) => {
                    if self.epoch.replace(welcome.epoch).is_some_and(|epoch| epoch != welcome.epoch) {
                        self.device.resynchronise();
                    }
                    self.state = State::Online;
                    // As the inbox tells it.
                    self.accounted = self.cursor_on_server(moment).seq();
                    self.read_log_lanes(moment);
                }
                (Stream::Answers(lane), answer) if self.send_lane == Some(lane) => {
                    self.device.handle_answer(&answer, moment.now);
                }
                (Stream::Answers(_), _) => {}
                (Stream::Log(_), frame) => {
                    self.device.handle_log(&frame, |seq| moment.server.entry(seq).clone());
                    let next = self.device.lane.as_ref().map_or(Seq::FIRST, LaneReceiver::next_seq);
                    self.accounted = self.accounted.max(next.previous());
                }
                (stream, frame) => panic!("{frame:?} on {stream:?}"),
            }
        }
    }
}
