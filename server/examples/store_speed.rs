//! Measures the store on this machine's disk: durable transactions a second beside one fdatasync.
//!
//! `cargo run --release -p fulmar-server --example store_speed [DIR]` (the current folder by default)
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss, clippy::indexing_slicing)]

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

use fulmar_server::{Store, StoreError, StoreOptions};
use tokio::{task::JoinSet, time::Instant};

const WRITERS: u64 = 64;
const TIME: Duration = Duration::from_secs(5);

fn main() {
    let folder = std::env::args_os().nth(1).unwrap_or_else(|| ".".into());
    let folder = tempfile::tempdir_in(folder).unwrap();
    println!("one fdatasync of 8 KiB: {:?} (median)", fdatasync(folder.path()));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    for writers in [1, WRITERS, 256] {
        let store = Store::open(folder.path().join(writers.to_string()), StoreOptions::default()).unwrap();
        let cpu_before = writer_cpu();
        let begun = Instant::now();
        let mut times = runtime.block_on(transact(&store, writers));
        let elapsed = begun.elapsed();
        let cpu = (writer_cpu() - cpu_before) / times.len() as f64;
        times.sort_unstable();
        println!(
            "{writers} writers: {:.0} transactions/s, p50 {:?}, p99 {:?}; the writer thread takes {:.1} us each",
            times.len() as f64 / elapsed.as_secs_f64(),
            times[times.len() / 2],
            times[times.len() * 99 / 100],
            cpu / 1000.0
        );
    }
    println!("one fdatasync of 8 KiB: {:?} (median)", fdatasync(folder.path()));
}

fn fdatasync(folder: &Path) -> Duration {
    let mut file = File::create(folder.join("sync")).unwrap();
    file.set_len(64 * 1024 * 1024).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    let mut times: Vec<_> = (0..500)
        .map(|_| {
            let begun = Instant::now();
            file.write_all(&[7; 8192]).unwrap();
            file.sync_data().unwrap();
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

async fn transact(store: &Store, writers: u64) -> Vec<Duration> {
    let mut tasks = JoinSet::new();
    let value = Arc::new(vec![b'v'; 200]);
    for writer in 0..writers {
        let (store, value) = (store.clone(), value.clone());
        tasks.spawn(async move {
            let mut times = Vec::new();
            let begun = Instant::now();
            let mut last = begun;
            for seq in 1_u64.. {
                message(&store, writer, seq, &value).await;
                let now = Instant::now();
                times.push(now - last);
                last = now;
                if now - begun > TIME {
                    break;
                }
            }
            times
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// About what a message in a direct conversation costs: two reads, six rows.
async fn message(store: &Store, conversation: u64, seq: u64, value: &Arc<Vec<u8>>) {
    let value = value.clone();
    let ran = store.run(move |tx| {
        let value = value.clone();
        Box::pin(async move {
            let key = |kind: u8, rest: u64| {
                let mut key = [0; 33];
                key[0] = kind;
                key[1..9].copy_from_slice(&conversation.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
                key[25..].copy_from_slice(&rest.to_be_bytes());
                key
            };
            tx.get(&key(1, 0)).await?;
            tx.get(&key(2, 0)).await?;
            tx.set(&key(1, 0), vec![1; 40]);
            tx.set(&key(3, seq), value.to_vec());
            tx.set(&key(2, 0), vec![2; 120]);
            tx.byte_max(&key(4, 1), seq.to_be_bytes().to_vec());
            tx.byte_max(&key(4, 2), seq.to_be_bytes().to_vec());
            tx.byte_max(&key(5, 1), seq.to_be_bytes().to_vec());
            Ok::<_, StoreError>(())
        })
    });
    ran.await.unwrap();
}

/// Processor time of the store's writer thread, in nanoseconds; zero where the system does not tell.
fn writer_cpu() -> f64 {
    let mut total = 0.0;
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    for task in tasks.flatten() {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let times = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        if name.trim() == "fulmar-store" {
            total += times.split(' ').next().and_then(|time| time.parse::<f64>().ok()).unwrap_or(0.0);
        }
    }
    total
}
