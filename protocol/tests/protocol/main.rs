//! The tests of the protocol crate from outside, in one binary: the registry and the schema against the code,
//! the properties of every codec, the test vectors, and the two-ended harness of the state machines.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod harness;
mod properties;
mod registry;
mod schema;
mod values;
mod vectors;
