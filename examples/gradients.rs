//! Both modes of differentiation on one formula, and the second derivative.
//!
//! ```sh
//! cargo run --release --example gradients
//! ```

use cotangent::autodiff::{gradient, jvp};
use cotangent::ops::Builder;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // f(x₁, x₂, x₃) = (x₁ x₂ sin x₃ + exp(x₁ x₂)) / x₃
    let builder = Builder::new();
    let x = ["x1", "x2", "x3"].map(|name| builder.input(name, []));
    let product = x[0] * x[1];
    let f = (product * x[2].sin() + product.exp()) / x[2];

    // Reverse mode: one sweep gives all partial derivatives.
    let partials = gradient(f, x);
    // Forward mode: one sweep for a direction, here x₂.
    let tangent = jvp(&[f], &[(x[1], builder.constant(1.0))])[0].ok_or("f depends on x2")?;
    // The derivative is a graph like any other: differentiate it again.
    let [second] = gradient(partials[1], [x[1]]);

    let names = ["f", "df/dx1", "df/dx2", "df/dx3", "df/dx2 (forward)", "d2f/dx2^2"];
    let function = builder.finish(x, [f, partials[0], partials[1], partials[2], tangent, second])?;
    let values = function.call([&[1.0], &[1.5], &[2.0]])?;
    for (name, value) in names.iter().zip(values) {
        println!("{name:17} {:.4}", value[0]);
    }
    Ok(())
}
