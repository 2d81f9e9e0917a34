//! Between a client and its server: a relay that keeps what the client sends, and holds it up on demand.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::within;

/// What gets through to the server. What comes from it always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Everything.
    Open,
    /// The first flight: nothing by which a handshake is completed, nor anything after that.
    FirstFlight,
    /// Nothing.
    Shut,
}

#[derive(Debug)]
struct State {
    gate: Gate,
    /// Every datagram of the client, whether it got through or not.
    recorded: Vec<Vec<u8>>,
}

/// See the module. For one client at a time.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    server: SocketAddr,
    state: Arc<Mutex<State>>,
    _running: JoinSet<()>,
}

impl Relay {
    /// A relay to a server.
    pub async fn to(server: SocketAddr, gate: Gate) -> Self {
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        back.connect(server).await.unwrap();
        let address = front.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { gate, recorded: Vec::new() }));
        let mut running = JoinSet::new();
        running.spawn(run(front, back, Arc::clone(&state)));
        Self { address, server, state, _running: running }
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets what gets through from now on.
    pub fn set(&self, gate: Gate) {
        self.state.lock().gate = gate;
    }

    /// The client's first flight, once all of it is recorded: `sent` says how many datagrams the client has sent.
    pub async fn flight(&self, sent: impl Fn() -> u64) -> Vec<Vec<u8>> {
        within("the first flight", async {
            loop {
                let flight = self.state.lock().recorded.clone();
                if flight.iter().any(|datagram| packets(datagram).any(|packet| packet == EARLY_DATA))
                    && flight.len() as u64 >= sent()
                {
                    return flight;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// Sends a flight to the server again, from an address of its own, on which the answers arrive.
    pub async fn replay(&self, flight: &[Vec<u8>]) -> UdpSocket {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        for datagram in flight {
            socket.send_to(datagram, self.server).await.unwrap();
        }
        socket
    }
}

async fn run(front: UdpSocket, back: UdpSocket, state: Arc<Mutex<State>>) {
    let mut client = None;
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            biased;
            Ok((length, from)) = front.recv_from(&mut up) => {
                client = Some(from);
                let datagram = &up[..length];
                let gate = {
                    let mut state = state.lock();
                    state.recorded.push(datagram.to_vec());
                    state.gate
                };
                let first = packets(datagram).all(|packet| packet == INITIAL || packet == EARLY_DATA);
                if gate == Gate::Open || (gate == Gate::FirstFlight && first) {
                    let _ = back.send(datagram).await;
                }
            }
            Ok(length) = back.recv(&mut down) => {
                if let Some(client) = client {
                    let _ = front.send_to(&down[..length], client).await;
                }
            }
            // A socket without a server reports that; the next packet may find one.
            else => tokio::task::yield_now().await,
        }
    }
}

const INITIAL: u8 = 0;
const EARLY_DATA: u8 = 1;
const SHORT: u8 = u8::MAX;

/// The types of the packets in a datagram: those of long headers (RFC 9000, 17.2), and `SHORT`.
fn packets(datagram: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let first = *rest.first()?;
        if first & 0x80 == 0 {
            rest = &[];
            return Some(SHORT);
        }
        let kind = (first & 0x30) >> 4;
        // First byte and version; then two connection ids.
        let mut at = 5;
        for _ in 0..2 {
            at += 1 + usize::from(*rest.get(at)?);
        }
        if kind == INITIAL {
            let token = varint(rest, &mut at)?;
            at += token;
        }
        let length = varint(rest, &mut at)?;
        rest = rest.get(at + length..).unwrap_or_default();
        Some(kind)
    })
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let first = *bytes.get(*at)?;
    let length = 1 << (first >> 6);
    let mut value = usize::from(first & 0x3f);
    for byte in bytes.get(*at + 1..*at + length)? {
        value = value << 8 | usize::from(*byte);
    }
    *at += length;
    Some(value)
}
