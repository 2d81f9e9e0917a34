//! Taking connections in: one task for each, at most so many at a time.
//!
//! A connection holds its slot from its first packet to its end. One that does not complete its handshake within
//! `HANDSHAKE_TIMEOUT` gives the slot back then, whatever it sent as early data.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fulmar_protocol::ErrorCode;
use quinn::{Endpoint, Incoming};
use tokio::{task::JoinSet, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    limits::connections_max,
    metrics::CloseReason,
    session::{self, Opening, Shared},
    transport::{frames::varint, tuning},
};

/// Connections at a time that a stopping server takes to say so; more are refused without a word.
const TURNED_AWAY_MAX: usize = 64;

/// How long a handshake may still take when the server begins to stop: those who complete it are told so.
const HANDSHAKE_TIMEOUT_STOPPING: Duration = Duration::from_secs(1);

/// Takes connections until the endpoint closes; from `stop` on only to say that the server is stopping.
pub(super) async fn accept_all(
    endpoint: Endpoint,
    shared: Arc<Shared>,
    stop: CancellationToken,
    connections: TaskTracker,
) {
    let open = Arc::new(AtomicUsize::new(0));
    let connections_max = connections_max(shared.limits.sessions_max);
    loop {
        let incoming = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        let now_open = open.fetch_add(1, Ordering::AcqRel);
        let slot = Slot(Arc::clone(&open));
        if now_open >= connections_max {
            shared.metrics.error(ErrorCode::TooManySessions);
            incoming.refuse();
            continue;
        }
        connections.spawn(serve(Box::new(incoming), Arc::clone(&shared), slot));
    }
    // From here on whoever comes is told to come back later, until the endpoint closes.
    let mut turned_away = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        while turned_away.try_join_next().is_some() {}
        if turned_away.len() < TURNED_AWAY_MAX {
            turned_away.spawn(turn_away(incoming));
        } else {
            incoming.refuse();
        }
    }
}

async fn turn_away(incoming: Incoming) {
    if let Ok(Ok(connection)) = timeout(tuning::HANDSHAKE_TIMEOUT, incoming).await {
        fulmar_transport::close(
            &connection,
            varint(ErrorCode::GoingAway),
            ErrorCode::GoingAway.name().as_bytes(),
        );
    }
}

/// One of the connections that may be open at a time.
struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn serve(incoming: Box<Incoming>, shared: Arc<Shared>, _slot: Slot) {
    shared.metrics.handshakes.increment(1.0);
    let opening = Box::pin(handshake(*incoming, &shared)).await;
    shared.metrics.handshakes.decrement(1.0);
    let Some(opening) = opening else {
        shared.metrics.connection_closed(CloseReason::Handshake);
        return;
    };
    let connection = opening.connection().clone();
    shared.metrics.connections_opened.increment(1);
    shared.metrics.connections.increment(1.0);
    if opening.is_early() {
        shared.metrics.early_data_accepted.increment(1);
    }
    let sent = session::accept(opening).await;
    let reason = connection.closed().await;
    shared.metrics.connections.decrement(1.0);
    shared.metrics.connection_closed(CloseReason::of(&reason, Some(sent)));
}

/// A connection at the end of its handshake, if it comes to that. Early data is served meanwhile.
async fn handshake(incoming: Incoming, shared: &Arc<Shared>) -> Option<Box<Opening>> {
    let connecting =
        incoming.accept().inspect_err(|error| tracing::debug!(%error, "a handshake failed")).ok()?;
    // Which succeeds for every incoming connection.
    let (connection, complete) = connecting.into_0rtt().ok()?;
    let mut opening = Box::new(Opening::new(Arc::clone(shared), connection.clone()));
    let stopping = async {
        shared.draining.cancelled().await;
        tokio::time::sleep(HANDSHAKE_TIMEOUT_STOPPING).await;
    };
    let completed = tokio::select! {
        biased;
        completed = opening.handshake(complete) => completed,
        () = tokio::time::sleep(tuning::HANDSHAKE_TIMEOUT) => false,
        () = stopping => false,
    };
    if !completed {
        tracing::debug!(error = ?connection.close_reason(), "a handshake failed");
        fulmar_transport::close(&connection, varint(ErrorCode::NoError), b"");
        return None;
    }
    Some(opening)
}
