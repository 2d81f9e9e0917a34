//! The server in a process of its own, with a raw QUIC echo beside it as the floor.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Stdio,
};

use fulmar_server::{Clock, Config, Development, Rng, Server, ServerOptions};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
};

use crate::{error::BenchError, floors};

/// A running server process; killed when dropped.
pub(crate) struct ServerProcess {
    child: Child,
    pub(crate) server: SocketAddr,
    pub(crate) echo: SocketAddr,
}

impl ServerProcess {
    /// Starts this very program as a server on `data`.
    pub(crate) async fn start(data: &Path) -> Result<Self, BenchError> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg("--data")
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or(BenchError::ServerGone)?;
        let mut lines = BufReader::new(stdout).lines();
        let mut address = async || -> Result<SocketAddr, BenchError> {
            let line = lines.next_line().await?.ok_or(BenchError::ServerGone)?;
            line.parse().map_err(|_| BenchError::Wrong(format!("the server said {line:?}")))
        };
        let (server, echo) = (address().await?, address().await?);
        Ok(Self { child, server, echo })
    }

    /// Resident memory of the process, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64, BenchError> {
        let status = std::fs::read_to_string(self.path("status")?)?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = kib.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kib.ok_or(BenchError::ServerGone)? * 1024)
    }

    /// Processor time of the process so far, in microseconds, to the hundredth of a second.
    pub(crate) fn processor_us(&self) -> Result<u64, BenchError> {
        let stat = std::fs::read_to_string(self.path("stat")?)?;
        // Fields are counted after the name, which may hold spaces: utime is the 12th, stime the 13th.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
        let ticks = ticks(11).zip(ticks(12)).map(|(user, system)| user + system);
        Ok(ticks.ok_or(BenchError::ServerGone)? * 10_000)
    }

    fn path(&self, file: &str) -> Result<String, BenchError> {
        Ok(format!("/proc/{}/{file}", self.child.id().ok_or(BenchError::ServerGone)?))
    }
}

/// The process's own main: serves until standard input ends.
pub(crate) async fn serve(data: &Path) -> Result<(), BenchError> {
    let development = Development::create_or_open(data, Clock::system())?;
    let mut config = Config::development();
    config.listen.address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config.listen.admin = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    development.configure(&mut config);
    let options = ServerOptions::new(
        data.to_owned(),
        config,
        development.credentials(),
        Clock::system(),
        Rng::from_os()?,
    );
    let server = Server::start(options).await?;
    let echo = floors::EchoServer::start(&development)?;
    announce(server.address(), echo.address()?)?;
    let mut nothing = Vec::new();
    let _ = tokio::io::stdin().read_to_end(&mut nothing).await;
    server.shutdown().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the parent process reads this")]
fn announce(server: SocketAddr, echo: SocketAddr) -> Result<(), BenchError> {
    use std::io::Write;
    println!("{server}\n{echo}");
    Ok(std::io::stdout().flush()?)
}
