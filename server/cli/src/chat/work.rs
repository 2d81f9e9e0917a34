//! Does what the chat's state asks for, and tells it what came of it.
//!
//! What must keep its order (sends, typing, presence, what is watched) goes through one queue and one task;
//! what asks the server something is a task of its own. All of them end when the worker is dropped. When too
//! much is asked at once it is not done, and that is told.

use fulmar_client::{
    Accepted, Client, ClientError, Conversation, ConversationId, HistoryPolicy, HistoryQuery, Seq, UserId,
};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::update::{self, Action, DraftNumber, Update};
use crate::failure::Failure;

/// Things in order that wait to be done.
const QUEUE_MAX: usize = 256;
/// Requests at a time.
const TASKS_MAX: usize = 64;
/// Updates that the state has not taken yet. The worker waits then.
const UPDATES_MAX: usize = 256;
/// Entries of one page.
const PAGE_ENTRIES: u32 = 100;

/// Does what is asked for.
pub(super) struct Worker {
    client: Client,
    updates: mpsc::Sender<Update>,
    queue: mpsc::Sender<Action>,
    tasks: JoinSet<()>,
}

impl Worker {
    /// Starts, and gives what will be told.
    pub(super) fn start(client: Client) -> (Self, mpsc::Receiver<Update>) {
        let (updates, told) = mpsc::channel(UPDATES_MAX);
        let (queue, queued) = mpsc::channel(QUEUE_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(in_order(client.clone(), queued, updates.clone()));
        (Self { client, updates, queue, tasks }, told)
    }

    /// Has something done. Answers with what is to be told at once.
    pub(super) fn perform(&mut self, action: Action) -> Option<Update> {
        while self.tasks.try_join_next().is_some() {}
        match action {
            Action::Quit => None,
            Action::Send { .. } | Action::Watch(_) | Action::Typing { .. } | Action::Presence(_) => {
                self.queue.try_send(action).err().map(|refused| not_done(&refused.into_inner()))
            }
            Action::MarkRead { conversation, seq } => {
                // The client keeps it, and tells the server as soon as it can.
                drop(self.client.conversation(conversation).mark_read(seq));
                None
            }
            action if self.tasks.len() > TASKS_MAX => Some(not_done(&action)),
            action => {
                let (client, updates) = (self.client.clone(), self.updates.clone());
                self.tasks.spawn(async move {
                    if let Some(update) = request(&client, action).await {
                        // The state has gone: nobody is to be told.
                        let _ = updates.send(update).await;
                    }
                });
                None
            }
        }
    }
}

fn not_done(action: &Action) -> Update {
    let reason = "too much at once: try again in a moment".to_owned();
    match action {
        Action::Send { draft, .. } => Update::Refused { draft: *draft, reason },
        Action::LoadPage { conversation, .. } => Update::PageFailed { conversation: *conversation, reason },
        _ => Update::Notice(reason),
    }
}

/// The task that keeps the order.
async fn in_order(client: Client, mut queued: mpsc::Receiver<Action>, updates: mpsc::Sender<Update>) {
    let mut sendings = FuturesUnordered::new();
    loop {
        let update = tokio::select! {
            Some((draft, outcome)) = sendings.next() => Some(answer(draft, outcome)),
            action = queued.recv() => match action {
                None => return,
                Some(Action::Send { draft, conversation, peer, content }) => {
                    match handle(&client, conversation, peer.as_ref()).enqueue(content).await {
                        Ok(sending) => {
                            let number = sending.client_seq();
                            sendings.push(async move { (draft, sending.await) });
                            Some(Update::Queued { draft, number })
                        }
                        Err(error) => Some(answer(draft, Err(error))),
                    }
                }
                Some(action) => command(&client, action).await.err().map(told),
            },
        };
        if let Some(update) = update
            && updates.send(update).await.is_err()
        {
            return;
        }
    }
}

async fn command(client: &Client, action: Action) -> Result<(), ClientError> {
    match action {
        Action::Watch(conversations) => client.watch(&conversations).await,
        Action::Typing { conversation, is_typing } => {
            client.conversation(conversation).typing(is_typing).await
        }
        Action::Presence(state) => client.set_presence(state).await,
        _ => Ok(()),
    }
}

fn answer(draft: DraftNumber, outcome: Result<Accepted, ClientError>) -> Update {
    match outcome {
        Ok(accepted) => Update::Accepted { draft, seq: accepted.seq, at: accepted.at },
        Err(error) => Update::Refused { draft, reason: Failure::from(error).to_string() },
    }
}

fn told(error: ClientError) -> Update {
    Update::Notice(Failure::from(error).to_string())
}

/// The handle to send with: the first message of a direct conversation needs the other user.
fn handle(client: &Client, conversation: ConversationId, peer: Option<&UserId>) -> Conversation {
    let direct = peer.and_then(|peer| client.direct(peer).ok()).filter(|direct| direct.id() == conversation);
    direct.unwrap_or_else(|| client.conversation(conversation))
}

/// Asks the server.
async fn request(client: &Client, action: Action) -> Option<Update> {
    let outcome = match action {
        Action::LoadInbox => client
            .inbox()
            .await
            .map(|items| Some(Update::Inbox(items.into_iter().map(update::of_inbox).collect()))),
        Action::LoadPage { conversation, before } => Ok(Some(page(client, conversation, before).await)),
        Action::LoadRoster(id) => client
            .conversation(id)
            .roster()
            .await
            .map(|roster| Some(Update::Roster { conversation: id, members: update::of_roster(roster) })),
        Action::Create { title, users } => {
            Box::pin(client.create_group(title, &users, HistoryPolicy::FromJoining))
                .await
                .map(|(conversation, _)| Some(Update::Created { conversation: conversation.id() }))
        }
        Action::Block { user, blocked } => client.block(&user, blocked).await.map(|()| {
            let verb = if blocked { "blocked" } else { "no longer blocked" };
            Some(Update::Notice(format!("{user} is {verb}")))
        }),
        _ => Ok(None),
    };
    outcome.unwrap_or_else(|error| Some(told(error)))
}

async fn page(client: &Client, id: ConversationId, before: Option<Seq>) -> Update {
    let query = before.map_or_else(HistoryQuery::newest, HistoryQuery::backward).limit(PAGE_ENTRIES);
    let page = client.conversation(id).history(query).await;
    match page {
        Ok(page) => {
            let update = Update::Page { conversation: id, page: update::of_page(&page) };
            // What of it was skipped is here now.
            page.confirm().await.map_or_else(told, |()| update)
        }
        Err(error) => Update::PageFailed { conversation: id, reason: Failure::from(error).to_string() },
    }
}
