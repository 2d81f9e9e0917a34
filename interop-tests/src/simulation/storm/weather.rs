//! What breaks without anybody's doing: the server's machine and its disk.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::Scene;
use super::actor::exponential;

/// How often something happens to the server.
const MEAN: Duration = Duration::from_secs(150);
/// A sync on a disk that is well.
const SYNC: Duration = Duration::from_millis(2);

/// Breaks and mends the server until the time is up, and leaves it running and well.
pub(super) async fn weather(scene: Arc<Scene>, length: Duration, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let world = &scene.world;
    loop {
        let wait = exponential(&mut random, MEAN);
        if world.now() + wait >= length {
            return;
        }
        tokio::time::sleep(wait).await;
        let what = random.random_range(0..10);
        let pause = Duration::from_millis(random.random_range(100..8_000));
        match what {
            0..4 => {
                scene.recorder.note("server: crashes");
                world.crash_server();
                tokio::time::sleep(pause).await;
                world.start_server().await;
                scene.recorder.note("server: is back");
            }
            // A disk that hardly gets on, and then fails.
            4..6 => {
                scene.recorder.note("server: its disk is slow, and it crashes");
                world.server_disk().set_sync(pause * 2);
                tokio::time::sleep(pause).await;
                world.crash_server();
                world.server_disk().set_sync(SYNC);
                tokio::time::sleep(pause).await;
                world.start_server().await;
                scene.recorder.note("server: is back");
            }
            6..8 => {
                scene.recorder.note("server: stops");
                world.stop_server().await;
                tokio::time::sleep(pause).await;
                world.start_server().await;
                scene.recorder.note("server: is back");
            }
            8 => {
                scene.recorder.note("server: stands still");
                world.server_host().pause();
                tokio::time::sleep(pause).await;
                world.server_host().resume();
            }
            _ => {
                scene.recorder.note("server: its disk is slow");
                world.server_disk().set_sync(pause / 8);
                tokio::time::sleep(pause * 2).await;
                world.server_disk().set_sync(SYNC);
            }
        }
    }
}
