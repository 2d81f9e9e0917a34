//! A door to what each message takes inside the server, for measurements: the append, what a lane reads, and the hints
//! between nodes.
//!
//! What a session does with a stream is done here by hand: sends are decoded and hashed as the send lane does it, and
//! entries are read as a log lane reads them. Everything behind that is the server's own, on the store in memory.
//! Absent on purpose: sessions and sockets, and whoever would be told of what was appended.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fulmar_protocol::{
    BodyHash, ClientSeq, Content, ContentType, ConversationId, CreateGroup, DeviceId, DeviceTag, Entry,
    GroupNonce, HistoryPolicy, Message as Text, Ordinal, Seq, TimestampMs, Title, UserId, UserList,
};
use tokio::sync::{Semaphore, oneshot};

use crate::{
    clock::ManualClock,
    config::LimitsConfig,
    fault::Faults,
    limits::UNANSWERED_BYTES_PER_SESSION_MAX,
    log::{
        Conversation, LaneState, Listeners, Log, LogError, Notice, PendingSend, SendOutcome, SendRequest,
        Sender, StoredEntry,
    },
    metrics::Metrics,
    nodes::message::{EntryRun, Hint, HintNews, HintTo, Message},
    rows::Head,
    store::{MemoryDisk, Store, StoreOptions},
};

/// Why a measurement cannot go on, in a sentence.
pub type HotPathError = Box<dyn std::error::Error + Send + Sync>;

/// Nobody is told of anything.
struct Nobody;

impl Listeners for Nobody {
    fn tell(&self, _notice: Notice<'_>) {}
}

/// A conversation that one device sends to. Lives on the runtime that it was made on.
pub struct ConversationPath {
    log: Arc<Log>,
    conversation: Arc<Conversation>,
    sender: Sender,
    peer: Option<UserId>,
    lane: Arc<LaneState>,
    next: ClientSeq,
    unanswered: Arc<Semaphore>,
}

impl ConversationPath {
    /// A direct conversation.
    ///
    /// # Errors
    /// When it cannot be begun.
    pub async fn direct() -> Result<Self, HotPathError> {
        let (user, peer) = (UserId::parse("user-0")?, UserId::parse("user-1")?);
        let id = ConversationId::direct(&user, &peer);
        let mut path = Self::with(id, user, Some(peer));
        path.send(&[text_content("first")]).await?;
        Ok(path)
    }

    /// A group of so many members.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn group(members: usize) -> Result<Self, HotPathError> {
        let user = UserId::parse("user-0")?;
        let others = (1..members).map(|number| UserId::parse(&format!("user-{number}")));
        let nonce = GroupNonce::new([7; 16]);
        let mut path = Self::with(ConversationId::group(&user, &nonce), user, None);
        let create = CreateGroup {
            nonce,
            title: Title::parse("Hot path")?,
            members: UserList::new(others.collect::<Result<_, _>>()?)?,
            history_policy: HistoryPolicy::All,
        };
        path.send(&[Content::CreateGroup(create).encode()]).await?;
        Ok(path)
    }

    fn with(id: ConversationId, user: UserId, peer: Option<UserId>) -> Self {
        let store = Store::memory(&MemoryDisk::new(Duration::ZERO), StoreOptions::default());
        // Stands still: what is measured is no matter of when.
        let clock = ManualClock::new(TimestampMs::new(1_000_000)).clock();
        let limits = Arc::new(LimitsConfig::default());
        let log = Log::new(store, clock, limits, Arc::new(Nobody), Metrics::new(), Faults::default());
        let device = DeviceId::new([1; 16]);
        Self {
            // Held, as it is by a lane.
            conversation: log.conversation(id),
            log,
            sender: Sender { tag: DeviceTag::of(&device), user, device },
            peer,
            lane: Arc::default(),
            next: ClientSeq::new(1),
            unanswered: Arc::new(Semaphore::new(UNANSWERED_BYTES_PER_SESSION_MAX)),
        }
    }

    /// Hands in encoded contents one after the other, and waits until all are accepted: one batch, one transaction.
    ///
    /// # Errors
    /// When one is not accepted.
    pub async fn send(&mut self, contents: &[Bytes]) -> Result<(), HotPathError> {
        let mut answers = Vec::with_capacity(contents.len());
        for content in contents {
            answers.push(self.submit(content.clone()).await?);
        }
        for answer in answers {
            match answer.await?? {
                SendOutcome::Accepted { .. } => {}
                other => return Err(format!("a send was not accepted: {other:?}").into()),
            }
        }
        Ok(())
    }

    async fn submit(
        &mut self,
        content: Bytes,
    ) -> Result<oneshot::Receiver<Result<SendOutcome, LogError>>, HotPathError> {
        let size = u32::try_from(content.len())?;
        let room = Arc::clone(&self.unanswered).acquire_many_owned(size).await?;
        let request = SendRequest {
            sender: self.sender.clone(),
            client_seq: self.next,
            hash: BodyHash::of(&content),
            parsed: Content::decode(&content).map_err(|error| error.code()),
            content,
            peer: self.peer.clone(),
            lane: Arc::clone(&self.lane),
            early: false,
        };
        self.next = self.next.next();
        let (answer, answered) = oneshot::channel();
        self.log.submit(&self.conversation, PendingSend { request, answer, _room: room });
        Ok(answered)
    }

    /// Reads entries as a lane does that stands before `from`; gives how many bytes it would write.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn read(&self, from: Seq, entries: usize) -> Result<usize, HotPathError> {
        let entries = self.log.entries(&self.conversation, from, entries).await?;
        Ok(entries.iter().map(|entry| entry.frame.len()).sum())
    }
}

/// A hint between nodes that carries one message.
#[derive(Clone)]
pub struct NodeHint(Message);

impl NodeHint {
    /// A hint of one message with this content, for two users.
    ///
    /// # Errors
    /// When there is no such hint.
    pub fn new(content: Bytes) -> Result<Self, HotPathError> {
        let (sender, other) = (UserId::parse("user-0")?, UserId::parse("user-1")?);
        let entry = StoredEntry::encode(Entry {
            seq: Seq::new(1_000),
            ordinal: Ordinal::new(1_000),
            at: TimestampMs::new(1_767_225_600_000),
            sender: sender.clone(),
            device_tag: DeviceTag::of(&DeviceId::new([1; 16])),
            client_seq: ClientSeq::new(1_000),
            content,
        });
        let head = Head { seq: entry.seq, ..Head::new() };
        let news = HintNews::Head { head, entries: EntryRun::first_of([&entry]), redacted: false };
        let conversation = ConversationId::direct(&sender, &other);
        Ok(Self(Message::Hint(Hint { conversation, news, to: HintTo::Users(vec![sender, other]) })))
    }

    /// The hint as it goes over a link, its length in front.
    ///
    /// # Errors
    /// When it is too long.
    pub fn encode(self) -> Result<Bytes, HotPathError> {
        self.0.encode().ok_or_else(|| "the hint is too long".into())
    }

    /// Reads what [`encode`](Self::encode) gave.
    ///
    /// # Errors
    /// When it is no hint.
    pub fn decode(mut encoded: Bytes) -> Result<Self, HotPathError> {
        prost::decode_length_delimiter(&mut encoded)?;
        Message::decode(encoded)?.map(Self).ok_or_else(|| "not a message of this version".into())
    }
}

/// The encoded content of a message.
fn text_content(text: &'static str) -> Bytes {
    let body = Bytes::from_static(text.as_bytes());
    let message = Text { content_type: ContentType::plain_text(), body, reply_to: None };
    Content::Message(message).encode()
}
