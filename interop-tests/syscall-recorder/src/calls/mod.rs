//! The C library's functions, taken over.
//!
//! Each has the signature of the function that it replaces, so what a caller must keep is what it must keep
//! there: paths are C strings, buffers are as long as said. That is the whole safety argument of each.
#![allow(clippy::missing_safety_doc, reason = "the C library's own, see above")]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as the C library converts them")]

mod content;
mod names;
mod sync;

use std::{
    ffi::{c_int, c_long},
    sync::MutexGuard,
};

use crate::state::{Recorder, Stat, recorder, stat_fd};

/// One raw system call.
macro_rules! call {
    ($number:ident $(, $argument:expr)*) => {
        // SAFETY: the arguments are the caller's, for the call that the caller asked for.
        unsafe { libc::syscall(libc::$number $(, $argument)*) }
    };
}
use call;

/// The path that a caller passed.
macro_rules! name {
    ($path:expr) => {
        // SAFETY: the caller passes a C string.
        unsafe { CStr::from_ptr($path) }
    };
}
use name;

/// The recorder and the file, when the descriptor is one of a file below the root.
pub(super) fn below(fd: c_int) -> Option<(MutexGuard<'static, Recorder>, Stat)> {
    let file = stat_fd(fd)?;
    let recorder = recorder()?;
    recorder.is_below(&file).then_some((recorder, file))
}

/// What a failed call leaves behind and returns.
fn set_errno(errno: c_int) -> c_long {
    // SAFETY: the C library gives a valid pointer to the thread's own errno.
    unsafe { *libc::__errno_location() = errno };
    -1
}
