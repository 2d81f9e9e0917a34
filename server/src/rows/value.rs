//! How values are framed: a version byte, then a protobuf message that only this server reads.

use bytes::Bytes;
use prost::Message;

const VALUE_VERSION: u8 = 1;

/// A value in the store that cannot be read.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum RowError {
    /// Written by a version of the server that this one does not know.
    #[error("a {row} row has value version {found}, this server reads {VALUE_VERSION}: use a newer server")]
    UnknownVersion {
        /// Which kind of row.
        row: &'static str,
        /// The version found.
        found: u8,
    },
    /// Damaged, or not ours.
    #[error("a {row} row does not decode: run `fulmar store check`")]
    Malformed {
        /// Which kind of row.
        row: &'static str,
    },
}

impl RowError {
    pub(crate) fn malformed(row: &'static str) -> Self {
        Self::Malformed { row }
    }
}

pub(crate) fn encode(message: &impl Message) -> Bytes {
    let mut bytes = Vec::with_capacity(1 + message.encoded_len());
    bytes.push(VALUE_VERSION);
    // A Vec grows as needed, so that encoding into it cannot fail.
    let _ = message.encode(&mut bytes);
    Bytes::from(bytes)
}

pub(crate) fn decode<M: Message + Default>(row: &'static str, value: &[u8]) -> Result<M, RowError> {
    match value.split_first() {
        Some((&VALUE_VERSION, rest)) => M::decode(rest).map_err(|_| RowError::malformed(row)),
        Some((&found, _)) => Err(RowError::UnknownVersion { row, found }),
        None => Err(RowError::malformed(row)),
    }
}

#[cfg(test)]
mod tests {
    use crate::rows::{Head, NodeRow, RowError};

    #[test]
    fn a_value_of_an_unknown_version_is_refused_by_name_and_never_guessed() {
        let mut later = Head::new().encode().to_vec();
        later[0] = 2;
        let refusal = Head::decode(&later).unwrap_err();
        assert_eq!(refusal, RowError::UnknownVersion { row: "head", found: 2 });
        assert!(refusal.to_string().contains("a head row has value version 2, this server reads 1"));
        assert_eq!(NodeRow::decode(&later).unwrap_err(), RowError::UnknownVersion { row: "node", found: 2 });
        assert_eq!(Head::decode(&[]).unwrap_err(), RowError::malformed("head"));
    }
}
