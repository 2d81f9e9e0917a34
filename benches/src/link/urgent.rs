//! Threads that must run when they want to: the one that is the link, and those that measure it.
//!
//! A kernel moves packets before any program runs, so the emulator takes its processor before others too. The kernel
//! itself sees to it that such threads leave a twentieth of the time to everybody else.

use std::num::NonZeroU64;

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Among threads that go first.
const PRIORITY: u8 = 10;
/// Where the kernel lets nobody go first: the highest of ordinary priorities.
const NICENESS: i32 = -20;

/// Lets the calling thread go before others, and wakes it when its timers end and not up to 50 us later. What cannot be
/// had is done without: the link then works as well, only less exactly.
pub(super) fn become_urgent() {
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    let priority = ThreadPriorityValue::try_from(PRIORITY).map(ThreadPriority::Crossplatform);
    let first = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let is_first = priority
        .is_ok_and(|priority| set_thread_priority_and_policy(thread_native_id(), priority, first).is_ok());
    if !is_first {
        let _ = rustix::process::setpriority_process(None, NICENESS);
    }
}
