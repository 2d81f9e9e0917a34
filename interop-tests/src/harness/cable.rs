//! A UDP socket whose cable can be pulled: then nothing leaves and nothing arrives, and nobody is told.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};

/// See the module.
#[derive(Debug)]
pub(super) struct Cable {
    socket: Arc<dyn AsyncUdpSocket>,
    pulled: AtomicBool,
}

impl Cable {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Arc<Self>> {
        let socket = TokioRuntime.wrap_udp_socket(std::net::UdpSocket::bind(address)?)?;
        Ok(Arc::new(Self { socket, pulled: AtomicBool::new(false) }))
    }

    pub(super) fn pull(&self) {
        self.pulled.store(true, Ordering::Release);
    }

    fn is_pulled(&self) -> bool {
        self.pulled.load(Ordering::Acquire)
    }
}

impl AsyncUdpSocket for Cable {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.socket).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.is_pulled() { Ok(()) } else { self.socket.try_send(transmit) }
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let received = ready!(self.socket.poll_recv(context, buffers, meta))?;
            if !self.is_pulled() {
                return Poll::Ready(Ok(received));
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}
