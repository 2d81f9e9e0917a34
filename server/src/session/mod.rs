//! A session: one authenticated connection, from Hello to goodbye.
//!
//! `serve` runs it to its end in the caller's task; everything it spawns lives in its `JoinSet` and ends
//! with it. The loop reads the control stream, takes in what streams and datagrams bring, and opens lanes
//! for conversations with news. Each lane and each request runs in a task of its own, so that one that
//! waits for its peer holds up no other.
//!
//! Bounds: streams by QUIC's limits, lanes by `lanes_max`, sends by permits for their bytes, control frames
//! by being answered one after another before the next is read (of Confirms, one may wait).

mod alternatives;
mod backlog;
mod control;
mod datagrams;
mod hedging;
mod hello;
mod log_lane;
mod lost_hints;
mod opening;
mod read_ahead;
mod requests;
mod send_lane;
mod shared;
mod watch;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use fulmar_protocol::{
    ConversationId, ErrorCode, Explanation, Frame, FrameDecoder, Generation, GoAway, Seq, TokenBucket, limits,
};
use quinn::{RecvStream, SendStream};
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

use crate::{
    fanout::SessionHandle,
    limits::{
        BACKLOG_LANES_MAX, BEHIND_PER_SESSION_MAX, LOST_HINTS_LOOK_SPREAD, UNANSWERED_BYTES_PER_SESSION_MAX,
    },
    log::{Behind, LogError, Missed, Sender},
    store::Snapshot,
    transport::{
        frames::{FrameReader, ReadError, varint},
        tuning,
    },
};

pub(crate) use alternatives::Alternatives;
pub(crate) use hello::accept;
pub(crate) use opening::Opening;
pub(crate) use shared::Shared;

/// Log lanes of one session. Fewer than the streams that a client permits: quinn tells the server of those
/// that ended only when they are more than an eighth, and until then none could be opened in their place.
const LANES_MAX: usize = limits::UNIDIRECTIONAL_STREAMS_MAX / 8 * 7;
/// How long writing to the control stream may take; a peer that takes longer has stopped reading.
const CONTROL_WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a session ends: the code that closes its connection.
type End = ErrorCode;

pub(crate) struct Session {
    shared: Arc<Shared>,
    handle: Arc<SessionHandle>,
    control_send: SendStream,
    control: FrameReader,
    confirming: Option<control::Confirming>,
    backlog_entries_max: u64,
    behind: VecDeque<Waiting>,
    /// The inbox held more than `behind` does.
    behind_more: bool,
    tasks: JoinSet<Result<(), End>>,
    streams_admitted: bool,
    /// Bytes of content that may be queued without an answer.
    unanswered: Arc<Semaphore>,
    /// Turns of requests to be worked on.
    requests: Arc<Semaphore>,
    /// Conversations with an open send lane.
    send_lanes: send_lane::OpenLanes,
    datagram_rate: TokenBucket,
    presence_generation: Generation,
    typing_generations: HashMap<ConversationId, Generation>,
    watching: watch::Watching,
    hedging: Arc<hedging::Hedging>,
}

/// A conversation that waits for a lane to carry its backlog.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    conversation: ConversationId,
    /// How far it reached when the session began, where that is known.
    began_behind: Option<Seq>,
}

impl Session {
    /// Runs the session until it ends, and says why. `beginning` is the store as it stood before Welcome: what
    /// came later is live.
    async fn run(&mut self, beginning: Snapshot) -> End {
        if let Err(end) = self.find_behind(&beginning, true).await {
            return end;
        }
        drop(beginning);
        let mut renewal = tokio::time::interval(limits::PRESENCE_RENEW);
        let mut look_at = self.next_look();
        loop {
            self.open_lanes();
            let expiry = tokio::time::sleep_until(self.expiry());
            let step = tokio::select! {
                biased;
                code = self.handle.ended() => Err(code),
                () = expiry => Err(ErrorCode::TokenExpired),
                Some(ended) = self.tasks.join_next() => ended.unwrap_or(Err(ErrorCode::Internal)),
                frame = self.control.next() => match self.control_frame(frame) {
                    // Boxed, as all that is rare here: a session waits for most of its time.
                    Ok(frame) => Box::pin(self.handle_control(frame)).await,
                    Err(end) => Err(end),
                },
                result = control::stored(&mut self.confirming) => Box::pin(self.answer_confirm(result)).await,
                () = self.handle.woken() => self.refill().await,
                stream = self.handle.connection().accept_bi() => self.accept_stream(stream),
                datagram = self.handle.connection().read_datagram() => self.accept_datagram(datagram).await,
                () = self.hedging.due() => {
                    self.hedging.send_due(&self.handle);
                    Ok(())
                }
                _ = renewal.tick() => self.renew_watch().await,
                () = tokio::time::sleep_until(look_at) => {
                    look_at = self.next_look();
                    self.look_for_lost_hints().await
                }
                () = self.handle.asked_to_look() => {
                    // Not at the same moment as all the others.
                    let spread = self.shared.rng.duration(Duration::ZERO..=LOST_HINTS_LOOK_SPREAD);
                    look_at = look_at.min(Instant::now() + spread);
                    Ok(())
                }
                () = self.shared.draining.cancelled() => self.go_away().await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// The moment the token expires, on the runtime's clock.
    fn expiry(&self) -> Instant {
        let left = self.handle.expires_at().get().saturating_sub(self.shared.log.now().get());
        Instant::now() + Duration::from_millis(left)
    }

    fn control_frame(&self, frame: Result<Option<Frame>, ReadError>) -> Result<Frame, End> {
        match frame {
            Ok(Some(frame)) => Ok(frame),
            // The control stream lasts as long as the session.
            Ok(None) => Err(ErrorCode::FrameUnexpected),
            Err(error) => Err(end_of(&error)),
        }
    }

    /// Opens lanes while the bounds allow: first where there is news, then where this device is behind.
    fn open_lanes(&mut self) {
        while let Some((conversation, signal)) = self.handle.next_news(LANES_MAX) {
            let behind = self.behind.iter().find(|behind| behind.conversation == conversation);
            self.spawn_lane(conversation, signal, behind.and_then(|behind| behind.began_behind));
        }
        while self.handle.has_backlog_room(BACKLOG_LANES_MAX, LANES_MAX) {
            let Some(behind) = self.behind.pop_front() else { return };
            if let Some(signal) = self.handle.open_backlog_lane(behind.conversation, LANES_MAX) {
                self.spawn_lane(behind.conversation, signal, behind.began_behind);
            }
        }
        if !self.behind.is_empty() {
            self.handle.make_room_for_backlog(BACKLOG_LANES_MAX, LANES_MAX);
        }
    }

    fn spawn_lane(
        &mut self,
        conversation: ConversationId,
        signal: Arc<crate::fanout::LaneSignal>,
        began_behind: Option<Seq>,
    ) {
        let lane = log_lane::LogLane::new(
            Arc::clone(&self.shared),
            Arc::clone(&self.handle),
            conversation,
            signal,
            Arc::clone(&self.hedging),
            backlog::Backlog { entries_max: self.backlog_entries_max, began_behind },
        );
        self.tasks.spawn(lane.run());
    }

    /// Takes in what it was woken for. Reads the inbox again where more was behind, or more was new, than is
    /// remembered.
    async fn refill(&mut self) -> Result<(), End> {
        self.show_changed().await?;
        if self.handle.take_overflow() {
            return self.find_behind(&self.shared.log.snapshot(), false).await;
        }
        if self.behind_more && self.behind.is_empty() {
            return self.find_behind(&self.shared.log.snapshot(), true).await;
        }
        Ok(())
    }

    /// Looks for what this device lacks. `old`: all of it came before the session began.
    async fn find_behind(&mut self, state: &Snapshot, old: bool) -> Result<(), End> {
        let identity = &self.handle.identity;
        let (user, device) = (&identity.user, &identity.device);
        let log = &self.shared.log;
        let failed = |error| self.failed("reading the inbox", &error);
        let mut missed = log.behind(state, user, device, BEHIND_PER_SESSION_MAX).await.map_err(failed)?;
        if self.shared.take_interest(&self.handle, &missed.large).await.map_err(failed)? {
            // What was appended to those before this moment was told to nobody here.
            missed =
                log.behind(&log.snapshot(), user, device, BEHIND_PER_SESSION_MAX).await.map_err(failed)?;
        }
        let Missed { behind, more, .. } = missed;
        let waiting = |behind: Behind| Waiting {
            conversation: behind.conversation,
            began_behind: old.then_some(behind.seq),
        };
        self.behind = behind.into_iter().map(waiting).collect();
        self.behind_more = more;
        Ok(())
    }

    fn accept_stream(
        &mut self,
        stream: Result<(SendStream, RecvStream), quinn::ConnectionError>,
    ) -> Result<(), End> {
        let (send, receive) = stream.map_err(|error| end_of_connection(&error))?;
        let identity = &self.handle.identity;
        let lane = send_lane::LaneStream {
            shared: Arc::clone(&self.shared),
            sender: Sender { user: identity.user.clone(), device: identity.device, tag: identity.tag },
            unanswered: Arc::clone(&self.unanswered),
            send_lanes: self.send_lanes.clone(),
            hedging: Arc::clone(&self.hedging),
            admission: None,
            send,
            reader: FrameReader::new(receive, FrameDecoder::new()),
        };
        let (handle, requests) = (Arc::clone(&self.handle), Arc::clone(&self.requests));
        let mut stream = requests::ClientStream { handle, requests, lane };
        self.tasks.spawn(async move {
            match requests::first_frame(&mut stream.lane.reader).await? {
                Some(first) => stream.serve(first).await,
                None => Ok(()),
            }
        });
        self.permit_streams();
        Ok(())
    }

    /// Permits more streams once there is use for them.
    fn permit_streams(&mut self) {
        if self.tasks.len() >= tuning::BUSY_STREAMS && !self.streams_admitted {
            self.streams_admitted = true;
            tuning::admit_streams(self.handle.connection());
        }
    }

    /// Tells the client to come back later, or where else to go, and ends once what is in flight is answered.
    async fn go_away(&mut self) -> Result<(), End> {
        let frame = Frame::GoAway(GoAway {
            message: Explanation::new("the server is stopping"),
            retry_after_min: Duration::from_millis(200),
            retry_after_max: Duration::from_secs(5),
            addresses: self.shared.alternatives.for_one(&self.shared.rng),
        });
        self.write_control(&frame).await?;
        // Sends in flight are answered: their permits come back.
        let all = u32::try_from(UNANSWERED_BYTES_PER_SESSION_MAX).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(Duration::from_secs(3), self.unanswered.acquire_many(all)).await;
        // Their answers are written; leave the time to arrive.
        tokio::time::sleep(Duration::from_millis(300)).await;
        Err(ErrorCode::GoingAway)
    }

    async fn write_control(&mut self, frame: &Frame) -> Result<(), End> {
        let mut buffer = BytesMut::new();
        frame.encode(&mut buffer);
        self.write_control_bytes(buffer.freeze()).await
    }

    async fn write_control_bytes(&mut self, bytes: Bytes) -> Result<(), End> {
        // Who does not read must not outlive a revocation or the token by it.
        let expiry = tokio::time::sleep_until(self.expiry());
        let writing = self.control_send.write_chunk(bytes);
        tokio::select! {
            biased;
            code = self.handle.ended() => Err(code),
            written = tokio::time::timeout(CONTROL_WRITE_TIMEOUT, writing) => match written {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(ErrorCode::NoError),
            },
            () = expiry => Err(ErrorCode::TokenExpired),
        }
    }

    fn failed(&self, doing: &str, error: &LogError) -> End {
        tracing::error!(session = %self.handle.identity.number, %error, "{doing} failed");
        error.code()
    }

    /// Ends everything the session has running. Presence goes with it.
    async fn finish(mut self: Box<Self>, code: End) {
        let presence = &self.shared.hub.presence;
        let now = self.shared.log.now();
        match goodbye(self.handle.connection()) {
            Some(ErrorCode::NoError) => presence.leave_for_good(&self.handle, now),
            Some(ErrorCode::Away) => presence.leave_for_a_while(&self.handle, now),
            _ => presence.leave(&self.handle),
        }
        self.unwatch();
        // First: a stream whose task ends is finished, and an answer cut short must not look like a whole one.
        fulmar_transport::close(self.handle.connection(), varint(code), code.name().as_bytes());
        // Then: what a lane that runs takes interest in now would stay for ever.
        self.tasks.shutdown().await;
        self.shared.unregister(&self.handle);
        self.handle.set_finished();
    }
}

/// With what code the client left, if it did.
fn goodbye(connection: &quinn::Connection) -> Option<ErrorCode> {
    match connection.close_reason()? {
        quinn::ConnectionError::ApplicationClosed(close) => {
            Some(ErrorCode::from(u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX)))
        }
        _ => None,
    }
}

/// What ends the connection when reading fails: the peer's breach, or its own wish.
fn end_of(error: &ReadError) -> End {
    match error {
        ReadError::Frame(error) => error.code(),
        ReadError::Stream(quinn::ReadError::ConnectionLost(error)) => end_of_connection(error),
        ReadError::Stream(_) => ErrorCode::FrameUnexpected,
    }
}

fn end_of_connection(error: &quinn::ConnectionError) -> End {
    tracing::debug!(%error, "a connection ended");
    ErrorCode::NoError
}
