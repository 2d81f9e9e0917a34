//! The limits that both ends keep, as `spec/registry.toml` states them (a test compares the two).
//!
//! Limits that a server may set for itself (rates, quotas, sizes of groups) are not here: they are the
//! server's, and it tells them in `Welcome` or by refusing.

use std::time::Duration;

/// Bytes: the payload of any frame.
pub const FRAME_PAYLOAD_BYTES_MAX: usize = 81_920;
/// Bytes: the payload of `Hello` and `Reauthenticate`.
pub const HELLO_PAYLOAD_BYTES_MAX: usize = 8_192;
/// Bytes: a whole datagram.
pub const DATAGRAM_BYTES_MAX: usize = 1_000;
/// Bytes: a user id.
pub const USER_ID_BYTES_MAX: usize = 128;
/// Bytes: a device id, exactly.
pub const DEVICE_ID_BYTES: usize = 16;
/// Bytes: a conversation id, exactly.
pub const CONVERSATION_ID_BYTES: usize = 16;
/// Bytes: an encoded content.
pub const CONTENT_BYTES_MAX: usize = 73_728;
/// Bytes: the body of a message or edit.
pub const BODY_BYTES_MAX: usize = 65_536;
/// Bytes: a content type.
pub const CONTENT_TYPE_BYTES_MAX: usize = 128;
/// Bytes: a reaction.
pub const REACTION_BYTES_MAX: usize = 64;
/// Bytes: the title of a group.
pub const TITLE_BYTES_MAX: usize = 256;
/// Bytes: where a server is, `HOST:PORT`.
pub const SERVER_ADDRESS_BYTES_MAX: usize = 255;
/// Addresses: of other servers, in one `GoAway`.
pub const GO_AWAY_ADDRESSES_MAX: usize = 8;
/// Users: named in one `CreateGroup`, `AddMembers` or `RemoveMembers`.
pub const USERS_PER_CHANGE_MAX: usize = 256;
/// Sends without an answer: per conversation and device; also the answers a server remembers.
pub const UNANSWERED_SENDS_MAX: usize = 64;
/// Items: cursors, and read marks, in one `Confirm`.
pub const CONFIRM_CONVERSATIONS_MAX: usize = 128;
/// Ranges: per cursor; a device that has more joins the two that lie closest.
pub const SKIPPED_RANGES_MAX: usize = 16;
/// Conversations: on screen at once. Fewer than lanes, so that news of others finds one.
pub const WATCHED_CONVERSATIONS_MAX: usize = 48;
/// Entries: per conversation, to a device that is behind; older ones are skipped.
pub const BACKLOG_ENTRIES_MAX: usize = 1_000;
/// Entries: in one page of history.
pub const HISTORY_ENTRIES_MAX: usize = 256;
/// Conversations: in one page of the inbox.
pub const INBOX_ITEMS_MAX: usize = 256;
/// Members: in one `RosterMembers`.
pub const ROSTER_MEMBERS_PER_FRAME_MAX: usize = 256;
/// Members of a group: above it marks, typing and presence are not sent to the others.
pub const FAN_OUT_MEMBERS_MAX: usize = 64;
/// From the end of the handshake to a whole Hello.
pub const HELLO_TIMEOUT: Duration = Duration::from_millis(5_000);
/// Bidirectional streams of a client before `Welcome`.
pub const FIRST_FLIGHT_STREAMS_MAX: usize = 16;
/// Bytes: of stream data before `Welcome`.
pub const FIRST_FLIGHT_BYTES_MAX: usize = 65_536;
/// Bidirectional streams of a client after `Welcome`.
pub const BIDIRECTIONAL_STREAMS_MAX: usize = 64;
/// Unidirectional streams that a client permits the server: log lanes.
pub const UNIDIRECTIONAL_STREAMS_MAX: usize = 64;
/// A Presence not renewed by then means not known.
pub const PRESENCE_TTL: Duration = Duration::from_millis(70_000);
/// How often a client repeats PresenceUpdate, and a server Presence.
pub const PRESENCE_RENEW: Duration = Duration::from_millis(30_000);
/// From the last packet of a client that vanished.
pub const OFFLINE_AFTER: Duration = Duration::from_millis(30_000);
/// From a client's goodbye with `away` to its device being offline.
pub const AWAY_AFTER_GOODBYE: Duration = Duration::from_millis(900_000);
/// A Typing not renewed by then has ended.
pub const TYPING_TTL: Duration = Duration::from_millis(6_000);
/// How often a client repeats TypingUpdate while the user types.
pub const TYPING_RENEW: Duration = Duration::from_millis(3_000);
/// Datagrams: from a client in a second, and twice as many at once; more are dropped.
pub const DATAGRAMS_PER_SECOND_MAX: usize = 20;
/// Bytes: the longest Entry or Send frame of which a copy is sent in a datagram.
pub const HEDGED_FRAME_BYTES_MAX: usize = 900;
/// A copy in a datagram waits an eighth of the round trip behind the one on the lane, and at least this.
pub const HEDGE_DELAY_MIN: Duration = Duration::from_millis(5);
/// And at most this.
pub const HEDGE_DELAY_MAX: Duration = Duration::from_millis(50);
