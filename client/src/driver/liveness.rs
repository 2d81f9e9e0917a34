//! Whether anybody is there at the other end of a connection: has anything come since something was asked?
//!
//! It goes by QUIC's own counts, so that a server that is slow to answer but acknowledges is not taken for a dead
//! path, and a retransmission counts as asking. Nothing is looked at while nothing is asked. Absent: clock and
//! connection; the driver looks, and says what it saw.

use std::time::Duration;

use quinn::Connection;
use tokio::time::Instant;

use crate::limits::{KEEP_ALIVE, PATH_PATIENCE_MAX, PATH_SILENT_MAX, PATH_SILENT_MIN};

/// A connection's counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traffic {
    /// Packets that came.
    received: u64,
    /// Frames sent that the server acknowledges.
    asked: u64,
    round_trip: Duration,
}

impl Traffic {
    pub(super) fn of(connection: &Connection) -> Self {
        let stats = connection.stats();
        let sent = stats.frame_tx;
        let asked = [
            sent.stream,
            sent.datagram,
            // A probe for larger packets may be lost on a path that is alive.
            sent.ping.saturating_sub(stats.path.sent_plpmtud_probes),
            sent.reset_stream,
            sent.stop_sending,
            sent.max_data,
            sent.max_stream_data,
            sent.max_streams_uni,
            sent.path_challenge,
            sent.new_connection_id,
            sent.retire_connection_id,
        ];
        Self { received: stats.udp_rx.datagrams, asked: asked.iter().sum(), round_trip: stats.path.rtt }
    }
}

/// What is known of a path. Call [`Liveness::look`] at [`Liveness::next_look`], and before something is asked.
#[derive(Debug)]
pub(super) struct Liveness {
    last: Traffic,
    looked_at: Instant,
    /// When a look last found that something had come, or a reader told so.
    heard_at: Instant,
    /// Something was asked then, and nothing has come since.
    asking_since: Option<Instant>,
    /// A keep-alive has not been acknowledged.
    keeping_alive: bool,
    suspect_since: Option<Instant>,
    /// How often the path was suspect and not dead.
    patience: u32,
}

impl Liveness {
    pub(super) fn new(now: Instant, traffic: Traffic) -> Self {
        Self {
            last: traffic,
            looked_at: now,
            heard_at: now,
            asking_since: None,
            keeping_alive: false,
            suspect_since: None,
            patience: 0,
        }
    }

    /// How long silence lasts before it is suspect.
    fn silence_max(&self) -> Duration {
        let three = self.last.round_trip.saturating_mul(3).clamp(PATH_SILENT_MIN, PATH_SILENT_MAX);
        three.saturating_mul(1 << self.patience).min(PATH_SILENT_MAX)
    }

    /// Looks are this far apart while something is asked.
    fn interval(&self) -> Duration {
        self.silence_max() / 3
    }

    /// Whether a look now would tell when something was asked better than the next one.
    pub(super) fn is_out_of_date(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.looked_at) >= self.interval()
    }

    /// When to look again, given whether the driver waits for an answer, and whether the path is kept alive.
    pub(super) fn next_look(&self, awaits: bool, keeps_alive: bool) -> Option<Instant> {
        if awaits || self.keeping_alive || self.suspect_since.is_some() {
            return Some(self.looked_at + self.interval());
        }
        keeps_alive.then(|| self.heard_at + KEEP_ALIVE)
    }

    /// Whether it is time for a packet that keeps the path alive.
    pub(super) fn wants_keep_alive(&self, now: Instant) -> bool {
        !self.keeping_alive && self.heard_at + KEEP_ALIVE <= now
    }

    pub(super) fn keep_alive_sent(&mut self) {
        self.keeping_alive = true;
    }

    /// A reader told something, which may have come a while ago: no sign that the path is alive now.
    pub(super) fn told(&mut self, now: Instant) {
        self.heard_at = now;
    }

    /// Takes the counts. Answers whether anything has come since the last look.
    pub(super) fn look(&mut self, now: Instant, traffic: Traffic) -> bool {
        let before = std::mem::replace(&mut self.last, traffic);
        let earliest = now.checked_sub(self.interval()).unwrap_or(now).max(self.looked_at);
        self.looked_at = now;
        if traffic.received != before.received {
            self.heard_at = now;
            self.asking_since = None;
            self.keeping_alive = false;
            self.suspect_since = None;
            return true;
        }
        if traffic.asked > before.asked {
            self.asking_since.get_or_insert(earliest);
        }
        if self.asking_since.is_some_and(|since| now.saturating_duration_since(since) >= self.silence_max()) {
            self.suspect_since.get_or_insert(now);
        }
        false
    }

    /// Since when the path is suspect.
    pub(super) fn suspect_since(&self) -> Option<Instant> {
        self.suspect_since
    }

    /// The path was suspect, and was only slow.
    pub(super) fn be_patient(&mut self) {
        self.patience = self.patience.saturating_add(1).min(PATH_PATIENCE_MAX);
    }

    /// Another path: what was known of the former one does not count.
    pub(super) fn start_afresh(&mut self, now: Instant, traffic: Traffic) {
        *self = Self::new(now, traffic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(200);

    fn traffic(received: u64, asked: u64) -> Traffic {
        Traffic { received, asked, round_trip: ROUND_TRIP }
    }

    fn alive(now: Instant) -> Liveness {
        Liveness::new(now, traffic(0, 0))
    }

    #[test]
    fn silence_is_suspect_after_three_round_trips_of_asking() {
        let start = Instant::now();
        let mut path = alive(start);
        let mut at = start;
        while path.suspect_since().is_none() {
            at = path.next_look(true, true).unwrap();
            path.look(at, traffic(0, 1));
        }
        let took = at - start;
        assert!(took >= 3 * ROUND_TRIP && took <= 4 * ROUND_TRIP, "{took:?}");
    }

    #[test]
    fn a_server_that_acknowledges_and_is_slow_to_answer_is_not_suspect() {
        let start = Instant::now();
        let mut path = alive(start);
        assert!(path.look(start + ROUND_TRIP, traffic(1, 1)));
        for second in 1..60 {
            path.look(start + Duration::from_secs(second), traffic(1, 1));
            assert!(path.suspect_since().is_none(), "at {second} s");
        }
    }

    #[test]
    fn what_was_asked_long_after_the_last_look_is_not_held_against_the_path() {
        let start = Instant::now();
        let mut path = alive(start);
        path.look(start + Duration::from_secs(3_600), traffic(0, 1));
        assert!(path.suspect_since().is_none());
    }

    #[test]
    fn anything_that_comes_clears_the_suspicion() {
        let start = Instant::now();
        let mut path = alive(start);
        for tenth in 1..20 {
            path.look(start + tenth * ROUND_TRIP, traffic(0, 1));
        }
        assert!(path.suspect_since().is_some());
        assert!(path.look(start + 20 * ROUND_TRIP, traffic(1, 1)));
        assert!(path.suspect_since().is_none());
    }

    #[test]
    fn an_idle_path_is_looked_at_once_per_keep_alive_and_not_at_all_in_the_background() {
        let start = Instant::now();
        let mut path = alive(start);
        assert_eq!(path.next_look(false, false), None);
        let at = path.next_look(false, true).unwrap();
        assert_eq!(at - start, KEEP_ALIVE);
        path.look(at, traffic(0, 0));
        assert!(path.wants_keep_alive(at));
        path.keep_alive_sent();
        let soon = path.next_look(false, true).unwrap();
        assert!(soon - at <= ROUND_TRIP);
        path.look(soon, traffic(1, 1));
        assert_eq!(path.next_look(false, true).unwrap() - soon, KEEP_ALIVE);
    }

    #[test]
    fn a_path_that_was_only_slow_is_given_more_time() {
        let start = Instant::now();
        let mut path = alive(start);
        let before = path.silence_max();
        path.be_patient();
        assert_eq!(path.silence_max(), 2 * before);
        for _ in 0..40 {
            path.be_patient();
        }
        assert!(path.silence_max() <= PATH_SILENT_MAX);
    }
}
