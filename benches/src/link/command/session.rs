//! A command behind a link, from start to end.

use std::{ffi::OsString, io::Write, process::ExitCode, process::Stdio, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};

use super::{LinkOptions, child::Child, runtime};
use crate::link::{Link, LinkError, LinkStats, programs, stats::WayStats};

/// How long a program has to end by itself after Ctrl-C, which it has heard as well, before it is asked to.
const AFTER_INTERRUPT: Duration = Duration::from_secs(1);
/// How long a program has to end after it was asked to, before it is killed.
const AFTER_REQUEST: Duration = Duration::from_secs(3);

/// For a clock that does not strike.
const FAR: Duration = Duration::from_secs(31_536_000);

/// See the module. The exit code is the command's.
pub(super) fn run(options: &LinkOptions) -> Result<ExitCode, LinkError> {
    let program = options.command.first().cloned().unwrap_or_default();
    if programs::find(&program).is_none() {
        return Err(LinkError::NoProgram(program.to_string_lossy().into_owned()));
    }
    let settings = options.settings()?;
    let Some(profile) = options.profile else { return Ok(ExitCode::FAILURE) };
    runtime()?.block_on(async {
        // Before there is anything to take away.
        let mut signals = Signals::listen()?;
        let link = Link::open(profile, options.seed, &settings)?;
        say(options, &format!(
            "{profile}: {} is 10.77.0.2 here, {} for the server, which is {}; after a crash there is nothing to clean up",
            "the client", link.public_address(), link.server_address()
        ));
        let server = options.server.as_ref().map(|command| {
            let command = ["sh", "-c", command].map(OsString::from).to_vec();
            Child::start(link.server(), link.server_address(), command, Stdio::null())
        });
        let mut server = server.transpose()?;
        let mut client =
            Child::start(link.client(), link.server_address(), options.command.clone(), Stdio::inherit())?;
        let code = until_the_end(options, &link, &mut client, server.as_mut(), &mut signals).await;
        client.kill();
        if let Some(server) = &mut server {
            server.terminate();
            if timeout(AFTER_REQUEST, server.ended()).await.is_err() {
                server.kill();
            }
        }
        sum_up(options, &link.stats()?);
        Ok(ExitCode::from(code))
    })
}

async fn until_the_end(
    options: &LinkOptions,
    link: &Link,
    client: &mut Child,
    mut server: Option<&mut Child>,
    signals: &mut Signals,
) -> u8 {
    let period = options.roam.unwrap_or(FAR);
    let mut roam = interval_at(Instant::now() + period, period);
    roam.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            kind = signals.next() => return interrupted(kind, client, signals).await,
            code = client.ended() => return code,
            code = async { match &mut server {
                Some(server) => server.ended().await,
                None => std::future::pending().await,
            } } => complain(&format!("the server command has ended, with exit code {code}")),
            _ = roam.tick(), if options.roam.is_some() => {
                let address = link.roam();
                say(options, &format!("the client is {address} now"));
            }
        }
    }
}

/// Lets the command end: by itself, then by request. Whoever is impatient presses Ctrl-C again.
async fn interrupted(kind: SignalKind, client: &mut Child, signals: &mut Signals) -> u8 {
    let code = u8::try_from(kind.as_raw_value()).map_or(u8::MAX, |number| 128 | number);
    let ends = async {
        if kind == SignalKind::interrupt() && timeout(AFTER_INTERRUPT, client.ended()).await.is_ok() {
            return;
        }
        client.terminate();
        // If this takes too long, it is killed with all others.
        let _ = timeout(AFTER_REQUEST, client.ended()).await;
    };
    tokio::select! {
        () = ends => {}
        _ = signals.next() => {}
    }
    code
}

/// The signals that end a session.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Self, LinkError> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.hang_up.recv() => SignalKind::hangup(),
        }
    }
}

fn sum_up(options: &LinkOptions, stats: &LinkStats) {
    let kernel = stats.up.dropped.kernel + stats.down.dropped.kernel;
    if kernel > 0 {
        complain(&format!("the emulator was too slow: the kernel dropped {kernel} packets"));
    }
    let way = |name: &str, way: &WayStats| {
        let drops = &way.dropped;
        format!(
            "{name} {} packets, {} lost, {} dropped from the queue, {} in the dark, {} for an old address",
            way.offered_packets,
            drops.loss + drops.burst,
            drops.queue_full,
            drops.blackout,
            drops.address,
        )
    };
    say(options, &format!("{}; {}", way("up", &stats.up), way("down", &stats.down)));
}

fn say(options: &LinkOptions, line: &str) {
    if !options.quiet {
        complain(line);
    }
}

fn complain(line: &str) {
    // There is nowhere left to say that this failed.
    let _ = writeln!(anstream::stderr(), "link: {line}");
}
