//! Who is connected, and what they are told of.
//!
//! `Hub` knows the sessions by user and passes on the log's hints; `Presence` and typing never touch the
//! store and leave as datagrams within each session's budget. Everything here may be lost: a session that
//! missed a hint still finds the entry by its cursor.

mod hub;
mod lane_signal;
mod presence;
mod session_handle;

pub(crate) use hub::{Hub, Newcomer, RegisterError, Registered};
pub(crate) use lane_signal::LaneSignal;
pub(crate) use presence::{Neighbours, Presence};
pub(crate) use session_handle::{SessionHandle, SessionIdentity};
