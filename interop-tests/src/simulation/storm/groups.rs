//! Groups: made, joined, left.

use std::sync::Arc;
use std::time::Duration;

use fulmar_client::ClientError;
use fulmar_protocol::{ErrorCode, HistoryPolicy, UserId};
use rand::Rng as _;

use super::actor::Actor;

/// How long an administrative change is waited for.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(60);
/// Groups in a world.
const GROUPS_MAX: usize = 4;

impl Actor {
    pub(super) fn make_group(&mut self) {
        let Some(client) = self.device.client() else { return };
        if self.scene.groups.lock().len() >= GROUPS_MAX {
            return;
        }
        let members: Vec<UserId> =
            self.scene.users.iter().filter(|user| **user != self.device.user).cloned().collect();
        let some = self.random.random_range(1..=members.len());
        let policy =
            if self.random.random_bool(0.5) { HistoryPolicy::All } else { HistoryPolicy::FromJoining };
        let scene = Arc::clone(&self.scene);
        self.under_way.spawn(async move {
            let making = client.create_group("a group", &members[..some], policy);
            if let Ok(Ok((group, _))) = tokio::time::timeout(CHANGE_TIMEOUT, making).await {
                scene.groups.lock().push(group.id());
            }
        });
    }

    pub(super) fn change_group(&mut self) {
        let Some(client) = self.device.client() else { return };
        let Some(group) = self.some_group() else { return };
        let (user, what) = (self.some_user(), self.random.random_range(0..8));
        let (recorder, number) = (self.scene.recorder.clone(), self.number());
        let group = client.conversation(group);
        self.under_way.spawn(async move {
            let change = async {
                match what {
                    0..4 => group.add(std::slice::from_ref(&user)).await,
                    4..7 => group.remove(std::slice::from_ref(&user)).await,
                    _ => group.leave().await,
                }
            };
            match tokio::time::timeout(CHANGE_TIMEOUT, change).await {
                Ok(Ok(done)) => {
                    recorder.note(format!("device {number}: change {what} of {user} is {}", done.seq))
                }
                // Most users may not.
                Ok(Err(ClientError::Refused { code: ErrorCode::NotPermitted, .. })) | Err(_) => {}
                Ok(Err(error)) => recorder.note(format!("device {number}: change {what} of {user}: {error}")),
            }
        });
    }
}
