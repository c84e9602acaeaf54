//! A perceptron's step, rewritten, is bit by bit the step that one writes by hand for products that leave out zeros.

use super::{Random, rewritten};
use crate::autodiff::vjp;
use crate::exec::instruction::{Instruction, Work};
use crate::exec::{Arena, Plan, Wanted};
use crate::float::Float;
use crate::graph::NodeId;
use crate::ops::{Builder, Draw, Function, Graph, Rule, Var};

type Activation = for<'g> fn(Var<'g>) -> Var<'g>;

#[derive(Clone, Debug)]
struct Network {
    widths: &'static [usize],
    activation: Activation,
    dropout: f64,
    batch: usize,
}

impl Network {
    /// Losses and logits, and in training a step of momentum. Inputs are images, labels, the learning rate, parameters and
    /// their momenta; and behind them the background, where the form is `by_hand`: images as what deviates from it, and
    /// weights (in, out).
    fn step(&self, training: bool, by_hand: bool) -> Function<Vec<NodeId>, Vec<NodeId>> {
        let builder = Builder::new();
        let images = builder.input("images", [self.batch, self.widths[0]]);
        let labels = builder.input("labels", [self.batch]);
        let background = builder.input("background", []);
        let alpha = builder.input("alpha", []);
        let mut parameters = Vec::new();
        for pair in self.widths.windows(2) {
            let weight = if by_hand { [pair[0], pair[1]] } else { [pair[1], pair[0]] };
            parameters.extend([builder.input("weight", weight), builder.input("bias", [pair[1]])]);
        }
        let mut hidden = images;
        for (layer, pair) in parameters.chunks_exact(2).enumerate() {
            if layer > 0 {
                hidden = (self.activation)(hidden);
                if training && self.dropout > 0.0 {
                    hidden = hidden.dropout(self.dropout, layer as u32 - 1);
                }
            }
            let (weight, bias) = (pair[0], pair[1]);
            hidden = match (by_hand, layer) {
                (false, _) => hidden.matmul_nt(weight) + bias,
                (true, 0) => hidden.matmul(weight) + (weight.sum_axes(&[0]) * background + bias),
                (true, _) => hidden.matmul(weight) + bias,
            };
        }
        let losses = hidden.softmax_cross_entropy(labels);
        let mut inputs = [&[images, labels, alpha], &parameters[..]].concat();
        if training {
            let adjoints = vjp(losses.mean(), builder.constant(1.0), &parameters);
            let gradients: Vec<Var<'_>> =
                parameters.iter().map(|&parameter| adjoints.get(parameter)).collect();
            for (&parameter, gradient) in parameters.iter().zip(gradients) {
                let momentum = builder.input("momentum", parameter.shape());
                let moved = 0.9 * momentum + gradient;
                builder.store(moved, momentum);
                builder.store(parameter - alpha * moved, parameter);
                inputs.push(momentum);
            }
        }
        inputs.extend(by_hand.then_some(background));
        builder.finish(inputs, vec![losses, hidden]).unwrap()
    }

    /// Deviations of which four of five are zero, labels and a learning rate.
    fn data(&self, random: &mut Random) -> Vec<Vec<f64>> {
        let deviations = self.batch * self.widths[0];
        let deviations = (0..deviations).map(|_| if random.below(5) == 0 { random.number() } else { 0.0 });
        let classes = self.widths[self.widths.len() - 1];
        let deviations = deviations.collect();
        vec![deviations, (0..self.batch).map(|_| random.below(classes) as f64).collect(), vec![0.125]]
    }
}

const BACKGROUND: f64 = -0.4242;

/// A step whose images are deviations, planned.
struct Planned {
    plan: Plan,
    inputs: Vec<NodeId>,
    background: NodeId,
    outputs: Vec<NodeId>,
}

impl Planned {
    fn new(graph: &Graph, inputs: Vec<NodeId>, background: NodeId, outputs: Vec<NodeId>) -> Self {
        let plan = Plan::with_zeros(graph, Wanted::outputs(&outputs), &inputs[..1]);
        Self { plan, inputs, background, outputs }
    }

    fn by_hand(network: &Network, training: bool) -> Self {
        let Function { graph, mut inputs, mut outputs, stores } = network.step(training, true);
        outputs.extend(stores.iter().map(|store| store.value));
        let background = inputs.pop().unwrap();
        Self::new(&graph, inputs, background, outputs)
    }

    fn rewritten(network: &Network, training: bool) -> Self {
        let mut step = rewritten(&network.step(training, false));
        for input in &step.inputs[1..] {
            assert_eq!(input.transposed, step.graph[input.node].shape.len() == 2, "{input:?}");
        }
        let sparse = step.sparse.unwrap();
        assert_eq!(step.inputs[0].node, sparse.deviations);
        step.outputs.extend(step.stores.iter().map(|store| store.value));
        let inputs = step.inputs.iter().map(|input| input.node).collect();
        Self::new(&step.graph, inputs, sparse.background, step.outputs)
    }

    /// The outputs, and what is stored. Of inputs of which nothing is said, values are drawn.
    fn run<T: Float>(&self, network: &Network) -> Vec<Vec<T>> {
        let mut random = Random::new(7);
        let of = |values: Vec<f64>| values.into_iter().map(T::of).collect::<Vec<T>>();
        let data = network.data(&mut random);
        let sizes = self.inputs[data.len()..].iter().map(|&input| self.plan.shape(input).size());
        let drawn: Vec<_> = sizes.map(|size| random.numbers(size)).collect();
        let mut values = data.into_iter().chain(drawn).map(of);
        let mut arena = Arena::new(self.plan.arena());
        let mut nonzeros = self.plan.nonzeros();
        nonzeros[0].fill(&values.next().unwrap());
        for (&input, values) in self.inputs[1..].iter().zip(values) {
            arena[self.plan.place(input)].copy_from_slice(&values);
        }
        arena[self.plan.place(self.background)].fill(T::of(BACKGROUND));
        let draw = Draw { seed: 3, step: 4 };
        self.plan.run_part(0..self.plan.instructions().len(), &mut arena, &mut nonzeros, draw);
        self.outputs.iter().map(|&output| arena[self.plan.place(output)].to_vec()).collect()
    }

    /// What each instruction does, but for the names of nodes.
    fn works(&self) -> Vec<String> {
        let work = |instruction: &Instruction| match &instruction.work {
            Work::Operation => self.plan.graph[instruction.output].op.name().to_string(),
            Work::Product { matmul, start, epilogue, .. } => {
                let steps = epilogue.as_ref().map_or(0, |program| program.steps.len());
                format!("product {} from {}, {steps} steps", matmul.letters(), start.is_some())
            }
            Work::Elementwise(program) => format!("{} steps", program.steps.len()),
            other => format!("{other:?}").chars().take_while(|c| c.is_alphabetic()).collect(),
        };
        let shape = |instruction: &Instruction| self.plan.shape(instruction.output).clone();
        self.plan.instructions().iter().map(|each| format!("{}: {}", shape(each), work(each))).collect()
    }
}

const RELU: Activation = |x| x.relu();
const TANH: Activation = |x| x.tanh();
const SIGMOID: Activation = |x| x.sigmoid();

#[test]
fn every_bit_and_every_instruction_is_that_of_the_step_written_by_hand() {
    const WIDTHS: [&[usize]; 6] =
        [&[40, 10], &[70, 33], &[70, 40, 10], &[65, 20, 33], &[100, 64, 48, 10], &[90, 64, 64, 64, 40]];
    for (number, widths) in WIDTHS.into_iter().enumerate() {
        for batch in [1, 7, 128] {
            for dropout in [0.0, 0.3] {
                let activation = [RELU, TANH, SIGMOID][(number + batch) % 3];
                let network = Network { widths, activation, dropout, batch };
                for training in [true, false] {
                    let expected = Planned::by_hand(&network, training);
                    let found = Planned::rewritten(&network, training);
                    let case = format!("{widths:?}, batch {batch}, dropout {dropout}, training {training}");
                    assert_eq!(found.works(), expected.works(), "{case}");
                    assert_eq!(found.plan.list_sizes(), expected.plan.list_sizes(), "{case}");
                    assert_eq!(found.plan.arena(), expected.plan.arena(), "{case}");
                    let bits = |values: Vec<Vec<f32>>| values.concat().into_iter().map(f32::to_bits);
                    assert!(bits(found.run(&network)).eq(bits(expected.run(&network))), "{case}");
                }
            }
        }
    }
}

/// Widths, activation and dropout; the sum of the losses, and that of each new parameter times its new momentum.
type Golden = ((&'static [usize], &'static str, f64), [f64; 2]);

/// What the networks computed that were written in this form from the start.
const GOLDEN: [Golden; 3] = [
    ((&[70, 40, 10], "relu", 0.3), [92.91598134092659, -97.14557789075843]),
    ((&[70, 33], "tanh", 0.0), [40.12970323029083, -75.19880672376597]),
    ((&[65, 20, 33], "sigmoid", 0.0), [36.35211947296413, -50.33033420354018]),
];

#[test]
fn numbers_are_those_of_networks_that_were_written_so() {
    for ((widths, activation, dropout), expected) in GOLDEN {
        let activation = match activation {
            "relu" => RELU,
            "tanh" => TANH,
            _ => SIGMOID,
        };
        let network = Network { widths, activation, dropout, batch: 7 };
        let outputs = Planned::rewritten(&network, true).run::<f64>(&network);
        let products = outputs[2..].chunks_exact(2).flat_map(|pair| pair[0].iter().zip(&pair[1]));
        let found =
            [outputs[0].iter().sum::<f64>(), products.map(|(momentum, theta)| momentum * theta).sum()];
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-12 * expected.abs(), "{found:?}, not {expected:?}");
        }
    }
}
