//! Opening a connection: names are looked up anew, and addresses are tried each with a short head start
//! over the next (RFC 8305 in the small), so that a dead address costs a quarter of a second. The address of
//! the last session goes first; where there is a ticket for its server, what `early` writes goes along at once.

use std::net::SocketAddr;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use quinn::{Connecting, Connection, ConnectionError};

use crate::error::ClientError;
use crate::limits::{ADDRESS_HEAD_START, ADDRESSES_MAX};
use crate::server::ServerName;
use crate::transport::Endpoints;

/// Why there is no connection.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum DialError {
    #[error("cannot look up {server}: {cause}")]
    Name { server: ServerName, cause: String },
    #[error("{0}")]
    Local(ClientError),
    #[error("{server}: {cause}")]
    Connection { server: ServerName, cause: ConnectionError },
}

impl DialError {
    /// What TLS has against the server, if that is what failed.
    pub(crate) fn handshake(&self) -> Option<ClientError> {
        match self {
            Self::Connection { server, cause: ConnectionError::TransportError(error) } => {
                // CRYPTO_ERROR: 0x100 and the TLS alert (RFC 9001, section 4.8).
                let code = u64::from(error.code);
                (0x100..0x200).contains(&code).then(|| ClientError::Handshake {
                    server: server.to_string(),
                    cause: error.reason.clone(),
                })
            }
            Self::Connection { server, cause: ConnectionError::ConnectionClosed(close) } => {
                let code = u64::from(close.error_code);
                (0x100..0x200).contains(&code).then(|| ClientError::Handshake {
                    server: server.to_string(),
                    cause: String::from_utf8_lossy(&close.reason).into_owned(),
                })
            }
            _ => None,
        }
    }
}

/// A connection, and what was begun on it in early data, if there was a ticket and the server took it.
pub(crate) type Dialled<B> = (Connection, Option<B>);

/// The first connection that any of the servers gives, and what `early` began on it. Of all addresses only the
/// first gets early data, so that it is not sent twice at once. Cancel-safe: attempts under way are dropped.
pub(crate) async fn dial<B, F>(
    endpoints: &Endpoints,
    servers: &[ServerName],
    mut early: Option<impl FnOnce(Connection) -> F>,
) -> Result<Dialled<B>, DialError>
where
    B: Send,
    F: Future<Output = Option<B>> + Send,
{
    let (targets, mut last) = look_up_all(endpoints, servers).await;
    let mut waiting = targets.into_iter();
    let mut attempts = FuturesUnordered::new();
    loop {
        if let Some((server, address)) = waiting.next() {
            match endpoints.connect(address, &server.host) {
                Ok(connecting) => {
                    let early = early.take();
                    attempts.push(async move {
                        let dialled = connect(connecting, early).await;
                        dialled.map_err(|cause| DialError::Connection { server, cause })
                    });
                }
                Err(error) => {
                    last = Some(DialError::Local(error));
                    continue;
                }
            }
        } else if attempts.is_empty() {
            let unnamed = || DialError::Local(ClientError::ServerMissing);
            return Err(last.unwrap_or_else(unnamed));
        }
        let head_start = async {
            if waiting.len() == 0 {
                std::future::pending().await
            } else {
                tokio::time::sleep(ADDRESS_HEAD_START).await;
            }
        };
        tokio::select! {
            biased;
            Some(outcome) = attempts.next() => match outcome {
                Ok(dialled) => return Ok(dialled),
                Err(error) => last = Some(prefer(last, error)),
            },
            () = head_start => {}
        }
    }
}

/// Waits for the end of a handshake. With a ticket, `early` writes while it goes on; when the server does not
/// take it, nothing of that has reached it.
async fn connect<B, F>(
    connecting: Connecting,
    early: Option<impl FnOnce(Connection) -> F>,
) -> Result<Dialled<B>, ConnectionError>
where
    F: Future<Output = Option<B>>,
{
    let Some(early) = early else { return Ok((connecting.await?, None)) };
    match connecting.into_0rtt() {
        Ok((connection, taken)) => {
            let begun = early(connection.clone()).await;
            let taken = taken.await;
            match connection.close_reason() {
                Some(cause) => Err(cause),
                None => Ok((connection, begun.filter(|_| taken))),
            }
        }
        Err(connecting) => Ok((connecting.await?, None)),
    }
}

/// The addresses to be tried, in their order, and the last failure to find one.
async fn look_up_all(
    endpoints: &Endpoints,
    servers: &[ServerName],
) -> (Vec<(ServerName, SocketAddr)>, Option<DialError>) {
    let mut targets = Vec::new();
    let mut last = None;
    for server in servers {
        match look_up(server).await {
            Ok(addresses) => targets.extend(addresses.into_iter().map(|address| (server.clone(), address))),
            Err(error) => last = Some(error),
        }
    }
    targets.truncate(ADDRESSES_MAX);
    let known = endpoints.last();
    targets.sort_by_key(|(_, address)| Some(*address) != known);
    (targets, last)
}

/// Of two failures the one that tells more: a handshake that failed over one that was never answered.
fn prefer(before: Option<DialError>, now: DialError) -> DialError {
    match before {
        Some(before) if before.handshake().is_some() => before,
        _ => now,
    }
}

async fn look_up(server: &ServerName) -> Result<Vec<SocketAddr>, DialError> {
    match tokio::net::lookup_host((server.host.as_str(), server.port)).await {
        Ok(addresses) => {
            let mut unique = Vec::new();
            for address in addresses.take(ADDRESSES_MAX) {
                if !unique.contains(&address) {
                    unique.push(address);
                }
            }
            Ok(unique)
        }
        Err(cause) => Err(DialError::Name { server: server.clone(), cause: cause.to_string() }),
    }
}
