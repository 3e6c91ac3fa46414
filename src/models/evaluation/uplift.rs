/// Rows by score, highest first, with sums of both groups so far: treated rows and outcomes, others'.
fn sums(scores: &[f64], treated: &[bool], y: &[f64]) -> Vec<[f64; 4]> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|left, right| scores[*right].total_cmp(&scores[*left]));
    let mut sums = [0.0; 4];
    let mut steps = vec![sums];
    for ties in order.chunk_by(|left, right| scores[*left] == scores[*right]) {
        for row in ties {
            let at = if treated[*row] { 0 } else { 2 };
            sums[at] += 1.0;
            sums[at + 1] += y[*row];
        }
        steps.push(sums);
    }
    steps
}

/// What treating a share of the rows, highest score first, gains over treating none (Radcliffe 2007): the
/// outcomes of the treated less those of as many others, per row.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "a number of rows")]
pub fn uplift_curve(scores: &[f64], treated: &[bool], y: &[f64]) -> Vec<(f64, f64)> {
    let n = scores.len().max(1) as f64;
    let gain = |[treated, with, others, without]: [f64; 4]| {
        let without = if others > 0.0 { without * treated / others } else { 0.0 };
        ((treated + others) / n, (with - without) / n)
    };
    super::thinned(sums(scores, treated, y).into_iter().map(gain).collect())
}

/// The area between that curve and treating at random, over the area of the latter's triangle if it is not
/// 0: how much better than chance the order is.
#[must_use]
pub fn qini(scores: &[f64], treated: &[bool], y: &[f64]) -> f64 {
    let curve = uplift_curve(scores, treated, y);
    let area: f64 = curve.windows(2).map(|p| (p[1].0 - p[0].0) * (p[1].1 + p[0].1) / 2.0).sum();
    let end = curve.last().map_or(0.0, |last| last.1);
    area - end / 2.0
}

/// The mean effect among the share of the rows with the highest scores.
#[must_use]
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a number of rows"
)]
pub fn uplift_at(scores: &[f64], treated: &[bool], y: &[f64], share: f64) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|left, right| scores[*right].total_cmp(&scores[*left]));
    order.truncate((scores.len() as f64 * share).ceil() as usize);
    let mean = |group: bool| {
        let own = order.iter().filter(|row| treated[**row] == group).map(|row| y[*row]);
        let (n, sum) = own.fold((0.0, 0.0), |(n, sum), y| (n + 1.0, sum + y));
        sum / n
    };
    mean(true) - mean(false)
}
