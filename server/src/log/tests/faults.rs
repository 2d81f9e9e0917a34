//! Faults do what they say: what looks for broken promises can rely on them.

use fulmar_protocol::RemoveMembers;

use super::*;

#[tokio::test]
async fn without_deduplication_a_retry_is_appended_again_and_the_next_send_goes_on() {
    for (fault, wanted) in [(None, 1), (Some(ServerFault::NoDeduplication), 2)] {
        let fixture = Fixture::with(LimitsConfig::default(), fault);
        let id = fixture.direct(1).await;
        let again = fixture.send_as("ann", id, 1, &text("1"), Some("bob")).await;
        assert!(matches!(again, SendOutcome::Accepted { seq, .. } if seq == Seq::new(wanted)), "{again:?}");
        assert_eq!(fixture.send("ann", id, &text("2")).await, Ok(Seq::new(wanted + 1)));
    }
}

#[tokio::test]
async fn where_removals_are_ignored_the_removed_go_on() {
    for (fault, wanted) in [(None, Err(ErrorCode::NotAMember)), (Some(ServerFault::IgnoreRemoval), Ok(4))] {
        let fixture = Fixture::with(LimitsConfig::default(), fault);
        let id = fixture.group(&["bob"], HistoryPolicy::All).await;
        fixture.send("bob", id, &text("here")).await.unwrap();
        let remove = Content::RemoveMembers(RemoveMembers { users: users(&["bob"]) });
        fixture.send("ann", id, &remove).await.unwrap();
        let sent = fixture.send_as("bob", id, 2, &text("still here"), None).await;
        let sent = match sent {
            SendOutcome::Accepted { seq, .. } => Ok(seq.get()),
            SendOutcome::Refused { code, .. } => Err(code),
            SendOutcome::Deferred => panic!("it was not early"),
        };
        assert_eq!(sent, wanted);
    }
}

#[tokio::test]
async fn every_third_hint_is_lost() {
    let fixture = Fixture::with_fault(ServerFault::LoseHints { every: 3 });
    fixture.direct(30).await;
    assert_eq!(fixture.heard.0.lock().len(), 40);
    assert!(!fixture.log.faults().never_looks_for_lost_hints());
}
