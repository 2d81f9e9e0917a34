//! Where a system's server runs: a temporary folder, and an address that its clients reach, on loopback or behind an
//! emulated link.

use std::{
    ffi::OsStr,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use tokio::process::Command;

use crate::{
    error::BenchError,
    link::{Link, Namespace, dying_with_us},
};

/// The name that every server's certificate has, beside the address.
pub(crate) const SERVER_NAME: &str = "localhost";

/// See the module. Its folder is removed with it.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    address: IpAddr,
    /// Where its programs run, if not where this one does.
    namespace: Option<Namespace>,
}

impl Place {
    /// On loopback.
    pub(crate) fn loopback() -> Result<Self, BenchError> {
        Ok(Self { folder: folder()?, address: Ipv4Addr::LOCALHOST.into(), namespace: None })
    }

    /// At the server's end of a link.
    pub(crate) fn behind(link: &Link) -> Result<Self, BenchError> {
        let namespace = Some(link.server().clone());
        Ok(Self { folder: folder()?, address: link.server_address().into(), namespace })
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
    /// when this process dies. Start it from a thread that lives as long as the server is to, as those of a runtime do
    /// outside `spawn_blocking`: the kernel kills it with the thread. A program that is not there is an error when it is
    /// started.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::from(match &self.namespace {
            Some(namespace) => namespace.command(program),
            None => dying_with_us(program.as_ref(), None),
        });
        command.current_dir(self.folder()).kill_on_drop(true);
        command
    }
}

fn folder() -> std::io::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("fulmar-bench-").tempdir()
}
