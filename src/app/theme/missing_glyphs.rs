//! Visible forms of characters that no font has and of characters without a visible form.
//!
//! Ids and names of customers come from anywhere. A character that no installed font can draw, and an invisible
//! one such as U+200B, is drawn as a box with the hexadecimal digits of its code point, so that two names that differ
//! never look the same. Only the drawing changes: copied text is the text itself.

use eframe::egui::epaint::text::{
    FontPriority, GlyphBitmap, GlyphRasterizer, GlyphRasterizerRequest, RasterizedGlyph,
};
use eframe::egui::{self, Color32, ColorImage};

/// Columns and rows of a hexadecimal digit, in dots.
const DIGIT: [usize; 2] = [3, 5];
/// Dots between the edge of a box and its digits: the line and a gap.
const INSET: usize = 2;
/// Rows of digits in a box.
const ROWS: usize = 2;
/// Rows of a box, in dots.
const BOX_HEIGHT: usize = 2 * INSET + ROWS * DIGIT[1] + 1;
/// Rows of a box below the baseline, in dots.
const BELOW_BASELINE: usize = 3;
/// Font size, in pixels, at which a dot is one pixel.
const SIZE_OF_ONE_PIXEL: f32 = 14.0;
/// Characters of a cluster that get a box; the others have no further form.
const MAX_BOXES: usize = 4;

/// The dots of the digits 0 to F: five rows of three bits, the top row in the highest bits.
const DIGITS: [u16; 16] = [
    0b111_101_101_101_111,
    0b010_110_010_010_111,
    0b111_001_111_100_111,
    0b111_001_111_001_111,
    0b101_101_111_001_001,
    0b111_100_111_001_111,
    0b111_100_111_101_111,
    0b111_001_010_010_010,
    0b111_101_111_101_111,
    0b111_101_111_001_111,
    0b111_101_111_101_101,
    0b110_101_110_101_110,
    0b111_100_100_100_111,
    0b110_101_101_101_110,
    0b111_100_111_100_111,
    0b111_100_111_100_100,
];

/// Installs the boxes for missing and for invisible characters.
pub(super) fn install(context: &egui::Context) {
    let missing = |request: &GlyphRasterizerRequest<'_>| Some(boxes(request));
    context.add_glyph_rasterizer(GlyphRasterizer::new("fullcircle::missing", missing));
    let invisible = |request: &GlyphRasterizerRequest<'_>| {
        request.cluster.chars().next().is_some_and(is_invisible).then(|| boxes(request))
    };
    context.add_glyph_rasterizer(
        GlyphRasterizer::new("fullcircle::invisible", invisible)
            .with_priority(FontPriority::Highest),
    );
}

/// Whether fonts draw nothing for a character, although a text with it differs from one without it. Blanks and line
/// breaks are visible by the distance that they make; joiners within a cluster change how its letters are drawn.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// One box for each character of a cluster, side by side.
fn boxes(request: &GlyphRasterizerRequest<'_>) -> RasterizedGlyph {
    let codes: Vec<Vec<usize>> = request.cluster.chars().take(MAX_BOXES).map(digits).collect();
    let widths: Vec<usize> = codes.iter().map(|code| box_width(code.len())).collect();
    let width = widths.iter().map(|width| width + 1).sum::<usize>();
    let mut dots = vec![false; width * BOX_HEIGHT];
    let mut left = 0;
    for (code, box_width) in codes.iter().zip(&widths) {
        draw_box(&mut dots, width, left, *box_width, code);
        left += box_width + 1;
    }
    let scale = (request.font_size_px / SIZE_OF_ONE_PIXEL).round().clamp(1.0, 16.0);
    magnified(&dots, width, scale)
}

/// The hexadecimal digits of a code point, at least four.
fn digits(c: char) -> Vec<usize> {
    let code = u32::from(c);
    let n = if code > 0xffff { 6 } else { 4 };
    (0..n).rev().map(|place| (code >> (4 * place)) as usize & 0xf).collect()
}

/// Width of a box with `n_digits` digits, in dots.
const fn box_width(n_digits: usize) -> usize {
    2 * INSET + n_digits / ROWS * (DIGIT[0] + 1) - 1
}

fn draw_box(dots: &mut [bool], width: usize, left: usize, box_width: usize, code: &[usize]) {
    for y in 0..BOX_HEIGHT {
        for x in 0..box_width {
            let is_edge = y == 0 || y == BOX_HEIGHT - 1 || x == 0 || x == box_width - 1;
            dots[y * width + left + x] = is_edge;
        }
    }
    let per_row = code.len() / ROWS;
    for (place, digit) in code.iter().enumerate() {
        let x = left + INSET + place % per_row * (DIGIT[0] + 1);
        let y = INSET + place / per_row * (DIGIT[1] + 1);
        for bit in 0..DIGIT[0] * DIGIT[1] {
            let is_set = DIGITS[*digit] >> (DIGIT[0] * DIGIT[1] - 1 - bit) & 1 == 1;
            dots[(y + bit / DIGIT[0]) * width + x + bit % DIGIT[0]] = is_set;
        }
    }
}

/// An image of the dots, each a square of `scale` pixels.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 16")]
#[allow(clippy::cast_precision_loss, reason = "under 1,000 pixels")]
fn magnified(dots: &[bool], width: usize, scale: f32) -> RasterizedGlyph {
    let n = scale as usize;
    let size = [width * n, BOX_HEIGHT * n];
    let pixel = |place: usize| {
        let (x, y) = (place % size[0] / n, place / size[0] / n);
        if dots[y * width + x] { Color32::WHITE } else { Color32::TRANSPARENT }
    };
    let image = ColorImage::new(size, (0..size[0] * size[1]).map(pixel).collect());
    let top = -((BOX_HEIGHT - BELOW_BASELINE) as f32) * scale;
    RasterizedGlyph {
        bitmap: GlyphBitmap { image, offset_px: egui::vec2(0.0, top), is_color: false },
        advance_px: size[0] as f32,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use eframe::egui::FontFamily;

    use super::*;

    fn pixels(cluster: &str) -> Vec<Color32> {
        let request = GlyphRasterizerRequest {
            cluster,
            family: &FontFamily::Proportional,
            font_size_px: 14.0,
            subpixel_offset_px: 0.0,
        };
        boxes(&request).bitmap.image.pixels
    }

    #[test]
    fn each_character_has_a_box_of_its_own() {
        let characters = (0x4e00..0x5000).chain(0x20b00..0x20c00).filter_map(char::from_u32);
        let all: Vec<Vec<Color32>> = characters.map(|c| pixels(&c.to_string())).collect();
        let distinct: HashSet<&Vec<Color32>> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn the_digits_of_a_code_point_are_drawn() {
        assert_eq!(digits('李'), [6, 7, 4, 14]);
        assert_eq!(digits('😀'), [0, 1, 15, 6, 0, 0]);
        assert_ne!(pixels("\u{200b}"), pixels("\u{200c}"));
        assert_ne!(pixels("e\u{301}"), pixels("e"));
    }

    #[test]
    fn blanks_and_letters_are_left_to_the_fonts() {
        assert!(!"a é\t\n\u{a0}\u{202f}李😀".chars().any(is_invisible));
        assert!("\u{200b}\u{202e}\u{feff}\u{ad}".chars().all(is_invisible));
    }
}
