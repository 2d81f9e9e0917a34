//! What the driver tells of itself to the handles.

use fulmar_protocol::{DeviceId, UserId};
use quinn::Connection;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::ClientError;
use crate::shared::{Identity, Link};
use crate::status::Status;

/// The driver's ends of the channels that handles read.
pub(super) struct Told {
    pub(super) status: watch::Sender<Status>,
    pub(super) link: watch::Sender<Link>,
    pub(super) identity: watch::Sender<Identity>,
}

impl Told {
    pub(super) fn connecting(&self) {
        self.no_requests();
        self.status(Status::Connecting);
    }

    pub(super) fn online(&self, connection: &Connection) {
        self.link.send_replace(Link::Up(connection.clone()));
        self.status(Status::Online);
    }

    pub(super) fn no_requests(&self) {
        self.link.send_if_modified(|link| !matches!(std::mem::replace(link, Link::Down), Link::Down));
    }

    pub(super) fn resting(&self) {
        self.no_requests();
        self.status(Status::Background);
    }

    pub(super) fn offline(&self, retry_at: Instant, reason: String) {
        self.link.send_replace(Link::Down);
        self.status(Status::Offline { retry_at, reason });
    }

    pub(super) fn ended(&self, error: &ClientError) {
        self.link.send_replace(Link::Ended(error.clone()));
        self.status(Status::Ended { code: error.code(), reason: error.to_string() });
    }

    pub(super) fn closed(&self) {
        if !matches!(&*self.link.borrow(), Link::Ended(_)) {
            self.ended(&ClientError::Closed);
        }
    }

    pub(super) fn user(&self, user: &UserId) {
        self.identity.send_modify(|identity| identity.user = Some(user.clone()));
    }

    pub(super) fn device(&self, device: DeviceId) {
        self.identity.send_modify(|identity| identity.device = device);
    }

    fn status(&self, status: Status) {
        self.status.send_if_modified(|known| {
            let changed = *known != status;
            *known = status;
            changed
        });
    }
}
