//! The bounds of the simulated network.

use std::time::Duration;

/// Packets on their way to one host before its own link, and as many to one of its sockets behind it; what is
/// more is dropped (`Cause::TooManyInFlight`).
pub(super) const PACKETS_IN_FLIGHT_MAX: usize = 65_536;
/// Packets that a capture keeps; later ones are not captured.
pub(super) const CAPTURED_PACKETS_MAX: usize = 1_024;
/// Bytes waiting at a socket, unless set: what Linux gives a socket that asks for nothing.
pub(super) const INBOX_BYTES_DEFAULT: usize = 212_992;
/// Packets waiting at a socket, unless set: small packets cost the kernel more than their bytes.
pub(super) const INBOX_PACKETS_DEFAULT: usize = 1_024;
/// How long a NAT keeps a mapping that nothing uses, unless set.
pub const NAT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// The ports that a NAT gives out, one after another.
pub(super) const NAT_PORTS: std::ops::RangeInclusive<u16> = 20_000..=48_999;
/// The ports that `bind(0)` gives out, one after another.
pub(super) const EPHEMERAL_PORTS: std::ops::RangeInclusive<u16> = 49_152..=65_535;
/// Turns of one `poll_recv` whose alarm is due at once; after them the task is woken anew.
pub(super) const TURNS_MAX: usize = 16;
