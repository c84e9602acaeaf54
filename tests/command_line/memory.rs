//! A limit on a process's memory: whatever it is, a command does its work, or says in one line what it lacks and leaves
//! nothing behind. The allocator's abort is never how anybody learns it.

use super::*;

/// The size of the program for which the limits here were found, in kilobytes: that without CUDA kernels.
const PROGRAM_SIZE: usize = 27_000;

/// What a shell under a limit of so many megabytes runs; kernels in the program come on top, as its file counts.
fn under(megabytes: usize, arguments: &str) -> String {
    let program = fs::metadata(PROGRAM).unwrap().len() as usize / 1000;
    let kilobytes = 1000 * megabytes + program.saturating_sub(PROGRAM_SIZE);
    format!("ulimit -v {kilobytes}; exec \"$0\" {arguments}")
}

/// The limits under which a run works, of these; under others it is refused and leaves no folder.
#[track_caller]
fn working(place: &Workplace, command: &str, limits: &[usize]) -> Vec<usize> {
    let works = |&megabytes: &usize| {
        let out = format!("out-{megabytes}");
        let done = place.shell(&under(megabytes, &format!("{command} --out {out}")));
        match done.status {
            Some(0) => {
                fs::remove_dir_all(place.path(&out)).unwrap(); // for the next command
                true
            }
            _ => {
                let said = done.failed(1, &[]);
                assert!(!place.path(&out).exists(), "{command} with {megabytes} MB: {said}");
                false
            }
        }
    };
    limits.iter().copied().filter(works).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn more_memory_is_never_too_little_for_a_run_that_less_suffices_for() {
    let place = Workplace::new();
    // Where the memory is just enough, and where heaps of other threads would have taken it: 64 MB each.
    let limits = [36, 44, 48, 50, 52, 54, 56, 58, 60, 64, 70, 130, 160, 170, 180, 240, 300, 360];
    for command in ["mnist", "compare --opt adam,sgd"] {
        for threads in [1, 4] {
            let command = format!("{command} --data data --hidden 16 --epochs 1 --quiet --threads {threads}");
            let works = working(&place, &command, &limits);
            assert!(works.len() > 5 && limits.ends_with(&works), "{command}: of {limits:?} {works:?} work");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn backprop_asks_for_its_matrices_before_it_makes_them() {
    let place = Workplace::new();
    let arguments = "backprop --shape 300,300 --columns 100 --format csv";
    place.shell(&under(90, arguments)).succeeded();
    place.shell(&under(40, arguments)).failed(1, &["210000 numbers take 47.0 MB of memory", "fewer columns"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_trace_takes_memory_in_proportion_to_its_formula() {
    let place = Workplace::new();
    let names: Vec<String> = (1..=5000).map(|i| format!("x{i}")).collect();
    let point = names.iter().map(|name| format!("{name}=1")).collect::<Vec<_>>().join(",");
    fs::write(place.path("product"), names.join("*")).unwrap();
    fs::write(place.path("point"), &point).unwrap();
    fs::write(place.path("signs"), "-".repeat(100_000) + "x").unwrap();
    fs::write(place.path("deep"), format!("{}x{}", "sin(".repeat(20_000), ")".repeat(20_000))).unwrap();
    let traced = |formula: &str, at: &str, options: &str, megabytes: usize| {
        let arguments = format!("trace - --at \"{at}\" {options} < {formula} > {formula}.out");
        place.shell(&under(megabytes, &arguments))
    };
    for format in ["text", "json", "csv", "latex", "markdown"] {
        let options = format!("--format {format}");
        traced("product", "$(cat point)", &options, 80).succeeded();
        traced("signs", "x=1", &options, 240).succeeded();
    }
    traced("product", "$(cat point)", "--graph product.dot", 80).succeeded();
    traced("deep", "x=1", "", 200).succeeded();
    // Under a limit that does not suffice it is said before the work.
    traced("signs", "x=1", "", 60)
        .failed(1, &["the trace of a formula of 100001 parts takes 38", "MB of memory"]);
    traced("deep", "x=1", "--hessian", 60)
        .failed(1, &["the trace of 20000 operations", "leave --hessian out"]);
}
