//! The shape of every id that is a fixed number of bytes: written as lower-case hex digits.

/// Text that is not the hex form of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {digits} lower-case hex digits")]
pub struct HexInvalid {
    digits: usize,
}

/// Reads exactly `N` bytes from lower-case hex digits.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], HexInvalid> {
    let invalid = HexInvalid { digits: N.saturating_mul(2) };
    if text.len() != invalid.digits {
        return Err(invalid);
    }
    let mut octets = [0; N];
    match data_encoding::HEXLOWER.decode_mut(text.as_bytes(), &mut octets) {
        Ok(_) => Ok(octets),
        Err(_) => Err(invalid),
    }
}

/// Declares an id of a fixed number of bytes, any of which are valid.
macro_rules! octets {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// How many bytes it has.
            pub const LENGTH: usize = $length;

            /// Wraps the bytes.
            #[must_use]
            pub const fn new(octets: [u8; $length]) -> Self {
                Self(octets)
            }

            /// The bytes.
            #[must_use]
            pub const fn get(self) -> [u8; $length] {
                self.0
            }

            /// The bytes, borrowed.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&data_encoding::HEXLOWER.encode(&self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, concat!(stringify!($name), "({})"), self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::id::HexInvalid;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                crate::id::octets::from_hex(text).map(Self)
            }
        }
    };
}

pub(crate) use octets;
