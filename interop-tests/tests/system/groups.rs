//! Groups: creation, rights, roles, members.

use fulmar_interop_tests::{
    SendLane, TestServer, WireClient,
    contents::{self, add, create_group, leave, remove, set_role, set_title, text, transfer},
    user,
};
use fulmar_protocol::{Content, ConversationId, ErrorCode, HistoryPolicy, Role, Seq};

/// Alice's group, which she has just created, and her lane to it.
pub(crate) async fn founded(
    server: &TestServer,
    members: &[&str],
    policy: HistoryPolicy,
) -> (WireClient, SendLane, ConversationId) {
    let id = contents::group("alice", 1);
    let alice = server.connect("alice", 1).await;
    let mut lane = alice.group(id).await;
    assert_eq!(lane.send(&create_group(1, members, policy)).await, 1);
    (alice, lane, id)
}

async fn roles(client: &WireClient, id: ConversationId) -> Vec<(String, Role)> {
    let (_, members) = client.roster(id).await.unwrap();
    members.into_iter().map(|member| (member.user.to_string(), member.role)).collect()
}

fn named(pairs: &[(&str, Role)]) -> Vec<(String, Role)> {
    pairs.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect()
}

// FUL-CONV-3, FUL-CONV-19
#[tokio::test]
async fn a_group_created_twice_is_created_once() {
    let server = TestServer::start().await;
    let (alice, mut lane, id) = founded(&server, &["bob"], HistoryPolicy::FromJoining).await;
    let creation = create_group(1, &["bob"], HistoryPolicy::FromJoining);
    lane.put(1, &creation).await;
    assert_eq!(lane.answer().await.unwrap().seq, Seq::FIRST);
    assert_eq!(lane.refused(&creation).await, ErrorCode::ConversationExists);
    let tablet = server.connect("alice", 2).await;
    assert_eq!(tablet.group(id).await.refused(&creation).await, ErrorCode::ConversationExists);
    assert_eq!(alice.whole_log(id).await.len(), 1);
}

// FUL-CONV-19, FUL-CONV-20, FUL-LANE-6
#[tokio::test]
async fn those_named_at_creation_are_members_from_the_first_entry_on() {
    let server = TestServer::start().await;
    let mut bob = server.connect("bob", 1).await;
    let (mut alice, _, id) = founded(&server, &["bob", "carol"], HistoryPolicy::FromJoining).await;
    let owned = alice.lane(id).await.open;
    assert_eq!((owned.role, owned.title.as_str(), owned.peer), (Some(Role::Owner), "Birds", None));
    let mut lane = bob.lane(id).await;
    assert_eq!((lane.open.role, lane.open.title.as_str()), (Some(Role::Member), "Birds"));
    assert_eq!(lane.up_to(1).await.unread(), 0);
    let all = named(&[("alice", Role::Owner), ("bob", Role::Member), ("carol", Role::Member)]);
    assert_eq!(roles(&bob, id).await, all);
}

// FUL-CONV-19, FUL-CONV-20, FUL-SEC-8
#[tokio::test]
async fn a_creation_that_is_not_ones_own_is_refused() {
    let server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    let creation = create_group(1, &["bob"], HistoryPolicy::FromJoining);
    let mut elsewhere = alice.group(contents::group("alice", 2)).await;
    assert_eq!(elsewhere.refused(&creation).await, ErrorCode::GroupIdMismatch);
    let mut of_another = alice.group(contents::group("mallory", 1)).await;
    assert_eq!(of_another.refused(&creation).await, ErrorCode::GroupIdMismatch);
    // The creator among the members is passed over.
    let with_oneself = create_group(1, &["bob", "alice"], HistoryPolicy::FromJoining);
    let id = contents::group("alice", 1);
    alice.group(id).await.send(&with_oneself).await;
    assert_eq!(roles(&alice, id).await, named(&[("alice", Role::Owner), ("bob", Role::Member)]));
    let mut alone = alice.group(contents::group("alice", 3)).await;
    alone.send(&create_group(3, &[], HistoryPolicy::FromJoining)).await;
}

// FUL-CONV-9, FUL-CONV-22, FUL-CONV-23, FUL-CONV-24, FUL-CONV-25
#[tokio::test]
async fn each_role_may_do_what_it_may_and_nothing_more() {
    let server = TestServer::start().await;
    let members = ["admin", "member", "other"];
    let (_alice, mut owner, id) = founded(&server, &members, HistoryPolicy::FromJoining).await;
    owner.send(&set_role("admin", Role::Admin)).await;
    let as_admin = server.connect("admin", 1).await;
    let as_member = server.connect("member", 1).await;
    let as_stranger = server.connect("stranger", 1).await;
    let mut admin = as_admin.group(id).await;
    let mut member = as_member.group(id).await;
    let mut stranger = as_stranger.group(id).await;
    let not_permitted = ErrorCode::NotPermitted;
    for content in [text("hi"), set_title("x"), add(&["x"]), leave(), transfer("member")] {
        assert_eq!(stranger.refused(&content).await, ErrorCode::NotAMember, "{content:?}");
    }
    let beyond_a_member = [
        set_title("x"),
        add(&["x"]),
        remove(&["other"]),
        remove(&["member"]),
        set_role("other", Role::Admin),
        transfer("other"),
    ];
    for content in beyond_a_member {
        assert_eq!(member.refused(&content).await, not_permitted, "{content:?}");
    }
    for content in [
        set_role("member", Role::Admin),
        transfer("admin"),
        remove(&["alice"]),
        remove(&["admin"]),
        remove(&["other", "alice"]),
    ] {
        assert_eq!(admin.refused(&content).await, not_permitted, "{content:?}");
    }
    for content in [set_role("alice", Role::Member), transfer("alice"), remove(&["alice"])] {
        assert_eq!(owner.refused(&content).await, not_permitted, "{content:?}");
    }
    let outside: [(Content, ErrorCode); 5] = [
        (set_role("nobody", Role::Admin), ErrorCode::UserNotMember),
        (transfer("nobody"), ErrorCode::UserNotMember),
        (remove(&["other", "nobody"]), ErrorCode::UserNotMember),
        (add(&["new", "other"]), ErrorCode::AlreadyMember),
        (set_role("other", Role::Owner), ErrorCode::NotPermitted),
    ];
    for (content, code) in outside {
        assert_eq!(owner.refused(&content).await, code, "{content:?}");
    }
    // Nobody was changed by what was refused.
    let (owned, plain) = (("alice", Role::Owner), Role::Member);
    let unchanged = named(&[("admin", Role::Admin), owned, ("member", plain), ("other", plain)]);
    assert_eq!(roles(&as_admin, id).await, unchanged);
    admin.send(&set_title("Seabirds")).await;
    admin.send(&add(&["new"])).await;
    admin.send(&remove(&["other"])).await;
    owner.send(&set_role("admin", Role::Admin)).await;
    owner.send(&remove(&["admin"])).await;
    let now = named(&[owned, ("member", plain), ("new", plain)]);
    assert_eq!(roles(&as_member, id).await, now);
    assert_eq!(as_member.roster(id).await.unwrap().0.title.as_str(), "Seabirds");
}

// FUL-CONV-25, FUL-CONV-26, FUL-CONV-30
#[tokio::test]
async fn ownership_is_handed_on_and_the_last_one_may_leave() {
    let server = TestServer::start().await;
    let (alice, mut lane, id) = founded(&server, &["bob"], HistoryPolicy::FromJoining).await;
    assert_eq!(lane.refused(&leave()).await, ErrorCode::OwnerMustTransfer);
    lane.send(&transfer("bob")).await;
    assert_eq!(roles(&alice, id).await, named(&[("alice", Role::Admin), ("bob", Role::Owner)]));
    assert_eq!(lane.refused(&transfer("alice")).await, ErrorCode::NotPermitted);
    lane.send(&leave()).await;
    let bob = server.connect("bob", 1).await;
    let mut from_bob = bob.group(id).await;
    from_bob.send(&leave()).await;
    for lane in [&mut lane, &mut from_bob] {
        assert_eq!(lane.refused(&text("anybody?")).await, ErrorCode::NotAMember);
    }
}

// FUL-CONV-15, FUL-CONV-9
#[tokio::test]
async fn admins_redact_what_members_wrote_and_members_only_their_own() {
    let server = TestServer::start().await;
    let (alice, mut owner, id) = founded(&server, &["bob", "carol"], HistoryPolicy::FromJoining).await;
    let (bob, carol) = (server.connect("bob", 1).await, server.connect("carol", 1).await);
    let (mut from_bob, mut from_carol) = (bob.group(id).await, carol.group(id).await);
    let message = from_bob.send(&text("spam")).await;
    assert_eq!(from_carol.refused(&contents::redact(message)).await, ErrorCode::NotPermitted);
    assert_eq!(from_carol.refused(&contents::edit(message, "x")).await, ErrorCode::NotPermitted);
    assert_eq!(owner.refused(&contents::edit(message, "x")).await, ErrorCode::NotPermitted);
    owner.send(&contents::redact(message)).await;
    assert_eq!(from_bob.refused(&contents::redact(message)).await, ErrorCode::TargetNotSuitable);
    let own = from_bob.send(&text("sorry")).await;
    from_bob.send(&contents::redact(own)).await;
    assert!(alice.whole_log(id).await.iter().all(|entry| entry.says() == "-"));
}

// FUL-CONV-21, FUL-CONV-22, FUL-LIM-3
#[tokio::test]
async fn a_group_of_one_more_than_the_limit_is_refused() {
    let server = TestServer::with_config(|config| config.limits.group_members_max = 4).await;
    let id = contents::group("alice", 1);
    let alice = server.connect("alice", 1).await;
    assert_eq!(alice.welcome.group_members_max, 4);
    let mut lane = alice.group(id).await;
    let policy = HistoryPolicy::FromJoining;
    let too_many = create_group(1, &["b", "c", "d", "e"], policy);
    assert_eq!(lane.refused(&too_many).await, ErrorCode::GroupTooLarge);
    let mut lane = lane.continue_at(1);
    lane.send(&create_group(1, &["b", "c"], policy)).await;
    assert_eq!(lane.refused(&add(&["d", "e"])).await, ErrorCode::GroupTooLarge);
    lane.send(&add(&["d"])).await;
    assert_eq!(lane.refused(&add(&["e"])).await, ErrorCode::GroupTooLarge);
    lane.send(&remove(&["b"])).await;
    lane.send(&add(&["e"])).await;
    let (roster, members) = alice.roster(id).await.unwrap();
    assert_eq!((roster.members, members.len()), (4, 4));
}

// FUL-REQ-16, FUL-REQ-17, FUL-REQ-18
#[tokio::test]
async fn a_roster_names_all_members_in_order_with_their_marks() {
    let server = TestServer::start().await;
    let (mut alice, mut lane, id) = founded(&server, &["zoe", "bob"], HistoryPolicy::All).await;
    lane.send(&text("hello")).await;
    alice.lane(id).await.up_to(2).await;
    alice.have(id, 2).await;
    let (roster, members) = alice.roster(id).await.unwrap();
    assert_eq!(
        (roster.members, roster.head_seq, roster.history_policy),
        (3, Seq::new(2), HistoryPolicy::All)
    );
    let names: Vec<_> = members.iter().map(|member| member.user.clone()).collect();
    assert_eq!(names, [user("alice"), user("bob"), user("zoe")]);
    assert_eq!((members[0].delivered_seq, members[0].read_seq), (Seq::new(2), Seq::new(2)));
    assert_eq!((members[1].delivered_seq, members[1].read_seq), (Seq::ZERO, Seq::ZERO));
    let stranger = server.connect("stranger", 1).await;
    assert_eq!(stranger.roster(id).await.unwrap_err(), ErrorCode::ConversationNotFound);
    let nowhere = contents::group("alice", 9);
    assert_eq!(alice.roster(nowhere).await.unwrap_err(), ErrorCode::ConversationNotFound);
}

// FUL-CONV-29
#[tokio::test]
async fn somebody_comes_back_thirty_one_times_and_no_more() {
    let server = TestServer::start().await;
    let (_alice, mut lane, _) = founded(&server, &["bob"], HistoryPolicy::FromJoining).await;
    for _ in 0..31 {
        lane.send(&remove(&["bob"])).await;
        lane.send(&add(&["bob"])).await;
    }
    lane.send(&remove(&["bob"])).await;
    assert_eq!(lane.refused(&add(&["carol", "bob"])).await, ErrorCode::TooManyRejoins);
    assert_eq!(lane.send(&add(&["carol"])).await, 65, "carol was not added with bob");
}
