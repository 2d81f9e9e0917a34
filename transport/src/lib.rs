//! How both ends of Fulmar set QUIC alike: loss recovery and congestion control for thin streams.
//!
//! A conversation is a few small packets a second. What QUIC does by default suits bulk: there, a lost packet
//! costs a part of a window; here it costs a person a second. Every number has its reason beside it, and the
//! measurements are in `docs/adr/0006-loss-recovery.md`.
//!
//! Absent on purpose: windows, streams, timeouts and buffers, which are each end's own.

mod goodbye;
mod small_batches;
mod thin;

use std::sync::Arc;

use quinn::TransportConfig;
use quinn::congestion::CubicConfig;

pub use goodbye::close;
pub use small_batches::{BATCH_PACKETS_MAX, SmallBatches};
pub use thin::{ThinConfig, WINDOW_PACKETS_MIN};

/// Sets what both ends have in common.
pub fn tune(config: &mut TransportConfig) {
    config.congestion_controller_factory(Arc::new(ThinConfig::around(Arc::new(CubicConfig::default()))));
}
