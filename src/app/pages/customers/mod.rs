//! One customer after the other: the list on the left, the timeline, what is known of them on the right.

mod about;
mod lanes;

use about::{scores_ui, traits_ui, variants_ui};
use eframe::egui::{
    self, Frame, Grid, Margin, Panel, RichText, ScrollArea, Sense, Slider, Ui, vec2,
};
use lanes::{Span, lanes_ui, span};
use serde::{Deserialize, Serialize};
use workspace::{
    Command, CustomerList, CustomerSort, CustomerSummary, CustomerView, Event, Name, Time,
    is_system,
};

use super::{again_ui, error_ui, heading};
use crate::state::{CUSTOMERS, Outbox, State};
use crate::theme::{Tokens, strong};
use crate::widgets::{card, choice, empty_state, number, section, shorten, text_field, thousands};

/// One customer after the other: list, timeline, features.
#[derive(Debug)]
pub(super) struct Customers {
    shown: CustomersShown,
    /// Customers that are listed at most; more as they are scrolled to.
    limit: usize,
    /// What was asked for last, and of how many events.
    asked: Option<(Asked, u64)>,
    /// The view whose spread was asked for, and of how many events.
    spread_of: Option<(Name, u64)>,
    /// Whether features are shown in place of the timeline, where there is no room for both.
    is_turned: bool,
}

/// What the page shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct CustomersShown {
    list: CustomerList,
    chosen: Option<String>,
    view: Option<Name>,
    as_of: Option<Time>,
    /// The feature whose events are shown.
    feature: Option<Name>,
    /// The part of their time that the lanes show; none shows all.
    zoom: Option<Span>,
}

/// Who, which features, and as of when.
type Asked = (String, Option<Name>, Option<Time>);

impl CustomersShown {
    /// One customer.
    pub(crate) fn of(customer_id: &str) -> Self {
        Self { chosen: Some(customer_id.to_owned()), ..Self::default() }
    }
}

impl Default for Customers {
    fn default() -> Self {
        let shown = CustomersShown::default();
        Self { shown, limit: CUSTOMERS, asked: None, spread_of: None, is_turned: false }
    }
}

/// The orders of the list, as they are shown.
const SORTS: [(&str, CustomerSort); 4] = [
    ("seen last", CustomerSort::LastSeen),
    ("newest", CustomerSort::Newest),
    ("most events", CustomerSort::MostEvents),
    ("by id", CustomerSort::Id),
];
/// A filter that leaves everybody in.
const ANY: &str = "any";
/// Rows before the end of the list at which more are asked for, and the most of one scroll area.
const NEAR_END: usize = 100;
const MOST_LISTED: usize = 500_000;
/// Below this width beside the list, timeline and features are shown in turn.
const NARROW: f32 = 520.0;
/// Microseconds from 1970 that no event is away: a link may say anything.
const FAR: u64 = 1 << 60;
/// Height of a customer in the list.
const ENTRY: f32 = 36.0;
/// Listed events at most.
const LISTED_EVENTS: usize = 400;

impl Customers {
    pub(super) fn shown(&self) -> CustomersShown {
        self.shown.clone()
    }

    pub(super) fn show(&mut self, shown: CustomersShown) {
        let is_sound = |(from, until): &Span| {
            from < until && from.unsigned_abs() < FAR && until.unsigned_abs() < FAR
        };
        self.shown = CustomersShown { zoom: shown.zoom.filter(is_sound), ..shown };
        self.limit = CUSTOMERS;
    }

    pub(super) fn ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        if self.shown.view.is_none() {
            self.shown.view = state.first_view();
        }
        self.ask(state, outbox);
        heading(ui, "Customers", "who they are, what they did, what is known of them at any time");
        let frame = Frame::NONE.inner_margin(Margin { right: 12, ..Margin::ZERO });
        Panel::left("customers-list")
            .default_size(250.0)
            .size_range(180.0..=420.0)
            .frame(frame)
            .show(ui, |ui| self.list_ui(ui, state, outbox));
        let is_narrow = ui.available_width() < NARROW;
        if !is_narrow {
            let frame = Frame::NONE.inner_margin(Margin { left: 12, ..Margin::ZERO });
            Panel::right("customer-features")
                .default_size(300.0)
                .size_range(220.0..=460.0)
                .frame(frame)
                .show(ui, |ui| self.features_ui(ui, state, outbox));
        }
        let frame = Frame::NONE.inner_margin(Margin::symmetric(12, 0));
        egui::CentralPanel::default().frame(frame).show(ui, |ui| {
            if is_narrow {
                ui.toggle_value(&mut self.is_turned, "Features");
            }
            match is_narrow && self.is_turned {
                true => self.features_ui(ui, state, outbox),
                false => self.customer_ui(ui, state),
            }
        });
    }

    fn list_ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        self.filters_ui(ui, state);
        let wanted = (&self.shown.list, self.limit);
        if wanted != (&state.customers_asked.0, state.customers_asked.1) {
            outbox.send(Command::Customers(self.shown.list.clone(), self.limit));
        }
        error_ui(ui, &state.customers);
        let Some((customers, total)) = state.customers.value() else {
            ui.spinner();
            return;
        };
        let tokens = Tokens::at(ui);
        let shown = format!("{} of {}", customers.len(), thousands(*total));
        ui.label(RichText::new(shown).small().color(tokens.weak));
        self.arrow_keys(ui, customers);
        if self.shown.chosen.is_none()
            && let Some(first) = customers.first()
        {
            self.choose(&first.customer_id);
        }
        let (mut clicked, mut last_shown) = (None, 0);
        ScrollArea::vertical().auto_shrink(false).show_rows(
            ui,
            ENTRY,
            customers.len(),
            |ui, rows| {
                last_shown = rows.end;
                for customer in &customers[rows] {
                    let is_chosen = self.shown.chosen.as_ref() == Some(&customer.customer_id);
                    if entry_ui(ui, customer, is_chosen).clicked() {
                        clicked = Some(customer.customer_id.clone());
                    }
                }
            },
        );
        if let Some(id) = clicked {
            self.choose(&id);
        }
        let has_more = usize::try_from(*total).is_ok_and(|total| total > customers.len());
        if has_more && last_shown + NEAR_END > customers.len() && state.customers.job().is_none() {
            self.limit = (self.limit * 4).min(MOST_LISTED);
        }
    }

    /// Which customers, and in which order.
    fn filters_ui(&mut self, ui: &mut Ui, state: &State) {
        let before = self.shown.list.clone();
        let search = &mut self.shown.list.search;
        text_field(ui, "Search customers", search, "a part of the id", f32::INFINITY);
        let overview = state.look();
        ui.horizontal(|ui| {
            let width = (ui.available_width() - 8.0) / 2.0 - 16.0;
            let known = SORTS.iter().find(|(_, sort)| *sort == self.shown.list.sort);
            let mut sort = known.map_or("", |(text, _)| text).to_owned();
            if choice(ui, "Order", &mut sort, SORTS.map(|(text, _)| text), width) {
                let chosen = SORTS.iter().find(|(text, _)| *text == sort);
                self.shown.list.sort = chosen.map(|(_, sort)| *sort).unwrap_or_default();
            }
            let events = overview.summary.by_event.iter().map(|(event, _)| event.as_str());
            let mut event = self.shown.list.event.clone().unwrap_or_else(|| ANY.to_owned());
            if choice(ui, "Who did", &mut event, [ANY].into_iter().chain(events), width) {
                self.shown.list.event = (event != ANY).then_some(event);
            }
        });
        if !overview.segments.is_empty() {
            let segments = overview.segments.iter().map(Name::as_str);
            let mut segment =
                self.shown.list.segment.as_ref().map_or(ANY, |segment| segment.as_str()).to_owned();
            let width = ui.available_width() - 16.0;
            if choice(ui, "In the segment", &mut segment, [ANY].into_iter().chain(segments), width)
            {
                self.shown.list.segment = segment.parse().ok().filter(|_| segment != ANY);
            }
        }
        if self.shown.list != before {
            self.limit = CUSTOMERS;
        }
    }

    /// Arrow keys move between customers while no field has the focus.
    fn arrow_keys(&mut self, ui: &Ui, customers: &[CustomerSummary]) {
        if ui.ctx().memory(|memory| memory.focused().is_some()) {
            return;
        }
        let (down, up) = ui.input(|input| {
            (input.key_pressed(egui::Key::ArrowDown), input.key_pressed(egui::Key::ArrowUp))
        });
        if !down && !up {
            return;
        }
        let place =
            customers.iter().position(|c| Some(&c.customer_id) == self.shown.chosen.as_ref());
        let place = place.map_or(0, |place| if down { place + 1 } else { place.saturating_sub(1) });
        if let Some(next) = customers.get(place) {
            self.shown.chosen = Some(next.customer_id.clone());
        }
    }

    fn choose(&mut self, id: &str) {
        self.shown.chosen = Some(id.to_owned());
        self.shown.as_of = None;
        self.shown.zoom = None;
    }

    /// Asks for the customer, if another one is wanted, or there are other events.
    fn ask(&mut self, state: &State, outbox: &mut Outbox) {
        let Some(customer_id) = self.shown.chosen.clone() else { return };
        let (view, as_of) = (self.shown.view.clone(), self.shown.as_of);
        let events = state.look().summary.events;
        let wanted = ((customer_id.clone(), view.clone(), as_of), events);
        if self.asked.as_ref() != Some(&wanted) {
            self.asked = Some(wanted);
            outbox.send(Command::Customer { customer_id, view, as_of });
        }
    }

    fn customer_ui(&mut self, ui: &mut Ui, state: &State) {
        error_ui(ui, &state.customer);
        if again_ui(ui, &state.customer) {
            self.asked = None;
        }
        let Some(customer) = state.customer.value() else {
            empty_state(ui, "Choose a customer on the left to see their timeline.");
            return;
        };
        let tokens = Tokens::at(ui);
        let own = customer.events.iter().filter(|event| !is_system(&event.event)).count();
        ui.horizontal(|ui| {
            ui.label(RichText::new(&customer.customer_id).font(strong(16.0)).color(tokens.strong));
            let n = thousands(u64::try_from(own).unwrap_or(0));
            ui.label(RichText::new(format!("{n} events")).color(tokens.weak));
        });
        card(ui, |ui| {
            ui.set_min_width(ui.available_width());
            lanes_ui(ui, customer, &mut self.shown.zoom);
            self.as_of_ui(ui, customer);
        });
        let behind = self.shown.feature.as_ref().and_then(|name| behind(customer, name));
        let mut is_done = false;
        ui.horizontal(|ui| match (&self.shown.feature, behind) {
            (Some(name), Some(places)) => {
                section(ui, &format!("{} events behind {name}, newest first", places.len()));
                is_done = ui.small_button("Show all").clicked();
            }
            _ => section(ui, "Events, newest first"),
        });
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            events_ui(ui, customer, behind);
        });
        if is_done {
            self.shown.feature = None;
        }
    }

    /// A slider over the customer's time: everything else shows what was known then.
    fn as_of_ui(&mut self, ui: &mut Ui, customer: &CustomerView) {
        let Some((first, last)) = span(&customer.events) else { return };
        let end = last.plus(1);
        let mut micros = self.shown.as_of.unwrap_or(end).0;
        ui.horizontal(|ui| {
            let name = ui.label("As of");
            ui.spacing_mut().slider_width = (ui.available_width() - 190.0).max(80.0);
            let slider = Slider::new(&mut micros, first.0..=end.0).show_value(false);
            let slider = ui.add(slider).labelled_by(name.id);
            ui.label(RichText::new(Time(micros).date()).monospace());
            if slider.changed() {
                self.shown.as_of = (micros < end.0).then_some(Time(micros));
            }
            if self.shown.as_of.is_some() && ui.small_button("Now").clicked() {
                self.shown.as_of = None;
            }
        });
    }

    fn features_ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        let views: Vec<String> =
            state.look().views.iter().map(|view| view.name.to_string()).collect();
        let mut current = self.shown.view.as_ref().map_or("(none)".to_owned(), ToString::to_string);
        if choice(ui, "View", &mut current, views.iter().map(String::as_str), 160.0) {
            self.shown.view = current.parse().ok();
        }
        self.ask_for_spread(state, outbox);
        let Some(customer) = state.customer.value() else { return };
        let tokens = Tokens::at(ui);
        let when = format!("as of {}; a click shows the events behind", customer.as_of.date());
        ui.label(RichText::new(when).small().color(tokens.weak));
        let spread =
            state.distributions.value().filter(|(view, _)| self.shown.view.as_ref() == Some(view));
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            Grid::new("features").num_columns(3).spacing([10.0, 4.0]).show(ui, |ui| {
                for (name, value) in &customer.features {
                    let is_chosen = self.shown.feature.as_ref() == Some(name);
                    let label = RichText::new(shorten(name.as_str(), 24)).size(12.0);
                    if ui.selectable_label(is_chosen, label).on_hover_text(name.as_str()).clicked()
                    {
                        self.shown.feature = (!is_chosen).then(|| name.clone());
                    }
                    let text = match value {
                        workspace::Value::Null => {
                            RichText::new("NULL").italics().color(tokens.weak)
                        }
                        workspace::Value::Number(x) => RichText::new(number(*x)).monospace(),
                        other => RichText::new(shorten(&other.to_string(), 20)),
                    };
                    ui.label(text);
                    let values = spread.and_then(|(_, spread)| spread.get(name));
                    let text = match (value, values) {
                        (workspace::Value::Number(x), Some(values)) => percentile(*x, values),
                        _ => String::new(),
                    };
                    ui.label(RichText::new(text).small().color(tokens.weak))
                        .on_hover_text("Customers whose value is not above, now");
                    ui.end_row();
                }
            });
            traits_ui(ui, customer);
            variants_ui(ui, customer);
            scores_ui(ui, customer);
            if !customer.segments.is_empty() {
                section(ui, "Segments");
                ui.horizontal_wrapped(|ui| {
                    customer.segments.iter().for_each(|segment| _ = ui.label(segment.as_str()));
                });
            }
        });
    }

    /// Asks how the numbers of the view are spread, once for each state of the data.
    fn ask_for_spread(&mut self, state: &State, outbox: &mut Outbox) {
        let events = state.look().summary.events;
        let wanted = self.shown.view.clone().map(|view| (view, events));
        if wanted != self.spread_of {
            self.spread_of.clone_from(&wanted);
            if let Some((view, _)) = wanted {
                outbox.send(Command::Distributions(view));
            }
        }
    }
}

/// A customer in the list: id, and what they did.
fn entry_ui(ui: &mut Ui, customer: &CustomerSummary, is_chosen: bool) -> egui::Response {
    let tokens = Tokens::at(ui);
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), ENTRY), Sense::click());
    let painter = ui.painter();
    if is_chosen || response.hovered() {
        let fill = if is_chosen { tokens.selected } else { tokens.hover };
        painter.rect_filled(rect, 4.0, fill);
    }
    if response.has_focus() {
        let stroke = egui::Stroke::new(2.0, tokens.focus);
        painter.rect_stroke(rect, 4.0, stroke, egui::StrokeKind::Inside);
    }
    let id = shorten(&customer.customer_id, 32);
    let at = rect.left_top() + vec2(8.0, 3.0);
    painter.text(at, egui::Align2::LEFT_TOP, &id, strong(12.5), tokens.strong);
    let did =
        format!("{} events, last {}", thousands(customer.event_count), customer.last_seen.date());
    let at = rect.left_bottom() + vec2(8.0, -3.0);
    let font = egui::FontId::proportional(11.0);
    painter.text(at, egui::Align2::LEFT_BOTTOM, did, font, tokens.weak);
    let info = egui::WidgetInfo::selected;
    response.widget_info(|| info(egui::Role::Button, true, is_chosen, &id));
    response
}

/// The events that a feature comes from.
fn behind<'c>(customer: &'c CustomerView, feature: &Name) -> Option<&'c [usize]> {
    let place = customer.features.iter().position(|(name, _)| name == feature)?;
    customer.evidence.get(place).map(Vec::as_slice)
}

/// The share of customers whose value is not above one.
fn percentile(x: f64, values: &[f64]) -> String {
    #[allow(clippy::cast_precision_loss, reason = "a share for people")]
    let share = values.partition_point(|value| *value <= x) as f64 / values.len().max(1) as f64;
    format!("{:.0} %", share * 100.0)
}

fn events_ui(ui: &mut Ui, customer: &CustomerView, only: Option<&[usize]>) {
    let tokens = Tokens::at(ui);
    let is_wanted = |place: &usize| only.is_none_or(|only| only.binary_search(place).is_ok());
    let known = (0..customer.events.len())
        .rev()
        .filter(is_wanted)
        .map(|place| &customer.events[place])
        .filter(|event| event.event_time < customer.as_of);
    ui.spacing_mut().item_spacing.y = 2.0;
    for event in known.take(LISTED_EVENTS) {
        ui.horizontal(|ui| {
            let time = event.event_time.to_string();
            let time = time.replace('T', " ").chars().take(19).collect::<String>();
            let time = match event.is_undated() {
                true => "without a date     ".to_owned(),
                false => time.trim_end_matches('Z').to_owned(),
            };
            ui.label(RichText::new(time).monospace().size(11.5).color(tokens.weak));
            let color = tokens.series_of(&event.event);
            ui.label(RichText::new(&event.event).size(12.5).color(color));
            let text = RichText::new(properties(event, 200)).size(12.0);
            ui.add(egui::Label::new(text).truncate());
        });
    }
}

fn properties(event: &Event, most: usize) -> String {
    let all: Vec<String> =
        event.properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
    shorten(&all.join("  "), most)
}
