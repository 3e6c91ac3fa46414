use rayon::prelude::*;

/// How much nearer rows are to their own cluster than to the next one: the mean of their
/// [`silhouette_widths`]; NaN of fewer than two clusters.
#[must_use]
pub fn silhouette(rows: &[Vec<f64>], clusters: &[usize]) -> f64 {
    let widths = silhouette_widths(rows, clusters);
    #[allow(clippy::cast_precision_loss, reason = "a number of rows")]
    let n = widths.len() as f64;
    widths.iter().sum::<f64>() / n
}

/// `(b - a) / max(a, b)` of each row, `a` being its mean distance to the others of its cluster and `b` that
/// to the rows of the next one (Rousseeuw 1987); 0 of a row alone in its cluster, NaN of fewer than two
/// clusters.
#[must_use]
pub fn silhouette_widths(rows: &[Vec<f64>], clusters: &[usize]) -> Vec<f64> {
    let n_clusters = clusters.iter().max().map_or(0, |last| last + 1);
    let mut sizes = vec![0.0; n_clusters];
    clusters.iter().for_each(|cluster| sizes[*cluster] += 1.0);
    if sizes.iter().filter(|size| **size > 0.0).count() < 2 {
        return vec![f64::NAN; rows.len()];
    }
    (0..rows.len())
        .into_par_iter()
        .map(|row| {
            let own = clusters[row];
            if sizes[own] <= 1.0 {
                return 0.0;
            }
            let mut sums = vec![0.0; n_clusters];
            for (other, cluster) in rows.iter().zip(clusters) {
                let squares = rows[row].iter().zip(other).map(|(a, b)| (a - b) * (a - b));
                sums[*cluster] += squares.sum::<f64>().sqrt();
            }
            let within = sums[own] / (sizes[own] - 1.0);
            let others = (0..n_clusters).filter(|cluster| *cluster != own && sizes[*cluster] > 0.0);
            let next = others.map(|other| sums[other] / sizes[other]).fold(f64::INFINITY, f64::min);
            let largest = within.max(next);
            if largest > 0.0 { (next - within) / largest } else { 0.0 }
        })
        .collect()
}
