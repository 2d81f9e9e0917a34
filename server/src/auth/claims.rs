//! The claims of a token whose signature was found right.
//!
//! The leeway excuses a backend whose clock is ahead of the server's (`iat`, `nbf`). It does not lengthen a
//! token's life: `exp` is exact, since a session ends at the very same moment. A token "issued" further in
//! the future than the leeway is refused, because revoking refuses tokens issued before a moment.

use std::fmt;
use std::time::Duration;

use fulmar_protocol::{TimestampMs, UserId};
use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::{AuthError, Identity};

/// What is read of a payload. Every claim may be absent here, so that the absence can be named.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Claims {
    sub: Option<String>,
    aud: Option<Audience>,
    iat: Option<NumericDate>,
    nbf: Option<NumericDate>,
    exp: Option<NumericDate>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// A moment, which RFC 7519 allows to have a fraction: 1700000000 or 1700000000.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NumericDate(TimestampMs);

impl Claims {
    pub(super) fn check(
        self,
        audience: &str,
        leeway: Duration,
        now: TimestampMs,
    ) -> Result<Identity, AuthError> {
        let missing = |claim| AuthError::ClaimMissing { claim };
        let user = self.sub.ok_or(missing("sub"))?;
        let claimed_audience = self.aud.ok_or(missing("aud"))?;
        let NumericDate(issued_at) = self.iat.ok_or(missing("iat"))?;
        let NumericDate(expires_at) = self.exp.ok_or(missing("exp"))?;
        if !claimed_audience.names(audience) {
            return Err(AuthError::WrongAudience);
        }
        if expires_at <= now {
            return Err(AuthError::Expired { expired_at: expires_at });
        }
        if self.nbf.is_some_and(|NumericDate(not_before)| now.plus(leeway) < not_before) {
            return Err(AuthError::NotYetValid { claim: "nbf" });
        }
        if now.plus(leeway) < issued_at {
            return Err(AuthError::NotYetValid { claim: "iat" });
        }
        Ok(Identity { user: UserId::parse(&user)?, issued_at, expires_at })
    }
}

impl Audience {
    fn names(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seconds;

        impl Visitor<'_> for Seconds {
            type Value = NumericDate;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number of seconds since 1970")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<NumericDate, E> {
                Ok(NumericDate(TimestampMs::new(seconds.saturating_mul(1_000))))
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<NumericDate, E> {
                let since_1970 = Duration::try_from_secs_f64(seconds).map_err(E::custom)?;
                Ok(NumericDate(TimestampMs::new(0).plus(since_1970)))
            }
        }

        deserializer.deserialize_any(Seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(json: &str) -> Option<u64> {
        serde_json::from_str::<NumericDate>(json).ok().map(|NumericDate(at)| at.get())
    }

    #[test]
    fn a_date_is_a_number_of_seconds_not_before_1970() {
        assert_eq!(date("1700000000"), Some(1_700_000_000_000));
        assert_eq!(date("1700000000.25"), Some(1_700_000_000_250));
        assert_eq!(date("18446744073709551615"), Some(u64::MAX));
        assert_eq!(date("1e15"), Some(1_000_000_000_000_000_000));
        for wrong in ["-1", "-0.5", "1e300", "\"1700000000\"", "true", "[]", "{}"] {
            assert_eq!(date(wrong), None, "{wrong}");
        }
    }
}
