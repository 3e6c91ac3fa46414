//! The desktop workbench.

use std::path::PathBuf;

/// Runs the window.
///
/// # Errors
/// The window cannot be opened.
pub fn run(_project: Option<PathBuf>) -> Result<(), String> {
    Err("no window yet".to_owned())
}
