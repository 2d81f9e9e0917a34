//! How results are shown: a table for people, one JSON object for machines.

use std::io::Write;

use serde::Serialize;
use serde_json::Value;

use crate::error::BenchError;

/// Prints a result. Fields that hold objects are printed as sections.
pub(crate) fn print(result: &impl Serialize, json: bool) -> Result<(), BenchError> {
    let value = serde_json::to_value(result).map_err(|error| BenchError::Wrong(error.to_string()))?;
    let mut out = anstream::stdout().lock();
    if json {
        writeln!(out, "{value}")?;
        return Ok(());
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::Number(number) if number.is_f64() => {
                writeln!(out, "{name:>32}  {:.2}", number.as_f64().unwrap_or_default())?;
            }
            other => writeln!(out, "{name:>32}  {other}")?,
        }
    }
    Ok(())
}

/// One line on standard error.
pub(crate) fn complain(error: &BenchError) {
    // There is nowhere left to say that this failed.
    let _ = writeln!(anstream::stderr(), "fulmar-bench: {error}");
}
