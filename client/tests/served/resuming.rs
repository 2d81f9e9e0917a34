//! What happens when somebody, or the server, goes away and comes back.

use fulmar_client::{Event, HoleReason, Seq, State};

use crate::town::{Person, Town, body_of, soon, text};

#[tokio::test]
async fn who_was_away_misses_nothing() {
    let town = Town::found().await;
    let folder = town.state_folder("bob");
    let state = || State::directory(&folder).unwrap();
    let alice = town.person("alice").await;
    let mut bob = Person::connect(town.client("bob").state(state())).await;
    alice.send("bob", "1").await;
    assert_eq!(bob.message().await, "1");
    bob.client.close().await;
    drop(bob);
    for n in 2..=50 {
        alice.send("bob", &n.to_string()).await;
    }
    let mut bob = Person::connect(town.client("bob").state(state())).await;
    for n in 2..=50 {
        assert_eq!(bob.message().await, n.to_string());
    }
}

#[tokio::test]
async fn a_stream_of_messages_survives_restarts_of_the_server() {
    let mut town = Town::found().await;
    let alice =
        Person::connect(town.client("alice").state(State::directory(town.state_folder("alice")).unwrap()))
            .await;
    let mut bob = town.person("bob").await;
    let conversation = alice.with("bob");
    let sender = tokio::spawn(async move {
        let mut sendings = Vec::new();
        for n in 1..=400 {
            sendings.push(conversation.enqueue(text(n.to_string())).await.unwrap());
            if n % 20 == 0 {
                tokio::task::yield_now().await;
            }
        }
        for sending in sendings {
            soon("an answer", sending).await.unwrap();
        }
    });
    let mut expected = 1;
    while expected <= 400 {
        assert_eq!(bob.message().await, expected.to_string());
        expected += 1;
        if expected == 50 || expected == 150 {
            town.close().await;
            town.open().await;
        }
    }
    sender.await.unwrap();
    let head = alice.client.inbox().await.unwrap()[0].head;
    assert_eq!(head.get(), 400, "a message is in the log twice, or not at all");
}

#[tokio::test]
async fn a_change_of_network_keeps_the_session() {
    let town = Town::found().await;
    let (alice, mut bob) = (town.person("alice").await, town.person("bob").await);
    alice.send("bob", "before").await;
    assert_eq!(bob.message().await, "before");
    for n in 0..3 {
        alice.client.network_changed().await.unwrap();
        bob.client.network_changed().await.unwrap();
        alice.send("bob", &n.to_string()).await;
        assert_eq!(bob.message().await, n.to_string());
    }
    assert!(alice.client.status().borrow().is_online() && bob.client.status().borrow().is_online());
}

#[tokio::test]
async fn who_was_away_for_long_gets_the_newest_and_fetches_the_rest() {
    let town = Town::found().await;
    let alice = town.person("alice").await;
    let conversation = alice.with("bob");
    for n in 1..=59 {
        drop(conversation.enqueue(text(n.to_string())).await.unwrap());
    }
    conversation.send(text("60")).await.unwrap();
    let mut bob = Person::connect(town.client("bob").backlog_entries_max(10)).await;
    let (first, last) = bob
        .next("the hole", |event| match event {
            Event::Skipped { first, last, reason: HoleReason::Skipped, .. } => Some((first, last)),
            _ => None,
        })
        .await;
    assert_eq!((first.get(), last.get()), (1, 50));
    for n in 51..=60 {
        assert_eq!(bob.message().await, n.to_string());
    }
    let with_alice = bob.with("alice");
    let page = with_alice.fetch_skipped(first, last).await.unwrap();
    assert_eq!(page.items.len(), 50);
    page.confirm().await.unwrap();
    // With the range fetched, everything counts as delivered.
    let mut alice = alice;
    alice.client.watch(&[conversation.id()]).await.unwrap();
    alice.marks(conversation.id(), "bob", 60, 0).await;
}

#[tokio::test]
async fn what_was_not_confirmed_comes_again_after_a_restart_and_only_that() {
    let town = Town::found().await;
    let folder = town.state_folder("bob");
    let state = || State::directory(&folder).unwrap();
    let alice = town.person("alice").await;
    for n in 1..=3 {
        alice.send("bob", &n.to_string()).await;
    }
    let mut bob = Person::connect(town.client("bob").state(state())).await;
    let take = |event| match event {
        Event::Entry(entry) => Some(entry),
        _ => None,
    };
    bob.next("an entry", take).await.confirm();
    for _ in 2..=3 {
        bob.next("an entry", take).await;
    }
    bob.client.close().await;
    drop(bob);
    let mut bob = Person::connect(town.client("bob").state(state())).await;
    for n in 2..=3 {
        let entry = bob.next("an entry", take).await;
        assert_eq!((entry.seq, body_of(&entry)), (Seq::new(n), Some(n.to_string())));
    }
}

#[tokio::test]
async fn a_restored_copy_of_a_state_loses_and_repeats_nothing() {
    let town = Town::found().await;
    let (folder, copy) = (town.state_folder("alice"), town.state_folder("copy"));
    let alice = Person::connect(town.client("alice").state(State::directory(&folder).unwrap())).await;
    alice.send("bob", "one").await;
    alice.client.close().await;
    std::fs::create_dir_all(&copy).unwrap();
    std::fs::copy(folder.join("client.redb"), copy.join("client.redb")).unwrap();
    let alice = Person::connect(town.client("alice").state(State::directory(&folder).unwrap())).await;
    alice.send("bob", "two").await;
    alice.client.close().await;
    // The copy knows nothing of "two". It learns of it from its lane, or uses its number again and then must
    // become a new device.
    let restored = Person::connect(town.client("alice").state(State::directory(&copy).unwrap())).await;
    assert_eq!(restored.send("bob", "three").await.get(), 3);
    let mut bob = town.person("bob").await;
    for body in ["one", "two", "three"] {
        assert_eq!(bob.message().await, body);
    }
}

#[tokio::test]
async fn who_was_in_the_background_misses_nothing() {
    let town = Town::found().await;
    let (alice, mut bob) = (town.person("alice").await, town.person("bob").await);
    alice.send("bob", "1").await;
    assert_eq!(bob.message().await, "1");
    bob.client.background();
    let mut status = bob.client.status();
    let rests = status.wait_for(|status| matches!(status, fulmar_client::Status::Background));
    drop(soon("the background", rests).await.unwrap());
    for n in 2..=10 {
        alice.send("bob", &n.to_string()).await;
    }
    bob.client.foreground();
    for n in 2..=10 {
        assert_eq!(bob.message().await, n.to_string());
    }
}

#[tokio::test]
async fn errands_in_the_background_are_sent_once_and_in_order() {
    let town = Town::found().await;
    let (alice, mut bob) = (town.person("alice").await, town.person("bob").await);
    alice.send("bob", "0").await;
    assert_eq!(bob.message().await, "0");
    for n in 1..=5 {
        alice.client.background();
        let mut status = alice.client.status();
        let rests = status.wait_for(|status| matches!(status, fulmar_client::Status::Background));
        drop(soon("the background", rests).await.unwrap());
        alice.send("bob", &n.to_string()).await;
        assert_eq!(bob.message().await, n.to_string());
    }
    alice.client.foreground();
    assert_eq!(alice.send("bob", "6").await.get(), 7, "a message is in the log twice, or not at all");
}
