//! Elementwise operations as handles write them: methods, and the operators of arithmetic.

use super::{Binary, Unary};
use crate::ops::{Op, Var};

impl<'g> Var<'g> {
    #[track_caller]
    pub(super) fn apply_unary(self, operation: Unary) -> Var<'g> {
        self.builder().apply(Op::Unary(operation), &[self])
    }

    /// `self` to the power `exponent`, elementwise, broadcast where shapes differ.
    #[track_caller]
    pub fn pow(self, exponent: impl Into<Operand<'g>>) -> Var<'g> {
        self.apply_binary(Binary::Pow, exponent)
    }

    /// The larger of `self` and `other`, elementwise, broadcast where shapes differ.
    #[track_caller]
    pub fn max(self, other: impl Into<Operand<'g>>) -> Var<'g> {
        self.apply_binary(Binary::Max, other)
    }

    /// The smaller of `self` and `other`, elementwise, broadcast where shapes differ.
    #[track_caller]
    pub fn min(self, other: impl Into<Operand<'g>>) -> Var<'g> {
        self.apply_binary(Binary::Min, other)
    }

    /// 1 where `self` is larger, ½ where `other` is equal, else 0; broadcast where shapes differ.
    #[track_caller]
    pub fn above(self, other: impl Into<Operand<'g>>) -> Var<'g> {
        self.apply_binary(Binary::Above, other)
    }

    /// √(`self`² + `other`²) without overflow on the way, elementwise, broadcast where shapes differ.
    #[track_caller]
    pub fn hypot(self, other: impl Into<Operand<'g>>) -> Var<'g> {
        self.apply_binary(Binary::Hypot, other)
    }

    /// The angle of the point (x, y) = (`x`, `self`), elementwise, broadcast where shapes differ.
    #[track_caller]
    pub fn atan2(self, x: impl Into<Operand<'g>>) -> Var<'g> {
        self.apply_binary(Binary::Atan2, x)
    }

    /// `self` / √(`self`² + `other`²), elementwise, broadcast where shapes differ.
    #[track_caller]
    pub fn direction(self, other: impl Into<Operand<'g>>) -> Var<'g> {
        self.apply_binary(Binary::Direction, other)
    }

    /// `other` / (`self`² + `other`²), elementwise, broadcast where shapes differ.
    #[track_caller]
    pub fn inversion(self, other: impl Into<Operand<'g>>) -> Var<'g> {
        self.apply_binary(Binary::Inversion, other)
    }

    /// `self` to the power `exponent` - 1, elementwise, broadcast where shapes differ.
    #[track_caller]
    pub fn power_below(self, exponent: impl Into<Operand<'g>>) -> Var<'g> {
        self.apply_binary(Binary::PowerBelow, exponent)
    }

    /// `self` to the power `exponent` - 2, elementwise, broadcast where shapes differ.
    #[track_caller]
    pub fn power_below2(self, exponent: impl Into<Operand<'g>>) -> Var<'g> {
        self.apply_binary(Binary::PowerBelow2, exponent)
    }

    /// `self` to the power `exponent`, times the logarithm of `self`, elementwise, broadcast where shapes differ.
    #[track_caller]
    pub fn power_log(self, exponent: impl Into<Operand<'g>>) -> Var<'g> {
        self.apply_binary(Binary::PowerLog, exponent)
    }

    /// `self` times the logarithm of `other`, 0 where `self` is; elementwise, broadcast where shapes differ.
    #[track_caller]
    pub fn xlogy(self, other: impl Into<Operand<'g>>) -> Var<'g> {
        self.apply_binary(Binary::XLogY, other)
    }

    #[track_caller]
    fn apply_binary(self, operation: Binary, other: impl Into<Operand<'g>>) -> Var<'g> {
        let other = other.into().on(self);
        let (a, b) = self.broadcast_with(other);
        self.builder().apply(Op::Binary(operation), &[a, b])
    }
}

/// The other side of a binary operation: a node, or a number that becomes a constant.
#[derive(Clone, Copy)]
pub enum Operand<'g> {
    /// A node of the same graph.
    Var(Var<'g>),
    /// A number.
    Number(f64),
}

impl<'g> Operand<'g> {
    fn on(self, side: Var<'g>) -> Var<'g> {
        match self {
            Self::Var(var) => var,
            Self::Number(number) => side.builder().constant(number),
        }
    }
}

impl<'g> From<Var<'g>> for Operand<'g> {
    fn from(var: Var<'g>) -> Self {
        Self::Var(var)
    }
}

impl From<f64> for Operand<'_> {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

macro_rules! overload {
    ($($Trait:ident $method:ident $variant:ident;)*) => {$(
        impl<'g, R: Into<Operand<'g>>> std::ops::$Trait<R> for Var<'g> {
            type Output = Var<'g>;
            #[track_caller]
            fn $method(self, other: R) -> Var<'g> {
                self.apply_binary(Binary::$variant, other)
            }
        }

        impl<'g> std::ops::$Trait<Var<'g>> for f64 {
            type Output = Var<'g>;
            #[track_caller]
            fn $method(self, other: Var<'g>) -> Var<'g> {
                other.builder().constant(self).apply_binary(Binary::$variant, other)
            }
        }
    )*};
}

overload! {
    Add add Add;
    Sub sub Sub;
    Mul mul Mul;
    Div div Div;
}

impl<'g> std::ops::Neg for Var<'g> {
    type Output = Var<'g>;
    #[track_caller]
    fn neg(self) -> Var<'g> {
        self.negate()
    }
}
