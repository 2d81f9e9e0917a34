//! What all tasks of the links share: who is known, and how the endpoint is set.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use fulmar_protocol::Epoch;
use parking_lot::Mutex;
use quinn::{ClientConfig, Endpoint};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::LinkEvent;
use super::dial::Dialler;
use super::hello::{Hello, Versions};
use super::queue::Queue;
use crate::clock::Rng;
use crate::limits::NODES_MAX;
use crate::metrics::{LinkRefusal, Metrics};
use crate::nodes::{Fingerprint, NodeNumber, Peer};

pub(super) struct Shared {
    pub(super) endpoint: Endpoint,
    pub(super) client: ClientConfig,
    pub(super) fingerprint: Fingerprint,
    pub(super) deployment: Epoch,
    pub(super) versions: Versions,
    pub(super) rng: Rng,
    pub(super) metrics: Arc<Metrics>,
    pub(super) events: mpsc::Sender<LinkEvent>,
    /// This node's number, for those who wait for another one.
    pub(super) number: watch::Sender<NodeNumber>,
    pub(super) known: Mutex<Known>,
    /// Cancelled when the links close.
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

/// Who is known.
#[derive(Default)]
pub(super) struct Known {
    peers: BTreeMap<NodeNumber, KnownPeer>,
    /// Tasks of peers that were let go and may still have to say so. Pruned with each change of the peers.
    leaving: BTreeMap<NodeNumber, JoinHandle<()>>,
}

struct KnownPeer {
    peer: Peer,
    queue: Arc<Queue>,
    dialler: JoinHandle<()>,
    /// Ends the dialler.
    stop: CancellationToken,
    /// Ends the link that the peer dialled, if there is one.
    incoming: Option<Incoming>,
}

/// A link that a peer dialled, as those see it who may end it.
struct Incoming {
    stop: CancellationToken,
    replaced: CancellationToken,
}

/// A link that was admitted.
pub(super) struct Admitted {
    pub(super) from: NodeNumber,
    pub(super) version: u32,
    /// Cancelled when this node does not want the link any more.
    pub(super) stop: CancellationToken,
    /// Cancelled when the peer has dialled again.
    pub(super) replaced: CancellationToken,
}

impl Shared {
    /// Hands an event to whoever takes them; waits while there is no room.
    pub(super) async fn tell(&self, event: LinkEvent) {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            // Fails when nobody takes events any more: then nobody misses one.
            _ = self.events.send(event) => {}
        }
    }

    pub(super) fn is_alone(&self) -> bool {
        self.known.lock().peers.is_empty()
    }

    pub(super) fn queue_of(&self, number: NodeNumber) -> Option<Arc<Queue>> {
        self.known.lock().peers.get(&number).map(|known| Arc::clone(&known.queue))
    }

    /// Puts an encoded message into each queue. `full` is called for each that has no room.
    pub(super) fn push_to_all(&self, message: &Bytes, mut full: impl FnMut()) -> u64 {
        let mut taken: u64 = 0;
        for known in self.known.lock().peers.values() {
            if known.queue.push(message.clone()) {
                taken = taken.saturating_add(1);
            } else {
                full();
            }
        }
        taken
    }

    /// Judges a hello. Admitting a link ends the one that the peer dialled before.
    pub(super) fn admit(&self, hello: Hello, proved: Fingerprint) -> Result<Admitted, LinkRefusal> {
        let mut known = self.known.lock();
        let version = hello.judge(self.versions, *self.number.borrow(), self.deployment)?;
        let peer = known.peers.get_mut(&hello.from).ok_or(LinkRefusal::NotKnownYet)?;
        if peer.peer.fingerprint != proved {
            return Err(LinkRefusal::OtherCertificate);
        }
        let (stop, replaced) = (self.stop.child_token(), CancellationToken::new());
        let newer = Incoming { stop: stop.clone(), replaced: replaced.clone() };
        if let Some(older) = peer.incoming.replace(newer) {
            older.replaced.cancel();
        }
        Ok(Admitted { from: hello.from, version, stop, replaced })
    }

    pub(super) fn set_number(&self, number: NodeNumber) {
        let mut known = self.known.lock();
        if self.number.send_replace(number) == number {
            return;
        }
        known.let_go_of(number);
        for incoming in known.peers.values_mut().filter_map(|peer| peer.incoming.take()) {
            incoming.stop.cancel();
        }
    }

    pub(super) fn set_peers(self: &Arc<Self>, peers: Vec<Peer>) {
        let mut known = self.known.lock();
        if self.stop.is_cancelled() {
            return;
        }
        let own = *self.number.borrow();
        let others = peers.into_iter().filter(|peer| peer.number != own);
        let mut wanted: BTreeMap<_, _> = others.map(|peer| (peer.number, peer)).collect();
        if wanted.len() > NODES_MAX {
            warn!(
                nodes = wanted.len(),
                NODES_MAX, "more nodes than links: those with the highest numbers get none"
            );
        }
        while wanted.len() > NODES_MAX {
            wanted.pop_last();
        }
        known.leaving.retain(|_, dialler| !dialler.is_finished());
        let changed = |known: &KnownPeer| wanted.get(&known.peer.number) != Some(&known.peer);
        let gone: Vec<_> =
            known.peers.values().filter(|peer| changed(peer)).map(|peer| peer.peer.number).collect();
        gone.into_iter().for_each(|number| known.let_go_of(number));
        for (number, peer) in wanted {
            if known.peers.contains_key(&number) {
                continue;
            }
            let (queue, stop) = (Arc::new(Queue::default()), self.stop.child_token());
            let dialler = Dialler::new(Arc::clone(self), peer, Arc::clone(&queue), stop.clone());
            let dialler = self.tasks.spawn(dialler.run(known.leaving.remove(&number)));
            known.peers.insert(number, KnownPeer { peer, queue, dialler, stop, incoming: None });
        }
    }

    /// Ends everything.
    pub(super) fn close(&self) {
        self.stop.cancel();
        self.endpoint.set_server_config(None);
        self.tasks.close();
        *self.known.lock() = Known::default();
    }
}

impl Known {
    fn let_go_of(&mut self, number: NodeNumber) {
        let Some(peer) = self.peers.remove(&number) else { return };
        peer.stop.cancel();
        if let Some(incoming) = peer.incoming {
            incoming.stop.cancel();
        }
        self.leaving.insert(number, peer.dialler);
    }
}
