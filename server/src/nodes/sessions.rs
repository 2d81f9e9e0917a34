//! This node's rows among those of users and conversations: sessions, and interest in large conversations.

use std::{collections::BTreeMap, time::Duration};

use fulmar_protocol::{ConversationId, DeviceId, ErrorCode, SessionNumber, UserId};
use tokio::{sync::oneshot, time::timeout};

use super::{
    Node, NodeNumber,
    message::{EndToken, Message},
};
use crate::{
    limits::END_SESSIONS_WAITS_MAX,
    log::LogError,
    rows::{Held, SessionKey},
};

/// How long a session waits until an older one of its device on another node has ended.
const END_ELSEWHERE_TIMEOUT: Duration = Duration::from_secs(1);

impl Node {
    /// Ends the device's older sessions on other nodes, and waits until they have: nothing of theirs is appended
    /// after the first send of the new one. Not for longer than a second: the other node may have died, and what one that hangs appends
    /// later is a duplicate, and removed.
    pub(crate) async fn end_older(&self, user: &UserId, device: DeviceId, older: &[SessionKey]) {
        let own = self.number();
        // The newest on each: the word may come late, when the device is back there with a newer one.
        let mut newest: BTreeMap<NodeNumber, SessionNumber> = BTreeMap::new();
        for session in older.iter().filter(|session| Some(session.node) != own) {
            let number = newest.entry(session.node).or_insert(session.number);
            *number = session.number.max(*number);
        }
        let mut waits = Vec::new();
        for (node, up_to) in newest {
            let token = EndToken::new(self.rng.number());
            let (ended, wait) = oneshot::channel();
            let mut ending = self.ending.lock();
            if ending.len() >= END_SESSIONS_WAITS_MAX {
                // Those whose wait is over.
                ending.retain(|_, ended| !ended.is_closed());
            }
            ending.insert(token, ended);
            drop(ending);
            let (user, device, up_to) = (user.clone(), Some(device), Some(up_to));
            let code = ErrorCode::SessionReplaced;
            if self.send(node, Message::EndSessions { user, device, up_to, code, token }) {
                waits.push(wait);
            }
        }
        let all = futures_util::future::join_all(waits);
        let _ = timeout(END_ELSEWHERE_TIMEOUT, all).await;
    }

    /// The session has ended: its row goes.
    pub(crate) fn release_session(&self, user: &UserId, session: SessionKey) {
        let held = Held::Session(user.clone(), session);
        self.spawn(async move |node| {
            if let Err(error) = node.registry.release(session.node, vec![held]).await {
                tracing::debug!(%error, "a session's row is left for the sweep");
            }
        });
    }

    /// Has this node hear of large conversations. What is read afterwards and what is told together miss nothing.
    pub(crate) async fn take_interest(&self, conversations: &[ConversationId]) -> Result<(), LogError> {
        let mut interests = self.interests.lock().await;
        let new: Vec<_> = conversations.iter().copied().filter(|it| !interests.contains(it)).collect();
        let Some(number) = self.number().filter(|_| !new.is_empty()) else { return Ok(()) };
        self.registry.hold(number, new.iter().copied().map(Held::Interest).collect()).await?;
        interests.extend(new);
        Ok(())
    }
}
