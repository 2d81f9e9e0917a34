//! What clap finds wrong with a command line, in one line.
//!
//! clap writes a paragraph with usage and hints; scripts and people get one line that names the fault, a
//! hint where there is one, and the help to look at. Help and version are no faults: they are printed as
//! clap lays them out.

use std::ffi::OsString;

use clap::CommandFactory as _;
use clap::error::{Error, ErrorKind};

use crate::command_line::CommandLine;
use crate::failure::Failure;
use crate::output;

/// Prints help or version; anything else is a failure of usage. `arguments` are those that were typed.
pub(crate) fn help_or_failure(
    error: &Error,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(), Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => output::print_styled(&error.render()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            output::note_styled(&error.render());
            Err(Failure::usage("no command was given: name one of those above"))
        }
        _ => Err(Failure::Usage(one_line(&error.render().to_string(), &command_of(arguments)))),
    }
}

/// The fault and its hints of what clap wrote, and which help to look at.
fn one_line(rendered: &str, command: &str) -> String {
    let mut parts = Vec::new();
    for paragraph in rendered.split("\n\n") {
        let lines: Vec<&str> = paragraph.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let text = lines.join(" ");
        if !text.is_empty() && !text.starts_with("Usage: ") && !text.starts_with("For more information") {
            parts.push(text.strip_prefix("error: ").unwrap_or(&text).to_owned());
        }
    }
    parts.push(format!("see {command} --help"));
    parts.join("; ")
}

/// The commands among what was typed: those whose help tells what is wrong.
fn command_of(arguments: impl IntoIterator<Item = OsString>) -> String {
    let mut command = CommandLine::command();
    let mut names = vec![command.get_name().to_owned()];
    for argument in arguments.into_iter().skip(1) {
        let subcommand = argument.to_str().and_then(|name| command.find_subcommand(name)).cloned();
        if let Some(subcommand) = subcommand {
            names.push(subcommand.get_name().to_owned());
            command = subcommand;
        }
    }
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn failure(arguments: &[&str]) -> String {
        let error = CommandLine::try_parse_from(arguments).expect_err("a fault");
        match help_or_failure(&error, arguments.iter().map(OsString::from)) {
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
