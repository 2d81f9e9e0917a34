//! The sections of a configuration, but for the limits.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limits::MIB;
use super::{ConfigError, within};
use crate::store::FoundationDbOptions;

/// `[listen]`: where the server listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListenConfig {
    /// For clients, UDP. `[::]` takes IPv4 as well.
    pub address: SocketAddr,
    /// For the operator, plain HTTP over TCP, and without a password: keep it private.
    pub admin: SocketAddr,
    /// The names by which the admin port may be called, besides `localhost` and IP addresses. Any other name
    /// is refused, since a web page could have made it point here.
    pub admin_hosts: Vec<String>,
}

impl ListenConfig {
    const ADMIN_HOSTS_MAX: usize = 64;

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("listen.admin_hosts (their number)", self.admin_hosts.len(), 0..=Self::ADMIN_HOSTS_MAX)
    }
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 4433)),
            admin: SocketAddr::from((Ipv4Addr::LOCALHOST, 9443)),
            admin_hosts: Vec::new(),
        }
    }
}

/// `[tls]`: how the server proves who it is. The files are read again when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// The certificate chain, PEM, the server's own certificate first.
    pub certificate: Option<PathBuf>,
    /// The certificate's private key, PEM.
    pub key: Option<PathBuf>,
}

/// `[auth]`: how users prove who they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    /// The keys that tokens are verified with, a JSON Web Key Set. Read again when it changes.
    pub jwks: Option<PathBuf>,
    /// What a token's `aud` must name.
    pub audience: String,
    /// How far a token's `iat` and `nbf` may lie in the future.
    pub leeway_seconds: u64,
}

impl AuthConfig {
    const AUDIENCE_BYTES_MAX: usize = 256;

    /// `leeway_seconds` as a duration.
    #[must_use]
    pub fn leeway(&self) -> Duration {
        Duration::from_secs(self.leeway_seconds)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("auth.audience (its length in bytes)", self.audience.len(), 1..=Self::AUDIENCE_BYTES_MAX)?;
        within("auth.leeway_seconds", self.leeway_seconds, 0..=300)
    }
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self { jwks: None, audience: "fulmar".to_owned(), leeway_seconds: 5 }
    }
}

/// `[store]`: where everything that must last is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Which store. The two keys below it are FoundationDB's, the others the embedded store's.
    pub kind: StoreKind,
    /// The file that says where the FoundationDB cluster is.
    pub cluster_file: PathBuf,
    /// What this deployment's keys in the cluster begin with. Several deployments may share a cluster.
    pub prefix: String,
    /// Memory for blocks read from disk.
    pub cache_bytes: u64,
    /// Memory for rows that are not in tables yet. Counts when the data folder is made.
    pub write_buffer_bytes: u64,
    /// Threads that write tables and merge them.
    pub worker_threads: usize,
}

/// Which store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// On the local disk, in the data folder.
    #[default]
    Embedded,
    /// A FoundationDB cluster.
    FoundationDb,
}

impl StoreConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let prefix_bytes_max = FoundationDbOptions::PREFIX_BYTES_MAX;
        within("store.prefix (its length in bytes)", self.prefix.len(), 1..=prefix_bytes_max)?;
        if self.prefix.contains('\0') {
            let allowed = "text without zero bytes".to_owned();
            return Err(ConfigError::out_of_range("store.prefix", &self.prefix.escape_debug(), allowed));
        }
        within("store.cache_bytes", self.cache_bytes, MIB..=1024 * 1024 * MIB)?;
        within("store.write_buffer_bytes", self.write_buffer_bytes, MIB..=64 * 1024 * MIB)?;
        within("store.worker_threads", self.worker_threads, 1..=64)
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            kind: StoreKind::default(),
            cluster_file: PathBuf::from("/etc/foundationdb/fdb.cluster"),
            prefix: "fulmar".to_owned(),
            cache_bytes: 64 * MIB,
            write_buffer_bytes: 32 * MIB,
            worker_threads: 2,
        }
    }
}

/// `[log]`: what is logged, to standard error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Which events, in the words of `tracing`: `info`, or `warn,fulmar_server::auth=debug`.
    pub filter: String,
    /// How they are written.
    pub format: LogFormat,
}

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

impl LogConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("log.filter (its length in bytes)", self.filter.len(), 1..=4096)
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}
