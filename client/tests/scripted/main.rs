//! The client against a server that follows a script: over real QUIC on loopback, with frames of the test's
//! choosing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod confirming;
mod connecting;
mod hedging;
mod hostile;
mod lifetime;
mod marks_and_presence;
mod receiving;
mod refusing;
mod requesting;
mod sending;
mod server;
