//! From an opening to a session: the device is registered, the older session ends, Welcome.
//!
//! All of it after the handshake, so that nobody does it with a recording: see `opening`, which reads Hello, and
//! holds the streams that came with it until they are admitted here.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use fulmar_protocol::{
    ErrorCode, Frame, Generation, Hello, PresenceState, Rate, SessionNumber, SoftwareName, TokenBucket,
    Welcome, encode_grease_frame, limits,
};
use futures_util::FutureExt as _;
use quinn::Connection;
use tokio::time::timeout;

use super::{End, Opening, Session, Shared, watch::Watching};
use crate::{
    auth::Identity,
    fanout::{Newcomer, RegisterError, Registered, SessionHandle},
    log::DeviceRegistration,
    rows::{NodeNumber, SessionKey},
    store::Snapshot,
    transport::{frames::varint, tuning},
};

/// How long a session that was replaced may take to stop.
const REPLACED_SESSION_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves a connection whose handshake is complete, until it ends; returns the code that it was closed with, if the
/// client had not closed it before.
pub(crate) async fn accept(opening: Box<Opening>) -> ErrorCode {
    let (shared, connection) = (Arc::clone(&opening.shared), opening.connection().clone());
    // What opening needs is given back when it is done: most sessions are idle for most of their time.
    let code = match Box::pin(open(opening)).await {
        Ok((mut session, beginning)) => {
            let code = session.run(beginning).await;
            Box::pin(session.finish(code)).await;
            code
        }
        Err(code) => {
            fulmar_transport::close(&connection, varint(code), code.name().as_bytes());
            code
        }
    };
    if code != ErrorCode::NoError {
        shared.metrics.error(code);
    }
    code
}

/// Opens the session; gives the store too as it stood before Welcome.
async fn open(mut opening: Box<Opening>) -> Result<(Box<Session>, Snapshot), End> {
    let (hello, identity, control) = opening.hello().await?;
    let shared = Arc::clone(&opening.shared);
    let handle = register(&shared, opening.connection(), &hello, &identity).await?;
    let datagrams = u32::try_from(limits::DATAGRAMS_PER_SECOND_MAX).unwrap_or(u32::MAX);
    let backlog_max = u64::try_from(limits::BACKLOG_ENTRIES_MAX).unwrap_or(u64::MAX);
    opening.admit(&handle);
    let mut session = Box::new(Session {
        shared: Arc::clone(&shared),
        handle: Arc::clone(&handle),
        control_send: control.send,
        control: control.reader,
        confirming: None,
        backlog_entries_max: u64::from(hello.backlog_entries_max).min(backlog_max),
        behind: VecDeque::new(),
        behind_more: false,
        // With the lanes of the first flight, which go on.
        tasks: opening.tasks,
        streams_admitted: false,
        unanswered: opening.unanswered,
        requests: opening.requests,
        send_lanes: opening.send_lanes,
        presence_generation: Generation::default(),
        typing_generations: HashMap::new(),
        datagram_rate: TokenBucket::new(Rate::per_second(datagrams, 2 * datagrams)),
        watching: Watching::default(),
        hedging: opening.hedging,
    });
    let beginning = shared.log.snapshot();
    if let Err(code) = session.welcome().await {
        session.finish(code).await;
        return Err(code);
    }
    Ok((session, beginning))
}

/// Registers the device, then the session; news counts from here on.
async fn register(
    shared: &Arc<Shared>,
    connection: &Connection,
    hello: &Hello,
    identity: &Identity,
) -> Result<Arc<SessionHandle>, End> {
    let number = shared.hub.take_session_number();
    // In a cluster: without a lease nobody is served.
    let node = match &shared.node {
        Some(node) => Some(node.number().ok_or(ErrorCode::StoreUnavailable)?),
        None => None,
    };
    let session = node.map(|node| SessionKey { device: hello.device_id, number, node });
    let registration = shared.log.register_device(&identity.user, &hello.device_id, session).await;
    let registration = registration.map_err(|error| error.code())?;
    let registered = register_here(shared, connection, hello, identity, number, node, &registration).await;
    if let (Err(_), Some(node), Some(session)) = (&registered, &shared.node, session) {
        node.release_session(&identity.user, session);
    }
    registered
}

async fn register_here(
    shared: &Arc<Shared>,
    connection: &Connection,
    hello: &Hello,
    identity: &Identity,
    number: SessionNumber,
    node: Option<NodeNumber>,
    registration: &DeviceRegistration,
) -> Result<Arc<SessionHandle>, End> {
    if registration.revoked_before.is_some_and(|before| identity.issued_at <= before) {
        return Err(ErrorCode::TokenRevoked);
    }
    let registered = shared.hub.register(Newcomer {
        user: identity.user.clone(),
        device: hello.device_id,
        connection: connection.clone(),
        client: hello.client.clone(),
        connected_at: shared.log.now(),
        issued_at: identity.issued_at,
        expires_at: identity.expires_at,
        blocked: registration.blocked.iter().cloned().collect(),
        number,
        node,
    });
    let Registered { session: handle, older } = registered.map_err(|error| match error {
        RegisterError::TooManySessions => ErrorCode::TooManySessions,
        RegisterError::Overtaken => ErrorCode::SessionReplaced,
    })?;
    if shared.node.as_ref().is_some_and(|it| it.number() != node) {
        // The lease was lost meanwhile: its row goes with those of that number, and no other node knows of it.
        shared.hub.unregister(&handle);
        handle.set_finished();
        return Err(ErrorCode::StoreUnavailable);
    }
    if let (Some(node), false) = (&shared.node, registration.older.is_empty()) {
        node.end_older(&identity.user, hello.device_id, &registration.older).await;
    }
    if let Some(older) = older {
        // It ends at once; only a task that hangs would make this wait in vain.
        let _ = timeout(REPLACED_SESSION_TIMEOUT, older.finished()).await;
    }
    // A revocation between the two would have found no session to end.
    let revoked = shared.log.revoked_before(&identity.user).await.map_err(|error| error.code());
    match revoked {
        Ok(before) if before.is_none_or(|before| identity.issued_at > before) => Ok(handle),
        other => {
            shared.hub.unregister(&handle);
            handle.set_finished();
            Err(other.err().unwrap_or(ErrorCode::TokenRevoked))
        }
    }
}

impl Session {
    async fn welcome(&mut self) -> Result<(), End> {
        let connection = self.handle.connection().clone();
        // Nobody knows of a datagram whether it was early data, so what came before this moment does not count.
        while connection.read_datagram().now_or_never().is_some_and(|datagram| datagram.is_ok()) {}
        // Room for a session; what was there before was for a stranger.
        tuning::admit(&connection);
        // The lanes of an early flight may be all the streams there are.
        self.permit_streams();
        self.control.set_limit(limits::FRAME_PAYLOAD_BYTES_MAX);
        let now = self.shared.log.now();
        self.shared.hub.presence.set(&self.handle, PresenceState::Online, now);
        let welcome = Frame::Welcome(Welcome {
            user_id: self.handle.identity.user.clone(),
            session: self.handle.identity.number,
            epoch: self.shared.epoch,
            expires_at: self.handle.expires_at(),
            server_time: now,
            backlog_entries_max: u32::try_from(self.backlog_entries_max).unwrap_or(u32::MAX),
            body_bytes_max: u32::try_from(limits::BODY_BYTES_MAX).unwrap_or(u32::MAX),
            group_members_max: u32::try_from(self.shared.limits.group_members_max).unwrap_or(u32::MAX),
            server: SoftwareName::new(concat!("fulmar/", env!("CARGO_PKG_VERSION"))),
            extensions: self.hedging.extensions(),
        });
        self.write_control(&welcome).await?;
        // An extension point that is never used is soon one that cannot be (FUL-VER).
        let mut grease = BytesMut::new();
        let [number] = self.shared.rng.octets();
        encode_grease_frame(u32::from(number), &[], &mut grease);
        self.write_control_bytes(grease.freeze()).await
    }
}
