//! Users' apps, and what they were told.

use std::sync::Arc;
use std::time::Duration;

use fulmar_client::{ClientBuilder, Event, OutgoingMessage, UserId};
use fulmar_interop_tests::simulation::{Device, World};
use fulmar_network_model::Profile;
use parking_lot::Mutex;

pub(crate) fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

/// A device, and all that its app was told, with the time.
pub(crate) struct App {
    pub(crate) device: Device,
    told: Arc<Mutex<Vec<(Duration, Event)>>>,
}

impl App {
    /// A user's device that connects to one node first, and to the others where that one does not answer.
    pub(crate) fn start(world: &World, name: &str, number: usize, node: usize) -> Self {
        Self::start_with(world, name, number, node, |builder| builder)
    }

    /// With a client of other settings.
    pub(crate) fn start_with(
        world: &World,
        name: &str,
        number: usize,
        node: usize,
        settings: fn(ClientBuilder) -> ClientBuilder,
    ) -> Self {
        let told: Arc<Mutex<Vec<(Duration, Event)>>> = Arc::default();
        let (seen, origin) = (Arc::clone(&told), world.origin());
        let watch = move |event: &Event| seen.lock().push((origin.elapsed(), event.clone()));
        let servers = (0..world.nodes()).map(|next| world.server_name((node + next) % world.nodes()));
        let device = Device::new(world, user(name), number, &Profile::CLEAN, Arc::new(watch));
        let device = device.with_servers(servers.collect()).with_settings(settings);
        device.start();
        Self { device, told }
    }

    pub(crate) fn client(&self) -> fulmar_client::Client {
        self.device.client().unwrap()
    }

    pub(crate) fn is_online(&self) -> bool {
        self.client().status().borrow().is_online()
    }

    pub(crate) async fn send(&self, peer: &str, text: &str) {
        let conversation = self.client().direct(&user(peer)).unwrap();
        drop(conversation.enqueue(OutgoingMessage::text(text)).await.unwrap());
    }

    /// The seqs that it was handed, of all conversations, in order.
    pub(crate) fn seqs(&self) -> Vec<u64> {
        self.find(|event| match event {
            Event::Entry(entry) => Some(entry.seq.get()),
            _ => None,
        })
    }

    /// When it was handed the last entry.
    pub(crate) fn last_entry_at(&self) -> Duration {
        let told = self.told.lock();
        told.iter().rev().find(|(_, event)| matches!(event, Event::Entry(_))).map(|(at, _)| *at).unwrap()
    }

    /// Whatever is found in what it was told, in order.
    pub(crate) fn find<T>(&self, find: impl Fn(&Event) -> Option<T>) -> Vec<T> {
        self.told.lock().iter().filter_map(|(_, event)| find(event)).collect()
    }
}
