//! The server's process is killed by SIGKILL again and again while 20,000 messages are being sent.
//!
//! What a kill cannot take away is the page cache; that the store survives a power cut is shown in
//! `interop-tests/tests/power_cut`.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::fulmar::{json, run, run_reading};
use crate::server::DevServer;

const SENDERS: usize = 4;
const MESSAGES_PER_SENDER: usize = 5_000;
const KILLS: u32 = 8;

/// Numbers that repeat for one seed (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next_below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn seed() -> u64 {
    match std::env::var("FULMAR_CRASH_SEED") {
        Ok(seed) => seed.parse().expect("FULMAR_CRASH_SEED is a number"),
        Err(_) => now_in_ms(),
    }
}

#[expect(clippy::disallowed_methods, reason = "any number will do; it is printed")]
fn now_in_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// FUL-SEND: what was answered with Accepted is durable, and appears once, however often it was sent.
#[test]
#[expect(clippy::print_stdout, reason = "a failure must show its seed")]
fn every_accepted_message_survives_a_killed_server_once_and_in_order() {
    let seed = seed();
    println!("FULMAR_CRASH_SEED={seed}");
    let mut numbers = Numbers(seed);
    let mut server = DevServer::start();
    let input: String = (1..=MESSAGES_PER_SENDER).map(|number| format!("message {number}\n")).collect();
    let sending: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (to, timeout) = (format!("recipient-{sender}"), "50s");
            let arguments = ["send", "--to", &to, "--stdin", "--json", "--timeout", timeout];
            let mut command = server.client(&format!("sender-{sender}"), &arguments);
            let input = input.clone();
            thread::spawn(move || run_reading(&mut command, &input))
        })
        .collect();
    let mut killed_while_sending = 0;
    for _ in 0..KILLS {
        // A real wait: the moment of the kill is what the test is about.
        thread::sleep(Duration::from_millis(60 + numbers.next_below(500)));
        killed_while_sending += u32::from(sending.iter().any(|sender| !sender.is_finished()));
        server.kill();
        server.open();
    }
    assert!(killed_while_sending > KILLS / 2, "most kills came too late: send more");
    for (sender, sending) in sending.into_iter().enumerate() {
        let outcome = sending.join().unwrap();
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        let accepted = outcome.json();
        assert_eq!(accepted.len(), MESSAGES_PER_SENDER, "every message was accepted in the end");
        let seqs: HashMap<u64, usize> = accepted
            .iter()
            .enumerate()
            .map(|(index, line)| (line["seq"].as_u64().unwrap(), index + 1))
            .collect();
        assert_eq!(seqs.len(), MESSAGES_PER_SENDER, "each has a seq of its own");
        let (with, count) = (format!("sender-{sender}"), MESSAGES_PER_SENDER.to_string());
        let arguments = ["tail", "--with", &with, "--from", "1", "--count", &count, "--json"];
        let log = run(&mut server.client(&format!("recipient-{sender}"), &arguments)).succeeded();
        for (index, line) in log.lines().enumerate() {
            let entry = json(line);
            let seq = u64::try_from(index).unwrap() + 1;
            assert_eq!(entry["seq"], seq, "the log has no gap and no repeat");
            // Sent in order by one device, so they stand in the log in order, each once, where the answer said.
            assert_eq!(entry["text"], format!("message {seq}"), "in order, and once");
            assert_eq!(seqs.get(&seq), Some(&usize::try_from(seq).unwrap()), "where the sender was told");
        }
        assert_eq!(log.lines().count(), MESSAGES_PER_SENDER);
    }
}
