//! Waits that end.

use std::time::Duration;

use tokio::time::timeout;

/// How long anything that should happen at once may take, on a busy machine.
pub const WAIT: Duration = Duration::from_secs(20);

/// What the future gives; a failure when that takes longer than [`WAIT`].
///
/// # Panics
/// Then, with what was awaited.
pub async fn within<T>(awaited: &str, future: impl Future<Output = T>) -> T {
    within_time(WAIT, awaited, future).await
}

/// What the future gives; a failure when that takes longer than `most`.
///
/// # Panics
/// Then, with what was awaited.
pub async fn within_time<T>(most: Duration, awaited: &str, future: impl Future<Output = T>) -> T {
    match timeout(most, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {most:?} in vain for {awaited}"),
    }
}
