//! Figures of one run, and what several runs make of them: medians and spread.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::error::BenchError;

/// The longest time that is told apart from longer ones.
const TIME_MAX: Duration = Duration::from_secs(600);

/// The percentiles of a curve.
const PERCENTILES: [f64; 20] = [
    1.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 85.0, 90.0, 95.0, 97.0, 98.0, 99.0, 99.5, 99.8,
    99.9, 99.99,
];

/// How times are distributed: percentiles, and the microseconds that so many per cent do not exceed.
type Curve = Vec<(f64, f64)>;

/// The figures of one run, each with its unit in its name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Figures {
    values: BTreeMap<&'static str, f64>,
    curves: BTreeMap<&'static str, Curve>,
}

impl Figures {
    pub(crate) fn set(&mut self, name: &'static str, value: f64) {
        self.values.insert(name, value);
    }

    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }

    /// One figure against another: nothing, where either is missing or there is nothing to divide by.
    pub(crate) fn ratio(&self, name: &str, floor: &Self, of_floor: &str) -> Option<f64> {
        let (one, other) = (self.get(name)?, floor.get(of_floor)?);
        (other > 0.0).then(|| one / other)
    }

    pub(crate) fn set_some(&mut self, name: &'static str, value: Option<f64>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    pub(crate) fn set_curve(&mut self, name: &'static str, times: &Times) {
        self.curves.insert(name, times.curve());
    }

    /// Takes over a curve of other figures under another name.
    pub(crate) fn take_curve(&mut self, name: &'static str, others: &Self, of_others: &str) {
        if let Some(curve) = others.curves.get(of_others) {
            self.curves.insert(name, curve.clone());
        }
    }

    /// Quantiles of times in microseconds, with p99.9 where there are enough times for it to mean something.
    pub(crate) fn set_times(&mut self, times: &Times, names: [&'static str; 3]) {
        let [p50, p99, p999] = names;
        self.set(p50, times.us(0.5));
        self.set(p99, times.us(0.99));
        if times.len() >= 1_000 {
            self.set(p999, times.us(0.999));
        }
    }
}

/// The figures of all runs of one contestant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs(Vec<Figures>);

impl Runs {
    pub(crate) fn push(&mut self, figures: Figures) {
        self.0.push(figures);
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.0.iter().flat_map(|figures| figures.values.keys().copied()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The middle one of the runs (of an even number: the mean of the middle two).
    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        middle(&self.sorted(name))
    }

    /// The least and the greatest.
    pub(crate) fn spread(&self, name: &str) -> Option<(f64, f64)> {
        let sorted = self.sorted(name);
        Some((*sorted.first()?, *sorted.last()?))
    }

    fn sorted(&self, name: &str) -> Vec<f64> {
        let mut values: Vec<f64> = self.0.iter().filter_map(|figures| figures.get(name)).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// The medians of a curve's points, of those that all runs have.
    fn curve(&self, name: &str) -> Vec<Value> {
        let curves: Vec<_> = self.0.iter().filter_map(|figures| figures.curves.get(name)).collect();
        let shortest = curves.iter().map(|curve| curve.len()).min().unwrap_or(0);
        let points = PERCENTILES.iter().take(shortest).map(|percentile| {
            let mut at: Vec<f64> = curves
                .iter()
                .filter_map(|curve| curve.iter().find(|point| point.0 >= *percentile))
                .map(|(_, us)| *us)
                .collect();
            at.sort_by(f64::total_cmp);
            json!([number(*percentile), number(middle(&at).unwrap_or_default())])
        });
        points.collect()
    }

    /// Medians, and the spread beside them; curves as pairs of a percentile and its microseconds.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let mut object = Map::new();
        let mut spread = Map::new();
        for name in self.names() {
            if let (Some(median), Some((least, greatest))) = (self.median(name), self.spread(name)) {
                object.insert(name.to_owned(), number(median));
                spread.insert(name.to_owned(), json!([number(least), number(greatest)]));
            }
        }
        object.insert("spread".to_owned(), Value::Object(spread));
        let mut curves: Vec<_> = self.0.iter().flat_map(|figures| figures.curves.keys()).collect();
        curves.sort_unstable();
        curves.dedup();
        for name in curves {
            object.insert((*name).to_owned(), self.curve(name).into());
        }
        object
    }
}

/// The middle of sorted values.
fn middle(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => sorted.get(middle).copied(),
        _ => Some((sorted.get(middle)? + sorted.get(middle - 1)?) / 2.0),
    }
}

/// Whole numbers without a fraction, others with three digits behind the point.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        return format!("{value:.0}").parse::<i64>().map_or(Value::Null, Value::from);
    }
    Value::from((value * 1_000.0).round() / 1_000.0)
}

/// Times, told apart to three digits.
#[derive(Debug, Clone)]
pub(crate) struct Times(Histogram<u64>);

impl Times {
    pub(crate) fn new() -> Result<Self, BenchError> {
        let most = u64::try_from(TIME_MAX.as_nanos()).unwrap_or(u64::MAX);
        Histogram::new_with_max(most, 3).map(Self).map_err(BenchError::wrong)
    }

    pub(crate) fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }

    /// The percentiles beyond which at least one time lies.
    fn curve(&self) -> Curve {
        let beyond = |percentile: f64| as_f64(self.len()) * (100.0 - percentile) / 100.0;
        let known = PERCENTILES.iter().take_while(|percentile| beyond(**percentile) >= 0.999);
        known.map(|percentile| (*percentile, self.us(percentile / 100.0))).collect()
    }

    /// A quantile in microseconds.
    pub(crate) fn us(&self, quantile: f64) -> f64 {
        as_f64(self.0.value_at_quantile(quantile)) / 1_000.0
    }
}

/// Counts beyond 2^53 lose their last digits, which no figure needs.
#[expect(clippy::cast_precision_loss, reason = "see above")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}

/// The same for lengths.
pub(crate) fn count(length: usize) -> f64 {
    as_f64(u64::try_from(length).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(values: &[f64]) -> Runs {
        let mut runs = Runs::default();
        for value in values {
            let mut figures = Figures::default();
            figures.set("a_us", *value);
            runs.push(figures);
        }
        runs
    }

    #[test]
    fn the_median_is_the_middle_and_the_spread_the_ends() {
        assert_eq!(runs(&[3.0, 1.0, 9.0]).median("a_us"), Some(3.0));
        assert_eq!(runs(&[3.0, 1.0, 9.0, 4.0]).median("a_us"), Some(3.5));
        assert_eq!(runs(&[3.0, 1.0, 9.0]).spread("a_us"), Some((1.0, 9.0)));
        assert_eq!(runs(&[]).median("a_us"), None);
        assert_eq!(runs(&[3.0]).median("b_us"), None, "a figure that no run has");
    }

    #[test]
    fn a_ratio_needs_both_figures_and_a_floor_above_zero() {
        let (mut one, mut floor) = (Figures::default(), Figures::default());
        one.set("a_us", 3.0);
        assert_eq!(one.ratio("a_us", &floor, "b_us"), None);
        floor.set("b_us", 0.0);
        assert_eq!(one.ratio("a_us", &floor, "b_us"), None);
        floor.set("b_us", 2.0);
        assert_eq!(one.ratio("a_us", &floor, "b_us"), Some(1.5));
    }

    #[test]
    fn quantiles_are_in_microseconds_and_longer_times_than_can_be_told_apart_count_as_the_longest() {
        let mut times = Times::new().unwrap();
        for milliseconds in 1..=100 {
            times.record(Duration::from_millis(milliseconds));
        }
        assert!((times.us(0.5) / 50_000.0 - 1.0).abs() < 0.002, "{}", times.us(0.5));
        times.record(Duration::from_secs(3_600));
        assert!((times.us(1.0) / 600e6 - 1.0).abs() < 0.002, "{}", times.us(1.0));
    }

    #[test]
    fn a_curve_ends_where_too_few_times_lie_beyond_and_has_the_median_of_each_point() {
        let mut runs = Runs::default();
        for (count, slower) in [(100_u64, 1), (1_000, 2), (100, 3)] {
            let mut times = Times::new().unwrap();
            (1..=count).for_each(|nth| times.record(Duration::from_millis(nth * slower * 100 / count)));
            let mut figures = Figures::default();
            figures.set_curve("percentiles_us", &times);
            runs.push(figures);
        }
        let json = Value::Object(runs.to_json());
        let curve = json["percentiles_us"].as_array().unwrap();
        assert_eq!(curve.last().unwrap()[0], 99, "a hundred times have no p99.5: {curve:?}");
        let p50 = curve.iter().find(|point| point[0] == 50).unwrap()[1].as_f64().unwrap();
        assert!((p50 / 100_000.0 - 1.0).abs() < 0.02, "{p50}");
        assert_eq!(runs.curve("other_us"), Vec::<Value>::new());
    }

    #[test]
    fn json_has_medians_and_their_spread() {
        let json = Value::Object(runs(&[3.0, 1.25, 9.0]).to_json());
        assert_eq!(json, json!({"a_us": 3, "spread": {"a_us": [1.25, 9]}}));
    }
}
