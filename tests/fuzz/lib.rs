//! What fuzz targets share.

use models::exchange::Imported;

/// Scores and explains a few rows by an imported model.
pub fn score(imported: &Imported) {
    let width = imported.model.width();
    assert_eq!(imported.encodings.iter().map(kernel::scoring::Encoding::width).sum::<usize>(), width);
    imported.model.check().expect("an imported model is sound");
    if width > 10_000 {
        return;
    }
    for x in [0.0, -1.5, 1e30, f64::NAN] {
        let row = vec![x; width];
        let _score = imported.model.score(&row);
        let _detail = imported.model.detail(&row);
        let _contributions = imported.model.contributions(&row);
    }
}
