//! A UDP socket that takes few packets in one call.
//!
//! quinn keeps room for as many packets as its socket takes in one call, for each connection and as long as it lasts:
//! ten of them are 14 KiB, a third of what an idle session costs. A session sends a packet or two at a time; only a
//! backlog is longer, and it pays a few more system calls.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

/// Packets that one call takes at most.
pub const BATCH_PACKETS_MAX: usize = 2;

/// See the module.
pub struct SmallBatches {
    inner: Arc<dyn AsyncUdpSocket>,
}

impl SmallBatches {
    /// Goes before a socket.
    #[must_use]
    pub fn of(inner: Arc<dyn AsyncUdpSocket>) -> Self {
        Self { inner }
    }
}

impl fmt::Debug for SmallBatches {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("SmallBatches").field(&self.inner).finish()
    }
}

impl AsyncUdpSocket for SmallBatches {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(context, buffers, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        let max = std::env::var("BATCH").ok().and_then(|v| v.parse().ok()).unwrap_or(BATCH_PACKETS_MAX);
        self.inner.max_transmit_segments().min(max)
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}
