//! Who reads what: joining, leaving, coming back; and large groups.

use fulmar_interop_tests::{
    Delivered, StreamEnd, TestServer,
    contents::{add, create_group, group, leave, remove, set_title, text},
    user,
};
use fulmar_protocol::{Direction, ErrorCode, Frame, HistoryPolicy, Seq};

use crate::groups::founded;

fn says(log: &[Delivered]) -> Vec<String> {
    log.iter().map(Delivered::says).collect()
}

// FUL-CONV-27, FUL-CONV-28, FUL-MARK-19, FUL-LANE-12
#[tokio::test]
async fn with_a_policy_from_joining_a_newcomer_reads_from_the_joining_entry_on() {
    let server = TestServer::start().await;
    let (_alice, mut lane, id) = founded(&server, &["bob"], HistoryPolicy::FromJoining).await;
    lane.send(&text("before")).await;
    lane.send(&add(&["carol"])).await;
    lane.send(&text("after")).await;
    let mut carol = server.connect("carol", 1).await;
    let mut to_carol = carol.lane(id).await;
    assert_eq!(to_carol.open.read_seq, Seq::new(3));
    assert_eq!(to_carol.catch_up().await.says(), ["hidden", "-", "after"]);
    assert_eq!(to_carol.unread(), 1);
    let page = carol.history(id, 1, Direction::Forward, 100).await.unwrap();
    assert_eq!((page.says(), page.ranges()[0], page.head), (says(&to_carol.delivered), (1, 2), 4));
    let page = carol.history(id, 0, Direction::Backward, 100).await.unwrap();
    assert_eq!((page.says(), page.next), (vec!["after".into(), "-".into(), "hidden".into()], 0));
}

// FUL-CONV-28
#[tokio::test]
async fn with_a_policy_of_all_a_newcomer_reads_everything_and_has_nothing_unread() {
    let server = TestServer::start().await;
    let (_alice, mut lane, id) = founded(&server, &["bob"], HistoryPolicy::All).await;
    lane.send(&text("before")).await;
    lane.send(&add(&["carol"])).await;
    let mut carol = server.connect("carol", 1).await;
    let mut to_carol = carol.lane(id).await;
    assert_eq!(to_carol.catch_up().await.says(), ["-", "before", "-"]);
    assert_eq!(to_carol.unread(), 0);
    lane.send(&text("after")).await;
    assert_eq!(to_carol.up_to(4).await.unread(), 1);
}

// FUL-CONV-27, FUL-CONV-30, FUL-LANE-22, FUL-REQ-15, FUL-REQ-18, FUL-LANE-6
#[tokio::test]
async fn a_removed_member_reads_nothing_after_the_removal() {
    let server = TestServer::start().await;
    let (_alice, mut lane, id) = founded(&server, &["bob", "carol"], HistoryPolicy::All).await;
    let mut bob = server.connect("bob", 1).await;
    lane.send(&text("before")).await;
    let mut to_bob = bob.lane(id).await;
    to_bob.catch_up().await;
    lane.send(&remove(&["bob"])).await;
    assert_eq!(to_bob.end().await, StreamEnd::Finished);
    assert_eq!(to_bob.says(), ["-", "before", "-"]);
    lane.send(&set_title("Without bob")).await;
    lane.send(&text("secret")).await;
    // Not with the next lane either, on whichever device, nor by asking.
    let mut tablet = server.connect("bob", 2).await;
    let mut to_tablet = tablet.lane(id).await;
    assert_eq!(to_tablet.end().await, StreamEnd::Finished);
    assert_eq!(to_tablet.says(), to_bob.says());
    let open = &to_tablet.open;
    assert_eq!((open.role, open.head_seq, open.title.as_str()), (None, Seq::new(3), "Birds"));
    assert_eq!(open.head_ordinal.get(), 1);
    assert_eq!(says(&bob.whole_log(id).await), to_bob.says());
    for (from, direction) in [(4, Direction::Forward), (99, Direction::Backward), (0, Direction::Backward)] {
        let page = bob.history(id, from, direction, 10).await.unwrap();
        assert!(page.entries().all(|entry| entry.seq <= Seq::new(3)) && page.head == 3, "{page:?}");
    }
    let item = bob.inbox_item(id).await.unwrap();
    assert_eq!((item.role, item.head_seq, item.title.as_str()), (None, Seq::new(3), "Birds"));
    let removal = to_bob.delivered.last().unwrap();
    assert!(matches!(removal, Delivered::Entry(removal) if removal.at == item.last_at));
    let (roster, members) = bob.roster(id).await.unwrap();
    assert_eq!((roster.title.as_str(), roster.head_seq, roster.members), ("Birds", Seq::new(3), 0));
    assert!(members.is_empty());
    assert_eq!(bob.group(id).await.refused(&text("let me in")).await, ErrorCode::NotAMember);
    bob.have(id, 3).await;
    bob.read(id, 3).await;
    let confirmation = bob.confirm(&[], &[(id, 4)]).await;
    assert_eq!(confirmation.codes(), [ErrorCode::MarkBeyondHead]);
}

// FUL-CONV-27, FUL-CONV-28, FUL-LANE-8, FUL-LANE-10, FUL-REQ-8
#[tokio::test]
async fn leaving_and_coming_back_gives_two_intervals() {
    let server = TestServer::start().await;
    let (_alice, mut lane, id) = founded(&server, &["bob"], HistoryPolicy::FromJoining).await;
    let mut bob = server.connect("bob", 1).await;
    let mut from_bob = bob.group(id).await;
    lane.send(&text("first time")).await;
    from_bob.send(&leave()).await;
    let mut first = bob.lane(id).await;
    assert_eq!(first.end().await, StreamEnd::Finished);
    lane.send(&text("behind his back")).await;
    lane.send(&text("still")).await;
    lane.send(&add(&["bob"])).await;
    lane.send(&text("second time")).await;
    let mut second = bob.lane(id).await;
    assert_eq!(second.up_to(7).await.says(), ["hidden", "-", "second time"]);
    assert_eq!(second.delivered[0].range(), (4, 5));
    let expected = ["-", "first time", "-", "hidden", "-", "second time"];
    assert_eq!(says(&bob.whole_log(id).await), expected);
    let tablet = server.connect("bob", 2).await.log(id, 7).await.0;
    assert_eq!(says(&tablet), expected);
    assert_eq!(
        from_bob.refused(&fulmar_interop_tests::contents::react(4, "?")).await,
        ErrorCode::TargetNotFound
    );
    lane.send(&remove(&["bob"])).await;
    assert_eq!(second.end().await, StreamEnd::Finished);
    assert_eq!(bob.whole_log(id).await.len(), 7);
}

// FUL-CONV-27, FUL-LANE-22, FUL-CONV-9
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_removal_in_the_midst_of_sends_is_the_last_that_the_removed_one_reads() {
    let server = TestServer::start().await;
    let (alice, mut admin, id) = founded(&server, &["bob", "carol"], HistoryPolicy::All).await;
    let mut bob = server.connect("bob", 1).await;
    let carol = server.connect("carol", 1).await;
    let sending = tokio::spawn(async move {
        let mut lane = carol.group(id).await;
        for number in 1..=60 {
            lane.put(number, &text("chatter")).await;
        }
        for _ in 1..=60 {
            lane.answer().await.unwrap();
        }
    });
    let mut to_bob = bob.lane(id).await;
    to_bob.up_to(8).await;
    let removal = admin.send(&remove(&["bob"])).await;
    assert_eq!(to_bob.end().await, StreamEnd::Finished);
    sending.await.unwrap();
    assert_eq!(to_bob.next.get(), removal + 1, "everything up to the removal, and nothing after it");
    assert_eq!(bob.whole_log(id).await.len() as u64, removal);
    assert_eq!(alice.whole_log(id).await.len(), 62);
}

/// `m1` to `m` and this number.
fn names(last: usize) -> Vec<String> {
    (1..=last).map(|number| format!("m{number}")).collect()
}

// FUL-LANE-3, FUL-LANE-7, FUL-LANE-19, FUL-REQ-17
#[tokio::test]
async fn a_group_above_the_fan_out_limit_still_reaches_everybody_but_tells_no_marks() {
    let server = TestServer::start().await;
    let names = names(79);
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut connected = server.connect("m1", 1).await;
    let (mut alice, mut lane, id) = founded(&server, &names, HistoryPolicy::FromJoining).await;
    for number in 2..=5 {
        lane.send(&text(&number.to_string())).await;
    }
    let mut to_connected = connected.lane(id).await;
    assert_eq!(to_connected.up_to(5).await.says(), ["-", "2", "3", "4", "5"]);
    assert!(to_connected.open.marks.is_empty());
    let mut later = server.connect("m79", 1).await;
    assert_eq!(later.lane(id).await.up_to(5).await.says(), to_connected.says());
    assert_eq!(later.inbox_item(id).await.unwrap().head_seq, Seq::new(5));
    later.have(id, 5).await;
    later.read(id, 5).await;
    lane.send(&text("6")).await;
    let mut to_alice = alice.lane(id).await;
    to_alice.up_to(6).await;
    assert_eq!(to_alice.mark_frames, 0, "marks of others are not told");
    let (roster, members) = alice.roster(id).await.unwrap();
    assert_eq!((roster.members, members.len()), (80, 80));
    let marks = members.iter().find(|member| member.user == user("m79")).unwrap();
    assert_eq!((marks.delivered_seq, marks.read_seq), (Seq::new(5), Seq::new(5)));
}

// FUL-LANE-3
#[tokio::test]
async fn a_group_that_outgrows_the_fan_out_limit_still_reaches_who_connects_later() {
    let server = TestServer::start().await;
    let all = names(70);
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    let (_alice, mut lane, id) = founded(&server, &all[..60], HistoryPolicy::FromJoining).await;
    lane.send(&text("small")).await;
    lane.send(&add(&all[60..])).await;
    lane.send(&text("large")).await;
    lane.send(&remove(&["m3"])).await;
    lane.send(&text("without m3")).await;
    let mut former = server.connect("m3", 1).await;
    assert_eq!(says(&former.log(id, 5).await.0), ["-", "small", "-", "large", "-"]);
    let mut early = server.connect("m1", 1).await;
    assert_eq!(says(&early.log(id, 6).await.0), ["-", "small", "-", "large", "-", "without m3"]);
    let mut late = server.connect("m70", 1).await;
    assert_eq!(says(&late.log(id, 6).await.0), ["hidden", "-", "large", "-", "without m3"]);
}

// FUL-CONV-22, FUL-SEND-17
#[tokio::test]
async fn changes_too_large_for_one_transaction_together_are_carried_out_one_by_one() {
    let server = TestServer::with_config(|config| config.limits.group_members_max = 10_000).await;
    let id = group("alice", 1);
    let alice = server.connect("alice", 1).await;
    let mut lane = alice.group(id).await;
    let padding = "x".repeat(120);
    lane.put(1, &create_group(1, &[], HistoryPolicy::FromJoining)).await;
    for change in 0..10 {
        let names: Vec<_> = (0..256).map(|number| format!("{padding}{:04}", change * 256 + number)).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        lane.put(change + 2, &add(&names)).await;
    }
    for number in 1..=11 {
        assert_eq!(lane.answer().await.map_err(|refused| refused.code).map(|it| it.seq.get()), Ok(number));
    }
    let (roster, members) = alice.roster(id).await.unwrap();
    assert_eq!((roster.members, members.len()), (2_561, 2_561));
    let request = Frame::RosterRequest(fulmar_protocol::RosterRequest { conversation_id: id });
    let frames = alice.request(&request).await.unwrap();
    let fullest = frames.iter().map(|frame| match frame {
        Frame::RosterMembers(members) => members.members.len(),
        _ => 0,
    });
    assert_eq!(fullest.max(), Some(256));
}
