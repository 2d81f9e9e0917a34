//! The cases of frames.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
// Nearly the whole export list is used.
use fulmar_protocol::*;

use super::bad_frames;
use super::cases::{Case, Head};
use crate::schema::Schema;

pub(super) fn cases(schema: &Schema) -> Vec<Case> {
    let valid = [session(), control(), send_lane(), log_lane(), history_and_inbox(), roster_and_settings()];
    let valid: Vec<(&str, Frame)> = valid.into_iter().flatten().collect();
    for frame_type in FrameType::ALL {
        assert!(
            valid.iter().any(|(_, frame)| frame.frame_type() == *frame_type),
            "no vector of {frame_type}"
        );
    }
    let mut cases: Vec<Case> = valid.iter().map(|(name, frame)| Case::frame(name, frame)).collect();
    cases.extend(valid_in_another_form());
    cases.extend(bad_frames::cases(schema, &valid));
    cases
}

pub(super) fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

pub(super) fn direct() -> ConversationId {
    ConversationId::direct(&user("alice"), &user("bob"))
}

pub(super) fn group() -> ConversationId {
    ConversationId::group(&user("alice"), &GroupNonce::new(*b"0123456789abcdef"))
}

fn range(first: u64, last: u64) -> SeqRange {
    SeqRange::new(Seq::new(first)..=Seq::new(last)).unwrap()
}

fn hello() -> Frame {
    Frame::Hello(Hello {
        token: Token::new("eyJh.eyJz.c2ln"),
        device_id: DeviceId::new([0xd1; 16]),
        backlog_entries_max: 1_000,
        client: SoftwareName::new("fulmar-client/0.1.0"),
        extensions: Extensions::NONE,
        user_id: None,
    })
}

fn hello_of_a_known_user() -> Frame {
    Frame::Hello(Hello {
        token: Token::new("eyJh.eyJz.c2ln"),
        device_id: DeviceId::new([0xd1; 16]),
        backlog_entries_max: 1_000,
        client: SoftwareName::new("fulmar-client/0.1.0"),
        // A bit that nobody knows yet, too.
        extensions: Extensions::from_bits(Extensions::HEDGING.bits() | 1 << 40),
        user_id: Some(user("alice")),
    })
}

fn session() -> Vec<(&'static str, Frame)> {
    vec![
        ("hello", hello()),
        ("hello_of_a_known_user", hello_of_a_known_user()),
        (
            "welcome",
            Frame::Welcome(Welcome {
                user_id: user("alice"),
                session: SessionNumber::new(7),
                epoch: Epoch::new(0x0123_4567_89ab_cdef),
                expires_at: TimestampMs::new(1_800_000_000_000),
                server_time: TimestampMs::new(1_799_999_000_000),
                backlog_entries_max: 1_000,
                body_bytes_max: 65_536,
                group_members_max: 1_000,
                server: SoftwareName::new("fulmar/0.1.0"),
                extensions: Extensions::HEDGING,
            }),
        ),
        ("reauthenticate", Frame::Reauthenticate(Reauthenticate { token: Token::new("eyJh.eyJz.bmV3") })),
        (
            "reauthenticated",
            Frame::Reauthenticated(Reauthenticated { expires_at: TimestampMs::new(1_800_003_600_000) }),
        ),
    ]
}

fn control() -> Vec<(&'static str, Frame)> {
    let cursor = CursorUpdate {
        conversation_id: direct(),
        seq: Seq::new(300),
        skipped: vec![range(1, 20), range(40, 40)],
    };
    let read = ReadMark { conversation_id: group(), seq: Seq::new(17) };
    vec![
        (
            "confirm",
            Frame::Confirm(Confirm { batch: BatchNumber::new(3), cursors: vec![cursor], reads: vec![read] }),
        ),
        (
            "confirm_of_nothing",
            Frame::Confirm(Confirm { batch: BatchNumber::FIRST, cursors: vec![], reads: vec![] }),
        ),
        ("confirmed", Frame::Confirmed(Confirmed { batch: BatchNumber::new(3) })),
        ("watch", Frame::Watch(Watch { conversation_ids: vec![direct(), group()] })),
        ("watch_nothing", Frame::Watch(Watch { conversation_ids: vec![] })),
        ("ping", Frame::Ping(Ping { nonce: 1_234_567 })),
        ("pong", Frame::Pong(Pong { nonce: 1_234_567 })),
        (
            "problem",
            Frame::Problem(Problem {
                code: ErrorCode::CursorBeyondSent,
                message: Explanation::new("the cursor 300 lies past 250, the last entry sent"),
                conversation_id: Some(direct()),
                batch: Some(BatchNumber::new(3)),
                retry_after: None,
            }),
        ),
        (
            "problem_of_a_later_edition",
            Frame::Problem(Problem {
                code: ErrorCode::Unknown(0x7fff),
                message: Explanation::default(),
                conversation_id: None,
                batch: None,
                retry_after: Some(Duration::from_millis(1_500)),
            }),
        ),
        (
            "go_away",
            Frame::GoAway(GoAway {
                message: Explanation::new("the server is stopping"),
                retry_after_min: Duration::from_millis(500),
                retry_after_max: Duration::from_secs(10),
                addresses: Vec::new(),
            }),
        ),
        (
            "go_away_elsewhere",
            Frame::GoAway(GoAway {
                message: Explanation::default(),
                retry_after_min: Duration::from_millis(200),
                retry_after_max: Duration::from_secs(5),
                addresses: ["two.example.org:4433", "203.0.113.3:4433", "[2001:db8::4]:4433"]
                    .map(|address| ServerAddress::parse(address).unwrap())
                    .to_vec(),
            }),
        ),
    ]
}

fn send_lane() -> Vec<(&'static str, Frame)> {
    let content = Content::Message(Message {
        content_type: ContentType::plain_text(),
        body: Bytes::from_static(b"hello"),
        reply_to: None,
    });
    let refused = Refused {
        client_seq: ClientSeq::new(9),
        code: ErrorCode::RateLimited,
        message: Explanation::new("more than 20 sends in a second"),
        retry_after: Some(Duration::from_millis(250)),
        expected_client_seq: None,
    };
    vec![
        (
            "send_open_direct",
            Frame::SendOpen(SendOpen { conversation_id: direct(), peer: Some(user("bob")) }),
        ),
        ("send_open_group", Frame::SendOpen(SendOpen { conversation_id: group(), peer: None })),
        ("send", Frame::Send(Send { client_seq: ClientSeq::FIRST, content: content.encode() })),
        (
            "accepted",
            Frame::Accepted(Accepted {
                client_seq: ClientSeq::FIRST,
                seq: Seq::new(42),
                at: TimestampMs::new(1_799_999_000_123),
            }),
        ),
        ("refused", Frame::Refused(refused.clone())),
        (
            "refused_ahead",
            Frame::Refused(Refused {
                code: ErrorCode::ClientSeqAhead,
                message: Explanation::default(),
                retry_after: None,
                expected_client_seq: Some(ClientSeq::new(4)),
                ..refused
            }),
        ),
    ]
}

fn log_lane() -> Vec<(&'static str, Frame)> {
    let marks = vec![UserMarks { user: user("bob"), delivered_seq: Seq::new(41), read_seq: Seq::new(40) }];
    let open = LaneOpen {
        conversation_id: direct(),
        peer: Some(user("bob")),
        title: Title::default(),
        role: Some(Role::Member),
        next_seq: Seq::new(41),
        head_seq: Seq::new(42),
        head_ordinal: Ordinal::new(39),
        read_seq: Seq::new(40),
        read_ordinal: Ordinal::new(38),
        next_client_seq: ClientSeq::new(12),
        marks: marks.clone(),
    };
    let of_a_group = LaneOpen {
        conversation_id: group(),
        peer: None,
        title: Title::parse("Vogelwarte 🐦").unwrap(),
        role: None,
        marks: vec![],
        ..open.clone()
    };
    let entry = Entry {
        seq: Seq::new(42),
        ordinal: Ordinal::new(39),
        at: TimestampMs::new(1_799_999_000_123),
        sender: user("bob"),
        device_tag: DeviceTag::of(&DeviceId::new([0xd1; 16])),
        client_seq: ClientSeq::new(5),
        content: Content::Redact(Redact { target_seq: Seq::new(30) }).encode(),
    };
    vec![
        ("lane_open_direct", Frame::LaneOpen(open)),
        ("lane_open_group_left", Frame::LaneOpen(of_a_group)),
        ("own_entry", Frame::OwnEntry(entry.as_own())),
        ("entry", Frame::Entry(entry)),
        ("hole_skipped", Frame::Hole(Hole { range: range(1, 1_000), reason: HoleReason::Skipped })),
        ("hole_hidden", Frame::Hole(Hole { range: range(5, 5), reason: HoleReason::Hidden })),
        ("hole_expired", Frame::Hole(Hole { range: range(1, 2), reason: HoleReason::Expired })),
        ("caught_up", Frame::CaughtUp(CaughtUp { seq: Seq::new(42) })),
        ("caught_up_with_an_empty_log", Frame::CaughtUp(CaughtUp { seq: Seq::ZERO })),
        ("marks", Frame::Marks(Marks { marks })),
        (
            "read_state",
            Frame::ReadState(ReadState { read_seq: Seq::new(42), read_ordinal: Ordinal::new(39) }),
        ),
    ]
}

fn history_and_inbox() -> Vec<(&'static str, Frame)> {
    let request = HistoryRequest {
        conversation_id: group(),
        from_seq: Seq::ZERO,
        direction: Direction::Backward,
        limit: 256,
    };
    let item = InboxItem {
        conversation_id: group(),
        peer: None,
        title: Title::parse("birds").unwrap(),
        head_seq: Seq::new(42),
        head_ordinal: Ordinal::new(39),
        read_seq: Seq::new(40),
        read_ordinal: Ordinal::new(38),
        last_at: TimestampMs::new(1_799_999_000_123),
        role: Some(Role::Owner),
        cursor_seq: Seq::new(41),
    };
    vec![
        ("history_request_from_the_head", Frame::HistoryRequest(request)),
        (
            "history_request_forward",
            Frame::HistoryRequest(HistoryRequest {
                from_seq: Seq::new(21),
                direction: Direction::Forward,
                limit: 1,
                ..request
            }),
        ),
        (
            "history_end",
            Frame::HistoryEnd(HistoryEnd { next_seq: Some(Seq::new(20)), head_seq: Seq::new(42) }),
        ),
        ("history_end_of_all", Frame::HistoryEnd(HistoryEnd { next_seq: None, head_seq: Seq::new(42) })),
        ("inbox_request", Frame::InboxRequest(InboxRequest { after_conversation_id: None, limit: 100 })),
        (
            "inbox_request_next_page",
            Frame::InboxRequest(InboxRequest { after_conversation_id: Some(direct()), limit: 100 }),
        ),
        ("inbox_item", Frame::InboxItem(item)),
        ("inbox_end", Frame::InboxEnd(InboxEnd { next_conversation_id: Some(group()) })),
        ("inbox_end_of_all", Frame::InboxEnd(InboxEnd { next_conversation_id: None })),
    ]
}

fn roster_and_settings() -> Vec<(&'static str, Frame)> {
    let member = |id: &str, role| RosterMember {
        user: user(id),
        role,
        delivered_seq: Seq::new(42),
        read_seq: Seq::new(40),
    };
    vec![
        ("roster_request", Frame::RosterRequest(RosterRequest { conversation_id: group() })),
        (
            "roster",
            Frame::Roster(Roster {
                kind: ConversationKind::Group,
                title: Title::parse("birds").unwrap(),
                history_policy: HistoryPolicy::All,
                members: 2,
                head_seq: Seq::new(42),
            }),
        ),
        (
            "roster_members",
            Frame::RosterMembers(RosterMembers {
                members: vec![member("alice", Role::Owner), member("bob", Role::Admin)],
            }),
        ),
        ("block_request", Frame::BlockRequest(BlockRequest { user: user("mallory"), blocked: true })),
        ("unblock_request", Frame::BlockRequest(BlockRequest { user: user("mallory"), blocked: false })),
        ("settings_request", Frame::SettingsRequest(SettingsRequest { refuse_new_direct_messages: true })),
        ("done", Frame::Done(Done)),
    ]
}

fn valid_in_another_form() -> Vec<Case> {
    let whole = Head::TypeAndLength;
    let mut grease = BytesMut::new();
    encode_grease_frame(3, b"ignore me", &mut grease);
    vec![
        Case::of("ping_with_long_varints", vec![0x40, 0x05, 0x80, 0, 0, 2, 0x08, 0x01], whole)
            .because("type and length may be written in any of the four lengths")
            .not_canonical(),
        Case::of("ping_with_an_unknown_field", vec![0x05, 5, 0x08, 0x01, 0x98, 0x06, 0x07], whole)
            .because("a field of a later edition is ignored")
            .not_canonical(),
        Case::of("ignorable_frame", grease.to_vec(), whole)
            .ignored("a type from 0x1000 on that the receiver does not know"),
    ]
}
