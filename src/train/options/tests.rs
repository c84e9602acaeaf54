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
    assert!(refused(|c| c.constants = [("momentum", 0.5)].into()).contains("is no constant of adam"));
    assert!(refused(|c| c.constants = [("beta2", 1.0)].into()).contains("must be in [0, 1)"));
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
    assert!(on_cpu(|c| c.plan = Some(LaunchPlan::Launches)).starts_with("--plan launches: is for CUDA"));
    assert!(
        on_cpu(|c| c.kernels = Some(Kernels::Amx)).contains("is for --precision bf16: use auto, skipping")
    );
    assert!(refused(|c| c.precision = Some(Precision::Tf32)).contains("has no kernels yet"));
}

#[test]
fn a_constant_is_dropped_where_another_optimizer_has_it_and_kept_as_a_mistake_where_none_has() {
    let choices = Choices { constants: [("momentum", 0.5), ("epsilon", 0.1)].into(), ..Choices::default() };
    let both = [OptimizerName::Adam, OptimizerName::Sgd];
    let adam = choices.clone().without_constants_of(&both, OptimizerName::Adam);
    assert_eq!(adam.constants, [("epsilon", 0.1)].into());
    let sgd = choices.clone().without_constants_of(&both, OptimizerName::Sgd);
    assert_eq!(sgd.constants, [("momentum", 0.5)].into());
    let alone = choices.without_constants_of(&both[..1], OptimizerName::Adam);
    assert_eq!(alone.constants.get("momentum"), Some(0.5));
}

#[test]
fn resolved_options_hold_the_constants_of_their_optimizer_and_no_others() {
    let adam = Choices::default().resolve(OptimizerName::Adam).unwrap();
    assert_eq!(adam.constants, [("beta1", 0.9), ("beta2", 0.999), ("epsilon", 1e-8)].into());
}

#[test]
fn optimizers_of_other_names_are_answered_with_what_there_is_instead() {
    let of = |text: &str| text.parse::<OptimizerName>();
    for text in ["Adam", "ADAM", "adam"] {
        assert_eq!(of(text), Ok(OptimizerName::Adam));
    }
    assert_eq!(of("AdaGrad"), Ok(OptimizerName::Adagrad));
    assert_eq!(of("ada_grad"), Ok(OptimizerName::Adagrad));
    for (name, words) in [
        ("AdamW", "use --opt adam --weight-decay X"),
        ("momentum", "use --opt sgd --momentum X"),
        ("NAG", "use --opt nesterov --momentum X"),
        ("adamax", "use --opt adam"),
        ("nadam", "use --opt adam"),
        ("sdg", "did you mean sgd?"),
    ] {
        let answer = of(name).unwrap_err();
        assert!(answer.contains(words), "{name}: {answer}");
    }
}

/// Every option said, to something else than its default; the model to start from was read before.
fn all_said(opt: OptimizerName) -> Choices {
    let toml = r#"
        lr = 0.03
        schedule = "cosine"
        weight-decay = 0.01
        epochs = 3
        batch-size = 32
        seed = 7
        threads = 9
        hidden = "8,4"
        activation = "tanh"
        dropout = 0.5
        augment = "none"
        device = "cuda:1"
        precision = "bf16"
        kernels = "amx"
        plan = "launches"
        data = "/images"
        validation = 5
        checkpoint-every = "30s"
        init = { path = "/model.safetensors", sha256 = "ab", mean = 0.5, std = 0.25 }
    "#;
    let constants = opt.family().constants.iter().map(|constant| format!("{} = 0.625\n", constant.name));
    toml::from_str(&(constants.collect::<String>() + toml)).unwrap()
}

#[test]
fn every_option_is_read_back_from_config_toml_as_it_held() {
    for opt in OptimizerName::ALL {
        let said = all_said(opt);
        let of_others =
            |name: &String| Constants::names().any(|of| of == name) && said.constants.get(name).is_none();
        let mut names: Vec<String> = rows::names().filter(|name| !of_others(name)).collect();
        names.sort();
        assert_eq!(said.said().keys().cloned().collect::<Vec<_>>(), names, "an option is not said here");

        let options = said.resolve(opt).unwrap();
        let default = Choices::default().resolve(opt).unwrap().by_name();
        for (name, value) in options.by_name() {
            assert!(name == "opt" || default.get(&name) != Some(&value), "{name} is its default here");
        }
        let mut table: toml::Table = toml::from_str(&toml::to_string(&options).unwrap()).unwrap();
        assert_eq!(table.remove("opt").unwrap().as_str(), Some(opt.name()));
        let read: Choices = table.try_into().unwrap();
        assert_eq!(read.resolve(opt).unwrap(), options);
    }
}

#[test]
fn every_option_has_a_help_that_names_its_default() {
    let command = <Choices as clap::Args>::augment_args(clap::Command::new("mnist"));
    let helps: Vec<(String, String)> = command
        .get_arguments()
        .map(|argument| (argument.get_long().unwrap().into(), argument.get_help().unwrap().to_string()))
        .collect();
    assert_eq!(
        helps.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(),
        rows::names().collect::<Vec<_>>()
    );
    for opt in OptimizerName::ALL {
        let options = Choices::default().resolve(opt).unwrap().by_name();
        for (name, help) in &helps {
            let (_, default) = help.split_once(" [default: ").unwrap_or((help, ""));
            let expected = match (&name[..], options.get(name)) {
                ("lr", Some(rate)) => format!("{} {}", opt.name(), said(rate)),
                ("threads", _) => "all processors".into(),
                ("data", None) => "MNIST, built in".into(),
                (_, None) => continue, // nothing to start from; a constant of another rule
                (_, Some(value)) => said(value),
            };
            let expected = expected.strip_suffix(".0").unwrap_or(&expected);
            assert!(default.contains(expected), "{name}: {help:?} lacks {expected}");
        }
    }
}

#[test]
fn a_constant_is_taken_by_the_rules_that_have_it_within_their_range() {
    for opt in OptimizerName::ALL {
        for name in Constants::names() {
            let said =
                |value| Choices { constants: [(name, value)].into(), ..Choices::default() }.resolve(opt);
            let Some(constant) = opt.family().constants.iter().find(|constant| constant.name == name) else {
                let error = said(0.5).unwrap_err().to_string();
                assert_eq!(error, format!("--{name} 0.5: is no constant of {}: leave it out", opt.name()));
                continue;
            };
            let held = said(0.5).unwrap();
            assert_eq!(held.constants.get(name), Some(0.5));
            assert!(held.optimizer().constants().contains(&0.5));
            let least = if constant.range.start == 0.0 { "0" } else { "1.2e-38" };
            for wrong in [-0.5, 1.0, f64::NAN] {
                let error = said(wrong).unwrap_err().to_string();
                assert_eq!(error, format!("--{name} {wrong}: must be in [{least}, 1)"));
            }
        }
    }
}

#[test]
fn what_is_said_anew_takes_the_place_of_what_held_and_is_checked_with_it() {
    let options = Choices { seed: Some(3), threads: Some(2), ..Choices::default() };
    let options = options.resolve(OptimizerName::Lion).unwrap();
    let threads = Choices { threads: Some(5), ..Choices::default() };
    assert_eq!(options.clone().with(threads).unwrap(), Options { threads: 5, ..options.clone() });
    let device = Choices { device: Some("cpu".into()), ..Choices::default() };
    let error = Options { plan: LaunchPlan::Graph, ..options }.with(device).unwrap_err().to_string();
    assert_eq!(error, "--plan graph: is for CUDA: leave it out on the CPU");
}

#[test]
fn what_may_stand_beside_resume_decides_no_result() {
    assert_eq!(
        said_beside_resume(),
        "--threads, --device, --kernels, --plan, --checkpoint-every and --quiet"
    );
    let free = ["threads", "device", "kernels", "plan", "checkpoint-every"];
    let (one, other) = (all_said(OptimizerName::Sgd), Choices::default());
    for name in one.said().keys() {
        assert_eq!(decides(name) != Decides::Result, free.contains(&&name[..]), "{name}");
    }
    let deciding = other.resolve(OptimizerName::Sgd).unwrap().deciding();
    assert!(
        ["device", "kernels"].iter().all(|&name| deciding.contains_key(name))
            && !deciding.contains_key("threads")
            && !deciding.contains_key("plan")
    );
}

#[test]
fn kernels_of_a_file_are_for_its_precision_and_its_device() {
    let file = || Choices {
        precision: Some(Precision::Bf16),
        kernels: Some(Kernels::Amx),
        device: Some("cpu".into()),
        ..Choices::default()
    };
    let kernels = |said: Choices| said.or(file()).resolve(OptimizerName::Adam).map(|options| options.kernels);
    assert_eq!(kernels(Choices { threads: Some(3), ..Choices::default() }).unwrap(), Kernels::Amx);
    assert_eq!(kernels(Choices { device: Some("cpu".into()), ..Choices::default() }).unwrap(), Kernels::Amx);
    let f32 = Choices { precision: Some(Precision::F32), ..Choices::default() };
    assert_eq!(kernels(f32).unwrap(), Kernels::Auto);
    let cuda = Choices { device: Some("cuda".into()), ..Choices::default() };
    assert_eq!(kernels(cuda).unwrap(), Kernels::Auto);
}
