//! Where a system's server runs: a temporary folder, and an address that its clients reach, on loopback or behind an
//! emulated link.

use std::{ffi::OsStr, net::IpAddr, path::Path};

use tokio::process::Command;

use crate::error::BenchError;

/// The name that every server's certificate has, beside the address.
pub(crate) const SERVER_NAME: &str = "localhost";

/// See the module. Its folder is removed with it.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    address: IpAddr,
}

impl Place {
    /// On loopback.
    pub(crate) fn loopback() -> Result<Self, BenchError> {
        let folder = tempfile::Builder::new().prefix("fulmar-bench-").tempdir()?;
        Ok(Self { folder, address: std::net::Ipv4Addr::LOCALHOST.into() })
    }

    /// An empty folder for the server, removed with the place.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the server is to listen on, and what clients connect to.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// A command that runs a program where the server is to be: in its network, in its folder, killed when dropped and
    /// when this process dies.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder()).kill_on_drop(true);
        command
    }
}
