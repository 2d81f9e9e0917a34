//! From `enqueue` to `Accepted`, through lost connections, restarts and refusals.

use std::time::Duration;

use fulmar_client::State;
use fulmar_protocol::ClientSeq;

use crate::server::{Server, accepted, soon, text, text_of, user};

#[tokio::test]
async fn a_send_resolves_at_accepted() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let (outcome, ()) = tokio::join!(bob.send(text("hello")), async {
        let mut lane = peer.send_lane().await;
        assert_eq!((lane.open.conversation_id, lane.open.peer.clone()), (bob.id(), Some(user("bob"))));
        assert_eq!(text_of(&lane.accept(5).await.content), "hello");
    });
    let outcome = outcome.unwrap();
    assert_eq!((outcome.client_seq.get(), outcome.seq.get()), (1, 5));
}

#[tokio::test]
async fn at_most_64_sends_are_without_an_answer() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let mut sendings = Vec::new();
    for n in 1..=100 {
        sendings.push(bob.enqueue(text(&n.to_string())).await.unwrap());
    }
    let mut lane = peer.send_lane().await;
    for n in 1..=64 {
        assert_eq!(lane.next().await.client_seq.get(), n);
    }
    let none = tokio::time::timeout(Duration::from_millis(200), lane.frames.next()).await;
    assert!(none.is_err(), "a 65th send came: {none:?}");
    lane.write(&accepted(ClientSeq::new(1), 1)).await;
    assert_eq!(lane.next().await.client_seq.get(), 65);
    for n in 2..=100 {
        lane.write(&accepted(ClientSeq::new(n), n)).await;
    }
    for (sending, n) in sendings.into_iter().zip(1..) {
        assert_eq!(soon("an answer", sending).await.unwrap().seq.get(), n);
    }
}

#[tokio::test]
async fn what_has_no_answer_is_sent_again_in_order_after_a_reconnect() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let mut sendings = Vec::new();
    for n in 1..=10 {
        sendings.push(bob.enqueue(text(&n.to_string())).await.unwrap());
    }
    let mut lane = peer.send_lane().await;
    for n in 1..=3 {
        lane.accept(n).await;
    }
    for sending in sendings.drain(..3) {
        soon("an answer", sending).await.unwrap();
    }
    fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(1), b"cut");
    let peer = server.session().await;
    let mut lane = peer.send_lane().await;
    for n in 4..=10 {
        let send = lane.accept(n).await;
        assert_eq!((send.client_seq.get(), text_of(&send.content)), (n, n.to_string()));
    }
    for sending in sendings {
        soon("an answer", sending).await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_comes_twice_changes_nothing() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let (first, mut lane) = tokio::join!(bob.send(text("one")), async {
        let mut lane = peer.send_lane().await;
        let send = lane.accept(1).await;
        lane.write(&accepted(send.client_seq, 1)).await;
        lane
    });
    first.unwrap();
    let (second, _) = tokio::join!(bob.send(text("two")), lane.accept(2));
    assert_eq!(second.unwrap().seq.get(), 2);
}

#[tokio::test]
async fn entries_put_in_together_keep_their_order() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let state = State::directory(folder.path()).unwrap();
    let (client, _events, peer) = server.connect(server.client().state(state)).await;
    let bob = client.direct(&user("bob")).unwrap();
    let sendings = bob.enqueue_all((1..=500).map(|n| text(&n.to_string()))).await.unwrap();
    assert!(sendings.iter().map(|sending| sending.client_seq().get()).eq(1..=500));
    let mut lane = peer.send_lane().await;
    for n in 1..=500 {
        assert_eq!(text_of(&lane.accept(n).await.content), n.to_string());
    }
    for sending in sendings {
        soon("an answer", sending).await.unwrap();
    }
}

#[tokio::test]
async fn the_outbox_survives_a_restart_of_the_app() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let state = || State::directory(folder.path()).unwrap();
    let (client, _events, peer) = server.connect(server.client().state(state())).await;
    let bob = client.direct(&user("bob")).unwrap();
    for n in 1..=5 {
        drop(bob.enqueue(text(&n.to_string())).await.unwrap());
    }
    let mut lane = peer.send_lane().await;
    lane.accept(1).await;
    lane.next().await;
    client.close().await;
    drop((client, bob));
    let (client, _events, peer) = server.connect(server.client().state(state())).await;
    let mut lane = peer.send_lane().await;
    assert_eq!(lane.open.peer, Some(user("bob")));
    // The first was perhaps answered before the end was written; it may come again, the others must.
    let mut first = lane.next().await;
    if first.client_seq.get() == 1 {
        lane.write(&accepted(first.client_seq, 1)).await;
        first = lane.next().await;
    }
    assert_eq!((first.client_seq.get(), text_of(&first.content)), (2, "2".to_owned()));
    for n in 3..=5 {
        assert_eq!(lane.next().await.client_seq.get(), n);
    }
    let bob = client.direct(&user("bob")).unwrap();
    let (sixth, _) = tokio::join!(bob.enqueue(text("6")), async {
        for n in 2..=5 {
            lane.write(&accepted(ClientSeq::new(n), n)).await;
        }
    });
    assert_eq!(sixth.unwrap().client_seq().get(), 6);
}

#[tokio::test]
async fn a_full_outbox_makes_enqueue_wait() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    for n in 1..=1_024 {
        drop(bob.enqueue(text(&n.to_string())).await.unwrap());
    }
    let one_more = bob.enqueue(text("one more"));
    tokio::pin!(one_more);
    let waits = tokio::time::timeout(Duration::from_millis(200), &mut one_more).await;
    assert!(waits.is_err(), "a full outbox took another");
    let mut lane = peer.send_lane().await;
    lane.accept(1).await;
    let sending = soon("room", one_more).await.unwrap();
    assert_eq!(sending.client_seq().get(), 1_025);
}

#[tokio::test]
async fn a_send_that_is_dropped_is_sent_once_or_not_at_all() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let received = tokio::spawn(async move {
        let mut lane = peer.send_lane().await;
        let mut bodies = Vec::new();
        loop {
            let body = text_of(&lane.accept(bodies.len() as u64 + 1).await.content);
            bodies.push(body.clone());
            if body == "last" {
                return (bodies, peer, lane);
            }
        }
    });
    for n in 0..200 {
        let send = bob.send(text(&n.to_string()));
        // Dropped after a number of polls that differs from send to send.
        let mut send = Box::pin(send);
        for _ in 0..n % 4 {
            let polled = futures_util::poll!(&mut send);
            assert!(polled.is_pending() || polled.map(|outcome| outcome.is_ok()).is_ready());
            tokio::task::yield_now().await;
            if n % 2 == 0 {
                break;
            }
        }
    }
    soon("the last", bob.send(text("last"))).await.unwrap();
    let (bodies, ..) = received.await.unwrap();
    let mut once = bodies.clone();
    once.dedup();
    assert_eq!(bodies, once, "a send came twice");
    let numbers: Vec<u32> = bodies.iter().filter_map(|body| body.parse().ok()).collect();
    assert!(numbers.is_sorted(), "sends came out of order: {numbers:?}");
}

#[tokio::test]
async fn more_conversations_than_lanes_are_all_sent() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let mut sendings = Vec::new();
    for n in 0..100 {
        let conversation = client.direct(&user(&format!("user{n}"))).unwrap();
        sendings.push(conversation.enqueue(text("hello")).await.unwrap());
    }
    let serve = async {
        loop {
            let mut lane = peer.send_lane().await;
            tokio::spawn(async move {
                lane.accept(1).await;
                // The end of the client's side ends this one.
                while lane.frames.next().await.is_some() {}
                let _ = lane.answers.finish();
            });
        }
    };
    let all = futures_util::future::join_all(sendings);
    tokio::select! {
        () = serve => unreachable!(),
        answers = soon("all answers", all) => assert!(answers.iter().all(Result::is_ok)),
    }
}
