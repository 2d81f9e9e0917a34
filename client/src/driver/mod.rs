//! The driver: one task that owns the client's state.

use crate::builder::Settings;
use crate::client::Client;
use crate::error::ClientError;
use crate::event::Events;
use crate::state::State;

pub(crate) fn launch(
    settings: Settings,
    state: State,
    first_handshake_is_final: bool,
) -> Result<(Client, Events), ClientError> {
    let _ = (settings, state, first_handshake_is_final);
    Err(ClientError::Closed)
}
