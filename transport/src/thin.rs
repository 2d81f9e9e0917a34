//! A congestion window that leaves room for a thin flow.
//!
//! A flow that sends a few small packets a second never fills its window, so nothing makes it grow; yet each
//! lost packet, on a path that loses them at random, makes it smaller. It soon is at its least, two packets, of
//! which QUIC here uses only the first: a packet is sent only if there would be room for a full one. From then
//! on a message waits, as good as always, for the acknowledgement of the one before.
//!
//! So around any controller: its window, but never less than [`WINDOW_PACKETS_MIN`] packets. Congestion that
//! persists is the exception. Then its window holds, as small as it is, until a packet that was sent
//! later has been acknowledged.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use quinn::congestion::{Controller, ControllerFactory};
use quinn_proto::RttEstimator;

use crate::goodbye::Closing;

/// Packets of the largest size that may be in flight whatever was lost: as many as any connection begins with. At
/// four a flow of four messages of 200 bytes a second waits for no window at 350 ms and 3.5 %, but one of 64 a second
/// waits for minutes, on a path that could carry ten times as much.
pub const WINDOW_PACKETS_MIN: u64 = 10;

/// Makes controllers with a least window around others.
pub struct ThinConfig {
    inner: Arc<dyn ControllerFactory + Send + Sync>,
    packets_min: u64,
}

impl ThinConfig {
    /// Around those of another factory.
    #[must_use]
    pub fn around(inner: Arc<dyn ControllerFactory + Send + Sync>) -> Self {
        Self::with_least(inner, WINDOW_PACKETS_MIN)
    }

    /// With another least window, to see what it is worth.
    #[must_use]
    pub fn with_least(inner: Arc<dyn ControllerFactory + Send + Sync>, packets_min: u64) -> Self {
        Self { inner, packets_min }
    }
}

impl ControllerFactory for ThinConfig {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let inner = Arc::clone(&self.inner).build(now, current_mtu);
        Box::new(Thin {
            inner,
            least: Least { packets_min: self.packets_min, mtu: current_mtu, collapsed: None },
            in_flight: 0,
            closing: Closing::default(),
        })
    }
}

pub(crate) struct Thin {
    inner: Box<dyn Controller>,
    least: Least,
    /// Bytes that were sent and neither acknowledged nor lost.
    in_flight: u64,
    /// No window and no pacing for the one packet that is yet to come.
    pub(crate) closing: Closing,
}

impl Controller for Thin {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.in_flight = self.in_flight.saturating_add(bytes);
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.least.handle_ack(sent);
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest: Option<u64>) {
        self.in_flight = in_flight;
        self.inner.on_end_acks(now, in_flight, app_limited, largest);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent: bool, lost_bytes: u64) {
        if is_persistent {
            self.least.collapsed = Some(now);
        }
        self.in_flight = self.in_flight.saturating_sub(lost_bytes);
        self.inner.on_congestion_event(now, sent, is_persistent, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.least.mtu = new_mtu;
        self.inner.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        if self.closing.is_set() { u64::MAX } else { self.inner.window().max(self.least.window()) }
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { inner: self.inner.clone_box(), closing: self.closing.clone(), ..*self })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl Thin {
    /// Whether so many bytes more leave half of the window free.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        self.in_flight.saturating_add(bytes) <= self.window() / 2
    }
}

/// What is left of the window at least.
#[derive(Clone, Copy, Debug)]
struct Least {
    packets_min: u64,
    mtu: u16,
    /// When congestion was last found to persist; no packet sent since then was acknowledged.
    collapsed: Option<Instant>,
}

impl Least {
    fn handle_ack(&mut self, sent: Instant) {
        self.collapsed = self.collapsed.filter(|collapsed| sent <= *collapsed);
    }

    fn window(&self) -> u64 {
        if self.collapsed.is_some() { 0 } else { self.packets_min * u64::from(self.mtu) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use quinn::congestion::CubicConfig;

    use super::*;

    const MTU: u16 = 1_200;

    /// An origin; no time passes by it.
    #[expect(clippy::disallowed_methods, reason = "controllers count from some moment, whichever")]
    fn beginning() -> Instant {
        Instant::now()
    }

    fn lose(controller: &mut dyn Controller, times: u32, is_persistent: bool) {
        let mut now = beginning();
        for _ in 0..times {
            now += Duration::from_secs(1);
            controller.on_congestion_event(now, now - Duration::from_millis(100), is_persistent, 300);
        }
    }

    #[test]
    fn single_losses_leave_room_for_a_few_packets() {
        let config = Arc::new(ThinConfig::around(Arc::new(CubicConfig::default())));
        let mut controller = config.build(beginning(), MTU);
        assert_eq!(controller.window(), 10 * u64::from(MTU), "the inner one's, while that is larger");
        lose(&mut *controller, 20, false);
        assert_eq!(controller.window(), WINDOW_PACKETS_MIN * u64::from(MTU));
        controller.on_mtu_update(1_400);
        assert_eq!(controller.window(), WINDOW_PACKETS_MIN * 1_400);
        lose(&mut *controller, 1, true);
        assert!(controller.window() < WINDOW_PACKETS_MIN * 1_400, "congestion that persists");
    }

    #[test]
    fn after_congestion_that_persists_there_is_room_again_when_something_has_got_through() {
        let found = beginning();
        let mut least = Least { packets_min: WINDOW_PACKETS_MIN, mtu: MTU, collapsed: Some(found) };
        least.handle_ack(found - Duration::from_millis(1));
        assert_eq!(least.window(), 0, "that was sent before");
        least.handle_ack(found + Duration::from_millis(1));
        assert_eq!(least.window(), WINDOW_PACKETS_MIN * u64::from(MTU));
    }
}
