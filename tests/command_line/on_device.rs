//! Runs on a CUDA device, the emulated one: what they leave, and what is left when the device fails.

use super::*;

/// `mnist` on the small data set with a device, Adam unless another is named.
fn mnist(place: &Workplace, variables: &[(&str, &str)], arguments: &str) -> Finished {
    let mut command = place.emulated();
    command.envs(variables.iter().copied());
    let arguments = format!("mnist {} {arguments}", small(arguments));
    Finished::of(command.args(arguments.split_whitespace()))
}

fn again(place: &Workplace, variables: &[(&str, &str)], arguments: &str) -> Finished {
    let mut command = place.emulated();
    command.envs(variables.iter().copied());
    Finished::of(command.args(arguments.split_whitespace()))
}

/// The numbers of a log without its times.
fn numbers(place: &Workplace, run: &str) -> Vec<Vec<f64>> {
    let log = place.read(&format!("{run}/metrics.csv"));
    let rows = metrics_without_times(&log);
    rows[1..].iter().map(|row| row.iter().map(|cell| cell.parse().unwrap()).collect()).collect()
}

fn summary(place: &Workplace, run: &str) -> serde_json::Value {
    serde_json::from_str(&place.read(&format!("{run}/summary.json"))).unwrap()
}

#[test]
fn a_run_on_a_device_leaves_what_one_on_the_cpu_leaves() {
    let place = Workplace::new();
    for opt in ["adagrad", "rmsprop", "adam", "sgd"] {
        let options = format!("--opt {opt} --dropout 0.1 --validation 30");
        let (cpu, cuda) = (format!("cpu-{opt}"), format!("cuda-{opt}"));
        place.mnist(&format!("{options} --device cpu --out {cpu}")).succeeded();
        mnist(&place, &[], &format!("{options} --device cuda:1 --out {cuda}")).succeeded();
        assert_eq!(place.names(&cpu), place.names(&cuda));
        let (expected, found) = (numbers(&place, &cpu), numbers(&place, &cuda));
        assert_eq!((expected.len(), found.len()), (2, 2));
        for (expected, found) in expected.iter().flatten().zip(found.iter().flatten()) {
            assert!(
                (expected - found).abs() <= 5e-3 * expected.abs().max(1.0),
                "{opt}: {found}, not {expected}"
            );
        }
        let (cpu, cuda) = (summary(&place, &cpu), summary(&place, &cuda));
        assert_eq!((&cpu["device"], &cuda["device"]), (&"cpu".into(), &"cuda:1".into()));
        for key in ["optimizer", "epochs", "seed", "precision", "parameters", "interrupted"] {
            assert_eq!(cpu[key], cuda[key], "{key}");
        }
    }
}

#[test]
fn the_first_device_that_works_is_chosen_and_the_line_says_so() {
    let place = Workplace::new();
    let finished = mnist(&place, &[], "--epochs 1 --out run").succeeded();
    let expected =
        "device: cuda:0, emulated sm_75, compute capability 7.5, f32, captured graphs (chosen automatically)";
    assert!(finished.stdout.lines().any(|line| line == expected), "{}", finished.stdout);
    let config = place.read("run/config.toml");
    assert!(config.contains("device = \"cuda:0\"") && config.contains("card = \"emulated sm_75"), "{config}");
    // Its configuration runs it again, on the same device, to the same bits.
    again(&place, &[], "mnist --config run/config.toml --out again --quiet").succeeded();
    let model = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(model("run") == model("again"));
}

#[test]
fn kernel_by_kernel_and_as_a_graph_the_run_is_the_same() {
    let place = Workplace::new();
    mnist(&place, &[], "--device cuda:2 --plan graph --dropout 0.2 --out graph").succeeded();
    mnist(&place, &[], "--device cuda:2 --plan launches --dropout 0.2 --out launches").succeeded();
    assert_eq!(numbers(&place, "graph"), numbers(&place, "launches"));
    let model = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(model("graph") == model("launches"));
}

#[test]
fn a_kernels_fault_keeps_the_epochs_before_it_and_launches_name_the_kernel() {
    let place = Workplace::new();
    let options = "--device cuda --epochs 4";
    mnist(&place, &[], &format!("{options} --out whole")).succeeded();
    // Ten steps an epoch: the third epoch's fifth update fails.
    let fault = [("COTANGENT_EMULATOR_KERNELS", "faulty:update_adam:25")];
    let message = mnist(&place, &fault, &format!("{options} --out run"))
        .failed(1, &["a kernel or a copy on cuda:0 (emulated sm_75) failed", "CUDA_ERROR_ILLEGAL_ADDRESS"]);
    let command = "go on with: cotangent mnist --resume run --plan launches";
    assert!(message.contains(command), "{message}");
    assert!(!message.contains("update_adam"), "nobody can know yet: {message}");
    assert_eq!(numbers(&place, "run"), numbers(&place, "whole")[..2]);
    assert!(place.path("run/objective.svg").exists() && place.path("run/checkpoint.safetensors").exists());

    let fault = [("COTANGENT_EMULATOR_KERNELS", "faulty:update_adam:5")];
    let message = again(&place, &fault, "mnist --resume run --plan launches")
        .failed(1, &["kernel update_adam, (", "blocks of 256 threads, failed", "ILLEGAL_ADDRESS"]);
    assert!(message.contains("--resume run"), "{message}");
    assert_eq!(numbers(&place, "run"), numbers(&place, "whole")[..2]);

    // Without the fault it goes on to the end, as if nothing had been; also on the CPU, which has no such plan.
    assert!(place.read("run/config.toml").contains("plan = \"auto\""));
    let copy = "cp -r run elsewhere && \"$0\" mnist --resume elsewhere --device cpu --quiet";
    place.shell(copy).succeeded();
    again(&place, &[], "mnist --resume run --quiet").succeeded();
    assert_eq!(numbers(&place, "run"), numbers(&place, "whole"));
    let model = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(model("run") == model("whole"));
}

#[test]
fn a_run_goes_on_on_another_device_when_it_is_told_to() {
    let place = Workplace::new();
    let fault = [("COTANGENT_EMULATOR_KERNELS", "faulty:update_adam:15")];
    mnist(&place, &fault, "--device cuda --out run").failed(1, &["--resume run"]);
    // The processor does not take over by itself: without the driver the device is missing.
    place.run("mnist --resume run").failed(1, &["--device cuda:0 cannot be used"]);
    let finished = place.run("mnist --resume run --device cpu").succeeded();
    assert!(finished.stdout.contains("device: cpu with 1 thread (as asked for)"), "{}", finished.stdout);
    mnist(&place, &[], "--device cuda --out whole").succeeded();
    for (found, expected) in
        numbers(&place, "run").iter().flatten().zip(numbers(&place, "whole").iter().flatten())
    {
        assert!((found - expected).abs() <= 5e-3 * expected.abs().max(1.0), "{found}, not {expected}");
    }
    assert_eq!(summary(&place, "run")["device"], "cpu");
}

#[test]
fn a_network_that_the_host_cannot_hold_is_refused_on_a_device_too() {
    let place = Workplace::new();
    for (hidden, size) in [("3000000,3000000", "TB"), ("1000000000,1000000000", "EB")] {
        let network = format!("144-{}-3", hidden.replace(',', "-"));
        let words = [&*network, size, "make --hidden or --batch-size smaller"];
        mnist(&place, &[], &format!("--device cuda --hidden {hidden} --out run")).failed(1, &words);
        let compare =
            format!("compare --data data --batch-size 32 --device cuda --hidden {hidden} --out run");
        again(&place, &[], &compare).failed(1, &words);
        assert!(!place.path("run").exists());
    }
}

#[test]
fn a_device_without_enough_memory_says_what_was_asked_and_what_is_free() {
    let place = Workplace::new();
    let little = [("COTANGENT_EMULATOR_MEMORY", "100000")];
    let message = mnist(&place, &little, "--device cuda --out run").failed(
        1,
        &["the work on cuda:0 (emulated sm_75) failed", "the device is out of memory", "are free"],
    );
    assert!(message.contains("smaller batch or network"), "{message}");
    assert!(!place.path("run").exists());
}

#[test]
fn an_objective_that_explodes_on_a_device_names_step_and_place_as_on_the_cpu() {
    let place = Workplace::new();
    for opt in ["sgd", "adam"] {
        let options = format!("--opt {opt} --lr 1e30");
        let words = ["no longer finite at step 2, where the "];
        let expected = place.mnist(&format!("{options} --device cpu --out cpu-{opt}")).failed(1, &words);
        for plan in ["graph", "launches"] {
            let out = format!("{options} --device cuda --plan {plan} --out {plan}-{opt}");
            assert_eq!(mnist(&place, &[], &out).failed(1, &words), expected);
        }
    }
}

#[test]
fn products_in_bfloat16_need_a_device_that_has_them() {
    let place = Workplace::new();
    let bf16 = "--precision bf16 --hidden 32,24";
    mnist(&place, &[], &format!("{bf16} --device cuda:0 --out none"))
        .failed(1, &["bf16 need compute capability 8.0", "emulated sm_75", "7.5"]);
    assert!(!place.path("none").exists());
    // Left to choose, it takes the first device that can.
    let finished = mnist(&place, &[], &format!("{bf16} --epochs 3 --out run")).succeeded();
    assert!(finished.stdout.contains("device: cuda:1, emulated sm_80"), "{}", finished.stdout);
    assert_eq!(summary(&place, "run")["precision"], "bf16");
    assert!(summary(&place, "run")["test_accuracy"].as_f64().unwrap() > 0.9);
}

#[test]
fn optimizers_are_compared_on_a_device() {
    let place = Workplace::new();
    let options = small("");
    let arguments = format!("compare {options} --device cuda:1 --opt adam,sgd --out all --quiet");
    again(&place, &[], &arguments).succeeded();
    assert_eq!(cells(&place.read("all/compare.csv")).len(), 1 + 2 * 2);
    assert_eq!(summary(&place, "all/sgd-seed0")["device"], "cuda:1");
}

#[test]
fn a_fault_in_mid_epoch_loses_no_more_than_since_the_last_checkpoint() {
    let place = Workplace::new();
    let options = "--device cuda --epochs 3";
    mnist(&place, &[], &format!("{options} --out whole")).succeeded();
    for plan in ["graph", "launches"] {
        let run = format!("run-{plan}");
        // Ten steps an epoch, and a checkpoint after each two: what fails is after the sixth step of the second epoch.
        let fault = [("COTANGENT_EMULATOR_KERNELS", "faulty:update_adam:17")];
        let options = format!("{options} --plan {plan} --checkpoint-every 2 --out {run}");
        let message = mnist(&place, &fault, &options).failed(1, &["CUDA_ERROR_ILLEGAL_ADDRESS"]);
        assert!(message.contains(&format!("go on with: cotangent mnist --resume {run}")), "{message}");
        let shown = again(&place, &[], &format!("mnist --resume {run}")).succeeded().stdout;
        assert!(shown.contains("going on after epoch 1 and 6 steps"), "{shown}");
        let model = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
        assert!(model(&run) == model("whole"));
        assert_eq!(numbers(&place, &run), numbers(&place, "whole"));
        again(&place, &[], &format!("verify {run}")).succeeded();
    }
}

#[test]
fn a_card_without_memory_leaves_a_run_as_it_was() {
    let place = Workplace::new();
    let options = "--device cuda --epochs 4";
    mnist(&place, &[], &format!("{options} --out whole")).succeeded();
    let fault = [("COTANGENT_EMULATOR_KERNELS", "faulty:update_adam:25")];
    mnist(&place, &fault, &format!("{options} --out run")).failed(1, &["--resume run"]);
    let before = contents(&place.path("run"));
    let full = [("COTANGENT_EMULATOR_MEMORY", "50000")];
    again(&place, &full, "mnist --resume run")
        .failed(1, &["cuda:0", "out of memory", "bytes were asked for"]);
    mnist(&place, &full, &format!("{options} --out other")).failed(1, &["out of memory"]);
    assert!(contents(&place.path("run")) == before && !place.path("other").exists());
    again(&place, &[], "mnist --resume run --quiet").succeeded();
    assert_eq!(numbers(&place, "run"), numbers(&place, "whole"));
}
