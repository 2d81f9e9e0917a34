//! One device of the demonstration: a real client, and a record of everything that it is told.
//!
//! A device has a runtime of its own, so that it can be killed as an app is: all at once, in the middle of
//! whatever it does, without a goodbye. Its state folder is what is left of it.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use fulmar_client::{
    Client, ClientError, Content, Conversation, ConversationId, Event, Events, HistoryItem, HistoryPage,
    HoleReason, PresenceState, Seq, State, UserId,
};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::device_log::DeviceLog;
use crate::failure::Failure;

/// How long anything that must happen may take. Then it has not happened, and an invariant is broken.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How long a killed device's state may take to be free again.
const STATE_FREE: Duration = Duration::from_secs(5);
const STATE_LOOK: Duration = Duration::from_millis(10);

/// Who a device is, and what it needs to connect.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) label: &'static str,
    pub(super) token: String,
    pub(super) state: PathBuf,
    pub(super) authority: PathBuf,
    pub(super) server: SocketAddr,
}

/// What a device was told so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) log: DeviceLog,
    pub(super) arrivals: HashMap<Bytes, Instant>,
    pub(super) unread: HashMap<ConversationId, u64>,
    /// Delivered and read.
    pub(super) marks: HashMap<(ConversationId, UserId), (Seq, Seq)>,
    pub(super) presence: HashMap<UserId, PresenceState>,
    pub(super) typing: HashSet<(ConversationId, UserId)>,
    /// How often a session was opened.
    pub(super) sessions: u32,
    /// Why there will be no further session, or a range could not be fetched.
    pub(super) trouble: Option<String>,
}

/// A device, running or not.
pub(super) struct Device {
    pub(super) identity: Identity,
    seen: watch::Sender<Seen>,
    running: Option<Running>,
}

struct Running {
    client: Client,
    recorder: JoinHandle<()>,
    runtime: Runtime,
}

impl Device {
    pub(super) fn new(identity: Identity) -> Self {
        Self { identity, seen: watch::Sender::new(Seen::default()), running: None }
    }

    /// Starts the app, and waits for its session.
    pub(super) async fn start(&mut self) -> Result<(), Failure> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(|error| {
                Failure::failed(format!("cannot start a thread: {error}; end some processes"))
            })?;
        let builder = Client::builder()
            .server(self.identity.server.to_string())
            .trust_ca_file(&self.identity.authority)
            .token(&self.identity.token)
            .state(self.state().await?)
            .client_name("fulmar-demo/1");
        let connected = runtime.spawn(Box::pin(builder.connect())).await;
        let (client, events) = match connected {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => {
                runtime.shutdown_background();
                return Err(error.into());
            }
            Err(error) => {
                runtime.shutdown_background();
                return Err(Failure::failed(format!("{} did not start: {error}", self.identity.label)));
            }
        };
        self.seen.send_modify(|seen| seen.trouble = None);
        let recorder = runtime.spawn(record(client.clone(), events, self.seen.clone()));
        self.running = Some(Running { client, recorder, runtime });
        Ok(())
    }

    /// The state folder, as soon as it is free.
    async fn state(&self) -> Result<State, Failure> {
        let until = Instant::now() + STATE_FREE;
        loop {
            match State::directory(&self.identity.state) {
                Err(ClientError::StateInUse { .. }) if Instant::now() < until => {
                    tokio::time::sleep(STATE_LOOK).await;
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    /// The app says goodbye.
    pub(super) async fn stop(&mut self) {
        if let Some(Running { client, recorder, runtime }) = self.running.take() {
            client.close().await;
            drop(client);
            // The recorder ends with the last event; what it learns of the end is of no interest.
            let _ = tokio::time::timeout(STATE_FREE, recorder).await;
            runtime.shutdown_background();
        }
    }

    /// The app is gone, between one instruction and the next.
    pub(super) async fn kill(&mut self) {
        if let Some(Running { client, recorder, runtime }) = self.running.take() {
            runtime.shutdown_background();
            drop(client);
            // What it wrote down in its last moment belongs before the restart.
            let _ = tokio::time::timeout(STATE_FREE, recorder).await;
            self.seen.send_modify(|seen| seen.log.restarted());
        }
    }

    pub(super) fn client(&self) -> Result<&Client, Failure> {
        let running = self.running.as_ref();
        Ok(&running.ok_or_else(|| Failure::failed(format!("{} does not run", self.identity.label)))?.client)
    }

    pub(super) fn direct(&self, peer: &UserId) -> Result<Conversation, Failure> {
        Ok(self.client()?.direct(peer)?)
    }

    pub(super) fn conversation(&self, id: ConversationId) -> Result<Conversation, Failure> {
        Ok(self.client()?.conversation(id))
    }

    /// Looks at what was seen.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.borrow())
    }

    /// Waits until what was seen is as it must be. `what` says what that is.
    pub(super) async fn until(&self, what: &str, is_so: impl Fn(&Seen) -> bool) -> Result<(), Failure> {
        let mut changes = self.seen.subscribe();
        let reached =
            tokio::time::timeout(PATIENCE, changes.wait_for(|seen| seen.trouble.is_some() || is_so(seen)));
        let (label, is_in_time) = (self.identity.label, reached.await.is_ok());
        let trouble = self.look(|seen| seen.trouble.clone());
        match trouble {
            Some(trouble) => Err(Failure::failed(format!("{label}: {what}: did not happen: {trouble}"))),
            None if is_in_time => Ok(()),
            None => Err(Failure::failed(format!(
                "{label}: {what}: did not happen within {} s",
                PATIENCE.as_secs()
            ))),
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if let Some(Running { runtime, .. }) = self.running.take() {
            runtime.shutdown_background();
        }
    }
}

/// Writes down what the client tells, and confirms each entry when it is written down.
async fn record(client: Client, mut events: Events, seen: watch::Sender<Seen>) {
    while let Some(event) = events.next().await {
        match event {
            Event::Entry(entry) => {
                let body = body_of(entry.content.as_ref());
                seen.send_modify(|seen| {
                    if let Some(body) = &body {
                        seen.arrivals.entry(body.clone()).or_insert_with(Instant::now);
                    }
                    seen.unread.insert(entry.conversation, entry.unread_after);
                    seen.log.entry(entry.conversation, entry.seq, body);
                });
                entry.confirm();
            }
            Event::Skipped { conversation, first, last, reason: HoleReason::Skipped } => {
                seen.send_modify(|seen| seen.log.named(conversation, last));
                if let Err(error) = fetch(&client, conversation, first, last, &seen).await {
                    seen.send_modify(|seen| seen.trouble = Some(error.to_string()));
                }
            }
            Event::Status(status) => seen.send_modify(|seen| match status {
                fulmar_client::Status::Online => seen.sessions += 1,
                fulmar_client::Status::Ended { reason, .. } => seen.trouble = Some(reason),
                _ => {}
            }),
            event => seen.send_modify(|seen| note(seen, event)),
        }
    }
}

/// Writes down what is no entry.
fn note(seen: &mut Seen, event: Event) {
    match event {
        Event::Conversation(state) => {
            seen.unread.insert(state.id, state.unread);
        }
        Event::Unread { conversation, unread, .. } => {
            seen.unread.insert(conversation, unread);
        }
        Event::Marks { conversation, user, delivered, read } => {
            seen.marks.insert((conversation, user), (delivered, read));
        }
        Event::Presence { user, state, .. } => {
            seen.presence.insert(user, state);
        }
        Event::Typing { conversation, user, typing: true } => {
            seen.typing.insert((conversation, user));
        }
        Event::Typing { conversation, user, typing: false } => {
            seen.typing.remove(&(conversation, user));
        }
        Event::SendFailed { client_seq, code, .. } => {
            seen.trouble = Some(format!("send {client_seq} was refused: {code}"));
        }
        _ => {}
    }
}

/// Fetches a range that was skipped.
async fn fetch(
    client: &Client,
    conversation: ConversationId,
    first: Seq,
    last: Seq,
    seen: &watch::Sender<Seen>,
) -> Result<(), ClientError> {
    let mut from = first;
    while from <= last {
        let page: HistoryPage = client.conversation(conversation).fetch_skipped(from, last).await?;
        seen.send_modify(|seen| {
            for item in &page.items {
                if let HistoryItem::Entry(entry) = item {
                    let body = body_of(entry.content.as_ref());
                    seen.log.fetched(conversation, entry.seq, body);
                }
            }
        });
        page.confirm().await?;
        match page.next {
            Some(next) if next > from => from = next,
            _ => break,
        }
    }
    Ok(())
}

fn body_of(content: Option<&Content>) -> Option<Bytes> {
    match content {
        Some(Content::Message(message)) => Some(message.body.clone()),
        _ => None,
    }
}
