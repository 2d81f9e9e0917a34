//! The server's own bounds. What operators set stands in `config`; what peers must know stands in the registry, and in `fulmar_protocol::limits`.

use std::time::Duration;

pub(crate) use fulmar_protocol::limits::FAN_OUT_MEMBERS_MAX;

/// What an operator may set.
pub(crate) use crate::config::LimitsConfig as Limits;

/// Sends in one append; the rest waits for the next one.
pub(crate) const APPEND_BATCH_SENDS_MAX: usize = 64;
/// Bytes of content in one append.
pub(crate) const APPEND_BATCH_BYTES_MAX: usize = 512 * 1024;
/// Newest entries of a conversation kept in memory while somebody has it open; older ones are read again.
pub(crate) const TAIL_ENTRIES_MAX: usize = 128;
/// And their bytes.
pub(crate) const TAIL_BYTES_MAX: usize = 256 * 1024;
/// Edits of one message. Above it `too_many_edits`.
pub(crate) const EDITS_PER_MESSAGE_MAX: usize = 100;
/// A device not seen for so long makes room for a new one.
pub(crate) const DEVICE_FORGOTTEN_AFTER_MS: u64 = 30 * 24 * 3600 * 1000;
/// Content that a session may have queued without an answer; above it its send lanes are read no further.
pub(crate) const UNANSWERED_BYTES_PER_SESSION_MAX: usize = 1024 * 1024;

/// Log lanes that may carry a backlog at once. A client's stream window bounds what each may have in flight
/// (128 KiB), so that together they hold at most half of the send window, and live entries find room.
pub(crate) const BACKLOG_LANES_MAX: usize = 2;
/// Stream data that a session may have in flight or waiting for acknowledgement: what a client that stops
/// reading costs.
pub(crate) const SEND_WINDOW_BYTES: u64 = 512 * 1024;
/// Entries taken from log or store at once for one lane, or one part of a page.
pub(crate) const READ_AHEAD_ENTRIES_MAX: usize = 32;
/// And their bytes, but that one entry may be longer: what each lane and each request of a client that does
/// not read holds.
pub(crate) const READ_AHEAD_BYTES_MAX: usize = 64 * 1024;
/// Requests of one session that are worked on at once; the others wait.
pub(crate) const REQUESTS_AT_ONCE_MAX: usize = 8;
/// A lane without news for so long is closed.
pub(crate) const LANE_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Marks that move are sent after this time, so that many moves are one frame.
pub(crate) const MARKS_DEBOUNCE: Duration = Duration::from_millis(100);
/// Conversations with news for a session that has not opened a lane for them yet; above it the inbox is
/// read again instead.
pub(crate) const NEWS_PER_SESSION_MAX: usize = 1_024;
/// Conversations behind that a session remembers from one reading of its inbox; then it reads again.
pub(crate) const BEHIND_PER_SESSION_MAX: usize = 4_096;
/// How long a session waits before it looks again for what lost hints were about: somewhere between these.
pub(crate) const LOST_HINTS_LOOK_MIN: Duration = Duration::from_secs(4 * 60);
/// See [`LOST_HINTS_LOOK_MIN`].
pub(crate) const LOST_HINTS_LOOK_MAX: Duration = Duration::from_secs(6 * 60);
/// Conversations of which a session has sent entries that are not confirmed; above it no new lane is opened
/// until the client confirms.
pub(crate) const UNCONFIRMED_CONVERSATIONS_MAX: usize = 1_024;
/// Bytes of datagrams to one session: presence and typing take no more of its path than this, sustained.
pub(crate) const DATAGRAM_BYTES_PER_SECOND: u32 = 2_000;
/// And at once.
pub(crate) const DATAGRAM_BYTES_BURST: u32 = 8_000;

/// Copies of entries that wait to leave as datagrams, in a session; the oldest gives way.
pub(crate) const HEDGES_WAITING_MAX: usize = 32;
/// Conversations of a session whose sends are ordered with their hedges; hedges of others are dropped.
pub(crate) const SEND_ORDERS_MAX: usize = 256;
/// An entry that was accepted longer ago is not hedged any more.
pub(crate) const HEDGED_AFTER_ACCEPT_MAX: Duration = Duration::from_secs(2);
/// Tickets that wait to be written to the store. Beyond it the oldest of them stays in memory only, and a restart
/// costs its client a round trip.
pub(crate) const TICKET_WRITES_PENDING_MAX: usize = 16_384;

/// How often a node renews its lease, and reads who else is there.
pub(crate) const LEASE_RENEW_EVERY: Duration = Duration::from_secs(2);
/// A node that has not renewed its lease for so long serves nobody until it has a new one. Shorter than the others
/// need to take it for dead.
pub(crate) const LEASE_OWN_MAX: Duration = Duration::from_secs(7);
/// Readings, [`LEASE_RENEW_EVERY`] apart, in which a node's row did not change before it is taken for dead.
pub(crate) const READINGS_UNTIL_DEAD: u32 = 5;
/// Clocks of nodes may differ by so much. A node whose clock differs by more from most others' appends nothing.
pub(crate) const CLOCKS_APART_MAX: Duration = Duration::from_secs(2);
/// Nodes of a cluster; one more does not start.
pub(crate) const NODES_MAX: usize = 256;
/// Rows of a dead node that one transaction clears.
pub(crate) const HELD_ROWS_PER_CLEAR: usize = 500;
/// How often a node looks for rows of its own that it does not need any more, and clears some.
pub(crate) const HELD_SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Sessions of one user that are looked for; beyond it the last ones are told late.
pub(crate) const SESSIONS_PER_LOOKUP_MAX: usize = 256;
/// Look-ups of whom to tell that are under way; beyond it hints are lost, and every node looks for them.
pub(crate) const LOOKUPS_MAX: usize = 1_024;
/// Users who are looked for at the same time in one look-up.
pub(crate) const LOOKUP_USERS_AT_ONCE: usize = 64;
/// Over how much time sessions spread their look for hints, when another node says that it lost some.
pub(crate) const LOST_HINTS_LOOK_SPREAD: Duration = Duration::from_secs(5);
/// How long a session waits before it looks again while another node cannot be reached: somewhere between half of
/// this and this.
pub(crate) const LOST_HINTS_LOOK_DEGRADED: Duration = Duration::from_secs(30);
/// Waits for another node to end a session of the same device.
pub(crate) const END_SESSIONS_WAITS_MAX: usize = 16_384;
/// Other nodes that clients may be sent to; further ones are not named.
pub(crate) const ALTERNATIVES_MAX: usize = 64;

/// Connections at a time, for so many sessions. Those on top are there to be told that there are too many
/// sessions, or to take over a session of their own; beyond them connections are refused without a word.
pub(crate) const fn connections_max(sessions_max: usize) -> usize {
    sessions_max.saturating_add(sessions_max / 8).saturating_add(64)
}

/// Bytes of the entries in one hint to another node; later ones are read from the store.
pub(crate) const HINT_ENTRIES_BYTES_MAX: usize = 16 * 1024;
/// Users in one hint to another node. One that names more is not sent, and counted; one that came ends the link.
pub(crate) const HINT_USERS_MAX: usize = 1_024;
/// Bytes of one message between nodes: a longer one is not sent, and counted; one that came ends the link.
pub(crate) const NODE_MESSAGE_BYTES_MAX: usize = 192 * 1024;
/// Messages that wait to be sent to one node; then new ones are dropped, and counted.
pub(crate) const LINK_QUEUE_MESSAGES_MAX: usize = 8_192;
/// And their bytes.
pub(crate) const LINK_QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Events of all links that wait for whoever takes them; then no link is read until there is room.
pub(crate) const LINK_EVENTS_MAX: usize = 1_024;
