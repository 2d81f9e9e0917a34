//! The server: sender windows, one log, and each device's session and cursor.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use fulmar_protocol::{
    Accepted, BodyHash, ClientSeq, CursorState, Decision, DeviceId, DeviceTag, Entry, ErrorCode, Explanation,
    Frame, Ordinal, Outcome, Refused, Send, SenderWindow, Seq, TimestampMs, UserId,
};

use super::world::{Fault, Scenario};

/// What a content of these tests says about itself: `device:index:kind`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Body {
    pub(super) device: usize,
    pub(super) index: usize,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Plain,
    /// Refused so many times, then appended.
    Retryable(u32),
    /// Refused for good.
    Permanent,
    /// Refused for good, as from somebody who is no member.
    Stranger,
}

impl Body {
    pub(super) fn encode(&self) -> Bytes {
        let (kind, times) = match self.kind {
            Kind::Plain => ("plain", 0),
            Kind::Retryable(times) => ("retryable", times),
            Kind::Permanent => ("permanent", 0),
            Kind::Stranger => ("stranger", 0),
        };
        format!("{}:{}:{kind}:{times}", self.device, self.index).into()
    }

    pub(super) fn decode(content: &Bytes) -> Self {
        let parts: Vec<&str> = std::str::from_utf8(content).unwrap().split(':').collect();
        let kind = match parts[2] {
            "plain" => Kind::Plain,
            "retryable" => Kind::Retryable(parts[3].parse().unwrap()),
            "permanent" => Kind::Permanent,
            "stranger" => Kind::Stranger,
            other => panic!("{other}"),
        };
        Self { device: parts[0].parse().unwrap(), index: parts[1].parse().unwrap(), kind }
    }
}

/// What a backup holds.
#[derive(Clone, Default)]
pub(super) struct Stored {
    pub(super) log: Vec<Entry>,
    windows: HashMap<DeviceId, SenderWindow>,
    pub(super) cursors: HashMap<DeviceId, CursorState>,
}

pub(super) struct Server {
    pub(super) stored: Stored,
    pub(super) epoch: u64,
    scenario: Scenario,
    attempts: HashMap<Body, u32>,
}

/// A send lane: what it holds until the numbers before it have come.
#[derive(Default)]
pub(super) struct SendLane {
    held: BTreeMap<ClientSeq, Bytes>,
    /// The number expected came on this lane, was refused, and will come again.
    will_come_again: bool,
    /// A number on this lane was reused, so its device is from a backup: the rest may not be appended either,
    /// though one of its numbers may happen to be the one expected.
    device_forgotten: bool,
}

impl Server {
    pub(super) fn new(scenario: Scenario) -> Self {
        Self { stored: Stored::default(), epoch: 1, scenario, attempts: HashMap::new() }
    }

    pub(super) fn head(&self) -> Seq {
        Seq::new(self.stored.log.len() as u64)
    }

    pub(super) fn entry(&self, seq: Seq) -> &Entry {
        &self.stored.log[usize::try_from(seq.get()).unwrap() - 1]
    }

    pub(super) fn next_client_seq(&self, device: DeviceId) -> ClientSeq {
        self.stored.windows.get(&device).map_or(ClientSeq::FIRST, SenderWindow::next_expected)
    }

    /// Takes a hedged send: answers to what its lane held until now. Its own is given to its copy on the lane.
    pub(super) fn handle_hedge(&mut self, device: DeviceId, lane: &mut SendLane, send: Send) -> Vec<Frame> {
        let number = send.client_seq;
        let window = self.stored.windows.entry(device).or_default();
        if matches!(window.decide(number, BodyHash::of(&send.content)), Decision::Ahead { .. }) {
            return Vec::new();
        }
        let mut answers = self.handle_send(device, lane, send);
        answers.retain(|answer| match answer {
            Frame::Accepted(accepted) => accepted.client_seq != number,
            Frame::Refused(refused) => refused.client_seq != number,
            _ => true,
        });
        answers
    }

    /// Takes a send: the answers, as the lane sends them.
    pub(super) fn handle_send(&mut self, device: DeviceId, lane: &mut SendLane, send: Send) -> Vec<Frame> {
        let mut answers = Vec::new();
        let mut next = Some(send);
        while let Some(send) = next {
            self.handle_one(device, lane, &send, &mut answers);
            let expected = self.next_client_seq(device);
            next = lane.held.remove(&expected).map(|content| Send { client_seq: expected, content });
        }
        answers
    }

    fn handle_one(&mut self, device: DeviceId, lane: &mut SendLane, send: &Send, answers: &mut Vec<Frame>) {
        let hash = BodyHash::of(&send.content);
        let window = self.stored.windows.entry(device).or_default();
        let fault = self.scenario.fault;
        if lane.device_forgotten {
            answers.push(refused(send.client_seq, ErrorCode::ClientSeqReused));
            return;
        }
        match window.decide(send.client_seq, hash) {
            Decision::Duplicate(_) | Decision::Reused if fault == Some(Fault::NoDeduplication) => {
                answers.push(self.append(device, send));
            }
            Decision::Ahead { .. } if fault == Some(Fault::AppendsAhead) => {
                answers.push(self.append(device, send))
            }
            Decision::Append => self.judge(device, lane, send, answers),
            Decision::Duplicate(Outcome::Accepted(seq)) => answers.push(accepted(send.client_seq, seq)),
            Decision::Duplicate(Outcome::Refused(code)) => answers.push(refused(send.client_seq, code)),
            Decision::Reused => {
                lane.device_forgotten = fault != Some(Fault::AppendsAfterReuse);
                answers.push(refused(send.client_seq, ErrorCode::ClientSeqReused));
            }
            Decision::Ahead { .. }
                if self.scenario.server_holds && lane.will_come_again && lane.held.len() < 64 =>
            {
                lane.held.insert(send.client_seq, send.content.clone());
            }
            Decision::Ahead { expected } => answers.push(ahead(send.client_seq, expected)),
        }
    }

    /// The number expected: appended, or refused as its body says.
    fn judge(&mut self, device: DeviceId, lane: &mut SendLane, send: &Send, answers: &mut Vec<Frame>) {
        let body = Body::decode(&send.content);
        let attempts = self.attempts.entry(body.clone()).or_default();
        *attempts += 1;
        match body.kind {
            Kind::Retryable(times) if *attempts <= times => {
                lane.will_come_again = true;
                let code = [ErrorCode::RateLimited, ErrorCode::StoreUnavailable][*attempts as usize % 2];
                answers.push(refused(send.client_seq, code));
                return;
            }
            Kind::Stranger => {
                answers.push(refused(send.client_seq, ErrorCode::NotAMember));
                let held = std::mem::take(&mut lane.held);
                answers.extend(held.into_keys().map(|number| ahead(number, send.client_seq)));
            }
            Kind::Permanent => {
                let window = self.stored.windows.entry(device).or_default();
                window.record(BodyHash::of(&send.content), Outcome::Refused(ErrorCode::NotPermitted));
                answers.push(refused(send.client_seq, ErrorCode::NotPermitted));
            }
            Kind::Plain | Kind::Retryable(_) => {
                let outcome = Outcome::Accepted(self.head().next());
                self.stored.windows.entry(device).or_default().record(BodyHash::of(&send.content), outcome);
                answers.push(self.append(device, send));
            }
        }
        lane.will_come_again = false;
    }

    fn append(&mut self, device: DeviceId, send: &Send) -> Frame {
        let seq = self.head().next();
        self.stored.log.push(Entry {
            seq,
            ordinal: Ordinal::new(seq.get()),
            at: TimestampMs::new(seq.get()),
            sender: UserId::parse("somebody").unwrap(),
            device_tag: DeviceTag::of(&device),
            client_seq: send.client_seq,
            content: send.content.clone(),
        });
        accepted(send.client_seq, seq)
    }
}

fn accepted(client_seq: ClientSeq, seq: Seq) -> Frame {
    Frame::Accepted(Accepted { client_seq, seq, at: TimestampMs::new(seq.get()) })
}

fn refused(client_seq: ClientSeq, code: ErrorCode) -> Frame {
    let message = Explanation::default();
    Frame::Refused(Refused { client_seq, code, message, retry_after: None, expected_client_seq: None })
}

fn ahead(client_seq: ClientSeq, expected: ClientSeq) -> Frame {
    Frame::Refused(Refused {
        client_seq,
        code: ErrorCode::ClientSeqAhead,
        message: Explanation::default(),
        retry_after: None,
        expected_client_seq: Some(expected),
    })
}
