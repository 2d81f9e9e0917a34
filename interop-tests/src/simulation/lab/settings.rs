//! What may be set otherwise, to see what it is worth: one thing at a time, at both ends.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::{BbrConfig, Controller, ControllerFactory, CubicConfig, NewRenoConfig};
use quinn::{AckFrequencyConfig, TransportConfig, VarInt};

use super::options::Settings;

impl Settings {
    /// All that were measured.
    pub const MEASURED: &'static [Self] = &[
        Self::AS_THEY_ARE,
        both("newreno", |config| {
            config.congestion_controller_factory(Arc::new(NewRenoConfig::default()));
        }),
        both("bbr", |config| {
            config.congestion_controller_factory(Arc::new(BbrConfig::default()));
        }),
        both("floor-4", |config| floor(config, 4)),
        both("floor-6", |config| floor(config, 6)),
        both("floor-10", |config| floor(config, 10)),
        both("ack-1", |config| acks(config, 0, None)),
        both("ack-1-5ms", |config| acks(config, 0, Some(5))),
        both("ack-2-5ms", |config| acks(config, 1, Some(5))),
        both("ack-2-100ms", |config| acks(config, 1, Some(100))),
        both("packet-2", |config| {
            config.packet_threshold(2);
        }),
        both("time-1.0", |config| {
            config.time_threshold(1.0);
        }),
        both("time-1.25", |config| {
            config.time_threshold(1.25);
        }),
        both("no-mtud", |config| {
            config.mtu_discovery_config(None);
        }),
        both("persistent-6", |config| {
            config.persistent_congestion_threshold(6);
        }),
        both("initial-rtt-100", |config| {
            config.initial_rtt(Duration::from_millis(100));
        }),
        both("initial-rtt-200", |config| {
            config.initial_rtt(Duration::from_millis(200));
        }),
        both("iw-32", |config| {
            let mut cubic = CubicConfig::default();
            cubic.initial_window(32 * 1_200);
            config.congestion_controller_factory(Arc::new(cubic));
        }),
    ];

    /// The ones with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::MEASURED.iter().find(|settings| settings.name == name)
    }
}

const fn both(name: &'static str, tune: fn(&mut TransportConfig)) -> Settings {
    Settings { name, server: tune, device: tune }
}

/// Asks the peer to acknowledge after so many packets more, and after so long at the latest.
fn acks(config: &mut TransportConfig, threshold: u32, delay_ms: Option<u64>) {
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(threshold))
        .max_ack_delay(delay_ms.map(Duration::from_millis));
    config.ack_frequency_config(Some(acks));
}

fn floor(config: &mut TransportConfig, packets: u64) {
    config.congestion_controller_factory(Arc::new(FloorConfig { packets, inner: Arc::default() }));
}

struct FloorConfig {
    packets: u64,
    inner: Arc<CubicConfig>,
}

impl ControllerFactory for FloorConfig {
    fn build(self: Arc<Self>, now: std::time::Instant, current_mtu: u16) -> Box<dyn Controller> {
        let inner = Arc::clone(&self.inner).build(now, current_mtu);
        Box::new(Floor { floor: self.packets * u64::from(current_mtu), packets: self.packets, inner })
    }
}

struct Floor {
    floor: u64,
    packets: u64,
    inner: Box<dyn Controller>,
}

impl Controller for Floor {
    fn on_sent(&mut self, now: std::time::Instant, bytes: u64, last: u64) {
        self.inner.on_sent(now, bytes, last);
    }
    fn on_ack(
        &mut self,
        now: std::time::Instant,
        sent: std::time::Instant,
        bytes: u64,
        app_limited: bool,
        rtt: &quinn_proto::RttEstimator,
    ) {
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
    }
    fn on_end_acks(
        &mut self,
        now: std::time::Instant,
        in_flight: u64,
        app_limited: bool,
        largest: Option<u64>,
    ) {
        self.inner.on_end_acks(now, in_flight, app_limited, largest);
    }
    fn on_congestion_event(
        &mut self,
        now: std::time::Instant,
        sent: std::time::Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.inner.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }
    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.floor = self.packets * u64::from(new_mtu);
        self.inner.on_mtu_update(new_mtu);
    }
    fn window(&self) -> u64 {
        self.inner.window().max(self.floor)
    }
    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { floor: self.floor, packets: self.packets, inner: self.inner.clone_box() })
    }
    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
