//! `fulmar serve`: the server, until SIGTERM or Ctrl-C.
//!
//! What is typed has the last word over the configuration. The server logs to standard error; on standard
//! output it says where it listens, and with `--dev` what to type next.

mod next_commands;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use fulmar_server::{
    Clock, Config, ConfigError, Credentials, Development, DevelopmentError, Rng, Server, ServerOptions,
};

use crate::failure::Failure;
use crate::{log, output, signals};

/// Run the server
#[derive(Debug, Args)]
#[command(
    after_help = "Example: for a trial; prints what to type next\n  fulmar serve --data fulmar-data --dev\n\n\
                  Example: for real\n  fulmar serve --data /var/lib/fulmar --config /etc/fulmar/fulmar.toml\n\n\
                  Without --dev the configuration must name a certificate, its key and the keys of tokens; \
                  docs/fulmar.example.toml has every key. With its section [cluster] the server is one of several \
                  nodes: see docs/cluster.md. SIGTERM ends it gracefully, within 10 s."
)]
pub(crate) struct Arguments {
    /// Where the server keeps what must last; created when it is not there
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    // Not a comment of documentation, which would take the address for a link.
    #[arg(
        long,
        value_name = "ADDR",
        help = "Where clients connect (UDP) [default: [::]:4433, or as configured]"
    )]
    listen: Option<SocketAddr>,
    /// Where operators connect (HTTP; keep it private) [default: 127.0.0.1:9443, or as configured]
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// The configuration, a TOML file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// For a trial: make an authority, a certificate for localhost and a key for tokens in DIR/dev
    #[arg(long)]
    dev: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let (config, credentials, development) = configuration(&arguments)?;
    log::start_for_server(&config.log)?;
    let rng = Rng::from_os().map_err(|error| Failure::failed(format!("no randomness: {error}")))?;
    let options = ServerOptions::new(arguments.data.clone(), config, credentials, Clock::system(), rng);
    let server =
        Box::pin(Server::start(options)).await.map_err(|error| Failure::failed(error.to_string()))?;
    let (address, admin) = (server.address(), server.admin_address());
    tell(format!("listening on {address} for clients, on http://{admin} for operators"))?;
    if let Some(development) = &development {
        for line in next_commands::lines(&arguments.data, &development.authority(), address) {
            tell(line)?;
        }
    }
    signals::interrupted().await;
    tracing::info!("stopping: sessions are sent away, what is in flight is finished");
    // A second signal means now.
    tokio::select! {
        () = server.shutdown() => tracing::info!("stopped"),
        () = signals::interrupted() => tracing::warn!("stopped without waiting"),
    }
    Ok(())
}

/// Says something on standard output. A server goes on when nobody listens.
fn tell(line: String) -> Result<(), Failure> {
    match output::line(line) {
        Err(Failure::OutputClosed) => Ok(()),
        outcome => outcome,
    }
}

/// What the server is started with, from the command line, the configuration and, for a trial, from what is
/// made for it.
fn configuration(arguments: &Arguments) -> Result<(Config, Credentials, Option<Development>), Failure> {
    let refused = |error: ConfigError| Failure::failed(error.to_string());
    let mut config = match &arguments.config {
        Some(path) => Config::load(path).map_err(refused)?,
        None if arguments.dev => Config::development(),
        None => Config::default(),
    };
    config.listen.address = arguments.listen.unwrap_or(config.listen.address);
    config.listen.admin = arguments.admin.unwrap_or(config.listen.admin);
    let development = if arguments.dev {
        let failed = |error: DevelopmentError| Failure::failed(error.to_string());
        let development = Development::create_or_open(&arguments.data, Clock::system()).map_err(failed)?;
        development.configure(&mut config);
        Some(development)
    } else {
        None
    };
    let credentials = config.credentials().map_err(refused)?;
    Ok((config, credentials, development))
}
