//! `GoAway`: the server is about to close; come back later, or go elsewhere.

use std::time::Duration;

use super::prelude::*;
use crate::limits;
use crate::text::{Explanation, ServerAddress};

/// The server is about to close. Come back after a random time between the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoAway {
    /// For developers.
    pub message: Explanation,
    /// The shortest wait. Whole milliseconds.
    pub retry_after_min: Duration,
    /// The longest wait, not below the shortest. Whole milliseconds.
    pub retry_after_max: Duration,
    /// Other servers that would take the client, the first to be tried first. At most
    /// [`limits::GO_AWAY_ADDRESSES_MAX`]; further ones are not sent.
    pub addresses: Vec<ServerAddress>,
}

impl Payload for GoAway {
    type Wire = wire::GoAway;

    fn to_wire(&self) -> wire::GoAway {
        wire::GoAway {
            message: self.message.to_string(),
            retry_after_ms_min: millis(self.retry_after_min),
            retry_after_ms_max: millis(self.retry_after_max),
            addresses: self
                .addresses
                .iter()
                .take(limits::GO_AWAY_ADDRESSES_MAX)
                .map(ServerAddress::to_string)
                .collect(),
        }
    }

    fn from_wire(wire: wire::GoAway) -> Result<Self, PayloadError> {
        if wire.retry_after_ms_min > wire.retry_after_ms_max {
            let contradiction = FieldFault::Contradiction("the longest wait is below the shortest");
            return Err(fault("retry_after_ms_max", contradiction));
        }
        if wire.addresses.len() > limits::GO_AWAY_ADDRESSES_MAX {
            return Err(fault("addresses", FieldFault::TooMany { most: limits::GO_AWAY_ADDRESSES_MAX }));
        }
        let addresses = wire.addresses.iter().map(|address| text("addresses", address, ServerAddress::parse));
        Ok(Self {
            addresses: addresses.collect::<Result<_, _>>()?,
            message: text("message", &wire.message, Explanation::parse)?,
            retry_after_min: Duration::from_millis(wire.retry_after_ms_min),
            retry_after_max: Duration::from_millis(wire.retry_after_ms_max),
        })
    }
}
