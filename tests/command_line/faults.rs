//! A loss of power at each call by which a run changes files, and a disk that refuses from each on: what was there is kept, and
//! the run goes on to the bits that it would have had.
//!
//! `tests/faults/shim.c` stands between the program and the C library.

use std::sync::OnceLock;

use super::resume::same_result;
use super::*;
use crate::support::everything;

/// A run of two epochs with checkpoints within, whose files are all there are.
const RUN: &str =
    "mnist --data data --epochs 2 --hidden 8 --batch-size 100 --threads 1 --checkpoint-every 2 --quiet";

/// The library, built once.
fn shim() -> &'static Path {
    static SHIM: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, library) = SHIM.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("libshim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c");
        let mut compiler = Command::new("cc");
        compiler
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&library)
            .arg(source)
            .arg("-ldl");
        let built = Finished::of(&mut compiler);
        assert_eq!(built.status, Some(0), "{}", built.stderr);
        (folder, library)
    });
    library
}

/// Runs the program with a fault at one of its calls.
fn with_fault(place: &Workplace, arguments: &str, at: usize, fault: &str) -> Finished {
    let mut command = place.program();
    command.args(arguments.split_whitespace()).env("LD_PRELOAD", shim());
    command.env("FAULT_AT", at.to_string()).env("FAULT", fault).env("FAULT_COUNT", place.path("count"));
    Finished::of(&mut command)
}

/// How many calls there are.
fn calls(place: &Workplace, arguments: &str) -> usize {
    with_fault(place, arguments, 0, "").succeeded();
    place.read("count").trim().parse().unwrap()
}

/// Every call, or of many each of so many.
fn chosen(all: usize) -> impl Iterator<Item = usize> {
    let step = if everything() { 1 } else { (all / 14).max(1) };
    (1..=all).step_by(step).chain([all])
}

/// Goes on with what a fault left, as a person would who reads what is said: `--resume`, or the first command again where the
/// run had not begun.
fn gone_on(place: &Workplace, begin: &str, run: &str) {
    let resumed = place.run(&format!("mnist --resume {run} --quiet"));
    match resumed.status {
        Some(0) => {}
        Some(2) => drop(resumed.failed(2, &["is complete"])),
        _ => {
            let said = resumed.failed(1, &[]);
            assert!(
                said.contains("ended before it began") || said.contains("there is no such run folder"),
                "{said}"
            );
            place.run(begin).succeeded();
        }
    }
}

#[test]
fn a_run_that_is_ended_at_any_change_of_a_file_goes_on_to_the_same_bits() {
    let place = Workplace::new();
    let all = calls(&place, &format!("{RUN} --out whole"));
    assert!(all > 60, "only {all} calls were counted");
    let begin = format!("{RUN} --out run");
    let mut tried = 0;
    for fault in ["kill", "after", "half"] {
        for at in chosen(all) {
            let ended = with_fault(&place, &begin, at, fault);
            assert!(
                ended.status.is_none() || fault == "half" && ended.status == Some(0),
                "{fault} at {at}: {}",
                ended.stderr
            );
            gone_on(&place, &begin, "run");
            same_result(&place, "run", "whole");
            place.run("verify run").succeeded();
            fs::remove_dir_all(place.path("run")).unwrap();
            tried += 1;
        }
    }
    println!("{tried} of 3 x {all} calls");
}

#[test]
fn more_epochs_that_are_cut_off_at_any_change_of_a_file_go_on_to_the_same_bits() {
    let place = Workplace::new();
    place.run(&format!("{RUN} --out first")).succeeded();
    let copy = |to: &str| place.shell(&format!("rm -rf {to} && cp -r first {to}")).succeeded();
    let more = |run: &str| format!("mnist --resume {run} --epochs 3 --quiet");
    copy("whole");
    let all = calls(&place, &more("whole"));
    for at in chosen(all) {
        copy("run");
        assert_eq!(with_fault(&place, &more("run"), at, "kill").status, None);
        let again = place.run(&more("run"));
        if again.status != Some(0) {
            again.failed(2, &["has all of its 3 epochs"]);
        }
        same_result(&place, "run", "whole");
        place.run("verify run").succeeded();
    }
}

#[test]
fn a_disk_that_is_full_from_any_call_on_is_an_error_and_nothing_is_lost() {
    const FULL: &str = "28";
    const SHUT: &str = "13"; // no permission
    const ROTTEN: &str = "5"; // an error of the device
    let place = Workplace::new();
    let all = calls(&place, &format!("{RUN} --out whole"));
    let begin = format!("{RUN} --out run");
    for (fault, words) in [(FULL, "No space left"), (SHUT, "ermission denied"), (ROTTEN, "nput/output error")]
    {
        for at in chosen(all).step_by(if fault == FULL { 1 } else { 5 }) {
            let ended = with_fault(&place, &begin, at, fault);
            if ended.status == Some(0) {
                // What could not be removed at the very end is no loss.
                let _ = fs::remove_file(place.path("run/.lock"));
                same_result(&place, "run", "whole");
            } else {
                let said = ended.failed(1, &[words]);
                assert!(said.contains("run"), "{fault} at {at}: {said}");
                gone_on(&place, &begin, "run");
                same_result(&place, "run", "whole");
            }
            place.run("verify run").succeeded();
            fs::remove_dir_all(place.path("run")).unwrap();
        }
    }
}

#[test]
fn a_comparison_that_is_ended_at_any_change_of_a_file_goes_on_to_the_same_results() {
    let place = Workplace::new();
    let options = RUN.replace("mnist", "compare --opt adam,sgd").replace("--epochs 2", "--epochs 1");
    let all = calls(&place, &format!("{options} --out whole"));
    for at in chosen(all).step_by(2) {
        assert_eq!(with_fault(&place, &format!("{options} --out both"), at, "kill").status, None);
        let resumed = place.run("compare --resume both --quiet");
        if resumed.status != Some(0) {
            let said = resumed.failed(1, &[]);
            assert!(said.contains("ended before it began") || said.contains("there is no such"), "{said}");
            place.run(&format!("{options} --out both")).succeeded();
        }
        for run in ["adam-seed0", "sgd-seed0"] {
            let model = |of: &str| fs::read(place.path(format!("{of}/{run}/model.safetensors"))).unwrap();
            assert!(model("both") == model("whole"), "{run}");
        }
        assert_eq!(place.read("both/compare.csv"), place.read("whole/compare.csv"));
        place.run("verify both").succeeded();
        fs::remove_dir_all(place.path("both")).unwrap();
    }
}
