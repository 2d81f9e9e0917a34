//! This node among the others: its lease, and what it does when it gains or loses it.
//!
//! It serves only while it holds a lease. When it could not renew in time it ends its sessions by itself, before the
//! others take it for dead and stop telling it of anything, and takes a new number as soon as the store lets it. What
//! it appended meanwhile is right all the same: the store decided.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use fulmar_protocol::{ConversationId, ErrorCode, ServerAddress, TimestampMs};
use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    NodeNumber, Peer,
    link::{LinkEvent, Links},
    message::{EndToken, Message},
    observed::{Observed, Reading},
    registry::{Registry, SelfDescription},
};
use crate::{
    clock::{Clock, Rng},
    fanout::{Hub, Neighbours},
    fault::Faults,
    limits::{LEASE_OWN_MAX, LEASE_RENEW_EVERY, LOOKUPS_MAX},
    log::{Log, LogError},
    metrics::Metrics,
    rows::NodeRow,
    session::Alternatives,
    store::Store,
};

/// How soon a failed renewal is tried again.
const RENEW_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How long a node that leaves waits until the others are told of what was appended last.
const LAST_LOOKUPS_MAX: Duration = Duration::from_millis(300);

/// What a node is started with.
pub(crate) struct NodeOptions {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) rng: Rng,
    pub(crate) hub: Arc<Hub>,
    pub(crate) metrics: Arc<Metrics>,
    /// Where the other nodes reach it.
    pub(crate) address: SocketAddr,
    pub(crate) client_addresses: Vec<String>,
    pub(crate) server_id: u32,
    /// Where to say where clients may go instead of here.
    pub(crate) alternatives: Alternatives,
    pub(crate) faults: Faults,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JoinError {
    #[error("server_id {server_id} is in use by the node at {address}: give each node one of its own")]
    ServerIdInUse { server_id: u32, address: SocketAddr },
    #[error("the cluster has as many nodes as it may have ({})", crate::limits::NODES_MAX)]
    TooManyNodes,
    #[error("the cluster cannot be joined: {0}")]
    Log(#[from] LogError),
}

/// See the module.
pub(crate) struct Node {
    pub(super) me: Weak<Self>,
    pub(super) registry: Registry,
    pub(super) links: Links,
    pub(super) hub: Arc<Hub>,
    /// Set right after the log was made, which tells this node of its news.
    pub(super) log: OnceLock<Weak<Log>>,
    pub(super) store: Store,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
    alternatives: Alternatives,
    pub(super) faults: Faults,
    /// The number in force; 0 while there is no lease.
    pub(super) number: AtomicU64,
    clock_is_wrong: AtomicBool,
    /// Live nodes to which there is no link.
    pub(super) unreachable: Mutex<BTreeSet<NodeNumber>>,
    /// Nodes for which something was dropped: they are told to look.
    owed: Mutex<BTreeSet<NodeNumber>>,
    /// Dead nodes whose rows are being cleared.
    clearing: Mutex<BTreeSet<NodeNumber>>,
    /// Nodes that are being asked for the presence of all whom somebody here watches; whether once more.
    pub(super) asking: Mutex<BTreeMap<NodeNumber, bool>>,
    /// The other nodes that live.
    peers: Mutex<BTreeMap<NodeNumber, NodeRow>>,
    pub(super) lookups: Arc<Semaphore>,
    /// Large conversations that this node's row is in the store for. Held while rows are written.
    pub(super) interests: tokio::sync::Mutex<BTreeSet<ConversationId>>,
    pub(super) ending: Mutex<BTreeMap<EndToken, oneshot::Sender<()>>>,
    /// What goes on in the background; bounded by `lookups` and by the sessions that end.
    tasks: TaskTracker,
    stopped: CancellationToken,
}

impl Node {
    /// A node that has not joined yet, and the log that tells it of its news.
    pub(crate) fn new(
        options: NodeOptions,
        links: Links,
        log: impl FnOnce(&Arc<Self>) -> Arc<Log>,
    ) -> (Arc<Self>, Arc<Log>) {
        let own = SelfDescription {
            address: options.address,
            fingerprint: links.fingerprint(),
            client_addresses: options.client_addresses,
            server_id: options.server_id,
        };
        let registry = Registry::new(options.store.clone(), options.clock.clone(), own);
        let node = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            registry,
            links,
            hub: options.hub,
            log: OnceLock::new(),
            store: options.store,
            metrics: options.metrics,
            clock: options.clock,
            rng: options.rng,
            alternatives: options.alternatives,
            faults: options.faults,
            number: AtomicU64::new(0),
            clock_is_wrong: AtomicBool::new(false),
            unreachable: Mutex::default(),
            owed: Mutex::default(),
            clearing: Mutex::default(),
            asking: Mutex::default(),
            peers: Mutex::default(),
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            interests: tokio::sync::Mutex::default(),
            ending: Mutex::default(),
            tasks: TaskTracker::new(),
            stopped: CancellationToken::new(),
        });
        let log = log(&node);
        let _ = node.log.set(Arc::downgrade(&log));
        node.hub.presence.set_neighbours(Weak::clone(&node.me) as Weak<dyn Neighbours>);
        (node, log)
    }

    /// Joins the cluster: returns once the lease is held.
    pub(crate) async fn begin(&self, events: mpsc::Receiver<LinkEvent>) -> Result<(), JoinError> {
        self.join().await?;
        self.spawn(Self::keep_lease);
        self.spawn(Self::sweep_held);
        self.spawn(|node| node.handle_events(events));
        Ok(())
    }

    /// Runs something in the background until the node stops.
    pub(super) fn spawn<F: Future<Output = ()> + Send + 'static>(&self, run: impl FnOnce(Arc<Self>) -> F) {
        if let Some(me) = self.me.upgrade() {
            let stopped = self.stopped.clone();
            let run = run(me);
            self.tasks.spawn(async move {
                tokio::select! {
                    biased;
                    () = stopped.cancelled() => {}
                    () = run => {}
                }
            });
        }
    }

    /// Stops at once, as a crash would: nobody is told, and the lease ends by itself.
    pub(crate) fn stop(&self) {
        self.number.store(0, Ordering::Release);
        self.stopped.cancel();
        self.links.close();
    }

    /// The number in force; none while there is no lease, and nobody is served.
    pub(crate) fn number(&self) -> Option<NodeNumber> {
        Some(NodeNumber::new(self.number.load(Ordering::Acquire))).filter(|number| number.get() != 0)
    }

    /// Whether this node's clock differs from most of the others': it appends nothing then.
    pub(crate) fn clock_is_wrong(&self) -> bool {
        self.clock_is_wrong.load(Ordering::Acquire)
    }

    /// Whether the node lives, as far as is known.
    pub(super) fn is_peer(&self, node: NodeNumber) -> bool {
        self.peers.lock().contains_key(&node)
    }

    /// Puts a message into the queue of another node. What finds no room is made up for.
    pub(super) fn send(&self, to: NodeNumber, message: Message) -> bool {
        let is_sent = self.links.send(to, message);
        if !is_sent && self.is_peer(to) {
            self.owed.lock().insert(to);
        }
        is_sent
    }

    /// Something was lost, and nobody knows for whom: all the others are told to look, with the next renewal. Not at
    /// once: what is lost because there is too much to do is lost many times a second.
    pub(super) fn owe_all(&self) {
        let peers: Vec<NodeNumber> = self.peers.lock().keys().copied().collect();
        self.owed.lock().extend(peers);
    }

    /// Gives up the lease and all that is held, once no session is left.
    pub(crate) async fn leave(&self) {
        // What was appended last is still being told.
        let all = u32::try_from(LOOKUPS_MAX).unwrap_or(u32::MAX);
        let _ = timeout(LAST_LOOKUPS_MAX, self.lookups.acquire_many(all)).await;
        let number = self.number();
        self.number.store(0, Ordering::Release);
        // A renewal that is under way would find the row gone, and join again.
        self.stopped.cancel();
        if let Some(number) = number
            && let Err(error) = self.registry.clear(number).await
        {
            tracing::warn!(%error, "the node's rows were not cleared; the others will");
        }
        self.stop();
        self.links.closed().await;
    }

    /// Clears what a dead node left, unless that is under way.
    pub(super) fn clear(&self, number: NodeNumber) {
        if !self.clearing.lock().insert(number) {
            return;
        }
        self.spawn(async move |node| {
            match node.registry.clear(number).await {
                Ok(()) => tracing::info!(node = %number, "cleared what a dead node left"),
                Err(error) => tracing::warn!(node = %number, %error, "clearing a dead node's rows failed"),
            }
            node.clearing.lock().remove(&number);
        });
    }

    async fn keep_lease(self: Arc<Self>) {
        let mut observed = Observed::default();
        let mut renewals = 0_u64;
        let mut until = Instant::now() + LEASE_OWN_MAX;
        let mut next = Instant::now();
        loop {
            sleep_until(next.min(until)).await;
            let begun = Instant::now();
            let began_at = self.clock.now();
            let Some(number) = self.number() else { return };
            // Another one with each attempt: one that seemed to fail may have been seen by the others.
            renewals += 1;
            let renewed = timeout_at(until, self.registry.renew(number, renewals)).await;
            match renewed {
                Ok(Ok(true)) => {
                    (until, next) = (begun + LEASE_OWN_MAX, begun + LEASE_RENEW_EVERY);
                    // Whoever waits here does not renew.
                    let _ = timeout_at(until, self.look_around(number, began_at, &mut observed)).await;
                    continue;
                }
                Ok(Err(error)) if Instant::now() < until => {
                    tracing::warn!(%error, "the lease was not renewed");
                    next = Instant::now() + RENEW_AGAIN_AFTER;
                    continue;
                }
                Ok(Ok(false) | Err(_)) | Err(_) => self.lose_lease(number),
            }
            while let Err(error) = self.join().await {
                tracing::warn!(%error, "joining again");
                sleep(LEASE_RENEW_EVERY).await;
            }
            (observed, renewals) = (Observed::default(), 0);
            (until, next) = (Instant::now() + LEASE_OWN_MAX, Instant::now());
        }
    }

    fn lose_lease(&self, number: NodeNumber) {
        tracing::error!(node = %number, "the lease was lost: sessions end");
        self.number.store(0, Ordering::Release);
        self.metrics.leases_lost.increment(1);
        for session in self.hub.sessions() {
            session.end(ErrorCode::GoingAway);
        }
        // Earlier lives hold rows too: the others see to them.
        self.set_peers(&BTreeMap::new(), &Reading::default());
    }

    /// Reads who else is there, and clears what dead nodes left if no other live node is to.
    async fn look_around(&self, own: NodeNumber, began_at: TimestampMs, observed: &mut Observed) {
        let nodes = match self.registry.nodes().await {
            Ok(nodes) => nodes,
            Err(error) => {
                tracing::warn!(%error, "the other nodes' rows were not read");
                return;
            }
        };
        let others: BTreeMap<_, _> = nodes.into_iter().filter(|(number, _)| *number != own).collect();
        let rows = others.iter().map(|(number, row)| (*number, row));
        let reading = observed.read(rows, began_at, self.clock.now());
        if reading.own_clock_is_wrong
            != self.clock_is_wrong.swap(reading.own_clock_is_wrong, Ordering::AcqRel)
        {
            self.metrics.clock_is_wrong.set(f64::from(u8::from(reading.own_clock_is_wrong)));
            if reading.own_clock_is_wrong {
                tracing::error!(others = ?reading.other_clocks, "this node's clock is wrong: it appends nothing");
            } else {
                tracing::info!("this node's clock is right again");
            }
        }
        if reading.live.first().is_none_or(|first| own < *first) {
            reading.dead.iter().for_each(|dead| self.clear(*dead));
        }
        self.set_peers(&others, &reading);
        // Not under the lock: what finds no room again is owed again.
        let owed = std::mem::take(&mut *self.owed.lock());
        for owed in owed {
            self.send(owed, Message::HintsLost);
        }
    }

    fn set_peers(&self, others: &BTreeMap<NodeNumber, NodeRow>, reading: &Reading) {
        let live = |(number, row): (&NodeNumber, &NodeRow)| {
            reading.live.contains(number).then(|| (*number, row.clone()))
        };
        let live: BTreeMap<_, _> = others.iter().filter_map(live).collect();
        let mut peers = self.peers.lock();
        let known: BTreeSet<NodeNumber> = peers.keys().copied().collect();
        let now: BTreeSet<NodeNumber> = live.keys().copied().collect();
        *peers = live;
        let addresses = peers.values().flat_map(|row| &row.client_addresses);
        self.alternatives.set(addresses.filter_map(|address| ServerAddress::parse(address).ok()).collect());
        if known == now {
            return;
        }
        let list = peers.iter().map(|(number, row)| Peer {
            number: *number,
            address: row.address,
            fingerprint: super::Fingerprint::new(row.fingerprint),
        });
        self.links.set_peers(list.collect());
        drop(peers);
        self.metrics.nodes.set(f64::from(u32::try_from(now.len()).unwrap_or(u32::MAX)));
        let mut unreachable = self.unreachable.lock();
        unreachable.extend(now.difference(&known));
        for gone in known.difference(&now) {
            unreachable.remove(gone);
            self.hub.presence.forget_node(*gone);
        }
    }
}
