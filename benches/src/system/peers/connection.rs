//! A client's TCP connection: without Nagle's delay, cut when the device's address changes, and made anew a bounded
//! number of times when it is lost.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

/// How long a client may take until it is in a session: a slow link needs several round trips.
pub(super) const SESSION_MAX: Duration = Duration::from_secs(60);
/// Messages that one client may have unanswered.
pub(super) const INFLIGHT_MAX: u16 = 10_000;
/// How long one attempt may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client tries to get its connection back before it gives up.
const LOST_MAX: Duration = Duration::from_secs(60);
/// Refusals in a row after which the server counts as gone.
const REFUSALS_MAX: u32 = 3;
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Makes TCP connections to one server, and can cut the latest.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    server: SocketAddr,
    latest: Arc<Mutex<Option<std::net::TcpStream>>>,
}

impl Connector {
    pub(super) fn new(server: SocketAddr) -> Self {
        Self { server, latest: Arc::default() }
    }

    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(self.server)).await??;
        stream.set_nodelay(true)?;
        let stream = stream.into_std()?;
        *self.latest.lock() = Some(stream.try_clone()?);
        TcpStream::from_std(stream)
    }

    /// Ends the connection, so that the client library sees at once that it has to make another.
    pub(super) fn cut(&self) {
        if let Some(stream) = self.latest.lock().take() {
            // One that has ended already is as good.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// When a lost connection is tried again.
#[derive(Debug, Default)]
pub(super) struct Reconnecting {
    refusals: u32,
    lost: Option<Instant>,
    pause: Duration,
}

impl Reconnecting {
    /// The connection works.
    pub(super) fn restored(&mut self) {
        *self = Self::default();
    }

    /// An attempt failed, or the connection broke: how long to wait before the next, or `None` to give up.
    pub(super) fn failed(&mut self, refused: bool) -> Option<Duration> {
        self.refusals = if refused { self.refusals + 1 } else { 0 };
        let lost = *self.lost.get_or_insert_with(Instant::now);
        if self.refusals >= REFUSALS_MAX || lost.elapsed() > LOST_MAX {
            return None;
        }
        self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        Some(self.pause)
    }
}
