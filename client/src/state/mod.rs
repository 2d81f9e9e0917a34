//! The client's own store: device id, epoch, outbox, client seqs, cursors, read marks on their way.
//!
//! On disk it is one file in the state folder, locked against a second process. In memory there is no store
//! at all: the driver's own maps are the state. Writes are gathered into batches and written by one thread,
//! many batches a sync; the driver is told when a batch is durable, and never waits in the runtime.

mod disk;
mod rows;
#[cfg(feature = "simulation")]
mod simulated;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use fulmar_protocol::{ClientSeq, ConversationId, DeviceId, Epoch, UserId};

use crate::error::ClientError;

pub(crate) use rows::{Batch, ConversationRow};
#[cfg(feature = "simulation")]
pub use simulated::SimulatedDisk;
pub(crate) use writer::{Store, Ticket};

/// Where a client keeps what must survive a restart of the app.
#[derive(Debug)]
pub struct State(Kind);

#[derive(Debug)]
enum Kind {
    Memory,
    Disk(disk::Disk, Box<Stored>),
    #[cfg(feature = "simulation")]
    Simulated(SimulatedDisk, Box<Stored>),
}

impl State {
    /// In memory: each client is a new device, and what was not sent is lost with it.
    #[must_use]
    pub fn memory() -> Self {
        Self(Kind::Memory)
    }

    /// In a folder, which is created when it is not there. One folder belongs to one user on one device, and
    /// is open in one client at a time. Reads the folder, so it may block for some milliseconds.
    ///
    /// # Errors
    /// When the folder is in use, cannot be used, or holds something else.
    pub fn directory(path: impl AsRef<Path>) -> Result<Self, ClientError> {
        let disk = disk::Disk::open(path.as_ref())?;
        let stored = Box::new(disk.load()?);
        Ok(Self(Kind::Disk(disk, stored)))
    }

    /// On a simulated disk. Nothing else is open on it from then on.
    ///
    /// # Errors
    /// When the disk holds something else.
    #[cfg(feature = "simulation")]
    pub fn simulated(disk: &SimulatedDisk) -> Result<Self, ClientError> {
        let disk = disk.open();
        let stored = Box::new(disk.load()?);
        Ok(Self(Kind::Simulated(disk, stored)))
    }

    /// What was read, and the writer, which starts.
    pub(crate) fn open(self) -> Result<(Store, Stored), ClientError> {
        match self.0 {
            Kind::Memory => Ok((Store::memory(), Stored::default())),
            Kind::Disk(disk, stored) => Ok((Store::disk(disk)?, *stored)),
            #[cfg(feature = "simulation")]
            Kind::Simulated(disk, stored) => Ok((Store::simulated(disk), *stored)),
        }
    }
}

/// What the store held when it was opened.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Stored {
    /// Where, for messages.
    pub(crate) folder: PathBuf,
    pub(crate) device: Option<DeviceId>,
    pub(crate) user: Option<UserId>,
    pub(crate) epoch: Option<Epoch>,
    pub(crate) conversations: Vec<(ConversationId, ConversationRow)>,
    /// In the order of conversation and client seq.
    pub(crate) outbox: Vec<(ConversationId, ClientSeq, Bytes)>,
}
