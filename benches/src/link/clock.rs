//! The two clocks of the emulator: the time, and what its own thread has used of the processor.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// The time since some moment in the past; never goes back. The same clock as `std::time::Instant`.
pub(super) fn now() -> Duration {
    duration(clock_gettime(ClockId::Monotonic))
}

/// Processor time of the calling thread.
pub(super) fn thread_processor_time() -> Duration {
    duration(clock_gettime(ClockId::ThreadCPUTime))
}

/// For a system call that waits.
pub(super) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

fn duration(time: Timespec) -> Duration {
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}
