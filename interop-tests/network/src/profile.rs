//! Networks with names: one definition for tests, simulation and benchmarks.
//!
//! A profile is the whole way between a device and a server, both directions; the server's own link adds
//! nothing ([`Profile::SERVER`]). Where a source gives a round trip, each direction has half of it, of which
//! the mean of the jitter is a part. Where a source gives a loss, each direction has it. What no source gives
//! is said to be assumed, and so is every queue: operators publish none.
//!
//! Sources:
//! - \[WPT\] The standard connection settings of WebPageTest: Cable 5/1 Mbit/s 28 ms, 3G 1.6/0.768 Mbit/s
//!   300 ms, Edge 240/200 kbit/s 840 ms, LTE 12/12 Mbit/s 70 ms (down/up, round trip), all without loss.
//! - \[Uber\] "Employing QUIC Protocol to Optimize Uber's App Performance", Uber Engineering, 2019: round trips
//!   of 350/425/725/2,300 ms (50th, 75th, 95th and 99th percentile); loss 3.5 % on average, 7 % in congested
//!   areas.
//! - \[HSR\] Wang and others, "An Active-Passive Measurement Study of TCP Performance over LTE on High-speed
//!   Rails", MobiCom 2019 (arXiv 1812.04823), and Xiao and others, "TCP Performance over Mobile Networks in
//!   High-speed Mobility Scenarios", ICNP 2014: above 300 km/h handovers are frequent and dominate, round
//!   trips are worse and vary widely. Their figures are not taken; the arithmetic below is ours.

use std::fmt;
use std::time::Duration;

use crate::options::{Burst, Handovers, LinkOptions, Periodic, Rate, Reordering, Share};

/// A named pair of links.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// Its name, as on a command line.
    pub name: &'static str,
    /// What it is, and where its figures come from.
    pub source: &'static str,
    /// From the device.
    pub up: LinkOptions,
    /// To the device.
    pub down: LinkOptions,
}

impl Profile {
    /// All that have a name, the best first.
    pub const ALL: &'static [Self] = &[
        Self::CLEAN,
        Self::WIFI,
        Self::LTE,
        Self::LOSSY_7,
        Self::THREE_G,
        Self::TRAIN,
        Self::UBER_P50,
        Self::UBER_P95,
        Self::EDGE,
    ];

    /// A server in its data centre: adds nothing, so that what is between is its clients' profile. Not in
    /// [`ALL`](Self::ALL), as it is nobody's network.
    pub const SERVER: Self = Self {
        name: "server",
        source: "No delay, no loss, no rate: the way is described by the device's profile.",
        up: LinkOptions::CLEAN,
        down: LinkOptions::CLEAN,
    };

    /// For tests that count round trips.
    pub const CLEAN: Self = Self {
        name: "clean",
        source: "For tests: 25 ms each way, exactly, and nothing else.",
        up: LinkOptions::with_delay(Duration::from_millis(25)),
        down: LinkOptions::with_delay(Duration::from_millis(25)),
    };

    /// Wi-Fi at home.
    pub const WIFI: Self = Self {
        name: "wifi",
        source: "Wi-Fi on a cable line. Rates and 28 ms: WPT, Cable. Assumed: jitter 2 ms, loss 0.1 %, queues of \
                 64 KiB up and 256 KiB down.",
        up: LinkOptions { rate: Some(Rate::kilobits(1_000, 65_536)), ..WIFI_BOTH },
        down: LinkOptions { rate: Some(Rate::kilobits(5_000, 262_144)), ..WIFI_BOTH },
    };

    /// A good mobile network.
    pub const LTE: Self = Self {
        name: "lte",
        source: "Rates and 70 ms: WPT, LTE. Assumed: jitter 5 ms, loss 0.5 % of which nearly half in bursts, \
                 1,400 bytes of payload under the operator's tunnel, queues of 256 KiB.",
        up: LTE_BOTH,
        down: LTE_BOTH,
    };

    /// A middling mobile network.
    pub const THREE_G: Self = Self {
        name: "3g",
        source: "Rates and 300 ms: WPT, 3G. Assumed: jitter 15 ms, loss 1 % in bursts, 1,400 bytes of payload, \
                 queues of 64 KiB up and 128 KiB down.",
        up: LinkOptions { rate: Some(Rate::kilobits(768, 65_536)), ..THREE_G_BOTH },
        down: LinkOptions { rate: Some(Rate::kilobits(1_600, 131_072)), ..THREE_G_BOTH },
    };

    /// A slow old one.
    pub const EDGE: Self = Self {
        name: "edge",
        source: "Rates and 840 ms: WPT, Edge. Assumed: jitter 40 ms, loss 2 % in bursts, 1,400 bytes of payload, \
                 queues of 32 KiB.",
        up: LinkOptions { rate: Some(Rate::kilobits(200, 32_768)), ..EDGE_BOTH },
        down: LinkOptions { rate: Some(Rate::kilobits(240, 32_768)), ..EDGE_BOTH },
    };

    /// The median of a world-wide mobile population.
    pub const UBER_P50: Self = Self {
        name: "uber-p50",
        source: "350 ms and 3.5 % independent loss: Uber. Rates: WPT, 3G. Assumed: jitter 10 ms, queues of 64 KiB \
                 up and 128 KiB down.",
        up: LinkOptions { rate: Some(Rate::kilobits(768, 65_536)), ..UBER_P50_BOTH },
        down: LinkOptions { rate: Some(Rate::kilobits(1_600, 131_072)), ..UBER_P50_BOTH },
    };

    /// Its bad end.
    pub const UBER_P95: Self = Self {
        name: "uber-p95",
        source: "725 ms: Uber. Loss 5.7 %, between its average of 3.5 % (while the link is good) and its 7 % when \
                 congested: the rest in bursts of 4 packets of which 40 % are lost (assumed). Rates: half of WPT, \
                 3G. Assumed: jitter 32.5 ms, 0.5 % reordered by 20 ms, queues of 64 KiB.",
        up: LinkOptions { rate: Some(Rate::kilobits(384, 65_536)), ..UBER_P95_BOTH },
        down: LinkOptions { rate: Some(Rate::kilobits(800, 65_536)), ..UBER_P95_BOTH },
    };

    /// A fast train.
    pub const TRAIN: Self = Self {
        name: "train",
        source: "LTE on a fast train, as HSR describes it. Arithmetic: at 300 km/h and a cell every kilometre \
                 (assumed) one handover in 12 s; a tunnel of 1.25 km takes 15 s, one in three minutes (assumed). \
                 Assumed: 400 ms without a packet at each handover, up to 60 ms more or less after it, 100 ms, \
                 jitter 10 ms, loss 1.5 % in bursts, 4 Mbit/s, queues of 128 KiB.",
        up: TRAIN_BOTH,
        down: TRAIN_BOTH,
    };

    /// Much loss and little else.
    pub const LOSSY_7: Self = Self {
        name: "lossy-7",
        source: "7 % independent loss: Uber, congested areas. Assumed: 100 ms without jitter, 10 Mbit/s, queues of \
                 256 KiB, so that what is measured is loss.",
        up: LOSSY_7_BOTH,
        down: LOSSY_7_BOTH,
    };

    /// The profile with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|profile| profile.name == name)
    }

    /// The mean time from the device to the server and back for a packet that waits in no queue, handovers
    /// left out.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.up.delay + self.up.jitter + self.down.delay + self.down.jitter
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Bursts of `packets` packets on average, of which half are lost, and nothing else.
const fn bursts(good_to_bad: f64, packets: f64) -> Option<Burst> {
    Some(Burst {
        good_to_bad: Share::of(good_to_bad),
        bad_to_good: Share::of(1.0 / packets),
        loss_good: Share::NONE,
        loss_bad: Share::of(0.5),
        memory: ms(1_000),
    })
}

const WIFI_BOTH: LinkOptions =
    LinkOptions { delay: ms(12), jitter: ms(2), loss: Share::of(0.001), ..LinkOptions::CLEAN };

const LTE_BOTH: LinkOptions = LinkOptions {
    delay: ms(30),
    jitter: ms(5),
    rate: Some(Rate::kilobits(12_000, 262_144)),
    loss: Share::of(0.003),
    burst: bursts(0.001, 4.0),
    mtu: 1_400,
    ..LinkOptions::CLEAN
};

const THREE_G_BOTH: LinkOptions = LinkOptions {
    delay: ms(135),
    jitter: ms(15),
    burst: bursts(0.005, 4.0),
    mtu: 1_400,
    ..LinkOptions::CLEAN
};

const EDGE_BOTH: LinkOptions = LinkOptions {
    delay: ms(380),
    jitter: ms(40),
    burst: bursts(0.010, 4.0),
    mtu: 1_400,
    ..LinkOptions::CLEAN
};

const UBER_P50_BOTH: LinkOptions =
    LinkOptions { delay: ms(165), jitter: ms(10), loss: Share::of(0.035), ..LinkOptions::CLEAN };

const UBER_P95_BOTH: LinkOptions = LinkOptions {
    delay: ms(330),
    jitter: Duration::from_micros(32_500),
    burst: Some(Burst {
        good_to_bad: Share::of(0.016),
        bad_to_good: Share::of(0.25),
        loss_good: Share::of(0.035),
        loss_bad: Share::of(0.40),
        memory: ms(1_000),
    }),
    reordering: Some(Reordering { share: Share::of(0.005), extra_delay: ms(20) }),
    mtu: 1_400,
    ..LinkOptions::CLEAN
};

const TRAIN_BOTH: LinkOptions = LinkOptions {
    delay: ms(40),
    jitter: ms(10),
    rate: Some(Rate::kilobits(4_000, 131_072)),
    burst: bursts(0.008, 4.0),
    mtu: 1_400,
    tunnels: Some(Periodic { first: ms(90_000), period: ms(180_000), length: ms(15_000) }),
    handovers: Some(Handovers {
        outage: Periodic { first: ms(6_000), period: ms(12_000), length: ms(400) },
        delay_step_max: ms(60),
    }),
    ..LinkOptions::CLEAN
};

const LOSSY_7_BOTH: LinkOptions = LinkOptions {
    delay: ms(50),
    loss: Share::of(0.07),
    rate: Some(Rate::kilobits(10_000, 262_144)),
    ..LinkOptions::CLEAN
};
