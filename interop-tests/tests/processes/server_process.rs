//! A server in a process of its own: this test binary, told to be one.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fulmar_interop_tests::Entrance;
use fulmar_server::{Clock, Config, Development, Rng, Server, ServerOptions};

const DATA: &str = "FULMAR_TEST_DATA";
const LISTEN: &str = "FULMAR_TEST_LISTEN";
/// What the process prints before its address.
const LISTENING: &str = "listening on ";

/// A server that can be killed. It ends with this handle, however this process ends.
pub(crate) struct ServerProcess {
    child: Child,
    entrance: Entrance,
    data: PathBuf,
}

impl Deref for ServerProcess {
    type Target = Entrance;

    fn deref(&self) -> &Entrance {
        &self.entrance
    }
}

impl ServerProcess {
    /// Starts one on a folder, on any port.
    pub(crate) fn start(data: &Path) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let entrance = Entrance::new(data, any, Clock::system());
        drop(entrance);
        let (child, address) = spawn(data, any);
        Self { child, entrance: Entrance::new(data, address, Clock::system()), data: data.to_owned() }
    }

    /// Kills it as nothing else does, and starts another on the same folder and port.
    pub(crate) fn kill_and_start_again(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, _) = spawn(&self.data, self.entrance.address());
    }

    /// What it holds in memory, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(data: &Path, listen: SocketAddr) -> (Child, SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "server_process::process", "--ignored", "--nocapture", "--test-threads", "1"])
        .env(DATA, data)
        .env(LISTEN, listen.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let address = output.lines().find_map(|line| line.unwrap().strip_prefix(LISTENING)?.parse().ok());
    (child, address.expect("the server says where it listens"))
}

/// The configuration of the process: caches are small, so that what a client costs shows.
fn config() -> Config {
    let mut config = Config::development();
    config.store.cache_bytes = 4 * 1024 * 1024;
    config.store.write_buffer_bytes = 2 * 1024 * 1024;
    config.listen.admin = (Ipv4Addr::LOCALHOST, 0).into();
    config
}

/// Not a test: the process that the tests run.
#[test]
#[ignore = "run by the other tests"]
fn process() {
    let Some(data) = std::env::var_os(DATA).map(PathBuf::from) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(async {
        let mut config = config();
        config.listen.address = std::env::var(LISTEN).unwrap().parse().unwrap();
        Development::open(&data, Clock::system()).unwrap().configure(&mut config);
        let credentials = config.credentials().unwrap();
        let rng = Rng::from_os().unwrap();
        let options = ServerOptions::new(data.clone(), config, credentials, Clock::system(), rng);
        Server::start(options).await.unwrap()
    });
    // A line of its own, behind what the test harness prints.
    println!("\n{LISTENING}{}", server.address());
    // Ends with the process that started it.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    runtime.block_on(server.shutdown());
}
