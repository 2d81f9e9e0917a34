//! Sends: order, duplicates, references, redaction.

use fulmar_protocol::{Edit, React, Reaction, Redact};

use super::*;

fn edit(target: u64, body: &str) -> Content {
    Content::Edit(Edit {
        target_seq: Seq::new(target),
        content_type: ContentType::plain_text(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    })
}

fn redact(target: u64) -> Content {
    Content::Redact(Redact { target_seq: Seq::new(target) })
}

fn react(target: u64) -> Content {
    let reaction = Reaction::parse("+1").unwrap();
    Content::React(React { target_seq: Seq::new(target), reaction, removed: false })
}

#[tokio::test]
async fn a_send_retried_gets_the_old_answer_and_appears_once() {
    let fixture = Fixture::new();
    let id = fixture.direct(1).await;
    let first = fixture.send_as("ann", id, 2, &text("once"), Some("bob")).await;
    let SendOutcome::Accepted { seq, at, duplicate: false } = first else { panic!("{first:?}") };
    fixture.clock.advance(std::time::Duration::from_secs(60));
    let again = fixture.send_as("ann", id, 2, &text("once"), Some("bob")).await;
    assert_eq!(again, SendOutcome::Accepted { seq, at, duplicate: true });
    assert_eq!(fixture.readable("bob", id).await, ["1", "2"]);
}

/// A batch once took what its last send did to the sender's row for what all of them did: it held a new send
/// and then a second copy of it, wrote the entry and not the row, and the next copy was appended again.
#[tokio::test]
async fn a_copy_in_the_batch_of_its_first_does_not_undo_what_that_one_recorded() {
    let fixture = Fixture::new();
    let id = fixture.direct(1).await;
    let content = text("once").encode();
    // The first is under way alone; what is queued meanwhile is the next batch.
    let mut answers = vec![fixture.submit("bob", 1, id, 1, text("before").encode(), Some("ann")).await];
    for _ in 0..2 {
        answers.push(fixture.submit("ann", 1, id, 2, content.clone(), Some("bob")).await);
    }
    for answer in answers {
        assert!(matches!(answer.await.unwrap().unwrap(), SendOutcome::Accepted { .. }));
    }
    let late = fixture.send_as("ann", id, 2, &text("once"), Some("bob")).await;
    assert!(matches!(late, SendOutcome::Accepted { duplicate: true, .. }), "{late:?}");
}

#[tokio::test]
async fn a_number_used_for_another_body_is_refused_and_one_that_jumps_is_told_what_is_expected() {
    let fixture = Fixture::new();
    let id = fixture.direct(2).await;
    let reused = fixture.send_as("ann", id, 2, &text("another"), Some("bob")).await;
    assert_eq!(reused, SendOutcome::Refused { code: ErrorCode::ClientSeqReused, expected: None });
    let ahead = fixture.send_as("ann", id, 9, &text("9"), Some("bob")).await;
    let expected = Some(ClientSeq::new(3));
    assert_eq!(ahead, SendOutcome::Refused { code: ErrorCode::ClientSeqAhead, expected });
}

/// A client whose state is an old copy sends new bodies under old numbers, and then reaches the number that
/// is expected. That one must not be appended: the client sends it again as a new device.
#[tokio::test]
async fn nothing_is_appended_from_a_lane_after_a_reused_number() {
    let fixture = Fixture::new();
    let id = fixture.direct(2).await;
    let lane = Arc::default();
    let mut answers = Vec::new();
    for number in 2..=6 {
        let content = text(&format!("new {number}")).encode();
        answers.push(fixture.submit_on(&lane, "ann", 1, id, number, content, Some("bob")).await);
    }
    for answer in answers {
        let refused = SendOutcome::Refused { code: ErrorCode::ClientSeqReused, expected: None };
        assert_eq!(answer.await.unwrap().unwrap(), refused);
    }
    assert_eq!(fixture.readable("bob", id).await, ["1", "2"]);
}

#[tokio::test]
async fn a_batch_of_two_devices_is_gapless_and_each_device_keeps_its_order() {
    let fixture = Fixture::new();
    let id = fixture.direct(1).await;
    let mut answers = Vec::new();
    for number in 1..=40 {
        for device in [2, 3] {
            let content = text(&format!("{device}/{number}")).encode();
            answers.push((device, fixture.submit("bob", device, id, number, content, Some("ann")).await));
        }
    }
    let mut seqs = Vec::new();
    let mut last = [0; 4];
    for (device, answer) in answers {
        let SendOutcome::Accepted { seq, .. } = answer.await.unwrap().unwrap() else { panic!() };
        assert!(seq.get() > last[usize::from(device)], "a device's sends keep their order");
        last[usize::from(device)] = seq.get();
        seqs.push(seq.get());
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (2..=81).collect::<Vec<_>>());
}

#[tokio::test]
async fn strangers_write_nothing_and_leave_no_row() {
    let fixture = Fixture::new();
    let id = fixture.group(&["bob"], HistoryPolicy::All).await;
    assert_eq!(fixture.send("eve", id, &text("let me in")).await, Err(ErrorCode::NotAMember));
    let nowhere = ConversationId::group(&user("eve"), &GroupNonce::new([9; 16]));
    assert_eq!(fixture.send("eve", nowhere, &text("hello")).await, Err(ErrorCode::ConversationNotFound));
    let eve = user("eve");
    for id in [id, nowhere] {
        let key = crate::rows::Key::sender(&id, &eve, &device(&eve, 1));
        assert_eq!(fixture.store.snapshot().get(&key).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_permanent_refusal_consumes_its_number_and_is_repeated() {
    let fixture = Fixture::new();
    let id = fixture.direct(1).await;
    let refused = SendOutcome::Refused { code: ErrorCode::TargetNotFound, expected: None };
    assert_eq!(fixture.send_as("ann", id, 2, &react(50), None).await, refused);
    assert_eq!(fixture.send_as("ann", id, 2, &react(50), None).await, refused);
    assert_eq!(fixture.send("ann", id, &text("next")).await, Ok(Seq::new(2)));
}

#[tokio::test]
async fn only_the_author_edits_and_only_what_is_a_message() {
    let fixture = Fixture::new();
    let id = fixture.direct(1).await;
    assert_eq!(fixture.send("bob", id, &react(1)).await, Ok(Seq::new(2)));
    assert_eq!(fixture.send("bob", id, &edit(1, "mine now")).await, Err(ErrorCode::NotPermitted));
    assert_eq!(fixture.send("bob", id, &edit(2, "no message")).await, Err(ErrorCode::TargetNotSuitable));
    assert_eq!(fixture.send("ann", id, &edit(1, "better")).await, Ok(Seq::new(3)));
    assert_eq!(fixture.send("ann", id, &edit(3, "edit of an edit")).await, Err(ErrorCode::TargetNotSuitable));
}

#[tokio::test]
async fn redacting_takes_the_body_out_of_the_message_and_all_its_edits() {
    let fixture = Fixture::new();
    let id = fixture.direct(1).await;
    let secret = "swordfish";
    fixture.send("ann", id, &text(secret)).await.unwrap();
    fixture.send("ann", id, &edit(2, &format!("{secret}!"))).await.unwrap();
    fixture.send("ann", id, &edit(2, &format!("{secret}?"))).await.unwrap();
    // In the same batch too, where the entries are still on their way.
    assert_eq!(fixture.send("bob", id, &redact(2)).await, Err(ErrorCode::NotPermitted));
    fixture.send("ann", id, &redact(2)).await.unwrap();
    let conversation = fixture.log.conversation(id);
    let live = fixture.log.entries(&conversation, Seq::FIRST, 100).await.unwrap();
    let stored = fixture.store.snapshot().range(crate::store::KeyRange::all(), 1_000, false).await.unwrap();
    let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
    assert_eq!(live.len(), 5);
    assert!(live.iter().all(|entry| !holds(&entry.frame)), "memory");
    assert!(stored.iter().all(|(key, value)| !holds(key) && !holds(value)), "store");
    for entry in live.iter().filter(|entry| (2..=4).contains(&entry.seq.get())) {
        assert!(matches!(Content::decode(&entry.content), Ok(Content::Redacted(_))), "{entry:?}");
    }
    assert_eq!(fixture.send("ann", id, &redact(2)).await, Err(ErrorCode::TargetNotSuitable));
    assert_eq!(fixture.send("ann", id, &edit(2, "again")).await, Err(ErrorCode::TargetNotSuitable));
    assert_eq!(fixture.send("bob", id, &react(2)).await, Err(ErrorCode::TargetNotSuitable));
}

#[tokio::test]
async fn a_message_and_its_redaction_in_one_batch_leave_no_body() {
    let fixture = Fixture::new();
    let id = fixture.direct(1).await;
    let message = fixture.submit("ann", 1, id, 2, text("swordfish").encode(), Some("bob")).await;
    let redaction = fixture.submit("ann", 1, id, 3, redact(2).encode(), Some("bob")).await;
    assert!(message.await.unwrap().is_ok() && redaction.await.unwrap().is_ok());
    let entries = fixture.log.entries(&fixture.log.conversation(id), Seq::new(2), 10).await.unwrap();
    assert!(matches!(Content::decode(&entries[0].content), Ok(Content::Redacted(_))), "{entries:?}");
}

#[tokio::test]
async fn edits_of_one_message_have_an_end() {
    let fixture = Fixture::new();
    let id = fixture.direct(1).await;
    for number in 0..crate::limits::EDITS_PER_MESSAGE_MAX {
        fixture.send("ann", id, &edit(1, &number.to_string())).await.unwrap();
    }
    assert_eq!(fixture.send("ann", id, &edit(1, "one more")).await, Err(ErrorCode::TooManyEdits));
}

#[tokio::test]
async fn time_never_goes_back_within_a_conversation() {
    let fixture = Fixture::new();
    let id = fixture.direct(1).await;
    fixture.clock.set(TimestampMs::new(5));
    fixture.send("ann", id, &text("later")).await.unwrap();
    let entries = fixture.log.entries(&fixture.log.conversation(id), Seq::FIRST, 10).await.unwrap();
    assert!(entries[1].at >= entries[0].at, "{entries:?}");
}

#[tokio::test]
async fn a_quota_refuses_what_does_not_fit_and_a_redaction_gives_room_back() {
    let limits = LimitsConfig { stored_bytes_per_user_max: 3_000, ..LimitsConfig::default() };
    let fixture = Fixture::with_limits(limits);
    let id = fixture.direct(1).await;
    let big = text(&"x".repeat(2_000));
    assert_eq!(fixture.send("ann", id, &big).await, Ok(Seq::new(2)));
    assert_eq!(fixture.send("ann", id, &big).await, Err(ErrorCode::StorageQuotaExceeded));
    assert_eq!(fixture.send("bob", id, &big).await, Ok(Seq::new(3)), "each user has their own");
    assert_eq!(fixture.send("ann", id, &redact(2)).await, Ok(Seq::new(4)));
    assert_eq!(fixture.send("ann", id, &big).await, Ok(Seq::new(5)));
}

#[tokio::test]
async fn everybody_in_the_conversation_is_told_and_nobody_else() {
    let fixture = Fixture::new();
    let id = fixture.group(&["bob", "cid"], HistoryPolicy::All).await;
    fixture.heard.0.lock().clear();
    fixture.send("ann", id, &text("hello")).await.unwrap();
    // The answer comes before the hint.
    for _ in 0..1_000 {
        if fixture.heard.0.lock().len() == 3 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let told: Vec<_> = fixture.heard.0.lock().iter().map(|(user, ..)| user.to_string()).collect();
    assert_eq!(told, ["ann", "bob", "cid"]);
}
