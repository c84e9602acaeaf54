//! Both modes on small graphs whose derivatives are known by hand: nodes used more than once, nodes
//! that depend on nothing, kinks, and derivatives of derivatives.

use cotangent::autodiff::{gradient, jvp, vjp};
use cotangent::ops::{Builder, Var};

use crate::support::assert_close;

/// The derivative of a function of one number in both modes.
fn derivative(f: impl for<'g> Fn(Var<'g>) -> Var<'g>, x: f64) -> [f64; 2] {
    let builder = Builder::new();
    let input = builder.input("x", []);
    let y = f(input);
    let forward = jvp(&[y], &[(input, builder.constant(1.0))])[0].unwrap();
    let [reverse] = gradient(y, [input]);
    let derivative = builder.finish(input, [forward, reverse]).unwrap();
    derivative.call(&[x]).unwrap().map(|mode| mode[0])
}

#[test]
fn a_node_used_twice_by_one_operation_counts_twice() {
    assert_eq!(derivative(|x| -3.0 * (x * x), 1.5), [-9.0; 2]);
    assert_eq!(derivative(|x| 5.0 * (x + x), 1.5), [10.0; 2]);
    assert_eq!(derivative(|x| 5.0 * (x - x), 1.5), [0.0; 2]);
    assert_eq!(derivative(|x| 5.0 * (x / x), 1.5), [0.0; 2]);
}

#[test]
fn a_node_used_three_times_gathers_three_contributions() {
    // f = u sin v + u² with u = v = 2x: three uses of u.
    fn f(x: Var<'_>) -> Var<'_> {
        let u = 2.0 * x;
        u * u.sin() + u * u
    }
    let (u, x) = (1.4_f64, 0.7);
    let expected = 2.0 * (u.sin() + u * u.cos() + 2.0 * u);
    for mode in derivative(f, x) {
        assert_close("f'", &[mode], &[expected], 1e-14);
    }
    // x·x·x, each factor the same node.
    assert_eq!(derivative(|x| x * x * x, 2.0), [12.0; 2]);
}

#[test]
fn a_diamond_adds_what_both_branches_contribute() {
    // f = (3u)(u + 4), u = x², at x = 2: f' = (3(u + 4) + 3u)·2x = 144.
    fn f(x: Var<'_>) -> Var<'_> {
        let u = x * x;
        (3.0 * u) * (u + 4.0)
    }
    assert_eq!(derivative(f, 2.0), [144.0; 2]);
}

#[test]
fn a_matrix_times_itself_has_both_contributions() {
    let builder = Builder::new();
    let x = builder.input("x", [2, 2]);
    let w = builder.input("w", [2, 2]);
    let adjoint = builder.finish([x, w], vjp(x.matmul(x), w, &[x]).get(x)).unwrap();
    // W Xᵀ + Xᵀ W by hand.
    let found = adjoint.call([&[1.0, 2.0, 3.0, 4.0], &[1.0, 0.0, 0.0, 10.0]]).unwrap();
    assert_eq!(found, [2.0, 33.0, 22.0, 80.0]);
}

#[test]
fn kinks_have_the_derivative_zero() {
    assert_eq!(derivative(|x| 3.0 * x.relu(), 0.0), [0.0; 2]);
    assert_eq!(derivative(|x| 3.0 * x.relu(), -0.0), [0.0; 2]);
    assert_eq!(derivative(|x| 3.0 * x.abs(), 0.0), [0.0; 2]);
    assert_eq!(derivative(|x| 3.0 * x.relu(), 1e-300), [3.0; 2]);
    assert_eq!(derivative(|x| 3.0 * x.abs(), -1e-300), [-3.0; 2]);
}

#[test]
fn nan_is_not_lost_in_a_derivative() {
    let functions: [for<'g> fn(Var<'g>) -> Var<'g>; 5] =
        [|x| x.exp(), |x| x.sigmoid(), |x| x.tanh(), |x| x * x, |x| x.relu() * x];
    for f in functions {
        assert!(derivative(f, f64::NAN).iter().all(|mode| mode.is_nan()));
    }
}

#[test]
fn a_power_moves_with_its_base_and_with_its_exponent() {
    // d(x^y) = y x^(y−1) dx + x^y ln x dy, and x^x has both at once.
    let builder = Builder::new();
    let (x, y) = (builder.input("x", []), builder.input("y", []));
    let gradient = builder.finish([x, y], gradient(2.0 * x.pow(y), [x, y])).unwrap();
    let found = gradient.call([&[3.0], &[2.0]]).unwrap().concat();
    assert_close("∇x^y", &found, &[12.0, 18.0 * 3f64.ln()], 1e-14);
    for mode in derivative(|x| x.pow(x), 2.0) {
        assert_close("(x^x)'", &[mode], &[4.0 * (1.0 + 2f64.ln())], 1e-14);
    }
    assert_eq!(derivative(|x| x.pow(2.0), -3.0), [-6.0; 2], "a constant exponent takes no logarithm");
    assert_eq!(derivative(|x| x.pow(2.0), 0.0), [0.0; 2]);
    assert_eq!(derivative(|x| x.pow(1.0), 0.0), [1.0; 2]);
}

#[test]
fn nothing_flows_from_what_an_output_does_not_depend_on() {
    let builder = Builder::new();
    let (x, other) = (builder.input("x", [3]), builder.input("other", [2, 2]));
    let constant = builder.constant(4.0);
    let y = (x * constant).sum();
    assert!(jvp(&[y], &[(other, other)])[0].is_none());
    assert!(jvp(&[constant], &[(x, x)])[0].is_none());
    let adjoints = vjp(y, builder.constant(1.0), &[other]);
    assert!(adjoints.of(other).is_none() && adjoints.of(x).is_none() && adjoints.of(y).is_none());
    let adjoints = vjp(y, builder.constant(1.0), &[x]);
    assert!(adjoints.of(x).is_some() && adjoints.of(constant).is_none(), "nobody asked for the constant's");
    let [of_x, of_other] = gradient(y, [x, other]);
    assert_eq!(of_other.shape(), other.shape());
    let found = builder.finish(x, [of_x, of_other]).unwrap().call(&[1.0; 3]).unwrap();
    assert_eq!(found, [vec![4.0; 3], vec![0.0; 4]]);
}

#[test]
fn an_output_that_is_an_input_has_its_tangent_and_its_adjoint() {
    let builder = Builder::new();
    let (x, t) = (builder.input("x", [2]), builder.input("t", [2]));
    assert_eq!(jvp(&[x], &[(x, t)]), [Some(t)]);
    assert_eq!(vjp(x, t, &[x]).of(x), Some(t));
}

#[test]
fn derivatives_can_be_taken_at_a_node_inside_the_graph() {
    // At u = x²: d(3u + x)/du = 3, whatever x does.
    let builder = Builder::new();
    let x = builder.input("x", []);
    let u = x * x;
    let y = 3.0 * u + x;
    let forward = jvp(&[y], &[(u, builder.constant(1.0))])[0].unwrap();
    let [reverse] = gradient(y, [u]);
    let slopes = builder.finish(x, [forward, reverse]).unwrap();
    assert_eq!(slopes.call(&[5.0]).unwrap(), [[3.0], [3.0]]);
}

#[test]
fn derivatives_of_every_order_follow_by_differentiating_again() {
    // e^(2x): the n-th derivative is 2ⁿ e^(2x). Modes alternate.
    let builder = Builder::new();
    let x = builder.input("x", []);
    let mut orders = vec![(2.0 * x).exp()];
    for order in 0..6 {
        let last = orders[order];
        orders.push(match order % 2 {
            0 => gradient(last, [x])[0],
            _ => jvp(&[last], &[(x, builder.constant(1.0))])[0].unwrap(),
        });
    }
    let found = builder.finish(x, orders).unwrap().call(&[0.3]).unwrap();
    for (order, value) in found.into_iter().enumerate() {
        let expected = 2f64.powi(order as i32) * 0.6f64.exp();
        assert_close(&format!("derivative {order}"), &value, &[expected], 1e-14);
    }
}

#[test]
fn powers_with_a_whole_exponent_have_all_their_derivatives_at_zero() {
    // x³: 0, 0, 6 and 0 at x = 0, where a naive rule multiplies 0 by ∞.
    let builder = Builder::new();
    let x = builder.input("x", []);
    let mut orders = vec![x.pow(3.0)];
    for order in 0..4 {
        orders.push(gradient(orders[order], [x])[0]);
    }
    let orders = builder.finish(x, orders).unwrap();
    assert_eq!(orders.call(&[0.0]).unwrap().concat(), [0.0, 0.0, 0.0, 6.0, 0.0]);
    assert_eq!(orders.call(&[-2.0]).unwrap().concat(), [-8.0, 12.0, -12.0, 6.0, 0.0]);
}

#[test]
fn handles_of_another_graph_are_refused() {
    let other = Builder::new();
    let foreign = other.input("x", []);
    for reverse in [false, true] {
        let builder = Builder::new();
        let x = builder.input("x", []);
        let y = x.exp();
        if reverse {
            vjp(y, builder.constant(1.0), &[foreign]);
        } else {
            jvp(&[y], &[(foreign, builder.constant(1.0))]);
        }
        let error = builder.finish((), ()).unwrap_err().to_string();
        assert!(
            error.contains("\"x\" belongs to another builder's graph")
                && error.contains("differentiation.rs"),
            "{error}"
        );
    }
}

#[test]
fn a_tangent_or_adjoint_of_another_shape_is_refused() {
    for reverse in [false, true] {
        let builder = Builder::new();
        let x = builder.input("x", [3]);
        let y = x.exp();
        let wrong = builder.input("wrong", [2]);
        if reverse {
            vjp(y, wrong, &[x]);
        } else {
            jvp(&[y], &[(x, wrong)]);
        }
        let error = builder.finish((), ()).unwrap_err().to_string();
        assert!(error.contains("[2] and [3]") && error.contains("differentiation.rs"), "{error}");
    }
}
