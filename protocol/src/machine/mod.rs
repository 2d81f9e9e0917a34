//! The pure state machines that a server, a client, or both run. Time is an argument; nothing here reads a
//! clock, draws a random number, or waits.

mod cursor_state;
mod hedge_budget;
mod hedge_loss;
mod hedge_order;
mod hedge_queue;
mod hedged_entries;
mod lane_receiver;
mod latest_wins;
mod outbox;
mod read_progress;
mod row;
mod sender_window;
mod token_bucket;

pub use cursor_state::{CursorInvalid, CursorState};
pub use hedge_budget::HedgeBudget;
pub use hedge_loss::LossEstimate;
pub use hedge_order::SendOrder;
pub use hedge_queue::{HedgeQueue, hedge_delay};
pub use hedged_entries::{EntryDiffers, HedgedEntries};
pub use lane_receiver::{Delivery, LaneReceiver, LaneViolation};
pub use latest_wins::{Applied, LatestWins, TypingState};
pub use outbox::{Outbox, OutboxFull, OutboxInvalid, OutboxItem, OutboxLimits, Refusal, Renumbered};
pub use read_progress::ReadProgress;
pub use row::RowInvalid;
pub use sender_window::{Decision, Outcome, SenderWindow};
pub use token_bucket::{Rate, TokenBucket};
