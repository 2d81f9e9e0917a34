//! The age of a presence or typing state.

use crate::id::number::number;

number! {
    /// The age of a presence or typing state: of two datagrams about the same thing the one with the
    /// higher generation is right.
    Generation
}
