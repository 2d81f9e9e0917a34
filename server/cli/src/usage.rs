//! What clap finds wrong with a command line, in one line.
//!
//! clap writes a paragraph with usage and hints; scripts and people get one line that names the fault, a
//! hint where there is one, and the help to look at. Help and version are no faults: they are printed as
//! clap lays them out.

use clap::error::{Error, ErrorKind};

use crate::failure::Failure;
use crate::output;

/// Prints help or version; anything else is a failure of usage.
pub(crate) fn help_or_failure(error: &Error) -> Result<(), Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => output::print_styled(&error.render()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            output::note_styled(&error.render());
            Err(Failure::usage("no command was given: name one of those above"))
        }
        _ => Err(Failure::Usage(one_line(&error.render().to_string()))),
    }
}

/// The fault and its hints of what clap wrote, and which help to look at.
fn one_line(rendered: &str) -> String {
    let mut parts = Vec::new();
    let mut command = "fulmar".to_owned();
    for paragraph in rendered.split("\n\n") {
        let lines: Vec<&str> = paragraph.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let text = lines.join(" ");
        if let Some(usage) = text.strip_prefix("Usage: ") {
            command = command_of(usage);
        } else if !text.starts_with("For more information") && !text.is_empty() {
            parts.push(text.strip_prefix("error: ").unwrap_or(&text).to_owned());
        }
    }
    parts.push(format!("see {command} --help"));
    parts.join("; ")
}

/// The words of a usage line before the first that stands for something else.
fn command_of(usage: &str) -> String {
    let names =
        usage.split_whitespace().take_while(|word| word.starts_with(|letter: char| letter.is_lowercase()));
    names.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::command_line::CommandLine;

    fn failure(arguments: &[&str]) -> String {
        let error = CommandLine::try_parse_from(arguments).expect_err("a fault");
        match help_or_failure(&error) {
            Err(Failure::Usage(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_fault_is_one_line_that_names_the_help() {
        let message = failure(&["fulmar", "serve", "--dev"]);
        assert!(!message.contains('\n'), "{message}");
        assert!(message.contains("--data <DIR>"), "{message}");
        assert!(message.ends_with("see fulmar serve --help"), "{message}");
    }

    #[test]
    fn a_misspelt_option_is_told_with_the_one_meant() {
        let message = failure(&["fulmar", "serve", "--date", "x"]);
        assert!(message.contains("--date") && message.contains("--data"), "{message}");
    }
}
