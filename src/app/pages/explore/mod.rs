//! Explore: charts of product analytics, and SQL.
//!
//! `insight` is the tab of a chart: its spec as a form (`form`, `questions`), the chart (`charts`), and the
//! people behind a point (`people`).

mod charts;
mod form;
mod insight;
mod people;
mod questions;
mod quick;
mod sql;

use eframe::egui::Ui;
use workspace::insights::InsightKind;

use super::heading;
use crate::state::{Outbox, State};

/// Charts, and SQL.
#[derive(Debug)]
pub(super) struct Explore {
    /// The chart that is shown; none is SQL.
    tab: Option<InsightKind>,
    sql: sql::Sql,
    insights: Vec<insight::InsightTab>,
}

impl Default for Explore {
    fn default() -> Self {
        Self {
            tab: Some(InsightKind::Trends),
            sql: sql::Sql::default(),
            insights: InsightKind::ALL.into_iter().map(insight::InsightTab::new).collect(),
        }
    }
}

impl Explore {
    pub(super) fn ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        heading(ui, "Explore", "ask the data");
        ui.horizontal_wrapped(|ui| {
            for kind in InsightKind::ALL {
                ui.selectable_value(&mut self.tab, Some(kind), title(kind));
            }
            ui.selectable_value(&mut self.tab, None, "SQL");
        });
        ui.separator();
        let Some(kind) = self.tab else {
            self.sql.ui(ui, state, outbox);
            return;
        };
        let Some(tab) = self.insights.iter_mut().find(|tab| tab.kind() == kind) else { return };
        if let Some(sql) = tab.ui(ui, state, outbox) {
            self.sql.sql = sql;
            self.tab = None;
        }
    }
}

const fn title(kind: InsightKind) -> &'static str {
    match kind {
        InsightKind::Trends => "Trends",
        InsightKind::Retention => "Retention",
        InsightKind::Funnel => "Funnel",
        InsightKind::Lifecycle => "Lifecycle",
        InsightKind::Stickiness => "Stickiness",
        InsightKind::Paths => "Paths",
        InsightKind::Segments => "RFM segments",
    }
}
