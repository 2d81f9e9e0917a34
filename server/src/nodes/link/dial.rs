//! The links that this node dials: one task for each peer, which writes what is in its queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quinn::{Connection, SendStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::LinkEvent;
use super::credentials::{NODE_NAME, fingerprint_of_peer};
use super::frames::Frames;
use super::hello::{Ending, HELLO_BYTES_MAX, Hello, decode_answer, is_for_good, refusal_in};
use super::queue::Queue;
use super::shared::Shared;
use super::tuning::HANDSHAKE_TIMEOUT;
use crate::metrics::LinkRefusal;
use crate::nodes::{NodeNumber, Peer};

/// The longest first wait before a peer is dialled again; each later one may be twice as long.
const WAIT_FIRST_MAX: Duration = Duration::from_millis(100);
/// The longest wait of all: how late a peer that is back may be found.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// A link that lasted so long was a good one: the next wait is short again.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// Dials one peer for as long as it is one.
pub(super) struct Dialler {
    shared: Arc<Shared>,
    peer: Peer,
    queue: Arc<Queue>,
    stop: CancellationToken,
    /// Whether `Up` was told last.
    up: AtomicBool,
}

/// How an attempt, or a link, ended.
enum End {
    /// The peer is none any more, or the links close.
    Stopped,
    /// This node has another number.
    Renumbered,
    /// The peer refused it.
    Refused(LinkRefusal),
    /// Anything else.
    Lost,
}

/// A connection that is closed with a word when it is let go.
struct Dialled(Connection);

impl Drop for Dialled {
    fn drop(&mut self) {
        Ending::Closing.close(&self.0);
    }
}

impl Dialler {
    pub(super) fn new(shared: Arc<Shared>, peer: Peer, queue: Arc<Queue>, stop: CancellationToken) -> Self {
        Self { shared, peer, queue, stop, up: AtomicBool::new(false) }
    }

    /// `before`: the task of the same number that was let go. Its last word comes before the first of this one.
    pub(super) async fn run(self, before: Option<JoinHandle<()>>) {
        if let Some(before) = before {
            // A task that panicked says nothing more either.
            let _ = before.await;
        }
        let mut number = self.shared.number.subscribe();
        let mut wait_max = WAIT_FIRST_MAX;
        loop {
            let own = *number.borrow_and_update();
            let began = Instant::now();
            let end = self.link(own, &mut number).await;
            self.say_down().await;
            let wait = match end {
                End::Stopped => return,
                End::Renumbered => {
                    wait_max = WAIT_FIRST_MAX;
                    continue;
                }
                End::Refused(cause) if is_for_good(cause) => {
                    warn!(peer = %self.peer.number, address = %self.peer.address, cause = cause.name(),
                        "another node refuses this one for good");
                    None
                }
                End::Refused(_) | End::Lost => {
                    if began.elapsed() >= GOOD_AFTER {
                        wait_max = WAIT_FIRST_MAX;
                    }
                    let wait = self.shared.rng.duration(Duration::ZERO..=wait_max);
                    wait_max = wait_max.saturating_mul(2).min(WAIT_MAX);
                    Some(wait)
                }
            };
            let over = async {
                match wait {
                    Some(wait) => sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                changed = number.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    wait_max = WAIT_FIRST_MAX;
                }
                () = over => {}
            }
        }
    }

    async fn link(&self, own: NodeNumber, number: &mut watch::Receiver<NodeNumber>) -> End {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => End::Stopped,
            _ = number.changed() => End::Renumbered,
            end = self.dial_and_write(own) => end,
        }
    }

    async fn dial_and_write(&self, own: NodeNumber) -> End {
        let attempt = timeout(HANDSHAKE_TIMEOUT, self.dial(own));
        let (dialled, stream, version) = match attempt.await {
            Ok(Ok(dialled)) => dialled,
            Ok(Err(end)) => return end,
            Err(_) => return End::Lost,
        };
        self.shared.tell(LinkEvent::Up(self.peer.number)).await;
        self.up.store(true, Ordering::Relaxed);
        self.shared.metrics.node_links.increment(1.0);
        info!(peer = %self.peer.number, address = %self.peer.address, version, "link up");
        self.write(&dialled.0, stream).await
    }

    /// Connects, checks who is there, says hello and waits for the answer.
    async fn dial(&self, own: NodeNumber) -> Result<(Dialled, SendStream, u32), End> {
        let Peer { number: to, address, fingerprint } = self.peer;
        let connecting = self.shared.endpoint.connect_with(self.shared.client.clone(), address, NODE_NAME);
        let connecting = connecting.map_err(|error| self.lost(&error))?;
        let dialled = Dialled(connecting.await.map_err(|error| self.lost(&error))?);
        let connection = &dialled.0;
        if fingerprint_of_peer(connection) != Some(fingerprint) {
            // An older process of that address, perhaps, or a newer one.
            Ending::Refused(LinkRefusal::OtherNode).close(connection);
            return Err(self.lost(&"another node answers at this address"));
        }
        let Shared { versions, deployment, .. } = *self.shared;
        let hello = Hello { versions, from: own, to, deployment };
        match exchange(connection, hello).await {
            Some(version) if versions.contains(version) => {
                let stream = connection.open_uni().await.map_err(|error| self.lost(&error))?;
                Ok((dialled, stream, version))
            }
            _ => Err(self.end_of(connection)),
        }
    }

    async fn write(&self, connection: &Connection, mut stream: SendStream) -> End {
        loop {
            let mut messages = tokio::select! {
                biased;
                _ = connection.closed() => return self.end_of(connection),
                messages = self.queue.take() => messages,
            };
            if stream.write_all_chunks(&mut messages).await.is_err() {
                return self.end_of(connection);
            }
        }
    }

    fn end_of(&self, connection: &Connection) -> End {
        match connection.close_reason() {
            Some(error) => {
                let end = self.lost(&error);
                refusal_in(&error).map_or(end, End::Refused)
            }
            None => self.lost(&"what came is no answer"),
        }
    }

    fn lost(&self, cause: &dyn std::fmt::Display) -> End {
        debug!(peer = %self.peer.number, address = %self.peer.address, %cause, "no link");
        End::Lost
    }

    async fn say_down(&self) {
        if self.up.swap(false, Ordering::Relaxed) {
            self.shared.metrics.node_links.decrement(1.0);
            info!(peer = %self.peer.number, address = %self.peer.address, "link down");
            self.shared.tell(LinkEvent::Down(self.peer.number)).await;
        }
    }
}

/// Says hello. The version that the peer chose; none if it said nothing that is an answer.
pub(super) async fn exchange(connection: &Connection, hello: Hello) -> Option<u32> {
    let (mut send, receive) = connection.open_bi().await.ok()?;
    send.write_chunk(hello.encode()).await.ok()?;
    // Fails when the peer wants to hear no more; it may answer all the same.
    let _ = send.finish();
    let answer = Frames::new(receive, HELLO_BYTES_MAX).next().await.ok()??;
    decode_answer(answer)
}
