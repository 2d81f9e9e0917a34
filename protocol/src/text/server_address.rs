//! Where a server is, as people and frames write it.

use core::net::Ipv6Addr;
use std::str::FromStr;

use super::{TextInvalid, text};
use crate::limits::SERVER_ADDRESS_BYTES_MAX;

/// Where a server is: `NAME:PORT`, `ADDRESS:PORT` or `[ADDRESS]:PORT`, at most 255 bytes of ASCII. The name or address
/// is also what the server's certificate must be for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerAddress(String);

text!(ServerAddress);

impl ServerAddress {
    /// Checks a text.
    ///
    /// # Errors
    /// When it is too long, or is not of that form.
    pub fn parse(text: &str) -> Result<Self, TextInvalid> {
        if text.len() > SERVER_ADDRESS_BYTES_MAX {
            return Err(TextInvalid::TooLong { bytes: text.len(), bytes_max: SERVER_ADDRESS_BYTES_MAX });
        }
        let (host, port) = text.rsplit_once(':').ok_or(TextInvalid::NotServerAddress)?;
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port_is_good = digits && port.parse::<u16>().is_ok_and(|port| port != 0);
        let host_is_good = match bracketed(host) {
            Some(address) => Ipv6Addr::from_str(address).is_ok(),
            None => !host.is_empty() && host.bytes().all(is_of_a_name),
        };
        if host_is_good && port_is_good {
            Ok(Self(text.to_owned()))
        } else {
            Err(TextInvalid::NotServerAddress)
        }
    }

    /// The name or the address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.0.rsplit_once(':').map_or("", |(host, _)| host);
        bracketed(host).unwrap_or(host)
    }

    /// The port; never 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default()
    }
}

fn bracketed(host: &str) -> Option<&str> {
    host.strip_prefix('[')?.strip_suffix(']')
}

/// Whether a name or an IPv4 address may hold this byte.
fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

impl FromStr for ServerAddress {
    type Err = TextInvalid;

    fn from_str(text: &str) -> Result<Self, TextInvalid> {
        Self::parse(text)
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
            ("chat_1.example.org:4433", "chat_1.example.org"),
        ] {
            let address = ServerAddress::parse(text).unwrap();
            assert_eq!((address.host(), address.port()), (host, 4433));
            assert_eq!(address.to_string(), text);
        }
    }

    // FUL-SESS-45
    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "localhost",
            "::1:4433",
            ":4433",
            "localhost:",
            "localhost:0",
            "localhost:99999",
            "localhost:+1",
            "[localhost]:1",
            "[]:1",
            "[fe80::1%eth0]:1",
            "a b:1",
            "a/b:1",
            "bücher.example:1",
            "a\n:1",
        ] {
            assert_eq!(ServerAddress::parse(text), Err(TextInvalid::NotServerAddress), "{text:?}");
        }
        let (fits, long) = (format!("{}:1", "a".repeat(253)), format!("{}:1", "a".repeat(254)));
        assert!(ServerAddress::parse(&fits).is_ok());
        assert_eq!(ServerAddress::parse(&long), Err(TextInvalid::TooLong { bytes: 256, bytes_max: 255 }));
    }
}
