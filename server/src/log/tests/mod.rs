//! The log over a real store in a temporary folder: promises of the domain, without sessions.

mod costs;
mod faults;
mod groups;
mod history;
mod marks;
mod messages;
mod users;

use std::sync::Arc;

use bytes::Bytes;
use fulmar_protocol::{
    AddMembers, BodyHash, ClientSeq, Content, ContentType, ConversationId, CreateGroup, DeviceId, DeviceTag,
    ErrorCode, GroupNonce, HistoryPolicy, Message, Seq, TimestampMs, Title, UserId, UserList,
};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use super::{LaneState, Listeners, Log, Missed, News, Notice, PendingSend, SendOutcome, SendRequest, Sender};
use crate::{
    clock::ManualClock,
    config::LimitsConfig,
    fault::{Faults, ServerFault},
    metrics::Metrics,
    store::{Store, StoreOptions},
};

/// What listeners were told.
#[derive(Default)]
struct Heard(Mutex<Vec<(UserId, ConversationId, News)>>);

impl Listeners for Heard {
    fn tell(&self, notice: Notice<'_>) {
        let told = notice.users.into_iter().map(|user| (user.clone(), notice.conversation, notice.news));
        self.0.lock().extend(told);
    }
}

/// A log of its own, with hands on its clock.
struct Fixture {
    log: Arc<Log>,
    store: Store,
    clock: ManualClock,
    heard: Arc<Heard>,
    _folder: tempfile::TempDir,
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn device(user: &UserId, number: u8) -> DeviceId {
    let mut octets = [number; 16];
    for (octet, byte) in octets.iter_mut().zip(user.as_str().bytes()) {
        *octet ^= byte;
    }
    DeviceId::new(octets)
}

fn text(text: &str) -> Content {
    Content::Message(Message {
        content_type: ContentType::plain_text(),
        body: Bytes::copy_from_slice(text.as_bytes()),
        reply_to: None,
    })
}

fn users(names: &[&str]) -> UserList {
    UserList::new(names.iter().map(|name| user(name)).collect()).unwrap()
}

fn add(names: &[&str]) -> Content {
    Content::AddMembers(AddMembers { users: users(names) })
}

impl Fixture {
    fn new() -> Self {
        Self::with_limits(LimitsConfig::default())
    }

    fn with_limits(limits: LimitsConfig) -> Self {
        Self::with(limits, None)
    }

    fn with_fault(fault: ServerFault) -> Self {
        Self::with(LimitsConfig::default(), Some(fault))
    }

    fn with(limits: LimitsConfig, fault: Option<ServerFault>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("store"), StoreOptions::default()).unwrap();
        Self::on(store, folder, limits, fault)
    }

    fn on(store: Store, folder: tempfile::TempDir, limits: LimitsConfig, fault: Option<ServerFault>) -> Self {
        let clock = ManualClock::new(TimestampMs::new(1_000_000));
        let heard = Arc::new(Heard::default());
        let listeners = Arc::clone(&heard) as Arc<dyn Listeners>;
        let (limits, faults) = (Arc::new(limits), Faults::new(fault));
        let log = Log::new(store.clone(), clock.clock(), limits, listeners, Metrics::new(), faults);
        Self { log, store, clock, heard, _folder: folder }
    }

    /// Sends with a given number, from the user's first device.
    async fn send_as(
        &self,
        sender: &str,
        id: ConversationId,
        client_seq: u64,
        content: &Content,
        peer: Option<&str>,
    ) -> SendOutcome {
        self.submit(sender, 1, id, client_seq, content.encode(), peer).await.await.unwrap().unwrap()
    }

    async fn submit(
        &self,
        sender: &str,
        device_number: u8,
        id: ConversationId,
        client_seq: u64,
        content: Bytes,
        peer: Option<&str>,
    ) -> oneshot::Receiver<Result<SendOutcome, super::LogError>> {
        self.submit_on(&Arc::default(), sender, device_number, id, client_seq, content, peer).await
    }

    #[expect(clippy::too_many_arguments, reason = "each names one field of the request")]
    async fn submit_on(
        &self,
        lane: &Arc<LaneState>,
        sender: &str,
        device_number: u8,
        id: ConversationId,
        client_seq: u64,
        content: Bytes,
        peer: Option<&str>,
    ) -> oneshot::Receiver<Result<SendOutcome, super::LogError>> {
        let sender = user(sender);
        let device = device(&sender, device_number);
        let room = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let (answer, answered) = oneshot::channel();
        let request = SendRequest {
            early: false,
            sender: Sender { tag: DeviceTag::of(&device), user: sender, device },
            client_seq: ClientSeq::new(client_seq),
            hash: BodyHash::of(&content),
            parsed: Content::decode(&content).map_err(|error| error.code()),
            content,
            peer: peer.map(user),
            lane: Arc::clone(lane),
        };
        self.log.submit(&self.log.conversation(id), PendingSend { request, answer, _room: room });
        answered
    }

    /// Sends with the number that comes next, and gives the seq.
    async fn send(&self, sender: &str, id: ConversationId, content: &Content) -> Result<Seq, ErrorCode> {
        let user = user(sender);
        let start = self.log.lane_start(&user, &device(&user, 1), id).await.unwrap();
        let next = start.map_or(1, |start| start.next_client_seq.get());
        match self.send_as(sender, id, next, content, None).await {
            SendOutcome::Accepted { seq, .. } => Ok(seq),
            SendOutcome::Refused { code, .. } => Err(code),
            SendOutcome::Deferred => panic!("it was not early"),
        }
    }

    /// A group of ann (its owner) and others.
    async fn group(&self, members: &[&str], history_policy: HistoryPolicy) -> ConversationId {
        let nonce = GroupNonce::new([7; 16]);
        let id = ConversationId::group(&user("ann"), &nonce);
        let title = Title::parse("Birds").unwrap();
        let create = CreateGroup { nonce, title, members: users(members), history_policy };
        let outcome = self.send_as("ann", id, 1, &Content::CreateGroup(create), None).await;
        assert!(matches!(outcome, SendOutcome::Accepted { .. }), "{outcome:?}");
        id
    }

    /// A direct conversation of ann and bob with `messages` from ann.
    async fn direct(&self, messages: u64) -> ConversationId {
        let id = ConversationId::direct(&user("ann"), &user("bob"));
        for number in 1..=messages {
            let outcome = self.send_as("ann", id, number, &text(&format!("{number}")), Some("bob")).await;
            assert!(matches!(outcome, SendOutcome::Accepted { .. }), "{outcome:?}");
        }
        id
    }

    /// What a user reads of the whole log, forwards: seqs, and holes as negative ranges.
    async fn readable(&self, name: &str, id: ConversationId) -> Vec<String> {
        let user = user(name);
        let mut from = Some(Seq::FIRST);
        let mut read = Vec::new();
        while let Some(next) = from {
            let forward = fulmar_protocol::Direction::Forward;
            let Ok(page) = self.log.history(&user, id, Some(next), forward, 3).await else {
                return vec!["refused".into()];
            };
            read.extend(page.items.iter().map(|item| match item {
                super::HistoryItem::Entry(entry) => entry.seq.to_string(),
                super::HistoryItem::Hole(hole) => format!("-{}", hole.range),
            }));
            from = page.next;
        }
        read
    }
}
