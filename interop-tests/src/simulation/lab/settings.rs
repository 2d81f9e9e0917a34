//! What may be set otherwise, to see what it is worth: one thing at a time, at both ends.

use std::sync::Arc;
use std::time::Duration;

use fulmar_transport::ThinConfig;
use quinn::congestion::{BbrConfig, CubicConfig, NewRenoConfig};
use quinn::{AckFrequencyConfig, TransportConfig, VarInt};

use super::options::Settings;

impl Settings {
    /// All that were measured.
    pub const MEASURED: &'static [Self] = &[
        Self::AS_THEY_ARE,
        both("cubic alone", |config| {
            config.congestion_controller_factory(Arc::new(CubicConfig::default()));
        }),
        both("newreno", |config| {
            let inner = Arc::new(NewRenoConfig::default());
            config.congestion_controller_factory(Arc::new(ThinConfig::around(inner)));
        }),
        both("bbr", |config| {
            config.congestion_controller_factory(Arc::new(BbrConfig::default()));
        }),
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
        Self {
            name: "no-mtud-device",
            device: |config| {
                config.mtu_discovery_config(None);
            },
            ..Self::AS_THEY_ARE
        },
        both("persistent-6", |config| {
            config.persistent_congestion_threshold(6);
        }),
        both("initial-rtt-100", |config| {
            config.initial_rtt(Duration::from_millis(100));
        }),
        both("initial-rtt-200", |config| {
            config.initial_rtt(Duration::from_millis(200));
        }),
        both("initial-rtt-800", |config| {
            config.initial_rtt(Duration::from_millis(800));
        }),
        both("least-4", |config| {
            let inner = Arc::new(CubicConfig::default());
            config.congestion_controller_factory(Arc::new(ThinConfig::with_least(inner, 4)));
        }),
        both("least-16", |config| {
            let inner = Arc::new(CubicConfig::default());
            config.congestion_controller_factory(Arc::new(ThinConfig::with_least(inner, 16)));
        }),
        both("iw-32", |config| {
            let mut cubic = CubicConfig::default();
            cubic.initial_window(32 * 1_200);
            config.congestion_controller_factory(Arc::new(ThinConfig::around(Arc::new(cubic))));
        }),
    ];

    /// Those of this name.
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
