//! Telling the other nodes what happened here.
//!
//! The append commits first; then it is looked up who is connected where, in a state of the store that is not
//! older. A session registers before it reads. So either the look-up finds the session, or the session's read
//! finds the entry.
//!
//! Everything told is a hint. What is lost, because a queue was full or there was no link, is made up for: the node
//! that knows of the loss tells the other to look (`HintsLost`), and each session looks by itself every few minutes.

use std::{collections::BTreeMap, sync::Arc};

use fulmar_protocol::{ConversationId, ErrorCode, PresenceState, Seq, TimestampMs, UserId};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    Node, NodeNumber,
    message::{EndToken, EntryRun, Hint, HintNews, HintTo, Message},
};
use crate::{
    fanout::Neighbours,
    limits::{HINT_USERS_MAX, LOOKUP_USERS_AT_ONCE, NODES_MAX, SESSIONS_PER_LOOKUP_MAX},
    log::{Appended, Listeners, LogError, News, Notice},
    rows::{Head, Key, SessionKey, node_at_end},
    store::Snapshot,
};

impl Listeners for Node {
    fn tell(&self, notice: Notice<'_>) {
        let conversation = notice.conversation;
        let news = match (notice.news, notice.appended) {
            (News::Head, Some(appended)) => head(appended),
            _ => HintNews::Marks,
        };
        let users: Vec<UserId> = notice.users.iter().map(|user| (*user).clone()).collect();
        let to_interested = notice.to_interested;
        self.hub.tell(notice);
        // A node that is not known yet is told to look when it is.
        if self.links.is_alone() {
            return;
        }
        let Ok(permit) = Arc::clone(&self.lookups).try_acquire_owned() else {
            self.metrics.lookups_dropped.increment(1);
            self.owe_all();
            return;
        };
        self.spawn(async move |node| {
            if let Err(error) = node.tell_others(conversation, news, users, to_interested).await {
                tracing::warn!(%conversation, %error, "the others were not told");
                node.owe_all();
            }
            drop(permit);
        });
    }

    fn bars_appends(&self) -> Option<&'static str> {
        match self.number() {
            None => Some("this node has no lease"),
            Some(_) if self.clock_is_wrong() => Some("this node's clock is wrong"),
            Some(_) => None,
        }
    }
}

/// Of a seq that was never appended, and of a conversation that is not there.
fn forged(conversation: ConversationId, users: &[UserId]) -> impl Iterator<Item = Hint> {
    let nowhere = users.first().map(|user| ConversationId::direct(user, user));
    let head = Head { seq: Seq::new(1_000_000), roster_version: 1_000, ..Head::new() };
    let users = users.to_vec();
    [Some(conversation), nowhere].into_iter().flatten().map(move |conversation| {
        let news = HintNews::Head { head: head.clone(), entries: EntryRun::default(), redacted: false };
        Hint { conversation, news, to: HintTo::Users(users.clone()) }
    })
}

fn head(appended: &Appended) -> HintNews {
    HintNews::Head {
        head: appended.head.clone(),
        entries: EntryRun::first_of(&appended.entries),
        redacted: !appended.redacted.is_empty(),
    }
}

impl Node {
    async fn tell_others(
        &self,
        conversation: ConversationId,
        news: HintNews,
        users: Vec<UserId>,
        to_interested: bool,
    ) -> Result<(), LogError> {
        // With the commit in it, so it sees every session that did not see the entry.
        let snapshot = self.store.snapshot_of_commits();
        let hosts = self.hosts(&snapshot, users).await?;
        for (node, users) in hosts {
            if self.faults.forges_hints() {
                for hint in forged(conversation, &users) {
                    self.send(node, Message::Hint(hint));
                }
            }
            for users in users.chunks(HINT_USERS_MAX) {
                let to = HintTo::Users(users.to_vec());
                self.send(node, Message::Hint(Hint { conversation, news: news.clone(), to }));
            }
        }
        if to_interested {
            for (key, _) in snapshot.range(Key::interests(&conversation), NODES_MAX, false).await? {
                let Some(node) = node_at_end(&key).filter(|node| self.number() != Some(*node)) else {
                    continue;
                };
                let to = HintTo::AllInterested;
                self.send(node, Message::Hint(Hint { conversation, news: news.clone(), to }));
            }
        }
        Ok(())
    }

    /// Which of these users have sessions on which other nodes.
    async fn hosts(
        &self,
        snapshot: &Snapshot,
        users: Vec<UserId>,
    ) -> Result<BTreeMap<NodeNumber, Vec<UserId>>, LogError> {
        let own = self.number();
        let looking = users.into_iter().map(async |user| {
            let nodes = nodes_of(snapshot, &user).await?;
            Ok::<_, LogError>((user, nodes))
        });
        let found: Vec<_> = stream::iter(looking).buffered(LOOKUP_USERS_AT_ONCE).try_collect().await?;
        let mut hosts: BTreeMap<NodeNumber, Vec<UserId>> = BTreeMap::new();
        for (user, nodes) in found {
            for node in nodes.into_iter().filter(|node| Some(*node) != own) {
                hosts.entry(node).or_default().push(user.clone());
            }
        }
        Ok(hosts)
    }

    /// A user types, or stopped: whoever may see it on another node is told there.
    pub(crate) fn typing(&self, conversation: ConversationId, user: &UserId, typing: bool) {
        self.links.broadcast(Message::Typing { conversation, user: user.clone(), typing });
    }

    /// Ends the user's sessions on other nodes.
    pub(crate) async fn end_sessions_of(&self, user: &UserId, code: ErrorCode) -> Result<(), LogError> {
        for node in self.other_hosts(user).await? {
            let token = EndToken::new(self.rng.number());
            let user = user.clone();
            self.send(node, Message::EndSessions { user, device: None, up_to: None, code, token });
        }
        Ok(())
    }

    /// Has the user's sessions on other nodes know of a block.
    pub(crate) async fn set_blocked(
        &self,
        user: &UserId,
        other: &UserId,
        blocked: bool,
    ) -> Result<(), LogError> {
        for node in self.other_hosts(user).await? {
            let (user, other) = (user.clone(), other.clone());
            self.send(node, Message::Blocked { user, other, blocked });
        }
        Ok(())
    }

    async fn other_hosts(&self, user: &UserId) -> Result<Vec<NodeNumber>, LogError> {
        let mut nodes = nodes_of(&self.store.snapshot(), user).await?;
        nodes.retain(|node| Some(*node) != self.number());
        Ok(nodes)
    }
}

/// The nodes that the user has sessions on.
async fn nodes_of(snapshot: &Snapshot, user: &UserId) -> Result<Vec<NodeNumber>, LogError> {
    let rows = snapshot.range(Key::sessions(user), SESSIONS_PER_LOOKUP_MAX, false).await?;
    let mut nodes: Vec<_> =
        rows.iter().filter_map(|(key, _)| SessionKey::at_end(key)).map(|session| session.node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    Ok(nodes)
}

impl Neighbours for Node {
    fn watch(&self, user: &UserId, watch: bool) {
        self.links.broadcast(Message::PresenceWatch { user: user.clone(), watch });
    }

    fn show(&self, to: NodeNumber, user: &UserId, state: PresenceState, last_seen: Option<TimestampMs>) {
        self.send(to, Message::Presence { user: user.clone(), state, last_seen });
    }
}
