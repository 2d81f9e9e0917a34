//! QUIC as the client uses it: endpoints and their tuning, the opening of a connection, and frames on
//! streams. Knows nothing of sessions.

mod candidates;
mod dial;
mod endpoint;
mod frames;

pub(crate) use dial::{DialError, Dialled, Early, Failures, Trial, dial};
pub(crate) use endpoint::Endpoints;
pub use endpoint::quic_transport;
pub(crate) use frames::{FrameReader, ReadError, close_for, error_code};
