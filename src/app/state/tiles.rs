use std::collections::BTreeMap;

use workspace::insights::{Insight, InsightSpec};
use workspace::{ColumnSummary, Command, HeldPage, JobId, QueryResult, Slot};

use crate::loadable::Loadable;

/// What was answered to each place that shows an insight or a query, and who is chosen.
#[derive(Debug, Default)]
pub(crate) struct Tiles {
    /// Each with what was asked.
    insights: BTreeMap<Slot, Loadable<(Insight, InsightSpec)>>,
    queries: BTreeMap<Slot, Queried>,
    /// The customers who are chosen.
    pub(crate) selection: Option<Selection>,
    /// Selections there were.
    selections: u64,
}

/// Customers who are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Where.
    pub(crate) slot: Slot,
    /// How many.
    pub(crate) n: usize,
    /// Tells it from earlier ones.
    pub(crate) number: u64,
}

/// The answer to a query.
#[derive(Debug, Default)]
pub(crate) struct Queried {
    /// Its first rows, and what their columns are like.
    pub(crate) rows: Loadable<(QueryResult, Vec<ColumnSummary>)>,
    /// Tells the result from earlier ones.
    pub(crate) version: u64,
    /// Line and column of what is wrong with the query.
    pub(crate) wrong: Option<(usize, usize)>,
    /// What was asked.
    asked: String,
    /// If there are more rows than that: how many, and what their columns are like.
    pub(crate) held: Loadable<(u64, Vec<ColumnSummary>)>,
    /// Those of them that were fetched last.
    pub(crate) page: Loadable<HeldPage>,
}

impl Tiles {
    /// A command of theirs goes out.
    pub(super) fn begin(&mut self, id: JobId, command: &Command) {
        match command {
            Command::Insight(slot, _) => self.insights.entry(*slot).or_default().begin(id),
            Command::Query(slot, sql) => {
                let query = self.queries.entry(*slot).or_default();
                query.wrong = None;
                query.asked.clone_from(sql);
                query.rows.begin(id);
            }
            Command::Hold(slot, _) => self.queries.entry(*slot).or_default().held.begin(id),
            Command::Page(slot, ..) => self.queries.entry(*slot).or_default().page.begin(id),
            _ => {}
        }
    }

    /// An insight of a place, if one was asked for.
    pub(crate) fn insight(&self, slot: Slot) -> Option<&Loadable<(Insight, InsightSpec)>> {
        self.insights.get(&slot)
    }

    /// The answer to a query of a place, if there is one.
    pub(crate) fn query(&self, slot: Slot) -> Option<&Queried> {
        self.queries.get(&slot)
    }

    pub(super) fn has_insight(
        &mut self,
        id: JobId,
        slot: Slot,
        insight: Insight,
        spec: InsightSpec,
    ) {
        self.insights.entry(slot).or_default().finish(id, (insight, spec));
    }

    /// Takes the first rows of a query; if there are more, all of them are asked for.
    pub(super) fn has_rows(
        &mut self,
        id: JobId,
        slot: Slot,
        result: QueryResult,
        summaries: Vec<ColumnSummary>,
    ) -> Option<Command> {
        let query = self.queries.entry(slot).or_default();
        query.version += 1;
        query.held.clear();
        query.page.clear();
        let more = result.truncated.then(|| Command::Hold(slot, query.asked.clone()));
        query.rows.finish(id, (result, summaries));
        more
    }

    pub(super) fn has_held(
        &mut self,
        id: JobId,
        slot: Slot,
        n: u64,
        summaries: Vec<ColumnSummary>,
    ) {
        self.queries.entry(slot).or_default().held.finish(id, (n, summaries));
    }

    pub(super) fn has_page(&mut self, id: JobId, slot: Slot, page: HeldPage) {
        self.queries.entry(slot).or_default().page.finish(id, page);
    }

    /// Customers were chosen somewhere.
    pub(super) fn select(&mut self, slot: Slot, n: usize) {
        // Nowhere and nobody: there is no selection.
        if slot == Slot::default() && n == 0 {
            self.selection = None;
            return;
        }
        self.selections += 1;
        self.selection = Some(Selection { slot, n, number: self.selections });
    }

    /// A job of theirs has failed; with no message it was canceled.
    pub(super) fn fail(
        &mut self,
        id: JobId,
        message: Option<&String>,
        place: Option<(usize, usize)>,
    ) {
        for insight in self.insights.values_mut() {
            insight.fail(id, message.cloned());
        }
        for query in self.queries.values_mut() {
            if query.rows.job() == Some(id) {
                query.wrong = place;
            }
            query.rows.fail(id, message.cloned());
            query.held.fail(id, message.cloned());
            query.page.fail(id, message.cloned());
        }
    }

    /// Forgets what was answered to places that are gone.
    pub(crate) fn retain(&mut self, is_there: impl Fn(Slot) -> bool) {
        self.insights.retain(|slot, _| *slot == Slot::default() || is_there(*slot));
        self.queries.retain(|slot, _| is_there(*slot));
    }
}
