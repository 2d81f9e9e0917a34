//! The pure state machines that a server, a client, or both run. Time is an argument; nothing here reads a clock,
//! draws a random number, or waits.

mod cursor_state;
mod read_progress;
mod row;
mod sender_window;
mod token_bucket;

pub use cursor_state::{CursorInvalid, CursorState};
pub use read_progress::ReadProgress;
pub use row::RowInvalid;
pub use sender_window::{Decision, Outcome, SenderWindow};
pub use token_bucket::{Rate, TokenBucket};
