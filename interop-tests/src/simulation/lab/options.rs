//! What is measured.

use std::time::Duration;

use fulmar_server::Tune;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use fulmar_network_model::Profile;

/// Before messages are sent: sessions are open by then.
pub(super) const SETTLING: Duration = Duration::from_secs(5);
/// After the last one was sent: what comes later is counted as never.
pub(super) const STRAGGLING: Duration = Duration::from_secs(60);

/// How messages travel to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Plain QUIC with the same settings, everything on one stream.
    OneStream,
    /// Fulmar with a stream a conversation, and no copies.
    Lanes,
    /// Fulmar with hedging.
    Hedged,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OneStream, Self::Lanes, Self::Hedged];

    /// As in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneStream => "one stream",
            Self::Lanes => "lanes",
            Self::Hedged => "lanes, hedged",
        }
    }
}

/// How QUIC is set, beside what Fulmar says.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// As in tables.
    pub name: &'static str,
    /// At the server.
    pub server: Tune,
    /// At the device.
    pub device: Tune,
}

impl Settings {
    /// As they are.
    pub const AS_THEY_ARE: Self = Self { name: "as they are", server: |_| {}, device: |_| {} };
}

/// One device on a network, conversations on a clean one, and messages at random times.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// The device's network.
    pub profile: Profile,
    /// How messages travel.
    pub way: Way,
    /// How many conversations, each with another user.
    pub conversations: usize,
    /// How many messages a second, over all conversations, on average.
    pub per_second: f64,
    /// Bytes of a message's body.
    pub body_bytes: usize,
    /// Messages of so long at first are not counted: what a session has to learn about its path.
    pub warm_up: Duration,
    /// Messages of so long are.
    pub length: Duration,
    /// Packets to the device that are lost in place of the network's own loss, so that it is known which.
    pub known_loss: Option<f64>,
    /// How QUIC is set.
    pub settings: Settings,
}

impl Trial {
    /// Sixteen conversations with four messages of 200 bytes a second.
    #[must_use]
    pub const fn new(profile: Profile, way: Way, length: Duration) -> Self {
        Self {
            profile,
            way,
            conversations: 16,
            per_second: 4.0,
            body_bytes: 200,
            warm_up: Duration::from_secs(60),
            length,
            known_loss: None,
            settings: Settings::AS_THEY_ARE,
        }
    }

    /// The mean time of one way to the device for a packet that waits in no queue.
    #[must_use]
    pub fn one_way(&self) -> Duration {
        let cells = self.profile.down.handovers.map_or(Duration::ZERO, |cells| cells.delay_step_max / 2);
        self.profile.down.delay + self.profile.down.jitter + cells
    }

    /// When messages are sent, and in which conversation.
    pub(super) fn schedule(&self, seed: u64) -> Vec<(Duration, usize)> {
        let mut random = StdRng::seed_from_u64(seed);
        let end = SETTLING + self.warm_up + self.length;
        let mean = Duration::from_secs_f64(1.0 / self.per_second);
        let mut at = SETTLING;
        let mut messages = Vec::new();
        loop {
            let uniform: f64 = random.random_range(0.000_335..1.0);
            at += mean.mul_f64(-uniform.ln());
            if at >= end {
                return messages;
            }
            messages.push((at, random.random_range(0..self.conversations)));
        }
    }
}
