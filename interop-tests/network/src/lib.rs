//! A model of one direction of a network path, and the profiles that give it figures.
//!
//! Pure: no sockets, no runtime, no clock; time is an argument, counted from whatever moment its user chose,
//! and the only randomness is a generator made from a seed. So the simulated network
//! (`fulmar-interop-tests`) and an emulator between real sockets (`fulmar-benches`) can share it, and two runs with the same seed
//! and the same packets have the same fates.
//!
//! Absent on purpose: the contents of packets, corruption (QUIC drops what it cannot authenticate, so a
//! corrupted packet is a lost one), active queue management and congestion marks, other people's traffic except as loss and jitter.

mod limits;
mod link;
mod options;
mod profile;
mod trace;

pub use limits::{
    DELAY_MAX, HEADER_BYTES, JITTER_MULTIPLE_MAX, MTU_STEPS_MAX, OUTAGES_MAX, TRACE_OPPORTUNITIES_MAX,
    TRACE_OPPORTUNITY_BYTES, TRACE_QUEUE_BYTES, UDP_PAYLOAD_BYTES_ETHERNET,
};
pub use link::{DropCause, Fate, Link};
pub use options::{Burst, Handovers, LinkOptions, MtuStep, Periodic, Rate, Reordering, Share, Window};
pub use profile::Profile;
pub use trace::{Trace, TraceError};
