//! Groups: who may do what, and who reads what.

use fulmar_protocol::{Leave, RemoveMembers, Role, SetRole, SetTitle, TransferOwnership};

use super::*;

fn remove(names: &[&str]) -> Content {
    Content::RemoveMembers(RemoveMembers { users: users(names) })
}

fn role(name: &str, role: Role) -> Content {
    Content::SetRole(SetRole { user: user(name), role })
}

fn title(title: &str) -> Content {
    Content::SetTitle(SetTitle { title: Title::parse(title).unwrap() })
}

#[tokio::test]
async fn creating_twice_creates_once() {
    let fixture = Fixture::new();
    let id = fixture.group(&["bob"], HistoryPolicy::All).await;
    assert_eq!(fixture.group(&["bob"], HistoryPolicy::All).await, id);
    assert_eq!(fixture.readable("bob", id).await, ["1"]);
}

#[tokio::test]
async fn a_group_whose_id_is_not_of_creator_and_nonce_is_refused() {
    let fixture = Fixture::new();
    let id = ConversationId::group(&user("ann"), &GroupNonce::new([1; 16]));
    let create = Content::CreateGroup(CreateGroup {
        nonce: GroupNonce::new([1; 16]),
        title: Title::default(),
        members: users(&[]),
        history_policy: HistoryPolicy::All,
    });
    assert_eq!(fixture.send("eve", id, &create).await, Err(ErrorCode::GroupIdMismatch));
    assert_eq!(fixture.readable("eve", id).await, ["refused"]);
}

#[tokio::test]
async fn roles_allow_what_they_should() {
    let fixture = Fixture::new();
    let id = fixture.group(&["bob", "cid"], HistoryPolicy::All).await;
    // Members may write, and nothing else.
    assert_eq!(fixture.send("bob", id, &title("Mine")).await, Err(ErrorCode::NotPermitted));
    assert_eq!(fixture.send("bob", id, &add(&["eve"])).await, Err(ErrorCode::NotPermitted));
    assert_eq!(fixture.send("bob", id, &remove(&["cid"])).await, Err(ErrorCode::NotPermitted));
    assert_eq!(fixture.send("bob", id, &role("bob", Role::Admin)).await, Err(ErrorCode::NotPermitted));
    // Admins add, remove members, and set the title.
    fixture.send("ann", id, &role("bob", Role::Admin)).await.unwrap();
    fixture.send("bob", id, &title("Sea birds")).await.unwrap();
    fixture.send("bob", id, &add(&["dan"])).await.unwrap();
    fixture.send("bob", id, &remove(&["dan"])).await.unwrap();
    assert_eq!(fixture.send("bob", id, &remove(&["ann"])).await, Err(ErrorCode::NotPermitted));
    assert_eq!(fixture.send("bob", id, &role("cid", Role::Admin)).await, Err(ErrorCode::NotPermitted));
    // The owner removes admins, hands the group over, and leaves only then.
    let leave = Content::Leave(Leave);
    assert_eq!(fixture.send("ann", id, &leave).await, Err(ErrorCode::OwnerMustTransfer));
    let transfer = Content::TransferOwnership(TransferOwnership { user: user("cid") });
    fixture.send("ann", id, &transfer).await.unwrap();
    let roster = fixture.log.roster(id).await.unwrap().unwrap();
    assert_eq!(roster.role(&user("cid")), Some(Role::Owner));
    assert_eq!(roster.role(&user("ann")), Some(Role::Admin));
    fixture.send("cid", id, &remove(&["bob"])).await.unwrap();
    fixture.send("ann", id, &leave).await.unwrap();
    fixture.send("cid", id, &leave).await.unwrap();
    let roster = fixture.log.roster(id).await.unwrap().unwrap();
    assert!(roster.members.is_empty(), "{roster:?}");
    assert_eq!(fixture.send("cid", id, &text("anyone?")).await, Err(ErrorCode::NotAMember));
}

#[tokio::test]
async fn a_removed_member_keeps_what_came_before_and_reads_nothing_after() {
    let fixture = Fixture::new();
    let id = fixture.group(&["bob"], HistoryPolicy::All).await;
    fixture.send("bob", id, &text("before")).await.unwrap();
    fixture.send("ann", id, &remove(&["bob"])).await.unwrap();
    fixture.send("ann", id, &text("after")).await.unwrap();
    assert_eq!(fixture.readable("bob", id).await, ["1", "2", "3"]);
    assert_eq!(fixture.readable("ann", id).await, ["1", "2", "3", "4"]);
    assert_eq!(fixture.send("bob", id, &text("still here")).await, Err(ErrorCode::NotAMember));
    assert_eq!(fixture.readable("eve", id).await, ["refused"]);
}

#[tokio::test]
async fn who_joins_sees_what_the_policy_says_and_coming_back_gives_two_intervals() {
    for (policy, first, second) in [
        (HistoryPolicy::FromJoining, vec!["-1..=2", "3", "4"], vec!["-1..=2", "3", "4", "-5..=5", "6", "7"]),
        (HistoryPolicy::All, vec!["1", "2", "3", "4"], vec!["1", "2", "3", "4", "5", "6", "7"]),
    ] {
        let fixture = Fixture::new();
        let id = fixture.group(&["bob"], policy).await;
        fixture.send("ann", id, &text("two")).await.unwrap();
        fixture.send("ann", id, &add(&["cid"])).await.unwrap();
        fixture.send("ann", id, &remove(&["cid"])).await.unwrap();
        assert_eq!(fixture.readable("cid", id).await, first, "{policy:?}");
        fixture.send("ann", id, &text("five")).await.unwrap();
        assert_eq!(fixture.readable("cid", id).await, first, "{policy:?}");
        fixture.send("ann", id, &add(&["cid"])).await.unwrap();
        fixture.send("ann", id, &text("seven")).await.unwrap();
        assert_eq!(fixture.readable("cid", id).await, second, "{policy:?}");
    }
}

#[tokio::test]
async fn a_group_never_has_more_members_than_allowed() {
    let limits = LimitsConfig { group_members_max: 3, ..LimitsConfig::default() };
    let fixture = Fixture::with_limits(limits);
    let id = fixture.group(&["bob"], HistoryPolicy::All).await;
    assert_eq!(fixture.send("ann", id, &add(&["cid", "dan"])).await, Err(ErrorCode::GroupTooLarge));
    assert_eq!(fixture.send("ann", id, &add(&["cid"])).await, Ok(Seq::new(2)));
    assert_eq!(fixture.send("ann", id, &add(&["cid"])).await, Err(ErrorCode::AlreadyMember));
    assert_eq!(fixture.send("ann", id, &add(&["dan"])).await, Err(ErrorCode::GroupTooLarge));
    assert_eq!(fixture.send("ann", id, &remove(&["dan"])).await, Err(ErrorCode::UserNotMember));
}

#[tokio::test]
async fn coming_back_has_an_end() {
    let fixture = Fixture::new();
    let id = fixture.group(&["bob"], HistoryPolicy::FromJoining).await;
    let mut refused = None;
    for _ in 0..40 {
        fixture.send("ann", id, &remove(&["bob"])).await.unwrap();
        if let Err(code) = fixture.send("ann", id, &add(&["bob"])).await {
            refused = Some(code);
            break;
        }
    }
    assert_eq!(refused, Some(ErrorCode::TooManyRejoins));
}

#[tokio::test]
async fn a_group_that_outgrows_the_fan_out_limit_is_found_by_its_head() {
    let fixture = Fixture::new();
    let names: Vec<String> = (0..70).map(|number| format!("m{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let id = fixture.group(&names[..10], HistoryPolicy::All).await;
    fixture.send("ann", id, &add(&names[10..])).await.unwrap();
    fixture.send("m3", id, &text("many of us")).await.unwrap();
    for name in ["m0", "m69", "ann"] {
        let user = user(name);
        let Missed { behind, more, .. } =
            fixture.log.behind(&fixture.log.snapshot(), &user, &device(&user, 1), 10).await.unwrap();
        assert_eq!((behind.len(), more), (1, false), "{name}");
    }
    let (items, _) = fixture.log.inbox(&user("m69"), &device(&user("m69"), 1), None, 10).await.unwrap();
    assert_eq!(items[0].head_seq, Seq::new(3));
}
