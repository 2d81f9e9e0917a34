//! A ticket that was given to a client: what TLS needs to know of it again.
//!
//! A ticket is worth one round trip and no more, so one that cannot be read is no error of the store: who
//! reads it lets it go.

use bytes::Bytes;

use super::value::{self, RowError};

/// What TLS names a ticket by: random bytes.
pub(crate) const TICKET_ID_BYTES: usize = 32;

/// The value of a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TicketRow {
    /// The digest of the transport settings that it was given under.
    pub(crate) settings: Bytes,
    /// The TLS session, as the library encodes it. Secret.
    pub(crate) session: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Row {
    #[prost(bytes = "bytes", tag = "1")]
    settings: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    session: Bytes,
}

impl TicketRow {
    pub(crate) fn encode(self) -> Bytes {
        value::encode(&Row { settings: self.settings, session: self.session })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let row: Row = value::decode("ticket", bytes)?;
        Ok(Self { settings: row.settings, session: row.session })
    }
}
