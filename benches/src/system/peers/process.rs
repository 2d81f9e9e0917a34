//! A peer's server: its process and its folder, both gone when this is dropped.

use std::{
    fs::File,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::Stdio,
    time::Duration,
};

use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use super::certificate::Certificate;
use crate::{error::BenchError, place::Place};

/// How long a broker may take to start.
pub(super) const BROKER_START_MAX: Duration = Duration::from_secs(15);
/// How long a killed process may take to be gone.
const ENDING_MAX: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const LOG: &str = "log.txt";
/// Descendants that are looked at.
const PROCESSES_MAX: usize = 1_024;

/// A folder, a port and a certificate for a server that is to be started.
pub(super) struct Preparation {
    pub(super) folder: tempfile::TempDir,
    pub(super) address: SocketAddr,
    pub(super) certificate: Certificate,
}

impl Preparation {
    pub(super) fn new(place: &Place, name: &str) -> Result<Self, BenchError> {
        let folder = tempfile::Builder::new().prefix(name).tempdir_in(place.folder())?;
        let certificate = Certificate::make(folder.path(), place.address())?;
        Ok(Self { address: free_port(place.address())?, folder, certificate })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<std::path::PathBuf, BenchError> {
        let path = self.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// Starts the server, and waits until it takes connections. What it says goes to a file in the folder.
    pub(super) async fn start(
        self,
        mut command: Command,
        start_max: Duration,
    ) -> Result<ServerProcess, BenchError> {
        let log = File::create(self.path().join(LOG))?;
        // In a process group of its own, so that Ctrl-C reaches it only through this process.
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .current_dir(self.path())
            .process_group(0);
        let mut server = ServerProcess { child: command.spawn()?, at: self, known: Vec::new() };
        let deadline = Instant::now() + start_max;
        loop {
            if let Some(status) = server.child.try_wait()? {
                return Err(server.failed(&format!("ended at once ({status})")));
            }
            // Through a slow link a handshake takes a while.
            if let Ok(Ok(_)) = timeout(Duration::from_secs(5), TcpStream::connect(server.at.address)).await {
                server.known = server.processes();
                return Ok(server);
            }
            if Instant::now() > deadline {
                return Err(server.failed(&format!("took no connections within {} s", start_max.as_secs())));
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}

/// See the module.
pub(super) struct ServerProcess {
    // Before the folder, which it writes to.
    child: Child,
    pub(super) at: Preparation,
    /// Its processes when it took its first connection: helpers are nobody's children once it is dead.
    known: Vec<u32>,
}

impl ServerProcess {
    /// The process and all that descend from it.
    pub(super) fn processes(&self) -> Vec<u32> {
        let mut found: Vec<u32> = self.child.id().into_iter().collect();
        let mut next = 0;
        while let Some(process) = found.get(next).copied()
            && found.len() < PROCESSES_MAX
        {
            found.extend(children(process));
            next += 1;
        }
        found
    }

    /// What it has said so far.
    pub(super) fn log(&self) -> String {
        std::fs::read(self.at.path().join(LOG))
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }

    /// Says what went wrong, with the last that the server said.
    pub(super) fn failed(&self, what: &str) -> BenchError {
        let log = self.log();
        let in_use = ["in use", "eaddrinuse"].iter().any(|sign| log.to_ascii_lowercase().contains(sign));
        let hint = if in_use {
            format!(": port {} is in use; run it again", self.at.address.port())
        } else {
            String::new()
        };
        let last = log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        let program = self.at.path().file_name().map(|name| name.to_string_lossy().into_owned());
        BenchError::Wrong(format!("the server {} {what}{hint}: {last}", program.unwrap_or_default()))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let mut all = self.processes();
        all.append(&mut self.known);
        // It may have ended by itself.
        let _ = self.child.start_kill();
        let mut waited = Duration::ZERO;
        while waited < ENDING_MAX {
            let ended = matches!(self.child.try_wait(), Ok(Some(_)) | Err(_));
            if ended && all.iter().all(|process| !is_alive(*process)) {
                return;
            }
            std::thread::sleep(LOOK_AGAIN);
            waited += LOOK_AGAIN;
        }
    }
}

fn children(process: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let files = threads.flatten().map(|thread| thread.path().join("children"));
    let lists = files.filter_map(|file| std::fs::read_to_string(file).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// One that nobody has waited for yet has ended all the same.
pub(super) fn is_alive(process: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

/// A port that nobody uses. An address that is not this process's own is one that has no other users.
pub(super) fn free_port(address: IpAddr) -> Result<SocketAddr, BenchError> {
    let listener =
        TcpListener::bind((address, 0)).or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(SocketAddr::new(address, listener.local_addr()?.port()))
}

/// A program on `PATH`, or in a folder where system daemons are; else a line that says how to install it.
pub(super) fn program(name: &str, install: &str) -> Result<std::path::PathBuf, BenchError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let daemons = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(std::path::PathBuf::from);
    std::env::split_paths(&path)
        .chain(daemons)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| BenchError::NotInstalled { what: name.into(), install: install.into() })
}

/// The first word of a program's output that looks like a version.
pub(super) async fn version(command: &mut Command) -> Result<String, BenchError> {
    let output = command.stdin(Stdio::null()).output().await?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let words = text.split(|one: char| one.is_whitespace() || one == '/' || one == '-');
    let words = words.map(|word| word.trim_start_matches('v').trim_end_matches(','));
    let is_version =
        |word: &&str| word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.');
    Ok(words.into_iter().find(is_version).unwrap_or("unknown").to_owned())
}
