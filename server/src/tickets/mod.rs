//! The tickets by which clients come back without waiting for a round trip.
//!
//! TLS gives each client a few tickets, and the server remembers what each stands for: early data (0-RTT) asks for
//! that, since only who remembers can see to it that a ticket is used once. The library's own memory keeps 256 of
//! them and forgets them with the process; this one is sized for the server's users and outlives a restart.
//!
//! Holds:
//! - A ticket is taken once. Whoever comes with it again, with a flight that was recorded for instance, is met as a
//!   stranger.
//! - A ticket lasts `TICKET_LIFETIME`, and only while the transport settings are those that it was given under:
//!   the client sends its first flight by them. Others are cleared away when the server starts.
//! - At most `tickets_max` are held. The oldest is forgotten first, which costs its client a round trip.
//!
//! TLS asks in the midst of a handshake and cannot wait, so memory answers. `keeper` writes rows behind it: what a
//! crash takes with it is the tickets of the last moments (their clients wait for a round trip), and the clearing
//! of those taken in the last moments. Such a ticket lives again after the restart; but TLS refuses early data
//! whose ticket says that it is more than a minute older or younger than it is, so that a recorded flight is of use
//! for that minute only, and what it can do then is written in `session::opening`.
//!
//! Absent: sharing tickets between servers of one store, each of which keeps rows of its own: a ticket that two knew
//! could be used twice, and asking the store in the midst of a handshake is not possible. A client that comes to
//! another node waits for a round trip. And stateless tickets, with which early data is refused.

mod keeper;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use fulmar_protocol::TimestampMs;
use parking_lot::Mutex;
use rustls::server::StoresServerSessions;
use tokio::sync::Notify;

use crate::{
    clock::Clock,
    limits::TICKET_WRITES_PENDING_MAX,
    metrics::Metrics,
    rows::{Key, TICKET_ID_BYTES},
    transport::tuning::SettingsDigest,
};

/// How long a ticket is good for. The library tells clients so; TLS allows a week at most.
const TICKET_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// How long what TLS remembers of one session may be: with a name of the greatest length it is 350 bytes.
const SESSION_BYTES_MAX: usize = 1024;

type TicketId = [u8; TICKET_ID_BYTES];

struct Ticket {
    /// Its place in the order in which they were given.
    number: u64,
    expires_at: TimestampMs,
    /// There is a row of it, or soon will be.
    stored: bool,
    session: Box<[u8]>,
}

#[derive(Default)]
struct Held {
    /// Whose rows these are.
    server_id: u32,
    by_id: HashMap<TicketId, Ticket>,
    /// The oldest first.
    order: BTreeMap<u64, TicketId>,
    next_number: u64,
    /// Tickets without a row. Some may be gone again.
    unwritten: VecDeque<TicketId>,
    /// Rows of tickets that are gone: no more than there are rows.
    to_clear: VecDeque<Key>,
}

/// See the module.
pub(crate) struct Tickets {
    held: Mutex<Held>,
    tickets_max: usize,
    settings: SettingsDigest,
    /// Whose rows its tickets have. Without it they have none, and live as long as the process.
    server_id: Option<u32>,
    clock: Clock,
    metrics: Arc<Metrics>,
    /// Rows are to be written or cleared.
    changed: Notify,
}

impl Tickets {
    pub(crate) fn new(
        tickets_max: usize,
        settings: SettingsDigest,
        server_id: Option<u32>,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let held = Mutex::new(Held { server_id: server_id.unwrap_or(0), ..Held::default() });
        let changed = Notify::new();
        Arc::new(Self { held, tickets_max, settings, server_id, clock, metrics, changed })
    }

    /// Forgets those whose time is over.
    fn forget_expired(&self) {
        let now = self.clock.now();
        let mut held = self.held.lock();
        while held.oldest().is_some_and(|oldest| oldest.expires_at <= now) {
            held.forget_oldest();
        }
        self.show(&held);
    }

    fn show(&self, held: &Held) {
        self.metrics.tickets.set(f64::from(u32::try_from(held.by_id.len()).unwrap_or(u32::MAX)));
    }
}

impl Held {
    fn oldest(&self) -> Option<&Ticket> {
        self.by_id.get(self.order.first_key_value()?.1)
    }

    fn insert(&mut self, id: TicketId, expires_at: TimestampMs, session: Box<[u8]>, stored: bool) {
        let number = self.next_number;
        self.next_number += 1;
        self.order.insert(number, id);
        if let Some(former) = self.by_id.insert(id, Ticket { number, expires_at, stored, session }) {
            self.order.remove(&former.number);
        }
    }

    fn remove(&mut self, id: &TicketId) -> Option<Ticket> {
        let ticket = self.by_id.remove(id)?;
        self.order.remove(&ticket.number);
        if ticket.stored {
            self.to_clear.push_back(Key::ticket(self.server_id, ticket.expires_at, id));
        }
        Some(ticket)
    }

    fn forget_oldest(&mut self) {
        if let Some((_, oldest)) = self.order.first_key_value() {
            let oldest = *oldest;
            self.remove(&oldest);
        }
    }
}

impl StoresServerSessions for Tickets {
    fn put(&self, id: Vec<u8>, session: Vec<u8>) -> bool {
        let Ok(id) = TicketId::try_from(id) else { return false };
        if session.len() > SESSION_BYTES_MAX {
            return false;
        }
        let expires_at = self.clock.now().plus(TICKET_LIFETIME);
        let mut held = self.held.lock();
        while held.by_id.len() >= self.tickets_max {
            held.forget_oldest();
        }
        held.insert(id, expires_at, session.into(), false);
        held.unwritten.push_back(id);
        if held.unwritten.len() > TICKET_WRITES_PENDING_MAX {
            // Good until the next restart, then worth a round trip.
            held.unwritten.pop_front();
        }
        self.show(&held);
        drop(held);
        self.changed.notify_one();
        true
    }

    /// None: who looks without taking could look twice. TLS 1.3 takes.
    fn get(&self, _id: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        let taken = TicketId::try_from(id).ok().and_then(|id| {
            let mut held = self.held.lock();
            let taken = held.remove(&id);
            self.show(&held);
            taken
        });
        self.changed.notify_one();
        let good = taken.filter(|ticket| ticket.expires_at > self.clock.now());
        if good.is_none() {
            self.metrics.tickets_refused.increment(1);
        }
        good.map(|ticket| ticket.session.into_vec())
    }

    fn can_cache(&self) -> bool {
        true
    }
}

impl fmt::Debug for Tickets {
    /// Tells nothing of what is held: it is secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tickets").field("tickets_max", &self.tickets_max).finish_non_exhaustive()
    }
}
