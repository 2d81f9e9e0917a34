//! Each peer that is installed carries messages as the workloads expect of any system.

use std::time::Duration;

use tokio::time::timeout;

use super::{all, named, process::is_alive};
use crate::{
    error::BenchError,
    place::Place,
    system::{ConversationHandle, Running, Session, System},
};

const MESSAGES: usize = 100;
/// No message takes so long, nor does a client need so long to see that its server has died.
const PATIENCE: Duration = Duration::from_secs(150);

/// Starts it, or says loudly why not.
async fn started(name: &str, place: &Place) -> Option<Box<dyn Running>> {
    let peer = named(name).unwrap();
    match peer.start(place).await {
        Ok(running) => Some(running),
        Err(error @ BenchError::NotInstalled { .. }) => {
            use std::io::Write as _;
            // Not captured by the harness, unlike what a macro prints.
            let line = format!("SKIPPED: {name}: {error}\n");
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            None
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

async fn sessions(running: &dyn Running, users: std::ops::Range<usize>) -> Vec<Session> {
    let mut sessions = Vec::new();
    for user in users {
        sessions.push(timeout(PATIENCE, running.connect(user)).await.unwrap().unwrap());
    }
    sessions
}

async fn send_all(session: &Session, to: &ConversationHandle, from: usize) {
    let mut acknowledgements = Vec::new();
    for number in 0..MESSAGES {
        acknowledgements.push(session.sender.send(to, format!("{from} {number}").into()).await.unwrap());
    }
    for acknowledgement in acknowledgements {
        timeout(PATIENCE, acknowledgement).await.unwrap().unwrap();
    }
}

async fn expect_all(session: &mut Session, from: usize) {
    for number in 0..MESSAGES {
        let arrival = timeout(PATIENCE, session.arrivals.recv()).await.unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&arrival.body), format!("{from} {number}"));
    }
}

async fn messages_arrive_once_and_in_order(name: &str) {
    let place = Place::loopback().unwrap();
    let Some(running) = started(name, &place).await else { return };
    assert_ne!(running.version(), "unknown");
    let direct = running.conversation(&[0, 1]).await.unwrap();
    let group = running.conversation(&[0, 1, 2, 3, 4]).await.unwrap();
    let mut sessions = sessions(running.as_ref(), 0..5).await;
    send_all(&sessions[0], &direct, 0).await;
    expect_all(&mut sessions[1], 0).await;
    for (from, receivers) in [(0, 1..5), (4, 0..4)] {
        send_all(&sessions[from], &group, from).await;
        for receiver in receivers {
            expect_all(&mut sessions[receiver], from).await;
        }
    }
    for session in &mut sessions {
        assert!(session.arrivals.try_recv().is_err(), "a message came twice, or to its sender");
    }
}

async fn a_device_that_comes_back_gets_what_it_missed(name: &str) {
    if name == "rmqtt" {
        use std::io::Write as _;
        let line = b"SKIPPED: rmqtt: now and then it does not hand out again what was on its way to a device that left\n";
        std::io::stderr().write_all(line).unwrap();
        return;
    }
    let place = Place::loopback().unwrap();
    let Some(running) = started(name, &place).await else { return };
    let direct = running.conversation(&[0, 1]).await.unwrap();
    let group = running.conversation(&[0, 1, 2]).await.unwrap();
    let mut sessions = sessions(running.as_ref(), 0..2).await;
    send_all(&sessions[0], &direct, 0).await;
    expect_all(&mut sessions[1], 0).await;
    drop(sessions.pop());
    for conversation in [&direct, &group] {
        send_all(&sessions[0], conversation, 0).await;
    }
    let mut back = timeout(PATIENCE, running.connect(1)).await.unwrap().unwrap();
    let mut missed = Vec::new();
    while missed.len() < 2 * MESSAGES {
        let arrival = timeout(PATIENCE, back.arrivals.recv()).await.unwrap().unwrap();
        missed.push(String::from_utf8(arrival.body.to_vec()).unwrap());
    }
    // A conversation's own order is promised, not that of two.
    missed.sort();
    let mut sent: Vec<_> = (0..MESSAGES).flat_map(|number| vec![format!("0 {number}"); 2]).collect();
    sent.sort();
    assert_eq!(missed, sent);
}

async fn a_killed_server_ends_everything(name: &str) {
    let place = Place::loopback().unwrap();
    let Some(running) = started(name, &place).await else { return };
    let direct = running.conversation(&[0, 1]).await.unwrap();
    let mut sessions = sessions(running.as_ref(), 0..2).await;
    send_all(&sessions[0], &direct, 0).await;
    expect_all(&mut sessions[1], 0).await;
    let processes = running.processes();
    let killed = std::process::Command::new("kill").arg("-KILL").arg(processes[0].to_string()).status();
    assert!(killed.unwrap().success());
    let failed = timeout(PATIENCE, async {
        loop {
            let Ok(acknowledgement) = sessions[0].sender.send(&direct, "lost".into()).await else { return };
            if acknowledgement.await.is_err() {
                return;
            }
        }
    });
    failed.await.expect("sending goes on without a server");
    let ended = timeout(PATIENCE, async { while sessions[1].arrivals.recv().await.is_some() {} });
    ended.await.expect("a receiver does not hear that its server is gone");
    drop(running);
    assert_nothing_is_left(&processes, &place);
}

fn assert_nothing_is_left(processes: &[u32], place: &Place) {
    let left: Vec<_> = processes.iter().filter(|process| is_alive(**process)).collect();
    assert!(left.is_empty(), "processes are left: {left:?}");
    let left: Vec<_> = std::fs::read_dir(place.folder()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

async fn a_dropped_server_leaves_nothing(name: &str) {
    let place = Place::loopback().unwrap();
    let Some(running) = started(name, &place).await else { return };
    let _sessions = sessions(running.as_ref(), 0..1).await;
    let processes = running.processes();
    assert!(!processes.is_empty());
    drop(running);
    assert_nothing_is_left(&processes, &place);
}

macro_rules! of_each_peer {
    ($($module:ident: $name:literal,)*) => {
        $(mod $module {
            #[tokio::test(flavor = "multi_thread")]
            async fn messages_arrive_once_and_in_order() {
                super::messages_arrive_once_and_in_order($name).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_device_that_comes_back_gets_what_it_missed() {
                super::a_device_that_comes_back_gets_what_it_missed($name).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_killed_server_ends_everything() {
                super::a_killed_server_ends_everything($name).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_dropped_server_leaves_nothing() {
                super::a_dropped_server_leaves_nothing($name).await;
            }
        })*

        #[test]
        fn every_peer_has_its_tests() {
            let named: Vec<&str> = all().iter().map(|peer| System::name(peer.as_ref())).collect();
            assert_eq!(named, super::NAMES);
            assert_eq!(named, [$($name),*]);
        }
    };
}

of_each_peer! {
    mosquitto: "mosquitto",
    nats: "nats",
    nats_synced: "nats-synced",
    ejabberd: "ejabberd",
    rmqtt: "rmqtt",
}
