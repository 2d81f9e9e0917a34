//! Tickets for coming back with early data.
//!
//! They live in memory, as long as the client does, and are used once each; rustls cannot copy them. After an attempt
//! that got no answer the last ticket of a server is held back, until there is reason to think that the network is
//! another one: many attempts in the dark would use up all tickets otherwise, and the first one in the light would
//! need a round trip more.
//!
//! Absent: a place on disk. rustls cannot write tickets yet (its issue 2287); a store that can would take the
//! place of this one.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;
use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls_pki_types::ServerName;

use crate::limits::{TICKET_SERVERS_MAX, TICKETS_PER_SERVER_MAX};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    servers: BTreeMap<String, Of>,
    last_is_kept: bool,
}

/// What is known of a server.
#[derive(Debug, Default)]
struct Of {
    group: Option<NamedGroup>,
    tickets: VecDeque<Tls13ClientSessionValue>,
}

impl Tickets {
    /// Whether the last ticket of a server is held back.
    pub(crate) fn keep_last(&self, keep: bool) {
        self.held.lock().last_is_kept = keep;
    }
}

impl Held {
    fn server(&mut self, server: &ServerName<'_>) -> &mut Of {
        let name = server.to_str().into_owned();
        if self.servers.len() >= TICKET_SERVERS_MAX && !self.servers.contains_key(&name) {
            self.servers.pop_first();
        }
        self.servers.entry(name).or_default()
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.held.lock().server(&server).group = Some(group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.held.lock().servers.get(server.to_str().as_ref())?.group
    }

    /// There is no TLS 1.2 here.
    fn set_tls12_session(&self, _server: ServerName<'static>, _session: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _server: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, server: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut held = self.held.lock();
        let tickets = &mut held.server(&server).tickets;
        if tickets.len() >= TICKETS_PER_SERVER_MAX {
            tickets.pop_front();
        }
        tickets.push_back(ticket);
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let mut held = self.held.lock();
        let kept = usize::from(held.last_is_kept);
        let tickets = &mut held.servers.get_mut(server.to_str().as_ref())?.tickets;
        if tickets.len() > kept { tickets.pop_back() } else { None }
    }
}
