//! The whole server over real sockets, with a client that speaks frames by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod bad_input;
mod bad_requests;
mod delivery;
mod early_data;
mod early_replay;
mod groups;
mod hedging;
mod history;
mod limits;
mod lost_hints;
mod marks;
mod membership;
mod messages;
mod presence;
mod redaction;
mod session;
mod shutdown;
mod streams;

use std::time::Duration;

use fulmar_interop_tests::{FastTime, WireClient, contents::text};
use fulmar_protocol::ConversationId;
use fulmar_server::Clock;

/// Time that runs fifty times as fast as on the wall, and a time of day that keeps up with it.
fn fast_clock() -> (FastTime, Clock) {
    let fast = FastTime::start(Duration::from_millis(50));
    (fast, Clock::simulated(Clock::system().now()))
}

/// `from` sends something to `to` that arrives: both are well.
async fn exchange(from: &WireClient, to: &mut WireClient) {
    let id = ConversationId::direct(&from.user, &to.user);
    let mut lane = from.direct(to.user.as_str()).await;
    let expected = lane.expected().await;
    let mut lane = lane.continue_at(expected);
    let seq = lane.send(&text("are you well?")).await;
    lane.close().await;
    let (delivered, _) = to.log(id, seq).await;
    assert_eq!(delivered.last().unwrap().says(), "are you well?");
}
