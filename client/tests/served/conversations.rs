//! Two people and what passes between them.

use fulmar_client::{Content, ErrorCode, Event, HistoryItem, HistoryQuery, PresenceState, Settings};

use crate::town::{Person, Town, body_of, soon, text, user};

#[tokio::test]
async fn two_people_talk() {
    let town = Town::found().await;
    let (mut alice, mut bob) = (town.person("alice").await, town.person("bob").await);
    assert_eq!(alice.send("bob", "hello").await.get(), 1);
    assert_eq!(bob.message().await, "hello");
    assert_eq!(bob.send("alice", "hi").await.get(), 2);
    let own = alice.entry().await;
    assert!(own.from_this_device && body_of(&own).unwrap() == "hello");
    assert_eq!(alice.message().await, "hi");
}

#[tokio::test]
async fn ticks_go_from_sent_to_delivered_to_read() {
    let town = Town::found().await;
    let mut alice = town.person("alice").await;
    let mut bob = town.person("bob").await;
    let id = alice.with("bob").id();
    alice.client.watch(&[id]).await.unwrap();
    let seq = alice.send("bob", "hello").await;
    bob.entry().await;
    alice.marks(id, "bob", seq.get(), 0).await;
    soon("the mark", bob.with("alice").mark_read(seq)).await.unwrap();
    alice.marks(id, "bob", seq.get(), seq.get()).await;
}

#[tokio::test]
async fn receipts_come_to_a_sender_who_was_away() {
    let town = Town::found().await;
    let folder = town.state_folder("alice");
    let state = || fulmar_client::State::directory(&folder).unwrap();
    let alice = Person::connect(town.client("alice").state(state())).await;
    let id = alice.with("bob").id();
    let seq = alice.send("bob", "hello").await;
    alice.client.close().await;
    drop(alice);
    let mut bob = town.person("bob").await;
    bob.entry().await;
    soon("the mark", bob.with("alice").mark_read(seq)).await.unwrap();
    let mut alice = Person::connect(town.client("alice").state(state())).await;
    alice.marks(id, "bob", 1, 1).await;
}

#[tokio::test]
async fn unread_counts_are_right_on_all_devices() {
    let town = Town::found().await;
    let bob = town.person("bob").await;
    let (mut phone, mut laptop) = (town.person("alice").await, town.person("alice").await);
    for body in ["one", "two", "three"] {
        bob.send("alice", body).await;
    }
    for n in 1..=3 {
        assert_eq!(phone.entry().await.unread_after, n);
        assert_eq!(laptop.entry().await.unread_after, n);
    }
    soon("the mark", phone.with("bob").mark_read(fulmar_client::Seq::new(2))).await.unwrap();
    let unread = laptop
        .next("unread", |event| match event {
            Event::Unread { unread, .. } => Some(unread),
            _ => None,
        })
        .await;
    assert_eq!(unread, 1);
    let inbox = phone.client.inbox().await.unwrap();
    assert_eq!((inbox.len(), inbox[0].unread, inbox[0].head.get()), (1, 1, 3));
    assert_eq!(inbox[0].peer, Some(user("bob")));
    // What is sent from one device is read on all.
    phone.send("bob", "four").await;
    let entry = laptop.entry().await;
    assert!(entry.is_own && !entry.from_this_device);
    assert_eq!(entry.unread_after, 0);
}

#[tokio::test]
async fn edits_redactions_and_reactions_refer_to_messages() {
    let town = Town::found().await;
    let (alice, mut bob) = (town.person("alice").await, town.person("bob").await);
    let conversation = alice.with("bob");
    let seq = alice.send("bob", "helo").await;
    conversation.edit(seq, text("hello")).await.unwrap();
    conversation.react(seq, "👍").await.unwrap();
    conversation.unreact(seq, "👍").await.unwrap();
    conversation.send(text("again").reply_to(seq)).await.unwrap();
    conversation.redact(seq).await.unwrap();
    let error = conversation.edit(fulmar_client::Seq::new(99), text("nothing")).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::TargetNotFound));
    let mut kinds = Vec::new();
    for _ in 1..=6 {
        kinds.push(match bob.entry().await.content.unwrap() {
            Content::Message(message) => {
                format!("message {:?}", message.reply_to.map(fulmar_client::Seq::get))
            }
            Content::Edit(edit) => format!("edit {}", edit.target_seq),
            Content::React(react) => format!("react {} {}", react.reaction.as_str(), react.removed),
            Content::Redact(redact) => format!("redact {}", redact.target_seq),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(
        kinds,
        ["message None", "edit 1", "react 👍 false", "react 👍 true", "message Some(1)", "redact 1"]
    );
    let page = conversation.history(HistoryQuery::forward(seq)).await.unwrap();
    let HistoryItem::Entry(first) = &page.items[0] else { panic!("{:?}", page.items[0]) };
    assert!(matches!(first.content, Some(Content::Redacted(_))), "{first:?}");
}

#[tokio::test]
async fn history_pages_go_both_ways() {
    let town = Town::found().await;
    let alice = town.person("alice").await;
    let conversation = alice.with("bob");
    for n in 1..=30 {
        drop(conversation.enqueue(text(n.to_string())).await.unwrap());
    }
    conversation.send(text("31")).await.unwrap();
    let mut seen = Vec::new();
    let mut query = HistoryQuery::newest().limit(10);
    loop {
        let page = conversation.history(query).await.unwrap();
        seen.extend(page.items.iter().map(|item| match item {
            HistoryItem::Entry(entry) => entry.seq.get(),
            other => panic!("{other:?}"),
        }));
        match page.next {
            Some(next) => query = HistoryQuery::backward(next).limit(10),
            None => break,
        }
    }
    assert!(seen.iter().copied().eq((1..=31).rev()), "{seen:?}");
    let page = conversation.history(HistoryQuery::forward(fulmar_client::Seq::new(30))).await.unwrap();
    assert_eq!((page.items.len(), page.next, page.head.get()), (2, None, 31));
}

#[tokio::test]
async fn presence_and_typing_pass_once_both_have_written() {
    let town = Town::found().await;
    let (mut alice, mut bob) = (town.person("alice").await, town.person("bob").await);
    alice.send("bob", "hello").await;
    bob.message().await;
    bob.send("alice", "hi").await;
    alice.client.watch(&[alice.with("bob").id()]).await.unwrap();
    let state = |event| match event {
        Event::Presence { state, .. } => Some(state),
        _ => None,
    };
    assert_eq!(alice.next("presence", state).await, PresenceState::Online);
    bob.client.set_presence(PresenceState::Away).await.unwrap();
    assert_eq!(alice.next("presence", state).await, PresenceState::Away);
    bob.with("alice").typing(true).await.unwrap();
    let typing = |event| match event {
        Event::Typing { typing, .. } => Some(typing),
        _ => None,
    };
    assert!(alice.next("typing", typing).await);
    bob.send("alice", "done").await;
    assert!(!alice.next("the end of typing", typing).await);
    bob.client.close().await;
    assert_eq!(alice.next("presence", state).await, PresenceState::Offline);
}

#[tokio::test]
async fn a_blocked_user_is_refused_like_anybody_else() {
    let town = Town::found().await;
    let (alice, bob) = (town.person("alice").await, town.person("bob").await);
    alice.client.block(&user("bob"), true).await.unwrap();
    let blocked = bob.with("alice").send(text("hello")).await.unwrap_err();
    assert_eq!(blocked.code(), Some(ErrorCode::RecipientUnavailable));
    alice.client.block(&user("bob"), false).await.unwrap();
    bob.send("alice", "hello").await;
    alice.client.settings(Settings { refuse_new_direct_messages: true }).await.unwrap();
    let carol = town.person("carol").await;
    let closed = carol.with("alice").send(text("hello")).await.unwrap_err();
    assert_eq!(closed.code(), blocked.code());
    bob.send("alice", "an old conversation goes on").await;
}

#[tokio::test]
async fn notes_to_oneself_are_a_conversation() {
    let town = Town::found().await;
    let mut alice = town.person("alice").await;
    alice.send("alice", "buy milk").await;
    assert_eq!(alice.message().await, "buy milk");
}

#[tokio::test]
async fn a_ping_is_answered() {
    let town = Town::found().await;
    let alice = town.person("alice").await;
    soon("a pong", alice.client.ping()).await.unwrap();
}
