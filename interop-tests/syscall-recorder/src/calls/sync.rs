//! Syncs, and what cannot be recorded.

use std::ffi::{c_int, c_long, c_uint, c_void};

use libc::{off64_t, size_t, ssize_t, timespec};

use super::{below, call, set_errno};
use crate::state::{Record, recorder};

/// How long a sync of something below the root takes.
static SYNC_TIME: timespec = timespec { tv_sec: 0, tv_nsec: 100_000 };

/// A sync of one inode, or of everything (0).
///
/// What is below the root is not really synced, since what a power cut leaves is worked out from the trace. It
/// takes its time, so that others write meanwhile as they would with a disk.
fn sync_of(inode: Option<u64>, sync: impl FnOnce() -> c_long) -> c_int {
    let Some((inode, mut begun)) = inode.zip(recorder()) else { return sync() as c_int };
    let number = begun.next_sync();
    begun.append(Record::new(b'B').number(number).number(inode));
    drop(begun);
    call!(SYS_nanosleep, &raw const SYNC_TIME, std::ptr::null::<timespec>());
    let Some(mut ended) = recorder() else { return 0 };
    let succeeds = ended.end_sync();
    ended.append(Record::new(b'E').number(number).number(succeeds.into()));
    if succeeds { 0 } else { set_errno(libc::EIO) as c_int }
}

fn inode_below(fd: c_int) -> Option<u64> {
    below(fd).map(|(_, file)| file.inode)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    sync_of(inode_below(fd), || call!(SYS_fsync, fd))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    sync_of(inode_below(fd), || call!(SYS_fdatasync, fd))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn syncfs(fd: c_int) -> c_int {
    sync_of(inode_below(fd).map(|_| 0), || call!(SYS_syncfs, fd))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn sync() {
    sync_of(Some(0), || call!(SYS_sync));
}

/// Does what is not recorded; with a file below the root that makes the trace worthless, which it then says.
fn unrecorded(fd: c_int, what: &str, action: impl FnOnce() -> c_long) -> c_long {
    if let Some((mut recorder, _)) = below(fd) {
        recorder.forbid(what);
    }
    action()
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn mmap(
    address: *mut c_void,
    length: size_t,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: off64_t,
) -> *mut c_void {
    let map = || call!(SYS_mmap, address, length, protection, flags, fd, offset);
    let mapped = if fd >= 0 && flags & libc::MAP_SHARED != 0 && protection & libc::PROT_WRITE != 0 {
        unrecorded(fd, "a shared writable mapping", map)
    } else {
        map()
    };
    mapped as *mut c_void
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn mmap64(
    address: *mut c_void,
    length: size_t,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: off64_t,
) -> *mut c_void {
    // SAFETY: the same function.
    unsafe { mmap(address, length, protection, flags, fd, offset) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn copy_file_range(
    from: c_int,
    from_offset: *mut off64_t,
    to: c_int,
    to_offset: *mut off64_t,
    length: size_t,
    flags: c_uint,
) -> ssize_t {
    unrecorded(to, "copy_file_range", || {
        call!(SYS_copy_file_range, from, from_offset, to, to_offset, length, flags)
    }) as ssize_t
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn sendfile64(
    to: c_int,
    from: c_int,
    offset: *mut off64_t,
    length: size_t,
) -> ssize_t {
    unrecorded(to, "sendfile", || call!(SYS_sendfile, to, from, offset, length)) as ssize_t
}
