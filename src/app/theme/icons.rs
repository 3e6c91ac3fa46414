use eframe::egui::{Color32, Painter, Pos2, Rect, Stroke, StrokeKind, pos2, vec2};

/// The icons of the rail, painted as lines so that they have the color and weight of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Icon {
    Home,
    Data,
    Customers,
    Explore,
    Features,
    Models,
    Deploy,
    Experiments,
    Monitor,
}

impl Icon {
    /// Paints the icon into a square of 18 points around a center.
    pub(crate) fn paint(self, painter: &Painter, center: Pos2, color: Color32) {
        let stroke = Stroke::new(1.6, color);
        let at = |x: f32, y: f32| pos2(center.x + x, center.y + y);
        let line = |points: &[(f32, f32)]| {
            painter.line(points.iter().map(|(x, y)| at(*x, *y)).collect(), stroke);
        };
        match self {
            Self::Home => {
                line(&[(-8.0, 0.0), (0.0, -7.0), (8.0, 0.0)]);
                line(&[(-5.5, -1.5), (-5.5, 7.0), (5.5, 7.0), (5.5, -1.5)]);
            }
            Self::Data => {
                line(&[(0.0, -8.0), (0.0, 2.0)]);
                line(&[(-4.0, -2.0), (0.0, 2.0), (4.0, -2.0)]);
                line(&[(-8.0, 2.0), (-8.0, 7.0), (8.0, 7.0), (8.0, 2.0)]);
            }
            Self::Customers => {
                painter.circle_stroke(at(0.0, -3.5), 3.5, stroke);
                line(&[(-7.0, 7.0), (-5.0, 3.0), (0.0, 2.0), (5.0, 3.0), (7.0, 7.0)]);
            }
            Self::Explore => {
                painter.circle_stroke(at(-1.5, -1.5), 5.5, stroke);
                line(&[(2.5, 2.5), (7.5, 7.5)]);
            }
            Self::Features => {
                for (x, y) in [(-4.5, -4.5), (4.5, -4.5), (-4.5, 4.5)] {
                    let square = Rect::from_center_size(at(x, y), vec2(6.0, 6.0));
                    painter.rect_stroke(square, 1.0, stroke, StrokeKind::Middle);
                }
                line(&[(4.5, 1.0), (4.5, 8.0)]);
                line(&[(1.0, 4.5), (8.0, 4.5)]);
            }
            Self::Models => {
                line(&[(-8.0, -7.0), (-8.0, 7.0), (8.0, 7.0)]);
                line(&[(-5.0, 4.0), (-2.0, -1.0), (2.0, 1.0), (7.0, -6.0)]);
            }
            Self::Deploy => {
                line(&[(0.0, 8.0), (0.0, -3.0)]);
                line(&[(-4.0, 1.0), (0.0, -3.0), (4.0, 1.0)]);
                line(&[(-8.0, -7.0), (8.0, -7.0)]);
            }
            Self::Experiments => {
                line(&[(-3.0, -8.0), (3.0, -8.0)]);
                line(&[
                    (-2.0, -8.0),
                    (-2.0, -2.0),
                    (-7.0, 7.0),
                    (7.0, 7.0),
                    (2.0, -2.0),
                    (2.0, -8.0),
                ]);
                line(&[(-4.5, 3.0), (4.5, 3.0)]);
            }
            Self::Monitor => {
                line(&[(-8.0, 1.0), (-4.5, 1.0), (-2.0, -6.0), (2.0, 7.0), (4.5, 1.0), (8.0, 1.0)]);
            }
        }
    }
}
