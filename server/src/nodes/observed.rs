//! What a node makes of the others' rows: who holds a lease, and whose clock can be trusted.
//!
//! No clock of another machine is believed. A lease is held as long as its row changes from one reading to the
//! next; so a reader that could not read for a while takes nobody for dead because of that, and a lease that claims
//! to have been renewed in an hour's time is held no longer than any other.
//!
//! A row that changed between two readings was written between two moments of this node's own clock; a node whose
//! time lies outside them, by more than [`CLOCKS_APART_MAX`], has another clock. A renewal may be on its way for a
//! while when the store is slow, and tells the time at which it began; this node's own shows for how long. If more of the others do than do
//! not, it is this one's that is wrong.

use std::collections::{BTreeMap, BTreeSet};

use fulmar_protocol::TimestampMs;

use super::NodeNumber;
use crate::{
    limits::{CLOCKS_APART_MAX, READINGS_UNTIL_DEAD},
    rows::NodeRow,
};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Observed {
    nodes: BTreeMap<NodeNumber, Seen>,
    /// When the renewal before the last reading began.
    began_at: Option<TimestampMs>,
}

#[derive(Debug)]
struct Seen {
    renewals: u64,
    /// Readings in a row in which it had not changed.
    unchanged: u32,
    /// Whether its clock shows what this one's does, as of its last change that was seen.
    agrees: Option<bool>,
}

/// What a reading of all rows says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) live: BTreeSet<NodeNumber>,
    pub(super) dead: BTreeSet<NodeNumber>,
    /// Live nodes whose clocks show another time than this one's.
    pub(super) other_clocks: BTreeSet<NodeNumber>,
    /// Most of the others agree that this node's clock is wrong.
    pub(super) own_clock_is_wrong: bool,
}

impl Observed {
    /// Takes in the rows of the other nodes, read before `now` of this node's clock, after a renewal that began at
    /// `began_at`. Renewals are at least the time between two of them apart.
    pub(super) fn read<'r>(
        &mut self,
        rows: impl IntoIterator<Item = (NodeNumber, &'r NodeRow)>,
        began_at: TimestampMs,
        now: TimestampMs,
    ) -> Reading {
        let mut reading = Reading::default();
        let mut nodes = BTreeMap::new();
        let took_ms = now.get().saturating_sub(began_at.get());
        let earliest = self.began_at.map(|before| TimestampMs::new(before.get().saturating_sub(took_ms)));
        for (number, row) in rows {
            let mut seen = self.nodes.remove(&number).unwrap_or(Seen {
                renewals: row.renewals,
                unchanged: 0,
                agrees: None,
            });
            if seen.renewals == row.renewals {
                seen.unchanged = seen.unchanged.saturating_add(1);
            } else {
                seen.agrees = earliest.map(|earliest| agrees(earliest, row.at, now));
                seen = Seen { renewals: row.renewals, unchanged: 0, ..seen };
            }
            if seen.unchanged > READINGS_UNTIL_DEAD {
                reading.dead.insert(number);
            } else {
                reading.live.insert(number);
                if seen.agrees == Some(false) {
                    reading.other_clocks.insert(number);
                }
            }
            nodes.insert(number, seen);
        }
        let judged = nodes.iter().filter(|(number, _)| reading.live.contains(*number));
        let agreeing = judged.filter(|(_, seen)| seen.agrees == Some(true)).count();
        // Its own clock has one voice too.
        reading.own_clock_is_wrong = reading.other_clocks.len() > agreeing + 1;
        self.nodes = nodes;
        self.began_at = Some(began_at);
        reading
    }
}

fn agrees(earliest: TimestampMs, at: TimestampMs, now: TimestampMs) -> bool {
    let ahead = at.get().saturating_sub(now.get());
    let behind = earliest.get().saturating_sub(at.get());
    u128::from(ahead.max(behind)) <= CLOCKS_APART_MAX.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(renewals: u64, at_ms: u64) -> NodeRow {
        NodeRow {
            address: "127.0.0.1:1".parse().unwrap(),
            fingerprint: [0; 32],
            client_addresses: Vec::new(),
            server_id: 0,
            renewals,
            at: TimestampMs::new(at_ms),
        }
    }

    fn number(number: u64) -> NodeNumber {
        NodeNumber::new(number)
    }

    /// Readings 2 s apart of nodes that renew every time, with clocks so many milliseconds ahead.
    fn clocks(ahead: &[i64]) -> Reading {
        let mut observed = Observed::default();
        let mut reading = Reading::default();
        for step in 1..4_u64 {
            let now = 1_000_000 + step * 2_000;
            let rows: Vec<_> =
                ahead.iter().map(|ahead| row(step, (now - 500).saturating_add_signed(*ahead))).collect();
            let rows = rows.iter().enumerate().map(|(at, row)| (number(at as u64 + 1), row));
            reading = observed.read(rows, TimestampMs::new(now), TimestampMs::new(now));
        }
        reading
    }

    #[test]
    fn a_lease_ends_when_its_row_has_not_changed_for_some_readings() {
        let mut observed = Observed::default();
        for at in 0..=u64::from(READINGS_UNTIL_DEAD) {
            let (still, alive) = (row(7, 0), row(at, 0));
            let now = TimestampMs::new(at * 2_000);
            let reading = observed.read([(number(1), &still), (number(2), &alive)], now, now);
            assert_eq!(reading.dead.contains(&number(1)), at == u64::from(READINGS_UNTIL_DEAD), "{at}");
            assert!(reading.live.contains(&number(2)));
        }
        let reading = observed.read([(number(1), &row(8, 0))], TimestampMs::new(0), TimestampMs::new(0));
        assert!(reading.live.contains(&number(1)), "it renewed after all");
    }

    #[test]
    fn a_lease_from_a_clock_an_hour_ahead_is_held_no_longer_than_any_other() {
        let mut observed = Observed::default();
        let mut reading = Reading::default();
        for at in 0..=u64::from(READINGS_UNTIL_DEAD) {
            let rows = [(number(1), &row(7, 3_600_000))];
            let now = TimestampMs::new(at * 2_000);
            reading = observed.read(rows, now, now);
        }
        assert_eq!(reading.dead, BTreeSet::from([number(1)]));
    }

    #[test]
    fn whose_clock_differs_from_most_of_the_others_knows_it() {
        let hour = 3_600_000;
        assert_eq!(clocks(&[0, 0]), Reading { live: [number(1), number(2)].into(), ..Reading::default() });
        let one = clocks(&[0, hour]);
        assert_eq!((one.other_clocks, one.own_clock_is_wrong), ([number(2)].into(), false));
        assert!(clocks(&[hour, hour]).own_clock_is_wrong);
        assert!(!clocks(&[hour, hour, 0]).own_clock_is_wrong, "two against two");
        assert!(clocks(&[hour, hour, hour, 0]).own_clock_is_wrong);
        assert!(!clocks(&[hour]).own_clock_is_wrong, "of two, nobody knows who is right");
        assert!(clocks(&[1_500, -1_500, 0]).other_clocks.is_empty(), "as far as two seconds are let pass");
    }
    #[test]
    fn a_store_that_is_slow_makes_no_clock_wrong() {
        let mut observed = Observed::default();
        for step in 1..6_u64 {
            let now = 1_000_000 + step * 6_000;
            // Each renewal takes five seconds, and tells the time at which it began.
            let rows = [row(step, now - 5_500), row(step, now - 5_000), row(step, now - 4_600)];
            let rows = rows.iter().enumerate().map(|(at, row)| (number(at as u64 + 1), row));
            let reading = observed.read(rows, TimestampMs::new(now - 5_200), TimestampMs::new(now));
            assert_eq!((reading.other_clocks.len(), reading.own_clock_is_wrong), (0, false));
        }
    }
}
