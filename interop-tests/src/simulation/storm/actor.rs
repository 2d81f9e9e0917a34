//! One device's user, acting at random.

use std::sync::Arc;
use std::time::Duration;

use fulmar_client::{Client, Conversation, SimulatedDisk};
use fulmar_protocol::{ConversationId, UserId};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::task::JoinSet;

use super::super::device::Device;
use super::Scene;

/// How often a user does something.
const MEAN: Duration = Duration::from_secs(15);

/// A time until the next event, when events come at random with this mean. At most eight times the mean.
pub(super) fn exponential(random: &mut StdRng, mean: Duration) -> Duration {
    let uniform: f64 = random.random_range(0.000_335..1.0);
    mean.mul_f64(-uniform.ln())
}

pub(super) struct Actor {
    pub(super) scene: Arc<Scene>,
    pub(super) device: Arc<Device>,
    pub(super) random: StdRng,
    pub(super) backup: Option<SimulatedDisk>,
    /// What is under way; it ends with the app.
    pub(super) under_way: JoinSet<()>,
    pub(super) roams: u8,
}

impl Actor {
    pub(super) fn new(scene: Arc<Scene>, device: Arc<Device>, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self { scene, device, random, backup: None, under_way: JoinSet::new(), roams: 0 }
    }

    /// Acts from when it begins until the time is up; what is under way then goes on.
    pub(super) async fn run(mut self, begins: Duration, length: Duration) {
        tokio::time::sleep(begins).await;
        self.pause(1..20_000).await;
        self.scene.recorder.note(format!("device {} of {}: begins", self.number(), self.device.user));
        self.device.start();
        while self.scene.world.now() < length {
            let wait = exponential(&mut self.random, MEAN);
            tokio::time::sleep(wait).await;
            while self.under_way.try_join_next().is_some() {}
            match self.random.random_range(0..1_000) {
                0..500 => self.send(1),
                500..530 => self.change_message(),
                530..550 => self.look_away().await,
                550..560 => self.be_seen(),
                560..600 => {
                    let burst = self.random.random_range(2..20);
                    self.send(burst);
                }
                600..700 => self.mark_read(),
                700..740 => self.type_something(),
                740..800 => self.roam().await,
                800..830 => self.device.host.rebind_nat(),
                830..870 => self.go_dark().await,
                870..900 => self.sleep().await,
                900..930 => self.crash().await,
                930..950 => self.back_up(),
                950..956 => self.restore().await,
                956..970 => self.make_group(),
                _ => self.change_group(),
            }
        }
        self.under_way.detach_all();
    }

    pub(super) fn number(&self) -> usize {
        self.device.number
    }

    pub(super) async fn pause(&mut self, millis: std::ops::Range<u64>) {
        let millis = self.random.random_range(millis);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    pub(super) fn some_user(&mut self) -> UserId {
        self.scene.users[self.random.random_range(0..self.scene.users.len())].clone()
    }

    pub(super) fn some_group(&mut self) -> Option<ConversationId> {
        let groups = self.scene.groups.lock();
        if groups.is_empty() { None } else { Some(groups[self.random.random_range(0..groups.len())]) }
    }

    pub(super) fn some_conversation(&mut self, client: &Client) -> Option<Conversation> {
        let group = if self.random.random_bool(0.5) { self.some_group() } else { None };
        match group {
            Some(group) => Some(client.conversation(group)),
            // Before the first session the client does not know whose it is.
            None => client.direct(&self.some_user()).ok(),
        }
    }
}
