//! Placeholder.

mod store;

#[cfg(feature = "fault-injection")]
pub use store::StoreFault;
pub use store::{
    CompactProgress, Health, KEY_BYTES_MAX, KeyRange, QUEUE_CLOSURES_MAX, RANGE_ROWS_MAX, RunError, Snapshot,
    Store, StoreCounts, StoreError, StoreOptions, TRANSACTION_BYTES_MAX, TRANSACTION_TIME_MAX, Transaction,
    VALUE_BYTES_MAX,
};
