//! A network that can be cut: a UDP forwarder between one client and the server.
//!
//! While it is cut it drops every packet in both directions, and nobody is told. When it is mended it goes on
//! from another port, as the network of a phone does that left one and found another.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::failure::Failure;

/// The longest packet that is forwarded; longer ones do not exist in UDP.
const PACKET_BYTES_MAX: usize = 65_535;

/// Whether packets pass, and through which of its sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Path {
    is_open: bool,
    number: u32,
}

/// A running forwarder. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Forwarder {
    address: SocketAddr,
    path: watch::Sender<Path>,
    task: JoinHandle<()>,
}

impl Forwarder {
    /// Forwards to `server` from a port of its own.
    pub(super) async fn start(server: SocketAddr) -> Result<Self, Failure> {
        let front = bind().await?;
        let address = front.local_addr().map_err(socket_failure)?;
        let (path, changes) = watch::channel(Path { is_open: true, number: 0 });
        let back = connected(server).await?;
        let task = tokio::spawn(forward(front, back, server, changes));
        Ok(Self { address, path, task })
    }

    /// Where the client connects.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on every packet is lost.
    pub(super) fn cut(&self) {
        self.path.send_modify(|path| path.is_open = false);
    }

    /// From now on packets pass again, from another port.
    pub(super) fn mend(&self) {
        self.path.send_modify(|path| *path = Path { is_open: true, number: path.number.wrapping_add(1) });
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn bind() -> Result<UdpSocket, Failure> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(socket_failure)
}

async fn connected(server: SocketAddr) -> Result<UdpSocket, Failure> {
    let socket = bind().await?;
    socket.connect(server).await.map_err(socket_failure)?;
    Ok(socket)
}

fn socket_failure(error: std::io::Error) -> Failure {
    Failure::failed(format!(
        "cannot open a UDP socket on loopback: {error}; check the limits of this machine"
    ))
}

async fn forward(
    front: UdpSocket,
    mut back: UdpSocket,
    server: SocketAddr,
    mut changes: watch::Receiver<Path>,
) {
    let mut client = None;
    let (mut up, mut down) = (vec![0; PACKET_BYTES_MAX], vec![0; PACKET_BYTES_MAX]);
    let mut path = *changes.borrow_and_update();
    loop {
        tokio::select! {
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
                let before = path.number;
                path = *changes.borrow_and_update();
                if path.number != before {
                    let Ok(socket) = connected(server).await else { return };
                    back = socket;
                }
            }
            // What a socket refuses is a lost packet, which is what networks do.
            received = front.recv_from(&mut up) => if let Ok((length, from)) = received {
                client = Some(from);
                if path.is_open {
                    let _ = back.send(up.get(..length).unwrap_or_default()).await;
                }
            },
            received = back.recv(&mut down) => if let (Ok(length), Some(client)) = (received, client)
                && path.is_open
            {
                let _ = front.send_to(down.get(..length).unwrap_or_default(), client).await;
            },
        }
    }
}
