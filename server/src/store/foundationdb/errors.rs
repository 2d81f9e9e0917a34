//! What FoundationDB's error codes mean to the store's callers.

use std::time::Duration;

use foundationdb::FdbError;

use crate::store::error::StoreError;

/// The state to be read is older than five seconds.
pub(super) const TRANSACTION_TOO_OLD: i32 = 1007;
#[cfg(feature = "fault-injection")]
pub(super) const NOT_COMMITTED: i32 = 1020;
#[cfg(feature = "fault-injection")]
pub(super) const COMMIT_UNKNOWN_RESULT: i32 = 1021;
const TRANSACTION_TIMED_OUT: i32 = 1031;
const TRANSACTION_TOO_LARGE: i32 = 2101;
const VALUE_TOO_LARGE: i32 = 2103;

/// By meaning. What can be made again is `Unreachable`, after so long a time.
pub(super) fn store_error(error: FdbError, waited: Duration) -> StoreError {
    match error.code() {
        TRANSACTION_TOO_OLD => StoreError::SnapshotTooOld,
        TRANSACTION_TOO_LARGE => StoreError::TransactionTooLarge,
        VALUE_TOO_LARGE => StoreError::ValueTooLong { bytes: 0 },
        TRANSACTION_TIMED_OUT => StoreError::Unreachable { waited },
        _ if error.is_retryable() => StoreError::Unreachable { waited },
        code => StoreError::Cluster { reason: format!("{error} (code {code})").into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs the client library, whose table says which codes may be tried again.
    #[test]
    fn codes_are_told_apart_by_meaning() {
        let meaning = |code| store_error(FdbError::from_code(code), Duration::ZERO);
        let unreachable = StoreError::Unreachable { waited: Duration::ZERO };
        assert_eq!(meaning(1007), StoreError::SnapshotTooOld);
        assert_eq!(meaning(2101), StoreError::TransactionTooLarge);
        // Conflict, unknown result, timed out, process behind, future version.
        for code in [1020, 1021, 1031, 1037, 1009] {
            assert_eq!(meaning(code), unreachable, "{code}");
        }
        assert!(FdbError::from_code(1021).is_maybe_committed());
        assert!(!FdbError::from_code(1020).is_maybe_committed());
        assert!(matches!(meaning(1038), StoreError::Cluster { .. }), "an operator locked the cluster");
    }
}
