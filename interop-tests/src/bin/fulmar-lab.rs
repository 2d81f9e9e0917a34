//! Lab, for now.
#![allow(clippy::print_stdout, clippy::print_stderr)]
#[path = "fulmar-sim/table.rs"]
mod table;
fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match table::run(&args) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}
