//! The admin port's life: bound, served, stopped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::AdminApi;
use super::guard::Hosts;
use super::listener::BoundedListener;
use super::routes::router;

/// How long requests that are under way may take when the port is stopped.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// How the admin port is served.
#[derive(Clone, Debug)]
pub struct AdminOptions {
    /// Where it listens.
    pub address: SocketAddr,
    /// The names by which it may be called, besides `localhost` and addresses.
    pub hosts: Vec<String>,
}

/// The admin port, bound and not yet served: a server that cannot have it fails before it serves clients.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
    hosts: Hosts,
}

impl AdminServer {
    /// Binds the port.
    ///
    /// # Errors
    /// When the address is taken, or none of this machine's.
    pub async fn bind(options: AdminOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(options.address).await?;
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            warn!(%address, "the admin port asks for no password: see that only operators reach it");
        }
        Ok(Self { listener, address, hosts: Hosts::new(options.hosts) })
    }

    /// Where it listens, with the port that was chosen where none was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is cancelled; then ends what is under way, within a second, and returns.
    pub async fn serve(self, api: Arc<dyn AdminApi>, stop: CancellationToken) {
        let abort = CancellationToken::new();
        let listener = BoundedListener::new(self.listener, abort.clone());
        let graceful = stop.clone().cancelled_owned();
        let service = router(api, self.hosts).into_make_service();
        let serving = axum::serve(listener, service).with_graceful_shutdown(graceful);
        let cut_off = async {
            stop.cancelled().await;
            sleep(STOP_GRACE).await;
            abort.cancel();
        };
        let serving = async {
            // Never fails: what fails is a connection.
            let _never = serving.await;
        };
        tokio::pin!(serving);
        tokio::select! {
            biased;
            () = &mut serving => {}
            () = cut_off => serving.await,
        }
    }
}
