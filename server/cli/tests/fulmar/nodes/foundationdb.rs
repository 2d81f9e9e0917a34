//! A place in a FoundationDB cluster, and an `fdbserver` that a test may kill.

use std::fs::File;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{CLUSTER_FILE, SERVER, named_by};
use crate::fulmar::{now, run};

/// How long a new cluster may take until it takes writes.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// A prefix in a cluster, nobody else's.
pub(super) struct Place {
    pub(super) cluster_file: PathBuf,
    pub(super) prefix: String,
}

impl Place {
    /// In the cluster that the environment names, if it does.
    pub(super) fn found() -> Option<Self> {
        named_by(CLUSTER_FILE).map(Self::new)
    }

    pub(super) fn new(cluster_file: PathBuf) -> Self {
        let number = fulmar_server::Rng::from_os().unwrap().number();
        Self { cluster_file, prefix: format!("test-{number:016x}") }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The prefix is a string of the tuple encoding.
        let bounds = format!(r"\x02{0}\x00 \x02{0}\x01", self.prefix);
        let clear = format!("writemode on; clearrange {bounds}");
        // Where there is no such program the rows stay; they are in nobody's way.
        let _ = cli(&self.cluster_file).args(["--exec", &clear]).stdout(Stdio::null()).status();
    }
}

/// `fdbcli`: as named, beside the server, or wherever the system has it.
fn cli(cluster_file: &Path) -> Command {
    let beside = || {
        let path = PathBuf::from(std::env::var_os(SERVER)?).with_file_name("fdbcli");
        path.is_file().then_some(path)
    };
    let named = std::env::var_os("FULMAR_FDB_CLI").map(PathBuf::from);
    let path = named.or_else(beside).unwrap_or_else(|| PathBuf::from("fdbcli"));
    let mut command = Command::new(path);
    command.arg("-C").arg(cluster_file).args(["--timeout", "20"]).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

/// A cluster of one process, which can be killed. It ends with this handle.
pub(super) struct FdbServer {
    program: PathBuf,
    folder: TempDir,
    address: String,
    child: Option<Child>,
}

impl FdbServer {
    /// Starts a new cluster, if the environment names the program.
    pub(super) fn found() -> Option<Self> {
        let program = named_by(SERVER)?;
        let folder = tempfile::tempdir().unwrap();
        for name in ["data", "log"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        // FoundationDB wants TCP; a port that is free for the one is most likely free for the other.
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        std::fs::write(folder.path().join("fdb.cluster"), format!("test:test@{address}\n")).unwrap();
        let mut server = Self { program, folder, address, child: None };
        server.start();
        let started = now();
        let configure = ["--exec", "configure new single ssd"];
        while run(cli(&server.cluster_file()).args(configure)).code != Some(0) {
            assert!(started.elapsed() < START_TIME_MAX, "the new cluster was not configured");
        }
        Some(server)
    }

    pub(super) fn cluster_file(&self) -> PathBuf {
        self.folder.path().join("fdb.cluster")
    }

    pub(super) fn start(&mut self) {
        let folder = self.folder.path();
        let option = |name: &str, path: &str| format!("--{name}={}", folder.join(path).display());
        let output = File::create(folder.join("log/output")).unwrap();
        let child = Command::new(&self.program)
            .args(["-p", &self.address, "-l", &self.address])
            .args([option("datadir", "data"), option("logdir", "log"), option("cluster_file", "fdb.cluster")])
            .args(["--locality-machineid=test", "--locality-zoneid=test"])
            // It slows down when less than a twentieth of the disk is free, as it may be where tests run.
            .args(["--knob_min_available_space_ratio=0.001", "--knob_min_available_space=100000000"])
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn();
        self.child = Some(child.expect("FULMAR_FDB_SERVER names a program"));
    }

    /// Ends it by SIGKILL.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for FdbServer {
    fn drop(&mut self) {
        self.kill();
    }
}
