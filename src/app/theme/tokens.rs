#![expect(clippy::disallowed_methods, reason = "the one place where colors are made")]

use eframe::egui::{Color32, Theme, Ui, Visuals};

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
    canvas: color(0x000B_0D10),
    panel: color(0x0012_151A),
    field: color(0x0019_1D24),
    hover: color(0x0023_2933),
    selected: color(0x002C_3442),
    line: color(0x002C_333D),
    text: color(0x00C9_CED6),
    strong: color(0x00F2_F4F7),
    weak: color(0x008F_98A6),
    accent_text: color(0x007A_A2FF),
    accent: color(0x002F_5FD0),
    on_accent: color(0x00FF_FFFF),
    good: color(0x003F_B984),
    warn: color(0x00E5_A13A),
    bad: color(0x00FF_7A80),
    focus: color(0x007A_A2FF),
    series: [
        color(0x005B_8CFF),
        color(0x00E6_9F00),
        color(0x001F_AF8B),
        color(0x00CC_79A7),
        color(0x003A_A6DD),
        color(0x00D5_5E00),
        color(0x00A5_8AF0),
        color(0x008A_8F98),
    ],
};

const LIGHT: Tokens = Tokens {
    canvas: color(0x00FF_FFFF),
    panel: color(0x00F6_F7F9),
    field: color(0x00FF_FFFF),
    hover: color(0x00E9_EDF2),
    selected: color(0x00DD_E5F2),
    line: color(0x00D5_DAE1),
    text: color(0x002E_3640),
    strong: color(0x000E_1116),
    weak: color(0x005D_6674),
    accent_text: color(0x0024_57D6),
    accent: color(0x0024_57D6),
    on_accent: color(0x00FF_FFFF),
    good: color(0x0014_794F),
    warn: color(0x008A_5600),
    bad: color(0x00B4_232E),
    focus: color(0x0024_57D6),
    series: [
        color(0x002F_62D9),
        color(0x00A8_6F00),
        color(0x000B_7F63),
        color(0x00A8_457D),
        color(0x001C_79AD),
        color(0x00B8_4A00),
        color(0x006B_4BC7),
        color(0x0066_6C76),
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

    /// The tokens that go with visuals.
    pub(crate) const fn with(visuals: &Visuals) -> &'static Self {
        if visuals.dark_mode { &DARK } else { &LIGHT }
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
        // Dark text on what is light, white on what is dark (relative luminance, WCAG 2).
        let [r, g, b, _] = eframe::egui::Rgba::from(fill).to_array();
        let luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b;
        let text = if luminance > 0.18 { LIGHT.strong } else { DARK.strong };
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
