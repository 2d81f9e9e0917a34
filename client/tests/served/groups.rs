//! Groups.

use fulmar_client::{Content, ErrorCode, Event, HistoryItem, HistoryPolicy, HistoryQuery, Role, Seq};

use crate::town::{Town, body_of, text, user};

#[tokio::test]
async fn a_group_lives() {
    let town = Town::found().await;
    let (alice, mut bob, mut carol) =
        (town.person("alice").await, town.person("bob").await, town.person("carol").await);
    let (group, created) =
        alice.client.create_group("birds", &[user("bob")], HistoryPolicy::FromJoining).await.unwrap();
    assert_eq!(created.seq, Seq::FIRST);
    group.send(text("before carol")).await.unwrap();
    group.add(&[user("carol")]).await.unwrap();
    group.set_title("seabirds").await.unwrap();
    group.set_role(&user("bob"), Role::Admin).await.unwrap();
    group.send(text("hello carol")).await.unwrap();
    let state = carol
        .next("the group", |event| match event {
            Event::Conversation(state) => Some(state),
            _ => None,
        })
        .await;
    assert_eq!((state.id, state.role), (group.id(), Some(Role::Member)));
    assert_eq!(carol.message().await, "hello carol", "carol sees what was before her");
    assert_eq!(bob.message().await, "before carol");
    let roster = group.roster().await.unwrap();
    assert_eq!(roster.title, "seabirds");
    let mut roles: Vec<_> =
        roster.members.iter().map(|member| (member.user.to_string(), member.role)).collect();
    roles.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(
        roles,
        [
            ("alice".to_owned(), Role::Owner),
            ("bob".to_owned(), Role::Admin),
            ("carol".to_owned(), Role::Member)
        ]
    );
    let left = group.leave().await.unwrap_err();
    assert_eq!(left.code(), Some(ErrorCode::OwnerMustTransfer));
    group.transfer_ownership(&user("bob")).await.unwrap();
    group.leave().await.unwrap();
    let error = group.send(text("too late")).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NotAMember));
}

#[tokio::test]
async fn a_removed_member_sees_the_removal_and_nothing_after_it() {
    let town = Town::found().await;
    let (alice, mut bob) = (town.person("alice").await, town.person("bob").await);
    let (group, _) = alice.client.create_group("birds", &[user("bob")], HistoryPolicy::All).await.unwrap();
    group.send(text("one")).await.unwrap();
    group.remove(&[user("bob")]).await.unwrap();
    group.send(text("two")).await.unwrap();
    let mut last = None;
    while !matches!(last, Some(Content::RemoveMembers(_))) {
        let entry = bob.entry().await;
        assert_ne!(body_of(&entry).as_deref(), Some("two"));
        last = entry.content;
    }
    let conversation = bob.client.conversation(group.id());
    let error = conversation.send(text("let me in")).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NotAMember));
    let page = conversation.history(HistoryQuery::forward(Seq::FIRST)).await.unwrap();
    let seqs: Vec<_> = page
        .items
        .iter()
        .filter_map(|item| match item {
            HistoryItem::Entry(entry) => Some(entry.seq.get()),
            HistoryItem::Hole { .. } => None,
            _ => None,
        })
        .collect();
    assert_eq!(seqs, [1, 2, 3]);
}
