//! The theme: every color, size and font of the window.
//!
//! In: dark or light. Out: tokens by what they are for, and egui's style made of them. It knows no widget
//! and no page.

mod fonts;
mod icons;
mod missing_glyphs;
mod tokens;

use eframe::egui::{self, CornerRadius, FontId, Stroke, TextStyle, Theme, vec2};

pub(crate) use icons::Icon;
pub(crate) use tokens::Tokens;

use crate::settings::ThemeChoice;

/// The family of headings.
pub(crate) const STRONG: &str = "strong";

/// Installs fonts and both styles.
pub(crate) fn install(context: &egui::Context, choice: ThemeChoice) {
    fonts::install(context);
    missing_glyphs::install(context);
    for theme in [Theme::Dark, Theme::Light] {
        let tokens = Tokens::of(theme);
        context.style_mut_of(theme, |style| apply(style, tokens));
    }
    choose(context, choice);
}

/// Follows the system, or not.
pub(crate) fn choose(context: &egui::Context, choice: ThemeChoice) {
    context.set_theme(match choice {
        ThemeChoice::System => egui::ThemePreference::System,
        ThemeChoice::Dark => egui::ThemePreference::Dark,
        ThemeChoice::Light => egui::ThemePreference::Light,
    });
}

/// A font of the heading family.
pub(crate) fn strong(size: f32) -> FontId {
    FontId::new(size, egui::FontFamily::Name(STRONG.into()))
}

fn apply(style: &mut egui::Style, tokens: &Tokens) {
    style.text_styles = [
        (TextStyle::Small, FontId::proportional(11.0)),
        (TextStyle::Body, FontId::proportional(13.0)),
        (TextStyle::Button, FontId::proportional(13.0)),
        (TextStyle::Heading, strong(16.0)),
        (TextStyle::Monospace, FontId::monospace(12.5)),
    ]
    .into();
    style.animation_time = 0.08;
    let spacing = &mut style.spacing;
    spacing.item_spacing = vec2(8.0, 8.0);
    spacing.button_padding = vec2(10.0, 5.0);
    spacing.interact_size.y = 26.0;
    spacing.combo_width = 140.0;
    let visuals = &mut style.visuals;
    visuals.override_text_color = Some(tokens.text);
    visuals.weak_text_color = Some(tokens.weak);
    visuals.panel_fill = tokens.panel;
    visuals.window_fill = tokens.field;
    visuals.window_stroke = Stroke::new(1.0, tokens.line);
    visuals.window_corner_radius = CornerRadius::same(8);
    visuals.extreme_bg_color = tokens.canvas;
    visuals.text_edit_bg_color = Some(tokens.canvas);
    visuals.faint_bg_color = tokens.field;
    visuals.code_bg_color = tokens.canvas;
    visuals.hyperlink_color = tokens.accent_text;
    visuals.warn_fg_color = tokens.warn;
    visuals.error_fg_color = tokens.bad;
    visuals.selection.bg_fill = tokens.selected;
    visuals.selection.stroke = Stroke::new(1.0, tokens.strong);
    let widgets = &mut visuals.widgets;
    for (widget, fill, stroke) in [
        (&mut widgets.noninteractive, tokens.panel, tokens.line),
        (&mut widgets.inactive, tokens.hover, tokens.line),
        (&mut widgets.hovered, tokens.selected, tokens.line),
        (&mut widgets.active, tokens.selected, tokens.focus),
        (&mut widgets.open, tokens.selected, tokens.line),
    ] {
        widget.bg_fill = fill;
        widget.weak_bg_fill = fill;
        widget.bg_stroke = Stroke::new(1.0, stroke);
        widget.fg_stroke = Stroke::new(1.0, tokens.text);
        widget.corner_radius = CornerRadius::same(4);
        widget.expansion = 0.0;
    }
    widgets.active.bg_stroke = Stroke::new(2.0, tokens.focus);
}
