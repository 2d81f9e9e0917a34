//! Extensions: what the two ends agree on in `Hello` and `Welcome`.
//!
//! A set of numbers from the registry, as bits. What an end does not know it keeps and never acts on, so that
//! a set passes through unchanged.

/// A set of extensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Extensions(u64);

impl Extensions {
    /// None.
    pub const NONE: Self = Self(0);
    /// Hedged delivery: on a lossy path, small entries and sends travel in datagrams too.
    pub const HEDGING: Self = Self::numbered(1);
    /// Every extension of this edition with its name, in the order of the registry.
    pub const ALL: &'static [(Self, &'static str)] = &[(Self::HEDGING, "hedging")];

    const fn numbered(number: u32) -> Self {
        Self(1 << (number - 1))
    }

    /// The set with these bits: bit n - 1 stands for extension n.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The set as bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// What is in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether all of `other` is in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
