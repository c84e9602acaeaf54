//! Elementwise operations: one row each.
//!
//! A row holds the name, the value at one element, and the derivative. The Jacobian of an
//! elementwise operation is diagonal, so its derivative is one rule for both modes: given `t`, the
//! tangent of the operand or the adjoint of the output, it returns t · ∂output/∂operand.

mod operators;
mod values;

use values::{
    above, cbrt_slope, direction, gaussian, inversion, larger, lowered, power_below, power_log, sech2,
    sigmoid, sigmoid_slope, sign, softplus, xlogy,
};

use super::{At, Draw, Rule, Tensor, Var};
use crate::float::Float;
use crate::graph::Shape;

macro_rules! unary_operations {
    // The rows before the line are functions of formulas, too.
    ($($function:ident $name:ident $about:literal |$a:ident| $of_a:expr, |$($at:tt),*| $slope:expr;)*
     ------ $($rest:tt)*) => {
        impl Unary {
            /// Those that are functions in their own right. The others are what derivative rules are made of, where a formula
            /// of functions would lose digits or overflow on the way.
            pub const FUNCTIONS: &[Self] = &[$(Self::$function),*];
        }

        unary_operations! {
            $($function $name $about |$a| $of_a, |$($at),*| $slope;)*
            $($rest)*
        }
    };
    ($($variant:ident $method:ident $doc:literal
        |$x:ident| $value:expr,
        |$t:tt, $at_x:tt, $at_y:tt| $rule:expr;)*) => {
        /// An operation on each element of one operand.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Unary { $(#[doc = $doc] $variant),* }

        impl Unary {
            /// All of them, for tests and benches.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// `output[i] = f(x[i])`.
            #[inline(always)]
            pub fn map<T: Float>(self, x: &[T], output: &mut [T]) {
                match self {
                    $(Self::$variant => for (out, &$x) in output.iter_mut().zip(x) { *out = $value; },)*
                }
            }

            fn differential<'g>(self, t: Var<'g>, x: Var<'g>, y: Var<'g>) -> Option<Var<'g>> {
                match self {
                    $(Self::$variant => {
                        let ($t, $at_x, $at_y) = (t, x, y);
                        $rule
                    })*
                }
            }

            fn label(self) -> &'static str {
                match self { $(Self::$variant => stringify!($method)),* }
            }
        }

        impl<'g> Var<'g> {
            $(#[doc = $doc]
            #[track_caller]
            pub fn $method(self) -> Var<'g> {
                self.apply_unary(Unary::$variant)
            })*
        }
    };
}

unary_operations! {
    //  t: what flows through, x: the operand, y: the result
    Neg     negate  "-x"                         |x| -x,                       |t, _, _| Some(-t);
    Exp     exp     "eˣ"                         |x| x.exponential(),          |t, _, y| Some(t * y);
    Ln      ln      "The natural logarithm."     |x| x.ln(),                   |t, x, _| Some(t / x);
    Log10   log10   "The logarithm to base 10."  |x| x.log10(),                |t, x, _| Some(t / std::f64::consts::LN_10 / x);
    Sin     sin     "The sine of radians."       |x| x.sin(),                  |t, x, _| Some(t * x.cos());
    Cos     cos     "The cosine of radians."     |x| x.cos(),                  |t, x, _| Some(-(t * x.sin()));
    Tan     tan     "The tangent of radians."    |x| x.tan(),                  |t, _, y| Some(t * (1.0 + y * y));
    Sqrt    sqrt    "√x"                         |x| x.sqrt(),                 |t, _, y| Some(t / (2.0 * y));
    Asin    asin    "The angle whose sine is x." |x| x.asin(),                 |t, x, _| Some(t * x.one_minus_square().pow(-0.5));
    Acos    acos    "The angle whose cosine is x."
                                                 |x| x.acos(),                 |t, x, _| Some(-(t * x.one_minus_square().pow(-0.5)));
    Atan    atan    "The angle whose tangent is x."
                                                 |x| x.atan(),                 |t, x, _| Some(t * x.inversion(1.0));
    Sinh    sinh    "The hyperbolic sine."       |x| x.sinh(),                 |t, x, _| Some(t * x.cosh());
    Cosh    cosh    "The hyperbolic cosine."     |x| x.cosh(),                 |t, x, _| Some(t * x.sinh());
    Tanh    tanh    "The hyperbolic tangent."    |x| x.hyperbolic_tangent(),   |t, x, _| Some(t * x.sech2());
    Sigmoid sigmoid "1 / (1 + e⁻ˣ)"              |x| sigmoid(x),               |t, x, _| Some(t * x.sigmoid_slope());
    Relu    relu    "max(x, 0), NaN where x is." |x| if x <= T::zero() { T::zero() } else { x },
                                                                               |t, _, y| Some(t * y.step());
    Step    step    "1 where x > 0, else 0: the derivative of relu, 0 at the kink."
                                                 |x| if x > T::zero() { T::one() } else { T::zero() },
                                                                               |_, _, _| None;
    Sign    sign    "-1 where x < 0, 1 where x > 0, else 0: the derivative of abs, 0 at the kink."
                                                 |x| sign(x),                  |_, _, _| None;
    Abs     abs     "|x|"                        |x| x.abs(),                  |t, x, _| Some(t * x.sign());
    Log2    log2    "The logarithm to base 2."   |x| x.log2(),                 |t, x, _| Some(t / std::f64::consts::LN_2 / x);
    Log1p   log1p   "ln(1 + x), exact near 0."   |x| x.ln_1p(),                |t, x, _| Some(t / (1.0 + x));
    Expm1   expm1   "eˣ - 1, exact near 0."      |x| x.exp_m1(),               |t, x, _| Some(t * x.exp());
    Cbrt    cbrt    "The cube root."             |x| x.cube_root(),            |t, x, _| Some(t * x.cbrt_slope());
    Softplus softplus "ln(1 + eˣ)"               |x| softplus(x),              |t, x, _| Some(t * x.sigmoid());
    Asinh   asinh   "The number whose hyperbolic sine is x."
                                                 |x| x.inverse_sinh(),         |t, x, _| Some(t * x.builder().constant(1.0).direction(x));
    Acosh   acosh   "The number ≥ 0 whose hyperbolic cosine is x."
                                                 |x| x.inverse_cosh(),         |t, x, _| Some(t * ((x - 1.0).pow(-0.5) * (x + 1.0).pow(-0.5)));
    Atanh   atanh   "The number whose hyperbolic tangent is x."
                                                 |x| x.inverse_tanh(),         |t, x, _| Some(t / x.one_minus_square());
    Sec     sec     "1 / cos x"                  |x| x.cos().recip(),          |t, x, y| Some(t * (y * x.tan()));
    Csc     csc     "1 / sin x"                  |x| x.sin().recip(),          |t, x, y| Some(-(t * (y / x.tan())));
    Cot     cot     "1 / tan x"                  |x| x.tan().recip(),          |t, x, _| Some(-(t * (x.csc() * x.csc())));
    Erf     erf     "The error function, 2/√π ∫₀ˣ e^(-u²) du."
                                                 |x| x.error_function(),       |t, x, _| Some(t * (std::f64::consts::FRAC_2_SQRT_PI * x.gaussian()));
    ------ // what derivatives are made of
    Gaussian gaussian "e^(-x²): the derivative of erf, but for its factor."
                                                 |x| gaussian(x),              |t, x, y| Some(-(t * (2.0 * x * y)));
    CbrtSlope cbrt_slope "1 / (3 ∛x²): the derivative of the cube root."
                                                 |x| cbrt_slope(x),            |t, x, y| Some(-(t * (2.0 / 3.0 * (y / x))));
    SigmoidSlope sigmoid_slope "σ(x) σ(-x): the derivative of the logistic function σ."
                                                 |x| sigmoid_slope(x),         |t, x, y| Some(-(t * ((0.5 * x).tanh() * y)));
    Sech2   sech2   "1 / cosh² x: the derivative of tanh."
                                                 |x| sech2(x),                 |t, x, y| Some(-(t * (2.0 * x.tanh() * y)));
    OneMinusSquare one_minus_square "1 - x², rounded once: the inverse of the derivative of atanh."
                                                 |x| (-x).mul_add(x, T::one()), |t, x, _| Some(-(t * (2.0 * x)));
}

macro_rules! binary_operations {
    ($($function:ident $name:literal $about:literal |$x:ident, $y:ident| $of_both:expr, |$($at:tt),*| [$($slope:expr),*];)*
     ------ $($rest:tt)*) => {
        impl Binary {
            /// Those that are functions in their own right, as [`Unary::FUNCTIONS`].
            pub const FUNCTIONS: &[Self] = &[$(Self::$function),*];
        }

        binary_operations! {
            $($function $name $about |$x, $y| $of_both, |$($at),*| [$($slope),*];)*
            $($rest)*
        }
    };
    ($($variant:ident $label:literal $doc:literal
        |$a:ident, $b:ident| $value:expr,
        |$t:tt, $at_a:tt, $at_b:tt, $at_y:tt| [$rule_a:expr, $rule_b:expr];)*) => {
        /// An operation on the matching elements of two operands of one shape.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Binary { $(#[doc = $doc] $variant),* }

        impl Binary {
            /// All of them, for tests and benches.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// `output[i] = f(a[i], b[i])`.
            #[inline(always)]
            pub fn map<T: Float>(self, a: &[T], b: &[T], output: &mut [T]) {
                match self {
                    $(Self::$variant => for ((out, &$a), &$b) in output.iter_mut().zip(a).zip(b) { *out = $value; },)*
                }
            }

            fn differential<'g>(
                self,
                k: usize,
                t: Var<'g>,
                a: Var<'g>,
                b: Var<'g>,
                y: Var<'g>,
            ) -> Option<Var<'g>> {
                match self {
                    $(Self::$variant => {
                        let ($t, $at_a, $at_b, $at_y) = (t, a, b, y);
                        if k == 0 { $rule_a } else { $rule_b }
                    })*
                }
            }

            fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),* }
            }
        }
    };
}

binary_operations! {
    //  t: what flows through, a and b: the operands, y: the result; the rules for a and for b
    Add "add" "a + b" |a, b| a + b,     |t, _, _, _| [Some(t), Some(t)];
    Sub "sub" "a - b" |a, b| a - b,     |t, _, _, _| [Some(t), Some(-t)];
    Mul "mul" "a · b" |a, b| a * b,     |t, a, b, _| [Some(t * b), Some(t * a)];
    Div "div" "a / b" |a, b| a / b,     |t, _, b, y| [Some(t / b), Some(-(t * y / b))];
    Pow "pow" "aᵇ"    |a, b| a.powf(b), |t, a, b, _| [power_rule(t, a, b), Some(t * a.power_log(b))];
    // Where the operands are equal each takes half of what flows, so that max(x, x) has derivative 1.
    Max   "max"   "The larger, NaN where an operand is."
                  |a, b| larger(a, b),   |t, a, b, _| [Some(t * a.above(b)), Some(t - t * a.above(b))];
    Min   "min"   "The smaller, NaN where an operand is."
                  |a, b| -larger(-a, -b), |t, a, b, _| [Some(t * b.above(a)), Some(t - t * b.above(a))];
    Above "above" "1 where a > b, ½ where a = b, else 0: the derivative of max by a."
                  |a, b| above(a, b),    |_, _, _, _| [None, None];
    Hypot "hypot" "√(a² + b²), without overflow on the way."
                  |a, b| a.hypot(b),     |t, a, b, _| [Some(t * a.direction(b)), Some(t * b.direction(a))];
    Atan2 "atan2" "The angle of the point at a upwards and b to the right, from -π to π."
                  |a, b| a.atan2(b),     |t, a, b, _| [Some(t * a.inversion(b)), Some(-(t * b.inversion(a)))];
    ------ // what derivatives are made of
    Direction "direction" "a / √(a² + b²): the derivative of hypot by a."
                  |a, b| direction(a, b), |t, a, b, _| [Some(t * (b.direction(a) * a.inversion(b))),
                                                        Some(-(t * (b.direction(a) * b.inversion(a))))];
    Inversion "inversion" "b / (a² + b²): the derivative of atan2 by a, and of atan at b = 1."
                  |a, b| inversion(a, b), |t, a, b, y| [Some(-(t * (2.0 * y * b.inversion(a)))),
                                                        Some(t * (b.inversion(a) * b.inversion(a) - y * y))];
    PowerBelow "power_below" "aᵇ⁻¹, also where b - 1 is not exact; 0 at a = b = 0."
                  |a, b| power_below(a, b, 1), |t, a, b, y| [Some(t * ((b - 1.0) * a.power_below2(b))),
                                                             Some(t * y.xlogy(a))];
    PowerBelow2 "power_below2" "aᵇ⁻², also where b - 2 is not exact; 0 at a = 0 and b of 0 or 1."
                  |a, b| power_below(a, b, 2), |t, a, b, y| [Some(t * ((b - 2.0) * (y / a))), Some(t * y.xlogy(a))];
    PowerLog "power_log" "aᵇ ln a, 0 at a = 0 and b > 0: the derivative of aᵇ by b."
                  |a, b| power_log(a, b), |t, a, b, y| [Some(t * (a.power_below(b) + b * a.power_below(b).xlogy(a))),
                                                        Some(t * y.xlogy(a))];
    XLogY "xlogy" "a ln b, 0 at a = b = 0."
                  |a, b| xlogy(a, b),    |t, a, b, _| [Some(t.xlogy(b)), Some(t * (a / b))];
}

/// t · b aᵇ⁻¹. A constant exponent of 0 lets nothing through, where the product would be 0 · ∞ at a = 0; so
/// polynomials have all their derivatives everywhere. Their lowest powers are written as one does by hand.
fn power_rule<'g>(t: Var<'g>, a: Var<'g>, b: Var<'g>) -> Option<Var<'g>> {
    let number = b.constant_value();
    match (number, number.and_then(|exponent| lowered(exponent, 1))) {
        (Some(0.0), _) => None,
        (Some(1.0), _) => Some(t),
        (Some(2.0), _) => Some(t * (2.0 * a)),
        (Some(exponent), Some(lowered)) => Some(t * (exponent * a.pow(lowered))),
        _ => Some(t * (b * a.power_below(b))),
    }
}

impl Rule for Unary {
    fn name(&self) -> &'static str {
        self.label()
    }

    fn arity(&self) -> usize {
        1
    }

    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        Ok(inputs[0].clone())
    }

    fn jvp<'g>(&self, _: usize, tangent: Var<'g>, at: At<'_, 'g>) -> Option<Var<'g>> {
        self.differential(tangent, at.inputs[0], at.output)
    }

    fn evaluate<T: Float>(&self, inputs: &[Tensor<'_, T>], _: Draw, output: &mut [T]) {
        self.map(inputs[0].data, output);
    }
}

impl Rule for Binary {
    fn name(&self) -> &'static str {
        self.label()
    }

    fn arity(&self) -> usize {
        2
    }

    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        if inputs[0] != inputs[1] {
            return Err("the shapes must be equal, or such that one broadcasts to the other".into());
        }
        Ok(inputs[0].clone())
    }

    fn jvp<'g>(&self, k: usize, tangent: Var<'g>, at: At<'_, 'g>) -> Option<Var<'g>> {
        self.differential(k, tangent, at.inputs[0], at.inputs[1], at.output)
    }

    fn evaluate<T: Float>(&self, inputs: &[Tensor<'_, T>], _: Draw, output: &mut [T]) {
        self.map(inputs[0].data, inputs[1].data, output);
    }
}
