//! What a frame of each page costs on 10 million events, in CPU of the thread that paints.
//!
//! `cargo bench --profile release --bench window -- FOLDER`: FOLDER is that of the benchmark `kernel`, which
//! makes the project; pages of what is live are measured on the sample. Every page and every chart is shown,
//! first while nothing else happens and then while a query runs; each frame is laid out and tessellated as for
//! the screen (1280x800), but not drawn.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark is a tool")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use app::{App, Page, Start};
use eframe::egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

/// The allocator of the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Frames of each measurement.
const FRAMES: usize = 200;
const CHARTS: [&str; 7] =
    ["Trends", "Retention", "Funnel", "Lifecycle", "Stickiness", "Paths", "RFM segments"];
/// What a frame may cost: the median and the 95th part of a hundred.
const ASKED: (f64, f64) = (8.0, 16.0);
/// A query with as many rows as there are events.
const ALL: &str = "SELECT * FROM events";
/// A query that takes some seconds.
const SLOW: &str = "SELECT count(*) FROM events a JOIN events b USING (customer_id) WHERE a.event_time < b.event_time";

/// CPU seconds of this thread.
fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

struct Window(Harness<'static, App>);

impl Window {
    fn open(start: Start) -> Self {
        let harness = Harness::builder()
            .with_size([1280.0, 800.0])
            .allow_missing_glyphs()
            .build_eframe(|context| App::new(&context.egui_ctx, start));
        let mut window = Self(harness);
        window.idle();
        window
    }

    /// Runs a query.
    fn ask(&mut self, sql: &str) {
        self.0.get_by_label("Query").focus();
        self.0.key_press_modifiers(eframe::egui::Modifiers::COMMAND, eframe::egui::Key::A);
        self.0.get_by_label("Query").type_text(sql);
        self.0.step();
        self.click("Run");
    }

    /// Waits until a button is there.
    fn wait_for(&mut self, button: &str) {
        let began = Instant::now();
        while self.0.query_by_role_and_label(Role::Button, button).is_none() {
            assert!(began.elapsed() < Duration::from_secs(120), "{button} does not come");
            self.0.step();
        }
        self.0.get_by_role_and_label(Role::Button, button).scroll_to_me();
        self.0.step();
        self.0.step();
    }

    fn click(&mut self, label: &str) {
        self.0.get_by_role_and_label(Role::Button, label).click();
        self.0.step();
        self.0.step();
    }

    fn idle(&mut self) {
        let began = Instant::now();
        self.0.step();
        while self.0.state().is_busy() {
            assert!(began.elapsed() < Duration::from_secs(120), "nothing ends");
            self.0.step();
        }
        self.0.step();
    }

    /// Median and 95th percentile of a frame, in milliseconds.
    fn frames(&mut self) -> (f64, f64) {
        let mut times: Vec<f64> = (0..FRAMES)
            .map(|_| {
                let started = cpu();
                self.0.step();
                let output = self.0.output();
                let shapes = output.shapes.clone();
                let pixels = output.pixels_per_point;
                std::hint::black_box(self.0.ctx.tessellate(shapes, pixels));
                (cpu() - started) * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        (times[FRAMES / 2], times[FRAMES * 95 / 100])
    }

    fn say(&mut self, what: &str) {
        let (median, most) = self.frames();
        let verdict = if median <= ASKED.0 && most <= ASKED.1 { "" } else { "  too slow" };
        println!("{what:<36} median {median:>6.2} ms   p95 {most:>6.2} ms{verdict}");
    }
}

fn main() {
    let folder = std::env::args().skip(1).find(|argument| argument != "--bench");
    let Some(folder) = folder.map(PathBuf::from) else {
        println!("usage: cargo bench --profile release --bench window -- FOLDER");
        return;
    };
    let started = Instant::now();
    let start = Start::of(PathBuf::from("fullcircle"), folder.join("project"));
    let mut window = Window::open(start);
    println!("first page with its numbers after {:.2} s", started.elapsed().as_secs_f64());
    println!("asked: median at most {} ms, p95 at most {} ms", ASKED.0, ASKED.1);
    for page in Page::ALL {
        window.click(page.name());
        window.idle();
        window.say(page.name());
    }
    window.click("Explore");
    for chart in CHARTS {
        window.click(chart);
        window.idle();
        window.say(chart);
    }
    window.click("SQL");
    window.ask(ALL);
    let asked = Instant::now();
    window.idle();
    println!("10 M rows are there after {:.2} s", asked.elapsed().as_secs_f64());
    window.say("SQL, 10 M rows");
    let asked = Instant::now();
    window.click("Sort by event_time");
    window.idle();
    println!("10 M rows are sorted after {:.2} s", asked.elapsed().as_secs_f64());
    window.click("Tile…");
    window.click("Show beside");
    window.idle();
    window.say("SQL beside RFM segments");
    window.ask(SLOW);
    window.say("both, while a query runs");
    for page in [Page::Customers, Page::Home] {
        window.click(page.name());
        window.say(&format!("{}, while a query runs", page.name()));
    }
    assert!(window.0.state().is_busy(), "the query has to run longer");
    window.0.key_press(eframe::egui::Key::Escape);
    let canceled = Instant::now();
    window.idle();
    println!("cancel to idle {:.0} ms (asked: 250)", canceled.elapsed().as_secs_f64() * 1e3);
    drop(window);
    live();
}

/// What is live, on the sample: the pages that poll an endpoint.
fn live() {
    let folder = tempfile::tempdir().unwrap();
    let program = PathBuf::from(env!("CARGO_BIN_EXE_fullcircle"));
    let start = Start::sample_in(program, folder.path().join("shop"));
    let mut window = Window::open(start);
    window.click("Models");
    window.idle();
    window.click("Save and train");
    window.idle();
    window.click("Deploy");
    window.click("Go live");
    window.wait_for("Deploy…");
    window.click("Deploy…");
    window.wait_for("Confirm");
    window.click("Confirm");
    window.wait_for("Score");
    window.idle();
    window.click("Score");
    window.idle();
    for page in [Page::Deploy, Page::Experiments, Page::Monitor, Page::Customers] {
        window.click(page.name());
        window.idle();
        window.say(&format!("{}, live", page.name()));
    }
    window.click("Deploy");
    window.wait_for("Stop");
    window.click("Stop");
    window.idle();
}
