//! What the demonstration tells as it goes: one line for each thing that happened, and a progress bar below
//! while it works. Nothing with `--json`, and no bar where nobody looks.

use std::fmt::Display;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Failure;
use crate::output;

/// How often the bar moves by itself.
const TICK: Duration = Duration::from_millis(100);

/// The account.
pub(super) struct Account {
    is_silent: bool,
    bar: ProgressBar,
}

impl Account {
    /// `messages`: how many there will be.
    pub(super) fn begin(is_silent: bool, messages: u64) -> Self {
        let is_seen = !is_silent && output::is_terminal();
        let bar = if is_seen { ProgressBar::new(messages) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:30} {pos}/{len} messages  {msg}") {
            bar.set_style(style);
        }
        if is_seen {
            bar.enable_steady_tick(TICK);
        }
        Self { is_silent, bar }
    }

    /// Says what happens now, on the bar.
    pub(super) fn now(&self, what: &'static str) {
        self.bar.set_message(what);
    }

    /// One message more.
    pub(super) fn accepted(&self) {
        self.bar.inc(1);
    }

    /// Tells of something that is done and was as it must be.
    pub(super) fn done(&self, what: impl Display) -> Result<(), Failure> {
        let green = anstyle::Style::new().fg_color(Some(anstyle::AnsiColor::Green.into()));
        self.line(format_args!("{green}✓{green:#} {what}"))
    }

    /// A line as it is.
    pub(super) fn line(&self, text: impl Display) -> Result<(), Failure> {
        if self.is_silent { Ok(()) } else { self.bar.suspend(|| output::line(text)) }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
