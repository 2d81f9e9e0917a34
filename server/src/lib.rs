//! Fulmar's server.

mod admin;
mod auth;
mod certificate_making;
mod clock;
mod config;
mod development;
mod fanout;
mod fault;
#[cfg(feature = "simulation")]
mod hot_path;
mod limits;
mod log;
mod metrics;
mod nodes;
mod operations;
mod rates;
mod rows;
mod server;
mod session;
#[cfg(feature = "simulation")]
mod simulation;
mod store;
mod tickets;
mod transport;
mod watched_files;

pub use admin::{
    AdminApi, AdminFailure, AdminOptions, AdminServer, Draining, ReadinessPart, Revoked, SessionInfo,
    Sessions,
};
pub use auth::{AuthError, AuthOptions, Authenticator, Identity, KeySetError};
pub use clock::{Clock, ManualClock, Rng};
pub use config::{
    AuthConfig, ClusterConfig, Config, ConfigError, Credentials, LimitsConfig, ListenConfig, LogConfig,
    LogFormat, StoreConfig, StoreKind, TlsConfig,
};
pub use development::{Development, DevelopmentError};
#[cfg(feature = "fault-injection")]
pub use fault::ServerFault;
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub use hot_path::{ConversationPath, HotPathError, NodeHint};
pub use metrics::{CloseReason, Family, Metrics};
pub use nodes::{ClusterAuthority, ClusterCertificate, ClusterCertificateError};
pub use server::{ClusterOptions, Server, ServerOptions, StartError};
#[cfg(feature = "simulation")]
pub use simulation::{SimulatedStore, Simulation, Tune};
pub use store::{
    CompactProgress, FoundationDbOptions, Health, KEY_BYTES_MAX, KeyRange, QUEUE_CLOSURES_MAX,
    RANGE_ROWS_MAX, READ_TIME_MAX, RUN_TIME_MAX, RunError, SNAPSHOT_TIME_MAX, Snapshot, Store, StoreCounts,
    StoreError, StoreOptions, TRANSACTION_BYTES_MAX, TRANSACTION_TIME_MAX, Transaction, TransactionTally,
    VALUE_BYTES_MAX,
};
#[cfg(feature = "simulation")]
pub use store::{MemoryDisk, SharedHandle, SharedStore, StoreTrouble, StoreTroubleCounts};
#[cfg(feature = "fault-injection")]
pub use store::{StoreFault, StoreTallied, StoreTally};
pub use transport::secret::{ClusterSecret, ClusterSecretError};
pub use transport::tls::{TlsError, TlsOptions, crypto_provider, quic_server_config};
pub use transport::tuning::{
    admit as quic_admit, admit_streams as quic_admit_streams, transport as quic_transport,
};
pub use watched_files::FileError;
