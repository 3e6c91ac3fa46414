use std::collections::BTreeMap;

use eframe::egui::{Align2, Color32, FontId, Mesh, Pos2, Rect, Sense, Shape, Ui, pos2, vec2};
use workspace::insights::{Edge, Paths, Point};

use super::Chosen;
use crate::theme::Tokens;
use crate::widgets::{empty_state, shorten, thousands};

/// Width of a node, and the space between two of a column.
const NODE: f32 = 10.0;
const GAP: f32 = 14.0;
const HEIGHT: f32 = 440.0;
/// Pieces that the side of a ribbon is drawn in.
const PIECES: u8 = 24;

/// Where a node is drawn, and how much of it ribbons have taken.
struct Node {
    rect: Rect,
    n: u64,
    taken_left: f32,
    taken_right: f32,
}

type Nodes = BTreeMap<(usize, String), Node>;

/// Columns of events, with ribbons as thick as they are frequent.
pub(in super::super) fn paths_ui(ui: &mut Ui, paths: &Paths) -> Chosen {
    if paths.edges.is_empty() {
        empty_state(ui, "Nobody did two things in a row in this time.");
        return None;
    }
    let tokens = Tokens::at(ui);
    let n_columns = paths.edges.iter().map(|edge| edge.step + 1).max().unwrap_or(2);
    let size = vec2(ui.available_width().max(500.0), HEIGHT);
    let (area, response) = ui.allocate_exact_size(size, Sense::click());
    let mut nodes = lay_out(paths, n_columns, area);
    let pointer = response.hover_pos();
    let mut under_pointer = None;
    let painter = ui.painter().with_clip_rect(area);
    for edge in &paths.edges {
        let Some(ribbon) = take(&mut nodes, edge) else { continue };
        let color = tokens.series_of(&edge.from);
        let is_hovered = pointer.is_some_and(|at| ribbon.contains(at));
        if is_hovered {
            under_pointer = Some(edge);
        }
        painter.add(ribbon.mesh(color.gamma_multiply(if is_hovered { 0.75 } else { 0.35 })));
    }
    for ((column, name), node) in &nodes {
        painter.rect_filled(node.rect, 2.0, tokens.series_of(name));
        let is_last = column + 1 == n_columns;
        let (at, align) = match is_last {
            true => (node.rect.left_center() - vec2(4.0, 0.0), Align2::RIGHT_CENTER),
            false => (node.rect.right_center() + vec2(4.0, 0.0), Align2::LEFT_CENTER),
        };
        if node.rect.height() >= 9.0 {
            let text = format!("{}  {}", shorten(name, 22), thousands(node.n));
            painter.text(at, align, text, FontId::proportional(11.5), tokens.strong);
        }
    }
    let edge = under_pointer?;
    let title = format!(
        "{} → {}: {} times, {:.0} s between",
        edge.from,
        edge.to,
        thousands(edge.n),
        edge.mean_seconds
    );
    let response = response.on_hover_text_at_pointer(&title);
    let point = Point::Paths { step: edge.step, from: edge.from.clone(), to: edge.to.clone() };
    response.clicked().then_some((point, title))
}

/// Places the nodes of each column, largest first.
#[allow(clippy::cast_precision_loss, reason = "pixels")]
fn lay_out(paths: &Paths, n_columns: usize, area: Rect) -> Nodes {
    let mut into: BTreeMap<(usize, String), u64> = BTreeMap::new();
    let mut out_of: BTreeMap<(usize, String), u64> = BTreeMap::new();
    for edge in &paths.edges {
        *out_of.entry((edge.step - 1, edge.from.clone())).or_default() += edge.n;
        *into.entry((edge.step, edge.to.clone())).or_default() += edge.n;
    }
    let mut columns: Vec<Vec<(String, u64)>> = vec![Vec::new(); n_columns];
    let keys: std::collections::BTreeSet<_> = into.keys().chain(out_of.keys()).cloned().collect();
    for key in keys {
        let count = |of: &BTreeMap<_, u64>| of.get(&key).copied().unwrap_or(0);
        let n = count(&into).max(count(&out_of));
        columns[key.0].push((key.1, n));
    }
    let room = |column: &Vec<(String, u64)>| {
        let total: u64 = column.iter().map(|(_, n)| n).sum();
        (area.height() - GAP * column.len().saturating_sub(1) as f32).max(40.0)
            / total.max(1) as f32
    };
    let scale = columns.iter().map(room).fold(f32::INFINITY, f32::min);
    let step = (area.width() - NODE) / (n_columns - 1).max(1) as f32;
    let mut nodes = Nodes::new();
    for (place, mut column) in columns.into_iter().enumerate() {
        column.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
        let mut top = area.top();
        for (name, n) in column {
            let left = area.left() + step * place as f32;
            let size = vec2(NODE, (n as f32 * scale).max(1.0));
            let rect = Rect::from_min_size(pos2(left, top), size);
            top += size.y + GAP;
            nodes.insert((place, name), Node { rect, n, taken_left: 0.0, taken_right: 0.0 });
        }
    }
    nodes
}

/// The ribbon of a connection, beside those that were taken before.
#[allow(clippy::cast_precision_loss, reason = "pixels")]
fn take(nodes: &mut Nodes, edge: &Edge) -> Option<Ribbon> {
    let from = nodes.get_mut(&(edge.step - 1, edge.from.clone()))?;
    let thick = |node: &Node| node.rect.height() * edge.n as f32 / node.n.max(1) as f32;
    let start = (from.rect.right(), from.rect.top() + from.taken_right, thick(from));
    from.taken_right += start.2;
    let to = nodes.get_mut(&(edge.step, edge.to.clone()))?;
    let end = (to.rect.left(), to.rect.top() + to.taken_left, thick(to));
    to.taken_left += end.2;
    Some(Ribbon { start, end })
}

/// Left or right edge, top and thickness, at both ends.
struct Ribbon {
    start: (f32, f32, f32),
    end: (f32, f32, f32),
}

impl Ribbon {
    /// The top and the bottom of the ribbon at a part of the way.
    fn at(&self, part: f32) -> (Pos2, Pos2) {
        // Flat at both ends: a cubic curve.
        let bend = part * part * (3.0 - 2.0 * part);
        let x = self.start.0 + (self.end.0 - self.start.0) * part;
        let y = self.start.1 + (self.end.1 - self.start.1) * bend;
        let thick = self.start.2 + (self.end.2 - self.start.2) * bend;
        (pos2(x, y), pos2(x, y + thick))
    }

    fn contains(&self, point: Pos2) -> bool {
        let part = (point.x - self.start.0) / (self.end.0 - self.start.0);
        let (top, bottom) = self.at(part.clamp(0.0, 1.0));
        (0.0..=1.0).contains(&part) && (top.y..=bottom.y).contains(&point.y)
    }

    fn mesh(&self, color: Color32) -> Shape {
        let mut mesh = Mesh::default();
        for piece in 0..=PIECES {
            let (top, bottom) = self.at(f32::from(piece) / f32::from(PIECES));
            mesh.colored_vertex(top, color);
            mesh.colored_vertex(bottom, color);
        }
        for piece in 0..u32::from(PIECES) {
            let at = piece * 2;
            mesh.add_triangle(at, at + 1, at + 2);
            mesh.add_triangle(at + 1, at + 2, at + 3);
        }
        Shape::mesh(mesh)
    }
}
