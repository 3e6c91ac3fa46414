use super::Column;

/// The codes of rows, each in as few bytes as the largest of them needs; that of null is
/// [`Column::NO_TEXT`].
#[derive(Clone, Debug)]
pub enum Codes {
    /// All are below 255.
    One(Vec<u8>),
    /// All are below 65,535.
    Two(Vec<u16>),
    /// Any.
    Four(Vec<u32>),
}

/// A code as it lies in memory.
pub(super) trait Code: Copy + PartialEq {
    /// That of null.
    const NONE: Self;
    fn of(code: u32) -> Self;
    fn wide(self) -> u32;
    fn is_null(self) -> bool;
}

macro_rules! code {
    ($type:ty) => {
        impl Code for $type {
            const NONE: Self = Self::MAX;

            #[inline]
            #[allow(
                clippy::allow_attributes,
                clippy::cast_possible_truncation,
                reason = "a code that fits, or null, whose last bytes are those of null"
            )]
            fn of(code: u32) -> Self {
                code as Self
            }

            #[inline]
            fn wide(self) -> u32 {
                if self.is_null() { Column::NO_TEXT } else { self.into() }
            }

            #[inline]
            fn is_null(self) -> bool {
                self == Self::NONE
            }
        }
    };
}

code!(u8);
code!(u16);
code!(u32);

/// Does something with the codes as they lie in memory, whatever their width.
macro_rules! with_codes {
    ($codes:expr, $name:ident => $work:expr) => {
        match $codes {
            $crate::features::Codes::One($name) => $work,
            $crate::features::Codes::Two($name) => $work,
            $crate::features::Codes::Four($name) => $work,
        }
    };
}
pub(super) use with_codes;

impl Default for Codes {
    fn default() -> Self {
        Self::One(Vec::new())
    }
}

impl Codes {
    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        with_codes!(self, codes => codes.len())
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The code of a row; null beyond the end.
    #[must_use]
    #[inline]
    pub fn at(&self, row: usize) -> u32 {
        with_codes!(self, codes => codes.get(row).map_or(Column::NO_TEXT, |code| code.wide()))
    }

    /// The memory that they take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        with_codes!(self, codes => codes.capacity()) * self.width()
    }

    /// The bytes of a code.
    pub(super) const fn width(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Two(_) => 2,
            Self::Four(_) => 4,
        }
    }

    /// Appends a code.
    #[inline]
    pub(super) fn push(&mut self, code: u32) {
        if !self.takes(code) {
            self.widen_for(code);
        }
        with_codes!(self, codes => codes.push(Code::of(code)));
    }

    /// Appends so many nulls.
    pub(super) fn push_null(&mut self, n: usize) {
        with_codes!(self, codes => codes.resize(codes.len() + n, Code::NONE));
    }

    /// The codes of rows at places, in the order of the places.
    pub(super) fn gather(&self, places: &[u32]) -> Self {
        fn pick<C: Copy>(codes: &[C], places: &[u32]) -> Vec<C> {
            places.iter().map(|place| codes[*place as usize]).collect()
        }
        match self {
            Self::One(codes) => Self::One(pick(codes, places)),
            Self::Two(codes) => Self::Two(pick(codes, places)),
            Self::Four(codes) => Self::Four(pick(codes, places)),
        }
    }

    #[inline]
    const fn takes(&self, code: u32) -> bool {
        code == Column::NO_TEXT
            || match self {
                Self::One(_) => code < 0xff,
                Self::Two(_) => code < 0xffff,
                Self::Four(_) => true,
            }
    }

    #[cold]
    fn widen_for(&mut self, code: u32) {
        fn wider<C: Code>(codes: &Codes) -> Vec<C> {
            (0..codes.len()).map(|row| C::of(codes.at(row))).collect()
        }
        *self = if code < 0xffff { Self::Two(wider(self)) } else { Self::Four(wider(self)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_what_was_pushed_however_wide_they_became() {
        let mut codes = Codes::default();
        let pushed = [0, 254, Column::NO_TEXT, 255, 7, 65_534, Column::NO_TEXT, 65_535, 1 << 20];
        for (n, code) in pushed.into_iter().enumerate() {
            codes.push(code);
            assert_eq!(codes.width(), [1, 1, 1, 2, 2, 2, 2, 4, 4][n]);
            assert!((0..=n).all(|row| codes.at(row) == pushed[row]), "{n}: {codes:?}");
        }
        codes.push_null(2);
        assert_eq!(
            (codes.len(), codes.at(10), codes.at(11)),
            (11, Column::NO_TEXT, Column::NO_TEXT)
        );
        let gathered = codes.gather(&[8, 2, 0]);
        assert_eq!([0, 1, 2].map(|row| gathered.at(row)), [1 << 20, Column::NO_TEXT, 0]);
    }
}
