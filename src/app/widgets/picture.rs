use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use eframe::egui::{ColorImage, Context, Rect};

/// A part of the window on its way into a PNG file.
#[derive(Debug)]
pub(crate) struct Picture {
    path: PathBuf,
    written: Receiver<io::Result<()>>,
}

impl Picture {
    /// Takes a part of the window as it is painted next.
    pub(crate) fn take(context: &Context, part: Rect, path: &Path) -> Self {
        let (sender, written) = sync_channel(1);
        let scale = context.pixels_per_point();
        let (file, context_of_thread) = (path.to_owned(), context.clone());
        context.request_screenshot(move |image: Arc<ColorImage>| {
            // The window goes on while it is packed and written.
            std::thread::spawn(move || {
                let result = write(&image, part, scale, &file);
                if sender.send(result).is_ok() {
                    context_of_thread.request_repaint();
                }
            });
        });
        Self { path: path.to_owned(), written }
    }

    /// Where it was written, or why not; none while it is on its way.
    pub(crate) fn ended(&self) -> Option<Result<String, String>> {
        let path = self.path.display();
        Some(match self.written.try_recv().ok()? {
            Ok(()) => Ok(format!("Wrote {path}")),
            Err(error) => Err(format!("cannot write {path}: {error}")),
        })
    }
}

/// Copies a part of the window, as it is painted next, to the system clipboard.
pub(crate) fn copy_picture(context: &Context, part: Rect) {
    let scale = context.pixels_per_point();
    let context_of_screenshot = context.clone();
    context.request_screenshot(move |image: Arc<ColorImage>| {
        if let Ok(part) = cropped(&image, part, scale) {
            context_of_screenshot.copy_image(part);
            context_of_screenshot.request_repaint();
        }
    });
}

/// The part of an image that a rectangle of the window covers; `scale` is pixels per point.
///
/// # Errors
/// The rectangle covers no pixel.
fn cropped(image: &ColorImage, part: Rect, scale: f32) -> io::Result<ColorImage> {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "pixels, not below zero"
    )]
    let pixel = |points: f32, most: usize| ((points.max(0.0) * scale) as usize).min(most);
    let (left, right) = (pixel(part.left(), image.width()), pixel(part.right(), image.width()));
    let (top, bottom) = (pixel(part.top(), image.height()), pixel(part.bottom(), image.height()));
    if left >= right || top >= bottom {
        return Err(io::Error::other("the picture is outside the window"));
    }
    let rows = (top..bottom).map(|row| &image.pixels[row * image.width()..][left..right]);
    Ok(ColorImage::new([right - left, bottom - top], rows.flatten().copied().collect()))
}

/// Writes a part of an image as PNG; `scale` is pixels per point.
fn write(image: &ColorImage, part: Rect, scale: f32, path: &Path) -> io::Result<()> {
    let part = cropped(image, part, scale)?;
    let bytes: Vec<u8> = part.pixels.iter().flat_map(|pixel| pixel.to_array()).collect();
    let size = |pixels: usize| u32::try_from(pixels).map_err(io::Error::other);
    let file = io::BufWriter::new(std::fs::File::create(path)?);
    let mut encoder = png::Encoder::new(file, size(part.width())?, size(part.height())?);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(io::Error::other)?;
    writer.write_image_data(&bytes).map_err(io::Error::other)?;
    writer.finish().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use eframe::egui::{Color32, pos2};

    use super::*;

    #[test]
    fn a_part_of_an_image_becomes_a_file() {
        let mut image = ColorImage::filled([40, 30], Color32::BLACK);
        image.pixels[12 * 40 + 21] = Color32::WHITE;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part.png");
        // Two pixels a point: 20 to 30 across, 10 to 20 down.
        let part = Rect::from_min_max(pos2(10.0, 5.0), pos2(15.0, 10.0));
        write(&image, part, 2.0, &path).unwrap();
        let file = io::BufReader::new(std::fs::File::open(&path).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        assert_eq!((info.width, info.height), (10, 10));
        assert_eq!(bytes[(2 * 10 + 1) * 4], 255, "the white one, where it belongs");
        assert_eq!(bytes.iter().filter(|byte| **byte == 255).count(), 3 + 100);
        assert!(write(&image, Rect::NOTHING, 1.0, &path).is_err());
    }
}
