use std::collections::{BTreeMap, BTreeSet};

use eframe::egui::{self, Color32, Id, Margin, Stroke, Ui, Visuals, WidgetText};
use egui_tiles::{
    Behavior, Container, Linear, LinearDir, SimplificationOptions, TabState, Tabs, Tile, TileId,
    Tiles, Tree, UiResponse,
};
use serde::{Deserialize, Serialize};
use workspace::Slot;
use workspace::insights::{InsightKind, InsightSpec};

use super::insight::InsightTab;
use super::sql::Sql;
use crate::state::{Outbox, State};
use crate::theme::Tokens;

/// Tiles, which people put side by side.
#[derive(Debug)]
pub(super) struct Board {
    tree: Layout,
    tiles: BTreeMap<Slot, TileState>,
    /// The number of the next tile: no number is used twice, so that no tile shows another one's answer.
    next: u64,
    /// The tile that keys are for.
    active: Slot,
    /// Whether what is chosen in one tile is what the others show.
    pub(super) is_linked: bool,
}

type Layout = Tree<Slot>;

/// What a board shows: enough to show it again.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BoardShown {
    tree: Layout,
    asked: BTreeMap<Slot, Asked>,
    /// Tiles that show no fields.
    #[serde(default)]
    folded: BTreeSet<Slot>,
    #[serde(default)]
    is_linked: bool,
}

/// What a tile asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Asked {
    Insight(Box<InsightSpec>),
    Query(String),
}

/// A tile.
#[derive(Debug)]
enum TileState {
    Insight(Box<InsightTab>),
    Sql(Box<Sql>),
}

/// What a tile knows of the board that it is on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) slot: Slot,
    /// Whether keys are for it.
    pub(super) is_active: bool,
    pub(super) is_linked: bool,
}

/// What a person wants of the board.
enum Change {
    Add(TileId, Option<InsightKind>),
    Split(TileId, LinearDir),
}

/// Tiles at most.
const MOST_TILES: usize = 64;
/// Tiles within tiles at most.
const DEEPEST: usize = 16;
/// The largest number of a tile in a file: there is room to go on counting.
const LARGEST_NUMBER: u64 = 1 << 40;
/// Height of a row of tabs.
const TAB: f32 = 28.0;

/// The first number that no tile has.
fn next(tiles: &BTreeMap<Slot, TileState>) -> u64 {
    tiles.keys().next_back().map_or(1, |last| last.0 + 1)
}

impl Default for Board {
    fn default() -> Self {
        let kinds = InsightKind::ALL.into_iter().map(Some).chain([None]);
        let all = (1..).map(Slot).zip(kinds);
        let tiles: BTreeMap<Slot, TileState> =
            all.map(|(slot, kind)| (slot, TileState::new(kind))).collect();
        let tree = Layout::new_tabs(Id::unique("board"), tiles.keys().copied().collect());
        Self { next: next(&tiles), tree, tiles, active: Slot(1), is_linked: false }
    }
}

impl std::fmt::Debug for BoardShown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoardShown").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl Default for BoardShown {
    fn default() -> Self {
        Board::default().shown()
    }
}

impl BoardShown {
    /// Whether its tiles are a tree, and each asks something: a file may come from anywhere.
    pub(crate) fn is_sound(&self) -> bool {
        let mut seen = BTreeSet::new();
        let root = self.tree.root();
        let numbers = 1..=LARGEST_NUMBER;
        self.asked.len() <= MOST_TILES
            && self.asked.keys().all(|slot| numbers.contains(&slot.0))
            && root.is_some_and(|root| self.hangs_together(root, DEEPEST, &mut seen))
    }

    /// The same with other numbers, for a board that is opened.
    fn renumbered(self, by: u64) -> Self {
        let Self { mut tree, asked, folded, is_linked } = self;
        let other = |slot: Slot| Slot(slot.0 + by);
        for tile in tree.tiles.tiles_mut() {
            if let Tile::Pane(slot) = tile {
                *slot = other(*slot);
            }
        }
        let asked = asked.into_iter().map(|(slot, asked)| (other(slot), asked)).collect();
        Self { tree, asked, folded: folded.into_iter().map(other).collect(), is_linked }
    }

    fn hangs_together(&self, id: TileId, depth: usize, seen: &mut BTreeSet<u64>) -> bool {
        if depth == 0 || !seen.insert(id.0) {
            return false;
        }
        match self.tree.tiles.get(id) {
            Some(Tile::Pane(slot)) => self.asked.contains_key(slot),
            // We make no grids; and no tile has less than nothing.
            Some(Tile::Container(Container::Grid(_))) => false,
            Some(Tile::Container(Container::Linear(linear)))
                if linear.shares.iter().any(|(_, share)| !share.is_finite() || *share <= 0.0) =>
            {
                false
            }
            Some(Tile::Container(container)) => {
                container.children().all(|child| self.hangs_together(*child, depth - 1, seen))
            }
            None => false,
        }
    }
}

impl TileState {
    fn new(kind: Option<InsightKind>) -> Self {
        match kind {
            Some(kind) => Self::Insight(Box::new(InsightTab::new(InsightSpec::usual(kind)))),
            None => Self::Sql(Box::default()),
        }
    }

    fn of(asked: Asked) -> Self {
        match asked {
            Asked::Insight(spec) => Self::Insight(Box::new(InsightTab::new(*spec))),
            Asked::Query(sql) => Self::Sql(Box::new(Sql::of(sql))),
        }
    }

    fn asked(&self) -> Asked {
        match self {
            Self::Insight(tab) => Asked::Insight(Box::new(tab.spec.clone())),
            Self::Sql(sql) => Asked::Query(sql.sql.clone()),
        }
    }

    /// Asks something else; what else is open in the tile stays.
    fn ask(&mut self, asked: Asked) {
        match (self, asked) {
            (Self::Insight(tab), Asked::Insight(spec)) if tab.kind() == spec.kind() => {
                tab.ask(*spec);
            }
            (Self::Sql(own), Asked::Query(sql)) => own.sql = sql,
            (own, asked) => *own = Self::of(asked),
        }
    }

    const fn is_folded(&self) -> bool {
        match self {
            Self::Insight(tab) => tab.is_folded,
            Self::Sql(sql) => sql.is_folded,
        }
    }

    const fn fold(&mut self, is_folded: bool) {
        match self {
            Self::Insight(tab) => tab.is_folded = is_folded,
            Self::Sql(sql) => sql.is_folded = is_folded,
        }
    }

    const fn title(&self) -> &'static str {
        match self {
            Self::Insight(tab) => title(Some(tab.kind())),
            Self::Sql(_) => title(None),
        }
    }
}

/// What a tile of a kind is called; none is SQL.
const fn title(kind: Option<InsightKind>) -> &'static str {
    match kind {
        None => "SQL",
        Some(InsightKind::Trends) => "Trends",
        Some(InsightKind::Retention) => "Retention",
        Some(InsightKind::Funnel) => "Funnel",
        Some(InsightKind::Lifecycle) => "Lifecycle",
        Some(InsightKind::Stickiness) => "Stickiness",
        Some(InsightKind::Paths) => "Paths",
        Some(InsightKind::Segments) => "RFM segments",
    }
}

impl Board {
    pub(super) fn ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        let mut panes = Panes {
            tiles: &mut self.tiles,
            state,
            outbox,
            active: self.active,
            is_linked: self.is_linked,
            seen: Vec::new(),
            queries: Vec::new(),
            changes: Vec::new(),
        };
        self.tree.ui(&mut panes, ui);
        let Panes { seen, queries, changes, .. } = panes;
        let pressed = ui.input(|input| input.pointer.press_origin());
        let under = seen.iter().find(|(_, rect)| pressed.is_some_and(|at| rect.contains(at)));
        if let Some((slot, _)) = under {
            self.active = *slot;
        } else if !seen.iter().any(|(slot, _)| *slot == self.active) {
            self.active = seen.first().map_or(Slot(1), |(slot, _)| *slot);
        }
        for sql in queries {
            self.work_on(sql);
        }
        for change in changes {
            self.change(&change);
        }
        // A tile that was closed is gone from the tree.
        let left: BTreeSet<Slot> = self.slots().collect();
        self.tiles.retain(|slot, _| left.contains(slot));
    }

    /// The places of its tiles.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.tree.tiles.tiles().filter_map(|tile| match tile {
            Tile::Pane(slot) => Some(*slot),
            Tile::Container(_) => None,
        })
    }

    pub(super) fn shown(&self) -> BoardShown {
        let folded = self.tiles.iter().filter(|(_, tile)| tile.is_folded());
        BoardShown {
            tree: self.tree.clone(),
            asked: self.tiles.iter().map(|(slot, tile)| (*slot, tile.asked())).collect(),
            folded: folded.map(|(slot, _)| *slot).collect(),
            is_linked: self.is_linked,
        }
    }

    /// Shows something else; tiles that stay keep what is open in them.
    pub(super) fn show(&mut self, shown: BoardShown) {
        if !shown.is_sound() {
            return;
        }
        self.tiles.retain(|slot, _| shown.asked.contains_key(slot));
        for (slot, asked) in shown.asked {
            let tile = self.tiles.entry(slot).or_insert_with(|| TileState::of(asked.clone()));
            tile.ask(asked);
            tile.fold(shown.folded.contains(&slot));
        }
        // Sizes that it may carry are those of another window.
        if let Some(root) = shown.tree.root() {
            self.tree = Layout::new(Id::unique("board"), root, shown.tree.tiles);
        }
        self.is_linked = shown.is_linked;
        self.next = self.next.max(next(&self.tiles));
    }

    /// Shows another board: its tiles are none of those that are here.
    pub(super) fn open(&mut self, shown: BoardShown) {
        if shown.is_sound() {
            self.show(shown.renumbered(self.next));
        }
    }

    /// One row of all kinds of tiles, as at first.
    pub(super) fn begin_anew(&mut self) {
        let is_linked = self.is_linked;
        self.open(BoardShown { is_linked, ..BoardShown::default() });
    }

    /// A tile to work on a query in: the first that there is, or a new one.
    fn work_on(&mut self, sql: String) {
        let known = self.tiles.iter_mut().find_map(|(slot, tile)| match tile {
            TileState::Sql(own) => Some((*slot, own)),
            TileState::Insight(_) => None,
        });
        match known {
            Some((slot, own)) => {
                own.sql = sql;
                self.active = slot;
            }
            None => {
                let Some(tabs) =
                    self.tree.active_tiles().into_iter().find_map(|id| {
                        self.tree.tiles.parent_of(id).filter(|id| self.is_tabs(*id))
                    })
                else {
                    return;
                };
                let tile = TileState::of(Asked::Query(sql));
                self.add(tabs, tile);
            }
        }
        let active = self.active;
        self.tree.make_active(|_, tile| matches!(tile, Tile::Pane(slot) if *slot == active));
    }

    fn is_tabs(&self, id: TileId) -> bool {
        matches!(self.tree.tiles.get(id), Some(Tile::Container(Container::Tabs(_))))
    }

    /// Adds a tile to a row of tabs, and shows it; false if there are too many.
    fn add(&mut self, tabs: TileId, tile: TileState) -> bool {
        if self.tiles.len() >= MOST_TILES {
            return false;
        }
        let slot = Slot(self.next);
        self.next += 1;
        self.tiles.insert(slot, tile);
        let id = self.tree.tiles.insert_pane(slot);
        if let Some(Tile::Container(Container::Tabs(tabs))) = self.tree.tiles.get_mut(tabs) {
            tabs.add_child(id);
            tabs.set_active(id);
        }
        self.active = slot;
        true
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Add(tabs, kind) => _ = self.add(*tabs, TileState::new(*kind)),
            Change::Split(tabs, way) => self.split(*tabs, *way),
        }
    }

    /// Shows the tile in front of a row of tabs beside, or below, the others of the row. One that is alone
    /// there gets a copy beside it.
    fn split(&mut self, tabs_id: TileId, way: LinearDir) {
        let Some(Tile::Container(Container::Tabs(tabs))) = self.tree.tiles.get(tabs_id) else {
            return;
        };
        let Some(front) = tabs.active else { return };
        if tabs.children.len() < 2 {
            let Some(Tile::Pane(slot)) = self.tree.tiles.get(front) else { return };
            let Some(copy) = self.tiles.get(slot).map(TileState::asked) else { return };
            if self.add(tabs_id, TileState::of(copy)) {
                self.split(tabs_id, way);
            }
            return;
        }
        if let Some(Tile::Container(container)) = self.tree.tiles.get_mut(tabs_id) {
            container.remove_child(front);
        }
        let parent = self.tree.tiles.parent_of(tabs_id);
        let beside = self.tree.tiles.insert_tab_tile(vec![front]);
        let pair = self.tree.tiles.insert_container(Linear::new(way, vec![tabs_id, beside]));
        match parent.and_then(|parent| self.tree.tiles.get_mut(parent)) {
            Some(Tile::Container(container)) => _ = container.replace_child(tabs_id, pair),
            _ => self.tree.root = Some(pair),
        }
    }
}

/// Hides the fields of a tile, or shows them.
pub(super) fn fold_ui(ui: &mut Ui, is_folded: &mut bool) {
    let mut is_open = !*is_folded;
    if ui.toggle_value(&mut is_open, "Fields").changed() {
        *is_folded = !is_open;
    }
}

/// The tiles, while the tree lays them out.
struct Panes<'a> {
    tiles: &'a mut BTreeMap<Slot, TileState>,
    state: &'a State,
    outbox: &'a mut Outbox,
    active: Slot,
    is_linked: bool,
    /// Those that are shown, and where.
    seen: Vec<(Slot, egui::Rect)>,
    /// Those to work on in a tile of their own.
    queries: Vec<String>,
    changes: Vec<Change>,
}

impl Behavior<Slot> for Panes<'_> {
    fn pane_ui(&mut self, ui: &mut Ui, _: TileId, slot: &mut Slot) -> UiResponse {
        self.seen.push((*slot, ui.max_rect()));
        let place =
            Place { slot: *slot, is_active: *slot == self.active, is_linked: self.is_linked };
        let Some(tile) = self.tiles.get_mut(slot) else { return UiResponse::None };
        let margin = Margin { left: 0, right: 4, top: 8, bottom: 0 };
        egui::Frame::NONE.inner_margin(margin).show(ui, |ui| {
            ui.push_id(*slot, |ui| {
                let query = match tile {
                    TileState::Insight(tab) => tab.ui(ui, place, self.state, self.outbox),
                    TileState::Sql(sql) => {
                        sql.ui(ui, place, self.state, self.outbox);
                        None
                    }
                };
                self.queries.extend(query);
            });
        });
        UiResponse::None
    }

    fn tab_title_for_pane(&mut self, slot: &Slot) -> WidgetText {
        self.tiles.get(slot).map_or("", TileState::title).into()
    }

    fn is_tab_closable(&self, _: &Tiles<Slot>, _: TileId) -> bool {
        self.tiles.len() > 1
    }

    /// What else can be shown, and beside what.
    fn top_bar_right_ui(
        &mut self,
        _: &Tiles<Slot>,
        ui: &mut Ui,
        tabs: TileId,
        _: &Tabs,
        _: &mut f32,
    ) {
        ui.menu_button("Tile…", |ui| {
            for kind in InsightKind::ALL.into_iter().map(Some).chain([None]) {
                if ui.button(format!("Add {}", title(kind))).clicked() {
                    self.changes.push(Change::Add(tabs, kind));
                    ui.close();
                }
            }
            ui.separator();
            for (text, way) in
                [("Show beside", LinearDir::Horizontal), ("Show below", LinearDir::Vertical)]
            {
                if ui.button(text).clicked() {
                    self.changes.push(Change::Split(tabs, way));
                    ui.close();
                }
            }
        });
    }

    fn tab_bar_height(&self, _: &egui::Style) -> f32 {
        TAB
    }

    fn gap_width(&self, _: &egui::Style) -> f32 {
        8.0
    }

    fn min_size(&self) -> f32 {
        180.0
    }

    fn simplification_options(&self) -> SimplificationOptions {
        SimplificationOptions { all_panes_must_have_tabs: true, ..Default::default() }
    }

    fn tab_bar_color(&self, visuals: &Visuals) -> Color32 {
        Tokens::with(visuals).canvas
    }

    fn tab_bg_color(
        &self,
        visuals: &Visuals,
        _: &Tiles<Slot>,
        _: TileId,
        tab: &TabState,
    ) -> Color32 {
        let tokens = Tokens::with(visuals);
        if tab.active { tokens.selected } else { tokens.canvas }
    }

    fn tab_text_color(
        &self,
        visuals: &Visuals,
        _: &Tiles<Slot>,
        _: TileId,
        tab: &TabState,
    ) -> Color32 {
        let tokens = Tokens::with(visuals);
        if tab.active { tokens.strong } else { tokens.text }
    }

    fn tab_outline_stroke(&self, _: &Visuals, _: &Tiles<Slot>, _: TileId, _: &TabState) -> Stroke {
        Stroke::NONE
    }
}
