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

/// Other nodes that clients may be sent to; further ones are not named.
pub(crate) const ALTERNATIVES_MAX: usize = 64;

/// Connections at a time, for so many sessions. Those on top are there to be told that there are too many
/// sessions, or to take over a session of their own; beyond them connections are refused without a word.
pub(crate) const fn connections_max(sessions_max: usize) -> usize {
    sessions_max.saturating_add(sessions_max / 8).saturating_add(64)
}
