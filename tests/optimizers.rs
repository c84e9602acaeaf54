//! Optimizers against PyTorch: a 3-4-2 network trained for 100 steps, with this engine's gradients.

use std::path::Path;

use cotangent::autodiff::gradient;
use cotangent::ops::{Builder, Draw};
use cotangent::optim::{Adagrad, Adam, Optimizer, Piece, RmsProp, Sgd, Step};
use serde::Deserialize;

use crate::support::*;

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
    lr: f64,
    #[serde(default)]
    weight_decay: f64,
    #[serde(flatten)]
    rule: RuleOfCase,
    losses: Vec<f64>,
    parameters_after: std::collections::BTreeMap<u64, Vec<f64>>,
}

#[derive(Deserialize)]
#[serde(tag = "optimizer", rename_all = "lowercase")]
enum RuleOfCase {
    Adagrad {
        epsilon: f64,
        initial_accumulator: f64,
    },
    RmsProp {
        alpha: f64,
        epsilon: f64,
    },
    #[serde(alias = "adamw")]
    Adam {
        beta1: f64,
        beta2: f64,
        epsilon: f64,
    },
    Sgd {
        momentum: f64,
    },
}

impl RuleOfCase {
    fn optimizer(&self) -> Optimizer {
        match *self {
            Self::Adagrad { epsilon, initial_accumulator } => {
                assert_eq!(initial_accumulator, 0.0);
                Optimizer::Adagrad(Adagrad { epsilon })
            }
            Self::RmsProp { alpha, epsilon } => Optimizer::RmsProp(RmsProp { rho: alpha, epsilon }),
            Self::Adam { beta1, beta2, epsilon } => Optimizer::Adam(Adam { beta1, beta2, epsilon }),
            Self::Sgd { momentum } => Optimizer::Sgd(Sgd { momentum }),
        }
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
    assert_eq!(golden.cases.len(), 7);
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
    let mut outputs = vec![loss.id().unwrap()];
    outputs.extend(gradient(loss, parameters).map(|gradient| gradient.id().unwrap()));
    let data = [(x.id().unwrap(), golden.x.concat()), (labels.id().unwrap(), golden.labels)];
    let parameters = parameters.map(|parameter| (parameter.id().unwrap(), parameter.shape().size()));
    let graph = builder.finish().unwrap();

    for case in golden.cases {
        let optimizer = case.rule.optimizer();
        let mut theta = golden.initial.clone();
        let mut first = vec![0.0; theta.len()];
        let mut second = vec![0.0; (optimizer.state_per_parameter() - 1) * theta.len()];
        let mut losses = Vec::new();
        for number in 1..=100 {
            let mut inputs = data.to_vec();
            let mut rest = &theta[..];
            for (id, size) in parameters {
                let (values, others) = rest.split_at(size);
                inputs.push((id, values.to_vec()));
                rest = others;
            }
            let found = (ORACLE.evaluate)(&graph, &inputs, &outputs, Draw::default());
            losses.push(found[0][0]);
            let step = Step { number, learning_rate: case.lr, weight_decay: case.weight_decay };
            optimizer.update(step, [Piece::new(&mut theta, &found[1..].concat(), &mut first, &mut second)]);
            if let Some(expected) = case.parameters_after.get(&number) {
                assert_agrees(&format!("{} after step {number}", case.case), &theta, expected);
            }
        }
        assert_agrees(&format!("losses of {}", case.case), &losses, &case.losses);
        assert!(case.parameters_after.contains_key(&100));
    }
}
