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

/// The arguments of the command line, or the exit code if there is nothing to run: 0 after `--help` and `--version`,
/// 2 after arguments that are wrong, which are reported.
///
/// # Errors
/// The exit code.
pub fn parse() -> Result<Arguments, ExitCode> {
    use clap::Parser as _;
    Arguments::try_parse().map_err(|error| {
        if error.use_stderr() && output::is_json() {
            let text = error.render().to_string();
            output::error(&Failure::Argument(text.trim_start_matches("error: ").trim().to_owned()));
        } else {
            // A reader that has gone away ends the output, not the program.
            drop(error.print());
        }
        u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
    })
}

/// Prints what failed outside of a command.
pub fn report(message: &str) {
    output::error(&Failure::Found(message.to_owned()));
}
