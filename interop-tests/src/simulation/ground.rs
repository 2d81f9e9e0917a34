//! What a world stands on: simulated time and a store in memory, or real time and a FoundationDB cluster.
//!
//! The nodes, the clients, the network between them and what goes wrong on the way to the store are the same on both.
//! On a cluster nothing repeats itself from a seed.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use fulmar_server::{FoundationDbOptions, KeyRange, RunError, Store, StoreError, StoreOptions};

/// Names the file of a cluster that tests may use.
pub const CLUSTER_FILE_VARIABLE: &str = "FULMAR_FDB_CLUSTER_FILE";

/// See the module.
#[derive(Clone, Debug, Default)]
pub enum Ground {
    /// Time passes only when nobody has anything to do, and the store of a cluster is in memory.
    #[default]
    Simulated,
    /// Time is real, and the store of a cluster is this part of a FoundationDB cluster.
    FoundationDb(FoundationDbOptions),
}

impl Ground {
    /// The part of a FoundationDB cluster below a prefix of this name, which is cleared first.
    ///
    /// # Panics
    /// When [`CLUSTER_FILE_VARIABLE`] names no cluster, or it does not answer.
    pub async fn foundationdb(name: &str) -> Self {
        let cluster_file = std::env::var_os(CLUSTER_FILE_VARIABLE);
        let cluster_file = cluster_file.unwrap_or_else(|| panic!("{CLUSTER_FILE_VARIABLE} names no cluster"));
        let place = FoundationDbOptions {
            cluster_file: PathBuf::from(cluster_file),
            prefix: format!("test/world/{name}"),
        };
        let store = Store::open_foundationdb(&place, StoreOptions::default()).await;
        let store = store.unwrap_or_else(|error| panic!("{error}"));
        let cleared: Result<(), RunError<StoreError>> = store
            .run(|transaction| {
                Box::pin(async move {
                    transaction.clear_range(KeyRange::all());
                    Ok(())
                })
            })
            .await;
        cleared.expect("the prefix is cleared");
        store.close().await;
        Self::FoundationDb(place)
    }

    /// Whether time is simulated, so that how long something took says something.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        matches!(self, Self::Simulated)
    }

    /// So many turns of a test where time costs nothing, a tenth of them where it is real.
    #[must_use]
    pub fn turns(&self, simulated: u64) -> u64 {
        if self.is_simulated() { simulated } else { simulated.div_ceil(10) }
    }

    /// What may be said of how long something took: nothing where time is real, as the machine has a say there.
    #[must_use]
    pub fn time_max(&self, simulated: Duration) -> Duration {
        if self.is_simulated() { simulated } else { Duration::MAX }
    }
}

/// Runs a world to its end in simulated time, on a runtime of its own. Two runs of the same future from the same seed
/// are the same run.
pub fn run<T>(world: impl Future<Output = T>) -> T {
    run_in(true, world)
}

/// Runs a world to its end in real time, on a runtime of its own.
pub fn run_in_real_time<T>(world: impl Future<Output = T>) -> T {
    run_in(false, world)
}

fn run_in<T>(simulated: bool, world: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().enable_io().start_paused(simulated).build();
    runtime.expect("a runtime").block_on(world)
}
