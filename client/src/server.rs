//! The name of a server: `HOST:PORT`, `ADDRESS:PORT` or `[ADDRESS]:PORT`.

use std::str::FromStr;

use crate::error::ClientError;

/// The name of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerName {
    /// What the certificate must be for.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl std::fmt::Display for ServerName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for ServerName {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self, ClientError> {
        let invalid = || ClientError::ServerInvalid { server: text.to_owned() };
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if bracketed.is_none() && host.contains(':') {
            return Err(invalid());
        }
        let host = bracketed.unwrap_or(host);
        let port = port.parse().map_err(|_| invalid())?;
        if host.is_empty() || port == 0 {
            return Err(invalid());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_a_port() {
        for (text, host) in [
            ("localhost:4433", "localhost"),
            ("127.0.0.1:4433", "127.0.0.1"),
            ("[::1]:4433", "::1"),
            ("chat.example.org:4433", "chat.example.org"),
        ] {
            let server: ServerName = text.parse().unwrap();
            assert_eq!((server.host.as_str(), server.port), (host, 4433));
            assert_eq!(server.to_string(), text);
        }
        for text in ["localhost", "::1:4433", ":4433", "localhost:", "localhost:0", "localhost:99999", ""] {
            assert!(text.parse::<ServerName>().is_err(), "{text:?} passed");
        }
    }
}
