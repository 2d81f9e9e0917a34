//! The client against a server that follows a script: over real QUIC on loopback, with frames of the test's
//! choosing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod addresses;
mod background;
mod confirming;
mod connecting;
mod hedging;
mod hostile;
mod lifetime;
mod marks_and_presence;
mod path;
mod receiving;
mod refusing;
mod requesting;
mod returning;
mod rival;
mod sending;
mod server;
mod tickets;
