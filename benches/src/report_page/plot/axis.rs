//! Axes: where a value lies, and which values are written beside it.

use std::ops::Range;

use plotters::coord::{
    ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter},
    types::RangedCoordf64,
};

/// How values become lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Linear,
    /// Each factor of ten is as long as the next.
    Logarithmic,
    /// Percentiles: from 90 to 99 is as long as from 99 to 99.9.
    Percentile,
}

/// One axis. Lengths are those of the scale: see [`Axis::at`].
#[derive(Debug, Clone)]
pub(in crate::report_page) struct Axis {
    scale: Scale,
    pub(super) label: String,
    /// In lengths.
    from: f64,
    to: f64,
    /// Lengths, and what is written there.
    ticks: Vec<(f64, String)>,
}

/// Values that are written on one axis, about.
const TICKS: f64 = 6.0;
/// Decades of a logarithmic axis, beyond which nothing is shown.
const DECADES_MAX: i32 = 12;

impl Axis {
    /// From 0 to a little more than the greatest, so that what stands at its end has room.
    pub(in crate::report_page) fn linear(label: &str, greatest: f64, show: impl Fn(f64) -> String) -> Self {
        let greatest = if greatest > 0.0 { greatest } else { 1.0 };
        let step = round_step(greatest / TICKS);
        let ticks = std::iter::successors(Some(0.0), |tick| Some(tick + step));
        let ticks = ticks.take_while(|tick| *tick <= greatest * 1.02).take(20);
        // Nothing needs no unit.
        let written = |tick: f64| if tick > 0.0 { show(tick) } else { "0".to_owned() };
        let ticks = ticks.map(|tick| (tick, written(tick))).collect();
        Self { scale: Scale::Linear, label: label.to_owned(), from: 0.0, to: greatest * 1.04, ticks }
    }

    /// From a little less than the least to a little more than the greatest; both above 0.
    pub(in crate::report_page) fn logarithmic(
        label: &str,
        (least, greatest): (f64, f64),
        show: impl Fn(f64) -> String,
    ) -> Self {
        let (from, to) = (least.log10() - 0.08, greatest.log10() + 0.08);
        // With few decades there is room for more within each.
        let within: &[f64] = match to - from {
            few if few < 1.2 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
            some if some < 2.6 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        let decades = (-DECADES_MAX..=DECADES_MAX)
            .flat_map(|decade| within.iter().map(move |factor| factor * 10_f64.powi(decade)));
        let ticks = decades.filter(|tick| (from..=to).contains(&tick.log10()));
        let ticks = ticks.map(|tick| (tick.log10(), show(tick))).collect();
        Self { scale: Scale::Logarithmic, label: label.to_owned(), from, to, ticks }
    }

    /// From the first per cent to a given percentile.
    pub(in crate::report_page) fn percentiles(label: &str, greatest: f64) -> Self {
        let marked = [0.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 99.99].into_iter();
        let marked = marked.filter(|percentile| *percentile <= greatest);
        let ticks = marked.map(|percentile| (percentile_length(percentile), format!("p{percentile}")));
        let to = percentile_length(greatest) + 0.05;
        Self { scale: Scale::Percentile, label: label.to_owned(), from: 0.0, to, ticks: ticks.collect() }
    }

    /// Where a value lies; nothing where it has no place.
    pub(super) fn at(&self, value: f64) -> Option<f64> {
        let length = match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.log10(),
            Scale::Percentile => percentile_length(value),
        };
        length.is_finite().then_some(length)
    }
}

/// Lengths on an axis, for the library. What is written beside it is told by the axis.
impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, length: &f64, pixels: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.range()).map(length, pixels)
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(length, _)| *length).collect()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, length: &f64) -> String {
        let tick = self.ticks.iter().find(|tick| (tick.0 - length).abs() <= 1e-9 * (1.0 + length.abs()));
        tick.map(|(_, text)| text.clone()).unwrap_or_default()
    }
}

fn percentile_length(percentile: f64) -> f64 {
    -(1.0 - percentile / 100.0).log10()
}

/// 1, 2 or 5 times a power of ten, at least so much.
fn round_step(least: f64) -> f64 {
    let decade = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * decade)
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within_the_axis() {
        let axis = Axis::linear("messages", 43_000.0, |value| format!("{value}"));
        let written: Vec<_> = axis.ticks.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(written, ["0", "10000", "20000", "30000", "40000"]);
        let axis = Axis::logarithmic("time", (150.0, 900.0), |value| format!("{value:.0}"));
        let written: Vec<_> = axis.ticks.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(written, ["150", "200", "300", "400", "500", "700", "1000"]);
        assert_eq!(axis.format_ext(&axis.at(300.0).unwrap()), "300");
        assert_eq!(axis.at(0.0), None, "it has no place on such an axis");
    }

    #[test]
    fn each_nine_of_a_percentile_is_as_long_as_the_next() {
        let axis = Axis::percentiles("share", 99.9);
        let at = |percentile| axis.at(percentile).unwrap();
        assert!(((at(99.9) - at(99.0)) - (at(99.0) - at(90.0))).abs() < 1e-9);
        assert_eq!(axis.ticks.last().unwrap().1, "p99.9");
    }
}
