//! The server's end of a side: its session, its lanes, and the cursors that it takes.

use std::collections::BTreeMap;

use fulmar_protocol::{
    CaughtUp, ClientSeq, Confirm, CursorState, Datagram, DeviceId, DeviceTag, Epoch, Extensions, Frame,
    FrameDecoder, HedgedEntry, HedgedSend, Hole, HoleReason, LaneOpen, Ordinal, Send, SendOrder, Seq,
    SessionNumber, SoftwareName, TimestampMs, Title, UserId, Welcome,
};

use super::link::{Item, Stream};
use super::server::SendLane;
use super::side::{Moment, Side, conversation};
use super::world::{Fault, range};

pub(super) struct Session {
    pub(super) connection: u32,
    device: DeviceId,
    decoders: BTreeMap<Stream, FrameDecoder>,
    send_lane: Option<(u32, SendLane)>,
    /// What a lane that is not open yet begins with: hedges came before it.
    next_lane: SendLane,
    order: SendOrder,
    log_lanes: u32,
    log_open: bool,
    caught_up: bool,
    /// How far the session's log lanes have accounted for the log.
    pub(super) position: Seq,
}

impl Side {
    pub(super) fn handle_up(&mut self, connection: u32, stream: Stream, item: Item, moment: &mut Moment<'_>) {
        let current = self.session.as_ref().map_or(0, |session| session.connection);
        if connection < current {
            return; // of a connection that was replaced
        }
        let Item::Bytes(bytes) = item else {
            if let (Some(session), Stream::Sends(lane)) = (&mut self.session, stream) {
                session.send_lane.take_if(|(open, _)| *open == lane);
                session.decoders.remove(&stream);
            }
            return;
        };
        if connection > current {
            self.session = Some(Session::new(connection, self.device.id));
        }
        let Some(session) = &mut self.session else { return };
        let decoder = session.decoders.entry(stream).or_default();
        decoder.push(bytes);
        let frames: Vec<Frame> = std::iter::from_fn(|| decoder.next_frame().unwrap()).collect();
        for frame in frames {
            match (stream, frame) {
                (Stream::ControlUp, Frame::Hello(hello)) => self.welcome(connection, hello.device_id, moment),
                (Stream::ControlUp, Frame::Confirm(confirm)) => self.take_cursor(&confirm, moment),
                (Stream::Sends(lane), frame) => self.handle_lane(connection, lane, frame, moment),
                (stream, frame) => panic!("{frame:?} on {stream:?}"),
            }
        }
    }

    fn welcome(&mut self, connection: u32, device: DeviceId, moment: &mut Moment<'_>) {
        let session = self.session.as_mut().expect("a session");
        session.device = device;
        session.position = moment.server.stored.cursors.get(&device).map_or(Seq::ZERO, CursorState::seq);
        let welcome = Frame::Welcome(Welcome {
            user_id: UserId::parse("somebody").unwrap(),
            session: SessionNumber::new(u64::from(connection)),
            epoch: Epoch::new(moment.server.epoch),
            expires_at: TimestampMs::new(0),
            server_time: TimestampMs::new(0),
            backlog_entries_max: 0,
            body_bytes_max: 0,
            group_members_max: 0,
            server: SoftwareName::default(),
            extensions: Extensions::NONE,
        });
        self.link.send((connection, Stream::ControlDown), &welcome, moment.now, moment.random);
    }

    fn take_cursor(&mut self, confirm: &Confirm, moment: &mut Moment<'_>) {
        let session = self.session.as_ref().expect("a session");
        let cursor = CursorState::try_from(&confirm.cursors[0]).unwrap();
        assert!(cursor.seq() <= session.position, "a cursor past what was sent");
        for seq in (1..=cursor.delivered_up_to().get()).map(Seq::new) {
            assert!(
                self.device.app.handed.contains_key(&seq),
                "{seq} is called delivered, but the app lacks it"
            );
        }
        moment.server.stored.cursors.entry(session.device).or_default().replace(cursor);
    }

    fn handle_lane(&mut self, connection: u32, lane: u32, frame: Frame, moment: &mut Moment<'_>) {
        let session = self.session.as_mut().expect("a session");
        match frame {
            Frame::SendOpen(_) if session.send_lane.is_none() => {
                session.send_lane = Some((lane, std::mem::take(&mut session.next_lane)));
            }
            // lane_already_open: the former lane's end is still on its way.
            Frame::SendOpen(_) => {
                self.link.finish((connection, Stream::Answers(lane)), moment.now, moment.random)
            }
            Frame::Send(send) => {
                let device = session.device;
                let Some((_, open)) = session.send_lane.as_mut().filter(|(open, _)| *open == lane) else {
                    return;
                };
                session.order.handle_lane_send(send.client_seq);
                let answers = moment.server.handle_send(device, open, send);
                session.note_refusals(&answers, self.scenario.fault);
                for answer in answers {
                    self.link.send((connection, Stream::Answers(lane)), &answer, moment.now, moment.random);
                }
            }
            other => panic!("{other:?} on a send lane"),
        }
    }

    /// A hedged send, of the session that there is.
    pub(super) fn handle_hedged_send(
        &mut self,
        connection: u32,
        hedged: HedgedSend,
        moment: &mut Moment<'_>,
    ) {
        let Some(session) = self.session.as_mut().filter(|session| session.connection == connection) else {
            return;
        };
        let HedgedSend { client_seq, content, first_unanswered, .. } = hedged;
        if session.position == Seq::MAX || !session.order.accepts(client_seq, first_unanswered) {
            return; // before Welcome, or not the next
        }
        session.order.handle_hedge(client_seq);
        let (number, lane) = match &mut session.send_lane {
            Some((number, lane)) => (Some(*number), lane),
            None => (None, &mut session.next_lane),
        };
        let answers = moment.server.handle_hedge(session.device, lane, Send { client_seq, content });
        session.note_refusals(&answers, self.scenario.fault);
        for answer in answers {
            let lane = number.expect("only an open lane holds sends");
            self.link.send((connection, Stream::Answers(lane)), &answer, moment.now, moment.random);
        }
    }

    /// The server's log lane: pulled from the session's position.
    pub(super) fn drive_log_lane(&mut self, moment: &mut Moment<'_>) {
        let Some(session) = self.session.as_mut() else { return };
        let head = moment.server.head();
        let mut frames = Vec::new();
        if !session.log_open && head > session.position {
            session.log_open = true;
            session.caught_up = false;
            session.log_lanes += 1;
            frames.push(lane_open(
                session.position.next(),
                head,
                moment.server.next_client_seq(session.device),
            ));
            let newest = Seq::new(head.get().saturating_sub(self.scenario.backlog_entries_max as u64));
            if let Some(range) = range(session.position.next(), newest) {
                frames.push(Frame::Hole(Hole { range, reason: HoleReason::Skipped }));
                session.position = newest;
            }
        }
        for _ in 0..3 {
            if session.log_open && session.position < head {
                session.position = session.position.next();
                let entry = moment.server.entry(session.position).clone();
                let leave_out = self.scenario.fault == Some(Fault::LaneLeavesOut) && moment.random.chance(2);
                match entry.device_tag == DeviceTag::of(&session.device) {
                    _ if leave_out => {}
                    true => frames.push(Frame::OwnEntry(entry.as_own())),
                    false => frames.push(Frame::Entry(entry)),
                }
            }
        }
        if session.log_open && session.position == head && !session.caught_up {
            session.caught_up = true;
            frames.push(Frame::CaughtUp(CaughtUp { seq: head }));
        }
        let stream = (session.connection, Stream::Log(session.log_lanes));
        let closes = session.log_open && moment.random.chance(2);
        session.log_open &= !closes;
        for frame in frames {
            self.link.send(stream, &frame, moment.now, moment.random);
            if let (true, Frame::Entry(entry)) = (self.scenario.hedges, frame) {
                let hedged = HedgedEntry { conversation_id: conversation(), entry };
                let datagram = Datagram::HedgedEntry(hedged);
                self.link.datagram(stream.0, &datagram, moment.now, moment.random);
            }
        }
        if closes {
            self.link.finish(stream, moment.now, moment.random);
        }
    }
}

impl Session {
    fn note_refusals(&mut self, answers: &[Frame], fault: Option<Fault>) {
        for answer in answers {
            if let Frame::Refused(refused) = answer
                && fault != Some(Fault::TakesHedgesAfterRefusals)
            {
                self.order.handle_refusal(refused.code);
            }
        }
    }

    fn new(connection: u32, device: DeviceId) -> Self {
        Self {
            connection,
            device,
            decoders: BTreeMap::new(),
            send_lane: None,
            next_lane: SendLane::default(),
            order: SendOrder::new(),
            log_lanes: 0,
            log_open: false,
            caught_up: false,
            position: Seq::MAX,
        }
    }
}

fn lane_open(next_seq: Seq, head_seq: Seq, next_client_seq: ClientSeq) -> Frame {
    Frame::LaneOpen(LaneOpen {
        conversation_id: conversation(),
        peer: None,
        title: Title::default(),
        role: None,
        next_seq,
        head_seq,
        head_ordinal: Ordinal::ZERO,
        read_seq: Seq::ZERO,
        read_ordinal: Ordinal::ZERO,
        next_client_seq,
        marks: Vec::new(),
    })
}
