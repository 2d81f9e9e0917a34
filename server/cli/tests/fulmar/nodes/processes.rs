//! Three `fulmar serve` on one prefix, each a process of its own.

use std::fmt::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fulmar_client::UserId;
use fulmar_server::{Clock, Development};
use tempfile::TempDir;

use super::foundationdb::Place;
use crate::fulmar::{Outcome, PATIENCE, Running, fulmar, now, run};

pub(super) const NODES: usize = 3;
const LOOK: Duration = Duration::from_millis(50);

/// See the module.
pub(super) struct Nodes {
    pub(super) folder: TempDir,
    _place: Place,
    pub(super) development: Development,
    pub(super) nodes: Vec<NodeProcess>,
    /// Dropped last.
    _turn: MutexGuard<'static, ()>,
}

/// Three processes and their clients are as much as a small machine can bear: one test at a time.
static TURN: Mutex<()> = Mutex::new(());

/// One of them, running or not.
pub(super) struct NodeProcess {
    pub(super) number: usize,
    pub(super) address: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) config: PathBuf,
    folder: PathBuf,
    starts: u32,
    running: Option<Running>,
}

impl Nodes {
    /// All of them, ready.
    pub(super) fn start(place: Place) -> Self {
        let mut nodes = Self::prepare(place);
        for node in &mut nodes.nodes {
            node.start();
        }
        nodes.nodes.iter().for_each(NodeProcess::wait_until_ready);
        nodes
    }

    /// Certificates, secret and configurations; nothing runs.
    pub(super) fn prepare(place: Place) -> Self {
        // A test that failed leaves nothing behind that would harm the next.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let cluster = |arguments: &[&str]| {
            run(fulmar(&["cluster"]).args(arguments).current_dir(folder.path())).succeeded();
        };
        cluster(&["ca"]);
        cluster(&["secret", "secret"]);
        let development = Development::create_or_open(folder.path(), Clock::system()).unwrap();
        let nodes = (1..=NODES).map(|number| {
            cluster(&["cert", &format!("node-{number}")]);
            NodeProcess::prepare(folder.path(), &place, &development, number)
        });
        let nodes = nodes.collect();
        Self { folder, _place: place, development, nodes, _turn: turn }
    }

    /// Where clients may go, one node first.
    pub(super) fn addresses_from(&self, first: usize) -> Vec<String> {
        let addresses = self.nodes.iter().cycle().skip(first % NODES).take(NODES);
        addresses.map(|node| node.address.to_string()).collect()
    }

    /// How many sessions some of the nodes have.
    pub(super) fn sessions(&self, nodes: Range<usize>) -> usize {
        let total: f64 = self.nodes[nodes].iter().map(|node| node.metric("fulmar_sessions")).sum();
        format!("{total}").parse().unwrap()
    }

    pub(super) fn token(&self, user: &UserId) -> String {
        self.development.issue_token(user, Duration::from_secs(3_600)).unwrap()
    }
}

impl Drop for Nodes {
    /// What failed is told by the nodes' logs: they stay.
    #[expect(clippy::print_stdout, reason = "where they are")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            println!("the nodes' logs are in {}", self.folder.path().display());
        }
    }
}

impl NodeProcess {
    fn prepare(folder: &Path, place: &Place, development: &Development, number: usize) -> Self {
        let [address, admin, links] = std::array::from_fn(|_| free_address());
        let credentials = development.credentials();
        let mut config = String::new();
        let mut line = |text: String| writeln!(config, "{text}").unwrap();
        line(format!("[listen]\naddress = \"{address}\"\nadmin = \"{admin}\""));
        line(format!("[tls]\ncertificate = {:?}\nkey = {:?}", credentials.certificate, credentials.key));
        line(format!("[auth]\njwks = {:?}", credentials.jwks));
        line(format!("[store]\nkind = \"foundationdb\"\ncluster_file = {:?}", place.cluster_file));
        line(format!("prefix = \"{}\"", place.prefix));
        line(format!("[cluster]\nlisten = \"{links}\"\nclient_addresses = [\"{address}\"]"));
        line(format!("certificate = \"node-{number}.pem\"\nkey = \"node-{number}.key\""));
        line(format!("authority = \"authority.pem\"\nsecret = \"secret\"\nserver_id = {number}"));
        line("[limits]\nsends_per_second = 100000\nsends_burst = 100000".to_owned());
        let path = folder.join(format!("node-{number}.toml"));
        std::fs::write(&path, config).unwrap();
        Self { number, address, admin, config: path, folder: folder.to_owned(), starts: 0, running: None }
    }

    /// `fulmar serve`, with its configuration as it stands.
    pub(super) fn serve(&self) -> std::process::Command {
        let data = self.folder.join(format!("data-{}", self.number));
        let mut command = fulmar(&["serve", "--data"]);
        command.arg(data).arg("--config").arg(&self.config);
        command
    }

    /// Starts it where it was before; returns when it listens.
    pub(super) fn start(&mut self) {
        self.starts += 1;
        let errors = self.folder.join(format!("node-{}-{}.log", self.number, self.starts));
        let running = Running::start(&mut self.serve(), &errors);
        let line = running.line();
        assert!(line.starts_with("listening on "), "{line}");
        self.running = Some(running);
    }

    /// Ends it by SIGKILL.
    pub(super) fn kill(&mut self) {
        drop(self.running.take());
    }

    /// Ends it by SIGTERM, and gives its exit code.
    pub(super) fn terminate(&mut self) -> Option<i32> {
        self.running.take().unwrap().terminated()
    }

    pub(super) fn admin(&self, arguments: &[&str]) -> Outcome {
        run(fulmar(&["admin"]).args(arguments).args(["--admin", &self.admin.to_string()]))
    }

    /// The status and the text of a page of its admin port.
    pub(super) fn page(&self, path: &str) -> Option<(u16, String)> {
        let agent = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = agent.timeout_global(Some(Duration::from_secs(5))).build().new_agent();
        let mut answer = agent.get(format!("http://{}{path}", self.admin)).call().ok()?;
        Some((answer.status().as_u16(), answer.body_mut().read_to_string().ok()?))
    }

    pub(super) fn is_ready(&self) -> bool {
        self.page("/readyz").is_some_and(|(status, _)| status == 200)
    }

    pub(super) fn wait_until_ready(&self) {
        wait_until(&format!("node {} is ready", self.number), || self.is_ready());
    }

    /// What a metric without labels stands at, or one with the labels that are given.
    pub(super) fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.page("/metrics").expect("metrics");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_default()
    }
}

/// Looks again and again until it is so.
pub(super) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        pass(LOOK);
    }
}

/// Lets real time pass: other processes know no other.
pub(super) fn pass(time: Duration) {
    // A real wait: there is no clock to pause.
    std::thread::sleep(time);
}

/// A port that is free, for UDP and most likely for TCP.
fn free_address() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
