//! A redacted body is really gone: no read returns it.

use fulmar_interop_tests::{
    Delivered, Page, TestServer, WireClient,
    contents::{edit, react, redact, text},
    direct,
};
use fulmar_protocol::{Content, Direction, ErrorCode, Seq};

const SECRET: &str = "the secret word is fulmar";

fn entries_of(log: &[Delivered]) -> Vec<&fulmar_protocol::Entry> {
    log.iter()
        .filter_map(|item| match item {
            Delivered::Entry(entry) => Some(entry),
            _ => None,
        })
        .collect()
}

fn holds_secret(log: &[Delivered]) -> bool {
    let secret = SECRET.as_bytes();
    entries_of(log).iter().any(|entry| entry.content.windows(secret.len()).any(|window| window == secret))
}

async fn pages(client: &WireClient) -> Vec<Page> {
    let id = direct("alice", "bob");
    let mut pages = Vec::new();
    for (from, direction) in [(1, Direction::Forward), (0, Direction::Backward)] {
        pages.push(client.history(id, from, direction, 256).await.unwrap());
    }
    pages
}

// FUL-CONV-15, FUL-CONV-16, FUL-CONV-12, FUL-LANE-9
#[tokio::test]
async fn redaction_leaves_no_body_in_any_read() {
    let mut server = TestServer::start().await;
    let id = direct("alice", "bob");
    let alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    lane.send(&text("before")).await;
    lane.send(&text(SECRET)).await;
    lane.send(&edit(2, &format!("edited: {SECRET}"))).await;
    lane.send(&react(2, "👍")).await;
    lane.send(&edit(2, &format!("again: {SECRET}"))).await;
    let before = alice.whole_log(id).await;
    assert!(holds_secret(&before));
    assert_eq!(lane.send(&redact(2)).await, 6);
    for content in [edit(2, "x"), react(2, "x"), redact(2)] {
        assert_eq!(lane.refused(&content).await, ErrorCode::TargetNotSuitable, "{content:?}");
    }
    for restarted in [false, true] {
        if restarted {
            server.restart().await;
        }
        // A device that comes later, from memory and from the store; and each way of asking.
        let number = 2 + u8::from(restarted);
        let mut bob = server.connect("bob", number).await;
        let (log, _) = bob.log(id, 6).await;
        assert!(!holds_secret(&log), "on a lane: {log:?}");
        for page in pages(&bob).await {
            assert!(!holds_secret(&page.items), "in the history: {page:?}");
        }
        for (old, new) in entries_of(&before).into_iter().zip(entries_of(&log)) {
            let kept = (old.seq, old.ordinal, old.at, &old.sender, old.device_tag, old.client_seq);
            assert_eq!(kept, (new.seq, new.ordinal, new.at, &new.sender, new.device_tag, new.client_seq));
            if [2, 3, 5].contains(&new.seq.get()) {
                let Ok(Content::Redacted(redacted)) = Content::decode(&new.content) else {
                    panic!("{new:?}")
                };
                assert_eq!(redacted.by_seq, Seq::new(6));
            } else {
                assert_eq!(old.content, new.content);
            }
        }
    }
}

// FUL-CONV-15, FUL-CONV-17, FUL-SEND-14
#[tokio::test]
async fn a_message_redacted_in_the_batch_that_brought_it_is_delivered_without_its_body() {
    let server = TestServer::start().await;
    let id = direct("alice", "bob");
    let mut bob = server.connect("bob", 1).await;
    let alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    lane.send(&text("first")).await;
    // Pipelined, so that some of them share a batch, whichever way they fall.
    for round in 0..10 {
        lane.put(2 * round + 2, &text(&format!("{SECRET} {round}"))).await;
        lane.put(2 * round + 3, &redact(2 * round + 2)).await;
    }
    for _ in 0..20 {
        lane.answer().await.unwrap();
    }
    let (log, _) = bob.log(id, 21).await;
    assert_eq!(log.len(), 21);
    assert!(!holds_secret(&server.connect("bob", 2).await.log(id, 21).await.0));
    for page in pages(&bob).await {
        assert!(!holds_secret(&page.items));
    }
    assert_eq!(log.last().map(Delivered::range), Some((21, 21)));
}
