//! A redacted body is really gone: from every read at once, and from every file after `fulmar store compact`.

use std::path::{Path, PathBuf};

use fulmar_client::{Client, Content, HistoryItem, HistoryQuery, OutgoingMessage, State, UserId};

use crate::fulmar::{fulmar, run};
use crate::server::DevServer;

/// A kibibyte that no compression makes shorter and nothing else on this disk holds.
fn marker() -> String {
    let mut bytes = [0_u8; 512];
    let mut random = std::fs::File::open("/dev/urandom").unwrap();
    std::io::Read::read_exact(&mut random, &mut bytes).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn files_with(folder: &Path, marker: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, marker));
        } else if contains(&std::fs::read(&path).unwrap(), marker.as_bytes()) {
            found.push(path);
        }
    }
    found
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn a_redacted_body_is_in_no_read_and_after_compacting_in_no_file() {
    let mut server = DevServer::start();
    let (secret, edited) = (marker(), marker());
    let client = async |user: &str| {
        let builder = Client::builder()
            .server(server.address.to_string())
            .trust_ca_file(server.data().join("dev/ca.pem"))
            .token(server.token(user))
            .state(State::memory());
        builder.connect().await.unwrap()
    };
    let (alice, _alice_events) = client("alice").await;
    let (bob, _bob_events) = client("bob").await;
    let to_bob = alice.direct(&UserId::parse("bob").unwrap()).unwrap();
    let message = to_bob.send(OutgoingMessage::text(&secret)).await.unwrap();
    to_bob.edit(message.seq, OutgoingMessage::text(&edited)).await.unwrap();
    to_bob.send(OutgoingMessage::text("stays")).await.unwrap();
    to_bob.redact(message.seq).await.unwrap();
    let page = bob.conversation(to_bob.id()).history(HistoryQuery::newest()).await.unwrap();
    let texts: Vec<String> = page
        .items
        .iter()
        .filter_map(|item| match item {
            HistoryItem::Entry(entry) => match &entry.content {
                Some(Content::Message(message)) => Some(String::from_utf8_lossy(&message.body).into_owned()),
                Some(Content::Edit(edit)) => Some(String::from_utf8_lossy(&edit.body).into_owned()),
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["stays"], "no read returns what was redacted");
    alice.close().await;
    bob.close().await;
    assert_eq!(server.close(), Some(0));
    let data = server.data();
    assert!(!files_with(&data, &secret).is_empty(), "without compacting it is still in a journal");
    run(&mut fulmar(&["store", "compact", "--data", data.to_str().unwrap()])).succeeded();
    for marker in [&secret, &edited] {
        assert_eq!(files_with(&data, marker), Vec::<PathBuf>::new());
    }
    run(&mut fulmar(&["store", "check", "--data", data.to_str().unwrap()])).succeeded();
}
