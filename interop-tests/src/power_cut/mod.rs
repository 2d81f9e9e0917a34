//! Power cuts: what is on the disk after one, at any moment of a recorded process.
//!
//! Killing a process proves nothing about durability, because the page cache survives it. So a process is run
//! under a recorder ([`record`]) that writes down every file operation below a folder, and the folder is then
//! rebuilt ([`Replay`]) as a power cut at a chosen moment would have left it: of a file, what a completed sync
//! of that file covered; of a folder's names, what a completed sync of that folder covered. Nothing else is
//! promised by the system. What was written without a sync is lost, or survives in part, in any order
//! ([`Survival`]).
//!
//! What a test does with it: run a workload under the recorder that acknowledges (by writing to a file that
//! the recorder knows) what it was told is durable; rebuild at many points; open what was rebuilt with the real
//! program; demand that all that was acknowledged before the point is there.
//!
//! Not modelled: a disk that lies about its cache, or that damages what it has once written.

mod recording;
mod replay;
mod trace;

pub use recording::{Recording, record};
pub use replay::{Replay, Survival};
pub use trace::{Event, Trace};
