//! What `spec/registry.toml` fixes besides frames, limits and errors (a test compares the two).

/// The ALPN identifier of this edition.
pub const ALPN: &[u8] = b"fulmar/1";

/// Frame and datagram types below this are critical: a receiver that does not know one cannot go on. From
/// here on unknown ones are skipped.
pub const IGNORABLE_FROM: u64 = 0x1000;

/// The first of the reserved numbers that are sent on purpose, so that receivers keep skipping.
pub const GREASE_BASE: u64 = 0x1021;

/// The distance between two such numbers.
pub const GREASE_STEP: u64 = 0x1f;

/// What is hashed before the fields.
pub(crate) mod domains {
    pub(crate) const DIRECT_CONVERSATION: &str = "fulmar/1 direct conversation";
    pub(crate) const GROUP_CONVERSATION: &str = "fulmar/1 group conversation";
    pub(crate) const DEVICE_TAG: &str = "fulmar/1 device tag";
}

/// The `n`th reserved type number. Numbers wrap after a million, which no receiver can tell.
#[must_use]
pub const fn grease_type(n: u32) -> u64 {
    GREASE_BASE + (n % 1_000_000) as u64 * GREASE_STEP
}
