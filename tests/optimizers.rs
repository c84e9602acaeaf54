//! Optimizers against PyTorch: a 3-4-2 network trained for 100 steps, with this engine's gradients.

use std::collections::BTreeMap;
use std::path::Path;

use cotangent::autodiff::gradient;
use cotangent::ops::Builder;
use cotangent::optim::{Adam, Constant, Optimizer, OptimizerName, Piece};
use serde::Deserialize;

use crate::support::steps::Step;

/// `golden/optimizers.json`; `golden/optimizers.py` wrote it and says what it holds.
#[derive(Deserialize)]
struct Golden {
    layers: [usize; 3],
    x: Vec<Vec<f64>>,
    labels: Vec<f64>,
    initial: Vec<f64>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    case: String,
    optimizer: OptimizerName,
    lr: f64,
    #[serde(default)]
    weight_decay: f64,
    losses: Vec<f64>,
    parameters_after: BTreeMap<u64, Vec<f64>>,
    /// Those of the rule, by name.
    #[serde(flatten)]
    constants: BTreeMap<String, f64>,
}

impl Case {
    fn optimizer(&self) -> Optimizer {
        let family = self.optimizer.family();
        assert_eq!(self.constants.len(), family.constants.len(), "{}", self.case);
        self.optimizer.build(|constant| self.constants[constant.name])
    }
}

/// To a relative 10⁻¹² in each number; NaN fails.
#[track_caller]
fn assert_agrees(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (position, (found, expected)) in found.iter().zip(expected).enumerate() {
        let agrees = (found - expected).abs() <= 1e-12 * expected.abs();
        assert!(agrees, "{what}: number {position} is {found:e}, PyTorch has {expected:e}");
    }
}

#[test]
fn every_optimizer_matches_pytorch_over_100_steps() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/optimizers.json");
    let golden: Golden = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for name in OptimizerName::ALL {
        assert!(golden.cases.iter().any(|case| case.optimizer == name), "no case of {name:?}");
    }
    let [inputs, hidden, classes] = golden.layers;
    let rows = golden.labels.len();

    let builder = Builder::new();
    let (x, labels) = (builder.input("x", [rows, inputs]), builder.input("labels", [rows]));
    let w1 = builder.input("0.weight", [hidden, inputs]);
    let b1 = builder.input("0.bias", [hidden]);
    let w2 = builder.input("2.weight", [classes, hidden]);
    let b2 = builder.input("2.bias", [classes]);
    let logits = (x.matmul_nt(w1) + b1).relu().matmul_nt(w2) + b2;
    let loss = logits.softmax_cross_entropy(labels).mean();
    let parameters = [w1, b1, w2, b2];
    let sizes = parameters.map(|parameter| parameter.shape().size());
    let function = builder.finish(([x, labels], parameters), (loss, gradient(loss, parameters))).unwrap();
    let x = golden.x.concat();

    for case in golden.cases {
        let optimizer = case.optimizer();
        let mut theta = golden.initial.clone();
        let mut first = vec![0.0; theta.len()];
        let mut second = vec![0.0; (optimizer.states() - 1) * theta.len()];
        let mut losses = Vec::new();
        for number in 1..=100 {
            let mut rest = &theta[..];
            let parameters = sizes.map(|size| rest.split_off(..size).unwrap());
            let (loss, gradients) = function.call(([&x, &golden.labels], parameters)).unwrap();
            losses.extend(loss);
            let step = Step { number, learning_rate: case.lr, weight_decay: case.weight_decay };
            step.update(&optimizer, Piece::new(&mut theta, &gradients.concat(), &mut first, &mut second));
            if let Some(expected) = case.parameters_after.get(&number) {
                assert_agrees(&format!("{} after step {number}", case.case), &theta, expected);
            }
        }
        assert_agrees(&format!("losses of {}", case.case), &losses, &case.losses);
        assert!(case.parameters_after.contains_key(&100));
    }
}

/// Constants that are nobody's defaults, and no two alike.
fn rules() -> impl Iterator<Item = Optimizer> {
    let value = |constant: &Constant| constant.default * 0.875 + 1e-3 * constant.name.len() as f64;
    OptimizerName::ALL.into_iter().map(move |name| name.build(value))
}

/// Parameters, their gradients in a step, and numbers of state, all different.
fn numbers(count: usize, salt: u64) -> Vec<f64> {
    (0..count as u64).map(|i| ((i * 7919 + salt * 104_729) % 2001) as f64 / 1000.0 - 1.0).collect()
}

#[test]
fn the_nodes_and_the_loop_of_a_rule_compute_the_same_bits() {
    let (rows, columns) = (3, 5);
    for optimizer in rules() {
        let builder = Builder::new();
        let matrix = |name: &str| builder.input(name, [rows, columns]);
        let (theta, g) = (matrix("theta"), matrix("g"));
        let state: Vec<_> = (0..optimizer.states()).map(|_| matrix("state")).collect();
        let scalars: Vec<_> = optimizer.scalars().iter().map(|_| builder.input("scalar", [])).collect();
        let (moved, after) = optimizer.write(&scalars, theta, g, &state);
        let function = builder.finish((theta, g, scalars, state), (moved, after)).unwrap();

        let mut values = vec![numbers(rows * columns, 0)];
        values.resize(1 + optimizer.states(), vec![0.0; rows * columns]);
        for number in 1..=120 {
            let at: Vec<f64> = optimizer.at(number, 0.01, 0.25);
            let gradients = numbers(rows * columns, number);

            let state = values[1..].iter().map(|values| &values[..]).collect();
            let scalars = at.iter().map(std::slice::from_ref).collect();
            let (theta, state) = function.call((&values[0][..], &gradients[..], scalars, state)).unwrap();
            let of_nodes: Vec<Vec<f64>> = std::iter::once(theta).chain(state).collect();

            let mut slices = values.iter_mut().map(|values| &mut values[..]);
            let mut next = || slices.next().unwrap_or_default();
            optimizer.run(&at, [Piece::new(next(), &gradients, next(), next())]);
            assert_eq!(of_nodes, values, "{optimizer:?}, step {number}: nodes and loop");
        }
        assert_ne!(values[0], numbers(rows * columns, 0), "{optimizer:?} moves nothing");
    }
}

#[test]
fn a_rule_in_float32_rounds_its_constants_and_scalars_once() {
    let (beta1, beta2, epsilon) = (0.9, 0.999, 1e-8);
    let (alpha, decay, step) = (0.002, 0.05, 3);
    let [rest1, rest2] = [1.0 - beta1, 1.0 - beta2].map(|rest: f64| rest as f32);
    let [correction1, correction2] = [beta1, beta2].map(|beta: f64| (1.0 / (1.0 - beta.powf(3.0))) as f32);
    let kept = (1.0 - alpha * decay) as f32;
    let (mut theta, g, mut m, mut v) = (0.7_f32, 0.3_f32, 0.011_f32, 0.017_f32);
    let (mut thetas, mut ms, mut vs) = ([theta; 19], [m; 19], [v; 19]);
    let circumstances = Step { number: step, learning_rate: alpha, weight_decay: decay };
    let optimizer = Optimizer::Adam(Adam { beta1, beta2, epsilon });
    circumstances.update(&optimizer, Piece::new(&mut thetas, &[g; 19], &mut ms, &mut vs));

    m = beta1 as f32 * m + rest1 * g;
    v = beta2 as f32 * v + rest2 * (g * g);
    let quotient = alpha as f32 * (m * correction1) / ((v * correction2).sqrt() + epsilon as f32);
    theta = kept * theta - quotient;
    assert_eq!((thetas, ms, vs), ([theta; 19], [m; 19], [v; 19]));
}
