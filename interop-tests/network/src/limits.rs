//! The bounds of the link model.

use std::time::Duration;

/// Any delay that an option asks for is cut to this.
pub const DELAY_MAX: Duration = Duration::from_secs(600);
/// Jitter is cut off at this many times its mean: one packet in 2,981.
pub const JITTER_MULTIPLE_MAX: u32 = 8;
/// Single outages of one link; options hold no more.
pub const OUTAGES_MAX: usize = 8;
/// Changes of the MTU of one link; options hold no more.
pub const MTU_STEPS_MAX: usize = 4;
/// Bytes: the IPv4 and UDP headers, which take their share of the rate and of the queue.
pub const HEADER_BYTES: u32 = 28;
/// Bytes: the UDP payload of an Ethernet frame over IPv4.
pub const UDP_PAYLOAD_BYTES_ETHERNET: u16 = 1_472;
/// Lines of a trace: at most 16 MiB in memory.
pub const TRACE_OPPORTUNITIES_MAX: usize = 4_000_000;
/// Bytes, headers included, that one line of a trace lets leave.
pub const TRACE_OPPORTUNITY_BYTES: u32 = 1_500;
/// Bytes that wait for a trace's opportunities where the options have no rate that says so.
pub const TRACE_QUEUE_BYTES: u32 = 262_144;
