//! What is known of the folder, and the trace.
//!
//! The trace is a sequence of records, each a tag byte and its fields: integers as 8 bytes little-endian, bytes
//! with their length before them. `interop-tests/src/power_cut/trace.rs` reads it.

use std::{
    collections::HashSet,
    ffi::{CStr, CString, OsStr, c_int, c_void},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

pub(crate) struct Recorder {
    /// Inodes of the files and folders below the root, itself included.
    below: HashSet<u64>,
    device: u64,
    acks: u64,
    trace: c_int,
    next_sync: u64,
    /// Bytes that may still be written.
    space: u64,
    /// Syncs until one fails.
    syncs: u64,
    /// Records until the process is ended.
    stop_after: u64,
}

/// A record to be.
pub(crate) struct Record(Vec<u8>);

impl Record {
    pub(crate) fn new(tag: u8) -> Self {
        Self(vec![tag])
    }

    pub(crate) fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
        self
    }
}

/// The recorder, locked; none where the process is not to be recorded.
pub(crate) fn recorder() -> Option<MutexGuard<'static, Recorder>> {
    static RECORDER: OnceLock<Option<Mutex<Recorder>>> = OnceLock::new();
    let recorder = RECORDER.get_or_init(|| Recorder::from_environment().map(Mutex::new));
    recorder.as_ref().map(|recorder| recorder.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Recorder {
    /// Without the variables there is nothing to do. With wrong ones the process ends: a test that records
    /// nothing must not pass.
    fn from_environment() -> Option<Self> {
        let root = std::env::var_os("FULMAR_RECORD_ROOT")?;
        let begun = std::env::var_os("FULMAR_RECORD_TRACE")
            .zip(std::env::var_os("FULMAR_RECORD_ACKS"))
            .and_then(|(trace, acks)| Self::begin(Path::new(&root), &trace, Path::new(&acks)).ok());
        if begun.is_none() {
            std::process::abort();
        }
        begun
    }

    fn begin(root: &Path, trace: &OsStr, acks: &Path) -> std::io::Result<Self> {
        let metadata = std::fs::metadata(root)?;
        let trace = CString::new(trace.as_bytes())?;
        let flags = libc::O_CREAT | libc::O_APPEND | libc::O_WRONLY | libc::O_CLOEXEC;
        // SAFETY: the path is a C string that outlives the call, and openat has no other requirement.
        let trace = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, trace.as_ptr(), flags, 0o600) };
        let trace = c_int::try_from(trace).ok().filter(|fd| *fd >= 0).ok_or(std::io::ErrorKind::Other)?;
        let acks = std::fs::metadata(acks)?.ino();
        let limit = |name| std::env::var(name).ok().and_then(|limit| limit.parse().ok()).unwrap_or(u64::MAX);
        let mut recorder = Self {
            below: HashSet::new(),
            device: metadata.dev(),
            acks,
            trace,
            next_sync: 0,
            space: limit("FULMAR_RECORD_SPACE"),
            syncs: limit("FULMAR_RECORD_SYNCS"),
            stop_after: limit("FULMAR_RECORD_STOP_AFTER"),
        };
        recorder.find_below(root)?;
        recorder.append(Record::new(b'S').number(metadata.ino()));
        Ok(recorder)
    }

    fn find_below(&mut self, path: &Path) -> std::io::Result<()> {
        let metadata = std::fs::symlink_metadata(path)?;
        self.below.insert(metadata.ino());
        if metadata.is_dir() {
            for entry in std::fs::read_dir(path)? {
                self.find_below(&entry?.path())?;
            }
        }
        Ok(())
    }

    pub(crate) fn append(&mut self, record: Record) {
        let mut rest = record.0.as_slice();
        while !rest.is_empty() {
            // SAFETY: the pointer and the length are those of a slice that outlives the call.
            let wrote = unsafe { libc::syscall(libc::SYS_write, self.trace, rest.as_ptr(), rest.len()) };
            match usize::try_from(wrote).ok().and_then(|wrote| rest.get(wrote..)) {
                Some(left) => rest = left,
                // A trace with a hole would prove nothing.
                None => std::process::abort(),
            }
        }
        self.stop_after -= 1;
        if self.stop_after == 0 {
            // The lock is held, so nobody else can do anything that is not recorded.
            // SAFETY: exit_group has no requirement; the process ends here.
            unsafe { libc::syscall(libc::SYS_exit_group, 0) };
        }
    }

    pub(crate) fn is_acks(&self, inode: u64) -> bool {
        self.acks == inode
    }

    pub(crate) fn is_below(&self, file: &Stat) -> bool {
        file.device == self.device && self.below.contains(&file.inode)
    }

    pub(crate) fn add(&mut self, inode: u64) {
        self.below.insert(inode);
    }

    /// Forgets an inode whose last name is gone: it may be given to another file, and what is still written to
    /// it cannot matter.
    pub(crate) fn forget(&mut self, inode: u64) {
        self.below.remove(&inode);
    }

    pub(crate) fn forbid(&mut self, what: &str) {
        self.append(Record::new(b'F').bytes(what.as_bytes()));
    }

    /// Whether the disk, as the process shall see it, has room.
    pub(crate) fn has_space(&self) -> bool {
        self.space > 0
    }

    pub(crate) fn use_space(&mut self, bytes: u64) {
        self.space = self.space.saturating_sub(bytes);
    }

    pub(crate) fn next_sync(&mut self) -> u64 {
        self.next_sync += 1;
        self.next_sync
    }

    /// Whether a sync succeeds.
    pub(crate) fn end_sync(&mut self) -> bool {
        self.syncs = self.syncs.wrapping_sub(1);
        // Only one fails: those after it succeed, as they do in truth, though what it lost stays lost.
        self.syncs != 0
    }
}

/// The few facts that are needed of a file.
#[derive(Clone, Copy)]
pub(crate) struct Stat {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) links: u64,
    pub(crate) size: u64,
    pub(crate) is_regular: bool,
}

/// A file by its descriptor.
pub(crate) fn stat_fd(fd: c_int) -> Option<Stat> {
    stat(fd, c"", libc::AT_EMPTY_PATH)
}

/// A file by its name. A link at the end is not followed.
pub(crate) fn stat_at(folder: c_int, path: &CStr) -> Option<Stat> {
    stat(folder, path, libc::AT_SYMLINK_NOFOLLOW)
}

fn stat(folder: c_int, path: &CStr, flags: c_int) -> Option<Stat> {
    // SAFETY: statx is plain data, for which all zeros is a value.
    let mut statx: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the path is a C string and the buffer one statx; both outlive the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_statx,
            folder,
            path.as_ptr(),
            flags,
            libc::STATX_BASIC_STATS,
            (&raw mut statx).cast::<c_void>(),
        )
    };
    (done == 0).then(|| Stat {
        device: libc::makedev(statx.stx_dev_major, statx.stx_dev_minor),
        inode: statx.stx_ino,
        links: statx.stx_nlink.into(),
        size: statx.stx_size,
        is_regular: u32::from(statx.stx_mode) & libc::S_IFMT == libc::S_IFREG,
    })
}

/// Where a path points to: the folder that holds it, and its name there.
pub(crate) fn parent(folder: c_int, path: &CStr) -> Option<(Stat, Vec<u8>)> {
    let path = path.to_bytes();
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
        Some(0) => (c"/".to_owned(), path.get(1..)?),
        Some(slash) => (CString::new(path.get(..slash)?).ok()?, path.get(slash + 1..)?),
        None => (c".".to_owned(), path),
    };
    // A parent may be a link to a folder, which the kernel follows.
    Some((stat(folder, &parent, 0)?, name.to_vec()))
}
