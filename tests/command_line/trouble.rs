//! What goes wrong while a run is under way: objectives that explode, disks that fill, readers that leave.

use super::*;

#[test]
fn an_objective_that_explodes_at_once_ends_the_run_and_names_step_and_place() {
    let place = Workplace::new();
    for opt in ["sgd", "adagrad", "rmsprop", "adam"] {
        let out = format!("run-{opt}");
        let message = place.mnist(&format!("--opt {opt} --lr 1e30 --out {out}")).failed(
            1,
            &[
                "no longer finite at step 2, where the ",
                "infinite number or NaN",
                "e29): try a smaller --lr, such as 0.",
            ],
        );
        assert!(message.contains("the parameter 0.weight") || message.contains("the output of layer"));
        let log = place.read(&format!("{out}/metrics.csv"));
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.starts_with("epoch,objective,") && log.ends_with('\n'));
        assert!(!place.path(&out).join("model.safetensors").exists());
    }
}

#[test]
fn an_objective_that_explodes_later_leaves_the_rows_and_curves_of_the_epochs_before() {
    let place = Workplace::new();
    // Labels that the images do not tell keep the weights walking, by steps of about the learning rate;
    // that climbs for ten epochs from a tenth of its peak, with which a product passes float32's 3e38.
    write_data(&place.path("noise"), [1, 1], 3, [TRAIN, TEST]);
    let message = place
        .mnist("--data noise --opt sgd --lr 1e38 --augment none --epochs 50 --hidden none --out run")
        .failed(1, &["no longer finite at step "]);
    let step: usize = message.split("at step ").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
    assert!(step > 10, "an epoch has ten steps: {message}");
    let text = place.read("run/metrics.csv");
    let rows = cells(&text);
    assert_eq!(rows.len(), 1 + (step - 1) / 10, "{text}");
    assert!(rows[1..].iter().flatten().all(|cell| cell.parse::<f64>().unwrap().is_finite()), "{text}");
    for name in ["objective.svg", "accuracy.svg"] {
        assert!(is_svg(&place.path("run").join(name)), "{name}");
    }
    assert!(is_png(&place.path("run/objective.png")));
}

#[test]
fn a_network_that_the_last_step_ruins_is_an_error_and_no_row() {
    let place = Workplace::new();
    // One step an epoch: the loss before it is finite, the network after it is not.
    place.mnist("--opt sgd --lr 1e39 --schedule constant --batch-size 300 --epochs 1 --out run").failed(
        1,
        &["no longer finite at step 1, where the parameter 0.weight", "try a smaller --lr, such as 0.1."],
    );
    assert_eq!(place.read("run/metrics.csv").lines().count(), 1);
}

#[test]
fn a_full_disk_ends_the_run_with_the_file_named_and_the_rows_before_kept() {
    let place = Workplace::new();
    write_data(&place.path("tiny"), [5, 7], 2, [64, 64]);
    let options = "mnist --data tiny --batch-size 32 --hidden none --epochs 120 --threads 1 --quiet";
    place.run(&format!("{options} --out whole")).succeeded();
    // A limit on the size of files; the log outgrows it after some dozens of epochs, nothing else does.
    let script = format!("trap '' XFSZ; ulimit -f 8; exec \"$0\" {options} --out run");
    let message = place.shell(&script).failed(1, &["could not write run/metrics.csv", "too large"]);
    assert!(message.contains("go on with: cotangent mnist --resume run"), "{message}");
    let (log, whole) = (place.read("run/metrics.csv"), place.read("whole/metrics.csv"));
    let (rows, all) = (metrics_without_times(&log), metrics_without_times(&whole));
    assert!(rows.len() > 20 && log.ends_with('\n'), "{log}");
    assert_eq!(rows, all[..rows.len()]);
    // With room again it goes on to the end.
    place.run("mnist --resume run --quiet").succeeded();
    assert_eq!(metrics_without_times(&place.read("run/metrics.csv")), all);
    let of = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(of("run") == of("whole"));
}

#[test]
fn a_checkpoint_that_does_not_fit_the_disk_is_named_and_leaves_no_half_file() {
    let place = Workplace::new();
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" mnist --data data --hidden 64 --threads 1 --out run";
    place.shell(script).failed(1, &["could not write run/checkpoint.safetensors", "--resume run"]);
    let names = place.names("run");
    assert!(!names.iter().any(|name| name.contains("part") || name.contains("checkpoint")), "{names:?}");
    assert_eq!(place.read("run/metrics.csv").lines().count(), 2);
    let script =
        "trap '' XFSZ; ulimit -f 8; exec \"$0\" compare --data data --hidden 64 --threads 1 --out all";
    place
        .shell(script)
        .failed(
            1,
            &[
                "the run adagrad-seed0 failed after 0 of 4 runs (mend the cause and go on with: cotangent compare --resume all)",
                "all/adagrad-seed0/checkpoint.safetensors",
            ],
        );
    // With room again it goes on.
    place.run("compare --resume all --quiet").succeeded();
}

#[test]
fn what_is_printed_as_the_work_and_cannot_be_written_is_an_error() {
    let place = Workplace::new();
    for arguments in [
        "--help",
        "--version",
        "mnist --help",
        "doctor",
        "doctor --format json",
        "trace x*x --at x=1",
        "trace x*x --at x=1 --format json",
        "backprop --columns 2",
    ] {
        let to = |target: &str| place.shell(&format!("\"$0\" {arguments} {target}"));
        let message = to("> /dev/full").failed(1, &["cannot write to standard output", "No space left"]);
        assert_eq!(message.lines().count(), 1, "{arguments}: {message}");
        // A reader who has seen enough has what it wanted.
        let status = place.shell(&format!("{{ \"$0\" {arguments}; echo $? >&2; }} | head -c 1")).stderr;
        assert_eq!(status, "0\n", "{arguments}");
        to(">&-").succeeded();
    }
}

#[test]
fn a_reader_that_leaves_does_not_end_a_run() {
    let place = Workplace::new();
    let options = "mnist --data data --hidden 16 --epochs 30 --threads 1";
    place.shell(&format!("{{ \"$0\" {options} --out piped; echo $? >status; }} | head -1")).succeeded();
    assert_eq!(place.read("status"), "0\n");
    place.shell(&format!("exec \"$0\" {options} --out closed >&- 2>&-")).succeeded();
    place.shell(&format!("exec \"$0\" {options} --out full >/dev/full 2>/dev/full")).succeeded();
    for run in ["piped", "closed", "full"] {
        assert_eq!(place.read(&format!("{run}/metrics.csv")).lines().count(), 31, "{run}");
        assert!(place.path(run).join("summary.json").exists(), "{run}");
    }
    let status = place.shell("exec \"$0\" mnist --epochs 0 2>&-").status;
    assert_eq!(status, Some(2));
}
