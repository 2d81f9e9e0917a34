//! Connections of which there are few, and which end.
//!
//! HTTP libraries wait for a slow peer as long as it likes. Here a connection lives for a minute whatever
//! happens on it, and when there are as many as allowed, the next one waits to be accepted.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tracing::warn;

/// How many connections there may be. hyper buffers at most about 400 KiB of a request's head on each.
const CONNECTIONS_MAX: usize = 32;
/// How long one may live. A client that keeps connections notices nothing but one reconnect a minute.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(60);
/// How long to wait after `accept` failed: for lack of file descriptors, most likely.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

/// Accepts bounded connections.
pub(super) struct BoundedListener {
    listener: TcpListener,
    lifetime: Duration,
    permits: Arc<Semaphore>,
    abort: CancellationToken,
}

impl BoundedListener {
    /// All connections end at once when `abort` is cancelled.
    pub(super) fn new(listener: TcpListener, abort: CancellationToken) -> Self {
        Self::with(listener, abort, CONNECTIONS_MAX, CONNECTION_LIFETIME)
    }

    fn with(
        listener: TcpListener,
        abort: CancellationToken,
        connections_max: usize,
        lifetime: Duration,
    ) -> Self {
        Self { listener, lifetime, permits: Arc::new(Semaphore::new(connections_max)), abort }
    }

    async fn permit(&self) -> OwnedSemaphorePermit {
        match Arc::clone(&self.permits).acquire_owned().await {
            Ok(permit) => permit,
            // Only a semaphore that was closed refuses, and nobody closes this one.
            Err(_closed) => std::future::pending().await,
        }
    }
}

impl Listener for BoundedListener {
    type Io = BoundedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (BoundedStream, SocketAddr) {
        let permit = self.permit().await;
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    let end = End {
                        lifetime: Box::pin(sleep(self.lifetime)),
                        abort: Box::pin(self.abort.clone().cancelled_owned()),
                    };
                    return (BoundedStream { stream, end, _permit: permit }, address);
                }
                Err(cause) => {
                    warn!(%cause, "the admin port cannot accept a connection");
                    sleep(ACCEPT_BACK_OFF).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends.
pub(super) struct BoundedStream {
    stream: TcpStream,
    end: End,
    _permit: OwnedSemaphorePermit,
}

/// When a connection ends, if it has not ended by itself.
struct End {
    lifetime: Pin<Box<Sleep>>,
    abort: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl End {
    /// Fails once the end has come; wakes the task when it comes.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.lifetime.as_mut().poll(context).is_ready() || self.abort.as_mut().poll(context).is_ready() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

impl AsyncRead for BoundedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.end.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.end.check(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end.check(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end.check(context)?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn listen(connections_max: usize, lifetime: Duration) -> (BoundedListener, CancellationToken) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let abort = CancellationToken::new();
        (BoundedListener::with(listener, abort.clone(), connections_max, lifetime), abort)
    }

    async fn connect(listener: &BoundedListener) -> TcpStream {
        TcpStream::connect(listener.local_addr().unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_silent_connection_ends() {
        let (mut listener, _abort) = listen(1, Duration::from_millis(20)).await;
        let _silent = connect(&listener).await;
        let (mut accepted, _) = listener.accept().await;
        let error = accepted.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(accepted.write_u8(0).await.is_err());
    }

    #[tokio::test]
    async fn the_connection_after_the_last_allowed_waits_until_one_ends() {
        let (mut listener, _abort) = listen(2, CONNECTION_LIFETIME).await;
        let _peers = [connect(&listener).await, connect(&listener).await, connect(&listener).await];
        let (first, _) = listener.accept().await;
        let (_second, _) = listener.accept().await;
        assert!(listener.accept().now_or_never().is_none());
        drop(first);
        listener.accept().await;
    }

    #[tokio::test]
    async fn all_connections_end_on_abort() {
        let (mut listener, abort) = listen(2, CONNECTION_LIFETIME).await;
        let _silent = connect(&listener).await;
        let (mut accepted, _) = listener.accept().await;
        abort.cancel();
        assert!(accepted.read_u8().await.is_err());
    }
}
