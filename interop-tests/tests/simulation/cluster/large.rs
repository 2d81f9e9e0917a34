//! Groups above the fan-out limit.

use std::time::Duration;

use fulmar_client::{HistoryPolicy, OutgoingMessage};
use fulmar_interop_tests::simulation::Ground;

use super::{App, cluster, counted, user};
use crate::pass;

pub(super) async fn a_group_of_a_thousand_hears_of_a_message_on_every_node(ground: Ground) {
    let world = cluster(&ground, 3).await;
    let owner = App::start(&world, "owner", 1, 0);
    let online: Vec<_> = (0..9)
        .map(|number| App::start(&world, &format!("member-{number}"), 10 + number, number % 3))
        .collect();
    pass(Duration::from_secs(5)).await;
    let first: Vec<_> = (0..20).map(|number| user(&format!("member-{number}"))).collect();
    let (group, _) = owner.client().create_group("Birds", &first, HistoryPolicy::All).await.unwrap();
    let mut heads = 1;
    // It outgrows the limit while they look on.
    for from in (20..930).step_by(70) {
        let more: Vec<_> = (from..from + 70).map(|number| user(&format!("member-{number}"))).collect();
        group.add(&more).await.unwrap();
        heads += 1;
    }
    pass(Duration::from_secs(3)).await;
    for turn in 0..5 {
        let sent = world.now();
        drop(group.enqueue(OutgoingMessage::text("hello")).await.unwrap());
        heads += 1;
        pass(Duration::from_secs(1)).await;
        for member in &online {
            let took = member.last_entry_at().checked_sub(sent);
            let time_max = ground.time_max(Duration::from_millis(150));
            assert!(took.is_some_and(|took| took < time_max), "turn {turn}: {took:?}");
        }
    }
    for member in &online {
        assert_eq!(member.seqs(), (1..=heads).collect::<Vec<_>>());
    }
    // Whoever comes later says what it wants to hear of before it reads.
    let late = App::start(&world, "member-500", 500, 1);
    pass(Duration::from_secs(5)).await;
    drop(group.enqueue(OutgoingMessage::text("hello")).await.unwrap());
    pass(Duration::from_secs(1)).await;
    assert_eq!(late.seqs().last(), Some(&(heads + 1)));
    let found: u64 = (0..3).map(|node| counted(&world, node, "fulmar_lost_hints_found_total")).sum();
    assert_eq!(found, 0);
}
