//! The client against a real server in the same process, over UDP on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod conversations;
mod groups;
mod resuming;
mod town;
