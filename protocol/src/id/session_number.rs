//! The number of a session.

use crate::id::number::number;

number! {
    /// The number of a session, given by the server.
    SessionNumber
}
