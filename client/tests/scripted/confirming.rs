//! Cursors and read marks: batched, durable, cumulative, told again until the server has them.

use fulmar_client::{ErrorCode, State};
use fulmar_protocol::{Confirmed, Frame, Problem, Seq};

use crate::server::{Server, lane_open, next_entry, soon, user, with_bob};

#[tokio::test]
async fn confirmations_are_batched_and_cumulative() {
    let server = Server::start();
    let (_client, mut events, mut peer) = server.connected().await;
    peer.lane(lane_open(0, 50)).await.entries(1..=50).await;
    for _ in 1..=50 {
        next_entry(&mut events).await.confirm();
    }
    let (mut batches, mut seq) = (0, 0);
    while seq < 50 {
        let confirm = peer.confirm().await;
        assert_eq!(confirm.cursors.len(), 1);
        assert!(confirm.cursors[0].seq.get() > seq, "a cursor stood still");
        seq = confirm.cursors[0].seq.get();
        batches += 1;
    }
    assert!(batches <= 10, "{batches} batches for 50 entries that came at once");
}

#[tokio::test]
async fn automatic_confirmation_follows_the_app() {
    let server = Server::start();
    let (_client, mut events, mut peer) = server.connect(server.client().confirm_automatically(true)).await;
    peer.lane(lane_open(0, 2)).await.entries(1..=2).await;
    next_entry(&mut events).await;
    next_entry(&mut events).await;
    // The second is confirmed only when the app asks for the event after it.
    assert_eq!(peer.confirm().await.cursors[0].seq.get(), 1);
    let _ = tokio::time::timeout(std::time::Duration::from_millis(10), events.next()).await;
    assert_eq!(peer.confirm().await.cursors[0].seq.get(), 2);
}

#[tokio::test]
async fn a_confirmation_that_got_no_answer_is_told_again() {
    let server = Server::start();
    let (_client, mut events, mut peer) = server.connected().await;
    peer.lane(lane_open(0, 2)).await.entries(1..=2).await;
    next_entry(&mut events).await;
    next_entry(&mut events).await.confirm();
    loop {
        if let Frame::Confirm(_) = peer.next_control().await {
            break;
        }
    }
    fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(1), b"cut");
    let mut peer = server.session().await;
    assert_eq!(peer.confirm().await.cursors[0].seq.get(), 2);
}

#[tokio::test]
async fn a_cursor_that_the_server_does_not_believe_is_told_again_after_its_lane() {
    let server = Server::start();
    let (_client, mut events, peer) = server.connected().await;
    peer.lane(lane_open(0, 2)).await.entries(1..=2).await;
    next_entry(&mut events).await;
    next_entry(&mut events).await.confirm();
    fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(1), b"cut");
    let mut peer = server.session().await;
    let batch = loop {
        if let Frame::Confirm(confirm) = peer.next_control().await {
            break confirm.batch;
        }
    };
    let problem = Problem {
        code: ErrorCode::CursorBeyondSent,
        message: "".into(),
        conversation_id: Some(with_bob()),
        batch: Some(batch),
        retry_after: None,
    };
    peer.control(&Frame::Problem(problem)).await;
    peer.control(&Frame::Confirmed(Confirmed { batch })).await;
    peer.lane(lane_open(0, 2)).await.entries(1..=2).await;
    assert_eq!(peer.confirm().await.cursors[0].seq.get(), 2);
}

#[tokio::test]
async fn a_read_mark_resolves_when_the_server_has_stored_it() {
    let server = Server::start();
    let (client, _events, mut peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let (outcome, confirm) = tokio::join!(bob.mark_read(Seq::new(7)), peer.confirm());
    outcome.unwrap();
    assert_eq!(confirm.reads[0].seq.get(), 7);
    // Dropped at once, it is sent all the same.
    drop(bob.mark_read(Seq::new(8)));
    assert_eq!(peer.confirm().await.reads[0].seq.get(), 8);
}

#[tokio::test]
async fn a_read_mark_that_is_refused_fails_alone() {
    let server = Server::start();
    let (client, _events, mut peer) = server.connected().await;
    let (bob, carol) = (client.direct(&user("bob")).unwrap(), client.direct(&user("carol")).unwrap());
    let (bad, good) = (bob.mark_read(Seq::new(99)), carol.mark_read(Seq::new(1)));
    let serve = async {
        let mut answered = 0;
        while answered < 2 {
            let Frame::Confirm(confirm) = peer.next_control().await else { continue };
            for read in &confirm.reads {
                answered += 1;
                if read.conversation_id == bob.id() {
                    let problem = Problem {
                        code: ErrorCode::MarkBeyondHead,
                        message: "".into(),
                        conversation_id: Some(bob.id()),
                        batch: Some(confirm.batch),
                        retry_after: None,
                    };
                    peer.control(&Frame::Problem(problem)).await;
                }
            }
            peer.control(&Frame::Confirmed(Confirmed { batch: confirm.batch })).await;
        }
    };
    let (bad, good, ()) = soon("the answers", async { tokio::join!(bad, good, serve) }).await;
    assert_eq!(bad.unwrap_err().code(), Some(ErrorCode::MarkBeyondHead));
    good.unwrap();
}

#[tokio::test]
async fn a_batch_that_could_not_be_stored_is_told_again() {
    let server = Server::start();
    let (client, _events, mut peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let marking = bob.mark_read(Seq::new(3));
    let batch = loop {
        if let Frame::Confirm(confirm) = peer.next_control().await {
            break confirm.batch;
        }
    };
    let problem = Problem {
        code: ErrorCode::StoreUnavailable,
        message: "".into(),
        conversation_id: None,
        batch: Some(batch),
        retry_after: Some(std::time::Duration::from_millis(100)),
    };
    // No Confirmed follows a batch that was refused whole.
    peer.control(&Frame::Problem(problem)).await;
    let (outcome, again) = tokio::join!(marking, peer.confirm());
    outcome.unwrap();
    assert_eq!(again.reads[0].seq.get(), 3);
}

#[tokio::test]
async fn a_read_mark_made_offline_survives_a_restart_of_the_app() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let state = || State::directory(folder.path()).unwrap();
    let (client, ..) = server.connect(server.client().state(state())).await;
    let bob = client.direct(&user("bob")).unwrap();
    drop(bob.mark_read(Seq::new(3)));
    drop(bob);
    // The server does not answer, so closing gives up after a while.
    client.close().await;
    drop(client);
    let (_client, _events, mut peer) = server.connect(server.client().state(state())).await;
    assert_eq!(peer.confirm().await.reads[0].seq.get(), 3);
}

#[tokio::test]
async fn receipts_are_awaited_after_a_reconnect() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let (outcome, _lane) = tokio::join!(bob.send(crate::server::text("hello")), async {
        let mut lane = peer.send_lane().await;
        lane.accept(1).await;
        lane
    });
    outcome.unwrap();
    client.watch(&[with_bob()]).await.unwrap();
    client.watch(&[]).await.unwrap();
    fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(1), b"cut");
    let mut peer = server.session().await;
    let watched = loop {
        if let Frame::Watch(watch) = peer.next_control().await {
            break watch.conversation_ids;
        }
    };
    assert_eq!(watched, [bob.id()]);
}
