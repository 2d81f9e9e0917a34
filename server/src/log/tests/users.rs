//! Devices, blocks, settings, revocation.

use std::time::Duration;

use fulmar_protocol::SessionNumber;

use super::*;
use crate::rows::{NodeNumber, SessionKey};

#[tokio::test]
async fn a_device_belongs_to_the_user_who_registered_it() {
    let fixture = Fixture::new();
    let shared = DeviceId::new([4; 16]);
    fixture.log.register_device(&user("ann"), &shared, None).await.unwrap();
    fixture.log.register_device(&user("ann"), &shared, None).await.unwrap();
    let error = fixture.log.register_device(&user("eve"), &shared, None).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::DeviceTaken);
}

#[tokio::test]
async fn one_device_too_many_is_refused_until_an_old_one_can_go() {
    let fixture = Fixture::new();
    let ann = user("ann");
    for number in 0..16 {
        fixture.log.register_device(&ann, &device(&ann, number), None).await.unwrap();
        fixture.clock.advance(Duration::from_secs(1));
    }
    let error = fixture.log.register_device(&ann, &device(&ann, 16), None).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::TooManyDevices);
    fixture.clock.advance(Duration::from_secs(31 * 24 * 3600));
    // All but the first are seen again, so that the first is the one to go.
    for number in 1..16 {
        fixture.log.register_device(&ann, &device(&ann, number), None).await.unwrap();
    }
    fixture.log.register_device(&ann, &device(&ann, 16), None).await.unwrap();
    let error = fixture.log.register_device(&ann, &device(&ann, 0), None).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::TooManyDevices);
}

#[tokio::test]
async fn a_blocked_user_gets_the_same_refusal_as_for_one_who_takes_no_messages() {
    let fixture = Fixture::new();
    let (ann, bob, cid) = (user("ann"), user("bob"), user("cid"));
    // Before there is a conversation.
    fixture.log.set_block(&bob, &ann, true).await.unwrap();
    fixture.log.set_settings(&cid, true).await.unwrap();
    let refused = SendOutcome::Refused { code: ErrorCode::RecipientUnavailable, expected: None };
    for (other, name) in [(&bob, "bob"), (&cid, "cid")] {
        let id = ConversationId::direct(&ann, other);
        assert_eq!(fixture.send_as("ann", id, 1, &text("hi"), Some(name)).await, refused, "{name}");
        assert!(fixture.log.lane_start(&ann, &device(&ann, 1), id).await.unwrap().is_none());
    }
    // And within one.
    fixture.log.set_block(&bob, &ann, false).await.unwrap();
    let id = ConversationId::direct(&ann, &bob);
    let outcome = fixture.send_as("ann", id, 1, &text("hi again"), Some("bob")).await;
    assert!(matches!(outcome, SendOutcome::Accepted { .. }), "{outcome:?}");
    fixture.log.set_block(&bob, &ann, true).await.unwrap();
    assert_eq!(fixture.send("ann", id, &text("and again")).await, Err(ErrorCode::RecipientUnavailable));
    let registered = fixture.log.register_device(&bob, &device(&bob, 1), None).await.unwrap();
    assert_eq!(registered.blocked, [ann]);
}

#[tokio::test]
async fn blocks_have_an_end_and_nobody_blocks_themselves() {
    let limits = LimitsConfig { blocked_users_max: 2, ..LimitsConfig::default() };
    let fixture = Fixture::with_limits(limits);
    let ann = user("ann");
    for name in ["bob", "cid", "bob"] {
        fixture.log.set_block(&ann, &user(name), true).await.unwrap();
    }
    let error = fixture.log.set_block(&ann, &user("dan"), true).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::TooManyBlocked);
    assert!(fixture.log.set_block(&ann, &ann, true).await.is_err());
}

#[tokio::test]
async fn a_revocation_covers_every_token_issued_before_it() {
    let fixture = Fixture::new();
    let ann = user("ann");
    fixture.clock.set(TimestampMs::new(10_500));
    fixture.log.revoke(&ann).await.unwrap();
    let before = fixture.log.revoked_before(&ann).await.unwrap().unwrap();
    assert!(before >= TimestampMs::new(10_000), "a token of this second, whose time is cut to 10,000 ms");
    assert!(before < TimestampMs::new(11_000), "one of the next second is good");
}

#[tokio::test]
async fn the_epoch_is_made_once() {
    let fixture = Fixture::new();
    let first = crate::log::epoch(&fixture.store, 17).await.unwrap();
    assert_eq!(crate::log::epoch(&fixture.store, 99).await.unwrap(), first);
}

#[tokio::test]
async fn no_session_is_written_down_for_a_node_whose_rows_are_cleared() {
    let fixture = Fixture::new();
    let ann = user("ann");
    let (node, number) = (NodeNumber::new(7), SessionNumber::new(1));
    let session = SessionKey { device: device(&ann, 1), number, node };
    let error = fixture.log.register_device(&ann, &session.device, Some(session)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::StoreUnavailable);
}
