//! Defaults, checks, and choices over choices.

use super::*;

#[test]
fn what_makes_no_sense_is_refused_with_option_value_and_rule() {
    let refused = |change: fn(&mut Choices)| {
        let mut choices = Choices::default();
        change(&mut choices);
        choices.resolve(OptimizerName::Adam).unwrap_err().to_string()
    };
    assert_eq!(refused(|c| c.epochs = Some(0)), "--epochs 0: must be at least 1");
    assert_eq!(refused(|c| c.threads = Some(0)), "--threads 0: must be at least 1");
    assert_eq!(refused(|c| c.batch_size = Some(0)), "--batch-size 0: must be at least 1");
    assert_eq!(refused(|c| c.hidden = Some(Hidden(vec![8, 0]))), "--hidden 0: must be at least 1");
    assert_eq!(refused(|c| c.dropout = Some(1.0)), "--dropout 1: must be in [0, 1)");
    assert!(refused(|c| c.dropout = Some(f64::NAN)).starts_with("--dropout NaN"));
    for lr in [f64::NAN, -0.1, 0.0, 1e-50, f64::INFINITY] {
        let error = Choices { lr: Some(lr.into()), ..Choices::default() }.resolve(OptimizerName::Sgd);
        assert!(error.unwrap_err().to_string().contains("must be a positive number"), "lr {lr}");
    }
    assert!(refused(|c| c.weight_decay = Some(f64::NAN)).starts_with("--weight-decay NaN"));
    assert!(refused(|c| c.momentum = Some(0.5)).contains("is no constant of adam"));
    assert!(refused(|c| c.beta2 = Some(1.0)).contains("must be in [0, 1)"));
    for name in ["gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:+1", "cuda1", ""] {
        let error = Choices { device: Some(name.into()), ..Choices::default() }.resolve(OptimizerName::Sgd);
        let expected = format!("--device {name}: must be auto, cpu, cuda or cuda:N");
        assert_eq!(error.unwrap_err().to_string(), expected);
    }
    let on_cpu = |change: fn(&mut Choices)| {
        let mut choices = Choices { device: Some("cpu".into()), ..Choices::default() };
        change(&mut choices);
        choices.resolve(OptimizerName::Adam).unwrap_err().to_string()
    };
    assert!(on_cpu(|c| c.precision = Some(Precision::Bf16)).contains("needs CUDA"));
    assert!(on_cpu(|c| c.plan = Some(Plan::Launches)).starts_with("--plan launches: is for CUDA"));
    assert!(refused(|c| c.precision = Some(Precision::Tf32)).contains("has no kernels yet"));
}

#[test]
fn a_constant_is_dropped_where_another_optimizer_has_it_and_kept_as_a_mistake_where_none_has() {
    let choices = Choices { momentum: Some(0.5), epsilon: Some(0.1), ..Choices::default() };
    let both = [OptimizerName::Adam, OptimizerName::Sgd];
    let adam = choices.clone().without_constants_of(&both, OptimizerName::Adam);
    assert_eq!((adam.momentum, adam.epsilon), (None, Some(0.1)));
    let sgd = choices.clone().without_constants_of(&both, OptimizerName::Sgd);
    assert_eq!((sgd.momentum, sgd.epsilon), (Some(0.5), None));
    let alone = choices.without_constants_of(&both[..1], OptimizerName::Adam);
    assert_eq!(alone.momentum, Some(0.5));
}

#[test]
fn resolved_options_hold_the_constants_of_their_optimizer_and_no_others() {
    let adam = Choices::default().resolve(OptimizerName::Adam).unwrap();
    assert_eq!((adam.beta1, adam.beta2, adam.epsilon), (Some(0.9), Some(0.999), Some(1e-8)));
    assert_eq!((adam.momentum, adam.rho), (None, None));
}

#[test]
fn resolved_options_resolve_to_themselves() {
    let choices = Choices { lr: Some(0.1.into()), rho: Some(0.5), seed: Some(3), ..Choices::default() };
    let options = choices.resolve(OptimizerName::RmsProp).unwrap();
    assert_eq!(options.choices().resolve(OptimizerName::RmsProp).unwrap(), options);
}
