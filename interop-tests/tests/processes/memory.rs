//! A client that asks for much and reads nothing costs a bounded amount.

use std::time::Duration;

use fulmar_interop_tests::{
    DialOptions,
    contents::{bytes, create_group, group, text},
    direct, within_time,
};
use fulmar_protocol::{Direction, Frame, HistoryPolicy, HistoryRequest, Seq};

use crate::server_process::ServerProcess;

const GROUPS: u8 = 20;
const MIB: u64 = 1024 * 1024;
/// What the one client may cost: what the server has in flight to it, and what it has read ahead for its lanes
/// and its requests. Without a bound it would be 60 pages of 15 MiB, and 20 lanes of 2 MiB.
const BOUND_BYTES: u64 = 24 * MIB;

/// The most that the process held while this was going on.
async fn peak_while(server: &ServerProcess, going_on: impl Future<Output = ()>) -> u64 {
    let mut peak = 0;
    tokio::pin!(going_on);
    loop {
        // A real wait: memory tells nobody that it grew.
        let moment = tokio::time::sleep(Duration::from_millis(20));
        tokio::select! {
            () = &mut going_on => return peak,
            () = moment => peak = peak.max(server.resident_bytes()),
        }
    }
}

// FUL-LIM-5, FUL-LIM-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_asks_for_everything_and_reads_nothing_costs_a_bounded_amount() {
    let data = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(data.path());
    let alice = server.connect("alice", 1).await;
    let big = bytes(vec![b'x'; 60_000]);
    let mut lane = alice.direct("deaf").await;
    for _ in 0..256 {
        lane.send(&big).await;
    }
    for nonce in 1..=GROUPS {
        let mut lane = alice.group(group("alice", nonce)).await;
        lane.send(&create_group(nonce, &["deaf"], HistoryPolicy::All)).await;
        for _ in 0..32 {
            lane.send(&big).await;
        }
        lane.close().await;
    }
    // Somebody who reads all of it, so that what the store keeps in memory is there already.
    let mut reader = server.connect("deaf", 2).await;
    assert_eq!(reader.whole_log(direct("alice", "deaf")).await.len(), 256);
    for _ in 0..=GROUPS {
        let mut lane = reader.next_lane().await;
        lane.catch_up().await;
        reader.have(lane.conversation(), lane.next.get() - 1).await;
    }
    let before = server.resident_bytes();
    let peak = peak_while(&server, async {
        let options = DialOptions { stream_receive_window: 4_096, ..DialOptions::default() };
        let deaf = server.connect_with("deaf", 1, options).await;
        let mut asked = Vec::new();
        for _ in 0..60 {
            let mut request = deaf.open_stream().await;
            request
                .write(&Frame::HistoryRequest(HistoryRequest {
                    conversation_id: direct("alice", "deaf"),
                    from_seq: Seq::FIRST,
                    direction: Direction::Forward,
                    limit: 256,
                }))
                .await;
            asked.push(request);
        }
        // Others are served meanwhile, for long enough that all of the above had its turn.
        let bob = server.connect("bob", 1).await;
        let mut to_alice = bob.direct("alice").await;
        for number in 1..=100 {
            let question = text("are you there?");
            let sent = to_alice.send(&question);
            within_time(Duration::from_secs(5), "the answer to somebody else", sent).await;
            let page = bob.history(direct("alice", "bob"), number, Direction::Forward, 1).await.unwrap();
            assert_eq!(page.entries().count(), 1);
        }
        drop(asked);
    })
    .await;
    let grown = peak.saturating_sub(before);
    println!("{} MiB before, grown by {} KiB", before / MIB, grown / 1024);
    assert!(grown < BOUND_BYTES, "{grown} bytes for a client that reads nothing");
}
