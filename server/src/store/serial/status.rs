//! What the writer tells everybody.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::ArcSwapOption;

#[cfg(feature = "fault-injection")]
use crate::store::tally::StoreTally;
use crate::{
    metrics::Metrics,
    store::{error::StoreError, options::StoreOptions},
};

/// The newest durable state, and whether the store takes writes.
#[derive(Debug)]
pub(crate) struct Status<B> {
    /// None once the store is closed.
    pub(crate) base: ArcSwapOption<B>,
    failure: OnceLock<Arc<str>>,
    closed: AtomicBool,
    pub(crate) metrics: Arc<Metrics>,
    #[cfg(feature = "fault-injection")]
    pub(crate) tally: Option<StoreTally>,
}

impl<B> Status<B> {
    pub(crate) fn new(base: B, options: &StoreOptions) -> Self {
        Self {
            base: ArcSwapOption::from_pointee(base),
            failure: OnceLock::new(),
            closed: AtomicBool::new(false),
            metrics: Arc::clone(&options.metrics),
            #[cfg(feature = "fault-injection")]
            tally: options.tally.clone(),
        }
    }

    pub(crate) fn failure(&self) -> Option<Arc<str>> {
        self.failure.get().cloned()
    }

    /// From here on nothing more is accepted. The first reason stands.
    pub(crate) fn fail(&self, reason: &str) -> StoreError {
        let reason = self.failure.get_or_init(|| {
            tracing::error!(reason, "the store takes no more writes");
            self.metrics.store_failed.set(1.0);
            reason.into()
        });
        StoreError::Failed { reason: Arc::clone(reason) }
    }

    /// No new closures.
    pub(crate) fn refuse(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Nothing at all any more.
    pub(crate) fn close(&self) {
        self.refuse();
        self.base.store(None);
    }

    pub(crate) fn accepting(&self) -> Result<(), StoreError> {
        if let Some(reason) = self.failure() {
            return Err(StoreError::Failed { reason });
        }
        if self.closed.load(Ordering::Acquire) { Err(StoreError::Closed) } else { Ok(()) }
    }

    /// Why a closure that was handed in got no answer.
    pub(crate) fn ending(&self) -> StoreError {
        self.accepting().err().unwrap_or(StoreError::Closed)
    }
}
