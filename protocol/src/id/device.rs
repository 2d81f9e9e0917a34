//! The id of a device, and the tag by which other users tell a person's devices apart.

use crate::hash::Hash;
use crate::id::octets::octets;
use crate::registry::domains;

octets! {
    /// The id of a device: 16 random bytes made with the client's local state. Whoever loses the state
    /// is a new device.
    DeviceId, 16
}

octets! {
    /// Which of a user's devices sent an entry, without giving away the device's id.
    DeviceTag, 8
}

impl DeviceTag {
    /// The tag of a device: the first 8 bytes of SHA-256 over the length-prefixed domain and the id.
    #[must_use]
    pub fn of(device: &DeviceId) -> Self {
        Self(Hash::new(domains::DEVICE_TAG).bytes(device.as_bytes()).first())
    }
}
