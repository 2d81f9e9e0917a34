//! A server in a process of its own: Fulmar's, or that of a floor. It is this very program, started with `serve`.
//!
//! The process says on its standard output where it listens, or why it does not, and ends when its standard input
//! does: with its parent, however that ends. It is in a process group of its own, so that Ctrl-C reaches it only
//! through its parent.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use clap::{Args, ValueEnum};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Child,
};

use crate::{credentials::Credentials, error::BenchError, floors, place::Place, system};

/// How long a server that was killed may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// How long a server may take to listen.
const LISTENS_WITHIN: Duration = Duration::from_secs(30);

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Fulmar itself.
    Fulmar,
    /// The raw relay: [`system::relay`].
    Relay,
    /// The raw echo, which also pushes: [`floors::raw_server`].
    Raw,
}

/// What the process is told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Which server.
    #[arg(long)]
    kind: Kind,
    /// Where it listens.
    #[arg(long)]
    listen: SocketAddr,
    /// The folder with its credentials and data.
    #[arg(long)]
    folder: PathBuf,
}

/// A running server process; killed when dropped.
pub(crate) struct ServerProcess {
    child: Child,
    id: u32,
    address: SocketAddr,
}

impl ServerProcess {
    /// Starts it at a place whose folder has credentials. Port 0: the system chooses.
    pub(crate) async fn start(place: &Place, kind: Kind, port: u16) -> Result<Self, BenchError> {
        let name = kind.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let mut child = place
            .command(std::env::current_exe()?)
            .args(["serve", "--kind", &name, "--listen"])
            .arg(SocketAddr::new(place.address(), port).to_string())
            .arg("--folder")
            .arg(place.folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let id = child.id().ok_or(BenchError::ServerGone)?;
        let stdout = child.stdout.take().ok_or(BenchError::ServerGone)?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(LISTENS_WITHIN, lines.next_line()).await;
        let line = line.map_err(|_| BenchError::Wrong(format!("the {name} server does not listen")))?;
        let line = line?.ok_or(BenchError::ServerGone)?;
        match line.split_once(' ') {
            Some(("listening", address)) => {
                let address = address.parse().map_err(BenchError::wrong)?;
                Ok(Self { child, id, address })
            }
            _ => Err(BenchError::Wrong(format!("the {name} server did not start: {line}"))),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Kills it, as a crash would, and waits until it is gone.
    pub(crate) async fn kill(&mut self) -> Result<(), BenchError> {
        Ok(self.child.kill().await?)
    }
}

impl Drop for ServerProcess {
    /// Waits until it is gone, so that it writes nothing into a folder that is being removed.
    fn drop(&mut self) {
        let _ = self.child.start_kill();
        let deadline = tokio::time::Instant::now() + GONE_WITHIN;
        while matches!(self.child.try_wait(), Ok(None)) && tokio::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The process's own main: serves until standard input ends.
pub(crate) async fn serve(options: Options) -> Result<(), BenchError> {
    let credentials = Credentials::open(&options.folder);
    let started = start(&options, &credentials).await;
    match &started {
        Ok((address, _)) => say(&format!("listening {address}"))?,
        Err(error) => say(&error.to_string())?,
    }
    let _running = started?;
    let mut nothing = Vec::new();
    let _ = tokio::io::stdin().read_to_end(&mut nothing).await;
    Ok(())
}

/// Whatever keeps a server running.
type Kept = Box<dyn std::any::Any + Send>;

async fn start(options: &Options, credentials: &Credentials) -> Result<(SocketAddr, Kept), BenchError> {
    let folder: &Path = &options.folder;
    Ok(match options.kind {
        Kind::Fulmar => {
            let server = system::fulmar::serve(folder, options.listen, credentials).await?;
            (server.address(), Box::new(server))
        }
        Kind::Relay => {
            let endpoint = system::relay::serve(options.listen, credentials)?;
            (endpoint.local_addr()?, Box::new(endpoint))
        }
        Kind::Raw => {
            let endpoint = floors::raw_server::serve(options.listen, credentials)?;
            (endpoint.local_addr()?, Box::new(endpoint))
        }
    })
}

#[expect(clippy::print_stdout, reason = "the parent process reads this")]
fn say(line: &str) -> Result<(), BenchError> {
    use std::io::Write;
    println!("{}", line.replace('\n', " "));
    Ok(std::io::stdout().flush()?)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = Credentials::create(folder.path(), Ipv4Addr::LOCALHOST.into()).unwrap();
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let listen = taken.local_addr().unwrap();
        for kind in [Kind::Fulmar, Kind::Relay, Kind::Raw] {
            let options = Options { kind, listen, folder: folder.path().to_owned() };
            let error = start(&options, &credentials).await.err().unwrap().to_string();
            assert!(error.contains(&format!("cannot listen on {listen}")), "{kind:?}: {error}");
        }
    }
}
