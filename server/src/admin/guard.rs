//! What is checked of every request before it is looked at.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use super::routes::refusal;

/// How long a request may take, its body and the answer's making included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The names by which the port may be called, besides `localhost` and addresses.
#[derive(Clone, Debug)]
pub(super) struct Hosts(Arc<[String]>);

impl Hosts {
    pub(super) fn new(names: Vec<String>) -> Self {
        Self(names.into())
    }

    /// Whether a host, with or without a port, is one that no stranger can make point here.
    fn allow(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            // [::1] or [::1]:9443.
            Some(rest) => rest.split_once(']').map_or("", |(address, _port)| address),
            None => host.rsplit_once(':').map_or(host, |(name, _port)| name),
        };
        name.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.0.iter().any(|allowed| name.eq_ignore_ascii_case(allowed))
    }

    /// Every host that a request names must be allowed. One that names none (HTTP/1.0) is no browser's.
    fn allow_request(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let of_uri = uri.authority().map(|authority| Some(authority.as_str()));
        let of_headers = headers.get_all(header::HOST).iter().map(|host| host.to_str().ok());
        of_headers.chain(of_uri).all(|host| host.is_some_and(|host| self.allow(host)))
    }
}

/// Refuses what may come from a web page, and what takes too long.
pub(super) async fn guard(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    if !hosts.allow_request(request.uri(), request.headers()) {
        let hint = "call the admin port by its address, or add the name to listen.admin_hosts";
        return refusal(StatusCode::MISDIRECTED_REQUEST, hint);
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && !is_json(request.headers()) {
        return refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/json");
    }
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => refusal(StatusCode::GATEWAY_TIMEOUT, "the request took too long"),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_configured_names_are_allowed() {
        let hosts = Hosts::new(vec!["fulmar.internal".to_owned()]);
        for host in [
            "127.0.0.1",
            "127.0.0.1:9443",
            "10.1.2.3:9443",
            "[::1]",
            "[::1]:9443",
            "[fe80::1]:1",
            "localhost",
            "LocalHost:9443",
            "fulmar.internal",
            "Fulmar.Internal:9443",
        ] {
            assert!(hosts.allow(host), "{host}");
        }
        for host in [
            "",
            ":",
            ":9443",
            "[",
            "[]",
            "[::1",
            "example.org",
            "example.org:9443",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "fulmar.internal.example.org",
            "xfulmar.internal",
        ] {
            assert!(!hosts.allow(host), "{host}");
        }
    }
}
