//! The admin port, asked in the plainest HTTP.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{TestServer, within};

impl TestServer {
    /// `GET` of a path: the status and the body.
    pub async fn admin_get(&self, path: &str) -> (u16, String) {
        self.admin(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await
    }

    /// `POST` of JSON to a path: the status and the body.
    pub async fn admin_post(&self, path: &str, body: &Value) -> (u16, String) {
        let body = body.to_string();
        let length = body.len();
        self.admin(&format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
        .await
    }

    async fn admin(&self, request: &str) -> (u16, String) {
        let answer = within("an answer of the admin port", async {
            let mut stream = TcpStream::connect(self.server().admin_address()).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        })
        .await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        (status, body.to_owned())
    }
}
