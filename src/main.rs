//! `fullcircle`: a command, or the workbench.
//!
//! Full Circle takes a data scientist from raw customer events to a live decision about one customer.
//! The rooms are crates, in the order in which they may use each other; data runs in a circle,
//! dependencies never do:
//!
//! - `kernel`: pure: definitions and their evaluation; what runs at request time.
//! - `models`: from a spec and a training set to a frozen scoring function, over linfa.
//! - `warehouse`: the embedded DuckDB: import, query, timelines out, insights, the SQL oracle.
//! - `endpoint`: the event log, live timelines, deployments, and HTTP.
//! - `workspace`: the facade: projects, the steps of the circle, jobs; all that cli and app call.
//! - `cli`: one file a command.
//! - `app`: the window: pages, panels, widgets, theme.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match cli::parse() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    match arguments.command {
        Some(command) => cli::run(command),
        None => match app::run(arguments.project, arguments.open.as_deref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => {
                cli::report(&message);
                ExitCode::from(1)
            }
        },
    }
}
