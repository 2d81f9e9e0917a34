//! Tables in Markdown.

use std::fmt::Write as _;

/// Rows below a head. Cells are Markdown.
#[derive(Debug, Clone)]
pub(super) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(head: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line = |cells: &[String]| {
            cells.iter().fold("|".to_owned(), |mut line, cell| {
                // Writing to a string does not fail.
                let _ = write!(line, " {cell} |");
                line
            })
        };
        writeln!(out, "{}", line(&self.head))?;
        writeln!(out, "|{}", "---|".repeat(self.head.len()))?;
        self.rows.iter().try_for_each(|row| writeln!(out, "{}", line(row)))
    }
}
