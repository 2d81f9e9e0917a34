//! What the admin port asks of a server, and what it is told. The JSON that goes out is these types.

use std::net::SocketAddr;

use fulmar_protocol::{DeviceId, SessionNumber, TimestampMs, UserId};
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

/// What the admin port asks of a server.
pub trait AdminApi: Send + Sync + 'static {
    /// Each part that must work for the server to serve, and what is wrong with it. Must not wait.
    fn readiness(&self) -> Vec<ReadinessPart>;

    /// The sessions with a number above `after`, in the order of their numbers, at most `limit` of them.
    fn sessions(&self, after: SessionNumber, limit: usize) -> Sessions;

    /// Refuses all tokens of the user that were issued up to now, and ends the user's sessions. When it is
    /// done that is durable.
    fn revoke(&self, user: UserId) -> BoxFuture<'_, Result<Revoked, AdminFailure>>;

    /// Starts to send clients away. Does not wait until they are gone.
    fn drain(&self) -> BoxFuture<'_, Result<Draining, AdminFailure>>;

    /// The metrics, as Prometheus reads them.
    fn metrics(&self) -> String;
}

/// Whether a part of the server works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReadinessPart {
    /// Which part: `store`, `endpoint`.
    pub name: &'static str,
    /// What is wrong with it; absent when nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Some of the sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sessions {
    /// How many there are in all.
    pub total: usize,
    /// Some of them. When there may be more, ask again with `after` of the last one's number.
    pub sessions: Vec<SessionInfo>,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its number.
    pub session: SessionNumber,
    /// Whose it is.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
    /// From where.
    pub address: SocketAddr,
    /// What the client calls itself.
    pub client: String,
    /// Since when.
    pub connected_at: TimestampMs,
    /// When its token expires.
    pub expires_at: TimestampMs,
}

/// A user's tokens were revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Whose.
    pub user: UserId,
    /// Tokens issued up to this moment are refused.
    pub revoked_before: TimestampMs,
    /// How many sessions were ended.
    pub sessions_ended: usize,
}

/// The server sends its clients away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Draining {
    /// How many sessions were open when it began.
    pub sessions: usize,
}

/// Why the server could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminFailure {
    /// Nothing can be made durable now.
    #[error("the store takes no writes now: {0}")]
    StoreUnavailable(String),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

impl Serialize for SessionInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("SessionInfo", 7)?;
        fields.serialize_field("session", &self.session.get())?;
        fields.serialize_field("user", self.user.as_str())?;
        fields.serialize_field("device", &self.device.to_string())?;
        fields.serialize_field("address", &self.address)?;
        fields.serialize_field("client", &self.client)?;
        fields.serialize_field("connected_at_ms", &self.connected_at.get())?;
        fields.serialize_field("expires_at_ms", &self.expires_at.get())?;
        fields.end()
    }
}

impl Serialize for Revoked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Revoked", 3)?;
        fields.serialize_field("user", self.user.as_str())?;
        fields.serialize_field("revoked_before_ms", &self.revoked_before.get())?;
        fields.serialize_field("sessions_ended", &self.sessions_ended)?;
        fields.end()
    }
}
