//! A send lane: the sends of one device to one conversation, and their answers on the same stream.
//!
//! Answers leave in the order of the sends. At most `UNANSWERED_SENDS_MAX` sends are unanswered: one more
//! resets the lane. Their bytes have a session-wide bound, beyond which the stream is not read and QUIC's flow
//! control tells the client. The lane ends when the client ends it; its sends, once queued, are carried out regardless.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use fulmar_protocol::{
    Accepted, BodyHash, ClientSeq, Content, ConversationId, ErrorCode, Explanation, Frame, Refused, Send,
    SendOpen, UserId, limits,
};
use parking_lot::Mutex;
use quinn::SendStream;
use tokio::sync::{Semaphore, oneshot};

use super::{
    End, Shared, end_of,
    hedging::{Hedging, OrderedSends},
    opening::Admission,
};
use crate::{
    limits::UNANSWERED_BYTES_PER_SESSION_MAX,
    log::{Conversation, LaneState, LogError, PendingSend, SendOutcome, SendRequest, Sender},
    transport::{
        frames::{FrameReader, varint},
        tuning::Priority,
    },
};

/// Conversations for which this session has a send lane: at most one each.
pub(super) type OpenLanes = Arc<Mutex<HashSet<ConversationId>>>;

/// An answer on its way.
enum Answer {
    Ready(Frame),
    Waiting(ClientSeq, oneshot::Receiver<Result<SendOutcome, LogError>>),
}

/// A stream that may be a send lane, and what one needs: of a session, or of a connection that has none yet.
pub(super) struct LaneStream {
    pub(super) shared: Arc<Shared>,
    pub(super) sender: Sender,
    pub(super) unanswered: Arc<Semaphore>,
    pub(super) send_lanes: OpenLanes,
    pub(super) hedging: Arc<Hedging>,
    /// Of a lane that came in early data: tells when there is a session.
    pub(super) admission: Option<Admission>,
    pub(super) send: SendStream,
    pub(super) reader: FrameReader,
}

impl LaneStream {
    /// Ends a lane that cannot be. The connection goes on.
    fn refuse_lane(&mut self, code: ErrorCode) -> Result<(), End> {
        self.shared.metrics.error(code);
        self.reader.stop(code);
        let _ = self.send.reset(varint(code));
        Ok(())
    }
}

pub(super) struct SendLane {
    stream: LaneStream,
    conversation: Arc<Conversation>,
    peer: Option<UserId>,
    sender: Sender,
    answers: VecDeque<Answer>,
    state: Arc<LaneState>,
    /// What hedges of the conversation go by; `None` where none are taken.
    ordered: Option<Arc<OrderedSends>>,
    /// The conversation did not exist when last asked: the first send starts it, and is counted.
    starts_conversation: bool,
}

impl SendLane {
    /// Runs the lane that begins with `open`.
    pub(super) async fn serve(mut stream: LaneStream, open: SendOpen) -> Result<(), End> {
        // Answers to sends are what somebody looks at a clock for.
        let _ = stream.send.set_priority(Priority::Control.value());
        let sender = stream.sender.clone();
        let id = open.conversation_id;
        if open.peer.is_some() && !open.names_its_peer(&sender.user) {
            if let Some(ordered) = stream.hedging.sends_of(id) {
                ordered.close();
            }
            return stream.refuse_lane(ErrorCode::DirectIdMismatch);
        }
        if !stream.send_lanes.lock().insert(id) {
            return stream.refuse_lane(ErrorCode::LaneAlreadyOpen);
        }
        let lanes = Arc::clone(&stream.send_lanes);
        let ordered = stream.hedging.sends_of(id);
        let head = stream.shared.log.head(&id).await;
        let mut lane = Self {
            conversation: stream.shared.log.conversation(id),
            stream,
            peer: open.peer,
            sender,
            answers: VecDeque::new(),
            state: ordered.as_ref().map(|ordered| ordered.lane_state()).unwrap_or_default(),
            ordered,
            starts_conversation: matches!(head, Ok(None)),
        };
        let result = lane.run().await;
        lanes.lock().remove(&id);
        result
    }

    async fn run(&mut self) -> Result<(), End> {
        let mut open = true;
        while open || !self.answers.is_empty() {
            tokio::select! {
                biased;
                frame = next_answer(&mut self.answers) => {
                    if self.write_answers(frame).await.is_err() {
                        // The client has gone, or wants no answers: it will ask again.
                        return Ok(());
                    }
                }
                frame = self.stream.reader.next(), if open => match frame {
                    Ok(Some(Frame::Send(send))) => {
                        if self.answers.len() >= limits::UNANSWERED_SENDS_MAX {
                            if let Some(ordered) = &self.ordered {
                                ordered.close();
                            }
                            return self.stream.refuse_lane(ErrorCode::TooManyUnanswered);
                        }
                        self.send(send).await;
                    }
                    Ok(Some(_)) => return Err(ErrorCode::FrameUnexpected),
                    Ok(None) => open = false,
                    Err(error) if error.is_reset() => open = false,
                    Err(error) => return Err(end_of(&error)),
                },
            }
        }
        let _ = self.stream.send.finish();
        Ok(())
    }

    async fn send(&mut self, send: Send) {
        let client_seq = send.client_seq;
        let user = &self.sender.user;
        let log = &self.stream.shared.log;
        // A hedge was counted; this is its other copy.
        let hedged = self.ordered.as_ref().is_some_and(|ordered| ordered.pass(client_seq));
        if !hedged && let Err(wait) = self.stream.shared.rates.send(user) {
            self.refuse(client_seq, ErrorCode::RateLimited, Some(wait));
            return;
        }
        self.starts_conversation &= !self.ordered.as_ref().is_some_and(|ordered| ordered.is_start_counted());
        // It may have begun since, from the other side.
        if self.starts_conversation && matches!(log.head(&self.conversation.id).await, Ok(Some(_))) {
            self.starts_conversation = false;
        }
        if self.starts_conversation {
            match self.stream.shared.rates.start_conversation(user) {
                Ok(()) => self.starts_conversation = false,
                Err(wait) => {
                    self.refuse(client_seq, ErrorCode::ConversationRateLimited, Some(wait));
                    return;
                }
            }
        }
        let request = SendRequest {
            sender: self.sender.clone(),
            client_seq,
            hash: BodyHash::of(&send.content),
            parsed: Content::decode(&send.content).map_err(|error| error.code()),
            content: send.content,
            peer: self.peer.clone(),
            lane: Arc::clone(&self.state),
            early: self.stream.admission.as_ref().is_some_and(|admission| admission.borrow().is_none()),
        };
        self.submit(request).await;
    }

    /// Hands a send to the log. Early ones one at a time: one that has to wait must not have those behind it
    /// refused.
    async fn submit(&mut self, request: SendRequest) {
        let client_seq = request.client_seq;
        let Some(mut answered) = self.queue(request.clone()).await else { return };
        if request.early {
            let result = answered.await.unwrap_or_else(|_| Err(given_up()));
            let Ok(SendOutcome::Deferred) = result else {
                self.answers.push_back(Answer::Ready(answer_frame(client_seq, result)));
                return;
            };
            let Some(admission) = &mut self.stream.admission else { return };
            if admission.wait_for(Option::is_some).await.is_err() {
                // There will be no session.
                return;
            }
            let Some(again) = self.queue(SendRequest { early: false, ..request }).await else { return };
            answered = again;
        }
        self.answers.push_back(Answer::Waiting(client_seq, answered));
    }

    async fn queue(&self, request: SendRequest) -> Option<oneshot::Receiver<Result<SendOutcome, LogError>>> {
        let size = request.content.len().clamp(1, UNANSWERED_BYTES_PER_SESSION_MAX);
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        // Closed only with the session.
        let room = Arc::clone(&self.stream.unanswered).acquire_many_owned(size).await.ok()?;
        let (answer, answered) = oneshot::channel();
        self.stream.shared.log.submit(&self.conversation, PendingSend { request, answer, _room: room });
        Some(answered)
    }

    fn refuse(&mut self, client_seq: ClientSeq, code: ErrorCode, retry_after: Option<Duration>) {
        self.answers.push_back(Answer::Ready(refused(client_seq, code, None, retry_after)));
    }

    /// Writes one answer, and all others that are ready, at once.
    async fn write_answers(&mut self, first: Frame) -> Result<(), quinn::WriteError> {
        let mut buffer = BytesMut::new();
        self.put(&first, &mut buffer);
        while let Some(answer) = self.answers.front_mut() {
            let frame = match answer {
                Answer::Ready(frame) => frame.clone(),
                Answer::Waiting(client_seq, answered) => match answered.try_recv() {
                    Ok(result) => answer_frame(*client_seq, result),
                    Err(_) => break,
                },
            };
            self.answers.pop_front();
            self.put(&frame, &mut buffer);
        }
        self.stream.send.write_chunk(buffer.freeze()).await
    }

    fn put(&self, frame: &Frame, buffer: &mut BytesMut) {
        if let Frame::Refused(refused) = frame {
            self.stream.shared.metrics.error(refused.code);
            if let Some(ordered) = &self.ordered {
                ordered.refused(refused.code);
            }
        }
        frame.encode(buffer);
    }
}

/// The next answer, in the order of the sends; pending while there is none. Cancel safe.
async fn next_answer(answers: &mut VecDeque<Answer>) -> Frame {
    let frame = match answers.front_mut() {
        None => std::future::pending().await,
        Some(Answer::Ready(frame)) => frame.clone(),
        Some(Answer::Waiting(client_seq, answered)) => {
            let client_seq = *client_seq;
            let result = answered.await.unwrap_or_else(|_| Err(given_up()));
            answer_frame(client_seq, result)
        }
    };
    answers.pop_front();
    frame
}

fn given_up() -> LogError {
    LogError::Unfinished("the append was given up".to_owned())
}

fn answer_frame(client_seq: ClientSeq, result: Result<SendOutcome, LogError>) -> Frame {
    match result {
        Ok(SendOutcome::Accepted { seq, at, .. }) => Frame::Accepted(Accepted { client_seq, seq, at }),
        Ok(SendOutcome::Refused { code, expected }) => refused(client_seq, code, expected, None),
        // Only early sends are, and those are not answered with it.
        Ok(SendOutcome::Deferred) => refused(client_seq, ErrorCode::Internal, None, None),
        Err(error) => refused(client_seq, error.code(), None, Some(Duration::from_secs(1))),
    }
}

fn refused(
    client_seq: ClientSeq,
    code: ErrorCode,
    expected: Option<ClientSeq>,
    retry_after: Option<Duration>,
) -> Frame {
    Frame::Refused(Refused {
        client_seq,
        code,
        message: Explanation::new(code.name()),
        retry_after,
        expected_client_seq: expected,
    })
}
