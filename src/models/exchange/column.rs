use super::refused;
use crate::Result;

/// A column of the graph's input on its way to the model, with the arithmetic that the graph applies to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    /// Position among the columns of all inputs.
    pub(super) input: usize,
    /// Whether numbers are single precision at this point, as most inputs of ONNX are.
    is_single: bool,
    steps: Vec<Step>,
}

/// An operation on one number. It is computed in single precision if its column is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// Rounds to single precision.
    Round,
    Add(f64, bool),
    Multiply(f64, bool),
    Divide(f64, bool),
    /// Replaces a missing value.
    Fill(f64),
}

/// How a threshold on the value that a model reads becomes one on the value that the feature has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Boundary {
    /// Features up to this value, inclusive, take one side; all above take the other.
    pub(super) threshold: f64,
    /// Whether the condition holds on the side of the lower values.
    pub(super) holds_below: bool,
}

/// Maximum number of operations on one column.
const MAX_STEPS: usize = 16;

/// Rounds to the nearest number of single precision.
#[allow(clippy::cast_possible_truncation, reason = "this is the rounding that the format asks for")]
fn rounded(x: f64) -> f64 {
    f64::from(x as f32)
}

impl Column {
    /// A column of an input.
    pub(super) fn new(input: usize, is_single: bool) -> Self {
        let steps = if is_single { vec![Step::Round] } else { Vec::new() };
        Self { input, is_single, steps }
    }

    fn with(mut self, step: Step) -> Result<Self> {
        if self.steps.len() >= MAX_STEPS {
            return Err(refused(format!("more than {MAX_STEPS} operations on one column")));
        }
        self.steps.push(step);
        Ok(self)
    }

    pub(super) fn cast(mut self, to_single: bool) -> Result<Self> {
        let was_single = std::mem::replace(&mut self.is_single, to_single);
        if to_single && !was_single { self.with(Step::Round) } else { Ok(self) }
    }

    pub(super) fn plus(self, number: f64) -> Result<Self> {
        let is_single = self.is_single;
        self.with(Step::Add(finite(number)?, is_single))
    }

    pub(super) fn times(self, number: f64) -> Result<Self> {
        let is_single = self.is_single;
        match finite(number)? {
            0.0 => Err(refused("a column is multiplied by 0")),
            number => self.with(Step::Multiply(number, is_single)),
        }
    }

    pub(super) fn divided(self, number: f64) -> Result<Self> {
        let is_single = self.is_single;
        match finite(number)? {
            0.0 => Err(refused("a column is divided by 0")),
            number => self.with(Step::Divide(number, is_single)),
        }
    }

    pub(super) fn filled(self, number: f64) -> Result<Self> {
        self.with(Step::Fill(finite(number)?))
    }

    /// The number that the model reads for a feature's value. A missing value is NaN.
    pub(super) fn apply(&self, x: f64) -> f64 {
        let in_type = |x: f64, is_single: bool| if is_single { rounded(x) } else { x };
        self.steps.iter().fold(x, |x, step| match *step {
            Step::Round => rounded(x),
            // One operation on two numbers of single precision, rounded from double, is the correctly rounded one.
            Step::Add(y, single) => in_type(x + in_type(y, single), single),
            Step::Multiply(y, single) => in_type(x * in_type(y, single), single),
            Step::Divide(y, single) => in_type(x / in_type(y, single), single),
            Step::Fill(y) => {
                if x.is_nan() {
                    y
                } else {
                    x
                }
            }
        })
    }

    /// Where a condition on the number that the model reads changes, as a threshold on the feature. The condition
    /// must be monotone. Every operation is monotone, so the exact place is found by bisection over all doubles:
    /// every double takes the branch that its number takes there.
    pub(super) fn boundary(&self, holds: impl Fn(f64) -> bool) -> Boundary {
        let holds = |x: f64| holds(self.apply(x));
        let holds_below = holds(f64::MIN);
        if holds(f64::MAX) == holds_below {
            return Boundary { threshold: f64::MAX, holds_below };
        }
        let (mut below, mut above) = (rank(f64::MIN), rank(f64::MAX));
        while above - below > 1 {
            let middle = below + (above - below) / 2;
            match holds(of_rank(middle)) == holds_below {
                true => below = middle,
                false => above = middle,
            }
        }
        // Zero has two signs, which are one value: the boundary is never between them.
        let threshold = of_rank(below);
        Boundary { threshold: if threshold == 0.0 { 0.0 } else { threshold }, holds_below }
    }

    /// The column as `(x - mean) / scale` and what stands in for a missing value there; for linear models, whose
    /// rounding to single precision is within their own.
    pub(super) fn affine(&self) -> Affine {
        let mut affine = Affine { slope: 1.0, offset: 0.0, fill: None };
        for step in &self.steps {
            match *step {
                Step::Round => {}
                Step::Add(y, _) => affine.offset += y,
                Step::Multiply(y, _) => {
                    affine.slope *= y;
                    affine.offset *= y;
                }
                Step::Divide(y, _) => {
                    affine.slope /= y;
                    affine.offset /= y;
                }
                // In terms of the feature, so that later operations apply to it as well.
                Step::Fill(y) if affine.fill.is_none() => {
                    affine.fill = Some((y - affine.offset) / affine.slope);
                }
                Step::Fill(_) => {}
            }
        }
        affine
    }
}

/// `slope * x + offset`; a missing feature counts as `fill`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Affine {
    pub(super) slope: f64,
    pub(super) offset: f64,
    pub(super) fill: Option<f64>,
}

fn finite(number: f64) -> Result<f64> {
    match number.is_finite() {
        true => Ok(number),
        false => Err(refused(format!("an operation on a column has the constant {number}"))),
    }
}

/// The position of a number in the order of all doubles.
fn rank(x: f64) -> i128 {
    let bits = x.to_bits().cast_signed();
    i128::from(bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed())
}

fn of_rank(rank: i128) -> f64 {
    let rank = i64::try_from(rank).unwrap_or_default();
    f64::from_bits((rank ^ ((rank >> 63).cast_unsigned() >> 1).cast_signed()).cast_unsigned())
}
