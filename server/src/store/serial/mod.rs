//! What the back ends share that run closures one after another: no conflicts, each closure at most once.
//!
//! | file | what |
//! |---|---|
//! | `job` | one closure on its way through the writer |
//! | `base` | the state that a batch is built on, and reading from it |
//! | `workspace`, `overlay` | what a closure reads and writes |
//! | `runner` | runs jobs in a workspace, batch by batch |
//! | `status` | what the writer tells everybody: the newest durable state, failed, closed |
//!
//! Everything is generic over the base, so that a read costs no dynamic call. Not here: where batches go, and
//! what drives the writer.

mod base;
mod job;
mod overlay;
mod runner;
mod status;
mod workspace;

pub(super) use self::{
    base::{Base, Row},
    job::{ClosureJob, Job, answer_all},
    overlay::{OVERLAY_ROW_BYTES, Overlay},
    runner::{Message, Runner},
    status::Status,
    workspace::Workspace,
};
