//! What changes folders: making, renaming and removing files and folders.

use std::ffi::{CStr, c_char, c_int, c_uint};

use super::{call, name};
use crate::state::{Record, parent, recorder, stat_at, stat_fd};

fn open_at(folder: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    let changes = flags & (libc::O_CREAT | libc::O_TRUNC) != 0;
    let Some(mut recorder) = changes.then(recorder).flatten() else {
        return call!(SYS_openat, folder, path, flags, mode) as c_int;
    };
    let before = stat_at(folder, name!(path));
    let fd = call!(SYS_openat, folder, path, flags, mode) as c_int;
    let Some((opened, (parent, name))) =
        (fd >= 0).then(|| stat_fd(fd).zip(parent(folder, name!(path)))).flatten()
    else {
        return fd;
    };
    if before.is_none() && recorder.is_below(&parent) {
        recorder.add(opened.inode);
        recorder.append(Record::new(b'C').number(parent.inode).bytes(&name).number(opened.inode));
    } else if flags & libc::O_TRUNC != 0 && recorder.is_below(&opened) {
        recorder.append(Record::new(b'T').number(opened.inode).number(0));
    }
    fd
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    open_at(libc::AT_FDCWD, path, flags, mode)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    open_at(libc::AT_FDCWD, path, flags | libc::O_LARGEFILE, mode)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn openat(
    folder: c_int,
    path: *const c_char,
    flags: c_int,
    mode: c_uint,
) -> c_int {
    open_at(folder, path, flags, mode)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn openat64(
    folder: c_int,
    path: *const c_char,
    flags: c_int,
    mode: c_uint,
) -> c_int {
    open_at(folder, path, flags | libc::O_LARGEFILE, mode)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn creat(path: *const c_char, mode: c_uint) -> c_int {
    open_at(libc::AT_FDCWD, path, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, mode)
}

fn rename_at(
    from_folder: c_int,
    from: *const c_char,
    to_folder: c_int,
    to: *const c_char,
    flags: c_uint,
) -> c_int {
    let recorder = recorder();
    let replaced = stat_at(to_folder, name!(to));
    let done = call!(SYS_renameat2, from_folder, from, to_folder, to, flags) as c_int;
    let parents = parent(from_folder, name!(from)).zip(parent(to_folder, name!(to)));
    if let (Some(mut recorder), Some(((old, old_name), (new, new_name))), 0) = (recorder, parents, done) {
        match (recorder.is_below(&old), recorder.is_below(&new)) {
            (false, false) => {}
            (true, true) if old.inode == new.inode && flags & !libc::RENAME_NOREPLACE == 0 => {
                if let Some(replaced) = replaced {
                    recorder.forget(replaced.inode);
                }
                recorder.append(Record::new(b'R').number(old.inode).bytes(&old_name).bytes(&new_name));
            }
            _ => recorder.forbid("rename between folders, or exchange"),
        }
    }
    done
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    rename_at(libc::AT_FDCWD, from, libc::AT_FDCWD, to, 0)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn renameat(
    a: c_int,
    from: *const c_char,
    b: c_int,
    to: *const c_char,
) -> c_int {
    rename_at(a, from, b, to, 0)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn renameat2(
    a: c_int,
    from: *const c_char,
    b: c_int,
    to: *const c_char,
    flags: c_uint,
) -> c_int {
    rename_at(a, from, b, to, flags)
}

fn unlink_at(folder: c_int, path: *const c_char, flags: c_int) -> c_int {
    let recorder = recorder();
    let removed = stat_at(folder, name!(path));
    let done = call!(SYS_unlinkat, folder, path, flags) as c_int;
    let parent = parent(folder, name!(path));
    if let (Some(mut recorder), Some(removed), Some((parent, name)), 0) = (recorder, removed, parent, done)
        && recorder.is_below(&parent)
    {
        if flags & libc::AT_REMOVEDIR != 0 || removed.links <= 1 {
            recorder.forget(removed.inode);
        }
        recorder.append(Record::new(b'U').number(parent.inode).bytes(&name));
    }
    done
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    unlink_at(libc::AT_FDCWD, path, 0)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn unlinkat(folder: c_int, path: *const c_char, flags: c_int) -> c_int {
    unlink_at(folder, path, flags)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rmdir(path: *const c_char) -> c_int {
    unlink_at(libc::AT_FDCWD, path, libc::AT_REMOVEDIR)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn mkdirat(folder: c_int, path: *const c_char, mode: c_uint) -> c_int {
    let recorder = recorder();
    let done = call!(SYS_mkdirat, folder, path, mode) as c_int;
    let made = stat_at(folder, name!(path)).zip(parent(folder, name!(path)));
    if let (Some(mut recorder), Some((made, (parent, name))), 0) = (recorder, made, done)
        && recorder.is_below(&parent)
    {
        recorder.add(made.inode);
        recorder.append(Record::new(b'M').number(parent.inode).bytes(&name).number(made.inode));
    }
    done
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn mkdir(path: *const c_char, mode: c_uint) -> c_int {
    // SAFETY: the same arguments.
    unsafe { mkdirat(libc::AT_FDCWD, path, mode) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn linkat(
    a: c_int,
    from: *const c_char,
    b: c_int,
    to: *const c_char,
    flags: c_int,
) -> c_int {
    let done = call!(SYS_linkat, a, from, b, to, flags) as c_int;
    if let Some((parent, _)) = parent(b, name!(to))
        && let Some(mut recorder) = recorder()
        && recorder.is_below(&parent)
    {
        recorder.forbid("a hard link");
    }
    done
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn link(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the same arguments.
    unsafe { linkat(libc::AT_FDCWD, from, libc::AT_FDCWD, to, 0) }
}
