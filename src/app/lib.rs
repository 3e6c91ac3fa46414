//! The workbench: the window over the workspace.
//!
//! In: updates of jobs, and what the person does. Out: commands to the workspace, and pixels. Pages read
//! one [`State`](state::State) and push commands; `logic` drains updates into it, `ui` only paints. Never:
//! work that takes longer than a frame, or a color that is not in the theme.

#![allow(missing_docs, reason = "this room exposes only App, Start and run")]

mod actions;
mod app;
mod help;
mod loadable;
mod pages;
mod palette;
mod settings;
mod shell;
mod shown;
mod state;
mod theme;
mod widgets;

use std::path::PathBuf;

pub use app::{App, Start};
pub use pages::Page;

/// The remedy where no window can be opened.
const WITHOUT_WINDOW: &str = "every command works without a window: fullcircle --help";

/// Opens the window on a project, or on the bundled sample; perhaps where a link leads.
///
/// # Errors
/// There is no display, the link is none, or the window cannot be opened; with what to do.
pub fn run(project: Option<PathBuf>, link: Option<&str>) -> Result<(), String> {
    if !has_display() {
        return Err(format!(
            "there is no display: neither DISPLAY nor WAYLAND_DISPLAY is set; {WITHOUT_WINDOW}"
        ));
    }
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let start = Start::new(program, project, link)?;
    let viewport = eframe::egui::ViewportBuilder::default()
        .with_title("Full Circle")
        .with_app_id("fullcircle")
        .with_inner_size(start.settings.window_size())
        .with_min_inner_size([900.0, 560.0]);
    let options = eframe::NativeOptions { viewport, ..eframe::NativeOptions::default() };
    eframe::run_native(
        "Full Circle",
        options,
        Box::new(|context| Ok(Box::new(App::new(&context.egui_ctx, start)))),
    )
    .map_err(|error| format!("the window cannot be opened: {error}; {WITHOUT_WINDOW}"))
}

/// On Linux a window needs an X or Wayland server; elsewhere there always is one.
fn has_display() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(not(target_os = "linux"))
        || set("DISPLAY")
        || set("WAYLAND_DISPLAY")
        || set("WAYLAND_SOCKET")
}
