//! What a run left: proved by `verify`, noticed by everybody else when it has changed, and written by one process at a time.

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Child;

use super::resume::{cut_off, finished, same_result, started};
use super::*;
use crate::support::everything;

/// Numbers that look random and are the same each time.
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }
}

/// A file's content with a few bits flipped, a piece cut out or put in twice, or cut off.
fn damaged(whole: &[u8], noise: &mut Noise) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let place = noise.below(bytes.len());
    let length = 1 + noise.below(64).min(bytes.len() - place - 1);
    match noise.below(4) {
        0 | 1 => bytes[place] ^= 1 << noise.below(8),
        2 => drop(bytes.drain(place..place + length)),
        _ => bytes.truncate(place),
    }
    if bytes == whole {
        bytes.push(b'x');
    }
    bytes
}

#[test]
fn a_finished_run_is_verified_file_by_file_and_by_its_figures() {
    let place = Workplace::new();
    place.mnist("--validation 30 --out run").succeeded();
    assert_eq!(place.names("run"), FILES);
    let shown = place.run("verify run").succeeded().stdout;
    for words in
        ["ok     model.safetensors", "figures of the network", "100.00%", "so are options, data and log"]
    {
        assert!(shown.contains(words), "{words:?} is not in: {shown}");
    }
    assert!(!shown.contains("WRONG") && !shown.contains(" -  "), "{shown}");
    assert_eq!(place.shell("cd run && sha256sum --check --quiet SHA256SUMS").status, Some(0));
    let json = place.run("verify run --format json").succeeded().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json[0]["checks"].as_array().unwrap().iter().all(|check| check["holds"] == true), "{json}");

    // A summary that was edited together with its digest is found out by the log, and a log with it by the network.
    let summary = place.read("run/summary.json");
    let accuracy = serde_json::from_str::<serde_json::Value>(&summary).unwrap()["test_accuracy"].to_string();
    let seal_again = "cd run && sha256sum $(cut -c67- SHA256SUMS) > sums && mv sums SHA256SUMS";
    let better = summary.replace(&format!("\"test_accuracy\": {accuracy}"), "\"test_accuracy\": 0.5");
    assert!(better != summary);
    fs::write(place.path("run/summary.json"), better).unwrap();
    assert!(place.run("verify run").stdout.contains("WRONG  summary.json"));
    place.shell(seal_again).succeeded();
    let shown = place.run("verify run");
    assert!(
        shown.stdout.contains("WRONG  figures of summary.json  are not those of metrics.csv: test_accuracy")
    );
    assert!(shown.stdout.contains("WRONG  figures of the network"), "{}", shown.stdout);
    shown.failed(1, &["1 of 1 folder changed since its run left it"]);
    place.run("verify nowhere").failed(1, &["nowhere"]);
    fs::write(place.path("run/summary.json"), &summary).unwrap();
    place.shell(seal_again).succeeded();

    // Without the images what can be verified is; with others that is said.
    fs::rename(place.path("data"), place.path("moved")).unwrap();
    let shown = place.run("verify run").succeeded().stdout;
    assert!(shown.contains("could not be found again without the images"), "{shown}");
    place.run("verify run --data moved").succeeded();
    write_data(&place.path("other"), [12, 12], 3, [TRAIN, TEST + 1]);
    place.run("verify run --data other").failed(1, &["changed since its run left it"]);
    fs::rename(place.path("run/SHA256SUMS"), place.path("sums")).unwrap();
    assert!(
        place.run("verify run --data moved").stdout.contains("WRONG  SHA256SUMS"),
        "a seal that is gone is noticed"
    );
    fs::rename(place.path("sums"), place.path("run/SHA256SUMS")).unwrap();
    fs::write(place.path("run/notes.txt"), "mine").unwrap();
    let shown = place.run("verify run --data moved").succeeded().stdout;
    assert!(shown.contains("-      notes.txt"), "{shown}");
}

#[test]
fn comparisons_and_runs_that_were_cut_off_are_verified_too() {
    let place = Workplace::new();
    place.compare("--opt adam,sgd --epochs 1 --out both").succeeded();
    let shown = place.run("verify both").succeeded().stdout;
    assert!(
        shown.contains("both\n") && shown.contains("both/adam-seed0\n") && shown.contains("compare.csv"),
        "{shown}"
    );
    let table = place.read("both/compare.csv");
    fs::write(place.path("both/compare.csv"), table.replacen("0.", "1.", 1)).unwrap();
    place.run("verify both").failed(1, &["1 of 3 folders changed since its run left it"]);

    let options = format!("mnist {} --epochs 150 --out run", small("--epochs"));
    cut_off(&place, &options, "5 ", "KILL");
    let shown = place.run("verify run").succeeded().stdout;
    assert!(
        shown.contains("checkpoint.safetensors") && shown.contains("so are options, data and log"),
        "{shown}"
    );
    let config = place.read("run/config.toml");
    fs::write(place.path("run/config.toml"), config.replace("seed = 0", "seed = 1")).unwrap();
    assert!(place.run("verify run").stdout.contains("says 1 for seed"));
}

#[test]
fn a_file_that_was_damaged_is_noticed_by_all_who_read_it_and_changes_no_result_in_silence() {
    let place = Workplace::new();
    place.mnist("--out run").succeeded();
    let all = everything();
    let mut noise = Noise(7);
    for name in FILES {
        let path = place.path("run").join(name);
        let whole = fs::read(&path).unwrap();
        for _ in 0..if all { 100 } else { 4 } {
            let bytes = damaged(&whole, &mut noise);
            fs::write(&path, &bytes).unwrap();
            place.run("verify run").failed(1, &[]);
            // Shown to people, what has changed is said beside it; drawings, and what more epochs go on from, are not read.
            let report = place.run("report --runs run --out page.html --force");
            assert!(
                !report.stderr.contains("panicked") && matches!(report.status, Some(0 | 1)),
                "{}",
                report.stderr
            );
            let is_read =
                ["config.toml", "confusion.csv", "metrics.csv", "summary.json", "SHA256SUMS"].contains(&name);
            let said = format!("{}{}", report.stdout, report.stderr);
            assert!(!is_read || said.contains(name), "{name} was changed and nobody said so: {said}");
            if name == "model.safetensors" {
                place.mnist("--init run --out next --epochs 1").failed(1, &["model.safetensors"]);
            }
            if name == "finished.safetensors" {
                place.run("mnist --resume run --epochs 3").failed(1, &["finished.safetensors"]);
            }
        }
        fs::write(&path, whole).unwrap();
    }
    place.run("verify run").succeeded();
}

/// A run of so many epochs to its end, in `whole`, and the same until it was killed, in another folder. Returns its command.
fn whole_and_cut_off(place: &Workplace, epochs: usize, cut: &str) -> String {
    let command = format!("mnist {} --epochs {epochs} --hidden 64,48", small("--epochs --hidden"));
    place.run(&format!("{command} --quiet --out whole")).succeeded();
    cut_off(place, &format!("{command} --out {cut}"), "5 ", "KILL");
    command
}

#[test]
fn a_damaged_file_of_a_run_that_was_cut_off_is_named_or_changes_nothing() {
    let place = Workplace::new();
    whole_and_cut_off(&place, 40, "run");
    let files = contents(&place.path("run"));
    let all = everything();
    let (mut noise, mut refused, mut same) = (Noise(3), 0, 0);
    for (path, whole) in &files {
        if whole.is_empty() {
            continue;
        }
        for _ in 0..if all { 100 } else { 5 } {
            for (path, whole) in &files {
                fs::write(path, whole).unwrap();
            }
            fs::write(path, damaged(whole, &mut noise)).unwrap();
            let ended = place.run("mnist --resume run");
            if ended.status == Some(0) {
                same_result(&place, "run", "whole");
                same += 1;
            } else {
                let name = path.file_name().unwrap().to_str().unwrap();
                let message = ended.failed(1, &[]);
                // What was damaged in config.toml may be where the data are.
                let is_named = message.contains(name) || message.contains("config.toml");
                assert!(is_named || name == "config.toml" && message.contains("data"), "{name}: {message}");
                refused += 1;
            }
            fs::remove_dir_all(place.path("run")).unwrap();
            fs::create_dir(place.path("run")).unwrap();
        }
    }
    println!("{refused} named, {same} with the same result");
    assert!(refused > 0 && same > 0, "{refused} {same}");
}

/// Two of the same command, started at once.
fn both(place: &Workplace, arguments: &str) -> [Finished; 2] {
    let start = || -> Child {
        let mut command = place.program();
        command.args(arguments.split_whitespace()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let both = [start(), start()];
    both.map(finished)
}

#[test]
fn of_two_that_go_on_at_once_one_does_and_the_other_is_told() {
    let place = Workplace::new();
    let command = whole_and_cut_off(&place, 150, "cut");
    let all = everything();
    let mut told = 0;
    for _ in 0..if all { 100 } else { 8 } {
        place.shell("rm -rf run && cp -r cut run").succeeded();
        let [first, second] = both(&place, "mnist --resume run --quiet");
        let statuses = [first.status, second.status];
        assert!(statuses.contains(&Some(0)), "{}{}", first.stderr, second.stderr);
        for ended in [first, second] {
            match ended.status {
                Some(0) => {}
                // One that came when the other was done.
                Some(2) => drop(ended.failed(2, &["run is complete"])),
                _ => {
                    ended.failed(
                        1,
                        &["process ", " on ", " since 20", " is writing into run: wait for it to end"],
                    );
                    told += 1;
                }
            }
        }
        same_result(&place, "run", "whole");
        place.run("verify run").succeeded();
    }
    println!("{told} were told");
    assert!(told > 0, "they never met");
    let [first, second] = both(&place, &format!("{command} --quiet --out new"));
    let mut statuses = [first.status, second.status];
    statuses.sort();
    assert_eq!(statuses, [Some(0), Some(1)], "{}{}", first.stderr, second.stderr);
    same_result(&place, "new", "whole");
}

#[test]
fn who_writes_a_comparison_is_told_to_others_and_its_runs_are_its_own() {
    let place = Workplace::new();
    let options = format!("compare {} --opt adam,sgd --epochs 150", small("--epochs"));
    let (mut child, _reader) = started(&place, &format!("{options} --out both"), "5 ");
    place
        .run("compare --resume both")
        .failed(1, &["process ", &child.id().to_string(), " is writing into both: "]);
    place
        .run("mnist --resume both/adam-seed0")
        .failed(1, &["process ", " is writing into both/adam-seed0: "]);
    place.run("report --runs both --out page.html").succeeded(); // reading is everybody's
    child.kill().unwrap();
    child.wait().unwrap();
    place.run("compare --resume both --quiet").succeeded(); // a process that has ended holds nothing
    assert!(!place.path("both/.lock").exists() && !place.path("both/adam-seed0/.lock").exists());
}

#[test]
fn what_a_kill_left_before_the_first_file_is_taken_again_and_nothing_else() {
    let place = Workplace::new();
    for left in [&[][..], &[".lock"], &[".lock", ".config.toml.part"]] {
        fs::create_dir(place.path("run")).unwrap();
        left.iter().for_each(|name| fs::write(place.path("run").join(name), "half").unwrap());
        place
            .run("mnist --resume run")
            .failed(1, &["holds no config.toml: the run was ended before it began", "--out run"]);
        place.mnist("--epochs 1 --out run").succeeded();
        assert_eq!(place.names("run"), FILES);
        fs::remove_dir_all(place.path("run")).unwrap();
    }
    for other in ["config.toml", "metrics.csv", "notes", ".hidden"] {
        fs::create_dir(place.path("run")).unwrap();
        fs::write(place.path("run").join(other), "kept").unwrap();
        place.mnist("--epochs 1 --out run").failed(1, &["run exists already"]);
        assert_eq!(place.names("run"), [other]);
        fs::remove_dir_all(place.path("run")).unwrap();
    }
}

#[test]
fn nothing_is_written_through_a_link_in_a_folder_of_somebody_else() {
    let place = Workplace::new();
    let options = format!("mnist {} --epochs 150", small("--epochs"));
    place.run(&format!("{options} --quiet --out whole")).succeeded();
    cut_off(&place, &format!("{options} --out run"), "5 ", "KILL");
    let names = place.names("whole");
    fs::create_dir(place.path("outside")).unwrap();
    for name in names.iter().map(String::as_str).chain(["diverged.json"]) {
        let victim = place.path("outside").join(name);
        fs::write(&victim, "theirs").unwrap();
        let _ = symlink(&victim, place.path("run").join(format!(".{name}.part")));
        if !place.path("run").join(name).exists() {
            symlink(&victim, place.path("run").join(name)).unwrap();
        }
    }
    // A summary that is a link to something else is no summary: the run has not come to its end.
    place.run("mnist --resume run --quiet").succeeded();
    for (path, content) in contents(&place.path("outside")) {
        assert_eq!(content, b"theirs", "{}", path.display());
    }
    for name in FILES {
        assert!(place.path("run").join(name).symlink_metadata().unwrap().is_file(), "{name} is a link");
    }
    // The lock, and the folder of a run of a comparison, are opened and written: there a link is refused.
    cut_off(&place, &format!("{options} --out again"), "5 ", "KILL");
    fs::remove_file(place.path("again/.lock")).unwrap();
    symlink(place.path("outside/config.toml"), place.path("again/.lock")).unwrap();
    place.run("mnist --resume again").failed(1, &["again", "no file"]);
    place.compare("--opt adam,sgd --epochs 1 --out both").succeeded();
    fs::rename(place.path("both/adam-seed0"), place.path("elsewhere")).unwrap();
    symlink(place.path("elsewhere"), place.path("both/adam-seed0")).unwrap();
    let before = contents(&place.path("elsewhere"));
    place.run("compare --resume both").failed(1, &["both/adam-seed0"]);
    assert!(contents(&place.path("elsewhere")) == before);
}

/// Puts something that is no file of ours in the place of one.
fn put(what: &str, path: &Path) {
    let _ = fs::remove_file(path);
    match what {
        "pipe" => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        "device" => symlink("/dev/zero", path).unwrap(),
        "folder" => fs::create_dir(path).unwrap(),
        _ => fs::File::create(path).unwrap().set_len(1 << 42).unwrap(),
    }
}

#[test]
fn pipes_devices_and_endless_files_are_refused_at_once() {
    let place = Workplace::new();
    place.mnist("--out run").succeeded();
    let options = format!("mnist {} --epochs 150 --out cut", small("--epochs"));
    cut_off(&place, &options, "5 ", "KILL");
    let commands = |folder: &str| {
        [
            format!("mnist --resume {folder} --epochs 151"),
            format!("mnist --resume {folder}"),
            format!("report --runs {folder} --out page.html --force"),
            format!("verify {folder}"),
            format!("mnist --data data --init {folder} --epochs 1 --out init"),
        ]
    };
    let all = everything();
    let (mut turn, kinds) = (0, ["device", "sparse", "folder"]);
    for saved in ["run", "cut"] {
        for name in place.names(saved) {
            let others = if all { &kinds[..] } else { &kinds[turn % 3..][..1] };
            turn += 1;
            for what in ["pipe"].iter().chain(others) {
                for command in commands("folder") {
                    place
                        .shell(&format!("rm -rf folder init; cp -r {saved} folder; rm -f folder/.lock"))
                        .succeeded();
                    let path = place.path("folder").join(&name);
                    put(what, &path);
                    let ended =
                        place.shell(&format!("ulimit -v 4000000; timeout 20 \"$0\" {command} < /dev/null"));
                    let said = format!("{saved}/{name} is a {what}: {command}: {}", ended.stderr);
                    assert!(!ended.stderr.contains("panicked"), "{said}");
                    assert!(matches!(ended.status, Some(0..=2)), "{said}: {:?}", ended.status);
                }
            }
        }
    }
}

#[test]
fn what_is_no_file_is_refused_at_once_in_a_folder_of_data_too() {
    let place = Workplace::new();
    for name in cotangent::data::FILE_NAMES {
        let path = place.path("data").join(name);
        let whole = fs::read(&path).unwrap();
        for (what, said) in [("pipe", "a pipe"), ("device", "a device")] {
            put(what, &path);
            let ended = place.shell("timeout 20 \"$0\" mnist --data data --out run < /dev/null");
            ended.failed(1, &[name, "put a file in its place", &format!("is no file but {said}")]);
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, whole).unwrap();
    }
    assert!(!place.path("run").exists());
}

#[test]
fn control_characters_of_names_and_files_do_not_reach_the_terminal() {
    let place = Workplace::new();
    let evil = "a\u{1b}]0;owned\u{7}\u{9b}2J";
    let folder = place.path(evil);
    fs::create_dir(&folder).unwrap();
    let none = |ended: Finished, what: &str| {
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!said.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{what}: {said:?}");
        assert!(said.contains("\\u{1b}"), "{what}: {said:?}");
    };
    let run = |arguments: &[&str]| Finished::of(place.program().args(arguments));
    none(run(&["mnist", "--resume", evil]), "resume");
    none(run(&["report", "--runs", evil]), "report");
    none(run(&["verify", evil]), "verify");
    none(run(&["mnist", "--data", evil]), "data");
    for arguments in [&["mnist", evil][..], &["mnist", "--opt", evil]] {
        let ended = run(arguments);
        assert!(!ended.stderr.chars().any(|c| c.is_control() && c != '\n'), "{:?}", ended.stderr);
    }
    none(run(&["mnist", "--config", evil]), "config");
    none(
        run(&["mnist", "--data", "data", "--epochs", "1", "--hidden", "4", "--out", &format!("{evil}/run")]),
        "out",
    );
    place.mnist("--epochs 1 --out run").succeeded();
    let config = place.read("run/config.toml");
    fs::write(place.path("run/config.toml"), config.replace("\"adam\"", "\"ad\\u001b[2Jam\"")).unwrap();
    none(place.run("mnist --resume run"), "a name in a file");
    none(place.run("verify run"), "a name in a file");
    let mut file = fs::File::create(place.path("run/config.toml")).unwrap();
    file.write_all(b"seed = \"\x1b[2J\"\n").unwrap();
    let ended = place.run("report --runs run --out page.html");
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains('\u{1b}'));
}

#[test]
fn a_folder_without_permission_is_called_that() {
    let place = Workplace::new();
    // Whoever may do everything is refused nothing.
    if place.shell("test $(id -u) = 0").status == Some(0) {
        let message = place.shell(
            "mkdir shut shut/run && touch shut/run/config.toml && chmod 700 shut && chmod 777 . && \
             command -v setpriv > /dev/null || exit 77; chmod 755 \"$(dirname \"$0\")\"; \
             exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$0\" mnist --resume shut/run",
        );
        if message.status != Some(77) && !message.stderr.starts_with("setpriv") {
            let said = message.failed(1, &["shut/run", "ermission denied"]);
            assert!(!said.contains("no run folder") && !said.contains("no such"), "{said}");
        }
        return;
    }
    place.mnist("--epochs 1 --out run").succeeded();
    fs::set_permissions(place.path("run"), fs::Permissions::from_mode(0o000)).unwrap();
    let message = place.run("mnist --resume run").failed(1, &["run", "ermission denied"]);
    fs::set_permissions(place.path("run"), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(!message.contains("no run folder"), "{message}");
}
