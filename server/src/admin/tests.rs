//! The admin port over real sockets, spoken to in raw HTTP.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fulmar_protocol::{DeviceId, SessionNumber, TimestampMs, UserId};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;

/// A server that remembers what it was asked.
#[derive(Default)]
struct Asked {
    store_problem: Option<String>,
    revoked: Mutex<Vec<UserId>>,
    drained: Mutex<usize>,
}

impl AdminApi for Asked {
    fn readiness(&self) -> Vec<ReadinessPart> {
        let part = |name, problem| ReadinessPart { name, problem };
        vec![part("endpoint", None), part("store", self.store_problem.clone())]
    }

    fn sessions(&self, after: SessionNumber, limit: usize) -> Sessions {
        let session = |number| SessionInfo {
            session: SessionNumber::new(number),
            user: UserId::parse("alice \"the\" first").unwrap(),
            device: DeviceId::new([7; 16]),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 5)),
            client: "test/1".to_owned(),
            connected_at: TimestampMs::new(1),
            expires_at: TimestampMs::new(2),
        };
        Sessions {
            total: 3,
            sessions: (1..=3).filter(|n| *n > after.get()).take(limit).map(session).collect(),
        }
    }

    fn revoke(&self, user: UserId) -> BoxFuture<'_, Result<Revoked, AdminFailure>> {
        async move {
            if let Some(problem) = &self.store_problem {
                return Err(AdminFailure::StoreUnavailable(problem.clone()));
            }
            self.revoked.lock().push(user.clone());
            Ok(Revoked { user, revoked_before: TimestampMs::new(9), sessions_ended: 2 })
        }
        .boxed()
    }

    fn drain(&self) -> BoxFuture<'_, Result<Draining, AdminFailure>> {
        async move {
            *self.drained.lock() += 1;
            Ok(Draining { sessions: 3 })
        }
        .boxed()
    }

    fn metrics(&self) -> String {
        "# TYPE fulmar_sessions gauge\nfulmar_sessions 3\n".to_owned()
    }
}

struct Port {
    api: Arc<Asked>,
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Port {
    async fn open(api: Asked) -> Self {
        let options = AdminOptions {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            hosts: vec!["fulmar.internal".to_owned()],
        };
        let server = AdminServer::bind(options).await.unwrap();
        let (address, stop, api) = (server.address(), CancellationToken::new(), Arc::new(api));
        let serving = tokio::spawn(server.serve(Arc::clone(&api) as Arc<dyn AdminApi>, stop.clone()));
        Self { api, address, stop, serving }
    }

    /// Sends bytes on a connection of its own, and gives the status and the body of the answer.
    async fn raw(&self, request: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or(0), body.to_owned())
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let host = self.address;
        self.raw(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).await
    }

    async fn post(&self, path: &str, body: &str) -> (u16, Value) {
        self.post_with(path, "Content-Type: application/json\r\n", body).await
    }

    async fn post_with(&self, path: &str, headers: &str, body: &str) -> (u16, Value) {
        let (host, length) = (self.address, body.len());
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\
             {headers}\r\n{body}"
        );
        let (status, body) = self.raw(request.as_bytes()).await;
        (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }
}

fn json_of(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn health_readiness_and_metrics_are_told() {
    let port = Port::open(Asked::default()).await;
    assert_eq!(port.get("/healthz").await, (200, "ok\n".to_owned()));
    let (status, body) = port.get("/readyz").await;
    assert_eq!(status, 200);
    assert_eq!(json_of(&body), json!({"ready": true, "parts": [{"name": "endpoint"}, {"name": "store"}]}));
    let (status, body) = port.get("/metrics").await;
    assert_eq!((status, body.as_str()), (200, "# TYPE fulmar_sessions gauge\nfulmar_sessions 3\n"));
}

#[tokio::test]
async fn a_part_that_fails_makes_the_server_not_ready_and_says_why() {
    let port = Port::open(Asked { store_problem: Some("disk full".to_owned()), ..Asked::default() }).await;
    let (status, body) = port.get("/readyz").await;
    assert_eq!(status, 503);
    let parts = json!([{"name": "endpoint"}, {"name": "store", "problem": "disk full"}]);
    assert_eq!(json_of(&body), json!({"ready": false, "parts": parts}));
    assert_eq!(port.get("/healthz").await.0, 200);
    let (status, body) = port.post("/admin/revoke", r#"{"user":"alice"}"#).await;
    assert_eq!((status, body), (503, json!({"error": "the store takes no writes now: disk full"})));
}

#[tokio::test]
async fn sessions_are_listed_page_by_page() {
    let port = Port::open(Asked::default()).await;
    let (status, body) = port.get("/admin/sessions?limit=1&after=1").await;
    let session = json!({
        "session": 2, "user": "alice \"the\" first", "device": "07070707070707070707070707070707",
        "address": "127.0.0.1:5", "client": "test/1", "connected_at_ms": 1, "expires_at_ms": 2
    });
    assert_eq!((status, json_of(&body)), (200, json!({"total": 3, "sessions": [session]})));
    let (_, body) = port.get("/admin/sessions").await;
    assert_eq!(json_of(&body)["sessions"].as_array().unwrap().len(), 3);
    for query in ["limit=0", "limit=1001", "limit=-1", "limit=x", "after=x", "other=1", "limit=1&limit=2"] {
        let (status, body) = port.get(&format!("/admin/sessions?{query}")).await;
        assert_eq!(status, 400, "{query}");
        assert!(json_of(&body)["error"].is_string());
    }
}

#[tokio::test]
async fn revoke_and_drain_reach_the_server() {
    let port = Port::open(Asked::default()).await;
    let (status, body) = port.post("/admin/revoke", r#"{"user":"alice"}"#).await;
    let revoked = json!({"user": "alice", "revoked_before_ms": 9, "sessions_ended": 2});
    assert_eq!((status, body), (200, revoked));
    assert_eq!(*port.api.revoked.lock(), [UserId::parse("alice").unwrap()]);
    assert_eq!(port.post("/admin/drain", "{}").await, (200, json!({"sessions": 3})));
    let charset = "content-type: Application/JSON; charset=utf-8\r\n";
    assert_eq!(port.post_with("/admin/drain", charset, "{}").await.0, 200);
    assert_eq!(*port.api.drained.lock(), 2);
}

#[tokio::test]
async fn bad_requests_are_refused_and_change_nothing() {
    let port = Port::open(Asked::default()).await;
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"user":5}"#,
        r#"{"user":""}"#,
        r#"{"user":"a","b":1}"#,
        r#"{"user":"a\n"}"#,
    ] {
        let (status, answer) = port.post("/admin/revoke", body).await;
        assert_eq!(status, 400, "{body}");
        assert!(answer["error"].is_string(), "{body}: {answer}");
    }
    let long = format!(r#"{{"user":"{}"}}"#, "x".repeat(300));
    let (status, answer) = port.post("/admin/revoke", &long).await;
    assert_eq!((status, answer), (400, json!({"error": "a user id of 300 bytes is longer than 128 bytes"})));
    let huge = format!(r#"{{"user":"{}"}}"#, "x".repeat(5_000));
    assert_eq!(port.post("/admin/revoke", &huge).await.0, 413);
    assert_eq!(port.post("/admin/drain", r#"{"now":true}"#).await.0, 400);
    assert_eq!(port.get("/nothing").await, (404, r#"{"error":"no such path"}"#.to_owned()));
    assert_eq!(port.get("/admin/drain").await.0, 405);
    assert_eq!(port.post("/healthz", "{}").await.0, 405);
    assert!(port.api.revoked.lock().is_empty());
    assert_eq!(*port.api.drained.lock(), 0);
}

#[tokio::test]
async fn a_web_page_can_neither_read_nor_change_anything() {
    let port = Port::open(Asked::default()).await;
    // What a form or a script of another site can send without asking first.
    for headers in [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: multipart/form-data; boundary=x\r\n",
        "Content-Type: text/plain; application/json\r\n",
    ] {
        let (status, _) = port.post_with("/admin/drain", headers, "{}").await;
        assert_eq!(status, 415, "{headers:?}");
    }
    // A name of the page's own that was made to point here.
    for host in ["evil.example", "evil.example:9443", "localhost.evil.example", "127.0.0.1.evil.example", ""]
    {
        for path in ["/admin/sessions", "/metrics", "/readyz"] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            assert_eq!(port.raw(request.as_bytes()).await.0, 421, "{host:?}");
        }
    }
    let request = "GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(port.raw(request.as_bytes()).await.0, 421);
    for host in ["localhost", "LOCALHOST:1", "[::1]:9443", "10.0.0.1", "fulmar.internal:9443"] {
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(port.raw(request.as_bytes()).await.0, 200, "{host}");
    }
    assert_eq!(port.raw(b"GET /healthz HTTP/1.0\r\n\r\n").await.0, 200);
    assert_eq!(*port.api.drained.lock(), 0);
}

#[tokio::test]
async fn rubbish_on_the_port_harms_nobody() {
    let port = Port::open(Asked::default()).await;
    let rubbish: [&[u8]; 6] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /admin/drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n",
    ];
    for bytes in rubbish {
        let mut stream = TcpStream::connect(port.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _reset_or_not = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{bytes:?}");
    }
    assert_eq!(port.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn the_port_stops_though_a_peer_keeps_a_request_unfinished() {
    let port = Port::open(Asked::default()).await;
    let mut slow = TcpStream::connect(port.address).await.unwrap();
    slow.write_all(b"POST /admin/drain HTTP/1.1\r\nHost: localhost\r\n").await.unwrap();
    assert_eq!(port.get("/healthz").await.0, 200);
    port.stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), port.serving).await.unwrap().unwrap();
    assert!(TcpStream::connect(port.address).await.is_err());
    let mut rest = Vec::new();
    let _reset_or_not = slow.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_taken_address_is_an_error_before_anything_is_served() {
    let port = Port::open(Asked::default()).await;
    let options = AdminOptions { address: port.address, hosts: Vec::new() };
    assert_eq!(AdminServer::bind(options).await.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}
