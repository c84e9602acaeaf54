//! A worked exercise: f = (x1 x2 sin x3 + exp(x1 x2)) / x3 at (1, 1.5, 2), by forward and by reverse mode.
//!
//! ```sh
//! cargo run --release --example worked_exercise
//! ```

use std::error::Error;

use cotangent::document::{TextPage, text};
use cotangent::scalar::format::{Notation, page};
use cotangent::scalar::{TraceRequest, parse, parse_point, trace};

fn main() -> Result<(), Box<dyn Error>> {
    // The formula becomes a graph; x1·x2 occurs twice and is one node.
    let formula = parse("(x1*x2*sin(x3) + exp(x1*x2))/x3")?;
    let operations = formula.graph().len() - formula.variables().len();
    println!("{} has {operations} operations on {} inputs.\n", formula.text(), formula.variables().len());

    let point = parse_point("x1=1, x2=1.5, x3=2")?;
    let found = trace(&formula, &point, &TraceRequest::default())?;

    // Forward mode: a sweep an input. A row's tangents are its derivatives by each input.
    println!("Forward mode, by x2: how fast each node changes as x2 does.");
    for row in &found.rows {
        println!("  v{:<3} = {:8.4}   changes by {:8.4}", row.number, row.value, row.tangents[1]);
    }

    // Reverse mode: one sweep for all inputs. A row's adjoint is the output's derivative by it.
    println!("\nReverse mode: how fast the output changes as each node does.");
    for row in found.rows.iter().rev() {
        let parts: Vec<String> = row.contributions.iter().map(|part| format!("{:.4}", part.amount)).collect();
        let parts = if parts.is_empty() { "1, the output's by itself".into() } else { parts.join(" + ") };
        println!("  adjoint of v{:<3} = {:8.4} = {parts}", row.number, row.adjoint);
    }

    println!("\nThe gradient: {:?}", found.gradient().collect::<Vec<_>>());
    println!("\nThe same as the command `trace` prints it:\n");
    print!("{}", text(&page(&found, Notation::Griewank, 4, None), TextPage::PLAIN));
    Ok(())
}
