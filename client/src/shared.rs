//! What all handles of one client share: the way to the driver, and what the driver tells of itself.
//!
//! The last handle that is dropped cancels the driver, which then closes the connection and ends, and with
//! it everything it spawned.

use std::sync::Arc;

use fulmar_protocol::{DeviceId, UserId};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::command::Command;
use crate::confirmations::Confirmations;
use crate::error::ClientError;
use crate::rng::Rng;
use crate::status::Status;

/// Who the client is.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) user: Option<UserId>,
    pub(crate) device: DeviceId,
}

/// The connection as requests need it.
#[derive(Debug, Clone)]
pub(crate) enum Link {
    /// No session now.
    Down,
    /// A session is open.
    Up(quinn::Connection),
    /// There will be none.
    Ended(ClientError),
}

/// Where the app is, as it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stance {
    Foreground,
    Background,
}

pub(crate) struct Shared {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) cancel: CancellationToken,
    pub(crate) status: watch::Receiver<Status>,
    pub(crate) link: watch::Receiver<Link>,
    pub(crate) identity: watch::Receiver<Identity>,
    pub(crate) stance: watch::Sender<Stance>,
    pub(crate) confirmations: Arc<Confirmations>,
    pub(crate) requests: Arc<Semaphore>,
    pub(crate) rng: Mutex<Rng>,
    pub(crate) driver: Mutex<Option<JoinHandle<()>>>,
    pub(crate) confirm_automatically: bool,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Shared {
    /// Hands a command over. Waits when the driver has many before it.
    pub(crate) async fn command(&self, command: Command) -> Result<(), ClientError> {
        self.commands.send(command).await.map_err(|_| self.closed())
    }

    /// Hands a command over and waits for its answer.
    pub(crate) async fn ask<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T, ClientError>>) -> Command,
    ) -> Result<T, ClientError> {
        let (reply, answer) = oneshot::channel();
        self.command(make(reply)).await?;
        answer.await.unwrap_or_else(|_| Err(self.closed()))
    }

    /// Why nothing answers any more.
    pub(crate) fn closed(&self) -> ClientError {
        match &*self.link.borrow() {
            Link::Ended(error) => error.clone(),
            _ => ClientError::Closed,
        }
    }

    /// The user's id, once it is known.
    pub(crate) fn user(&self) -> Result<UserId, ClientError> {
        self.identity.borrow().user.clone().ok_or(ClientError::UserUnknown)
    }
}
