//! What is measured: Fulmar, a floor or a peer, all behind one interface, so that each workload is written once and
//! every system gets the same load.
//!
//! A system's server runs in processes of its own, started by [`System::start`] at a [`Place`]. Its clients run in
//! this process, on its own well-kept client library.

pub(crate) mod fulmar;
pub(crate) mod peers;
pub(crate) mod relay;
pub(crate) mod wire;

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{error::BenchError, place::Place};

/// Arrivals that a receiver may have waiting; then its connection is no longer read from.
pub(crate) const ARRIVALS_MAX: usize = 65_536;

/// Something that carries messages between users.
pub(crate) trait System: Send + Sync {
    /// Its name on the command line and in results: `fulmar`, `relay`, `mosquitto`.
    fn name(&self) -> &'static str;

    /// What an acknowledged message may rely on there.
    fn promises(&self) -> Promises;

    /// Starts its server. One that is not installed says so, with the command that installs it.
    fn start<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Box<dyn Running>, BenchError>>;
}

/// What a system promises for a message whose sender was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Promises {
    /// It survives a power cut: it was synced before the answer.
    pub(crate) durable: bool,
    /// Every receiver gets a conversation's messages in one order.
    pub(crate) ordered: bool,
    /// It can be read again later, by a new device too.
    pub(crate) archived: bool,
    /// It arrives once, whatever the network does.
    pub(crate) exactly_once: bool,
}

/// A server that is running. Dropping it ends its processes and takes away what it has written.
pub(crate) trait Running: Send + Sync {
    /// As the server says it: `2.11.3`.
    fn version(&self) -> &str;

    /// The year of that release.
    fn release_year(&self) -> u16;

    /// Its processes, whose time and memory are counted together.
    fn processes(&self) -> Vec<u32>;

    /// Makes a conversation of these users. Two: a direct one. More: a group, topic, room or stream, whichever the
    /// system's users would take. Called before anybody of it connects.
    fn conversation<'a>(
        &'a self,
        members: &'a [usize],
    ) -> BoxFuture<'a, Result<ConversationHandle, BenchError>>;

    /// Connects a user's device, which from then on hears of every conversation of this user. Connecting again, when
    /// the former session was dropped, is the same device that comes back and gets what it has missed.
    fn connect(&self, user: usize) -> BoxFuture<'_, Result<Session, BenchError>>;

    /// Says beforehand that a user's device will be dropped and come back, to systems whose devices must keep something
    /// for that.
    fn may_come_back(&self, _user: usize) -> Result<(), BenchError> {
        Ok(())
    }

    /// Connects a device that does nothing but stay until it is dropped, as lean at this end as the system permits.
    fn hold(&self, user: usize) -> BoxFuture<'_, Result<Held, BenchError>> {
        Box::pin(async move { Ok(Box::new(self.connect(user).await?) as Held) })
    }

    /// Connects a device that counts what arrives, and no more, until it is dropped.
    fn listen(&self, user: usize, heard: Heard) -> BoxFuture<'_, Result<Held, BenchError>> {
        Box::pin(async move {
            let Session { sender, mut arrivals } = self.connect(user).await?;
            let counting = Task(tokio::spawn(async move {
                while arrivals.recv().await.is_some() {
                    heard.one();
                }
            }));
            Ok(Box::new((sender, counting)) as Held)
        })
    }
}

/// A connected device of which nothing is wanted but that it is there.
pub(crate) type Held = Box<dyn Any + Send>;

/// Counts arrivals over many devices.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard(Arc<AtomicU64>);

impl Heard {
    pub(crate) fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A task that ends when this is dropped.
pub(crate) struct Task(pub(crate) JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A conversation: its number here, and what the system calls it.
#[derive(Debug, Clone)]
pub(crate) struct ConversationHandle {
    /// From 0 on, in the order in which they were made.
    pub(crate) number: usize,
    /// A topic, a room, a group's id.
    pub(crate) name: String,
    /// Its members.
    pub(crate) members: Vec<usize>,
}

/// A connected device. Dropping it ends the connection.
pub(crate) struct Session {
    /// What it sends with.
    pub(crate) sender: Box<dyn Sender>,
    /// What it gets, others' messages only.
    pub(crate) arrivals: mpsc::Receiver<Arrival>,
}

/// The sending half of a session.
pub(crate) trait Sender: Send + Sync {
    /// Hands a message over. The first future ends when the client library has taken it (it may wait for room), the
    /// second when the server has acknowledged it.
    fn send<'a>(
        &'a self,
        to: &'a ConversationHandle,
        body: Bytes,
    ) -> BoxFuture<'a, Result<Acknowledgement, BenchError>>;

    /// The device's address has changed: a client library that can be told is told.
    fn network_changed(&self) {}
}

/// Ends when the server has acknowledged a message.
pub(crate) type Acknowledgement = BoxFuture<'static, Result<(), BenchError>>;

/// A message that came.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// When the client library gave it out.
    pub(crate) at: Instant,
    /// What was sent.
    pub(crate) body: Bytes,
}
