//! The real binary, as scripts and people call it: names, options, JSON, exit codes, one-line errors.
//!
//! Every test has folders and ports of its own, and ends only processes that it started.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod cluster;
mod cluster_secret;
mod crash;
mod demo;
mod fulmar;
mod nodes;
mod redaction;
mod server;
mod serving;
mod talking;
mod typing;
