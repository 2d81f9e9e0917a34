//! What `link --verify` says: a table for people, one JSON object for machines.

use std::io::Write;

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::figures::Verdict;
use crate::{arguments::JsonTo, error::BenchError, report};

/// The whole run.
#[derive(Serialize)]
pub(super) struct Results {
    pub(super) seed: u64,
    pub(super) seconds: u64,
    pub(super) profiles: Vec<ProfileResult>,
}

/// One profile.
#[derive(Serialize)]
pub(super) struct ProfileResult {
    pub(super) name: &'static str,
    pub(super) up: DirectionResult,
    pub(super) down: DirectionResult,
    /// Processor time of the emulator for each packet, while a packet comes now and then.
    pub(super) emulator_us_per_packet: f64,
    /// While there are more than the link carries.
    pub(super) emulator_us_per_packet_busy: f64,
    /// How much later than by the model the emulator handed packets over, on average; up and down.
    pub(super) late_us_mean: [f64; 2],
    /// Packets that the emulator did not read in time: none, or the measurement is void.
    pub(super) kernel_drops: u64,
}

/// One direction, figure by figure.
pub(super) struct DirectionResult(pub(super) Vec<Verdict>);

impl Serialize for DirectionResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for verdict in &self.0 {
            map.serialize_entry(verdict.name, verdict)?;
        }
        map.end()
    }
}

impl Results {
    /// Whether all is as it should be.
    pub(super) fn is_within(&self) -> bool {
        self.profiles.iter().all(|profile| {
            let mut verdicts = profile.up.0.iter().chain(&profile.down.0);
            profile.kernel_drops == 0 && verdicts.all(|verdict| verdict.within)
        })
    }
}

/// Prints it.
pub(super) fn print(results: &Results, json: Option<&JsonTo>) -> Result<(), BenchError> {
    if let Some(to) = json {
        let object = serde_json::json!({
            "workload": "link",
            "within": results.is_within(),
            "seed": results.seed,
            "seconds": results.seconds,
            "profiles": results.profiles,
        });
        return report::write_json(&object, to);
    }
    let mut out = anstream::stdout().lock();
    writeln!(
        out,
        "{:<9} {:<4} {:<19} {:>9} {:>9} {:>9}",
        "profile", "way", "figure", "asked", "measured", "±"
    )?;
    for profile in &results.profiles {
        for (way, verdicts) in [("up", &profile.up), ("down", &profile.down)] {
            for Verdict { name, asked, measured, tolerance, within } in &verdicts.0 {
                let word = if *within { "ok" } else { "NOT AS ASKED" };
                let profile = profile.name;
                writeln!(
                    out,
                    "{profile:<9} {way:<4} {name:<19} {asked:>9.2} {measured:>9.2} {tolerance:>9.2}  {word}"
                )?;
            }
        }
        let ProfileResult { name, late_us_mean: [late_up, late_down], .. } = profile;
        let (paced, busy) = (profile.emulator_us_per_packet, profile.emulator_us_per_packet_busy);
        writeln!(
            out,
            "{name:<9} the emulator takes {paced:.1} us of processor for each packet, {busy:.1} us when busy; it is \
             {late_up:.1} us late up, {late_down:.1} us down"
        )?;
        if profile.kernel_drops > 0 {
            writeln!(
                out,
                "{name:<9} NOT AS ASKED: the kernel dropped {} packets unread",
                profile.kernel_drops
            )?;
        }
    }
    let verdict = if results.is_within() { "all is as asked" } else { "something is NOT AS ASKED" };
    writeln!(
        out,
        "{verdict}; tolerances are four standard deviations of chance, and what the emulator may add"
    )?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(super) fn per(total: u64, number: u64) -> f64 {
    total as f64 / number.max(1) as f64
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(super) fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}
