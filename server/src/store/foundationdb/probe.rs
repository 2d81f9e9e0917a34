//! Whether the cluster answers: one small read every few seconds, and what is said when that changes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use foundationdb::{Database, FdbError};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::keyspace::Keyspace;
use crate::metrics::Metrics;

/// How often the cluster is asked, and how long it may take to answer.
const EVERY: Duration = Duration::from_secs(2);

/// Dropping it ends the asking.
#[derive(Debug)]
pub(super) struct Probe {
    reachable: Arc<AtomicBool>,
    _task: AbortOnDropHandle<()>,
}

impl Probe {
    pub(super) fn start(database: Arc<Database>, keyspace: Arc<Keyspace>, metrics: Arc<Metrics>) -> Self {
        let reachable = Arc::new(AtomicBool::new(true));
        let task = tokio::spawn(watch(database, keyspace, metrics, Arc::clone(&reachable)));
        Self { reachable, _task: AbortOnDropHandle::new(task) }
    }

    pub(super) fn reachable(&self) -> bool {
        self.reachable.load(Ordering::Acquire)
    }
}

async fn watch(
    database: Arc<Database>,
    keyspace: Arc<Keyspace>,
    metrics: Arc<Metrics>,
    reachable: Arc<AtomicBool>,
) {
    loop {
        sleep(EVERY).await;
        let problem = match timeout(EVERY, ask(&database, &keyspace)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer".to_owned()),
        };
        let was_reachable = reachable.swap(problem.is_none(), Ordering::AcqRel);
        match problem {
            Some(problem) if was_reachable => {
                tracing::error!(problem, "the FoundationDB cluster cannot be reached");
                metrics.store_failed.set(1.0);
            }
            None if !was_reachable => {
                tracing::info!("the FoundationDB cluster answers again");
                metrics.store_failed.set(0.0);
            }
            _ => {}
        }
    }
}

/// One read at a new version: it goes by those who take commits, and by a storage server.
pub(super) async fn ask(database: &Database, keyspace: &Keyspace) -> Result<(), FdbError> {
    let transaction = database.create_trx()?;
    transaction.get(keyspace.marker(), true).await.map(drop)
}
