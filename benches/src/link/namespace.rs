//! A network namespace without a name: nothing but this process and those in it hold it, so nothing is left of it when
//! they are gone, however they went.
//!
//! A thread [enters](Namespace::enter) and stays; what it then opens or starts is inside.

use std::{
    ffi::OsStr,
    fs::File,
    os::fd::{AsFd, AsRawFd},
    path::PathBuf,
    sync::Arc,
};

use nix::sched::{CloneFlags, setns, unshare};

use super::{error::LinkError, programs};

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Namespace {
    file: Arc<File>,
}

impl Namespace {
    /// A new one, in which only a loopback device is, and down.
    pub(super) fn create() -> Result<Self, LinkError> {
        let made = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net")
        });
        match made.join().unwrap_or_else(|_| Err(std::io::Error::other("a thread panicked"))) {
            Ok(file) => Ok(Self { file: Arc::new(file) }),
            Err(error)
                if error.kind() == std::io::ErrorKind::PermissionDenied
                    && !rustix::process::geteuid().is_root() =>
            {
                Err(LinkError::NotRoot)
            }
            Err(error) => Err(LinkError::Namespace(error)),
        }
    }

    /// Takes the calling thread inside, for good. Threads and processes that it starts from now on are inside too;
    /// sockets that it has already stay where they were made.
    pub(crate) fn enter(&self) -> std::io::Result<()> {
        Ok(setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET)?)
    }

    /// Does something inside, in a thread of its own.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, LinkError> + Send + 'static,
    ) -> Result<T, LinkError> {
        let namespace = self.clone();
        let thread = std::thread::spawn(move || {
            namespace.enter().map_err(LinkError::Namespace)?;
            work()
        });
        thread.join().unwrap_or_else(|_| Err(LinkError::Ended("a thread panicked".into())))
    }

    /// A command inside, killed with SIGKILL when the thread that starts it ends, and so when this process dies. Its
    /// process id is the program's own.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> std::process::Command {
        programs::dying_with_us(program.as_ref(), Some(&self.path()))
    }

    /// Where another process of this machine finds it while this one lives.
    fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()).into()
    }
}
