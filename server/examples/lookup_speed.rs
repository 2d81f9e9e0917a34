//! Measures, on a FoundationDB cluster, two ways to find out who is told of an append: reading session rows in the
//! append's own transaction, or after it, in a snapshot. Beside each: the append alone. Prints medians.
//!
//! `cargo run --release -p fulmar-server --features foundationdb --example lookup_speed -- CLUSTER_FILE`
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fulmar_server::{FoundationDbOptions, KeyRange, Store, StoreError, StoreOptions, Transaction};
use tokio::time::Instant;

const PREFIX: &str = "lookup-speed";
const ROUNDS: u64 = 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Alone,
    Inside,
    After,
}

#[tokio::main]
async fn main() {
    let Some(cluster_file) = std::env::args_os().nth(1) else {
        println!("name the cluster file");
        return;
    };
    let place = FoundationDbOptions { cluster_file: cluster_file.into(), prefix: PREFIX.to_owned() };
    let store = Store::open_foundationdb(&place, StoreOptions::default()).await.unwrap();
    println!(
        "members  connects/s | append alone | read inside | read after | runs of the closure inside, after"
    );
    for members in [2_u64, 8, 20, 64, 128, 256] {
        for connects in [0_u64, 20] {
            measure(&store, members, connects).await;
        }
    }
    store.run(|transaction| Box::pin(async { clear(transaction) })).await.unwrap();
}

/// One line: so many members, of whom one connects so many times a second.
async fn measure(store: &Store, members: u64, connects: u64) {
    store
        .run(move |transaction| {
            Box::pin(async move {
                clear(transaction)?;
                for member in 0..members {
                    transaction.set(&session(member, 0), vec![]);
                }
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    let flapping = store.clone();
    let flapper = tokio::spawn(async move {
        for number in 1.. {
            if connects == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1_000 / connects)).await;
            let written = flapping.run(move |transaction| {
                Box::pin(async move {
                    transaction.clear_range(KeyRange::prefix(owner(0)));
                    transaction.set(&session(0, number), vec![]);
                    Ok::<_, StoreError>(())
                })
            });
            written.await.unwrap();
        }
    });
    let mut times = [vec![], vec![], vec![]];
    let runs = [0; 3].map(|_| Arc::new(AtomicU64::new(0)));
    for round in 0..ROUNDS {
        for way in [Way::Alone, Way::Inside, Way::After] {
            let begun = Instant::now();
            append(store, way, members, round, &runs[way as usize]).await;
            if way == Way::After {
                // Two users' rows are one range each; all of them at once.
                let snapshot = store.snapshot();
                let reads =
                    (0..members).map(|member| snapshot.range(KeyRange::prefix(owner(member)), 256, false));
                futures_util::future::try_join_all(reads).await.unwrap();
            }
            times[way as usize].push(begun.elapsed());
        }
    }
    flapper.abort();
    let median = |way: Way| {
        let mut times = times[way as usize].clone();
        times.sort_unstable();
        format!("{:.1} ms", times[times.len() / 2].as_secs_f64() * 1e3)
    };
    let runs = |way: Way| runs[way as usize].load(Ordering::Relaxed) as f64 / ROUNDS as f64;
    println!(
        "{members:>7}  {connects:>10} | {:>12} | {:>11} | {:>10} | {:.2}, {:.2}",
        median(Way::Alone),
        median(Way::Inside),
        median(Way::After),
        runs(Way::Inside),
        runs(Way::After),
    );
}

/// What an append to a conversation of so many members reads and writes.
async fn append(store: &Store, way: Way, members: u64, round: u64, runs: &Arc<AtomicU64>) {
    let runs = Arc::clone(runs);
    store
        .run(move |transaction| {
            let runs = Arc::clone(&runs);
            Box::pin(async move {
                runs.fetch_add(1, Ordering::Relaxed);
                let (head, sender) = (row("head", 0), row("sender", 0));
                futures_util::try_join!(transaction.get(&head), transaction.get(&sender))?;
                if way == Way::Inside {
                    let reads = (0..members)
                        .map(|member| transaction.range(KeyRange::prefix(owner(member)), 256, false));
                    futures_util::future::try_join_all(reads).await?;
                }
                transaction.set(&head, round.to_be_bytes().to_vec());
                transaction.set(&sender, vec![0; 400]);
                transaction.set(&row("entry", round * 4 + way as u64), vec![0; 260]);
                transaction.byte_max(&row("read", 0), round.to_be_bytes().to_vec());
                for member in 0..members.min(64) {
                    transaction.byte_max(&row("inbox", member), round.to_be_bytes().to_vec());
                }
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
}

fn row(table: &str, number: u64) -> Vec<u8> {
    [&[1, b'L'], table.as_bytes(), &number.to_be_bytes()].concat()
}

fn owner(member: u64) -> Vec<u8> {
    row("session", member)
}

fn session(member: u64, number: u64) -> Vec<u8> {
    [owner(member), number.to_be_bytes().to_vec()].concat()
}

fn clear(transaction: &Transaction) -> Result<(), StoreError> {
    transaction.clear_range(KeyRange::prefix(vec![1, b'L']));
    Ok(())
}
