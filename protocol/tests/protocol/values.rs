//! Arbitrary valid values of every frame, datagram and content.

use std::time::Duration;

use bytes::Bytes;
// A test of the whole export list may name it as a whole.
use fulmar_protocol::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn user() -> impl Strategy<Value = UserId> + Clone {
    "[^\\pC]{1,32}".prop_map(|text| UserId::parse(&text).unwrap())
}

fn conversation() -> impl Strategy<Value = ConversationId> {
    (1_u8..=2, any::<[u8; 15]>()).prop_map(|(kind, rest)| {
        let octets = [&[kind][..], &rest[..]].concat();
        ConversationId::new(octets.try_into().unwrap()).unwrap()
    })
}

/// Small numbers as often as large ones.
fn number() -> impl Strategy<Value = u64> {
    (0_u32..64, any::<u64>()).prop_map(|(bits, number)| number >> bits)
}

fn from_one() -> impl Strategy<Value = u64> {
    number().prop_map(|number| number.max(1))
}

fn seq() -> impl Strategy<Value = Seq> {
    number().prop_map(Seq::new)
}

fn seq_from_one() -> impl Strategy<Value = Seq> {
    from_one().prop_map(Seq::new)
}

fn client_seq() -> impl Strategy<Value = ClientSeq> {
    from_one().prop_map(ClientSeq::new)
}

fn ordinal() -> impl Strategy<Value = Ordinal> {
    number().prop_map(Ordinal::new)
}

fn at() -> impl Strategy<Value = TimestampMs> {
    number().prop_map(TimestampMs::new)
}

fn batch() -> impl Strategy<Value = BatchNumber> {
    from_one().prop_map(BatchNumber::new)
}

fn millis() -> impl Strategy<Value = Duration> {
    any::<u32>().prop_map(|millis| Duration::from_millis(u64::from(millis)))
}

fn server_address() -> impl Strategy<Value = ServerAddress> {
    let host = "[a-z0-9_.-]{1,40}|\\[[0-9a-f]{1,4}::[0-9a-f]{1,4}\\]";
    (host, 1_u16..).prop_map(|(host, port)| ServerAddress::parse(&format!("{host}:{port}")).unwrap())
}

fn wait() -> impl Strategy<Value = Option<Duration>> {
    option::of((1_u64..1 << 40).prop_map(Duration::from_millis))
}

fn error_code() -> impl Strategy<Value = ErrorCode> {
    prop_oneof![proptest::sample::select(ErrorCode::ALL), any::<u32>().prop_map(ErrorCode::from)]
}

fn explanation() -> impl Strategy<Value = Explanation> {
    any::<String>().prop_map(|text| Explanation::new(&text))
}

fn software() -> impl Strategy<Value = SoftwareName> {
    any::<String>().prop_map(|text| SoftwareName::new(&text))
}

fn token() -> impl Strategy<Value = Token> {
    any::<String>().prop_map(Token::new)
}

fn title() -> impl Strategy<Value = Title> {
    "[^\\pC]{0,40}".prop_map(|text| Title::parse(&text).unwrap())
}

fn range() -> impl Strategy<Value = SeqRange> {
    (from_one(), from_one())
        .prop_map(|(one, other)| SeqRange::new(Seq::new(one.min(other))..=Seq::new(one.max(other))).unwrap())
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Member), Just(Role::Admin), Just(Role::Owner)]
}

fn policy() -> impl Strategy<Value = HistoryPolicy> {
    prop_oneof![Just(HistoryPolicy::FromJoining), Just(HistoryPolicy::All)]
}

fn content_bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![vec(any::<u8>(), 0..200), vec(any::<u8>(), 0..20_000)].prop_map(Bytes::from)
}

/// Content that fits into a datagram.
fn short_content() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

/// A conversation with what frames say beside its id.
fn subject() -> impl Strategy<Value = (ConversationId, Option<UserId>, Title)> {
    (conversation(), user(), title()).prop_map(|(id, peer, title)| match id.kind() {
        ConversationKind::Direct => (id, Some(peer), Title::default()),
        ConversationKind::Group => (id, None, title),
    })
}

fn user_marks() -> impl Strategy<Value = Vec<UserMarks>> {
    let marks = (user(), seq(), seq());
    vec(marks.prop_map(|(user, delivered_seq, read_seq)| UserMarks { user, delivered_seq, read_seq }), 0..5)
}

fn extensions() -> impl Strategy<Value = Extensions> {
    number().prop_map(Extensions::from_bits)
}

fn control_of_the_client() -> impl Strategy<Value = Frame> {
    let cursor = (conversation(), seq(), vec(range(), 0..5))
        .prop_map(|(conversation_id, seq, skipped)| CursorUpdate { conversation_id, seq, skipped });
    let read =
        (conversation(), seq_from_one()).prop_map(|(conversation_id, seq)| ReadMark { conversation_id, seq });
    let hello = (token(), any::<[u8; 16]>(), any::<u32>(), software(), extensions(), option::of(user()));
    prop_oneof![
        hello.prop_map(|(token, device, backlog_entries_max, client, extensions, user_id)| {
            Frame::Hello(Hello {
                token,
                device_id: DeviceId::new(device),
                backlog_entries_max,
                client,
                extensions,
                user_id,
            })
        }),
        token().prop_map(|token| Frame::Reauthenticate(Reauthenticate { token })),
        (batch(), vec(cursor, 0..4), vec(read, 0..4))
            .prop_map(|(batch, cursors, reads)| Frame::Confirm(Confirm { batch, cursors, reads })),
        vec(conversation(), 0..5).prop_map(|conversation_ids| Frame::Watch(Watch { conversation_ids })),
        number().prop_map(|nonce| Frame::Ping(Ping { nonce })),
    ]
}

fn control_of_the_server() -> impl Strategy<Value = Frame> {
    let software = (software(), extensions());
    let welcome = (user(), (number(), number()), (at(), at()), any::<[u32; 3]>(), software);
    let problem = (error_code(), explanation(), option::of(conversation()), option::of(batch()), wait());
    prop_oneof![
        welcome.prop_map(
            |(user_id, (session, epoch), (expires_at, server_time), maxima, (server, extensions))| {
                Frame::Welcome(Welcome {
                    user_id,
                    session: SessionNumber::new(session),
                    epoch: Epoch::new(epoch),
                    expires_at,
                    server_time,
                    backlog_entries_max: maxima[0],
                    body_bytes_max: maxima[1],
                    group_members_max: maxima[2],
                    server,
                    extensions,
                })
            }
        ),
        at().prop_map(|expires_at| Frame::Reauthenticated(Reauthenticated { expires_at })),
        batch().prop_map(|batch| Frame::Confirmed(Confirmed { batch })),
        problem.prop_map(|(code, message, conversation_id, batch, retry_after)| {
            Frame::Problem(Problem { code, message, conversation_id, batch, retry_after })
        }),
        (explanation(), millis(), millis(), vec(server_address(), 0..=8)).prop_map(
            |(message, one, other, addresses)| Frame::GoAway(GoAway {
                message,
                retry_after_min: one.min(other),
                retry_after_max: one.max(other),
                addresses,
            })
        ),
        number().prop_map(|nonce| Frame::Pong(Pong { nonce })),
    ]
}

fn send_lane() -> impl Strategy<Value = Frame> {
    let refused = (client_seq(), error_code(), explanation(), wait(), option::of(client_seq()));
    prop_oneof![
        (conversation(), option::of(user()))
            .prop_map(|(conversation_id, peer)| Frame::SendOpen(SendOpen { conversation_id, peer })),
        (client_seq(), content_bytes())
            .prop_map(|(client_seq, content)| Frame::Send(Send { client_seq, content })),
        (client_seq(), seq_from_one(), at()).prop_map(|(client_seq, seq, at)| Frame::Accepted(Accepted {
            client_seq,
            seq,
            at
        })),
        refused.prop_map(|(client_seq, code, message, retry_after, expected_client_seq)| {
            Frame::Refused(Refused { client_seq, code, message, retry_after, expected_client_seq })
        }),
    ]
}

pub(crate) fn entry() -> impl Strategy<Value = Entry> {
    let entry = (seq_from_one(), ordinal(), at(), user(), any::<[u8; 8]>(), client_seq(), content_bytes());
    entry.prop_map(|(seq, ordinal, at, sender, tag, client_seq, content)| Entry {
        seq,
        ordinal,
        at,
        sender,
        device_tag: DeviceTag::new(tag),
        client_seq,
        content,
    })
}

fn log_lane() -> impl Strategy<Value = Frame> {
    let numbers = (seq_from_one(), seq(), ordinal(), seq(), ordinal(), client_seq());
    let open = (subject(), option::of(role()), numbers, user_marks());
    let reason = prop_oneof![Just(HoleReason::Skipped), Just(HoleReason::Hidden), Just(HoleReason::Expired)];
    prop_oneof![
        open.prop_map(|((conversation_id, peer, title), role, numbers, marks)| {
            let (next_seq, head_seq, head_ordinal, read_seq, read_ordinal, next_client_seq) = numbers;
            Frame::LaneOpen(LaneOpen {
                conversation_id,
                peer,
                title,
                role,
                next_seq,
                head_seq,
                head_ordinal,
                read_seq,
                read_ordinal,
                next_client_seq,
                marks,
            })
        }),
        entry().prop_map(Frame::Entry),
        entry().prop_map(|entry| Frame::OwnEntry(entry.as_own())),
        (range(), reason).prop_map(|(range, reason)| Frame::Hole(Hole { range, reason })),
        seq().prop_map(|seq| Frame::CaughtUp(CaughtUp { seq })),
        user_marks().prop_map(|marks| Frame::Marks(Marks { marks })),
        (seq(), ordinal())
            .prop_map(|(read_seq, read_ordinal)| Frame::ReadState(ReadState { read_seq, read_ordinal })),
    ]
}

fn history_and_inbox() -> impl Strategy<Value = Frame> {
    let direction = prop_oneof![Just(Direction::Forward), Just(Direction::Backward)];
    let numbers = (seq(), ordinal(), seq(), ordinal(), at(), seq());
    prop_oneof![
        (conversation(), seq(), direction, any::<u32>()).prop_map(
            |(conversation_id, from_seq, direction, limit)| {
                Frame::HistoryRequest(HistoryRequest { conversation_id, from_seq, direction, limit })
            }
        ),
        (option::of(seq_from_one()), seq())
            .prop_map(|(next_seq, head_seq)| Frame::HistoryEnd(HistoryEnd { next_seq, head_seq })),
        (option::of(conversation()), any::<u32>()).prop_map(|(after_conversation_id, limit)| {
            Frame::InboxRequest(InboxRequest { after_conversation_id, limit })
        }),
        (subject(), numbers, option::of(role())).prop_map(
            |((conversation_id, peer, title), numbers, role)| {
                let (head_seq, head_ordinal, read_seq, read_ordinal, last_at, cursor_seq) = numbers;
                Frame::InboxItem(InboxItem {
                    conversation_id,
                    peer,
                    title,
                    head_seq,
                    head_ordinal,
                    read_seq,
                    read_ordinal,
                    last_at,
                    role,
                    cursor_seq,
                })
            }
        ),
        option::of(conversation())
            .prop_map(|next_conversation_id| Frame::InboxEnd(InboxEnd { next_conversation_id })),
    ]
}

fn roster_and_settings() -> impl Strategy<Value = Frame> {
    let kind = prop_oneof![Just(ConversationKind::Direct), Just(ConversationKind::Group)];
    let member = (user(), role(), seq(), seq()).prop_map(|(user, role, delivered_seq, read_seq)| {
        RosterMember { user, role, delivered_seq, read_seq }
    });
    prop_oneof![
        conversation().prop_map(|conversation_id| Frame::RosterRequest(RosterRequest { conversation_id })),
        (kind, title(), policy(), any::<u32>(), seq()).prop_map(
            |(kind, title, history_policy, members, head_seq)| {
                Frame::Roster(Roster { kind, title, history_policy, members, head_seq })
            }
        ),
        vec(member, 0..6).prop_map(|members| Frame::RosterMembers(RosterMembers { members })),
        (user(), any::<bool>())
            .prop_map(|(user, blocked)| Frame::BlockRequest(BlockRequest { user, blocked })),
        any::<bool>().prop_map(|refuse_new_direct_messages| Frame::SettingsRequest(SettingsRequest {
            refuse_new_direct_messages
        })),
        Just(Frame::Done(Done)),
    ]
}

/// Any frame.
pub(crate) fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        5 => control_of_the_client(),
        6 => control_of_the_server(),
        4 => send_lane(),
        7 => log_lane(),
        5 => history_and_inbox(),
        6 => roster_and_settings(),
    ]
}

/// Any datagram.
pub(crate) fn datagram() -> impl Strategy<Value = Datagram> {
    let generation = || number().prop_map(Generation::new);
    let own = prop_oneof![Just(PresenceState::Online), Just(PresenceState::Away)];
    let state =
        prop_oneof![Just(PresenceState::Online), Just(PresenceState::Away), Just(PresenceState::Offline)];
    prop_oneof![
        (generation(), own)
            .prop_map(|(generation, state)| Datagram::PresenceUpdate(PresenceUpdate { generation, state })),
        (conversation(), generation(), any::<bool>()).prop_map(|(conversation_id, generation, typing)| {
            Datagram::TypingUpdate(TypingUpdate { conversation_id, generation, typing })
        }),
        (user(), generation(), state, option::of(from_one().prop_map(TimestampMs::new)), millis()).prop_map(
            |(user, generation, state, last_seen, ttl)| {
                Datagram::Presence(Presence { user, generation, state, last_seen, ttl })
            }
        ),
        (conversation(), user(), generation(), any::<bool>(), millis()).prop_map(
            |(conversation_id, user, generation, typing, ttl)| {
                Datagram::Typing(Typing { conversation_id, user, generation, typing, ttl })
            }
        ),
        (conversation(), option::of(user()), client_seq(), short_content(), client_seq()).prop_map(
            |(conversation_id, peer, client_seq, content, first_unanswered)| {
                let send = HedgedSend { conversation_id, peer, client_seq, content, first_unanswered };
                Datagram::HedgedSend(send)
            }
        ),
        (conversation(), entry(), short_content()).prop_map(|(conversation_id, entry, content)| {
            Datagram::HedgedEntry(HedgedEntry { conversation_id, entry: Entry { content, ..entry } })
        }),
    ]
}

fn users(at_least: usize) -> impl Strategy<Value = UserList> {
    proptest::collection::btree_set(user(), at_least..6)
        .prop_map(|users| UserList::new(users.into_iter().collect()).unwrap())
}

/// Any content.
pub(crate) fn content() -> impl Strategy<Value = Content> {
    let content_type = "[a-z]{1,9}/[a-z+.-]{1,9}(; ?[a-z]{1,5}=[a-z0-9-]{1,5})?"
        .prop_map(|text| ContentType::parse(&text).unwrap());
    let reaction = "[^\\pC]{1,16}".prop_map(|text| Reaction::parse(&text).unwrap());
    let written = (content_type.clone(), content_bytes(), option::of(seq_from_one()));
    prop_oneof![
        written.prop_map(|(content_type, body, reply_to)| {
            Content::Message(Message { content_type, body, reply_to })
        }),
        (seq_from_one(), content_type, content_bytes()).prop_map(|(target_seq, content_type, body)| {
            Content::Edit(Edit { target_seq, content_type, body })
        }),
        seq_from_one().prop_map(|target_seq| Content::Redact(Redact { target_seq })),
        (seq_from_one(), reaction, any::<bool>()).prop_map(|(target_seq, reaction, removed)| {
            Content::React(React { target_seq, reaction, removed })
        }),
        (any::<[u8; 16]>(), title(), users(0), policy()).prop_map(
            |(nonce, title, members, history_policy)| {
                Content::CreateGroup(CreateGroup {
                    nonce: GroupNonce::new(nonce),
                    title,
                    members,
                    history_policy,
                })
            }
        ),
        title().prop_map(|title| Content::SetTitle(SetTitle { title })),
        users(1).prop_map(|users| Content::AddMembers(AddMembers { users })),
        users(1).prop_map(|users| Content::RemoveMembers(RemoveMembers { users })),
        Just(Content::Leave(Leave)),
        (user(), role()).prop_map(|(user, role)| Content::SetRole(SetRole { user, role })),
        user().prop_map(|user| Content::TransferOwnership(TransferOwnership { user })),
        seq_from_one().prop_map(|by_seq| Content::Redacted(Redacted { by_seq })),
    ]
}
