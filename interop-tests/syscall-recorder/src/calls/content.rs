//! What changes the content and length of files.

use std::ffi::{c_int, c_long, c_void};

use libc::{iovec, off64_t, size_t, ssize_t};

use super::{below, call, set_errno};
use crate::state::{Record, recorder, stat_fd};

/// Records what was written at `offset` (where the file ended, for a file opened to append), or acknowledges.
fn written(
    fd: c_int,
    offset: Option<off64_t>,
    write: impl FnOnce() -> c_long,
    read: impl Fn(usize) -> Vec<u8>,
) -> ssize_t {
    let Some(file) = stat_fd(fd).filter(|file| file.is_regular) else { return write() as ssize_t };
    let Some(mut recorder) = recorder() else { return write() as ssize_t };
    if recorder.is_acks(file.inode) {
        let wrote = write();
        if let Ok(bytes) = usize::try_from(wrote) {
            recorder.append(Record::new(b'A').bytes(&read(bytes)));
        }
        return wrote as ssize_t;
    }
    if !recorder.is_below(&file) {
        return write() as ssize_t;
    }
    // SAFETY: F_GETFL has no further argument.
    let appends = unsafe { libc::fcntl(fd, libc::F_GETFL) } & libc::O_APPEND != 0;
    // The file cannot change in between: everybody who writes holds the lock.
    let size = stat_fd(fd).map_or(0, |file| file.size);
    let offset = match offset {
        _ if appends => size,
        Some(offset) => offset as u64,
        None => call!(SYS_lseek, fd, 0, libc::SEEK_CUR) as u64,
    };
    if !recorder.has_space() {
        return set_errno(libc::ENOSPC) as ssize_t;
    }
    let wrote = write();
    if let Ok(bytes) = usize::try_from(wrote) {
        recorder.use_space(bytes as u64);
        recorder.append(Record::new(b'W').number(file.inode).number(offset).bytes(&read(bytes)));
    }
    wrote as ssize_t
}

fn copied(buffer: *const c_void, length: usize) -> Vec<u8> {
    // SAFETY: the kernel has just read that many bytes from the caller's buffer.
    unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), length) }.to_vec()
}

fn gathered(vectors: *const iovec, count: c_int, length: usize) -> Vec<u8> {
    // SAFETY: the caller passes that many vectors, and the kernel has just read them.
    let vectors = unsafe { std::slice::from_raw_parts(vectors, count.max(0) as usize) };
    let mut bytes: Vec<u8> =
        vectors.iter().flat_map(|vector| copied(vector.iov_base, vector.iov_len)).collect();
    bytes.truncate(length);
    bytes
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, length: size_t) -> ssize_t {
    written(fd, None, || call!(SYS_write, fd, buffer, length), |wrote| copied(buffer, wrote))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn writev(fd: c_int, vectors: *const iovec, count: c_int) -> ssize_t {
    written(fd, None, || call!(SYS_writev, fd, vectors, count), |wrote| gathered(vectors, count, wrote))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn pwrite(
    fd: c_int,
    buffer: *const c_void,
    length: size_t,
    offset: off64_t,
) -> ssize_t {
    written(
        fd,
        Some(offset),
        || call!(SYS_pwrite64, fd, buffer, length, offset),
        |wrote| copied(buffer, wrote),
    )
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn pwrite64(
    fd: c_int,
    buffer: *const c_void,
    length: size_t,
    offset: off64_t,
) -> ssize_t {
    // SAFETY: the same function.
    unsafe { pwrite(fd, buffer, length, offset) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn pwritev(
    fd: c_int,
    vectors: *const iovec,
    count: c_int,
    offset: off64_t,
) -> ssize_t {
    let write = || call!(SYS_pwritev, fd, vectors, count, offset, 0);
    written(fd, Some(offset), write, |wrote| gathered(vectors, count, wrote))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn pwritev64(
    fd: c_int,
    vectors: *const iovec,
    count: c_int,
    offset: off64_t,
) -> ssize_t {
    // SAFETY: the same function.
    unsafe { pwritev(fd, vectors, count, offset) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn ftruncate(fd: c_int, length: off64_t) -> c_int {
    let below = below(fd);
    let done = call!(SYS_ftruncate, fd, length) as c_int;
    if let Some((mut recorder, file)) = below.filter(|_| done == 0) {
        recorder.append(Record::new(b'T').number(file.inode).number(length as u64));
    }
    done
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn ftruncate64(fd: c_int, length: off64_t) -> c_int {
    // SAFETY: the same function.
    unsafe { ftruncate(fd, length) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn fallocate(fd: c_int, mode: c_int, offset: off64_t, length: off64_t) -> c_int {
    let below = below(fd);
    let done = call!(SYS_fallocate, fd, mode, offset, length) as c_int;
    if let Some((mut recorder, file)) = below.filter(|_| done == 0) {
        let end = (offset + length) as u64;
        match mode {
            0 if end > file.size => recorder.append(Record::new(b'T').number(file.inode).number(end)),
            0 | libc::FALLOC_FL_KEEP_SIZE => {}
            _ => recorder.forbid("fallocate that changes data"),
        }
    }
    done
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn fallocate64(
    fd: c_int,
    mode: c_int,
    offset: off64_t,
    length: off64_t,
) -> c_int {
    // SAFETY: the same function.
    unsafe { fallocate(fd, mode, offset, length) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn posix_fallocate(fd: c_int, offset: off64_t, length: off64_t) -> c_int {
    // SAFETY: the same arguments.
    if unsafe { fallocate(fd, 0, offset, length) } == 0 {
        return 0;
    }
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn posix_fallocate64(fd: c_int, offset: off64_t, length: off64_t) -> c_int {
    // SAFETY: the same function.
    unsafe { posix_fallocate(fd, offset, length) }
}
