//! What the log knows of users themselves: their devices, blocks, settings, and revoked tokens.

use std::sync::Arc;

use bytes::Bytes;
use fulmar_protocol::{ConversationId, DeviceId, Epoch, ErrorCode, TimestampMs, UserId};
use futures_util::{
    TryFutureExt as _,
    future::{try_join, try_join4},
};

use super::{Log, LogError, read::Read};
use crate::{
    limits::{DEVICE_FORGOTTEN_AFTER_MS, Limits},
    rows::{Head, Held, Key, SessionKey, device_at_end, hold, user_at_end},
    store::{Store, Transaction},
};

/// What registering a device finds out about its user, in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeviceRegistration {
    /// Tokens issued at or before this time are refused.
    pub(crate) revoked_before: Option<TimestampMs>,
    /// Users whose presence and typing this one does not want, and who see none of theirs.
    pub(crate) blocked: Vec<UserId>,
    /// In a cluster: other sessions of the device. They are to end.
    pub(crate) older: Vec<SessionKey>,
}

impl Log {
    /// Makes the device the user's, or says why not; and in a cluster its session known to all nodes. A user with the most devices allowed may replace one
    /// that was not seen for a long time; what that one had not received stays in the history.
    pub(crate) async fn register_device(
        &self,
        user: &UserId,
        device: &DeviceId,
        session: Option<SessionKey>,
    ) -> Result<DeviceRegistration, LogError> {
        let (user, device) = (user.clone(), *device);
        let now = self.clock.now();
        let limits = Arc::clone(&self.limits);
        Ok(self
            .store
            .run(move |transaction| {
                let user = user.clone();
                let limits = Arc::clone(&limits);
                Box::pin(async move { register(transaction, &user, &device, session, now, &limits).await })
            })
            .await?)
    }

    /// Refuses the user's tokens issued up to now. Tokens tell the time in whole seconds, so the second
    /// that has begun is refused too.
    pub(crate) async fn revoke(&self, user: &UserId) -> Result<TimestampMs, LogError> {
        let before = TimestampMs::new(self.clock.now().get());
        let key = Key::revoked_before(user);
        self.store
            .run(move |transaction| {
                let key = key.clone();
                Box::pin(async move {
                    transaction.byte_max(&key, Bytes::copy_from_slice(&before.get().to_be_bytes()));
                    Ok::<_, LogError>(())
                })
            })
            .await?;
        Ok(before)
    }

    /// Tokens of this user issued at or before this time are refused.
    pub(crate) async fn revoked_before(&self, user: &UserId) -> Result<Option<TimestampMs>, LogError> {
        revoked_before(&self.store.snapshot(), user).await
    }

    /// Whether the device is this user's. Only reads.
    pub(crate) async fn knows_device(&self, user: &UserId, device: &DeviceId) -> Result<bool, LogError> {
        let owner = self.store.snapshot().get(&Key::device(device)).await?;
        Ok(owner.is_some_and(|owner| *owner == *user.as_str().as_bytes()))
    }

    /// Users whom this one blocks.
    pub(crate) async fn blocked(&self, user: &UserId) -> Result<Vec<UserId>, LogError> {
        blocked(&self.store.snapshot(), user, self.limits.blocked_users_max).await
    }

    /// Those of `others` who do not block `user`.
    pub(crate) async fn not_blocking<'u>(
        &self,
        user: &UserId,
        others: impl Iterator<Item = &'u UserId>,
    ) -> Result<Vec<UserId>, LogError> {
        let snapshot = self.store.snapshot();
        let mut not_blocking = Vec::new();
        for other in others {
            if snapshot.get(&Key::block(other, user)).await?.is_none() {
                not_blocking.push(other.clone());
            }
        }
        Ok(not_blocking)
    }

    /// Blocks or unblocks `other`. Answers once durable.
    pub(crate) async fn set_block(
        &self,
        user: &UserId,
        other: &UserId,
        blocked: bool,
    ) -> Result<(), LogError> {
        if user == other {
            return Err(LogError::Refused(ErrorCode::UserIdInvalid));
        }
        let (user, other) = (user.clone(), other.clone());
        let max = self.limits.blocked_users_max;
        self.store
            .run(move |transaction| {
                let (user, other) = (user.clone(), other.clone());
                Box::pin(async move { set_block(transaction, &user, &other, blocked, max).await })
            })
            .await?;
        Ok(())
    }

    /// Replaces the user's settings.
    pub(crate) async fn set_settings(&self, user: &UserId, refuse_new: bool) -> Result<(), LogError> {
        let key = Key::settings(user);
        self.store
            .run(move |transaction| {
                let key = key.clone();
                Box::pin(async move {
                    transaction.set(&key, Bytes::copy_from_slice(&[u8::from(refuse_new)]));
                    Ok::<_, LogError>(())
                })
            })
            .await?;
        Ok(())
    }
}

/// The store's epoch, made with `fresh` when there is none yet.
pub(crate) async fn epoch(store: &Store, fresh: u64) -> Result<Epoch, LogError> {
    Ok(store
        .run(move |transaction| {
            Box::pin(async move {
                if let Some(row) = transaction.get(&Key::epoch()).await? {
                    let row: Option<&[u8; 8]> = row.first_chunk();
                    let row = row.ok_or(LogError::malformed_key("epoch"))?;
                    return Ok::<_, LogError>(Epoch::new(u64::from_be_bytes(*row)));
                }
                transaction.set(&Key::epoch(), Bytes::copy_from_slice(&fresh.to_be_bytes()));
                Ok(Epoch::new(fresh))
            })
        })
        .await?)
}

async fn register(
    transaction: &Transaction,
    user: &UserId,
    device: &DeviceId,
    session: Option<SessionKey>,
    now: TimestampMs,
    limits: &Limits,
) -> Result<DeviceRegistration, LogError> {
    let owner_key = Key::device(device);
    // One trip to the store for all of it.
    let (owner, others, blocked, revoked_before) = try_join4(
        transaction.get(&owner_key).err_into(),
        async {
            match session {
                Some(session) => other_sessions(transaction, user, session, limits).await.map(Some),
                None => Ok(None),
            }
        },
        blocked(transaction, user, limits.blocked_users_max),
        revoked_before(transaction, user),
    )
    .await?;
    match owner {
        Some(owner) if *owner != *user.as_str().as_bytes() => {
            return Err(LogError::Refused(ErrorCode::DeviceTaken));
        }
        Some(_) => {}
        None => {
            make_room(transaction, user, now, limits.devices_per_user_max).await?;
            transaction.set(&owner_key, Bytes::copy_from_slice(user.as_str().as_bytes()));
        }
    }
    let seen = Bytes::copy_from_slice(&now.get().to_be_bytes());
    transaction.set(&Key::user_device(user, device), seen);
    let older = match session.zip(others) {
        Some((session, others)) => register_session(transaction, user, session, others, limits)?,
        None => Vec::new(),
    };
    Ok(DeviceRegistration { revoked_before, blocked, older })
}

/// The user's sessions, if the node of this one has a lease: nobody would ever clear what is written for a node whose
/// rows are cleared already.
async fn other_sessions(
    transaction: &Transaction,
    user: &UserId,
    session: SessionKey,
    limits: &Limits,
) -> Result<Option<Vec<SessionKey>>, LogError> {
    let node = Key::node(session.node);
    // Rows of sessions that ended a moment ago may still be there: twice as many as there may be.
    let rows = transaction.range(Key::sessions(user), 2 * limits.sessions_per_user_max, false);
    let (node, rows) = try_join(transaction.get(&node), rows).await?;
    Ok(node.map(|_| rows.iter().filter_map(|(key, _)| SessionKey::at_end(key)).collect()))
}

/// Writes the session's row; gives the older ones of its device.
fn register_session(
    transaction: &Transaction,
    user: &UserId,
    session: SessionKey,
    others: Option<Vec<SessionKey>>,
    limits: &Limits,
) -> Result<Vec<SessionKey>, LogError> {
    let others = others.ok_or_else(|| LogError::Unfinished("this node has no lease".to_owned()))?;
    let (older, others): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|other| other.device == session.device);
    if others.len() >= limits.sessions_per_user_max {
        return Err(LogError::Refused(ErrorCode::TooManySessions));
    }
    hold(transaction, session.node, &Held::Session(user.clone(), session));
    Ok(older)
}

/// The users whom this one blocks.
async fn blocked(read: &impl Read, user: &UserId, blocked_max: usize) -> Result<Vec<UserId>, LogError> {
    let range = Key::blocks(user);
    let prefix_length = range.start().len();
    let rows = read.range(&range, blocked_max).await?;
    Ok(rows.iter().filter_map(|(key, _)| user_at_end(key, prefix_length)).collect())
}

/// Refuses one device too many, unless an old one can go.
async fn make_room(
    transaction: &Transaction,
    user: &UserId,
    now: TimestampMs,
    devices_max: usize,
) -> Result<(), LogError> {
    let devices = transaction.range(Key::user_devices(user), devices_max, false).await?;
    if devices.len() < devices_max {
        return Ok(());
    }
    let seen = |value: &Bytes| value.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let oldest = devices.iter().min_by_key(|(_, value)| seen(value));
    match oldest.and_then(|(key, value)| Some((device_at_end(key)?, seen(value)))) {
        Some((device, seen)) if now.get().saturating_sub(seen) > DEVICE_FORGOTTEN_AFTER_MS => {
            transaction.clear(&Key::user_device(user, &device));
            transaction.clear(&Key::device(&device));
            transaction.clear_range(Key::cursors(user, &device));
            Ok(())
        }
        _ => Err(LogError::Refused(ErrorCode::TooManyDevices)),
    }
}

async fn revoked_before(read: &impl Read, user: &UserId) -> Result<Option<TimestampMs>, LogError> {
    let row = read.get(&Key::revoked_before(user)).await?;
    Ok(row.and_then(|row| Some(TimestampMs::new(u64::from_be_bytes(*row.first_chunk()?)))))
}

/// The row is what sessions read, the bit in the head what an append reads.
async fn set_block(
    transaction: &Transaction,
    user: &UserId,
    other: &UserId,
    blocked: bool,
    blocked_max: usize,
) -> Result<(), LogError> {
    let row = Key::block(user, other);
    if blocked {
        let count = transaction.range(Key::blocks(user), blocked_max, false).await?.len();
        if count >= blocked_max && transaction.get(&row).await?.is_none() {
            return Err(LogError::Refused(ErrorCode::TooManyBlocked));
        }
        transaction.set(&row, Bytes::new());
    } else {
        transaction.clear(&row);
    }
    let head_key = Key::head(&ConversationId::direct(user, other));
    let mut head = match transaction.get(&head_key).await? {
        Some(value) => Head::decode(&value)?,
        None => Head::new(),
    };
    if user < other {
        head.first_blocks = blocked;
    } else {
        head.second_blocks = blocked;
    }
    head.roster_version += 1;
    transaction.set(&head_key, head.encode());
    Ok(())
}
