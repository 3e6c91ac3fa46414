/// How good the order of one list is: discounted gain over that of the best order (Järvelin and Kekäläinen
/// 2002), of the first `k` places, with gains as they are. Equal scores share their places. 0 where nothing
/// has a gain.
#[must_use]
pub fn ndcg(scores: &[f64], gains: &[f64], k: usize) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|left, right| scores[*right].total_cmp(&scores[*left]));
    let mut sum = 0.0;
    let mut place = 0;
    for ties in order.chunk_by(|left, right| scores[*left] == scores[*right]) {
        #[allow(clippy::cast_precision_loss, reason = "places of a list")]
        let mean = ties.iter().map(|row| gains[*row]).sum::<f64>() / ties.len() as f64;
        sum += mean * discounts(place, place + ties.len(), k);
        place += ties.len();
    }
    let mut best: Vec<f64> = gains.to_vec();
    best.sort_by(|left, right| right.total_cmp(left));
    let best: f64 =
        best.iter().enumerate().map(|(place, gain)| gain * discounts(place, place + 1, k)).sum();
    if best > 0.0 { sum / best } else { 0.0 }
}

#[allow(clippy::cast_precision_loss, reason = "places of a list")]
fn discounts(from: usize, to: usize, k: usize) -> f64 {
    (from..to.min(k)).map(|place| 1.0 / (place as f64 + 2.0).log2()).sum()
}

/// The share of what was wanted that is among the first `k` items. NaN where nothing was wanted.
#[must_use]
pub fn recall_at(items: &[usize], wanted: &[usize], k: usize) -> f64 {
    let found = items.iter().take(k).filter(|item| wanted.contains(item)).count();
    #[allow(clippy::cast_precision_loss, reason = "numbers of items")]
    let recall = found as f64 / wanted.len().min(k) as f64;
    recall
}
