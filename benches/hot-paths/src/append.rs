//! The log: messages through the server's own append, and the reading of those that lanes do.

use std::hint::black_box;

use bytes::Bytes;
use fulmar_protocol::Seq;
use fulmar_server::ConversationPath;
use tokio::runtime::{Builder, Runtime};

use super::{BODY_BYTES, Case, Run, content};

/// Messages of a run.
const MESSAGES: u32 = 256;
/// Messages of a batch, where they come in batches.
const BATCH: usize = 16;
/// Entries that a lane reads at once.
const READ: u32 = 32;

/// See the module. Of one message each.
pub(super) const CASES: [Case; 4] = [
    case("append/direct", || append(direct(), 1)),
    case("append/direct_in_batches_of_16", || append(direct(), BATCH)),
    case("append/group_of_20", || append(group(20), 1)),
    case("append/read_from_memory", read),
];

const fn case(name: &'static str, prepare: fn() -> Run) -> Case {
    Case { name, operations: MESSAGES, prepare, within: None }
}

/// A conversation and the runtime that it lives on.
type Place = (Runtime, ConversationPath);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
}

fn direct() -> Place {
    let runtime = runtime();
    let path = runtime.block_on(ConversationPath::direct()).expect("a conversation");
    (runtime, path)
}

fn group(members: usize) -> Place {
    let runtime = runtime();
    let path = runtime.block_on(ConversationPath::group(members)).expect("a group");
    (runtime, path)
}

/// Sends in batches of so many; the next when the one before it is accepted.
fn append((runtime, mut path): Place, batch: usize) -> Run {
    let contents: Vec<Bytes> = (0..batch).map(|_| content(BODY_BYTES)).collect();
    // Memory that grows once.
    runtime.block_on(path.send(&contents)).expect("a send");
    Box::new(move || {
        runtime.block_on(async {
            for _ in 0..MESSAGES as usize / batch {
                path.send(black_box(&contents)).await.expect("a send");
            }
        });
    })
}

/// A lane that is told of each batch in turn.
fn read() -> Run {
    let (runtime, path) = {
        let (runtime, mut path) = direct();
        let contents: Vec<Bytes> = (0..BATCH).map(|_| content(BODY_BYTES)).collect();
        for _ in 0..READ as usize / BATCH {
            runtime.block_on(path.send(&contents)).expect("a send");
        }
        (runtime, path)
    };
    Box::new(move || {
        runtime.block_on(async {
            for _ in 0..MESSAGES / READ {
                let bytes = path.read(Seq::new(2), READ as usize).await.expect("entries");
                assert!(black_box(bytes) > READ as usize * BODY_BYTES, "all entries are read");
            }
        });
    })
}
