//! What `fulmar-bench link` takes.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::Args;
use fulmar_network_model::{Periodic, Profile};

use crate::link::{LinkError, LinkSettings, read_trace};

const EXAMPLES: &str = "\
Examples:
  fulmar-bench link --profile lte --server 'iperf3 -s' -- sh -c 'sleep 1; iperf3 -c $FULMAR_LINK_SERVER'
  fulmar-bench link --profile train --roam 10 --server './server' -- ./client 10.77.1.1
  fulmar-bench link --profile clean --trace downlink.trace --trace-up uplink.trace --server './server' -- ./client
  fulmar-bench link --verify
  fulmar-bench link --verify --profile uber-p50 --seconds 60

Where things are: the command runs as 10.77.0.2, the server command as 10.77.1.1, which both find in \
FULMAR_LINK_SERVER; the server sees the client as 100.64.0.1, and after each change of address as the next one. They \
reach each other and nothing else: no Internet, no service of this host, and no names, but for localhost.

Needs root, `ip` (apt-get install iproute2) and /dev/net/tun.

After a crash, or kill -9, there is nothing to clean up: the namespaces have no names, and programs and devices go with \
this process. To see for yourself: `ip netns`, `ip link` and `lsns -t net` show nothing of it.";

/// Runs a program behind a lossy link, or checks the link itself.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LinkOptions {
    /// The network: clean, wifi, lte, lossy-7, 3g, train, uber-p50, uber-p95 or edge.
    #[arg(long, value_parser = profile, required_unless_present = "verify")]
    pub(crate) profile: Option<&'static Profile>,
    /// Seed of all that is left to chance.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// A recorded rate in Mahimahi's format, in place of the profile's, both ways: on each line the millisecond at which
    /// 1,500 bytes may leave.
    #[arg(long, value_name = "FILE", conflicts_with = "verify")]
    trace: Option<PathBuf>,
    /// Another one for what the client sends.
    #[arg(long, value_name = "FILE", conflicts_with = "verify")]
    trace_up: Option<PathBuf>,
    /// Gives the client another public address every so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, conflicts_with = "verify")]
    pub(crate) roam: Option<Duration>,
    /// Lets nothing pass every so many seconds, for as long as --dark-for says, in place of the profile's tunnels.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "dark_for", conflicts_with = "verify")]
    dark_every: Option<Duration>,
    /// How long that lasts.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "dark_every")]
    dark_for: Option<Duration>,
    /// A command for the server's side, given to `sh -c` and ended after the client's command.
    #[arg(long, value_name = "COMMAND", conflicts_with = "verify")]
    pub(crate) server: Option<String>,
    /// Says nothing of its own unless something is wrong.
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Measures the link through its own devices and compares with what was asked; exit code 1 if it is not that.
    #[arg(long, conflicts_with = "command")]
    pub(crate) verify: bool,
    /// How long to measure each profile.
    #[arg(long, value_name = "SECONDS", default_value = "40", value_parser = measuring_seconds, requires = "verify")]
    pub(crate) seconds: Duration,
    /// The command for the client's side, and what it takes.
    #[arg(last = true, required_unless_present = "verify")]
    pub(crate) command: Vec<OsString>,
}

impl LinkOptions {
    /// What differs from the profile; reads the traces.
    pub(crate) fn settings(&self) -> Result<LinkSettings, LinkError> {
        let trace = |path: Option<&PathBuf>| path.map(|path| read_trace(path)).transpose();
        let trace_down = trace(self.trace.as_ref())?;
        let trace_up = trace(self.trace_up.as_ref())?.or_else(|| trace_down.clone());
        let dark = self.dark_every.zip(self.dark_for);
        let dark = dark.map(|(period, length)| Periodic { first: period, period, length });
        Ok(LinkSettings { trace_up, trace_down, dark })
    }
}

fn profile(name: &str) -> Result<&'static Profile, String> {
    let names: Vec<&str> = Profile::ALL.iter().map(|profile| profile.name).collect();
    Profile::by_name(name).ok_or_else(|| format!("there are {}", names.join(", ")))
}

/// From a millisecond to a week.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.001..=604_800.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "a number of seconds from 0.001 to 604800".into())
}

/// Shorter says nothing, longer is more than anybody waits for.
fn measuring_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<u64>().ok().filter(|seconds| (5..=600).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "a whole number of seconds from 5 to 600".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_bounded() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["0", "-1", "NaN", "inf", "1e9", "ten", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        assert_eq!(measuring_seconds("5"), Ok(Duration::from_secs(5)));
        assert!(measuring_seconds("4").is_err());
    }

    #[test]
    fn an_unknown_profile_is_told_which_there_are() {
        assert_eq!(profile("lte"), Ok(&Profile::LTE));
        let complaint = profile("dial-up").unwrap_err();
        assert!(Profile::ALL.iter().all(|profile| complaint.contains(profile.name)), "{complaint}");
    }
}
