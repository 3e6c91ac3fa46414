use eframe::egui::{self, Ui};
use workspace::insights::{Bound, Breakdown, InsightKind, Interval, Scope};
use workspace::{Name, Overview};

use crate::state::State;
use crate::widgets::{choice, text_field};

/// Texts of a form that are not (yet) what they stand for.
#[derive(Debug, Default)]
pub(super) struct Form {
    condition: Option<String>,
    zone: Option<String>,
    from: Option<String>,
    until: Option<String>,
}

const ALL: &str = "all customers";
const NOTHING: &str = "nothing";
const TRAIT: &str = "trait ";

impl Form {
    /// When, and of whom.
    pub(super) fn scope_ui(
        &mut self,
        ui: &mut Ui,
        kind: InsightKind,
        scope: &mut Scope,
        state: &State,
    ) {
        let look = state.look();
        ui.horizontal_wrapped(|ui| {
            self.times_ui(ui, scope);
            segment_ui(ui, scope, look);
            if has_parts(kind) {
                breakdown_ui(ui, scope, look);
            }
            let condition =
                self.condition.get_or_insert_with(|| scope.condition.clone().unwrap_or_default());
            let hint = "plan = 'pro' AND price > 10";
            if text_field(ui, "Events where", condition, hint, 190.0).lost_focus() {
                let text = condition.trim();
                scope.condition = (!text.is_empty()).then(|| text.to_owned());
            }
        });
    }

    fn times_ui(&mut self, ui: &mut Ui, scope: &mut Scope) {
        let mut interval = scope.interval.word().to_owned();
        let words = Interval::ALL.map(Interval::word);
        if choice(ui, "Interval", &mut interval, words, 76.0) {
            let found = Interval::ALL.into_iter().find(|known| known.word() == interval);
            scope.interval = found.unwrap_or_default();
        }
        let mut n = scope.intervals.to_string();
        if choice(ui, "Last", &mut n, ["6", "12", "18", "24", "30", "52", "90"], 52.0) {
            scope.intervals = n.parse().unwrap_or(12);
            (scope.from, scope.until) = (None, None);
            (self.from, self.until) = (None, None);
        }
        let own = scope.from.map(|from| from.to_string());
        if let Some(text) = day_ui(ui, "First day", &mut self.from, own) {
            scope.from = text.map_or(Ok(None), |text| text.parse().map(Some)).unwrap_or(scope.from);
        }
        // A file has the day after the last one.
        let own = scope.until.map(|until| until.last_day().unwrap_or_else(|| until.to_string()));
        if let Some(text) = day_ui(ui, "Last day", &mut self.until, own) {
            let until = text.map_or(Ok(None), |text| Bound::after(&text).map(Some));
            scope.until = until.unwrap_or(scope.until);
        }
        let zone = self.zone.get_or_insert_with(|| scope.zone.clone());
        if text_field(ui, "Time zone", zone, "Europe/Berlin", 92.0).lost_focus() {
            zone.trim().clone_into(&mut scope.zone);
        }
    }
}

fn segment_ui(ui: &mut Ui, scope: &mut Scope, look: &Overview) {
    let mut segment = scope.segment.as_ref().map_or(ALL.to_owned(), ToString::to_string);
    let segments = look.segments.iter().map(Name::as_str);
    if choice(ui, "Of", &mut segment, std::iter::once(ALL).chain(segments), 112.0) {
        scope.segment = (segment != ALL).then(|| segment.parse().ok()).flatten();
    }
}

/// Whether a chart of a kind can be broken down.
const fn has_parts(kind: InsightKind) -> bool {
    matches!(kind, InsightKind::Trends | InsightKind::Retention | InsightKind::Funnel)
}

fn breakdown_ui(ui: &mut Ui, scope: &mut Scope, look: &Overview) {
    let mut breakdown = match &scope.breakdown {
        None => NOTHING.to_owned(),
        Some(Breakdown::Property(name)) => name.clone(),
        Some(Breakdown::Trait(name)) => format!("{TRAIT}{name}"),
    };
    let properties = look.catalog.properties.keys().cloned();
    let traits = look.catalog.traits.keys().map(|name| format!("{TRAIT}{name}"));
    let options: Vec<String> =
        std::iter::once(NOTHING.to_owned()).chain(properties).chain(traits).collect();
    if choice(ui, "Break down by", &mut breakdown, options.iter().map(String::as_str), 112.0) {
        scope.breakdown = match breakdown.strip_prefix(TRAIT) {
            _ if breakdown == NOTHING => None,
            Some(name) if look.catalog.traits.contains_key(name) => {
                Some(Breakdown::Trait(name.to_owned()))
            }
            _ => Some(Breakdown::Property(breakdown)),
        };
    }
}

/// A day that may be left out; gives its text when it was entered, and no text for none.
fn day_ui(
    ui: &mut Ui,
    label: &str,
    text: &mut Option<String>,
    known: Option<String>,
) -> Option<Option<String>> {
    let own = text.get_or_insert_with(|| known.unwrap_or_default());
    let field = text_field(ui, label, own, "2026-01-31", 96.0);
    let is_entered = field.lost_focus();
    field.on_hover_ui(|ui| {
        ui.add(egui::Label::new("A day in the time zone, such as 2026-01-31; or nothing"));
    });
    let text = own.trim();
    is_entered.then(|| (!text.is_empty()).then(|| text.to_owned()))
}
