//! Stopping, starting again, and a store that fails.

use std::sync::Arc;
use std::time::Duration;

use fulmar_interop_tests::{
    ConnectionEnd, DialOptions, SendLane, Setup, TestServer, WireClient, contents, contents::text, direct,
    within,
};
use fulmar_protocol::{ConversationId, Direction, ErrorCode, Frame};
use fulmar_server::{Health, StoreFault};
use serde_json::json;

use crate::{delivery::send_numbers, fast_clock};

fn both() -> ConversationId {
    direct("alice", "bob")
}

/// Reads control up to `GoAway`, and gives the times between which to come back.
async fn go_away(client: &mut WireClient) -> (Duration, Duration) {
    match client.control.frame().await {
        Frame::GoAway(frame) => (frame.retry_after_min, frame.retry_after_max),
        other => panic!("GoAway was awaited, not {other:?}"),
    }
}

// FUL-SESS-30, FUL-SEND-14, FUL-SEND-17, FUL-TRANS-15
#[tokio::test]
async fn a_stop_is_announced_and_what_is_in_flight_is_answered() {
    let mut server = TestServer::start().await;
    let mut alice = server.connect("alice", 1).await;
    let mut bob = server.connect("bob", 1).await;
    let mut lane = alice.direct("bob").await;
    for number in 1..=64 {
        lane.put(number, &contents::bytes(vec![b'x'; 5_000])).await;
    }
    // The first answer: the server has the others as well, or is about to.
    lane.answer().await.unwrap();
    let started = tokio::time::Instant::now();
    let stopping = async {
        server.stop().await;
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    };
    let leaving = async {
        let mut answered = 1;
        while answered < 64 {
            match lane.stream.next().await {
                Ok(Frame::Accepted(accepted)) => answered = accepted.seq.get(),
                other => panic!("{other:?} after {answered}"),
            }
        }
        let (least, most) = go_away(&mut alice).await;
        assert!(least <= most && most <= Duration::from_secs(60));
        go_away(&mut bob).await;
        assert_eq!(alice.closed().await, ConnectionEnd::Code(ErrorCode::GoingAway));
        assert_eq!(bob.closed().await, ConnectionEnd::Code(ErrorCode::GoingAway));
    };
    tokio::join!(stopping, within("the goodbye", leaving));
    server.start_again().await;
    assert_eq!(server.connect("bob", 1).await.log(both(), 64).await.0.len(), 64);
}

// FUL-SESS-30, FUL-LIM-6
#[tokio::test]
async fn a_client_that_does_not_read_does_not_hold_up_a_stop() {
    let (_fast, clock) = fast_clock();
    let mut server = TestServer::start_with(Setup { clock, ..Setup::default() }).await;
    let options = DialOptions { receive_window: 3_000, ..DialOptions::default() };
    let mut deaf = server.connect_with("bob", 1, options).await;
    let alice = server.connect("alice", 1).await;
    send_numbers(&mut alice.direct("bob").await, 1..=200).await;
    let pings = (0..5_000).map(|nonce| Frame::Ping(fulmar_protocol::Ping { nonce: u64::MAX - nonce }));
    deaf.control.write_all(pings).await;
    let started = tokio::time::Instant::now();
    server.stop().await;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(deaf.closed().await, ConnectionEnd::Code(ErrorCode::GoingAway));
}

// FUL-SESS-7, FUL-SESS-30, FUL-SESS-31
#[tokio::test]
async fn a_server_that_drains_sends_its_clients_away_and_takes_no_new_ones() {
    let server = TestServer::start().await;
    let mut alice = server.connect("alice", 1).await;
    let waiting = server.dial().await;
    assert_eq!(server.admin_get("/readyz").await.0, 200);
    assert_eq!(server.admin_post("/admin/drain", &json!({})).await.0, 200);
    go_away(&mut alice).await;
    assert_eq!(alice.closed().await, ConnectionEnd::Code(ErrorCode::GoingAway));
    let end = waiting.enter(&server.token("bob"), fulmar_interop_tests::device("bob", 1)).await;
    assert_eq!(end.unwrap_err(), ConnectionEnd::Code(ErrorCode::GoingAway));
    assert_eq!(server.try_connect("carol", 1).await.unwrap_err(), ConnectionEnd::Code(ErrorCode::GoingAway));
    let (status, body) = server.admin_get("/readyz").await;
    assert_eq!(status, 503, "{body}");
    assert_eq!(server.admin_get("/healthz").await.0, 200);
}

// FUL-SEND-14, FUL-SEND-12
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_was_accepted_is_there_after_a_stop_and_after_a_crash() {
    let mut server = TestServer::start().await;
    let mut accepted: Vec<Vec<(u64, String)>> = vec![Vec::new(); 6];
    for round in 0..4 {
        let mut writing = tokio::task::JoinSet::new();
        for (writer, before) in accepted.iter().enumerate() {
            let client = server.connect(&format!("writer{writer}"), 1).await;
            let expected = before.len() as u64 + 1;
            // Open before the others may have written enough for the server to be stopped.
            let lane = client.direct("reader").await;
            writing.spawn(async move { (writer, write_until_cut(client, lane, round, expected).await) });
        }
        // In the midst of it.
        server.until_metric_at_least("fulmar_entries_accepted_total", 300.0).await;
        let is_polite = round % 2 == 0;
        if is_polite {
            server.stop().await;
        } else {
            server.crash();
            // Whoever did not hear of the end, which a crash need not tell, is told by the next server.
            server.start_again().await;
        }
        for (writer, told) in writing.join_all().await {
            accepted[writer].extend(told);
        }
        if is_polite {
            server.start_again().await;
        }
        for (writer, told) in accepted.iter_mut().enumerate() {
            let name = format!("writer{writer}");
            let client = server.connect(&name, 2).await;
            let id = direct(&name, "reader");
            if told.is_empty() && client.history(id, 1, Direction::Forward, 1).await.is_err() {
                continue;
            }
            let log = client.whole_log(id).await;
            for (seq, body) in told.iter() {
                let at = usize::try_from(*seq).unwrap() - 1;
                assert_eq!(log[at].says(), *body, "{name}, seq {seq}, round {round}");
            }
            // What was stored but not answered counts as well: sent again, it would appear once.
            *told = (1..).zip(log.iter().map(fulmar_interop_tests::Delivered::says)).collect();
            client.goodbye();
        }
    }
}

/// Writes, many at once, until the connection ends; gives what was accepted.
async fn write_until_cut(
    _client: WireClient,
    mut lane: SendLane,
    round: usize,
    first: u64,
) -> Vec<(u64, String)> {
    let (mut put, mut accepted) = (first, Vec::new());
    let body = |number: u64| format!("round {round}, number {number}");
    loop {
        while put < first + accepted.len() as u64 + 32 {
            let send = fulmar_protocol::Send {
                client_seq: fulmar_protocol::ClientSeq::new(put),
                content: text(&body(put)).encode(),
            };
            lane.stream.write_bytes(Frame::Send(send).to_bytes()).await;
            put += 1;
        }
        match within("an answer or the end", lane.stream.next()).await {
            Ok(Frame::Accepted(answer)) => {
                accepted.push((answer.seq.get(), body(answer.client_seq.get())));
            }
            Ok(Frame::Refused(refused)) => assert_eq!(refused.code, ErrorCode::StoreUnavailable),
            Ok(other) => panic!("{other:?}"),
            Err(_) => return accepted,
        }
    }
}

// FUL-SEND-14, FUL-SESS-7, FUL-MARK-4
#[tokio::test]
async fn a_store_that_fails_takes_nothing_more_says_so_and_is_still_read() {
    for fault in [StoreFault::FailSyncAfter(30), StoreFault::FailCommitAfter(30)] {
        let mut server = TestServer::start().await;
        server.stop().await;
        server.prepare(move |options| options.store_fault = Some(fault));
        server.start_again().await;
        let (alice, mut bob) = (server.connect("alice", 1).await, server.connect("bob", 1).await);
        let mut lane = alice.direct("bob").await;
        let mut accepted = 0;
        let refused = loop {
            match lane.ask(&text(&lane.next.to_string())).await {
                Ok(answer) => accepted = answer.seq.get(),
                Err(refused) => break refused,
            }
        };
        assert_eq!(refused.code, ErrorCode::StoreUnavailable, "{fault:?}");
        assert!(accepted > 10 && refused.retry_after.is_some(), "{accepted} {refused:?}");
        assert!(matches!(server.server().health(), Health::Failed { .. }));
        let (status, body) = server.admin_get("/readyz").await;
        assert!(status == 503 && body.contains("failed"), "{status} {body}");
        assert_eq!(server.metric("fulmar_store_failed"), 1.0);
        // What was accepted before is read in every way; what was not is nowhere.
        let page = bob.history(both(), 1, Direction::Forward, 256).await.unwrap();
        assert_eq!((page.entries().count() as u64, page.head), (accepted, accepted));
        let (log, _) = bob.log(both(), accepted).await;
        assert_eq!(log, page.items);
        assert_eq!(bob.inbox_item(both()).await.unwrap().head_seq.get(), accepted);
        let confirmation = bob.confirm(&[(both(), accepted, &[])], &[]).await;
        assert_eq!(
            (confirmation.confirmed, confirmation.codes()),
            (false, vec![ErrorCode::StoreUnavailable])
        );
        bob.ping().await;
        let stranger = server.try_connect("carol", 1).await.unwrap_err();
        assert_eq!(stranger, ConnectionEnd::Code(ErrorCode::StoreUnavailable));
        let numbers = lane.next;
        lane.put(numbers, &text("still refused")).await;
        assert_eq!(lane.answer().await.unwrap_err().code, ErrorCode::StoreUnavailable);
        server.stop().await;
        server.prepare(|_| {});
        server.start_again().await;
        let alice = server.connect("alice", 1).await;
        let mut lane = alice.direct("bob").await.continue_at(numbers - 1);
        let again = text(&lane.next.to_string());
        assert_eq!(lane.send(&again).await, accepted + 1, "once, whether it had been stored or not");
        assert_eq!(alice.whole_log(both()).await.len() as u64, accepted + 1);
    }
}

// FUL-SESS-16, FUL-SEND-14
#[tokio::test]
async fn a_server_that_starts_on_a_folder_in_use_says_so_and_harms_nothing() {
    let server = Arc::new(TestServer::start().await);
    let alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    lane.send(&text("one")).await;
    let error = server.start_another().await;
    assert!(error.contains("in use"), "{error}");
    lane.send(&text("two")).await;
}
