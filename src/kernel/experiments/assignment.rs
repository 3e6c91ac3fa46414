use super::ExperimentDefinition;

/// Buckets of the hash: a share is met to one in so many.
const BUCKETS: u32 = 10_000;
/// The seed by which customers are held out of all experiments alike.
pub const HOLDOUT_SEED: &str = "$holdout";

/// Where an id is between 0 and 1 for a seed: version 2 of GrowthBook's hash (FNV-1a of the decimal digits
/// of FNV-1a of seed and id, in steps of 1/10,000), so that its published SDKs find the same.
#[must_use]
#[inline]
pub fn bucket(seed: &str, id: &str) -> f64 {
    let mut inner = fnv1a(fnv1a(FNV_OFFSET, seed.as_bytes()), id.as_bytes());
    // The digits of a u32, written from the end.
    let mut digits = [0_u8; 10];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(inner % 10).unwrap_or(0);
        inner /= 10;
        if inner == 0 {
            break;
        }
    }
    f64::from(fnv1a(FNV_OFFSET, &digits[start..]) % BUCKETS) / f64::from(BUCKETS)
}

const FNV_OFFSET: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

#[inline]
fn fnv1a(hash: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// What becomes of a customer in an experiment, eligibility left aside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Assignment {
    /// They get a variant, by its place, that had this probability.
    Variant(usize, f64),
    /// They are not in it.
    Excluded(Exclusion),
}

/// Why a customer is not in an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// They are held out of all experiments.
    Holdout,
    /// They belong to another experiment of the layer.
    Layer,
    /// The experiment takes only a share of the customers.
    Traffic,
}

/// Assigns customers to the variants of one experiment.
#[derive(Clone, Debug)]
pub struct Assigner {
    seed: String,
    holdout: f64,
    layer: Option<super::Layer>,
    traffic: f64,
    /// From where to where each variant reaches.
    ranges: Vec<(f64, f64)>,
    weights: Vec<f64>,
}

impl Assigner {
    /// Assigns by the weights of a definition that was checked.
    #[must_use]
    pub fn new(definition: &ExperimentDefinition) -> Self {
        let weights = definition.weights();
        Self {
            seed: definition.seed().to_owned(),
            holdout: definition.holdout,
            layer: definition.layer.clone(),
            traffic: definition.traffic,
            ranges: ranges(&weights, definition.traffic),
            weights,
        }
    }

    /// The variant of a customer by the weights of the definition.
    #[must_use]
    #[inline]
    pub fn assign(&self, customer_id: &str) -> Assignment {
        match self.exclusion(customer_id) {
            Some(exclusion) => Assignment::Excluded(exclusion),
            None => self.within(&self.ranges, &self.weights, customer_id),
        }
    }

    /// The variant of a customer by other weights, as those that a bandit has learned.
    #[must_use]
    pub fn assign_by(&self, weights: &[f64], customer_id: &str) -> Assignment {
        match self.exclusion(customer_id) {
            Some(exclusion) => Assignment::Excluded(exclusion),
            None => self.within(&ranges(weights, self.traffic), weights, customer_id),
        }
    }

    #[inline]
    fn exclusion(&self, customer_id: &str) -> Option<Exclusion> {
        if self.holdout > 0.0 && bucket(HOLDOUT_SEED, customer_id) < self.holdout {
            return Some(Exclusion::Holdout);
        }
        let layer = self.layer.as_ref()?;
        let place = bucket(layer.name.as_str(), customer_id);
        (!(layer.from..layer.until).contains(&place)).then_some(Exclusion::Layer)
    }

    #[inline]
    fn within(&self, ranges: &[(f64, f64)], weights: &[f64], customer_id: &str) -> Assignment {
        let place = bucket(&self.seed, customer_id);
        let variant = ranges.iter().position(|(from, until)| (*from..*until).contains(&place));
        match variant {
            Some(variant) => Assignment::Variant(variant, weights[variant]),
            None => Assignment::Excluded(Exclusion::Traffic),
        }
    }
}

/// From where to where each variant reaches: a share of its weight, from where the ones before it end. In
/// the order of operations of GrowthBook, whose last bits decide at the edges.
fn ranges(weights: &[f64], traffic: f64) -> Vec<(f64, f64)> {
    let mut cumulative = 0.0;
    weights
        .iter()
        .map(|weight| {
            let start = cumulative;
            cumulative += weight;
            (start, start + traffic * weight)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_growthbook_does() {
        // Cases of GrowthBook's published SDK tests, version 2 of the hash.
        for (value, seed, expected) in [
            ("a", "seed", 0.0505),
            ("b", "seed", 0.2696),
            ("foo", "ab", 0.3993),
            ("u1", "s1", 0.3359),
        ] {
            let place = bucket(seed, value);
            assert!((place - expected).abs() < 1e-12, "{seed} {value}: {place}");
        }
    }
}
