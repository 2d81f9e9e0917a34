//! Requests: one bidirectional stream each, made by the caller's own future. Dropping it resets the stream.
//!
//! Bounds: `REQUESTS_MAX` at once, `REQUEST_TIMEOUT` each with the wait for a session, and so many items an
//! answer may have. A server that answers otherwise than the protocol says has its connection closed.

use bytes::Bytes;
use fulmar_protocol::{
    BlockRequest, Content, ConversationId, Entry, ErrorCode, Frame, HistoryRequest, Hole, InboxRequest,
    Problem, RosterRequest, Seq, SettingsRequest, UserId,
};
use quinn::Connection;

use crate::error::ClientError;
use crate::history::{HistoryEntry, HistoryItem, HistoryPage, HistoryQuery};
use crate::inbox::InboxItem;
use crate::limits::{INBOX_ITEMS_TOTAL_MAX, REQUEST_TIMEOUT, REQUESTS_MAX, ROSTER_MEMBERS_TOTAL_MAX};
use crate::roster::{Member, Roster};
use crate::shared::{Link, Shared};
use crate::transport::{FrameReader, ReadError, close_for};

/// A user's settings, kept by the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether direct conversations that do not exist yet are refused.
    pub refuse_new_direct_messages: bool,
}

/// The answers to one request.
struct Answers<'c> {
    connection: &'c Connection,
    frames: FrameReader,
}

impl<'c> Answers<'c> {
    /// Opens a stream and asks.
    async fn ask(connection: &'c Connection, request: &Frame) -> Result<Self, ClientError> {
        let lost = |error: &dyn std::fmt::Display| ClientError::ConnectionLost { cause: error.to_string() };
        let (mut stream, answers) = connection.open_bi().await.map_err(|error| lost(&error))?;
        // Behind everything that is live; an answer's size is the server's to rank.
        let _ = stream.set_priority(-1);
        match stream.write_all(&request.to_bytes()).await {
            Ok(()) => {}
            // The server stopped reading; its answer says why.
            Err(quinn::WriteError::Stopped(_)) => {}
            Err(error) => return Err(lost(&error)),
        }
        let _ = stream.finish();
        Ok(Self { connection, frames: FrameReader::new(answers) })
    }

    /// The next frame of the answer. A refusal is an error; so is an early end.
    async fn next(&mut self) -> Result<Frame, ClientError> {
        match self.optional().await? {
            Some(frame) => Ok(frame),
            None => Err(self.breach(ErrorCode::FrameTruncated, "an answer ended before its end")),
        }
    }

    /// The next frame of the answer, or its end.
    async fn optional(&mut self) -> Result<Option<Frame>, ClientError> {
        match self.frames.next().await {
            Ok(Some(Frame::Problem(problem))) => Err(refusal(problem)),
            Ok(frame) => Ok(frame),
            Err(ReadError::Reset(code)) => Err(ClientError::refused(code)),
            Err(error @ (ReadError::Lost(_) | ReadError::EarlyRefused)) => {
                Err(ClientError::ConnectionLost { cause: error.to_string() })
            }
            Err(ReadError::Breach(error)) => Err(self.breach(error.code(), &error.to_string())),
        }
    }

    /// Closes the connection over a frame that does not belong here.
    fn unexpected(&self, frame: &Frame) -> ClientError {
        let cause = format!("{} does not answer this request", frame.frame_type());
        self.breach(ErrorCode::FrameUnexpected, &cause)
    }

    fn breach(&self, code: ErrorCode, cause: &str) -> ClientError {
        close_for(self.connection, code, cause);
        ClientError::Protocol { code, cause: cause.to_owned() }
    }
}

fn refusal(problem: Problem) -> ClientError {
    ClientError::Refused {
        code: problem.code,
        message: problem.message.to_string(),
        retry_after: problem.retry_after,
    }
}

/// Runs a request when there is a session, within the time allowed.
async fn with_connection<T>(
    shared: &Shared,
    what: &'static str,
    request: impl AsyncFnOnce(&Connection) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let run = async {
        let _permit = shared.requests.acquire().await.map_err(|_| ClientError::Closed)?;
        let connection = connection(shared).await?;
        request(&connection).await
    };
    match tokio::time::timeout(REQUEST_TIMEOUT, Box::pin(run)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ClientError::Timeout { what, after: REQUEST_TIMEOUT }),
    }
}

async fn connection(shared: &Shared) -> Result<Connection, ClientError> {
    let mut link = shared.link.clone();
    let link = link.wait_for(|link| !matches!(link, Link::Down)).await.map_err(|_| shared.closed())?;
    match &*link {
        Link::Up(connection) => Ok(connection.clone()),
        Link::Ended(error) => Err(error.clone()),
        Link::Down => Err(ClientError::Closed),
    }
}

/// How many requests may be under way at once.
pub(crate) fn permits() -> tokio::sync::Semaphore {
    tokio::sync::Semaphore::new(REQUESTS_MAX)
}

pub(crate) async fn history(
    shared: &std::sync::Arc<Shared>,
    conversation: ConversationId,
    query: HistoryQuery,
) -> Result<HistoryPage, ClientError> {
    if query.limit == 0 || query.limit > HistoryQuery::LIMIT_MAX {
        let expected = format!("1 to {}", HistoryQuery::LIMIT_MAX);
        return Err(ClientError::ArgumentInvalid { what: "the limit of a history page", expected });
    }
    let page = with_connection(shared, "the history request", async |connection| {
        history_page(connection, conversation, query).await
    })
    .await?;
    let RawPage { items, next, head } = page;
    Ok(HistoryPage { items, next, head, conversation, shared: std::sync::Arc::clone(shared) })
}

/// A page without its handle.
pub(crate) struct RawPage {
    pub(crate) items: Vec<HistoryItem>,
    pub(crate) next: Option<Seq>,
    pub(crate) head: Seq,
}

/// Fetches a page over a connection.
pub(crate) async fn history_page(
    connection: &Connection,
    conversation: ConversationId,
    query: HistoryQuery,
) -> Result<RawPage, ClientError> {
    let forward = query.direction == fulmar_protocol::Direction::Forward;
    let start = if forward { Seq::FIRST } else { Seq::ZERO };
    let request = Frame::HistoryRequest(HistoryRequest {
        conversation_id: conversation,
        from_seq: query.from.unwrap_or(start),
        direction: query.direction,
        limit: query.limit,
    });
    let mut answers = Answers::ask(connection, &request).await?;
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let mut items: Vec<HistoryItem> = Vec::new();
    loop {
        let item = match answers.next().await? {
            Frame::Entry(entry) => HistoryItem::Entry(read_back(entry)),
            Frame::Hole(Hole { range, reason }) => {
                HistoryItem::Hole { first: range.first(), last: range.last(), reason }
            }
            Frame::HistoryEnd(end) => {
                return Ok(RawPage { items, next: end.next_seq, head: end.head_seq });
            }
            other => return Err(answers.unexpected(&other)),
        };
        let in_order = items.last().is_none_or(|before| {
            if forward { before.last() < item.first() } else { before.first() > item.last() }
        });
        // Between two entries there is at most one hole.
        if !in_order || items.len() > 2 * limit {
            return Err(answers.breach(ErrorCode::FrameUnexpected, "a history page out of order or too long"));
        }
        items.push(item);
    }
}

fn read_back(entry: Entry) -> HistoryEntry {
    HistoryEntry {
        seq: entry.seq,
        ordinal: entry.ordinal,
        sender: entry.sender,
        at: entry.at,
        content: decode_content(&entry.content),
        client_seq: entry.client_seq,
    }
}

/// A content that this version can read, or `None`: one entry of a later edition must not end a log.
pub(crate) fn decode_content(content: &Bytes) -> Option<Content> {
    Content::decode(content).map_err(|error| tracing::debug!(%error, "a content that cannot be read")).ok()
}

pub(crate) async fn inbox(shared: &Shared) -> Result<Vec<InboxItem>, ClientError> {
    with_connection(shared, "the inbox request", async |connection| {
        let mut items = Vec::new();
        let mut after = None;
        loop {
            let before = items.len();
            let next = inbox_page(connection, after, &mut items).await?;
            let progressed = items.len() > before && next > after;
            match next {
                Some(_) if progressed && items.len() < INBOX_ITEMS_TOTAL_MAX => after = next,
                _ => return Ok(items),
            }
        }
    })
    .await
}

/// Fetches one page; returns where the next one starts.
async fn inbox_page(
    connection: &Connection,
    after: Option<ConversationId>,
    items: &mut Vec<InboxItem>,
) -> Result<Option<ConversationId>, ClientError> {
    let most = fulmar_protocol::limits::INBOX_ITEMS_MAX;
    let limit = u32::try_from(most).unwrap_or(u32::MAX);
    let request = Frame::InboxRequest(InboxRequest { after_conversation_id: after, limit });
    let mut answers = Answers::ask(connection, &request).await?;
    let mut count = 0;
    loop {
        match answers.next().await? {
            Frame::InboxItem(item) if count < most => {
                count += 1;
                items.push(InboxItem {
                    conversation: item.conversation_id,
                    kind: item.kind(),
                    peer: item.peer,
                    title: item.title.to_string(),
                    head: item.head_seq,
                    read: item.read_seq,
                    unread: item.head_ordinal.get().saturating_sub(item.read_ordinal.get()),
                    last_at: item.last_at,
                    role: item.role,
                    cursor: item.cursor_seq,
                });
            }
            Frame::InboxEnd(end) => return Ok(end.next_conversation_id),
            other => return Err(answers.unexpected(&other)),
        }
    }
}

pub(crate) async fn roster(shared: &Shared, conversation: ConversationId) -> Result<Roster, ClientError> {
    with_connection(shared, "the roster request", async |connection| {
        let request = Frame::RosterRequest(RosterRequest { conversation_id: conversation });
        let mut answers = Answers::ask(connection, &request).await?;
        let mut roster = match answers.next().await? {
            Frame::Roster(frame) => Roster {
                kind: frame.kind,
                title: frame.title.to_string(),
                history_policy: frame.history_policy,
                head: frame.head_seq,
                members: Vec::new(),
            },
            other => return Err(answers.unexpected(&other)),
        };
        while let Some(frame) = answers.optional().await? {
            let members = match frame {
                Frame::RosterMembers(frame) => frame.members,
                other => return Err(answers.unexpected(&other)),
            };
            if roster.members.len().saturating_add(members.len()) > ROSTER_MEMBERS_TOTAL_MAX {
                return Err(answers.breach(ErrorCode::FrameUnexpected, "a roster too long"));
            }
            roster.members.extend(members.into_iter().map(|member| Member {
                user: member.user,
                role: member.role,
                delivered: member.delivered_seq,
                read: member.read_seq,
            }));
        }
        Ok(roster)
    })
    .await
}

pub(crate) async fn block(shared: &Shared, user: &UserId, blocked: bool) -> Result<(), ClientError> {
    let request = Frame::BlockRequest(BlockRequest { user: user.clone(), blocked });
    done(shared, "the block request", &request).await
}

pub(crate) async fn settings(shared: &Shared, settings: Settings) -> Result<(), ClientError> {
    let Settings { refuse_new_direct_messages } = settings;
    let request = Frame::SettingsRequest(SettingsRequest { refuse_new_direct_messages });
    done(shared, "the settings request", &request).await
}

async fn done(shared: &Shared, what: &'static str, request: &Frame) -> Result<(), ClientError> {
    with_connection(shared, what, async |connection| {
        let mut answers = Answers::ask(connection, request).await?;
        match answers.next().await? {
            Frame::Done(_) => Ok(()),
            other => Err(answers.unexpected(&other)),
        }
    })
    .await
}
