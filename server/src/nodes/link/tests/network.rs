//! A network in memory: packets arrive at once and in order, unless an address is cut off.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::time::Instant;

#[derive(Clone, Debug, Default)]
pub(super) struct Network(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    sockets: BTreeMap<SocketAddr, Inbox>,
    cut_off: BTreeSet<SocketAddr>,
    sent: Vec<Sent>,
}

/// A packet, as an observer sees it: when, from where, to where, how long.
pub(super) type Sent = (Instant, SocketAddr, SocketAddr, usize);

#[derive(Debug, Default)]
struct Inbox {
    packets: VecDeque<(SocketAddr, Vec<u8>)>,
    reader: Option<Waker>,
}

pub(super) fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

impl Network {
    pub(super) fn bind(&self, port: u16) -> Arc<dyn AsyncUdpSocket> {
        let own = address(port);
        let before = self.0.lock().sockets.insert(own, Inbox::default());
        assert!(before.is_none(), "port {port} is in use");
        Arc::new(Socket { network: self.clone(), own })
    }

    /// All packets until now.
    pub(super) fn sent(&self) -> Vec<Sent> {
        self.0.lock().sent.clone()
    }

    /// From here on nothing reaches the address and nothing leaves it.
    pub(super) fn cut_off(&self, port: u16) {
        self.0.lock().cut_off.insert(address(port));
    }

    pub(super) fn restore(&self, port: u16) {
        self.0.lock().cut_off.remove(&address(port));
    }
}

#[derive(Debug)]
struct Socket {
    network: Network,
    own: SocketAddr,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.network.0.lock().sockets.remove(&self.own);
    }
}

#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let mut state = self.network.0.lock();
        state.sent.push((Instant::now(), self.own, transmit.destination, transmit.contents.len()));
        if [self.own, transmit.destination].iter().any(|end| state.cut_off.contains(end)) {
            return Ok(());
        }
        if let Some(inbox) = state.sockets.get_mut(&transmit.destination) {
            inbox.packets.push_back((self.own, transmit.contents.to_vec()));
            inbox.reader.take().into_iter().for_each(Waker::wake);
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.network.0.lock();
        let inbox = state.sockets.get_mut(&self.own).unwrap();
        let Some((from, packet)) = inbox.packets.pop_front() else {
            inbox.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        bufs[0][..packet.len()].copy_from_slice(&packet);
        let len = packet.len();
        meta[0] = RecvMeta { addr: from, len, stride: len, ecn: None, dst_ip: Some(self.own.ip()) };
        Poll::Ready(Ok(1))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.own)
    }

    fn may_fragment(&self) -> bool {
        false
    }
}
