//! The window, by the names that people and screen readers see.

use std::time::{Duration, Instant};

use app::{App, Page, Start};
use eframe::egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

/// The window on the bundled sample, in a folder of its own.
struct Window {
    harness: Harness<'static, App>,
    _folder: tempfile::TempDir,
}

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

impl Window {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let start = Start::sample_in(crate::support::program(), folder.path().join("shop"));
        let harness = Harness::builder()
            .with_size([1280.0, 800.0])
            .build_eframe(|context| App::new(&context.egui_ctx, start));
        let mut window = Self { harness, _folder: folder };
        window.wait(|window| !window.harness.state().is_busy());
        window
    }

    /// Runs frames until something holds; jobs run on threads of their own meanwhile.
    fn wait(&mut self, until: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        loop {
            self.harness.step();
            if until(self) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "nothing happened");
            std::thread::yield_now();
        }
        self.harness.step();
    }

    fn sees(&self, text: &str) -> bool {
        self.harness.query_all_by_label_contains(text).next().is_some()
    }

    fn click(&mut self, label: &str) {
        self.harness.get_by_role_and_label(Role::Button, label).click();
        self.harness.step();
        self.harness.step();
    }

    fn idle(&mut self) {
        self.wait(|window| !window.harness.state().is_busy());
    }
}

#[test]
fn home_shows_real_numbers_and_every_page_comes_up() {
    let mut window = Window::open();
    assert!(window.sees("5\u{202f}000"), "customers on Home");
    assert!(window.sees("order_completed"));
    for page in Page::ALL {
        window.click(page.name());
        window.idle();
        assert_eq!(window.harness.state().page(), page);
    }
}

#[test]
fn customers_are_found_and_shown() {
    let mut window = Window::open();
    window.click("Customers");
    window.harness.get_by_label("Search customers").focus();
    window.harness.get_by_label("Search customers").type_text("C000001");
    window.idle();
    window.wait(|window| window.sees("1 of 1"));
    window.click("C000001");
    window.idle();
    assert!(window.sees("days_since_last_order"));
    assert!(window.sees("Traits"));
}

#[test]
fn a_model_is_trained_from_its_page() {
    let mut window = Window::open();
    window.click("Models");
    window.idle();
    window.click("Save and train");
    window.wait(|window| window.sees("95 % of samples"));
    window.idle();
    assert!(window.sees("auc"));
    window.click("All runs");
    window.idle();
    assert!(window.sees("mark two to compare them") && window.sees("to deploy"));
    window.click("Edit as text");
    window.idle();
    assert!(window.sees("Spec, as in its file"));
    window.click("Latest result");
    window.idle();
    window.click("Deploy…");
    assert!(window.sees("Go live"));
}

#[test]
fn a_query_runs_and_its_error_has_a_place() {
    let mut window = Window::open();
    window.click("Explore");
    window.click("SQL");
    window.click("Run");
    window.wait(|window| window.sees("rows in"));
    window.harness.get_by_label("Query").focus();
    window.harness.get_by_label("Query").type_text(" nonsense");
    window.click("Run");
    window.wait(|window| window.sees("line "));
}

#[test]
fn the_palette_goes_anywhere() {
    let mut window = Window::open();
    window.harness.key_press_modifiers(eframe::egui::Modifiers::COMMAND, eframe::egui::Key::K);
    window.harness.step();
    window.harness.get_by_label("Command").type_text("gofeat");
    window.harness.step();
    window.harness.key_press(eframe::egui::Key::Enter);
    window.idle();
    assert_eq!(window.harness.state().page(), Page::Features);
}

#[test]
fn a_function_is_looked_at_before_it_is_live_and_goes_back() {
    let mut window = Window::open();
    window.click("Models");
    window.idle();
    window.click("Save and train");
    window.wait(|window| window.sees("95 % of samples"));
    window.idle();
    window.click("Deploy");
    window.click("Go live");
    window.wait(|window| window.sees("Nothing is deployed there yet"));
    assert!(window.sees("From an application"));
    for version in 1..=2 {
        window.click("Deploy…");
        window.wait(|window| window.sees("before it says anything"));
        assert!(window.sees("recorded scores computed again"));
        window.click("Confirm");
        window.wait(|window| window.sees(&format!("version {version} of {version}")));
        assert!(!window.sees("before it says anything"), "it was confirmed");
    }
    window.click("Score");
    window.wait(|window| window.sees("$score"));
    window.click("Roll back");
    window.wait(|window| window.sees("version 1 of 2"));
    window.click("Stop");
    window.wait(|window| window.sees("Or work with one that runs elsewhere"));
}
