//! The links that other nodes dial: one task for each, which reads what the peer has to say.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quinn::{Connection, RecvStream};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::LinkEvent;
use super::credentials::fingerprint_of_peer;
use super::frames::{FrameFault, Frames};
use super::hello::{Ending, HELLO_BYTES_MAX, Hello, encode_answer, is_for_good};
use super::shared::{Admitted, Shared};
use super::tuning::HANDSHAKE_TIMEOUT;
use crate::limits::{NODE_MESSAGE_BYTES_MAX, NODES_MAX};
use crate::metrics::LinkRefusal;
use crate::nodes::message::Message;

/// Connections of other nodes at a time: one of each, as many again that come in place of others, and some to be
/// refused. More are refused without a word.
const CONNECTIONS_MAX: usize = 2 * NODES_MAX + 64;

/// Takes connections until the links close.
pub(super) async fn accept_all(shared: Arc<Shared>) {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let incoming = tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            incoming = shared.endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        let slot = Slot(Arc::clone(&open));
        if open.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS_MAX {
            shared.metrics.node_link_refused(LinkRefusal::TooMany);
            incoming.refuse();
            continue;
        }
        shared.tasks.spawn(serve(Arc::clone(&shared), incoming, slot));
    }
}

/// One of the connections that may be open at a time.
struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn serve(shared: Arc<Shared>, incoming: quinn::Incoming, _slot: Slot) {
    let address = incoming.remote_address();
    let handshake = async { Some(incoming.accept().ok()?.await) };
    let connection = tokio::select! {
        biased;
        () = shared.stop.cancelled() => return,
        connected = timeout(HANDSHAKE_TIMEOUT, handshake) => match connected {
            Ok(Some(Ok(connection))) => connection,
            // Another authority's certificate, or none, ends here.
            Ok(Some(Err(error))) => return debug!(%address, %error, "a handshake of a node failed"),
            Ok(None) | Err(_) => return,
        },
    };
    let ending = tokio::select! {
        biased;
        () = shared.stop.cancelled() => Ending::Closing,
        ending = admit_and_read(&shared, &connection) => ending,
    };
    if let Ending::Refused(cause) = ending {
        shared.metrics.node_link_refused(cause);
        match cause {
            cause if is_for_good(cause) => {
                warn!(%address, cause = cause.name(), "a node is refused for good");
            }
            LinkRefusal::Malformed | LinkRefusal::TooLong => {
                warn!(%address, cause = cause.name(), "what another node sent is no message");
            }
            cause => debug!(%address, cause = cause.name(), "a link is refused"),
        }
    }
    ending.close(&connection);
}

async fn admit_and_read(shared: &Shared, connection: &Connection) -> Ending {
    let admitted = match timeout(HANDSHAKE_TIMEOUT, admit(shared, connection)).await {
        Ok(Ok(admitted)) => admitted,
        Ok(Err(ending)) => return ending,
        Err(_) => return Ending::Refused(LinkRefusal::Malformed),
    };
    debug!(peer = %admitted.from, version = admitted.version, "a link was admitted");
    tokio::select! {
        biased;
        () = admitted.stop.cancelled() => Ending::Closing,
        () = admitted.replaced.cancelled() => Ending::Replaced,
        ending = read(shared, connection, &admitted) => ending,
    }
}

async fn admit(shared: &Shared, connection: &Connection) -> Result<Admitted, Ending> {
    let malformed = Ending::Refused(LinkRefusal::Malformed);
    // TLS asked for a certificate: there is one.
    let proved = fingerprint_of_peer(connection).ok_or(malformed)?;
    let (mut send, receive) = connection.accept_bi().await.map_err(|_| Ending::Closing)?;
    let hello = next_of(&mut Frames::new(receive, HELLO_BYTES_MAX)).await?.ok_or(malformed)?;
    let hello = Hello::decode(hello).ok_or(malformed)?;
    let admitted = shared.admit(hello, proved).map_err(Ending::Refused)?;
    send.write_chunk(encode_answer(admitted.version)).await.map_err(|_| Ending::Closing)?;
    // Fails when the peer wants to hear no more.
    let _ = send.finish();
    Ok(admitted)
}

async fn read(shared: &Shared, connection: &Connection, admitted: &Admitted) -> Ending {
    let Ok(stream): Result<RecvStream, _> = connection.accept_uni().await else { return Ending::Closing };
    let mut frames = Frames::new(stream, NODE_MESSAGE_BYTES_MAX);
    loop {
        let encoded = match next_of(&mut frames).await {
            Ok(Some(encoded)) => encoded,
            // A peer that ends the stream has nothing more to say; it dials again if it has.
            Ok(None) => return Ending::Closing,
            Err(ending) => return ending,
        };
        match Message::decode(encoded) {
            Ok(Some(message)) => {
                shared.metrics.node_messages_received.increment(1);
                shared.tell(LinkEvent::Message { from: admitted.from, message }).await;
            }
            Ok(None) => shared.metrics.node_messages_skipped.increment(1),
            Err(error) => {
                warn!(peer = %admitted.from, %error, "a message of another node is broken");
                return Ending::Refused(LinkRefusal::Malformed);
            }
        }
    }
}

async fn next_of(frames: &mut Frames) -> Result<Option<bytes::Bytes>, Ending> {
    frames.next().await.map_err(|fault| match fault {
        FrameFault::TooLong { .. } => Ending::Refused(LinkRefusal::TooLong),
        FrameFault::Truncated => Ending::Refused(LinkRefusal::Malformed),
        FrameFault::Stream(_) => Ending::Closing,
    })
}
