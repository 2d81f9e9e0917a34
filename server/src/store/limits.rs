//! The bounds of the store. Those of the contract are the strictest back end's (FoundationDB's, with room to
//! spare), so that what works on one back end works on all.

use std::time::Duration;

/// Longest key. FoundationDB's limit is 10,000 with the deployment's prefix.
pub const KEY_BYTES_MAX: usize = 9_900;

/// Longest value.
pub const VALUE_BYTES_MAX: usize = 100_000;

/// What one transaction may write and clear, in bytes of keys and values.
pub const TRANSACTION_BYTES_MAX: usize = 1_000_000;

/// How long one run of a closure may take.
pub const TRANSACTION_TIME_MAX: Duration = Duration::from_secs(5);

/// How long one [`super::Store::run`] may take in all, its retries included, on a back end that is reached over a
/// network. Then it fails as unreachable. Shorter than what is left of a node's lease when the store goes away, so that
/// requests are answered before their sessions end.
pub const RUN_TIME_MAX: Duration = Duration::from_secs(4);

/// How long one read of a snapshot may take on such a back end. Then it fails as unreachable.
pub const READ_TIME_MAX: Duration = Duration::from_secs(4);

/// How long after its first read a snapshot may be read from. Later the store may say that it is too old.
pub const SNAPSHOT_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a FoundationDB cluster may take to answer when the server starts.
#[cfg(feature = "foundationdb")]
pub(super) const CLUSTER_ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// Most rows that one range read may ask for.
pub const RANGE_ROWS_MAX: usize = 10_000;

/// Closures that may wait for the writer. Beyond it `run` waits for room.
pub const QUEUE_CLOSURES_MAX: usize = 4_096;

/// Closures in one batch, which shares one sync. Reached: the rest forms the next batch.
pub(super) const BATCH_CLOSURES_MAX: usize = 256;

/// Bytes after which a batch takes no further closure. It may exceed this by one transaction.
pub(super) const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
