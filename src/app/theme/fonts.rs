use std::sync::Arc;

use eframe::egui::{self, FontData, FontDefinitions, FontFamily};

use super::STRONG;

const MEDIUM: &[u8] = include_bytes!("../../../assets/fonts/Inter-Medium.otf");
const SEMIBOLD: &[u8] = include_bytes!("../../../assets/fonts/Inter-SemiBold.otf");

/// Inter for text, with egui's own fonts behind it for what Inter does not have.
pub(super) fn install(context: &egui::Context) {
    let mut fonts = FontDefinitions::default();
    fonts.font_data.insert("inter".to_owned(), Arc::new(FontData::from_static(MEDIUM)));
    fonts.font_data.insert("inter-strong".to_owned(), Arc::new(FontData::from_static(SEMIBOLD)));
    let fallback = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    let family = |first: &str| {
        let mut family = vec![first.to_owned()];
        family.extend(fallback.iter().cloned());
        family
    };
    let (text, strong) = (family("inter"), family("inter-strong"));
    fonts.families.insert(FontFamily::Proportional, text);
    fonts.families.insert(FontFamily::Name(STRONG.into()), strong);
    context.set_fonts(fonts);
}
