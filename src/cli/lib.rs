//! The command line: arguments in, lines and exit codes out.
//!
//! Each command is one file with its arguments and one function; all of them do their work through the
//! workspace. `--json` prints one object with the figures. Never: work of its own.

mod arguments;
mod commands;
mod failure;
mod output;

pub use arguments::{Arguments, Command};
pub use failure::Failure;

use std::process::ExitCode;

/// Runs a command; prints what it says, and gives the exit code: 0 done, 1 failed.
#[must_use]
pub fn run(command: Command) -> ExitCode {
    match commands::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::error(&failure);
            ExitCode::from(1)
        }
    }
}

/// Prints what failed outside of a command.
pub fn report(message: &str) {
    output::error(&Failure::Found(message.to_owned()));
}
