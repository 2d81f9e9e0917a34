//! The operator's side of a server: health, readiness, metrics, sessions, revoking and draining, as plain
//! HTTP on an address of its own.
//!
//! It asks for no password. What keeps strangers out is the address (loopback unless configured otherwise);
//! what keeps web pages in an operator's browser out is that the `Host` must be an address or a known name
//! (a page could make its own name point here), and that whatever changes something must be sent as JSON
//! (which a browser does not do across sites without asking first). `docs/admin.md` says so to operators.
//!
//! Everything is bounded: connections, their lifetime, requests, bodies and answers.

mod api;
mod guard;
mod listener;
mod routes;
mod server;
#[cfg(test)]
mod tests;

pub use api::{AdminApi, AdminFailure, Draining, ReadinessPart, Revoked, SessionInfo, Sessions};
pub use server::{AdminOptions, AdminServer};
