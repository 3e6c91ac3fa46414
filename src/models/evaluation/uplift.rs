/// Rows by score, highest first, with sums of both groups so far: treated rows and outcomes, others'.
fn sums(scores: &[f64], treated: &[bool], y: &[f64], weights: Option<&[f64]>) -> Vec<[f64; 4]> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|left, right| scores[*right].total_cmp(&scores[*left]));
    let mut sums = [0.0; 4];
    let mut steps = vec![sums];
    for ties in order.chunk_by(|left, right| scores[*left] == scores[*right]) {
        for row in ties {
            let at = if treated[*row] { 0 } else { 2 };
            let weight = weights.map_or(1.0, |weights| weights[*row]);
            sums[at] += weight;
            sums[at + 1] += weight * y[*row];
        }
        steps.push(sums);
    }
    steps
}

/// What treating a share of the rows, highest score first, gains over treating none (Radcliffe 2007): the
/// outcomes of the treated less those of as many others, per row.
#[must_use]
pub fn uplift_curve(scores: &[f64], treated: &[bool], y: &[f64]) -> Vec<(f64, f64)> {
    super::thinned(curve(scores, treated, y, None))
}

fn curve(scores: &[f64], treated: &[bool], y: &[f64], weights: Option<&[f64]>) -> Vec<(f64, f64)> {
    let sums = sums(scores, treated, y, weights);
    let n = sums.last().map_or(1.0, |all| (all[0] + all[2]).max(f64::MIN_POSITIVE));
    let gain = |[treated, with, others, without]: [f64; 4]| {
        let without = if others > 0.0 { without * treated / others } else { 0.0 };
        ((treated + others) / n, (with - without) / n)
    };
    sums.into_iter().map(gain).collect()
}

/// The area between that curve and treating at random, over the area of the latter's triangle if it is not
/// 0: how much better than chance the order is.
#[must_use]
pub fn qini(scores: &[f64], treated: &[bool], y: &[f64], weights: Option<&[f64]>) -> f64 {
    let curve = curve(scores, treated, y, weights);
    let area: f64 = curve.windows(2).map(|p| (p[1].0 - p[0].0) * (p[1].1 + p[0].1) / 2.0).sum();
    let end = curve.last().map_or(0.0, |last| last.1);
    area - end / 2.0
}

/// The mean effect among the share of the rows with the highest scores.
#[must_use]
pub fn uplift_at(
    scores: &[f64],
    treated: &[bool],
    y: &[f64],
    share: f64,
    weights: Option<&[f64]>,
) -> f64 {
    let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
    let wanted = share * (0..scores.len()).map(weight).sum::<f64>();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|left, right| scores[*right].total_cmp(&scores[*left]));
    // Of each group: rows, and their outcomes.
    let (mut sums, mut taken) = ([(0.0, 0.0); 2], 0.0);
    for row in order {
        if taken >= wanted {
            break;
        }
        let (n, sum) = &mut sums[usize::from(treated[row])];
        *n += weight(row);
        *sum += weight(row) * y[row];
        taken += weight(row);
    }
    let mean = |(n, sum): (f64, f64)| sum / n;
    mean(sums[1]) - mean(sums[0])
}
