//! What happens to a phone and its app.

use rand::Rng as _;

use super::super::device::Device;
use super::super::network::Direction;
use super::actor::Actor;

impl Actor {
    /// Another network, with or without the app being told.
    pub(super) async fn roam(&mut self) {
        self.roams = (self.roams + 1) % 16;
        let address = Device::address(self.number(), self.roams);
        self.device.host.move_to(address).expect("an address of its own");
        self.scene.recorder.note(format!("device {}: moves to {address}", self.number()));
        if self.random.random_bool(0.7) {
            self.pause(0..2_000).await;
            if let Some(client) = self.device.client() {
                let _ = client.network_changed().await;
            }
        }
    }

    pub(super) async fn go_dark(&mut self) {
        let directions: &[Direction] = match self.random.random_range(0..4) {
            0 => &[Direction::Up],
            1 => &[Direction::Down],
            _ => &Direction::BOTH,
        };
        self.scene.recorder.note(format!("device {}: dark, {directions:?}", self.number()));
        self.device.host.blackout(directions);
        self.pause(1_000..45_000).await;
        self.device.host.restore();
        self.scene.recorder.note(format!("device {}: light", self.number()));
    }

    pub(super) async fn sleep(&mut self) {
        self.device.close().await;
        self.under_way.shutdown().await;
        self.scene.recorder.app_died(self.number());
        self.pause(1_000..120_000).await;
        self.device.start();
    }

    pub(super) async fn crash(&mut self) {
        self.under_way.shutdown().await;
        self.device.crash();
        self.scene.recorder.app_died(self.number());
        self.pause(100..30_000).await;
        self.device.start();
    }

    pub(super) fn back_up(&mut self) {
        self.backup = Some(self.device.backup());
        self.scene.recorder.backed_up(self.number());
    }

    pub(super) async fn restore(&mut self) {
        let Some(backup) = self.backup.clone() else { return };
        self.under_way.shutdown().await;
        self.device.crash();
        self.device.restore(&backup);
        self.scene.recorder.restored(self.number());
        self.pause(100..30_000).await;
        self.device.start();
    }

    /// The app is looked at no more, and then again. Meanwhile it may send something.
    pub(super) async fn look_away(&mut self) {
        let Some(client) = self.device.client() else { return };
        self.scene.recorder.note(format!("device {}: background", self.number()));
        client.background();
        self.pause(100..60_000).await;
        if self.random.random_bool(0.3) {
            self.send(1);
            self.pause(100..60_000).await;
        }
        client.foreground();
        self.scene.recorder.note(format!("device {}: foreground", self.number()));
    }
}
