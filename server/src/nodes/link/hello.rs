//! How a link begins, and the codes with which one ends.
//!
//! The node that dials says which versions it speaks, who it is, whom it means and on which store it works. The
//! other answers with the version that both will speak, or closes the connection with a code.

use bytes::Bytes;
use fulmar_protocol::Epoch;
use prost::Message as _;
use quinn::{Connection, ConnectionError, VarInt};

use crate::metrics::LinkRefusal;
use crate::nodes::NodeNumber;
use crate::nodes::message::{LinkAnswer, LinkHello};

/// Bytes of a hello, or of the answer. Room for fields of later versions.
pub(super) const HELLO_BYTES_MAX: usize = 1_024;

/// The versions of the node protocol that a node speaks: all from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    min: u32,
    max: u32,
}

impl Versions {
    /// Those of this server.
    pub(super) const SPOKEN: Self = Self { min: 1, max: 1 };

    /// None where there is no such range.
    pub(super) fn new(min: u32, max: u32) -> Option<Self> {
        (1..=max).contains(&min).then_some(Self { min, max })
    }

    /// The highest version that both speak.
    fn common(self, other: Self) -> Option<u32> {
        let common = self.max.min(other.max);
        (common >= self.min.max(other.min)).then_some(common)
    }

    pub(super) fn contains(self, version: u32) -> bool {
        (self.min..=self.max).contains(&version)
    }
}

/// What the node that dials says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) versions: Versions,
    pub(super) from: NodeNumber,
    pub(super) to: NodeNumber,
    pub(super) deployment: Epoch,
}

impl Hello {
    pub(super) fn encode(self) -> Bytes {
        let wire = LinkHello {
            version_min: self.versions.min,
            version_max: self.versions.max,
            number: self.from.get(),
            to: self.to.get(),
            deployment: self.deployment.get(),
        };
        Bytes::from(wire.encode_length_delimited_to_vec())
    }

    pub(super) fn decode(encoded: Bytes) -> Option<Self> {
        let wire = LinkHello::decode(encoded).ok()?;
        Some(Self {
            versions: Versions::new(wire.version_min, wire.version_max)?,
            from: NodeNumber::new(wire.number),
            to: NodeNumber::new(wire.to),
            deployment: Epoch::new(wire.deployment),
        })
    }

    /// The version to speak with whoever said this, if it means this node, on this store.
    pub(super) fn judge(
        self,
        versions: Versions,
        own: NodeNumber,
        deployment: Epoch,
    ) -> Result<u32, LinkRefusal> {
        if self.deployment != deployment {
            return Err(LinkRefusal::OtherDeployment);
        }
        if self.to != own {
            return Err(LinkRefusal::OtherNode);
        }
        versions.common(self.versions).ok_or(LinkRefusal::NoCommonVersion)
    }
}

pub(super) fn encode_answer(version: u32) -> Bytes {
    Bytes::from(LinkAnswer { version }.encode_length_delimited_to_vec())
}

pub(super) fn decode_answer(encoded: Bytes) -> Option<u32> {
    LinkAnswer::decode(encoded).ok().map(|answer| answer.version)
}

/// Why this node ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It stops, has another number now, or does not know the peer any more.
    Closing,
    /// The peer has dialled again.
    Replaced,
    Refused(LinkRefusal),
}

/// The numbers are part of the node protocol: never changed, never reused.
const REFUSALS: [(u32, LinkRefusal); 8] = [
    (1, LinkRefusal::NotKnownYet),
    (2, LinkRefusal::OtherCertificate),
    (3, LinkRefusal::NoCommonVersion),
    (4, LinkRefusal::OtherDeployment),
    (5, LinkRefusal::OtherNode),
    (6, LinkRefusal::Malformed),
    (7, LinkRefusal::TooLong),
    (8, LinkRefusal::TooMany),
];
const REPLACED: u32 = 9;

impl Ending {
    fn code(self) -> u32 {
        match self {
            Self::Closing => 0,
            Self::Replaced => REPLACED,
            Self::Refused(cause) => {
                REFUSALS.iter().find(|(_, refusal)| *refusal == cause).map_or(0, |(code, _)| *code)
            }
        }
    }

    pub(super) fn close(self, connection: &Connection) {
        let reason = match self {
            Self::Closing => "closing",
            Self::Replaced => "replaced",
            Self::Refused(cause) => cause.name(),
        };
        fulmar_transport::close(connection, VarInt::from_u32(self.code()), reason.as_bytes());
    }
}

/// Whether a peer that refused with this would refuse the same two nodes for ever: a number is new at each start,
/// and what else was said follows from it.
pub(super) const fn is_for_good(cause: LinkRefusal) -> bool {
    matches!(
        cause,
        LinkRefusal::OtherCertificate | LinkRefusal::NoCommonVersion | LinkRefusal::OtherDeployment
    )
}

/// Why the peer ended a connection, if it refused it.
pub(super) fn refusal_in(error: &ConnectionError) -> Option<LinkRefusal> {
    let ConnectionError::ApplicationClosed(close) = error else { return None };
    let code = close.error_code.into_inner();
    REFUSALS.iter().find(|(known, _)| u64::from(*known) == code).map(|(_, refusal)| *refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(min: u32, max: u32) -> Versions {
        Versions::new(min, max).unwrap()
    }

    #[test]
    fn two_nodes_speak_the_highest_version_that_both_know() {
        assert_eq!(versions(1, 2).common(versions(1, 1)), Some(1));
        assert_eq!(versions(1, 3).common(versions(2, 4)), Some(3));
        assert_eq!(versions(1, 1).common(versions(2, 3)), None);
        assert_eq!(versions(3, 3).common(versions(1, 2)), None);
    }

    #[test]
    fn a_hello_says_what_it_said_before_it_was_sent() {
        let (from, to) = (NodeNumber::new(u64::MAX), NodeNumber::new(2));
        let hello = Hello { versions: versions(1, 7), from, to, deployment: Epoch::new(3) };
        let encoded = hello.encode();
        assert_eq!(Hello::decode(encoded.slice(1..)), Some(hello));
    }

    #[test]
    fn a_hello_with_no_range_of_versions_is_none() {
        for (version_min, version_max) in [(0, 0), (0, 1), (2, 1)] {
            let wire = LinkHello { version_min, version_max, ..LinkHello::default() };
            assert_eq!(Hello::decode(Bytes::from(wire.encode_to_vec())), None);
        }
    }

    #[test]
    fn the_codes_of_endings_are_what_they_always_were() {
        let codes: Vec<_> = REFUSALS.iter().map(|(_, cause)| Ending::Refused(*cause).code()).collect();
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!((Ending::Closing.code(), Ending::Replaced.code()), (0, 9));
        let names: Vec<_> = REFUSALS.iter().map(|(_, cause)| cause.name()).collect();
        let expected = [
            "not_known_yet",
            "other_certificate",
            "no_common_version",
            "other_deployment",
            "other_node",
            "malformed",
            "too_long",
            "too_many",
        ];
        assert_eq!(names, expected);
    }
}
