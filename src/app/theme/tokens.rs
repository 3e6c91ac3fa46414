#![expect(clippy::disallowed_methods, reason = "the one place where colors are made")]

use eframe::egui::{Color32, Theme, Ui};

/// Colors by what they are for. Text has a contrast of at least 4.5 on panel and hover, series of at
/// least 3 on canvas.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) canvas: Color32,
    pub(crate) panel: Color32,
    pub(crate) field: Color32,
    pub(crate) hover: Color32,
    pub(crate) selected: Color32,
    pub(crate) line: Color32,
    pub(crate) text: Color32,
    pub(crate) strong: Color32,
    pub(crate) weak: Color32,
    pub(crate) accent_text: Color32,
    pub(crate) accent: Color32,
    pub(crate) on_accent: Color32,
    pub(crate) good: Color32,
    pub(crate) warn: Color32,
    pub(crate) bad: Color32,
    pub(crate) focus: Color32,
    pub(crate) series: [Color32; 8],
}

const fn color(rgb: u32) -> Color32 {
    let [_, r, g, b] = rgb.to_be_bytes();
    Color32::from_rgb(r, g, b)
}

const DARK: Tokens = Tokens {
    canvas: color(0x0B_0D_10),
    panel: color(0x12_15_1A),
    field: color(0x19_1D_24),
    hover: color(0x23_29_33),
    selected: color(0x2C_34_42),
    line: color(0x2C_33_3D),
    text: color(0xC9_CE_D6),
    strong: color(0xF2_F4_F7),
    weak: color(0x8F_98_A6),
    accent_text: color(0x7A_A2_FF),
    accent: color(0x2F_5F_D0),
    on_accent: color(0xFF_FF_FF),
    good: color(0x3F_B9_84),
    warn: color(0xE5_A1_3A),
    bad: color(0xFF_7A_80),
    focus: color(0x7A_A2_FF),
    series: [
        color(0x5B_8C_FF),
        color(0xE6_9F_00),
        color(0x1F_AF_8B),
        color(0xCC_79_A7),
        color(0x3A_A6_DD),
        color(0xD5_5E_00),
        color(0xA5_8A_F0),
        color(0x8A_8F_98),
    ],
};

const LIGHT: Tokens = Tokens {
    canvas: color(0xFF_FF_FF),
    panel: color(0xF6_F7_F9),
    field: color(0xFF_FF_FF),
    hover: color(0xE9_ED_F2),
    selected: color(0xDD_E5_F2),
    line: color(0xD5_DA_E1),
    text: color(0x2E_36_40),
    strong: color(0x0E_11_16),
    weak: color(0x5D_66_74),
    accent_text: color(0x24_57_D6),
    accent: color(0x24_57_D6),
    on_accent: color(0xFF_FF_FF),
    good: color(0x14_79_4F),
    warn: color(0x8A_56_00),
    bad: color(0xB4_23_2E),
    focus: color(0x24_57_D6),
    series: [
        color(0x2F_62_D9),
        color(0xA8_6F_00),
        color(0x0B_7F_63),
        color(0xA8_45_7D),
        color(0x1C_79_AD),
        color(0xB8_4A_00),
        color(0x6B_4B_C7),
        color(0x66_6C_76),
    ],
};

/// Steps of the retention ramp.
const RAMP_STEPS: u8 = 6;

impl Tokens {
    pub(crate) const fn of(theme: Theme) -> &'static Self {
        match theme {
            Theme::Dark => &DARK,
            Theme::Light => &LIGHT,
        }
    }

    /// The tokens of where something is painted.
    pub(crate) fn at(ui: &Ui) -> &'static Self {
        Self::of(ui.theme())
    }

    /// A cell's fill and text for a share between 0 and 1: six steps from field to accent.
    pub(crate) fn ramp(&self, share: f64) -> (Color32, Color32) {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a step of a few"
        )]
        let step = (share.clamp(0.0, 1.0).sqrt() * f64::from(RAMP_STEPS)).ceil() as u8;
        let part = f32::from(step) / f32::from(RAMP_STEPS);
        let fill = self.field.lerp_to_gamma(self.accent, part * 0.9);
        let text = if part > 0.55 { self.on_accent } else { self.text };
        (fill, text)
    }

    /// The color of a name: the same whatever else is drawn.
    pub(crate) fn series_of(&self, name: &str) -> Color32 {
        let hash = name
            .bytes()
            .fold(5_381_usize, |hash, byte| hash.wrapping_mul(33).wrapping_add(usize::from(byte)));
        self.series[hash % (self.series.len() - 1)]
    }
}
