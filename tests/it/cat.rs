//! The window under what nobody means to do: random clicks and keys, and far too many columns.

use app::Page;
use eframe::egui::accesskit::Role;
use eframe::egui::{Event, Key, Modifiers, PointerButton, Pos2, Rect, pos2};
use egui_kittest::kittest::{NodeT as _, Queryable as _};

use crate::window::{CHARTS, Window, strange};

/// What would start, open or write something outside of the window; a key may be named behind it.
const OUTSIDE: [&str; 11] = [
    "Go live",
    "Stop",
    "Connect",
    "Open file…",
    "Refresh…",
    "Import…",
    "Export…",
    "Export",
    "Write the file",
    "Run a command",
    "Try them all",
];
const KEYS: [Key; 10] = [
    Key::Tab,
    Key::Enter,
    Key::ArrowDown,
    Key::ArrowLeft,
    Key::Escape,
    Key::Space,
    Key::A,
    Key::Num5,
    Key::Backspace,
    Key::F1,
];

/// Clicks and keys; more with `FULLCIRCLE_CLICKS=10000`.
fn n_steps() -> usize {
    let asked = std::env::var("FULLCIRCLE_CLICKS").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(2_000)
}

impl Window {
    fn is_outside(&self, at: Pos2) -> bool {
        OUTSIDE.iter().any(|label| {
            self.harness.query_all_by_label_contains(label).any(|node| node.rect().contains(at))
        })
    }

    /// Whether Enter would do what is outside.
    fn is_focused_outside(&self) -> bool {
        let mut focused = self.harness.query_all_by(|node| node.is_focused());
        focused.any(|node| {
            let label = node.accesskit_node().label();
            label.is_some_and(|label| OUTSIDE.iter().any(|outside| label.contains(outside)))
        })
    }

    fn press(&mut self, at: Pos2) {
        self.harness.hover_at(at);
        for pressed in [true, false] {
            let (button, modifiers) = (PointerButton::Primary, Modifiers::NONE);
            self.harness.event(Event::PointerButton { pos: at, button, pressed, modifiers });
        }
    }

    /// Texts that are painted over each other, in what is shown. What is in two panels is not: each paints
    /// inside of itself only. A text of several lines may begin behind another: its rectangle says too much.
    fn overlaps(&self) -> Vec<String> {
        let screen = Rect::from_min_size(Pos2::ZERO, self.harness.ctx.content_rect().size());
        let labels: Vec<(String, Rect, _)> = self
            .harness
            .query_all_by(|node| node.role() == Role::Label)
            .filter_map(|node| {
                let accessible = node.accesskit_node();
                let text = accessible.value().filter(|text| !text.is_empty())?;
                let mut panel = accessible.parent()?;
                while panel.role() != Role::Pane {
                    panel = panel.parent()?;
                }
                let rect = node.rect().shrink(2.0);
                let is_shown = rect.is_positive() && screen.contains_rect(rect);
                (is_shown && rect.height() < ONE_LINE).then_some((text, rect, panel.id()))
            })
            .collect();
        let mut found = Vec::new();
        for (place, (text, rect, panel)) in labels.iter().enumerate() {
            for (other, theirs, its_panel) in &labels[..place] {
                if rect.intersects(*theirs) && panel == its_panel {
                    found.push(format!("'{text}' {rect:?} over '{other}' {theirs:?}"));
                }
            }
        }
        found
    }
}

/// Points of a line of text, at most.
const ONE_LINE: f32 = 28.0;

#[test]
fn nothing_that_a_cat_does_ends_the_window() {
    // It may go live: that must not be a process that outlives the test.
    let program = "/there/is/no/such/program".into();
    let mut window = Window::of_program(program, Some(&strange()), [1280.0, 800.0], 1.0);
    let mut seed = 0x9e37_79b9_u32;
    let mut random = move |most: u32| {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed % most
    };
    for _ in 0..n_steps() {
        match random(16) {
            0..4 => {
                let key = KEYS[random(10) as usize];
                let acts = matches!(key, Key::Enter | Key::Space);
                if !(acts && window.is_focused_outside()) {
                    window.harness.key_press(key);
                }
            }
            4 => {
                let digits = [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num9];
                let digit = digits[random(6) as usize];
                window.harness.key_press_modifiers(Modifiers::COMMAND, digit);
            }
            _ => {
                #[allow(clippy::cast_precision_loss, reason = "pixels")]
                let at = pos2(random(1_280) as f32, random(800) as f32);
                if !window.is_outside(at) {
                    window.press(at);
                }
            }
        }
        window.harness.step();
    }
    window.idle();
}

#[test]
fn ten_thousand_columns_are_refused_as_a_file_and_shown_as_a_result() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wide.csv");
    let columns: Vec<String> = (0..10_000).map(|n| format!("c{n}")).collect();
    let values = vec!["1"; 10_000].join(",");
    let text = format!("customer_id,event_time,{}\nu1,2024-01-01,{values}\n", columns.join(","));
    std::fs::write(&file, text).unwrap();
    let mut window = Window::of(None, [1280.0, 800.0], 1.0);
    window.click("Data");
    let path = window.harness.get_by_label("File, folder or glob");
    path.focus();
    path.type_text(&file.display().to_string());
    window.harness.step();
    window.click("Look at it");
    // So many properties are refused, and it says so.
    window.wait(|window| window.sees("leave columns out"));
    window.idle();
    window.click("Explore");
    window.click("SQL");
    let query = window.harness.get_by_label("Query");
    query.focus();
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
    window.harness.step();
    let columns: Vec<String> = (0..10_000).map(|n| format!("{n} AS c{n}")).collect();
    window.harness.get_by_label("Query").type_text(&format!("SELECT {}", columns.join(", ")));
    window.harness.step();
    window.click("Run");
    window.wait(|window| window.sees("1 rows in"));
    window.idle();
}

#[test]
fn no_text_is_painted_over_another() {
    let mut wrong = Vec::new();
    for (csv, size, zoom) in [
        (None, [1280.0, 800.0], 1.0),
        (Some(strange()), [1280.0, 800.0], 1.0),
        (Some(strange()), [1920.0, 1080.0], 1.0),
        (Some(strange()), [600.0, 400.0], 1.0),
        (Some(strange()), [1280.0, 800.0], 2.0),
    ] {
        let mut window = Window::of(csv.as_deref(), size, zoom);
        for page in Page::ALL {
            window.click(page.name());
            window.idle();
            let found = window.overlaps();
            wrong.extend(found.into_iter().map(|it| format!("{} at {size:?}: {it}", page.name())));
        }
        window.click("Explore");
        for chart in CHARTS {
            window.click(chart);
            window.idle();
            let found = window.overlaps();
            wrong.extend(found.into_iter().map(|it| format!("{chart} at {size:?}: {it}")));
        }
    }
    assert!(wrong.is_empty(), "{} overlaps:\n{}", wrong.len(), wrong.join("\n"));
}
