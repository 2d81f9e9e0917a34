//! The limits that both ends keep, as `spec/registry.toml` states them (a test compares the two).
//!
//! Limits that a server may set for itself (rates, quotas, sizes of groups) are not here: they are the
//! server's, and it tells them in `Welcome` or by refusing.

use std::time::Duration;

/// In bytes: any frame.
pub const FRAME_PAYLOAD_BYTES_MAX: usize = 81_920;
/// In bytes: Hello and Reauthenticate.
pub const HELLO_PAYLOAD_BYTES_MAX: usize = 8_192;
/// In bytes: a whole datagram.
pub const DATAGRAM_BYTES_MAX: usize = 1_000;
/// In bytes.
pub const USER_ID_BYTES_MAX: usize = 128;
/// In bytes.
pub const DEVICE_ID_BYTES: usize = 16;
/// In bytes.
pub const CONVERSATION_ID_BYTES: usize = 16;
/// In bytes: an encoded Content.
pub const CONTENT_BYTES_MAX: usize = 73_728;
/// In bytes: the body of a message or edit.
pub const BODY_BYTES_MAX: usize = 65_536;
/// In bytes.
pub const CONTENT_TYPE_BYTES_MAX: usize = 128;
/// In bytes.
pub const REACTION_BYTES_MAX: usize = 64;
/// In bytes.
pub const TITLE_BYTES_MAX: usize = 256;
/// In users: named in one CreateGroup, AddMembers or RemoveMembers.
pub const USERS_PER_CHANGE_MAX: usize = 256;
/// In sends: per conversation and device; also the answers a server remembers.
pub const UNANSWERED_SENDS_MAX: usize = 64;
/// In items: cursors, and read marks, in one Confirm.
pub const CONFIRM_CONVERSATIONS_MAX: usize = 128;
/// In ranges: per cursor; a device that has more joins the two that lie closest.
pub const SKIPPED_RANGES_MAX: usize = 16;
/// In conversations.
pub const WATCHED_CONVERSATIONS_MAX: usize = 64;
/// In entries: per conversation; older ones are skipped.
pub const BACKLOG_ENTRIES_MAX: usize = 1_000;
/// In entries: in one page.
pub const HISTORY_ENTRIES_MAX: usize = 256;
/// In items: in one page.
pub const INBOX_ITEMS_MAX: usize = 256;
/// In members.
pub const ROSTER_MEMBERS_PER_FRAME_MAX: usize = 256;
/// In members: above it marks, typing and presence are not sent to the others.
pub const FAN_OUT_MEMBERS_MAX: usize = 64;
/// From the end of the handshake to a whole Hello.
pub const HELLO_TIMEOUT: Duration = Duration::from_millis(5_000);
/// In streams: bidirectional, before Welcome.
pub const FIRST_FLIGHT_STREAMS_MAX: usize = 16;
/// In bytes: of stream data, before Welcome.
pub const FIRST_FLIGHT_BYTES_MAX: usize = 65_536;
/// In streams: of a client, after Welcome.
pub const BIDIRECTIONAL_STREAMS_MAX: usize = 64;
/// In streams: that a client permits the server: log lanes.
pub const UNIDIRECTIONAL_STREAMS_MAX: usize = 64;
/// A Presence not renewed by then means not known.
pub const PRESENCE_TTL: Duration = Duration::from_millis(70_000);
/// How often a client repeats PresenceUpdate, and a server Presence.
pub const PRESENCE_RENEW: Duration = Duration::from_millis(30_000);
/// From the last packet of a client that vanished.
pub const OFFLINE_AFTER: Duration = Duration::from_millis(30_000);
/// A Typing not renewed by then has ended.
pub const TYPING_TTL: Duration = Duration::from_millis(6_000);
/// How often a client repeats TypingUpdate while the user types.
pub const TYPING_RENEW: Duration = Duration::from_millis(3_000);
/// In datagrams: from a client, burst of twice as many; more are dropped.
pub const DATAGRAMS_PER_SECOND_MAX: usize = 20;
