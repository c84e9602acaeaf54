//! Signals: what a run keeps, what the status says, and what goes with the program.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Child;
use std::time::{Duration, Instant};

use super::resume::{cut_off, finished, same_result, signal, started};
use super::*;

const LONG: &str = "--epochs 150 --hidden 64,48 --batch-size 4 --dropout 0.2 --seed 9";

#[test]
fn the_signals_of_a_scheduler_and_a_closed_terminal_end_a_run_as_ctrl_c_does() {
    let place = Workplace::new();
    let options = format!("mnist {} {LONG}", small(LONG)).replace("150", "12");
    place.run(&format!("{options} --quiet --out whole")).succeeded();
    for (name, status) in [("TERM", 143), ("HUP", 129), ("INT", 130)] {
        let run = format!("run-{name}");
        let words = ["interrupted after ", &format!("--resume {run} (SIG{name})")];
        let message = cut_off(&place, &format!("{options} --out {run}"), "2 ", name).failed(status, &words);
        assert_eq!(message.lines().count(), 1, "{message}");
        let mut names = place.names(&run);
        names.retain(|name| name.starts_with('.'));
        assert!(names.is_empty(), "{names:?}");
        place.run(&format!("mnist --resume {run} --quiet")).succeeded();
        same_result(&place, &run, "whole");
    }
}

#[test]
fn two_signals_within_a_blink_are_one() {
    let place = Workplace::new();
    let options = format!("mnist {} {LONG} --out run", small(LONG));
    let (child, reader) = started(&place, &options, "2 ");
    // From one shell, as the program has ended its batch a moment after the first; two kinds, as the system joins two of one.
    place.shell(&format!("kill -INT {0}; kill -TERM {0}", child.id())).succeeded();
    std::io::copy(&mut { reader }, &mut std::io::sink()).unwrap();
    let ended = finished(child);
    // Where both are there before the program looks, either may be the first.
    let (status, name) = if ended.status == Some(143) { (143, "(SIGTERM)") } else { (130, "(SIGINT)") };
    ended.failed(status, &["interrupted after ", name]);
    assert!(place.path("run/summary.json").exists(), "it came to its end");
}

#[test]
fn what_was_told_to_ignore_a_closed_terminal_does() {
    let place = Workplace::new();
    let script = "trap '' HUP; \"$0\" mnist --data data --hidden 64,48 --batch-size 4 --epochs 40 --threads 1 --out run & \
                  pid=$!; until [ -s run/checkpoint.safetensors ]; do sleep 0.01; done; kill -HUP $pid; wait $pid";
    place.shell(script).succeeded();
    assert!(place.read("run/summary.json").contains("\"interrupted\": false"));
}

/// Starts a program that itself starts one that goes on for long and says its number in the file `pid`; waits for that.
fn with_child(place: &Workplace, arguments: &str, environment: &[(&str, &str)]) -> Child {
    let mut command = place.attentive();
    command.args(arguments.split_whitespace()).envs(environment.iter().copied());
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let begin = Instant::now();
    while !place.path("pid").exists() || place.read("pid").trim().is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(60), "it was never started");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

fn script(place: &Workplace, name: &str) -> String {
    let path = place.path(name);
    let text = format!(
        "#!/bin/sh\nsleep 300 & echo $! > '{}.part'\nmv '{0}.part' '{0}'\nwait\n",
        place.path("pid").display()
    );
    fs::write(&path, text.replace("{0}", &place.path("pid").display().to_string())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
fn programs_and_folders_of_ours_go_with_us() {
    let place = Workplace::new();
    place.mnist("--epochs 1 --out run").succeeded();
    fs::create_dir(place.path("tmp")).unwrap();
    let temporary = place.path("tmp").display().to_string();
    let (browser, python) = (script(&place, "browser"), script(&place, "python"));
    let environment = [("COTANGENT_BROWSER", &browser[..]), ("TMPDIR", &temporary[..])];
    for (name, status) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        for arguments in ["report --runs run --pdf --force", &format!("backprop --check-torch {python}")] {
            let child = with_child(&place, arguments, &environment);
            signal(&child, name);
            let begin = Instant::now();
            assert_eq!(finished(child).status, Some(status), "{arguments}");
            assert!(begin.elapsed() < Duration::from_secs(5), "{arguments}: {:?}", begin.elapsed());
            // A process that was killed is there until whoever is its parent now has seen it.
            let gone = "for i in $(seq 100); do s=$(cut -d' ' -f3 /proc/$(cat pid)/stat 2>/dev/null); \
                        case \"$s\" in ''|Z) exit 0;; esac; sleep 0.05; done; exit 1";
            assert_eq!(place.shell(gone).status, Some(0), "{arguments}: what it started goes on");
            assert!(place.names("tmp").is_empty(), "{arguments}: {:?}", place.names("tmp"));
            let left = place.names(".");
            assert!(!left.iter().any(|name| name.starts_with("cotangent-print-")), "{left:?}");
            fs::remove_file(place.path("pid")).unwrap();
        }
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_that_names_the_file() {
    let place = Workplace::new();
    let script = "ulimit -f 8; exec \"$0\" mnist --data data --hidden 64 --threads 1 --out run";
    place.shell(script).failed(1, &["could not write run/checkpoint.safetensors", "too large"]);
}

#[test]
fn a_run_that_is_ended_at_once_before_it_trains_says_so_by_its_status() {
    let place = Workplace::new();
    // Reading standard input for ever.
    let mut command = place.attentive();
    command
        .args(["trace", "-", "--at", "x=1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "TERM");
    let output = finished_with_input(child);
    assert_eq!(output.status, Some(143));
    let lines = BufReader::new(output.stderr.as_bytes()).lines().count();
    assert_eq!(lines, 0, "{}", output.stderr);
}

/// How it ended, its input being kept open so far.
fn finished_with_input(mut child: Child) -> Finished {
    let input = child.stdin.take();
    let output = child.wait_with_output().unwrap().into();
    drop(input);
    output
}
