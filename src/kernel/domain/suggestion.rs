/// The one of `known` that is nearest to `written`, if it is near enough to be what was meant.
///
/// As text to append to a message: `; did you mean 'order_completed'?`, or nothing.
pub fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let lower = written.to_lowercase();
    known
        .into_iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate)
        })
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(written.len()) / 3)
        .min()
        .map_or_else(String::new, |(_, candidate)| format!("; did you mean '{candidate}'?"))
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn only_near_names_are_suggested() {
        let known = ["order_completed", "cart_viewed"];
        assert_eq!(did_you_mean("order_complete", known), "; did you mean 'order_completed'?");
        assert_eq!(did_you_mean("Cart_Veiwed", known), "; did you mean 'cart_viewed'?");
        assert_eq!(did_you_mean("refund", known), "");
    }
}
