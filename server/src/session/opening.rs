//! A connection before its session: the handshake, early data, `Hello`, and the streams of the first flight.
//!
//! A client that comes back sends its `Hello` and its unanswered sends in its very first packets, as early data.
//! Those may be a recording that somebody else plays again, until the handshake is complete: only who holds the
//! secret of the ticket gets that far. So before that moment nothing is done but what may be done twice:
//!
//! - `Hello` is read, its token verified, its user compared, the revocation looked up, and whether the device is
//!   known: reads only.
//! - Send lanes of a known device, opened in early data, are served: appended, and answered. The answers are
//!   encrypted for who holds the ticket's secret; nobody else can read them.
//!
//! Everything else waits: registration of the device, the taking over from its older session, presence, `Welcome`,
//! every other frame and stream; even a refusal of the `Hello`, since no code can be told before. A connection whose
//! handshake does not come to its end leaves nothing behind but the entries that its sends stood for.
//!
//! # Why early sends are safe
//! **A recording.** The server takes a ticket once (`tickets`), so the second copy of a flight is not even
//! decrypted; and whichever copy comes first, each send is appended once, because the append knows a repeated
//! number by its window (`SenderWindow`, in the append's own transaction). The recorded flight says nothing that its
//! sender did not want said: at worst it says it earlier than the sender does.
//!
//! **Beside an older session of the same device.** A session that is registered waits until the older one has
//! stopped; early lanes cannot wait for that, since nobody may end a session by a recording. Both then submit
//! sends of one device to one conversation, in any interleaving. The window makes one order of them: only the number
//! that is expected is appended, whichever connection brings it; the same number again is a duplicate and gets
//! the old answer; a number ahead is refused and sent again. So the order is that of the numbers, as long as one
//! number means one content. Where a client has numbered its sends anew, that is kept up from both sides: what was
//! numbered anew leaves in no early data (FUL-SEND-24); and a send that comes early under a number that is free, with
//! a body that was answered under another one, waits for the session (FUL-SEND-23), which a recording and a flight that
//! was given up never get. The answers that are remembered are enough to tell: a number that is free again lies at
//! most `UNANSWERED_SENDS_MAX` above the new one of the same send. Only a store that went back in time takes numbers
//! further back; then the tickets are those of another epoch, and a miss. Where a client breaks this, a number with
//! another content is refused with `client_seq_reused`, as everywhere, and harms this device alone.
//!
//! Bounds: the streams and bytes of the first flight, which reading does not widen; what a session may have
//! unanswered; the rates of the user; `HANDSHAKE_TIMEOUT` and then `HELLO_TIMEOUT`.

use std::{convert::Infallible, sync::Arc, time::Duration};

use fulmar_protocol::{DeviceTag, ErrorCode, Frame, FrameDecoder, Hello, limits};
use quinn::{Connection, RecvStream, SendStream, ZeroRttAccepted};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};

use super::{
    End, Shared, end_of, end_of_connection,
    hedging::Hedging,
    requests::{ClientStream, first_frame},
    send_lane::{LaneStream, OpenLanes, SendLane},
};
use crate::{
    auth::Identity,
    fanout::SessionHandle,
    limits::{REQUESTS_AT_ONCE_MAX, UNANSWERED_BYTES_PER_SESSION_MAX},
    log::Sender,
    transport::{frames::FrameReader, tuning},
};

/// The control stream before the session.
pub(super) struct Control {
    pub(super) send: SendStream,
    pub(super) reader: FrameReader,
    early: bool,
}

/// What streams wait for that may not be served before there is a session.
#[derive(Clone)]
pub(super) struct Admitted {
    handle: Arc<SessionHandle>,
    requests: Arc<Semaphore>,
}

/// Tells when that is.
pub(super) type Admission = watch::Receiver<Option<Admitted>>;

/// See the module. Use in this order: `handshake`, `hello`, `admit`.
pub(crate) struct Opening {
    pub(super) shared: Arc<Shared>,
    connection: Connection,
    control: Option<Control>,
    hello: Option<(Hello, Identity)>,
    /// Why the early `Hello`, or a lane, ends the connection; told when the handshake is complete.
    refusal: Option<End>,
    pub(super) tasks: JoinSet<Result<(), End>>,
    pub(super) unanswered: Arc<Semaphore>,
    pub(super) requests: Arc<Semaphore>,
    pub(super) send_lanes: OpenLanes,
    pub(super) hedging: Arc<Hedging>,
    admission: watch::Sender<Option<Admitted>>,
}

impl Opening {
    pub(crate) fn new(shared: Arc<Shared>, connection: Connection) -> Self {
        tuning::hold_to_first_flight(&connection);
        Self {
            hedging: Hedging::new(Arc::clone(&shared.metrics)),
            shared,
            connection,
            control: None,
            hello: None,
            refusal: None,
            tasks: JoinSet::new(),
            unanswered: Arc::new(Semaphore::new(UNANSWERED_BYTES_PER_SESSION_MAX)),
            requests: Arc::new(Semaphore::new(REQUESTS_AT_ONCE_MAX)),
            send_lanes: OpenLanes::default(),
            admission: watch::Sender::new(None),
        }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Serves early data until the handshake is complete. `false`: it never will be.
    pub(crate) async fn handshake(&mut self, complete: ZeroRttAccepted) -> bool {
        tokio::select! {
            biased;
            // On this side the value tells nothing.
            _ = complete => {}
            never = self.serve_early() => match never {},
        }
        self.connection.close_reason().is_none()
    }

    /// Whether `Hello` came as early data.
    pub(crate) fn is_early(&self) -> bool {
        self.hello.is_some() && self.control.as_ref().is_some_and(|control| control.early)
    }

    /// May be dropped at any time: what it has come to is in `self`.
    async fn serve_early(&mut self) -> Infallible {
        let Err(end) = self.try_serve_early().await;
        self.refusal = Some(end);
        std::future::pending().await
    }

    async fn try_serve_early(&mut self) -> Result<Infallible, End> {
        self.read_hello().await?;
        let known = self.device_is_known().await?;
        let draining = self.shared.draining.clone();
        loop {
            tokio::select! {
                biased;
                () = draining.cancelled() => return Err(ErrorCode::GoingAway),
                Some(ended) = self.tasks.join_next() => ended.unwrap_or(Err(ErrorCode::Internal))?,
                stream = self.connection.accept_bi() => {
                    let (send, receive) = stream.map_err(|error| end_of_connection(&error))?;
                    self.take_stream(send, receive, known);
                }
            }
        }
    }

    /// The `Hello`, once the handshake is complete, and the control stream it came on.
    pub(super) async fn hello(&mut self) -> Result<(Hello, Identity, Control), End> {
        if let Some(end) = self.refusal {
            return Err(end);
        }
        let read = tokio::select! {
            biased;
            () = self.shared.draining.clone().cancelled_owned() => return Err(ErrorCode::GoingAway),
            read = timeout(limits::HELLO_TIMEOUT, self.read_hello()) => read,
        };
        match read {
            Ok(read) => read?,
            // Whoever opened other streams took it for granted that they would be served.
            Err(_) if self.has_other_streams().await => return Err(ErrorCode::NotAuthenticated),
            Err(_) => return Err(ErrorCode::HelloTimeout),
        }
        match (self.hello.take(), self.control.take()) {
            (Some((hello, identity)), Some(control)) => Ok((hello, identity, control)),
            _ => Err(ErrorCode::Internal),
        }
    }

    /// Lets the streams that wait be served as part of this session.
    pub(super) fn admit(&self, handle: &Arc<SessionHandle>) {
        let admitted = Admitted { handle: Arc::clone(handle), requests: Arc::clone(&self.requests) };
        self.admission.send_replace(Some(admitted));
    }

    /// Reads `Hello` and checks whose it is. May be dropped and called again.
    async fn read_hello(&mut self) -> Result<(), End> {
        if self.hello.is_some() {
            return Ok(());
        }
        if self.control.is_none() {
            let (send, receive) =
                self.connection.accept_bi().await.map_err(|error| end_of_connection(&error))?;
            // The client's first stream is the control stream, in whatever order streams arrive.
            if receive.id().index() != 0 {
                return Err(ErrorCode::FrameUnexpected);
            }
            let early = receive.is_0rtt();
            let reader = FrameReader::new(receive, FrameDecoder::before_authentication());
            self.control = Some(Control { send, reader, early });
        }
        let Some(control) = &mut self.control else { return Err(ErrorCode::Internal) };
        let hello = match control.reader.next().await {
            Ok(Some(Frame::Hello(hello))) => hello,
            Ok(Some(_) | None) => return Err(ErrorCode::FrameUnexpected),
            Err(error) => return Err(end_of(&error)),
        };
        let now = self.shared.log.now();
        let identity = self.shared.authenticator.verify(hello.token.as_str(), now);
        let identity = identity.map_err(|error| error.code())?;
        // Before anything else that came with it is looked at: those sends are somebody else's.
        if hello.user_id.as_ref().is_some_and(|user| *user != identity.user) {
            return Err(ErrorCode::UserMismatch);
        }
        self.hedging.agree(hello.extensions);
        self.hello = Some((hello, identity));
        Ok(())
    }

    /// Whether the device of `Hello` is its user's already, so that its sends may be appended before it is
    /// registered once more. Only reads.
    async fn device_is_known(&self) -> Result<bool, End> {
        let Some((hello, identity)) = &self.hello else { return Ok(false) };
        let revoked = self.shared.log.revoked_before(&identity.user).await.map_err(|error| error.code())?;
        if revoked.is_some_and(|before| identity.issued_at <= before) {
            return Err(ErrorCode::TokenRevoked);
        }
        let known = self.shared.log.knows_device(&identity.user, &hello.device_id).await;
        known.map_err(|error| error.code())
    }

    fn take_stream(&mut self, send: SendStream, receive: RecvStream, known: bool) {
        let Some((hello, identity)) = &self.hello else { return };
        let early = known && receive.is_0rtt();
        let device = hello.device_id;
        let lane = LaneStream {
            shared: Arc::clone(&self.shared),
            sender: Sender { user: identity.user.clone(), device, tag: DeviceTag::of(&device) },
            unanswered: Arc::clone(&self.unanswered),
            send_lanes: Arc::clone(&self.send_lanes),
            hedging: Arc::clone(&self.hedging),
            admission: early.then(|| self.admission.subscribe()),
            send,
            reader: FrameReader::new(receive, FrameDecoder::new()),
        };
        self.tasks.spawn(serve_or_wait(lane, self.admission.subscribe()));
    }

    async fn has_other_streams(&self) -> bool {
        timeout(Duration::ZERO, self.connection.accept_bi()).await.is_ok_and(|stream| stream.is_ok())
    }
}

/// Serves a send lane at once if it came early, and every other stream once there is a session.
async fn serve_or_wait(mut lane: LaneStream, mut admission: Admission) -> Result<(), End> {
    let Some(first) = first_frame(&mut lane.reader).await? else { return Ok(()) };
    match first {
        Frame::SendOpen(open) if lane.admission.is_some() => SendLane::serve(lane, open).await,
        first => {
            // Fails when there will be no session.
            let Ok(Some(admitted)) =
                admission.wait_for(Option::is_some).await.map(|admitted| admitted.clone())
            else {
                return Ok(());
            };
            let Admitted { handle, requests } = admitted;
            ClientStream { handle, requests, lane }.serve(first).await
        }
    }
}
