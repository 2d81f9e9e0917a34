//! A path between client and server that tests can cut, for all packets or for one connection's.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    All,
    /// Connections that were not seen before the cut.
    Others,
    Nothing,
}

struct Shared {
    mode: Mode,
    client: Option<SocketAddr>,
    /// Connection ids of packets without a long header: of connections that are open.
    seen: HashSet<Vec<u8>>,
    /// Of the client's packets so many pass until one is lost; 0: none is.
    lost_after: u32,
    passed: u32,
}

impl Shared {
    /// Whether it is the turn of a packet of the client to be lost.
    fn loses(&mut self) -> bool {
        self.passed = self.passed.wrapping_add(1);
        self.passed.is_multiple_of(self.lost_after)
    }

    /// quinn's connection ids have 8 bytes, and follow the first byte of a packet with a short header.
    fn passes(&mut self, packet: &[u8]) -> bool {
        let id = packet.get(1..9).filter(|_| packet[0] & 0x80 == 0).map(<[u8]>::to_vec);
        match self.mode {
            Mode::All => {
                self.seen.extend(id);
                true
            }
            Mode::Others => id.is_none_or(|id| !self.seen.contains(&id)),
            Mode::Nothing => false,
        }
    }
}

/// The path. Dropping it cuts it for good.
pub(crate) struct Path {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    from_client: mpsc::Receiver<()>,
    _tasks: JoinSet<()>,
}

impl Path {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let shared = Arc::new(Mutex::new(Shared {
            mode: Mode::All,
            client: None,
            seen: HashSet::new(),
            lost_after: 0,
            passed: 0,
        }));
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let address = front.local_addr().unwrap();
        let (told, from_client) = mpsc::channel(1_024);
        let mut tasks = JoinSet::new();
        let (inward, outward) = (Arc::clone(&shared), Arc::clone(&shared));
        let (front_in, back_in) = (Arc::clone(&front), Arc::clone(&back));
        tasks.spawn(async move {
            let mut packet = vec![0; 65_536];
            while let Ok((length, client)) = front_in.recv_from(&mut packet).await {
                // More than anybody waits for are not counted.
                let _ = told.try_send(());
                let passes = {
                    let mut shared = inward.lock();
                    shared.client = Some(client);
                    shared.passes(&packet[..length]) && !shared.loses()
                };
                if passes {
                    let _ = back_in.send_to(&packet[..length], server).await;
                }
            }
        });
        tasks.spawn(async move {
            let mut packet = vec![0; 65_536];
            while let Ok((length, _)) = back.recv_from(&mut packet).await {
                let client = {
                    let mut shared = outward.lock();
                    let client = shared.client;
                    client.filter(|_| shared.passes(&packet[..length]))
                };
                if let Some(client) = client {
                    let _ = front.send_to(&packet[..length], client).await;
                }
            }
        });
        Self { address, shared, from_client, _tasks: tasks }
    }

    /// Each so manieth packet of the client is lost.
    pub(crate) fn lose_one_in(&self, packets: u32) {
        self.shared.lock().lost_after = packets;
    }

    /// Nothing passes.
    pub(crate) fn cut(&self) {
        self.shared.lock().mode = Mode::Nothing;
    }

    /// Nothing of the connections passes that are open now.
    pub(crate) fn cut_open_connections(&self) {
        self.shared.lock().mode = Mode::Others;
    }

    pub(crate) fn mend(&self) {
        self.shared.lock().mode = Mode::All;
    }

    /// The next packet that the client sends.
    pub(crate) async fn packet_of_client(&mut self) {
        self.from_client.recv().await.unwrap();
    }
}
