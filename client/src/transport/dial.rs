//! Opening a connection: addresses are tried each with a short head start over the next (RFC 8305), so that a dead
//! one costs a quarter of a second, and one that refuses nothing. The first whose handshake is complete wins.
//!
//! Only the winner is told anything: a Hello at two nodes at once would make them fight over the session. One
//! address is the exception, the one that worked last: where it is tried first and there is a ticket for it, the
//! Hello and what else `early` writes go along in its first flight. Another may win all the same. That is safe:
//! - A server opens no session, and ends none, before the handshake is complete (FUL-SESS-41), and a connection that
//!   lost never completes it: it is closed at once. The sends of its flight may be appended; the winner's are then
//!   known by their numbers, on any node, as the numbers are in the store.
//! - Where both handshakes complete in the same moment, the loser's server may open a session before the close
//!   reaches it, and the newer session of a device ends the older one. If that is the winner's, the client is told
//!   `session_replaced`; as [`Dialled::stray`] says that this may be its own doing, it connects again, once, instead
//!   of believing that somebody else has its state.

use std::net::SocketAddr;

use futures_util::future::{BoxFuture, select_all};
use quinn::{Connecting, Connection, ConnectionError};
use tokio::time::Instant;

use fulmar_protocol::ServerAddress;

use crate::error::ClientError;
use crate::limits::{ADDRESS_HEAD_START, ADDRESSES_AT_ONCE_MAX, FAILURES_TOLD_MAX, LOOK_UP_HEAD_START};
use crate::transport::Endpoints;
use crate::transport::candidates::{Candidate, Candidates};

/// Why there is no connection.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum DialError {
    #[error("cannot look up {server}: {cause}")]
    Name { server: ServerAddress, cause: String },
    #[error("{0}")]
    Local(ClientError),
    #[error("{server}: {cause}")]
    Connection { server: ServerAddress, cause: ConnectionError },
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

/// What went wrong in one attempt so far: one failure for each name and address.
#[derive(Debug, Default)]
pub(crate) struct Failures(Vec<DialError>);

impl Failures {
    /// What tells most: what TLS has against a server, or else what a server said.
    pub(crate) fn gravest(&self) -> Option<&DialError> {
        let said = |error: &&DialError| {
            matches!(error, DialError::Connection { cause: ConnectionError::ApplicationClosed(_), .. })
        };
        self.0.iter().find(|error| error.handshake().is_some()).or_else(|| self.0.iter().find(said))
    }

    fn add(&mut self, error: DialError) {
        tracing::debug!(%error, "an address failed");
        self.0.push(error);
    }
}

impl std::fmt::Display for Failures {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (nth, error) in self.0.iter().take(FAILURES_TOLD_MAX).enumerate() {
            let separator = if nth == 0 { "" } else { "; " };
            write!(formatter, "{separator}{error}")?;
        }
        match self.0.len().saturating_sub(FAILURES_TOLD_MAX) {
            0 => Ok(()),
            more => write!(formatter, "; and {more} more"),
        }
    }
}

/// A connection whose handshake is complete.
pub(crate) struct Dialled<B> {
    pub(crate) connection: Connection,
    /// What was begun on it in early data, if it had a ticket and the server took it.
    pub(crate) begun: Option<B>,
    /// Another address was sent early data, too.
    pub(crate) stray: bool,
}

/// What writes early data.
pub(crate) type Early<'a, B> = Box<dyn FnOnce(Connection) -> BoxFuture<'a, Option<B>> + Send + 'a>;

/// An address that is being tried.
struct Running<'a, B> {
    handshake: BoxFuture<'a, Result<(Connection, Option<B>), DialError>>,
    /// It has the early data.
    early: bool,
    began: Instant,
}

/// The first connection that any of the servers gives, or none: then `failures` tells why. Cancel-safe: attempts
/// under way are dropped, which closes them.
pub(crate) async fn dial<'a, B: Send + 'a>(
    endpoints: &Endpoints,
    servers: &[ServerAddress],
    early: Option<Early<'a, B>>,
    failures: &mut Failures,
) -> Option<Dialled<B>> {
    let candidates = Candidates::of(endpoints, servers);
    let now = Instant::now();
    let next_at = if candidates.looks_up() { now + LOOK_UP_HEAD_START } else { now };
    Race { endpoints, candidates, early, running: Vec::new(), next_at, began: false }.run(failures).await
}

struct Race<'r, 'a, B> {
    endpoints: &'r Endpoints,
    candidates: Candidates,
    early: Option<Early<'a, B>>,
    /// The oldest first.
    running: Vec<Running<'a, B>>,
    /// When the next may begin.
    next_at: Instant,
    /// One has begun.
    began: bool,
}

impl<'a, B: Send + 'a> Race<'_, 'a, B> {
    async fn run(mut self, failures: &mut Failures) -> Option<Dialled<B>> {
        loop {
            while self.candidates.has_waiting() && self.begins_at() <= Instant::now() {
                self.begin(failures);
            }
            let done =
                self.running.is_empty() && !self.candidates.has_waiting() && !self.candidates.looks_up();
            if done {
                return None;
            }
            let begins_at = self.candidates.has_waiting().then(|| self.begins_at());
            let head_start = async {
                match begins_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                (outcome, nth) = first_of(&mut self.running) => {
                    let ended = self.running.remove(nth);
                    match outcome {
                        Ok((connection, begun)) => {
                            let stray = self.running.iter().any(|running| running.early);
                            return Some(Dialled { connection, begun, stray });
                        }
                        Err(error) => {
                            drop(ended);
                            failures.add(error);
                            self.next_at = Instant::now();
                        }
                    }
                }
                Some(found) = self.candidates.found() => {
                    if let Err(error) = found {
                        failures.add(error);
                    }
                    if !self.candidates.looks_up() && !self.began {
                        self.next_at = Instant::now();
                    }
                }
                () = head_start => {}
            }
        }
    }

    /// When the next one may begin: after the head start of the one before; and where there are as many as there may
    /// be, when the oldest has had that much time for each of them.
    fn begins_at(&self) -> Instant {
        match self.running.first().filter(|_| self.running.len() >= ADDRESSES_AT_ONCE_MAX) {
            Some(oldest) => {
                let each = u32::try_from(ADDRESSES_AT_ONCE_MAX * 2).unwrap_or(u32::MAX);
                self.next_at.max(oldest.began + ADDRESS_HEAD_START.saturating_mul(each))
            }
            None => self.next_at,
        }
    }

    fn begin(&mut self, failures: &mut Failures) {
        let Some(Candidate { server, address, .. }) = self.candidates.take() else { return };
        if self.running.len() >= ADDRESSES_AT_ONCE_MAX {
            self.running.remove(0);
        }
        let connecting = match self.endpoints.connect(address, server.host()) {
            Ok(connecting) => connecting,
            Err(error) => return failures.add(DialError::Local(error)),
        };
        // Only the first may have it, and only where the ticket may be good.
        let early = self.early.take().filter(|_| self.endpoints.last() == Some(address));
        let now = Instant::now();
        (self.began, self.next_at) = (true, now + self.endpoints.head_start(address));
        let is_early = early.is_some();
        let handshake = async move {
            connect(connecting, early).await.map_err(|cause| DialError::Connection { server, cause })
        };
        self.running.push(Running { handshake: Box::pin(handshake), early: is_early, began: now });
    }
}

/// Waits for the first handshake that ends, and tells which it was. Cancel-safe.
async fn first_of<B: Send>(
    running: &mut [Running<'_, B>],
) -> (Result<(Connection, Option<B>), DialError>, usize) {
    if running.is_empty() {
        return std::future::pending().await;
    }
    let (outcome, nth, _) = select_all(running.iter_mut().map(|running| &mut running.handshake)).await;
    (outcome, nth)
}

/// Waits for the end of a handshake. With a ticket, `early` writes while it goes on; when the server does not
/// take it, nothing of that has reached it.
async fn connect<B>(
    connecting: Connecting,
    early: Option<Early<'_, B>>,
) -> Result<(Connection, Option<B>), ConnectionError> {
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

/// A server that a handshake led to, on trial until there is a session: one that never gets that far, as it drains
/// for instance, must not be the first that is tried again. Dropping it is a failure.
pub(crate) struct Trial {
    endpoints: Endpoints,
    address: Option<SocketAddr>,
}

impl Trial {
    pub(crate) fn of(endpoints: &Endpoints, connection: &Connection) -> Self {
        Self { endpoints: endpoints.clone(), address: Some(connection.remote_address()) }
    }

    /// It gave a session, or what ends the client on any server.
    pub(crate) fn passed(mut self) {
        self.address = None;
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            self.endpoints.put_last(address);
        }
    }
}
