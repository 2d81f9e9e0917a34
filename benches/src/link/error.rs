//! Why there is no link.

use std::path::PathBuf;

use fulmar_network_model::TraceError;

/// Each message says what to do next.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error(
        "a link needs root, as it makes network namespaces: run it with sudo, everything else runs without"
    )]
    NotRoot,
    #[error(
        "the kernel refuses a network namespace ({0}): in a container, give it the capabilities SYS_ADMIN and NET_ADMIN"
    )]
    Namespace(std::io::Error),
    #[error("a link needs the command `ip`: apt-get install iproute2")]
    NoIp,
    #[error("a link needs /dev/net/tun: modprobe tun; in a container, --device /dev/net/tun")]
    NoTun,
    #[error("no TUN device ({0}): a link needs the kernel's module tun and the capability NET_ADMIN")]
    Device(std::io::Error),
    #[error("`ip` failed while it set up {name}: {complaint}")]
    Ip { name: &'static str, complaint: String },
    #[error("{}: {error}", path.display())]
    TraceFile { path: PathBuf, error: std::io::Error },
    #[error("{}: longer than the {max} bytes that a trace may have", path.display())]
    TraceTooLong { path: PathBuf, max: u64 },
    #[error("{}: {error}", path.display())]
    Trace { path: PathBuf, error: TraceError },
    #[error("the emulator ended before its time: {0}")]
    Ended(String),
    #[error("{0}: no such program, neither there nor in PATH")]
    NoProgram(String),
    #[error("{program}: {error}")]
    Program { program: String, error: std::io::Error },
    #[error("{0}")]
    Io(#[from] std::io::Error),
}
