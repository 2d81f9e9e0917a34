//! The store: an ordered key-value store with strictly serialisable transactions, and the contract that
//! every back end keeps.
//!
//! # The contract
//! **Keys** are 1 to [`KEY_BYTES_MAX`] bytes, ordered byte by byte, and do not begin with `0xFF` (such keys
//! belong to the back end). **Values** are 0 to [`VALUE_BYTES_MAX`] bytes; an empty value is not an absent one.
//!
//! **Isolation.** [`Store::run`] is strictly serialisable: the closures that take effect do so as if one ran
//! after another, in an order that respects real time (what was answered before another was begun comes
//! first). A closure reads its own writes, in point reads and in ranges alike.
//!
//! **Conflicts.** A back end may run closures side by side; a closure then takes effect only when nothing that
//! it read was changed in between by another, and else runs again. A point read is about its key, present or absent.
//! A range read is about the part that it covered: the whole range, also where it was empty, or up to the last row
//! returned when the limit ended it. [`Transaction::byte_max`], `set`, `clear` and `clear_range` read nothing and so
//! never conflict by themselves; a read of one's own write of these reads nothing either, but for `byte_max`, whose
//! outcome must be read. A closure that writes nothing never conflicts. The embedded and the in-memory back end run
//! closures one after another and have no conflicts.
//!
//! **Atomic byte-max** sets a key to the greater of its value and the given one, compared byte by byte like
//! keys; an absent key takes the given value.
//!
//! **Retries.** The store runs a closure again after a conflict, so it must be a pure function of what it
//! reads and captured: no side effects, nothing remembered between runs. It may also run again when an earlier
//! attempt *may have committed* (an answer was lost): [`Transaction::maybe_committed`] says so, stickily, through
//! whatever goes wrong afterwards. Correctness must never rest on that flag; write closures so that running after
//! one's own success does no harm (a deduplication row in the same transaction, a value that does not depend on the
//! one before). Between two runs others' transactions may take effect. The embedded and the in-memory back end run
//! each closure at most once and never raise the flag.
//!
//! **A closure awaits nothing but its transaction.** Reads that do not depend on each other are best awaited
//! together. The back ends that run one closure after another find out when it awaits something else
//! ([`StoreError::ForeignAwait`]), and blocking in a closure blocks every other writer there; on FoundationDB it is
//! not found out, and takes the closure's time.
//!
//! **Aborting.** A closure that returns `Err` leaves no write behind and harms no other. Its answer, too, is
//! given only when everything that it read is durable. A panic in a closure is answered to its caller alone,
//! as [`StoreError::Panicked`].
//!
//! **Durability.** Nothing leaves before it is durable: `run` answers after the sync that covers the closure's
//! writes and reads.
//!
//! **Snapshots.** [`Store::snapshot`] is one durable state, taken when it is made or at its first read, and so at
//! least as new as everything that was answered before it was made. All reads of one snapshot see that one state. It
//! may be read from for [`SNAPSHOT_TIME_MAX`] after its first read; later a read may say
//! [`StoreError::SnapshotTooOld`], and who can go on with a newer state takes a new snapshot.
//!
//! **Dropping the future** of `run` is safe. The closure then runs or does not.
//!
//! **Failure.** Errors are told apart by what a caller can do:
//!
//! | error | what it means |
//! |---|---|
//! | [`StoreError::Unreachable`] | the store did not answer within [`RUN_TIME_MAX`], or [`READ_TIME_MAX`] for a read of a snapshot. What was being done may or may not take effect, even a little later. It may be asked for again |
//! | [`StoreError::SnapshotTooOld`] | take a new snapshot |
//! | the limits below | never to be tried again as it is |
//! | [`StoreError::Failed`] | embedded: after a commit or sync that failed nothing more is accepted, those that were under way may or may not be found applied after a restart, and reads stay at the last good state |
//! | [`StoreError::Closed`] | the server is stopping |
//!
//! [`Store::health`] tells whether writes are accepted; of a store that cannot be reached it recovers by itself.
//!
//! **Limits.** They are those of the strictest back end, checked on all. A write that exceeds one makes the
//! transaction fail as a whole, at the latest when the closure ends.
//!
//! | what | limit | action |
//! |---|---|---|
//! | key | [`KEY_BYTES_MAX`] | [`StoreError::KeyInvalid`] |
//! | value | [`VALUE_BYTES_MAX`] | [`StoreError::ValueTooLong`] |
//! | one transaction: keys and values written, keys cleared, bounds of cleared ranges; where rows are on the local disk also the keys of the rows that a cleared range held | [`TRANSACTION_BYTES_MAX`] | [`StoreError::TransactionTooLarge`] |
//! | time from a closure's start to its end, without what its reads waited for | [`TRANSACTION_TIME_MAX`] | [`StoreError::TransactionTooSlow`] |
//! | time of `run` in all, on a back end behind a network | [`RUN_TIME_MAX`] | [`StoreError::Unreachable`] |
//! | rows of one range read | [`RANGE_ROWS_MAX`] | [`StoreError::RangeTooLong`] |
//! | closures that wait for the writer | [`QUEUE_CLOSURES_MAX`] | `run` waits for room, first come first served |
//!
//! On the local disk waiting in `run` has no time-out: the writer always moves on, fails, or waits for the disk. A
//! caller that cannot wait drops the future.
//!
//! # Back ends
//! | module | where rows are |
//! |---|---|
//! | `embedded` | on the local disk, one server |
//! | `foundationdb` (feature `foundationdb`) | in a FoundationDB cluster, any number of servers |
//! | `memory` (feature `simulation`) | on a simulated disk, for tests that run a whole system on one thread and its clock |
//! | `shared` (feature `simulation`) | there too, shared by several servers, with trouble on the way |
//!
//! `serial` is what those share that run closures one after another; `account` and `limits` are what all share.
//!
//! # Not here
//! What the rows mean: see `rows`. There are no secondary indexes, no watches and no versions to read at.

mod account;
mod counts;
mod embedded;
mod error;
#[cfg(feature = "foundationdb")]
mod foundationdb;
mod handle;
mod limits;
#[cfg(feature = "simulation")]
mod memory;
mod options;
mod range;
mod serial;
#[cfg(feature = "simulation")]
mod shared;
mod tally;
mod transaction;

pub use counts::{CompactProgress, StoreCounts};
pub use error::{Health, RunError, StoreError};
pub use handle::Store;
pub use limits::{
    KEY_BYTES_MAX, QUEUE_CLOSURES_MAX, RANGE_ROWS_MAX, READ_TIME_MAX, RUN_TIME_MAX, SNAPSHOT_TIME_MAX,
    TRANSACTION_BYTES_MAX, TRANSACTION_TIME_MAX, VALUE_BYTES_MAX,
};
#[cfg(feature = "simulation")]
pub use memory::MemoryDisk;
#[cfg(feature = "fault-injection")]
pub use options::StoreFault;
pub use options::{FoundationDbOptions, StoreOptions};
pub use range::KeyRange;
#[cfg(feature = "simulation")]
pub use shared::{SharedHandle, SharedStore, StoreTrouble, StoreTroubleCounts};
pub use tally::TransactionTally;
#[cfg(feature = "fault-injection")]
pub use tally::{StoreTallied, StoreTally};
pub use transaction::{Snapshot, Transaction};
