//! What passes the link of a device.
//!
//! A tap on its host: counts packets with their headers, and loses packets to it where a trial wants to know
//! which were lost.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::Instant;

use fulmar_network_model::HEADER_BYTES;

use super::super::network::{Direction, Host, Tally, Verdict};
use super::options::Trial;

/// See the module. Clones are the same meter.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter(Arc<Mutex<Metered>>);

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Metered {
    /// From the device.
    pub(super) up: Tally,
    /// To the device, lost or not.
    pub(super) down: Tally,
    /// When packets to the device were lost, where the meter loses them.
    pub(super) lost: Vec<Duration>,
}

impl Meter {
    /// A meter on a host, in place of any other tap.
    pub(super) fn on(host: &Host, trial: &Trial, seed: u64) -> Self {
        let meter = Self::default();
        let (metered, loss) = (Arc::clone(&meter.0), trial.known_loss);
        let mut random = StdRng::seed_from_u64(seed ^ 0x006d_6574_6572);
        let origin = Instant::now();
        host.tap(Box::new(move |packet| {
            let mut metered = metered.lock();
            let way = match packet.direction {
                Direction::Up => &mut metered.up,
                Direction::Down => &mut metered.down,
            };
            way.packets += 1;
            way.bytes += u64::try_from(packet.payload.len()).unwrap_or(u64::MAX) + u64::from(HEADER_BYTES);
            let is_lost =
                packet.direction == Direction::Down && loss.is_some_and(|loss| random.random_bool(loss));
            if is_lost {
                metered.lost.push(origin.elapsed());
                return Verdict::Drop;
            }
            Verdict::Pass
        }));
        meter
    }

    pub(super) fn read(&self) -> Metered {
        self.0.lock().clone()
    }
}
