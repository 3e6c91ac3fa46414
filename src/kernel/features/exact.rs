//! Exact sums of numbers, as differences of prefix sums.
//!
//! An `f64` is an integer times a power of two. Where the values of a series span few enough powers, they
//! are all integers of one unit, and their sums, and the sums of their squares and products, are exact
//! integers: in any order, and as a difference of two prefixes. The result is rounded once. So the sum of
//! a window is the same number however it was computed: for all customers, for a row of a training set,
//! or live. Where the values of a window span too many powers, they are added in their order instead;
//! whether they do depends on that window alone, never on how it is computed.

/// The bits of a sum.
const BITS: i32 = 126;

/// The unit and the size of numbers: all are integers below `2^high`, in units of `2^low`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    low: i32,
    high: i32,
}

impl Extent {
    /// Of no numbers.
    pub(super) const NONE: Self = Self { low: i32::MAX, high: i32::MIN };

    /// With one more number.
    #[inline]
    pub(super) fn with(self, x: f64) -> Self {
        let (mantissa, exponent) = parts(x);
        if mantissa == 0 {
            return self;
        }
        let bits = |n: u32| i32::try_from(n).unwrap_or(0);
        Self {
            low: self.low.min(exponent + bits(mantissa.trailing_zeros())),
            high: self.high.max(exponent + 64 - bits(mantissa.leading_zeros())),
        }
    }

    /// Of many numbers.
    pub(super) fn of(numbers: &[f64]) -> Self {
        numbers.iter().fold(Self::NONE, |extent, x| extent.with(*x))
    }

    /// Whether the sum of `n` such numbers is exact.
    pub(super) fn fits(self, n: usize) -> bool {
        let carry = i32::try_from(usize::BITS - n.leading_zeros()).unwrap_or(64);
        self.low == i32::MAX || self.high - self.low + carry <= BITS
    }

    /// The exponent of the unit.
    pub(super) fn unit(self) -> i32 {
        if self.low == i32::MAX { 0 } else { self.low }
    }
}

/// The mantissa without its sign, and the exponent, of a finite number.
#[inline]
fn parts(x: f64) -> (u64, i32) {
    let bits = x.to_bits();
    let exponent = i32::try_from((bits >> 52) & 0x7ff).unwrap_or(0);
    let fraction = bits & ((1 << 52) - 1);
    match exponent {
        0 => (fraction, -1074),
        _ => (fraction | (1 << 52), exponent - 1075),
    }
}

/// A number as an integer of a unit that divides it.
#[inline]
pub(super) fn integer(x: f64, unit: i32) -> i128 {
    let (mantissa, exponent) = parts(x);
    let mantissa = i128::from(mantissa);
    let shift = exponent - unit;
    let magnitude =
        if shift >= 0 { mantissa << shift.min(127) } else { mantissa >> (-shift).min(127) };
    if x.is_sign_negative() { -magnitude } else { magnitude }
}

/// `x * 2^exponent`, by steps that neither overflow nor vanish early.
#[inline]
pub(super) fn scaled(x: f64, exponent: i32) -> f64 {
    let mut x = x;
    let mut left = exponent;
    while left > 1_000 {
        x *= power(1_000);
        left -= 1_000;
    }
    while left < -1_000 {
        x *= power(-1_000);
        left += 1_000;
    }
    x * power(left)
}

/// `2^exponent`, for exponents of normal numbers.
#[inline]
fn power(exponent: i32) -> f64 {
    f64::from_bits(u64::try_from(exponent + 1_023).unwrap_or(0) << 52)
}

/// An integer in units of `2^unit` as the nearest number.
#[allow(clippy::cast_precision_loss, reason = "this is the one rounding")]
#[inline]
pub(super) fn rounded(integer: i128, unit: i32) -> f64 {
    // Most sums are small, and small integers have an instruction for this.
    let nearest = match i64::try_from(integer) {
        Ok(small) => small as f64,
        Err(_large) => integer as f64,
    };
    scaled(nearest, unit)
}

/// An integer of 256 bits, for sums of squares and of products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wide {
    high: i128,
    low: u128,
}

impl Wide {
    #[cfg(test)]
    fn of(integer: i128) -> Self {
        Self { high: if integer < 0 { -1 } else { 0 }, low: integer.cast_unsigned() }
    }

    pub(super) fn product(left: i128, right: i128) -> Self {
        let (a, b) = (left.unsigned_abs(), right.unsigned_abs());
        const MASK: u128 = u64::MAX as u128;
        let (a1, a0, b1, b0) = (a >> 64, a & MASK, b >> 64, b & MASK);
        let (p00, p01, p10, p11) = (a0 * b0, a0 * b1, a1 * b0, a1 * b1);
        let middle = (p00 >> 64) + (p01 & MASK) + (p10 & MASK);
        let low = (middle << 64) | (p00 & MASK);
        let high = p11 + (p01 >> 64) + (p10 >> 64) + (middle >> 64);
        let product = Self { high: high.cast_signed(), low };
        if (left < 0) == (right < 0) { product } else { Self::default().minus(product) }
    }

    #[inline]
    pub(super) fn plus(self, other: Self) -> Self {
        let (low, carry) = self.low.overflowing_add(other.low);
        Self { high: self.high.wrapping_add(other.high).wrapping_add(i128::from(carry)), low }
    }

    #[inline]
    pub(super) fn minus(self, other: Self) -> Self {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        Self { high: self.high.wrapping_sub(other.high).wrapping_sub(i128::from(borrow)), low }
    }

    /// Times a count.
    pub(super) fn times(self, n: u64) -> Self {
        let low = Self::unsigned_product(self.low, n);
        let high = self.high.wrapping_mul(i128::from(n));
        Self { high: low.high.wrapping_add(high), low: low.low }
    }

    fn unsigned_product(left: u128, right: u64) -> Self {
        const MASK: u128 = u64::MAX as u128;
        let right = u128::from(right);
        let (p0, p1) = ((left & MASK) * right, (left >> 64) * right);
        let (low, carry) = p0.overflowing_add(p1 << 64);
        Self { high: ((p1 >> 64) + u128::from(carry)).cast_signed(), low }
    }

    pub(super) fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// The nearest number.
    #[allow(clippy::cast_precision_loss, reason = "this is the one rounding")]
    pub(super) fn rounded(self) -> f64 {
        if self.high < 0 {
            return -Self::default().minus(self).rounded();
        }
        let high = self.high.cast_unsigned();
        if high == 0 {
            return self.low as f64;
        }
        let shift = 128 - high.leading_zeros();
        let kept = if shift == 128 { high } else { (high << (128 - shift)) | (self.low >> shift) };
        let lost = if shift == 128 { self.low } else { self.low << (128 - shift) };
        // What is lost decides only between two neighbors.
        let kept = kept | u128::from(lost != 0);
        scaled(kept as f64, i32::try_from(shift).unwrap_or(0))
    }
}

/// Sample variance from a count, a sum and a sum of squares, all exact; in units of `2^(2 unit)`.
#[allow(clippy::cast_precision_loss, reason = "fewer than 2^53 values")]
pub(super) fn variance(n: u64, sum: i128, squares: Wide, unit: i32) -> f64 {
    let spread = squares.times(n).minus(Wide::product(sum, sum)).rounded();
    let n = n as f64;
    scaled(scaled(spread / (n * (n - 1.0)), unit), unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(numbers: &[f64]) -> f64 {
        let extent = Extent::of(numbers);
        assert!(extent.fits(numbers.len()));
        let total = numbers.iter().map(|x| integer(*x, extent.unit())).sum();
        rounded(total, extent.unit())
    }

    #[test]
    fn sums_are_rounded_once() {
        assert_eq!(sum(&[0.1; 10]).to_bits(), 1.0_f64.to_bits());
        assert_eq!(sum(&[1e16, 1.0, -1e16]).to_bits(), 1.0_f64.to_bits());
        assert_eq!(sum(&[]), 0.0);
        assert_eq!(sum(&[-0.5, 0.25]), -0.25);
        assert_eq!(sum(&[1e308, 1e308]), f64::INFINITY);
        assert_eq!(sum(&[f64::from_bits(1), f64::from_bits(1)]), f64::from_bits(2));
        assert!(!Extent::of(&[1e308, 1e-300]).fits(2));
    }

    proptest! {
        #[test]
        fn wide_integers_are_integers(a in any::<i64>(), b in any::<i64>(), c in any::<i64>(), n in 1..1_000_000_u64) {
            let (x, y, z) = (i128::from(a), i128::from(b), i128::from(c));
            let wide = Wide::product(x, y).plus(Wide::of(z)).minus(Wide::of(x));
            prop_assert_eq!(wide, Wide::of(x * y + z - x));
            let small = Wide::of(x >> 8).times(n);
            prop_assert_eq!(small, Wide::of((x >> 8) * i128::from(n)));
            #[allow(clippy::cast_precision_loss, reason = "what is tested")]
            let expected = (x * y) as f64;
            prop_assert_eq!(Wide::product(x, y).rounded().to_bits(), expected.to_bits());
            // Squares of what has more than 64 bits, by (a 2^40 + b)^2 = a^2 2^80 + a b 2^41 + b^2.
            let large = (x << 40) + y;
            let shifted = |k: u32| (0..k).fold(Wide::product(x, if k == 80 { x } else { y }), |w, _| w.plus(w));
            prop_assert_eq!(Wide::product(large, large), shifted(80).plus(shifted(41)).plus(Wide::product(y, y)));
        }

        #[test]
        fn exact_variance_is_close_to_the_naive_one(numbers in proptest::collection::vec(-1e3..1e3_f64, 2..50)) {
            let numbers: Vec<f64> = numbers.iter().map(|x| (x * 1e4).round() / 1e4).collect();
            let extent = Extent::of(&numbers);
            let whole = |x: &f64| integer(*x, extent.unit());
            let total = numbers.iter().map(whole).sum();
            let squares = numbers.iter().map(whole).fold(Wide::default(), |w, x| w.plus(Wide::product(x, x)));
            let exact = variance(numbers.len() as u64, total, squares, extent.unit());
            let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
            let naive = numbers.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (numbers.len() - 1) as f64;
            prop_assert!((exact - naive).abs() <= 1e-9 * naive.max(1e-9), "{exact} {naive}");
        }
    }
}
