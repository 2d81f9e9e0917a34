//! Who a client is: tokens and the keys that they are verified with.
//!
//! A token is a JWT signed by the app's own backend. What the server takes is narrow on purpose: EdDSA
//! (Ed25519) and ES256, no other algorithm, and never one that the token alone chooses. Whether a user's
//! tokens were revoked is not asked here: that is a row in the store, read once the user is known.

mod authenticator;
mod claims;
mod error;
mod key_set;
#[cfg(test)]
mod tests;

pub use authenticator::{AuthOptions, Authenticator, Identity};
pub use error::{AuthError, KeySetError};
