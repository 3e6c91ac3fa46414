//! The window, by the names that people and screen readers see.

use std::time::{Duration, Instant};

use app::{App, Page, Start};
use eframe::egui::accesskit::Role;
use eframe::egui::{Event, Modifiers, PointerButton};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};

/// The window on the bundled sample, in a folder of its own.
pub(crate) struct Window {
    pub(crate) harness: Harness<'static, App>,
    _folder: tempfile::TempDir,
}

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

impl Window {
    pub(crate) fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let start = Start::sample_in(crate::support::program(), folder.path().join("shop"));
        Self::with(folder, start, [1280.0, 800.0], 1.0)
    }

    pub(crate) fn with(folder: tempfile::TempDir, start: Start, size: [f32; 2], zoom: f32) -> Self {
        let harness = Harness::builder()
            .with_size(size)
            .with_pixels_per_point(zoom)
            // The fonts of a machine are not those of another.
            .allow_missing_glyphs()
            .build_eframe(|context| App::new(&context.egui_ctx, start));
        let mut window = Self { harness, _folder: folder };
        window.wait(|window| !window.harness.state().is_busy());
        window
    }

    /// The window on a project of its own, with some events or none.
    pub(crate) fn of(csv: Option<&str>, size: [f32; 2], zoom: f32) -> Self {
        Self::of_program(crate::support::program(), csv, size, zoom)
    }

    /// The same with another program to start endpoints with.
    pub(crate) fn of_program(
        program: std::path::PathBuf,
        csv: Option<&str>,
        size: [f32; 2],
        zoom: f32,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("own");
        if let Some(csv) = csv {
            let file = folder.path().join("events.csv");
            std::fs::write(&file, csv).unwrap();
            let opened = workspace::Project::open(&project).unwrap();
            let job = workspace::Job::unwatched();
            opened.import(&[file], &workspace::Options::default(), &job).unwrap();
        }
        let start = Start::of(program, project);
        Self::with(folder, start, size, zoom)
    }

    /// Runs frames until something holds; jobs run on threads of their own meanwhile.
    pub(crate) fn wait(&mut self, until: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        loop {
            self.harness.step();
            if until(self) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "nothing happened; seen: {}", self.labels());
            std::thread::yield_now();
        }
        self.harness.step();
    }

    /// All that can be read.
    pub(crate) fn labels(&self) -> String {
        let nodes = self.harness.query_all_by(|_| true);
        let labels = nodes.filter_map(|node| {
            let node = node.accesskit_node();
            node.label().or_else(|| node.value())
        });
        labels.collect::<Vec<_>>().join(" | ")
    }

    pub(crate) fn sees(&self, text: &str) -> bool {
        self.harness.query_all_by_label_contains(text).next().is_some()
    }

    /// Clicks on a button where it is, once what comes meanwhile does not move it any more. A click
    /// is one frame: the harness would give it three, between which answers may come.
    pub(crate) fn click(&mut self, label: &str) {
        let at = |window: &Self| {
            window.harness.get_by_role_and_label(Role::Button, label).rect().center()
        };
        let mut pos = at(self);
        for _ in 0..100 {
            self.harness.step();
            let before = std::mem::replace(&mut pos, at(self));
            if before == pos {
                break;
            }
        }
        let events = &mut self.harness.input_mut().events;
        events.push(Event::PointerMoved(pos));
        for pressed in [true, false] {
            let (button, modifiers) = (PointerButton::Primary, Modifiers::NONE);
            events.push(Event::PointerButton { pos, button, pressed, modifiers });
        }
        self.harness.step();
        self.harness.step();
    }

    pub(crate) fn idle(&mut self) {
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

/// The window starts its endpoint at one address: who starts one waits for the other.
static ENDPOINT: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// From a file that nobody has seen to a verified score, in as few clicks as a person needs.
#[test]
fn a_file_becomes_a_verified_score_in_twelve_clicks() {
    let _alone = ENDPOINT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("visits.csv");
    let mut csv = "user,action,when,price\n".to_owned();
    for customer in 0..300_u32 {
        for day in (customer % 13..170).step_by(5 + customer as usize % 9) {
            let time = kernel::domain::Time(
                1_704_067_200_000_000 + i64::from(day) * 86_400_000_000 + i64::from(customer),
            );
            let action = if (day + customer) % 3 == 0 { "purchase" } else { "visit" };
            csv.push_str(&format!("u{customer},{action},{time},{}\n", day % 40));
        }
    }
    std::fs::write(&file, csv).unwrap();
    // High enough that nothing has to be scrolled to.
    let mut window = Window::of(None, [1280.0, 1_400.0], 1.0);
    let mut clicks = 0;
    let mut click = |window: &mut Window, label: &str| {
        window.wait(|window| window.harness.query_by_role_and_label(Role::Button, label).is_some());
        window.click(label);
        clicks += 1;
    };
    let began = Instant::now();
    click(&mut window, "Data");
    window.harness.get_by_label("File, folder or glob").focus();
    window.harness.get_by_label("File, folder or glob").type_text(&file.display().to_string());
    window.harness.step();
    click(&mut window, "Look at it");
    window.idle();
    assert!(window.sees("distinct"), "columns say what they are like");
    click(&mut window, "Import");
    window.idle();
    click(&mut window, "Propose features");
    window.idle();
    assert!(window.sees("purchase_30d"));
    click(&mut window, "Models");
    window.idle();
    click(&mut window, "Save and train");
    window.wait(|window| window.sees("95 % of samples"));
    window.idle();
    click(&mut window, "Deploy…");
    click(&mut window, "Go live");
    window.wait(|window| window.sees("Nothing is deployed there yet"));
    click(&mut window, "Deploy…");
    window.wait(|window| window.sees("before it says anything"));
    click(&mut window, "Confirm");
    window.wait(|window| window.sees("version 1 of 1"));
    window.idle();
    click(&mut window, "Score");
    window.wait(|window| window.sees("$score"));
    window.harness.get_by_role_and_label(Role::Button, "Verify 1000 scores").scroll_to_me();
    window.harness.step();
    window.harness.step();
    click(&mut window, "Verify 1000 scores");
    window.wait(|window| window.sees("0 differ"));
    let seconds = began.elapsed().as_secs_f64();
    assert!(clicks <= 12, "{clicks} clicks, {seconds:.1} s");
    #[allow(clippy::print_stdout, reason = "a figure that is asked for")]
    {
        println!("{clicks} clicks, {seconds:.1} s");
    }
    window.harness.get_by_role_and_label(Role::Button, "Stop").scroll_to_me();
    window.harness.step();
    window.harness.step();
    window.idle();
    window.click("Stop");
    window.wait(|window| window.sees("Or work with one that runs elsewhere"));
}

#[test]
fn one_goes_back_and_forward() {
    let mut window = Window::open();
    for page in ["Data", "Explore", "Models"] {
        window.click(page);
    }
    window.click("Back");
    assert_eq!(window.harness.state().page(), Page::Explore);
    let (alt, left) = (eframe::egui::Modifiers::ALT, eframe::egui::Key::ArrowLeft);
    window.harness.key_press_modifiers(alt, left);
    window.harness.step();
    assert_eq!(window.harness.state().page(), Page::Data);
    window.click("Forward");
    assert_eq!(window.harness.state().page(), Page::Explore);
    window.click("Home");
    window.click("Back");
    assert_eq!(window.harness.state().page(), Page::Explore);
    window.idle();
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
fn customers_are_listed_by_what_they_did_and_in_any_order() {
    let mut window = Window::open();
    window.click("Customers");
    window.wait(|window| window.sees("500 of 5\u{202f}000"));
    let choose = |window: &mut Window, choice: &str, option: &str| {
        window.harness.get_by_role_and_label(Role::ComboBox, choice).click();
        window.harness.step();
        window.harness.step();
        window.click(option);
        window.idle();
    };
    choose(&mut window, "Order", "by id");
    window.wait(|window| window.sees("C000001"));
    let all = |window: &Window| window.sees("500 of 5\u{202f}000");
    assert!(all(&window));
    choose(&mut window, "Who did", "product_added");
    window.wait(|window| !all(window));
}

#[test]
fn the_data_page_knows_the_events_and_the_menu_leads_to_help() {
    let mut window = Window::open();
    window.click("Data");
    window.wait(|window| window.sees("Events and their properties"));
    let order = window.harness.query_all_by_label_contains("order_completed").next().unwrap();
    order.click();
    window.wait(|window| window.sees("For example") && window.sees("amount"));
    window.click("Menu");
    window.harness.get_by_label_contains("Help on this page").click();
    window.wait(|window| window.sees("Importing a file twice changes nothing"));
    window.harness.key_press(eframe::egui::Key::F1);
    window.wait(|window| !window.sees("Importing a file twice changes nothing"));
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
fn a_result_is_sorted_filtered_and_its_query_saved() {
    let mut window = Window::open();
    window.click("Explore");
    window.click("SQL");
    window.click("Run");
    window.wait(|window| window.sees("rows in"));
    window.idle();
    assert!(window.sees("distinct"), "columns say what they are like");
    let first_event = |window: &Window| {
        let events = ["page_viewed", "product_viewed", "order_completed", "campaign_clicked"];
        let place = |name: &str| {
            let nodes = window.harness.query_all_by_label(name);
            nodes.map(|node| node.rect().top()).fold(f32::INFINITY, f32::min)
        };
        let known = events.into_iter().filter(|name| place(name).is_finite());
        known.min_by(|left, right| place(left).total_cmp(&place(right))).unwrap()
    };
    assert_eq!(first_event(&window), "product_viewed", "most frequent first");
    window.click("Sort by event");
    window.harness.step();
    assert_eq!(first_event(&window), "campaign_clicked");
    window.harness.get_by_label("Filter rows").focus();
    window.harness.get_by_label("Filter rows").type_text("order_comp");
    window.harness.step();
    window.harness.step();
    assert_eq!(first_event(&window), "order_completed");
    window.click("Saved…");
    window.harness.get_by_label("Name of the query").focus();
    window.harness.get_by_label("Name of the query").type_text("by_event");
    window.harness.step();
    window.click("Save this query");
    window.wait(|window| window.sees("Saved query by_event"));
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

/// From an idea to a live experiment, and from its readout to a decision, in as few clicks as a person needs.
#[test]
#[allow(clippy::print_stdout, reason = "a figure, for who asks with --nocapture")]
fn an_experiment_goes_live_in_three_clicks_and_is_decided_in_two() {
    let _alone = ENDPOINT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let start = Start::sample_in(crate::support::program(), folder.path().join("shop"));
    let mut window = Window::with(folder, start, [1280.0, 1_800.0], 1.0);
    let began = Instant::now();
    window.click("Experiments");
    window.wait(|window| window.sees("Ship it"));
    assert!(window.sees("The split is right") && window.sees("country = DE"));
    window.click("Go live");
    let can_start =
        |window: &Window| window.harness.query_by_role_and_label(Role::Button, "Start").is_some();
    window.wait(can_start);
    window.click("Start");
    window.wait(|window| window.sees("version 1 running"));
    println!("from an idea to a live experiment: 3 clicks, {:.1} s", began.elapsed().as_secs_f64());
    window.click("Save and plan");
    window.wait(|window| window.sees("How long it would take"));
    window.click("Everybody gets free");
    window.click("Yes, free for everybody");
    window.wait(|window| window.sees("version 1 decided: free"));
    assert!(window.sees("version 1: decide free"), "it is in the decision log");
    window.click("Stop: back to the control");
    window.wait(|window| window.sees("version 1 stopped"));
    window.harness.get_by_label("As text").click();
    window.harness.step();
    window.harness.step();
    assert!(window.harness.get_by_label("Definition").value().unwrap().contains("[[variants]]"));
    window.click("Deploy");
    window.click("Stop");
    window.wait(|window| window.sees("The endpoint was stopped"));
}

#[test]
fn a_function_is_looked_at_before_it_is_live_and_goes_back() {
    let _alone = ENDPOINT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
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
    window.click("Monitor");
    window.wait(|window| window.sees("Against what it was trained on"));
    window.click("Start the rule");
    window.wait(|window| window.sees("does not hold"));
    window.click("Remove");
    window.wait(|window| window.sees("No rule yet"));
    window.click("Deploy");
    window.click("Roll back");
    window.wait(|window| window.sees("version 1 of 2"));
    window.click("Stop");
    window.wait(|window| window.sees("Or work with one that runs elsewhere"));
}

pub(crate) const CHARTS: [&str; 7] =
    ["Trends", "Retention", "Funnel", "Lifecycle", "Stickiness", "Paths", "RFM segments"];

#[test]
fn every_chart_comes_up_with_its_rule_and_its_sql() {
    let mut window = Window::open();
    window.click("Explore");
    for (chart, rule) in CHARTS.into_iter().zip([
        "By week: how many customers",
        "A customer is in the cohort",
        "Customers who took the steps",
        "is new if their first event",
        "In how many days",
        "Ribbons do not chain",
        "A score is the fifth",
    ]) {
        window.click(chart);
        window.idle();
        window.wait(|window| window.sees(rule));
        window.click("Show SQL");
        window.idle();
        assert!(window.sees("Work on it in SQL"), "{chart}");
        window.click("Show SQL");
    }
    window.click("Funnel");
    window.click("Show SQL");
    window.click("Work on it in SQL");
    window.click("Run");
    window.wait(|window| window.sees("rows in"));
}

#[test]
fn a_cell_leads_to_its_people_a_segment_and_a_customer() {
    let mut window = Window::open();
    window.click("Explore");
    window.click("Retention");
    window.idle();
    window.wait(|window| window.sees("A customer is in the cohort"));
    let cell = window
        .harness
        .get_all_by_role(Role::Button)
        .find(|node| node.accesskit_node().label().is_some_and(|label| label.contains(" of ")));
    cell.unwrap().click();
    window.harness.step();
    window.idle();
    assert!(window.sees("People"));
    window.harness.get_by_label("Segment").focus();
    window.harness.get_by_label("Segment").type_text("back_again");
    window.harness.step();
    window.click("Save");
    window.wait(|window| window.sees("Saved segment back_again"));
    window.idle();
    let person = window.harness.get_all_by_role(Role::Link).next().unwrap();
    person.click();
    window.harness.step();
    window.idle();
    assert_eq!(window.harness.state().page(), Page::Customers);
    assert!(window.sees("back_again"), "the customer is in the segment");
}

/// Hostile names and many columns.
pub(crate) fn strange() -> String {
    let columns: Vec<String> = (0..200).map(|n| format!("p{n}")).collect();
    let mut csv = format!("customer,event,time,{}\n", columns.join(","));
    for (n, name) in
        ["'); DROP TABLE events; --", "عميل", "顧客", "\u{202e}evil", &"long".repeat(60)]
            .iter()
            .enumerate()
    {
        for day in 1..9 {
            let values: Vec<String> = (0..200).map(|p| format!("{}", (p * day + n) % 7)).collect();
            csv.push_str(&format!(
                "\"{name}\",\"e {name}\",2024-01-{day:02}T0{n}:00:00,{}\n",
                values.join(",")
            ));
        }
    }
    csv
}

#[test]
fn every_page_and_chart_comes_up_in_every_size_on_any_data() {
    let strange = strange();
    for csv in [None, Some(strange.as_str())] {
        for (size, zoom) in [([600.0, 400.0], 1.0), ([1920.0, 1080.0], 1.0), ([1280.0, 800.0], 2.0)]
        {
            let mut window = Window::of(csv, size, zoom);
            for page in Page::ALL {
                window.click(page.name());
                window.idle();
                assert_eq!(window.harness.state().page(), page);
            }
            window.click("Explore");
            for chart in CHARTS {
                window.click(chart);
                window.idle();
                window.harness.step();
            }
            // egui_kittest fails by itself where an input has no name.
        }
    }
}
