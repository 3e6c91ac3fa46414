use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use eframe::egui::{self, Key};
use workspace::{Command, MonitorCommand, Session, Slot, sample_folder};

use crate::actions::{Action, TABLE};
use crate::help::Help;
use crate::pages::{Page, Pages};
use crate::palette::Palette;
use crate::settings::Settings;
use crate::shown::{Link, STABLE, Shown, Steps};
use crate::state::{Outbox, State, Tone};
use crate::{shell, theme};

/// Time that a frame may spend on updates.
const UPDATES_BUDGET: Duration = Duration::from_millis(8);

/// A window is remembered if its sides are at least so long: one that is put away has none.
const LEAST_WINDOW: f32 = 400.0;

/// What is shown is kept when it has not changed for so long.
const KEPT_AFTER: Duration = Duration::from_secs(2);

/// How often the endpoint is asked whether a rule holds.
const ALERTS_EVERY: Duration = Duration::from_secs(10);

/// What the window starts with.
#[derive(Debug)]
pub struct Start {
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
    /// Whether an empty project is filled with the sample.
    pub(crate) sample: bool,
    pub(crate) settings: Settings,
    /// Where to go at first.
    pub(crate) link: Option<Link>,
    pub(crate) since: Instant,
}

impl Start {
    /// A start on a project, or on the bundled sample, perhaps where a link leads; `program` is what
    /// endpoints are started with.
    ///
    /// # Errors
    /// The link is none.
    pub fn new(
        program: PathBuf,
        project: Option<PathBuf>,
        link: Option<&str>,
    ) -> Result<Self, String> {
        let sample = project.is_none();
        Ok(Self {
            program,
            folder: project.unwrap_or_else(sample_folder),
            sample,
            settings: Settings::load(),
            link: link.map(Link::from_text).transpose()?,
            since: Instant::now(),
        })
    }

    /// A start on a project in a folder, with settings of its own: for tests.
    #[must_use]
    pub fn of(program: PathBuf, folder: PathBuf) -> Self {
        Self { sample: false, ..Self::sample_in(program, folder) }
    }

    /// A start on the sample in a folder, with settings of its own: for tests.
    #[must_use]
    pub fn sample_in(program: PathBuf, folder: PathBuf) -> Self {
        let settings = Settings::default();
        Self { program, folder, sample: true, settings, link: None, since: Instant::now() }
    }
}

/// What is kept of what the window shows, for the next start.
#[derive(Debug, Default)]
struct Kept {
    /// What is in the file.
    written: Option<Shown>,
    /// What is shown, and since when.
    changed: Option<(Shown, Instant)>,
}

impl Kept {
    /// What is to be written: what has been shown for a while, and is not in the file.
    fn due(&mut self, shown: &Shown) -> Option<Shown> {
        if self.written.as_ref() == Some(shown) {
            self.changed = None;
            return None;
        }
        match &self.changed {
            Some((known, since)) if known == shown && since.elapsed() >= KEPT_AFTER => {
                self.written = Some(shown.clone());
                self.written.clone()
            }
            Some((known, _)) if known == shown => None,
            _ => {
                self.changed = Some((shown.clone(), Instant::now()));
                None
            }
        }
    }
}

/// The window.
#[derive(Debug)]
pub struct App {
    session: Session,
    state: State,
    pages: Pages,
    palette: Palette,
    help: Help,
    outbox: Outbox,
    settings: Settings,
    steps: Steps,
    /// The places of Explore that show something.
    slots: BTreeSet<Slot>,
    kept: Kept,
    /// Where to go when the project is open.
    link: Option<Link>,
    since: Instant,
    /// When the endpoint was asked last whether a rule holds.
    alerts_asked: Option<Instant>,
    /// Whether real numbers have been on screen.
    has_shown_numbers: bool,
}

impl App {
    /// Opens the project; the window is there before it is.
    #[must_use]
    pub fn new(context: &egui::Context, start: Start) -> Self {
        theme::install(context, start.settings.theme);
        let repaint = context.clone();
        let session = Session::new(&start.program, move || repaint.request_repaint());
        let mut app = Self {
            session,
            state: State::default(),
            pages: Pages::default(),
            palette: Palette::default(),
            help: Help::default(),
            outbox: Outbox::default(),
            settings: start.settings,
            steps: Steps::default(),
            slots: BTreeSet::new(),
            kept: Kept::default(),
            link: start.link,
            since: start.since,
            alerts_asked: None,
            has_shown_numbers: false,
        };
        app.outbox.send(Command::Open { folder: start.folder, sample: start.sample });
        app.outbox.flush(&mut app.session, &mut app.state);
        app
    }

    /// The page that is shown.
    #[must_use]
    pub const fn page(&self) -> Page {
        self.pages.current
    }

    /// Whether any job is running.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.session.is_busy()
    }

    /// Takes updates, sends what follows from them. Paints nothing.
    fn update(&mut self, context: &egui::Context) {
        let began = Instant::now();
        while let Some(update) = self.session.next_update() {
            for command in self.state.take(update) {
                self.outbox.send(command);
            }
            if began.elapsed() > UPDATES_BUDGET {
                context.request_repaint();
                break;
            }
        }
        if let Some(folder) = self.state.folder().map(std::path::Path::to_path_buf)
            && self.settings.projects.first() != Some(&folder)
        {
            self.settings.remember_project(&folder);
        }
        self.take_up();
        self.ask_for_alerts(context);
        self.outbox.flush(&mut self.session, &mut self.state);
    }

    /// Takes up what the window showed of a project that was just opened.
    fn take_up(&mut self) {
        let Some(window) = self.state.opened.take() else { return };
        self.pages = Pages::default();
        self.steps = Steps::default();
        self.kept = Kept::default();
        match window.as_deref().map(Shown::from_json) {
            Some(Ok(shown)) => self.pages = Pages::showing(shown),
            Some(Err(text)) => self.state.tell(Tone::Warn, text),
            None => {}
        }
        if let Some(link) = self.link.take() {
            self.pages.follow(link);
        }
    }

    /// Takes note of how large the window is, for the next start.
    fn note_size(&mut self, context: &egui::Context) {
        let inner = context.input(|input| input.viewport().inner_rect);
        if let Some(size) = inner.map(|rect| [rect.width().round(), rect.height().round()])
            && size.into_iter().all(|length| length >= LEAST_WINDOW)
        {
            self.settings.window = Some(size);
        }
    }

    /// Takes note of what is shown: to undo it, and for the next start.
    fn note_shown(&mut self, context: &egui::Context) {
        if self.state.project.value().is_none() {
            return;
        }
        let shown = self.pages.shown();
        let seconds = context.input(|input| input.time);
        let is_changing = self.steps.note(seconds, &shown, has_input(context));
        self.state.steps = self.steps.ways(&shown);
        if is_changing {
            context.request_repaint_after(Duration::from_secs_f64(STABLE));
        }
        if self.kept.changed.is_some() {
            context.request_repaint_after(KEPT_AFTER);
        }
        if let Some(due) = self.kept.due(&shown).and_then(|due| due.to_json()) {
            self.outbox.send(Command::KeepWindow(due));
        }
    }

    /// Shows what was shown before, or again what was undone.
    fn step(&mut self, step: fn(&mut Steps, &Shown) -> Option<Shown>) {
        let shown = self.pages.shown();
        if let Some(before) = step(&mut self.steps, &shown) {
            self.pages.show(before);
        }
    }

    /// Asks now and then whether a rule holds, whichever page is shown; the monitor asks by itself.
    fn ask_for_alerts(&mut self, context: &egui::Context) {
        let Some(url) = &self.state.url else { return };
        if self.state.endpoint.value().is_none() || self.pages.current == Page::Monitor {
            return;
        }
        context.request_repaint_after(ALERTS_EVERY);
        let is_due = self.alerts_asked.is_none_or(|asked| asked.elapsed() >= ALERTS_EVERY);
        if is_due && self.state.watched.job().is_none() {
            self.alerts_asked = Some(Instant::now());
            let (url, over) = (url.clone(), workspace::Span::days(1));
            self.outbox.send(Command::Monitor(MonitorCommand::Look { url, name: None, over }));
        }
    }

    /// Keys that work everywhere.
    fn keys(&mut self, context: &egui::Context) {
        for entry in &TABLE {
            let Some(shortcut) = entry.shortcut else { continue };
            // Fields and menus need it too: it is left to them.
            let is_pressed = match entry.action {
                // What is being written has an undo of its own.
                Action::Undo | Action::Redo if context.text_edit_focused() => false,
                // A menu that is open is closed by it, and nothing else.
                Action::Cancel => {
                    !egui::Popup::is_any_open(context)
                        && context.input(|input| input.key_pressed(shortcut.logical_key))
                }
                _ => context.input_mut(|input| input.consume_shortcut(&shortcut)),
            };
            if is_pressed && entry.action.is_possible(&self.state, &self.pages) {
                self.outbox.act(entry.action);
            }
        }
        if context.input(|input| input.key_pressed(Key::Escape)) && self.help.is_open() {
            self.help.close();
        }
    }

    /// Does what was asked for.
    fn act(&mut self, action: Action, context: &egui::Context) {
        match action {
            Action::Palette => self.palette.toggle(),
            Action::Help => self.help.toggle(),
            Action::Go(page) => self.pages.go(page),
            Action::OpenFile => self.pages.go(Page::Data),
            Action::Back => self.pages.back(),
            Action::Forward => self.pages.forward(),
            Action::Refresh => self.outbox.send(Command::Look),
            Action::Cancel if self.palette.is_open() => {}
            Action::Cancel => self.outbox.canceled_all(&self.state),
            Action::Undo => self.step(Steps::undo),
            Action::Redo => self.step(Steps::redo),
            Action::CopyLink => {
                context.copy_text(Link::to(self.pages.shown()).to_text());
                self.state.tell(Tone::Good, "Copied a link to this view".to_owned());
            }
            Action::ChooseNobody => {
                self.state.tiles.selection = None;
                self.outbox.send(Command::Select(Slot::default(), Vec::new()));
            }
            Action::GoLive => self.outbox.send(Command::GoLive),
            Action::Pull => {
                self.outbox.extend(self.state.url.clone().map(Command::Pull));
            }
            Action::StopEndpoint => self.outbox.send(Command::StopEndpoint),
            Action::Theme => {
                self.settings.theme = self.settings.theme.next();
                theme::choose(context, self.settings.theme);
            }
        }
    }

    /// Says on standard error when real numbers were first on screen, if that was asked for.
    fn note_first_numbers(&mut self) {
        if self.has_shown_numbers || self.state.overview.value().is_none() {
            return;
        }
        self.has_shown_numbers = true;
        if std::env::var_os("FULLCIRCLE_TRACE_START").is_some() {
            use std::io::Write as _;
            let ms = self.since.elapsed().as_millis();
            let events = self.state.look().summary.events;
            drop(writeln!(std::io::stderr(), "first numbers after {ms} ms: {events} events"));
        }
    }
}

/// Whether the person did something in this frame that may change what is shown.
fn has_input(context: &egui::Context) -> bool {
    use egui::Event;
    context.input(|input| {
        let is_done = |event: &Event| match event {
            Event::Key { pressed, .. } => *pressed,
            Event::PointerButton { .. }
            | Event::MouseWheel { .. }
            | Event::Text(_)
            | Event::Paste(_)
            | Event::AccessKitActionRequest(_) => true,
            _ => false,
        };
        input.events.iter().any(is_done) || input.pointer.any_down()
    })
}

impl eframe::App for App {
    fn logic(&mut self, context: &egui::Context, _: &mut eframe::Frame) {
        self.update(context);
    }

    fn ui(&mut self, ui: &mut egui::Ui, _: &mut eframe::Frame) {
        self.keys(ui.ctx());
        shell::top_bar_ui(ui, &self.state, &self.pages, &self.settings, &mut self.outbox);
        shell::status_bar_ui(ui, &self.state);
        shell::rail_ui(ui, self.pages.current, &mut self.outbox);
        self.pages.ui(ui, &self.state, &mut self.outbox);
        shell::notices_ui(ui, &mut self.state);
        let recent = (&self.pages, self.settings.projects.as_slice());
        self.palette.ui(ui, &self.state, recent, &mut self.outbox);
        self.help.ui(ui, self.pages.current);
        for action in std::mem::take(&mut self.outbox.actions) {
            self.act(action, ui.ctx());
        }
        for link in std::mem::take(&mut self.outbox.links) {
            self.pages.follow(link);
        }
        let slots: BTreeSet<Slot> = self.pages.slots().collect();
        if slots != self.slots {
            self.state.tiles.retain(|slot| slots.contains(&slot));
            self.session.retain(|slot| slot == Slot::default() || slots.contains(&slot));
            self.slots = slots;
        }
        self.note_shown(ui.ctx());
        self.note_size(ui.ctx());
        self.note_first_numbers();
        self.outbox.flush(&mut self.session, &mut self.state);
    }

    fn on_exit(&mut self, _: Option<&eframe::glow::Context>) {
        self.settings.save();
        let shown = self.pages.shown();
        if let (Some(folder), Some(text)) = (self.state.folder(), shown.to_json())
            && self.kept.written.as_ref() != Some(&shown)
        {
            drop(workspace::keep_window(folder, &text));
        }
    }
}
