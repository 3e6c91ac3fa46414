use rayon::prelude::*;

use super::boosting::mixed;
use super::histogram::Bin;
use super::loss::Slope;
use super::split::Units;

/// The largest whole number that a slope becomes.
const LARGEST: i64 = 32_767;
const PIECE: usize = 16_384;

/// Slopes as whole numbers, rounded up or down at random so that they are right in the mean (Shi et al. 2022).
/// No sum over all rows overflows 32 bits.
pub(super) fn quantize(slopes: &[Slope], rows: &[u32], seed: u64, out: &mut [Bin]) -> Units {
    let largest = rows
        .par_chunks(PIECE)
        .map(|rows| {
            rows.iter().fold([0.0_f32; 2], |[g, h], row| {
                let [own_g, own_h] = slopes[*row as usize];
                [g.max(own_g.abs()), h.max(own_h)]
            })
        })
        .reduce(|| [0.0; 2], |[g, h], [other_g, other_h]| [g.max(other_g), h.max(other_h)]);
    let rows_in_all = i64::try_from(rows.len()).unwrap_or(i64::MAX).max(1);
    let steps = (i64::from(i32::MAX) / rows_in_all).clamp(1, LARGEST);
    #[allow(clippy::cast_precision_loss, reason = "at most 32767")]
    let steps = steps as f64;
    let unit_of = |largest: f32| f64::from(largest).max(f64::MIN_POSITIVE * steps) / steps;
    let units = Units { gradient: unit_of(largest[0]), curvature: unit_of(largest[1]) };
    #[allow(clippy::cast_possible_truncation, reason = "half of the bits are enough")]
    let seed = mixed(seed, 0) as u32;
    let rounding = Rounding { by: [1.0 / units.gradient, 1.0 / units.curvature], seed };
    if rows.len() == out.len() {
        out.par_chunks_mut(PIECE).enumerate().for_each(|(piece, out)| {
            let first = piece * PIECE;
            let slopes = &slopes[first..first + out.len()];
            let first = u32::try_from(first).unwrap_or(u32::MAX);
            pulp::Arch::new().dispatch(|| rounding.round_all(slopes, first, out));
        });
    } else {
        rows.iter().for_each(|row| {
            out[*row as usize] = rounding.round(slopes[*row as usize], *row);
        });
    }
    units
}

/// How slopes become whole numbers: what they are multiplied by, and what chance follows from.
struct Rounding {
    by: [f64; 2],
    seed: u32,
}

/// Added to a number that is not too large, this leaves its nearest whole number in the low bits.
pub(super) const WHOLE: f64 = 6_755_399_441_055_744.0;

impl Rounding {
    /// Those of rows that follow each other: as many at once as the processor takes.
    #[inline(always)]
    fn round_all(&self, slopes: &[Slope], first: u32, out: &mut [Bin]) {
        for ((slope, row), out) in slopes.iter().zip(first..).zip(out) {
            *out = self.round(*slope, row);
        }
    }

    /// A number between -1/2 and 1/2 is added, and the nearest whole one taken. It is never quite a half, so
    /// that a whole number stays what it is also where the product was not exact.
    #[inline(always)]
    fn round(&self, slope: Slope, row: u32) -> Bin {
        let random = scattered(row ^ self.seed);
        let moved = |bits: u32| (f64::from(bits.cast_signed()) - 32_767.5) * (1.0 / 65_536.0);
        let g = f64::from(slope[0]) * self.by[0] + moved(random & 0xffff);
        let h = f64::from(slope[1]) * self.by[1] + moved(random >> 16);
        let (g, h) = ((g + WHOLE).to_bits(), (h + WHOLE).to_bits());
        (g << 32).cast_signed() + (h & 0xffff_ffff).cast_signed()
    }
}

/// Numbers of a row's bits that look random: the integer hash `lowbias32` (Wellons 2018).
#[inline(always)]
fn scattered(row: u32) -> u32 {
    let mut x = row;
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trees::histogram::{curvature, gradient};

    #[test]
    fn slopes_are_right_in_the_mean() {
        let slopes = [[-0.31_f32, 0.0007], [0.25, 0.25], [1.0, 0.0], [-1.0, 0.125]].repeat(20_000);
        let rows: Vec<u32> = (0..80_000).collect();
        let mut sums = vec![0; slopes.len()];
        let units = quantize(&slopes, &rows, 7, &mut sums);
        for (kind, [g, h]) in slopes[..4].iter().enumerate() {
            let own = || sums.iter().skip(kind).step_by(4);
            #[allow(clippy::cast_precision_loss, reason = "a test")]
            let mean = |of: fn(Bin) -> i64, unit: f64| {
                own().map(|sum| of(*sum) as f64).sum::<f64>() / 20_000.0 * unit
            };
            assert!((mean(gradient, units.gradient) - f64::from(*g)).abs() < 0.02 * units.gradient);
            assert!(
                (mean(curvature, units.curvature) - f64::from(*h)).abs() < 0.02 * units.curvature
            );
        }
        assert!(sums.iter().skip(2).step_by(4).all(|sum| *sum == sums[2]), "a whole number stays");
        // One by one they are the same.
        let most = &rows[..79_999];
        let mut others = vec![0; slopes.len()];
        quantize(&slopes, most, 7, &mut others);
        assert_eq!(sums[..79_999], others[..79_999]);
    }
}
