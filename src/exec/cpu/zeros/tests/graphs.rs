//! Random graphs of matrices, with gradients and stores: rewritten, they give the same values.

use super::{Random, rewritten};
use crate::autodiff::vjp;
use crate::exec::cpu::Interpreter;
use crate::exec::{Arena, Plan, Wanted};
use crate::graph::{NodeId, Shape};
use crate::ops::{self, Builder, Draw, Function, Graph, Var};

const DRAW: Draw = Draw { seed: 5, step: 6 };

struct Generator<'g> {
    random: Random,
    builder: &'g Builder,
    images: Var<'g>,
    /// Inputs that gradients are wanted by.
    variables: Vec<Var<'g>>,
    /// What can be read: matrices, bounded, images apart.
    matrices: Vec<Var<'g>>,
    /// Products without a bias.
    products: Vec<Var<'g>>,
}

impl<'g> Generator<'g> {
    fn extent(&mut self) -> usize {
        [1, 2, 3, 3, 3, 5][self.random.below(6)]
    }

    fn variable(&mut self, shape: impl Into<Shape>) -> Var<'g> {
        let variable = self.builder.input(&format!("variable {}", self.variables.len()), shape);
        self.variables.push(variable);
        variable
    }

    fn matrix(&mut self) -> Var<'g> {
        self.matrices[self.random.below(self.matrices.len())]
    }

    /// A product in any of the four cases, with a matrix that fits: one that there is, or a new variable.
    fn product(&mut self) -> Var<'g> {
        let reads_images = self.random.below(3) == 0;
        let x = if reads_images { self.images } else { self.matrix() };
        let (is_first, x_flipped, y_flipped) =
            (self.random.below(4) > 0, self.random.below(4) == 0, self.random.below(3) > 0);
        // The axis of x that is summed over, and where it lies in the other operand.
        let inner = x.shape()[usize::from(is_first != x_flipped)];
        let axis = usize::from(is_first == y_flipped);
        let fits: Vec<Var<'g>> = self.matrices.iter().copied().filter(|y| y.shape()[axis] == inner).collect();
        let y = if fits.is_empty() || self.random.below(2) == 0 {
            let outer = self.extent();
            let extents = if axis == 0 { [inner, outer] } else { [outer, inner] };
            self.variable(extents)
        } else {
            fits[self.random.below(fits.len())]
        };
        let ([a, b], [ta, tb]) =
            if is_first { ([x, y], [x_flipped, y_flipped]) } else { ([y, x], [y_flipped, x_flipped]) };
        let product = match (ta, tb) {
            (false, false) => a.matmul(b),
            (false, true) => a.matmul_nt(b),
            (true, false) => a.matmul_tn(b),
            (true, true) => a.matmul_tt(b),
        };
        if self.random.below(6) == 0 {
            self.matrices.push(product.tanh());
        }
        self.products.push(product);
        // Often with a bias, of the rows or of the columns.
        match self.random.below(6) {
            0..=2 => product + self.variable([product.shape()[1]]),
            3 => product + self.variable([product.shape()[0]]).broadcast_along(&[1], product.shape()),
            _ => product,
        }
    }

    fn operation(&mut self) -> Var<'g> {
        let x = self.matrix();
        let shape = x.shape();
        let (rows, columns) = (shape[0], shape[1]);
        match self.random.below(24) {
            0..=8 => self.product().tanh(),
            9 => x.sin(),
            10 => (x + 0.3).relu(),
            11 | 12 => x.t(),
            13 | 14 => {
                let alike: Vec<Var<'g>> =
                    self.matrices.iter().copied().filter(|y| y.shape() == shape).collect();
                let y = alike[self.random.below(alike.len())];
                if self.random.below(2) == 0 { 0.5 * (x + y) } else { x * y }
            }
            15 => 0.5 * (x + self.variable(shape)),
            16 => x - x.sum_axes(&[0]) * (1.0 / rows as f64),
            17 => x - (x.sum_axes(&[1]) * (1.0 / columns as f64)).broadcast_along(&[1], shape),
            18 => x - x.sum() * (1.0 / shape.size() as f64),
            19 => x.softmax(),
            20 => 0.5 * x.dropout(0.25, self.matrices.len() as u32),
            21 => x.reshape([columns, rows]),
            22 => x * self.variable([]).tanh(),
            // Rarely what keeps images from being rewritten.
            _ if self.random.below(4) == 0 => self.images.cos(),
            _ => x.cos(),
        }
    }
}

/// A function of images, in front, and other inputs, all of two axes at most, which stores into some of these.
fn random_function(seed: u64) -> Function<Vec<NodeId>, Vec<NodeId>> {
    let builder = Builder::new();
    let mut random = Random::new(seed);
    let size = 4 + random.below(14);
    let images = builder.input("images", [1 + random.below(4), 3]);
    let (variables, matrices, products) = (Vec::new(), Vec::new(), Vec::new());
    let mut generator = Generator { random, builder: &builder, images, variables, matrices, products };
    let first = generator.variable([3, 3]);
    generator.matrices.push(first);
    let first = generator.product().tanh();
    generator.matrices.push(first);
    for _ in 0..size {
        let result = generator.operation();
        generator.matrices.push(result);
    }
    let Generator { mut random, variables, matrices, products, .. } = generator;
    // Nobody needs this, so it keeps nobody from anything.
    let _ = images.sin();
    let last = matrices[matrices.len() - 1];
    let loss =
        (last * last).sum() + matrices.iter().map(|x| x.mean()).reduce(|sum, x| sum + x).unwrap().sin();
    let adjoints = vjp(loss, builder.constant(1.0), &variables);
    let alpha = builder.input("alpha", []);
    let (mut inputs, mut outputs) = ([&[images, alpha], &variables[..]].concat(), vec![loss, last]);
    for &variable in &variables {
        let Some(gradient) = adjoints.of(variable) else { continue };
        let shape = variable.shape();
        match random.below(6) {
            0 => outputs.push(gradient),
            1 if shape.len() == 2 && shape[0] == shape[1] => builder.store(variable - gradient.t(), variable),
            2 => builder.store(gradient * 0.5, variable),
            _ => {
                let state = builder.input("state", shape);
                let moved = 0.9 * state + gradient;
                builder.store(moved, state);
                builder.store(variable - alpha * moved / (1.0 + (moved * moved).sqrt()), variable);
                inputs.push(state);
            }
        }
    }
    outputs.extend(products.into_iter().filter(|_| random.below(8) == 0));
    if random.below(2) == 0 {
        outputs.push(matrices[random.below(matrices.len())]);
    }
    builder.finish(inputs, outputs).unwrap()
}

fn transpose(values: &[f64], shape: &Shape) -> Vec<f64> {
    let (rows, columns) = (shape[0], shape[1]);
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}

/// The nodes that nothing needs, inputs apart.
fn dead(graph: &Graph, wanted: &[NodeId]) -> usize {
    let needed = graph.ancestors(wanted);
    graph.ids().filter(|&id| !needed[id.index()] && !graph.is_input(id)).count()
}

#[test]
fn random_graphs_keep_their_values_and_stores() {
    const CASES: u64 = 1000;
    let (mut sparse_ones, mut transposed_ones, mut stores) = (0, 0, 0);
    for seed in 0..CASES {
        let given = random_function(seed);
        let mut random = Random::new(seed + (1 << 32));
        let background = -0.37;
        let values: Vec<Vec<f64>> =
            given.inputs.iter().map(|&input| random.numbers(given.graph[input].shape.size())).collect();
        let deviations: Vec<f64> = values[0].iter().map(|&x| if x < 0.4 { 0.0 } else { x }).collect();

        let mut expected = Interpreter::new(&given.graph);
        expected.set(given.inputs[0], &deviations.iter().map(|x| x + background).collect::<Vec<_>>());
        for (&input, values) in given.inputs.iter().zip(&values).skip(1) {
            expected.set(input, values);
        }
        expected.run(0..given.graph.len(), DRAW);

        let found = rewritten(&given);
        ops::check(&found.graph).unwrap();
        let wanted: Vec<NodeId> =
            found.outputs.iter().copied().chain(found.stores.iter().map(|store| store.value)).collect();
        assert_eq!(dead(&found.graph, &wanted), 0, "seed {seed}:\n{}\n{}", given.graph, found.graph);
        let mostly_zero: Vec<NodeId> = found.sparse.iter().map(|sparse| sparse.deviations).collect();
        let plan = Plan::with_zeros(&found.graph, Wanted::outputs(&wanted), &mostly_zero);
        let mut arena = Arena::new(plan.arena());
        let mut nonzeros = plan.nonzeros();
        match found.sparse {
            Some(sparse) => {
                nonzeros[0].fill(&deviations);
                arena[plan.place(sparse.background)].fill(background);
            }
            None => {
                let images = &mut arena[plan.place(found.inputs[0].node)];
                images.iter_mut().zip(&deviations).for_each(|(image, x)| *image = x + background);
            }
        }
        for ((input, values), &old) in found.inputs.iter().zip(&values).zip(&given.inputs).skip(1) {
            assert_eq!(found.graph.name(input.node), given.graph.name(old));
            let place = &mut arena[plan.place(input.node)];
            match input.transposed {
                true => place.copy_from_slice(&transpose(values, &given.graph[old].shape)),
                false => place.copy_from_slice(values),
            }
        }
        plan.run_part(0..plan.instructions().len(), &mut arena, &mut nonzeros, DRAW);

        let scale =
            given.graph.ids().flat_map(|id| expected.get(id)).fold(1.0, |max: f64, x| max.max(x.abs()));
        let compare = |what: &str, found: &[f64], expected: &[f64]| {
            assert_eq!(found.len(), expected.len(), "seed {seed}, {what}");
            for (found, expected) in found.iter().zip(expected) {
                let error = (found - expected).abs();
                assert!(error <= 1e-12 * scale, "seed {seed}, {what}: {found}, not {expected}");
            }
        };
        for (&output, &old) in found.outputs.iter().zip(&given.outputs) {
            compare("an output", &arena[plan.place(output)], expected.get(old));
        }
        assert_eq!(found.stores.len(), given.stores.len());
        for (store, old) in found.stores.iter().zip(&given.stores) {
            let position = given.inputs.iter().position(|&input| input == old.into).unwrap();
            let input = found.inputs[position];
            assert_eq!(store.into, input.node);
            let values = &arena[plan.place(store.value)];
            match input.transposed {
                true => compare(
                    "a transposed store",
                    &transpose(values, plan.shape(store.value)),
                    expected.get(old.value),
                ),
                false => compare("a store", values, expected.get(old.value)),
            }
        }
        sparse_ones += usize::from(found.sparse.is_some());
        transposed_ones += usize::from(found.inputs.iter().any(|input| input.transposed));
        stores += found.stores.len();
    }
    assert!(
        sparse_ones > 350 && transposed_ones > 600 && stores > 5000,
        "{sparse_ones} {transposed_ones} {stores}"
    );
}
