/// p-values corrected for their number, in the order given: the chance of even one false claim among all of
/// them stays what one p-value says (Holm 1979, "A simple sequentially rejective multiple test procedure").
#[must_use]
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|left, right| p_values[*left].total_cmp(&p_values[*right]));
    let mut corrected = vec![1.0; p_values.len()];
    let mut least = 0.0_f64;
    for (rank, place) in order.into_iter().enumerate() {
        #[allow(clippy::cast_precision_loss, reason = "a number of metrics")]
        let left = (p_values.len() - rank) as f64;
        least = least.max((left * p_values[place]).min(1.0));
        corrected[place] = least;
    }
    corrected
}
