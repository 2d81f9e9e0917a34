//! The client's streams other than the control stream: the first frame tells what each is for.
//!
//! A request is one frame, answered on the same stream, which then ends. A refusal is a `Problem` in place of
//! the answer; it concerns nothing but this request.

use std::sync::Arc;

use bytes::BytesMut;
use fulmar_protocol::{
    BlockRequest, Done, ErrorCode, Explanation, Frame, HistoryEnd, HistoryRequest, InboxEnd, InboxRequest,
    Problem, Roster, RosterMembers, RosterRequest, SettingsRequest, limits,
};
use tokio::sync::Semaphore;

use super::{
    End, end_of,
    read_ahead::ReadAhead,
    send_lane::{LaneStream, SendLane},
};
use crate::{
    fanout::SessionHandle,
    log::{HistoryItem, LogError},
    transport::{frames::FrameReader, tuning::Priority},
};

/// A stream that the client opened.
pub(super) struct ClientStream {
    pub(super) handle: Arc<SessionHandle>,
    /// Turns to be worked on.
    pub(super) requests: Arc<Semaphore>,
    pub(super) lane: LaneStream,
}

/// What a stream is for; nothing when it ended without a word, or was given up, which is no harm.
pub(super) async fn first_frame(reader: &mut FrameReader) -> Result<Option<Frame>, End> {
    match reader.next().await {
        Ok(first) => Ok(first),
        Err(error) if error.is_reset() => Ok(None),
        Err(error) => Err(end_of(&error)),
    }
}

/// Why a request has no answer.
enum Refusal {
    Code(ErrorCode),
    Log(LogError),
    Gone,
}

impl From<LogError> for Refusal {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<quinn::WriteError> for Refusal {
    fn from(_: quinn::WriteError) -> Self {
        Self::Gone
    }
}

impl ClientStream {
    /// Serves the stream that begins with `first`, to its end.
    pub(super) async fn serve(mut self, first: Frame) -> Result<(), End> {
        if let Frame::SendOpen(open) = first {
            return SendLane::serve(self.lane, open).await;
        }
        let _ = self.lane.send.set_priority(Priority::Request.value());
        let requests = Arc::clone(&self.requests);
        // Closed only with the session.
        let Ok(_turn) = requests.acquire().await else { return Ok(()) };
        let answered = match first {
            Frame::HistoryRequest(request) => self.history(request).await,
            Frame::InboxRequest(request) => self.inbox(request).await,
            Frame::RosterRequest(request) => self.roster(request).await,
            Frame::BlockRequest(request) => self.block(request).await,
            Frame::SettingsRequest(request) => self.settings(request).await,
            _ => return Err(ErrorCode::FrameUnexpected),
        };
        let code = match answered {
            Ok(()) => None,
            Err(Refusal::Code(code)) => Some(code),
            Err(Refusal::Log(error)) => {
                if !matches!(error, LogError::Refused(_)) {
                    tracing::warn!(%error, "a request failed");
                }
                Some(error.code())
            }
            Err(Refusal::Gone) => return Ok(()),
        };
        if let Some(code) = code {
            self.lane.shared.metrics.error(code);
            let problem = Problem {
                code,
                message: Explanation::new(code.name()),
                conversation_id: None,
                batch: None,
                retry_after: None,
            };
            let _ = crate::transport::frames::write(&mut self.lane.send, &Frame::Problem(problem)).await;
        }
        let _ = self.lane.send.finish();
        Ok(())
    }

    async fn history(&mut self, request: HistoryRequest) -> Result<(), Refusal> {
        request.check()?;
        let user = self.handle.identity.user.clone();
        let log = Arc::clone(&self.lane.shared.log);
        let (id, direction) = (request.conversation_id, request.direction);
        let mut from = Some(request.from_seq).filter(|seq| *seq > fulmar_protocol::Seq::ZERO);
        let mut left = usize::try_from(request.limit).unwrap_or(limits::HISTORY_ENTRIES_MAX);
        let mut ahead = ReadAhead::new();
        // In parts, so that a page that nobody reads is not in memory as a whole.
        let end = loop {
            let page = log.history(&user, id, from, direction, ahead.entries().min(left)).await?;
            let (mut entries, mut bytes) = (0, Vec::new());
            for item in &page.items {
                if let HistoryItem::Entry(entry) = item {
                    entries += 1;
                    bytes.push(entry.frame.len());
                }
            }
            ahead.take(bytes.into_iter());
            left = left.saturating_sub(entries);
            let (next_seq, head_seq) = (page.next, page.head);
            for item in page.items {
                match item {
                    HistoryItem::Entry(entry) => self.lane.send.write_chunk(entry.frame).await?,
                    HistoryItem::Hole(hole) => self.answer(&Frame::Hole(hole)).await?,
                }
            }
            if left == 0 || next_seq.is_none() {
                break HistoryEnd { next_seq, head_seq };
            }
            from = next_seq;
        };
        self.answer(&Frame::HistoryEnd(end)).await
    }

    async fn inbox(&mut self, request: InboxRequest) -> Result<(), Refusal> {
        request.check()?;
        let limit = usize::try_from(request.limit).unwrap_or(limits::INBOX_ITEMS_MAX);
        let identity = &self.handle.identity;
        let after = request.after_conversation_id;
        let (items, next) =
            self.lane.shared.log.inbox(&identity.user, &identity.device, after, limit).await?;
        let mut buffer = BytesMut::new();
        for item in items {
            Frame::InboxItem(item).encode(&mut buffer);
        }
        Frame::InboxEnd(InboxEnd { next_conversation_id: next }).encode(&mut buffer);
        Ok(self.lane.send.write_chunk(buffer.freeze()).await?)
    }

    async fn roster(&mut self, request: RosterRequest) -> Result<(), Refusal> {
        let id = request.conversation_id;
        let summary = self.lane.shared.log.roster_summary(&self.handle.identity.user, id).await?;
        let summary = summary.ok_or(ErrorCode::ConversationNotFound)?;
        let mut buffer = BytesMut::new();
        Frame::Roster(Roster {
            kind: id.kind(),
            title: summary.title,
            history_policy: summary.history_policy,
            members: u32::try_from(summary.members.len()).unwrap_or(u32::MAX),
            head_seq: summary.head,
        })
        .encode(&mut buffer);
        for members in summary.members.chunks(limits::ROSTER_MEMBERS_PER_FRAME_MAX) {
            Frame::RosterMembers(RosterMembers { members: members.to_vec() }).encode(&mut buffer);
        }
        Ok(self.lane.send.write_chunk(buffer.freeze()).await?)
    }

    async fn block(&mut self, request: BlockRequest) -> Result<(), Refusal> {
        let user = &self.handle.identity.user;
        self.lane.shared.log.set_block(user, &request.user, request.blocked).await?;
        self.lane.shared.hub.set_blocked(user, &request.user, request.blocked);
        if let Some(node) = &self.lane.shared.node {
            node.set_blocked(user, &request.user, request.blocked).await?;
        }
        self.answer(&Frame::Done(Done)).await
    }

    async fn settings(&mut self, request: SettingsRequest) -> Result<(), Refusal> {
        let user = &self.handle.identity.user;
        self.lane.shared.log.set_settings(user, request.refuse_new_direct_messages).await?;
        self.answer(&Frame::Done(Done)).await
    }

    async fn answer(&mut self, frame: &Frame) -> Result<(), Refusal> {
        Ok(crate::transport::frames::write(&mut self.lane.send, frame).await?)
    }
}
