//! The simulated network itself: that it does what its figures say.

mod packets;
mod path;
mod quic;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fulmar_interop_tests::simulation::Host;
use quinn::AsyncUdpSocket;
use quinn::udp::Transmit;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A device's or a server's address.
fn ip(number: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, number).into()
}

/// A socket, and where to reach it.
struct Bound {
    socket: Arc<dyn AsyncUdpSocket>,
    address: SocketAddr,
}

impl Bound {
    fn on(host: &Host, port: u16) -> Self {
        let socket = host.bind(port).unwrap();
        let address = SocketAddr::new(host.address(), socket.local_addr().unwrap().port());
        Self { socket, address }
    }

    fn send(&self, to: SocketAddr, contents: &[u8]) {
        let transmit = Transmit { destination: to, ecn: None, contents, segment_size: None, src_ip: None };
        self.socket.try_send(&transmit).unwrap();
    }

    async fn receive(&self) -> (SocketAddr, Vec<u8>) {
        let (from, payload) = fulmar_interop_tests::simulation::receive(&*self.socket).await.unwrap();
        (from, payload.to_vec())
    }

    /// What comes within a second, if anything does.
    async fn receive_soon(&self) -> Option<(SocketAddr, Vec<u8>)> {
        tokio::time::timeout(Duration::from_secs(1), self.receive()).await.ok()
    }
}
