//! The world: two devices, their links, one server, one clock. First chaos, then calm, then everything is
//! checked.

use std::collections::BTreeMap;
use std::time::Duration;

use fulmar_protocol::{Seq, SeqRange};

use super::random::Random;
use super::server::{Body, Kind, Server, Stored};
use super::side::{Moment, Side};

const TICK: Duration = Duration::from_millis(10);
const CHAOS_TICKS: u32 = 400;
const CALM_TICKS_MAX: u32 = 20_000;

/// What happens in a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    /// First flights come again later, as with 0-RTT.
    pub(super) replays: bool,
    /// Some sends are refused for a while,
    pub(super) retryable: bool,
    /// some for good,
    pub(super) permanent: bool,
    /// some for good without using their number up.
    pub(super) strangers: bool,
    /// The server holds what is ahead of a send that will come again, instead of refusing it.
    pub(super) server_holds: bool,
    /// Copies travel in datagrams, both ways.
    pub(super) hedges: bool,
    /// Apps start again from what they stored.
    pub(super) restarts: bool,
    /// Once, the server goes back to a backup, under a new epoch.
    pub(super) server_restored: bool,
    /// Once, a device goes back to a backup.
    pub(super) device_restored: bool,
    pub(super) backlog_entries_max: usize,
    pub(super) fault: Option<Fault>,
}

/// What the harness must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    NoDeduplication,
    AppendsAhead,
    AppendsAfterReuse,
    LaneLeavesOut,
    TakesAgain,
    RenumbersOnOpenLane,
    ForgetsSkipped,
    TakesHedgesAfterRefusals,
    TakesHedgesPastGaps,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            replays: false,
            retryable: false,
            permanent: false,
            strangers: false,
            server_holds: false,
            hedges: false,
            restarts: false,
            server_restored: false,
            device_restored: false,
            backlog_entries_max: 1_000,
            fault: None,
        }
    }
}

pub(super) struct World {
    scenario: Scenario,
    random: Random,
    now: Duration,
    server: Server,
    sides: Vec<Side>,
    backup: Option<Stored>,
}

impl World {
    pub(super) fn new(seed: u64, scenario: Scenario) -> Self {
        let sides = (0..2).map(|number| Side::new(number, scenario)).collect();
        let server = Server::new(scenario);
        Self { scenario, random: Random::new(seed), now: Duration::ZERO, server, sides, backup: None }
    }

    pub(super) fn run(mut self) {
        for tick in 0..CHAOS_TICKS {
            for number in 0..self.sides.len() {
                self.push(number);
                self.disturb(number);
            }
            self.back_up_and_restore(tick);
            self.step(false);
            if tick % 50 == 0 {
                self.check_log();
            }
        }
        let mut ticks = 0;
        while !self.is_at_rest() {
            ticks += 1;
            self.step(true);
            if ticks == CALM_TICKS_MAX {
                self.check_log();
                panic!("it does not come to rest: {}", self.describe());
            }
        }
        self.check_log();
        self.check_ends();
    }

    fn step(&mut self, calm: bool) {
        self.now += TICK;
        for side in &mut self.sides {
            let mut moment =
                Moment { server: &mut self.server, random: &mut self.random, now: self.now, calm };
            side.step(&mut moment);
        }
    }

    /// An app sends something.
    fn push(&mut self, number: usize) {
        if !self.random.chance(6) {
            return;
        }
        let device = &mut self.sides[number].device;
        for _ in 0..if self.random.chance(4) { 70 } else { 1 } {
            let kind = match self.random.below(25) {
                0 if self.scenario.retryable => Kind::Retryable(1 + self.random.below(2) as u32),
                1 if self.scenario.permanent => Kind::Permanent,
                2 if self.scenario.strangers => Kind::Stranger,
                _ => Kind::Plain,
            };
            let body = Body { device: number, index: device.app.pushed, kind };
            if device.outbox.push(body.encode()).is_ok() {
                device.app.pushed += 1;
            }
        }
        device.store();
    }

    fn disturb(&mut self, number: usize) {
        let side = &mut self.sides[number];
        let random = &mut self.random;
        if random.chance(1) && random.chance(40) {
            side.cut(self.now, random);
        }
        if random.chance(1) {
            side.reset_lane(self.now, random);
        }
        if self.scenario.restarts && random.chance(1) && random.chance(30) {
            side.cut(self.now, random);
            side.device.restart();
        }
        if self.scenario.replays && random.chance(3) {
            side.replay(&mut self.server, random);
        }
    }

    fn back_up_and_restore(&mut self, tick: u32) {
        if self.scenario.server_restored && tick == CHAOS_TICKS / 3 {
            self.backup = Some(self.server.stored.clone());
        }
        if self.scenario.server_restored && tick == CHAOS_TICKS * 2 / 3 {
            self.server.stored = self.backup.take().expect("a backup");
            self.server.epoch += 1;
            let head = self.server.head();
            for side in &mut self.sides {
                side.end_all(self.now);
                let accepted = std::mem::take(&mut side.device.app.accepted);
                let (kept, lost): (BTreeMap<_, _>, BTreeMap<_, _>) =
                    accepted.into_iter().partition(|(_, seq)| *seq <= head);
                side.device.app.accepted = kept;
                side.device.app.lost.extend(lost.into_keys());
            }
        }
        for side in &mut self.sides {
            let device = &mut side.device;
            if self.scenario.device_restored && device.outbox.is_empty() {
                if side.backup.is_none() && tick > CHAOS_TICKS / 4 {
                    device.store();
                    side.backup = Some(device.on_disk.clone());
                } else if let Some(on_disk) = side.backup.clone().filter(|_| tick > CHAOS_TICKS * 2 / 3)
                    && !side.restored
                {
                    side.restored = true;
                    side.end_all(self.now);
                    side.device.on_disk = on_disk;
                    side.device.restart();
                }
            }
        }
    }

    fn is_at_rest(&self) -> bool {
        let head = self.server.head();
        self.sides.iter().all(|side| {
            let device = &side.device;
            let cursor = self.server.stored.cursors.get(&device.id);
            let confirmed =
                cursor.is_some_and(|cursor| cursor.delivered_up_to() == head) || head == Seq::ZERO;
            side.is_idle() && device.outbox.is_empty() && device.had == head && confirmed
        })
    }

    fn describe(&self) -> String {
        let sides = self.sides.iter().map(|side| {
            let device = &side.device;
            let cursor = self.server.stored.cursors.get(&device.id);
            format!("had {}, {} unanswered, cursor {cursor:?}, {side:?}", device.had, device.outbox.len())
        });
        format!("head {}; {}", self.server.head(), sides.collect::<Vec<_>>().join("; "))
    }

    /// Each device's sends stand in the log once, in the order in which they were pushed.
    fn check_log(&self) {
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        for entry in &self.server.stored.log {
            let body = Body::decode(&entry.content);
            assert!(seen.insert((body.device, body.index)), "{body:?} was appended twice");
            let before = last.insert(body.device, body.index);
            assert!(before < Some(body.index), "{body:?} was appended out of order");
        }
    }

    fn check_ends(&self) {
        let entries: BTreeMap<Seq, _> =
            self.server.stored.log.iter().map(|entry| (entry.seq, &entry.content)).collect();
        for (number, side) in self.sides.iter().enumerate() {
            let app = &side.device.app;
            for index in 0..app.pushed {
                let found = entries.iter().find(|(_, content)| {
                    let body = Body::decode(content);
                    (body.device, body.index) == (number, index)
                });
                let seq = found.map(|(seq, _)| *seq);
                let ends = [
                    app.failed.contains(&index),
                    app.lost.contains(&index),
                    app.accepted.contains_key(&index),
                ];
                assert!(ends.contains(&true), "the app was never told how send {index} ended");
                assert_eq!(
                    seq.is_none(),
                    ends[0] || ends[1] && !ends[2],
                    "send {index} of device {number}: {ends:?}"
                );
                if ends[2] {
                    assert_eq!(app.accepted.get(&index), seq.as_ref(), "send {index} was accepted elsewhere");
                }
            }
            assert!(app.gaps.is_empty());
            let handed: BTreeMap<Seq, _> = app.handed.iter().map(|(seq, content)| (*seq, content)).collect();
            assert_eq!(handed, entries, "device {number} was handed something else");
        }
    }
}

/// A range from numbers.
pub(super) fn range(first: Seq, last: Seq) -> Option<SeqRange> {
    SeqRange::new(first..=last)
}
