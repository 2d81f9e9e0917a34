//! Numbers as people read them.

use super::source::Figure;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Microseconds, shown as whatever time they are.
    Microseconds,
    /// The same of milliseconds.
    Milliseconds,
    PerSecond,
    Bytes,
    Times,
    Count,
}

impl Unit {
    pub(super) fn show(self, value: f64) -> String {
        match self {
            Self::Microseconds => time(value),
            Self::Milliseconds => time(value * 1_000.0),
            Self::PerSecond => format!("{} /s", short(value)),
            Self::Bytes => bytes(value),
            Self::Times => format!("{} ×", digits(value)),
            Self::Count => short(value),
        }
    }

    /// A median with its spread: `312 µs (298 µs to 344 µs)`. One run has none.
    pub(super) fn show_spread(self, figure: Figure) -> String {
        let median = self.show(figure.median);
        let (least, greatest) = (self.show(figure.least), self.show(figure.greatest));
        if least == greatest { median } else { format!("{median} ({least} to {greatest})") }
    }
}

/// A number with thousands apart; below a hundred with three digits.
pub(super) fn short(value: f64) -> String {
    if value.abs() >= 100.0 { grouped(value) } else { digits(value) }
}

fn time(us: f64) -> String {
    match us {
        _ if us < 1_000.0 => format!("{} µs", digits(us)),
        _ if us < 1_000_000.0 => format!("{} ms", digits(us / 1_000.0)),
        _ => format!("{} s", digits(us / 1_000_000.0)),
    }
}

fn bytes(bytes: f64) -> String {
    match bytes {
        _ if bytes.abs() < 1_024.0 => format!("{} B", digits(bytes)),
        _ if bytes.abs() < 1_048_576.0 => format!("{} KiB", digits(bytes / 1_024.0)),
        _ => format!("{} MiB", digits(bytes / 1_048_576.0)),
    }
}

/// Three digits that count.
fn digits(value: f64) -> String {
    let magnitude = value.abs();
    match value {
        _ if magnitude >= 99.95 => grouped(value),
        _ if magnitude >= 9.995 => trimmed(&format!("{value:.1}")),
        _ => trimmed(&format!("{value:.2}")),
    }
}

/// `10` rather than `10.0`, which would claim no more.
fn trimmed(number: &str) -> String {
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Whole, with commas.
fn grouped(value: f64) -> String {
    let whole = format!("{:.0}", value.abs());
    let first = whole.len() % 3;
    let mut grouped = String::from(if value < 0.0 { "-" } else { "" });
    for (nth, digit) in whole.chars().enumerate() {
        if nth > 0 && nth % 3 == first {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `a, b and c`.
pub(super) fn list(words: &[impl AsRef<str>]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Text that has no meaning in Markdown's tables and lines, whatever is in it.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::new();
    for letter in text.chars() {
        match letter {
            '\n' | '\r' => plain.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' => plain.extend(['\\', letter]),
            other => plain.push(other),
        }
    }
    plain
}

/// Text in fixed width; a backtick would end it.
pub(super) fn code(text: &str) -> String {
    format!("`{}`", text.replace(['`', '\n', '\r'], " ").replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_the_unit_that_fits() {
        let shown = |us| Unit::Microseconds.show(us);
        assert_eq!(
            [0.5, 7.0, 312.4, 1_234.0, 45_600.0, 2_000_000.0].map(shown),
            ["0.5 µs", "7 µs", "312 µs", "1.23 ms", "45.6 ms", "2 s"]
        );
        assert_eq!(Unit::Bytes.show(18_637.0), "18.2 KiB");
        assert_eq!(Unit::PerSecond.show(1_234_567.8), "1,234,568 /s");
        assert_eq!(Unit::Count.show(-1_000.0), "-1,000");
        assert_eq!(Unit::Times.show(0.996), "1 ×");
    }

    #[test]
    fn one_run_has_no_spread() {
        let spread =
            |least, greatest| Unit::Microseconds.show_spread(Figure { median: 2.0, least, greatest });
        assert_eq!(spread(2.0, 2.0), "2 µs");
        assert_eq!(spread(1.0, 3_000.0), "2 µs (1 µs to 3 ms)");
    }

    #[test]
    fn what_came_from_elsewhere_stays_text() {
        assert_eq!(plain("a|b\n*c*"), "a\\|b \\*c\\*");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
    }
}
