//! The one place that prints.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is where the command line prints"
)]

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value as Json;
use workspace::Job;

use crate::Failure;

/// Prints a line.
pub(crate) fn line(text: &str) {
    use std::io::Write as _;
    // A reader that has gone away ends the output, not the program.
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// Prints an object as one line of JSON.
pub(crate) fn json(object: &Json) {
    line(&object.to_string());
}

/// Prints what failed on standard error: as one JSON object if the command line has `--json`.
pub(crate) fn error(failure: &Failure) {
    if is_json() {
        eprintln!("{}", failure.to_json());
    } else {
        eprintln!("error: {failure}");
    }
}

/// Whether the command line asks for JSON. Arguments that cannot be parsed are reported as JSON too, so this does
/// not depend on parsing them.
pub(crate) fn is_json() -> bool {
    std::env::args_os().take_while(|argument| argument != "--").any(|argument| argument == "--json")
}

/// Prints a remark that is not a result.
pub(crate) fn remark(text: &str) {
    eprintln!("{text}");
}

/// Asks a question on a terminal; where nobody can answer, it is as asked.
pub(crate) fn confirmed(question: &str) -> bool {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return true;
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// A job that shows a progress bar on a terminal, and nothing in a pipe.
pub(crate) fn watched_job() -> Job {
    if !std::io::stderr().is_terminal() {
        return Job::unwatched();
    }
    let style = ProgressStyle::with_template("{bar:32} {percent:>3} %  {msg}");
    let bar = ProgressBar::new(100);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    Job::new(move |progress| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
        let percent = (progress.fraction.clamp(0.0, 1.0) * 100.0) as u64;
        bar.set_message(progress.stage);
        bar.set_position(percent);
        if percent == 100 {
            bar.finish_and_clear();
        }
    })
}

/// Rows as a table of aligned columns; numbers to the right.
pub(crate) fn table(columns: &[String], rows: &[Vec<workspace::Value>]) {
    use workspace::Value;
    let cell = |value: &Value| match value {
        Value::Null => "NULL".to_owned(),
        other => other.to_string().replace('\n', "\\n"),
    };
    let texts: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let width = |place: usize| {
        let cells = texts.iter().filter_map(|row| row.get(place)).map(|text| text.chars().count());
        cells.chain([columns[place].chars().count()]).max().unwrap_or(0).min(60)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let header: Vec<String> =
        columns.iter().zip(&widths).map(|(name, width)| format!("{name:<width$}")).collect();
    line(header.join("  ").trim_end());
    for (row, values) in texts.iter().zip(rows) {
        let cells: Vec<String> = row
            .iter()
            .zip(values)
            .zip(&widths)
            .map(|((text, value), width)| match value {
                Value::Number(_) => format!("{text:>width$}"),
                _ => format!("{text:<width$}"),
            })
            .collect();
        line(cells.join("  ").trim_end());
    }
}
