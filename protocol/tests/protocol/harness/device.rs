//! A device: its outbox, its cursor, what it has stored, and what its app was handed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use fulmar_protocol::{
    ClientSeq, CursorState, Delivery, DeviceId, Entry, Frame, HedgedEntries, LaneOpen, LaneReceiver, Outbox,
    OutboxItem, OutboxLimits, Refusal, Refused, Seq, SeqRange,
};

use super::server::Body;
use super::world::{Fault, Scenario};

/// What survives a restart of the app.
#[derive(Clone)]
pub(super) struct OnDisk {
    next: ClientSeq,
    items: Vec<OutboxItem>,
    cursor: Bytes,
}

pub(super) struct Device {
    pub(super) id: DeviceId,
    pub(super) outbox: Outbox,
    pub(super) cursor: CursorState,
    /// How far the app has the log, named gaps included.
    pub(super) had: Seq,
    pub(super) lane: Option<LaneReceiver>,
    /// Taken from datagrams, and not yet brought by the lane.
    pub(super) hedged: HedgedEntries,
    pub(super) on_disk: OnDisk,
    pub(super) app: App,
    scenario: Scenario,
}

/// What the app knows.
#[derive(Default)]
pub(super) struct App {
    pub(super) pushed: usize,
    pub(super) handed: BTreeMap<Seq, Bytes>,
    /// Entries in gaps that were named, and not fetched yet.
    pub(super) gaps: BTreeSet<Seq>,
    pub(super) accepted: BTreeMap<usize, Seq>,
    pub(super) failed: BTreeSet<usize>,
    /// Accepted by a server that was restored to a backup from before.
    pub(super) lost: BTreeSet<usize>,
    last: Seq,
}

impl Device {
    pub(super) fn new(number: usize, scenario: Scenario) -> Self {
        let outbox = Outbox::new(OutboxLimits::default());
        let on_disk =
            OnDisk { next: ClientSeq::FIRST, items: Vec::new(), cursor: CursorState::default().encode() };
        Self {
            id: DeviceId::new([number as u8; 16]),
            outbox,
            cursor: CursorState::default(),
            had: Seq::ZERO,
            lane: None,
            hedged: HedgedEntries::new(),
            on_disk,
            app: App::default(),
            scenario,
        }
    }

    /// Stores everything. Comes before whatever is sent.
    pub(super) fn store(&mut self) {
        self.on_disk = OnDisk {
            next: self.outbox.next_client_seq(),
            items: self.outbox.items().cloned().collect(),
            cursor: self.cursor.encode(),
        };
    }

    /// The app starts again with what was stored. Entries that it had not confirmed it has forgotten.
    pub(super) fn restart(&mut self) {
        let OnDisk { next, items, cursor } = self.on_disk.clone();
        self.outbox = Outbox::restore(OutboxLimits::default(), next, items).unwrap();
        self.cursor = CursorState::decode(&cursor).unwrap();
        self.had = self.cursor.seq();
        self.lane = None;
        let had = self.had;
        self.app.handed.retain(|seq, _| *seq <= had);
        self.app.gaps.retain(|seq| *seq <= had);
        self.app.last = had;
    }

    /// Another history of the store: what the device knows of the log is void.
    pub(super) fn resynchronise(&mut self) {
        self.cursor = CursorState::default();
        self.had = Seq::ZERO;
        self.lane = None;
        self.app.handed.clear();
        self.app.gaps.clear();
        self.app.last = Seq::ZERO;
    }

    pub(super) fn handle_open(&mut self, open: &LaneOpen) {
        let had =
            if self.scenario.fault == Some(Fault::TakesAgain) { open.next_seq.previous() } else { self.had };
        let (lane, gap) = LaneReceiver::handle_open(had, open);
        self.lane = Some(lane);
        gap.into_iter().for_each(|gap| self.name_gap(gap));
        self.had = lane.had();
    }

    /// An entry that came in a datagram: taken if it is the next one.
    pub(super) fn handle_hedged(&mut self, entry: &Entry) {
        let past_gaps = self.scenario.fault == Some(Fault::TakesHedgesPastGaps) && entry.seq > self.had;
        let is_next = match &mut self.lane {
            Some(lane) => self.hedged.has_room() && lane.handle_hedged(entry.seq),
            None => false,
        };
        if is_next || past_gaps {
            self.hedged.handle_taken(entry);
            self.had = entry.seq;
            self.app.hand_over(entry.seq, entry.content.clone());
        }
    }

    /// A frame of a log lane.
    pub(super) fn handle_log(&mut self, frame: &Frame, server_entry: impl Fn(Seq) -> Entry) {
        if let Frame::LaneOpen(open) = frame {
            return self.handle_open(open);
        }
        let lane = self.lane.as_mut().expect("an open lane");
        let entry = |seq: Seq| (seq, server_entry(seq).content);
        let arrived = match frame {
            Frame::Entry(entry) => {
                self.hedged.handle_entry(entry).unwrap_or_else(|differs| panic!("{differs}"));
                Some((entry.seq, entry.content.clone()))
            }
            Frame::OwnEntry(own) => Some(entry(own.seq)),
            Frame::Hole(hole) => {
                let news = lane.handle_hole(hole.range).unwrap_or_else(|violation| panic!("{violation}"));
                self.had = lane.had();
                news.into_iter().for_each(|gap| self.name_gap(gap));
                None
            }
            Frame::CaughtUp(caught_up) => {
                lane.handle_caught_up(caught_up.seq).unwrap_or_else(|violation| panic!("{violation}"));
                None
            }
            other => panic!("{other:?} on a log lane"),
        };
        if let Some((seq, content)) = arrived {
            let lane = self.lane.as_mut().expect("an open lane");
            let delivery = lane.handle_entry(seq).unwrap_or_else(|violation| panic!("{violation}"));
            self.had = lane.had();
            if delivery == Delivery::Deliver {
                self.app.hand_over(seq, content);
            }
        }
    }

    fn name_gap(&mut self, gap: SeqRange) {
        self.app.name_gap(gap);
        if self.scenario.fault != Some(Fault::ForgetsSkipped) {
            self.cursor.skip(gap);
        }
    }

    /// An answer on a send lane.
    pub(super) fn handle_answer(&mut self, answer: &Frame, now: Duration) {
        match answer {
            Frame::Accepted(accepted) => {
                if let Some(item) = self.outbox.handle_accepted(accepted) {
                    self.app.accepted.insert(Body::decode(&item.content).index, accepted.seq);
                }
            }
            Frame::Refused(refused) => self.handle_refused(refused, now),
            other => panic!("{other:?} on a send lane"),
        }
        // This device's state is durable with every step.
        self.outbox.settle(self.outbox.lowest_unanswered());
    }

    fn handle_refused(&mut self, refused: &Refused, now: Duration) {
        match self.outbox.handle_refused(refused, now, Duration::from_millis(80)) {
            Refusal::Failed(item) => drop(self.app.failed.insert(Body::decode(&item.content).index)),
            Refusal::DeviceForgotten => assert!(self.scenario.device_restored, "a number was reused"),
            Refusal::Again | Refusal::Stale => {}
        }
    }
}

impl App {
    fn hand_over(&mut self, seq: Seq, content: Bytes) {
        assert_eq!(seq, self.last.next(), "{seq} was handed over out of order after {}", self.last);
        self.last = seq;
        self.handed.insert(seq, content);
    }

    fn name_gap(&mut self, gap: SeqRange) {
        assert_eq!(gap.first(), self.last.next(), "{gap} was handed over out of order after {}", self.last);
        self.last = gap.last();
        self.gaps.extend((gap.first().get()..=gap.last().get()).map(Seq::new));
    }

    pub(super) fn last(&self) -> Seq {
        self.last
    }
}
