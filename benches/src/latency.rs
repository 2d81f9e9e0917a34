//! One pair, unloaded: from `send` to the other's event, beside an echo and a sync that take turns with it.

use std::time::Duration;

use fulmar_client::{Event, OutgoingMessage};
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::time::{Instant, timeout};

use crate::{
    error::BenchError,
    floors::{Disk, Echo},
    world::{World, user},
};

/// All in microseconds, but the ratios.
#[derive(Serialize)]
pub(crate) struct Latency {
    workload: &'static str,
    messages: u32,
    p50_us: f64,
    p99_us: f64,
    accepted_p50_us: f64,
    accepted_p99_us: f64,
    echo_p50_us: f64,
    echo_p99_us: f64,
    sync_p50_us: f64,
    sync_p99_us: f64,
    /// Against echo + sync.
    ratio_p50: f64,
    ratio_p99: f64,
}

pub(crate) async fn run(messages: u32, bytes: usize) -> Result<Latency, BenchError> {
    let world = World::start().await?;
    let (ann, bob) = (user(0)?, user(1)?);
    let (sender, _events) = world.connect(&ann).await?;
    let (_receiver, mut events) = world.connect(&bob).await?;
    let conversation = sender.direct(&bob)?;
    let mut echo = Echo::connect(world.server.echo, &world.authority()).await?;
    let mut disk = Disk::open(world.folder.path())?;
    let payload = vec![b'x'; bytes];
    let mut figures = [histogram()?, histogram()?, histogram()?, histogram()?];
    let warm_up = messages / 10;
    for number in 0..messages + warm_up {
        let started = Instant::now();
        let sending = conversation.enqueue(OutgoingMessage::new("text/plain", payload.clone())).await?;
        let received = async {
            loop {
                match timeout(Duration::from_secs(10), events.next()).await {
                    Ok(Some(Event::Entry(entry))) if !entry.is_own => return Ok(started.elapsed()),
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return Err(BenchError::Wrong("a message did not arrive".into())),
                }
            }
        };
        let accepted = async {
            sending.await?;
            Ok::<_, BenchError>(started.elapsed())
        };
        let (received, accepted) = tokio::try_join!(received, accepted)?;
        let echoed = echo.round_trip(&payload).await?;
        let synced = disk.write_and_sync(&payload)?;
        if number >= warm_up {
            for (histogram, figure) in figures.iter_mut().zip([received, accepted, echoed, synced]) {
                histogram.saturating_record(u64::try_from(figure.as_nanos()).unwrap_or(u64::MAX));
            }
        }
    }
    let [received, accepted, echo, sync] = &figures;
    let (p50, p99) = (us(received, 0.5), us(received, 0.99));
    Ok(Latency {
        workload: "latency",
        messages,
        p50_us: p50,
        p99_us: p99,
        accepted_p50_us: us(accepted, 0.5),
        accepted_p99_us: us(accepted, 0.99),
        echo_p50_us: us(echo, 0.5),
        echo_p99_us: us(echo, 0.99),
        sync_p50_us: us(sync, 0.5),
        sync_p99_us: us(sync, 0.99),
        ratio_p50: p50 / (us(echo, 0.5) + us(sync, 0.5)),
        ratio_p99: p99 / (us(echo, 0.99) + us(sync, 0.99)),
    })
}

/// Nanoseconds up to four seconds, with three digits.
fn histogram() -> Result<Histogram<u64>, BenchError> {
    Histogram::new_with_max(4_000_000_000, 3).map_err(|error| BenchError::Wrong(error.to_string()))
}

/// A quantile in microseconds.
fn us(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    f64::from(u32::try_from(histogram.value_at_quantile(quantile)).unwrap_or(u32::MAX)) / 1_000.0
}
