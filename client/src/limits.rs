//! Every bound of the client, in one place, with what happens when it is reached.
//!
//! The bounds that both ends keep are in `fulmar_protocol::limits`; those here are the client's own.

use std::time::Duration;

/// Sends in one conversation's outbox, on disk and unanswered. The next `enqueue` waits for room.
pub(crate) const OUTBOX_ITEMS_MAX: usize = 1_024;
/// Bytes of content in all outboxes together. The next `enqueue` waits for room.
pub(crate) const OUTBOX_BYTES_MAX: usize = 32 * 1_024 * 1_024;
/// Calls of `enqueue` that wait for room in one conversation. One more fails with `OutboxFull`.
pub(crate) const ENQUEUE_WAITING_MAX: usize = 1_024;
/// Commands on their way from handles to the driver. The next caller waits.
pub(crate) const COMMANDS_MAX: usize = 256;
/// Commands taken in one turn of the driver's loop, so that they share writes and syncs.
pub(crate) const COMMANDS_PER_TURN_MAX: usize = 128;
/// Frames on their way from reader tasks to the driver. The readers wait, and QUIC holds the server back.
pub(crate) const INPUTS_MAX: usize = 64;
/// Frames taken in one turn of the driver's loop.
pub(crate) const INPUTS_PER_TURN_MAX: usize = 64;
/// Kibibytes of events that wait for the app; each frame counts as its payload and one more. Then lanes are
/// read no further until the app takes some.
pub(crate) const EVENTS_KIB_MAX: u32 = 1_024;
/// Conversations known. Beyond, the one unused for longest is forgotten, of those to which nothing was ever
/// sent from here; the server has its cursor. Only when all of them hold confirmations that the server does
/// not have yet may that mean that entries are handed over again. Conversations that were sent to are kept,
/// as many as the app makes; of the server's making there are at most twice as many as this.
pub(crate) const CONVERSATIONS_TRACKED_MAX: usize = 10_000;
/// Contents of accepted sends kept until the log brings them back, all together in bytes. The oldest is
/// forgotten, and fetched from history when its turn comes.
pub(crate) const RECENTLY_SENT_BYTES_MAX: usize = 1_024 * 1_024;
/// Send lanes open at once, so that 16 and more streams stay free for requests. The idle one unused for
/// longest is closed; with none idle the conversation waits.
pub(crate) const SEND_LANES_MAX: usize = 32;
/// A send lane without an unanswered send is closed after this.
pub(crate) const SEND_LANE_IDLE: Duration = Duration::from_secs(30);
/// A closed send lane that the server has not closed by then is reset.
pub(crate) const SEND_LANE_CLOSING: Duration = Duration::from_secs(10);
/// A send not answered by then: its lane is reset, and it is sent again on a new one.
pub(crate) const SEND_ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Refusals in a row on one send lane that ask for the same again; then it is reset and rests for a while.
pub(crate) const REFUSALS_IN_A_ROW_MAX: u32 = 256;
/// Entries fetched at once when the content of an own entry is not known any more.
pub(crate) const OWN_FETCH_ENTRIES: u32 = 16;
/// Conversations watched only because receipts are awaited in them: a watched lane stays open, and there are
/// 64 streams for all. In further ones receipts come with the next news.
pub(crate) const RECEIPTS_WATCHED_MAX: usize = 16;
/// After a change of network the server must answer within this, or the connection is given up.
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a grease datagram that go along with that question: about as many as a datagram may have.
pub(crate) const PADDING_BYTES: usize = fulmar_protocol::limits::DATAGRAM_BYTES_MAX - 16;
/// Callers that wait for the answer to a Ping. One more fails.
pub(crate) const PINGS_MAX: usize = 64;
/// Requests (history, inbox, roster and so on) under way at once. The next caller waits.
pub(crate) const REQUESTS_MAX: usize = 16;
/// A request, its wait for a connection included.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Conversations in one answer to `inbox`, over all its pages. What is beyond is left out.
pub(crate) const INBOX_ITEMS_TOTAL_MAX: usize = 100_000;
/// Members in one answer to `roster`. More break the protocol.
pub(crate) const ROSTER_MEMBERS_TOTAL_MAX: usize = 500_000;
/// Connect, handshake and Welcome, in one attempt.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// The head start of one address before the next is tried beside it.
pub(crate) const ADDRESS_HEAD_START: Duration = Duration::from_millis(250);
/// And of one whose path is known to be slow: twice its round trip, but not more than this.
pub(crate) const ADDRESS_HEAD_START_MAX: Duration = Duration::from_secs(1);
/// Servers that the builder takes. One more is refused.
pub(crate) const SERVERS_MAX: usize = 16;
/// Addresses of one name that are tried; further ones are left out.
pub(crate) const ADDRESSES_PER_NAME_MAX: usize = 8;
/// Addresses tried in one attempt, over all servers; further ones are left out.
pub(crate) const ADDRESSES_MAX: usize = 24;
/// Of these at once. The oldest makes room for one more when it has had twice this many head starts.
pub(crate) const ADDRESSES_AT_ONCE_MAX: usize = 8;
/// A name that has not been looked up by then has no address.
pub(crate) const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(5);
/// The head start of names that are being looked up over addresses that are known already.
pub(crate) const LOOK_UP_HEAD_START: Duration = Duration::from_millis(50);
/// Failures of one attempt that its reason names; of further ones it tells how many.
pub(crate) const FAILURES_TOLD_MAX: usize = 4;
/// How long `connect` waits for the first Welcome unless the builder says otherwise.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// A token source that has not answered by then has failed.
pub(crate) const TOKEN_SOURCE_TIMEOUT: Duration = Duration::from_secs(30);
/// A new token is asked for when this much of the old one's life is left (a fifth of it, if that is less).
pub(crate) const TOKEN_RENEWAL_LEAD: Duration = Duration::from_secs(60);
/// A token that claims to hold longer is renewed after this all the same.
pub(crate) const TOKEN_LIFE_MAX: Duration = Duration::from_secs(365 * 24 * 3_600);
/// A source that failed, or whose token was refused within a session, is asked again after this or more.
pub(crate) const TOKEN_RETRY_MIN: Duration = Duration::from_secs(5);
/// And after this or less.
pub(crate) const TOKEN_RETRY_MAX: Duration = Duration::from_secs(15);
/// Attempts in a row that end with `token_expired` although the source was asked anew; then it is final.
pub(crate) const TOKEN_EXPIRED_IN_A_ROW_MAX: u32 = 3;
/// New device ids taken within one life of the client; then `client_seq_reused` is final.
pub(crate) const DEVICES_RENEWED_MAX: u32 = 3;
/// The first back-off is drawn from zero to this; each failure doubles it.
pub(crate) const BACKOFF_FIRST: Duration = Duration::from_millis(250);
/// No back-off is longer.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A session that lived this long counts as a success and resets the back-off.
pub(crate) const SESSION_SOUND_AFTER: Duration = Duration::from_secs(5);
/// Longest time a GoAway or a `retry_after` may keep the client away.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
/// Cursors and read marks wait this long for company.
pub(crate) const CONFIRM_DELAY: Duration = Duration::from_millis(50);
/// A Confirm not answered by then: the connection is taken for dead.
pub(crate) const CONFIRM_TIMEOUT: Duration = Duration::from_secs(30);
/// Confirmations that the server cannot store for the moment wait this long, unless it names a time.
pub(crate) const CONFIRM_RETRY: Duration = Duration::from_secs(1);
/// Changes of the state that nobody waits for are written after this at the latest.
pub(crate) const LAZY_WRITE: Duration = Duration::from_millis(200);
/// Send lanes in a first flight: what a server permits before Welcome, less the control stream.
pub(crate) const FLIGHT_LANES_MAX: usize = 15;
/// Bytes of sends in a first flight. What is beyond goes after Welcome.
pub(crate) const FLIGHT_BYTES_MAX: usize = 48 * 1_024;
/// A path that is tried and from which nothing comes for three round trips, but not less than this, is suspect: an
/// attempt begins beside the session.
pub(crate) const PATH_SILENT_MIN: Duration = Duration::from_millis(250);
/// And not more, whatever the round trip is thought to be.
pub(crate) const PATH_SILENT_MAX: Duration = Duration::from_secs(5);
/// How often the time until a path is suspect is doubled, when it turned out to be slow, not dead.
pub(crate) const PATH_PATIENCE_MAX: u32 = 3;
/// `session_replaced` within this time of another connection that this client began is its own doing: the Hello may
/// have been slow, and the news of it, too, each as long as a path may be dark without being given up.
pub(crate) const STRAY_GRACE: Duration = Duration::from_secs(120);
/// In the background: what is to be sent and confirmed has this long before the connection is let go.
pub(crate) const BACKGROUND_FLUSH: Duration = Duration::from_secs(2);
/// In the background: how long the client tries to send what was enqueued there. Then it waits for the next
/// `enqueue`, for another network, or for the foreground.
pub(crate) const BACKGROUND_ERRAND: Duration = Duration::from_secs(30);
/// In the background: the connection is let go when nothing has come for this long.
pub(crate) const BACKGROUND_QUIET: Duration = Duration::from_millis(200);
/// How long `close` waits for the server to store the last confirmations.
pub(crate) const CLOSE_FLUSH: Duration = Duration::from_secs(2);
/// How long the goodbye may take to leave.
pub(crate) const GOODBYE: Duration = Duration::from_millis(500);
/// Users and conversations whose presence or typing is remembered. The one soonest out of date is forgotten.
pub(crate) const PRESENCES_MAX: usize = 1_024;
/// Copies of sends that wait to leave as datagrams. The oldest gives way: its send has been on its lane for longest.
pub(crate) const HEDGES_WAITING_MAX: usize = 32;
/// Conversations in which this user types at once; in further ones it is told anew with each key.
pub(crate) const TYPING_CONVERSATIONS_MAX: usize = 64;
/// Frames sent to the control stream and not yet written; the client's own frames only, a handful a second.
pub(crate) const CONTROL_FRAMES_MAX: usize = 1_024;

/// QUIC: bytes of the whole connection that the server may send ahead of the readers.
pub(crate) const RECEIVE_WINDOW_BYTES: u32 = 1_024 * 1_024;
/// QUIC: bytes of one stream that the server may send ahead of its reader.
pub(crate) const STREAM_RECEIVE_WINDOW_BYTES: u32 = 256 * 1_024;
/// QUIC: bytes written and not yet acknowledged.
pub(crate) const SEND_WINDOW_BYTES: u64 = 512 * 1_024;
/// QUIC: bytes of datagrams that wait for the reader; the oldest are dropped.
pub(crate) const DATAGRAM_RECEIVE_BYTES: usize = 64 * 1_024;
/// QUIC: bytes of datagrams that wait to be sent; the oldest are dropped.
pub(crate) const DATAGRAM_SEND_BYTES: usize = 16 * 1_024;
/// Tickets for early data, a server. The oldest goes.
pub(crate) const TICKETS_PER_SERVER_MAX: usize = 8;
/// Servers whose tickets are kept. One more takes the place of another.
pub(crate) const TICKET_SERVERS_MAX: usize = 8;
/// Servers' addresses whose round trip is remembered. One more takes the place of another.
pub(crate) const PATHS_MAX: usize = 32;
/// QUIC: the round trip that a first loss is judged by is not less, whatever is remembered,
pub(crate) const INITIAL_RTT_MIN: Duration = Duration::from_millis(50);
/// nor more; and then it is stretched by up to a half, at random.
pub(crate) const INITIAL_RTT_MAX: Duration = Duration::from_secs(1);
/// A packet at least this often in the foreground, so that address translation does not forget the path.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(25);
/// QUIC: nothing from the server for this long ends the connection.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
