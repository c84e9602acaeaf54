//! Peers that are scripts.

use std::time::{Duration, Instant};

use super::figures::{Limits, Paired, Peer, pair, wants_pairs_only};

const SHORT: Limits = Limits { prepare: Duration::from_secs(20), answer: Duration::from_millis(300) };

/// A peer that answers a request that has the word in it with what stands beside it.
struct Script {
    folder: tempfile::TempDir,
}

impl Script {
    fn new(answers: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            "echo started >> {folder}/log\nwhile read -r line; do echo \"$line\" >> {folder}/log\n\
             case $line in {answers} esac; done\necho ended >> {folder}/log\n",
            folder = folder.path().display()
        );
        std::fs::write(folder.path().join("peer.sh"), script).unwrap();
        Self { folder }
    }

    fn start(&self) -> Peer {
        Peer::start(&format!("sh {}/peer.sh", self.folder.path().display()), SHORT).unwrap().unwrap()
    }

    /// What it was asked.
    fn log(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

const PEERS: &str = r#"*peers*) echo '{"peers": ["cuBLAS", "PyTorch"]}';;"#;
const READY: &str = r#"*prepare*) echo '{"ready": true}';;"#;
const SECONDS: &str = r#"*sample*) echo '{"seconds": 0.25}';;"#;
const RELEASED: &str = r#"*release*) echo '{"released": true}';;"#;

fn paired(peer: &mut Peer) -> Paired {
    pair(peer, ("sum/9", "PyTorch", "cold"), 7, || Ok::<_, ()>(0.5)).unwrap()
}

#[test]
fn a_peer_is_asked_in_pairs_and_ends_with_its_input() {
    let script = Script::new(&[PEERS, READY, SECONDS, RELEASED].concat());
    let mut peer = script.start();
    assert_eq!(peer.peers("sum/9"), Ok(vec!["cuBLAS".into(), "PyTorch".into()]));
    assert_eq!(paired(&mut peer), Paired { ours: vec![0.5; 7], theirs: vec![0.25; 7], problem: None });
    drop(peer);
    let log = script.log();
    let requests: Vec<serde_json::Value> =
        log[1..3].iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(requests[0], serde_json::json!({"peers": "sum/9"}));
    assert_eq!(requests[1], serde_json::json!({"prepare": "sum/9", "peer": "PyTorch", "cache": "cold"}));
    // the first sample is a warm-up
    assert_eq!(log[3..11], vec!["{\"sample\":true}"; 8]);
    assert_eq!(log[11..], ["{\"release\":true}", "ended"]);
}

/// Who comes first in a round is told by how many samples the peer has given when ours is taken.
#[test]
fn either_comes_first_in_some_rounds() {
    let script = Script::new(&[PEERS, READY, SECONDS, RELEASED].concat());
    let mut peer = script.start();
    let mut theirs_before = Vec::new();
    pair(&mut peer, ("sum/9", "PyTorch", "warm"), 60, || {
        theirs_before.push(script.log().iter().filter(|line| line.contains("sample")).count());
        Ok::<_, ()>(0.5)
    })
    .unwrap();
    // after the warm-up, in round r: r + 1 if ours is first, else r + 2
    let first = (0..60).filter(|round| theirs_before[round + 1] == round + 1).count();
    assert!((10..=50).contains(&first), "ours was first {first} times of 60");
}

#[test]
fn what_a_peer_cannot_do_costs_that_case_alone_and_it_goes_on() {
    let problem = r#"*prepare*sum*) echo '{"problem": "out of memory"}';;"#;
    let script = Script::new(&[PEERS, problem, READY, SECONDS, RELEASED].concat());
    let mut peer = script.start();
    let problem = Some("out of memory".into());
    assert_eq!(paired(&mut peer), Paired { ours: vec![0.5; 7], theirs: vec![], problem });
    let other = pair(&mut peer, ("max/9", "PyTorch", "cold"), 7, || Ok::<_, ()>(0.5)).unwrap();
    assert_eq!((other.theirs, other.problem), (vec![0.25; 7], None));
    assert_eq!(script.log().iter().filter(|line| *line == "started").count(), 1);
}

/// One that breaks at the fourth sample: all of ours are taken, and the next case has a new process.
fn breaks(how: &str) -> (String, Duration) {
    let at_fourth = format!("*sample*) n=$((n+1)); [ $n -lt 4 ] || {how}; echo '{{\"seconds\": 0.25}}';;");
    let script = Script::new(&[PEERS, READY, &at_fourth, RELEASED].concat());
    let mut peer = script.start();
    let start = Instant::now();
    let Paired { ours, theirs, problem } = paired(&mut peer);
    assert_eq!((ours, theirs), (vec![0.5; 7], vec![]));
    let took = start.elapsed();
    assert_eq!(peer.peers("sum/9").map(|peers| peers.len()), Ok(2));
    assert_eq!(script.log().iter().filter(|line| *line == "started").count(), 2);
    (problem.unwrap(), took)
}

/// It gives the sample of the warm-up, then seven of nine.
#[test]
fn what_a_peer_gave_before_it_failed_is_kept_if_it_is_enough_for_a_figure() {
    let at_ninth = r#"*sample*) n=$((n+1)); [ $n -lt 9 ] || exit 3; echo "{\"seconds\": 0.$n}";;"#;
    let script = Script::new(&[PEERS, READY, at_ninth, RELEASED].concat());
    let nine = pair(&mut script.start(), ("sum/9", "PyTorch", "cold"), 9, || Ok::<_, ()>(0.5)).unwrap();
    assert_eq!(nine.ours, [0.5; 9]);
    assert_eq!(nine.theirs, [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]);
    assert!(nine.problem.as_ref().unwrap().contains("exit status: 3"), "{nine:?}");
    // six are no figure
    let at_eighth = at_ninth.replace("-lt 9", "-lt 8");
    let script = Script::new(&[PEERS, READY, &at_eighth, RELEASED].concat());
    let six = pair(&mut script.start(), ("sum/9", "PyTorch", "cold"), 9, || Ok::<_, ()>(0.5)).unwrap();
    assert_eq!((six.ours.len(), six.theirs.len(), six.problem.is_some()), (9, 0, true));
}

#[test]
fn a_peer_that_dies_costs_only_its_figures() {
    let (problem, _) = breaks("exit 3");
    assert!(problem.contains("exit status: 3") && problem.contains("sample"), "{problem}");
    let (problem, _) = breaks("kill -9 $$");
    assert!(problem.contains("signal: 9"), "{problem}");
}

#[test]
fn a_peer_that_hangs_costs_only_its_figures() {
    let (problem, took) = breaks("exec sleep 600");
    assert!(problem.contains("no answer") && problem.contains("300ms"), "{problem}");
    assert!(took < Duration::from_secs(60), "it was waited for: {took:?}");
}

#[test]
fn a_peer_that_prints_garbage_costs_only_its_figures() {
    let (problem, _) = breaks("echo Segmentation fault");
    assert!(problem.contains("\"Segmentation fault\""), "{problem}");
    for strange in [r#"{"seconds": "fast"}"#, r#"{"seconds": -1}"#, "[]", r#"{"ready": true}"#] {
        let (problem, _) = breaks(&format!("echo '{strange}'"));
        assert!(problem.contains("where seconds were asked for"), "{problem}");
    }
}

#[test]
fn a_peer_that_always_fails_is_not_started_for_ever() {
    let script = Script::new("*) exit 1;;");
    let mut peer = script.start();
    let problems: Vec<String> = (0..6).map(|_| peer.peers("sum/9").unwrap_err()).collect();
    assert!(
        problems[0].contains("exit status: 1") && problems[5].contains("not started again"),
        "{problems:?}"
    );
    assert_eq!(script.log().iter().filter(|line| *line == "started").count(), 4);
}

#[test]
fn a_command_that_does_not_exist_is_named() {
    let mut peer = Peer::start("/nowhere/python peer.py", SHORT).unwrap().unwrap();
    let problem = peer.peers("sum/9").unwrap_err();
    assert!(problem.contains("/nowhere/python"), "{problem}");
    assert!(Peer::start("  ", SHORT).unwrap().is_none() && Peer::start("[]", SHORT).unwrap().is_none());
}

#[test]
fn a_command_whose_paths_have_blanks_is_a_json_array() {
    let script = Script::new(&[PEERS, READY, SECONDS, RELEASED].concat());
    let folder = script.folder.path().join("two words");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("peer.sh");
    std::fs::copy(script.folder.path().join("peer.sh"), &file).unwrap();
    let mut peer = Peer::start(&format!(" [\"sh\", {file:?}]"), SHORT).unwrap().unwrap();
    assert_eq!(peer.peers("sum/9").map(|peers| peers.len()), Ok(2));
    for wrong in ["[sh]", "[1]", r#"["sh""#] {
        let problem = Peer::start(wrong, SHORT).err().unwrap();
        assert!(problem.contains("COTANGENT_BENCH_PEER") && problem.contains(wrong), "{problem}");
    }
}

#[test]
fn the_time_for_a_preparation_can_be_set() {
    let with = |value| SHORT.with_prepare(value).map(|limits| (limits.prepare, limits.answer));
    assert_eq!(with(None), Ok((SHORT.prepare, SHORT.answer)));
    assert_eq!(with(Some("2.5")), Ok((Duration::from_millis(2500), SHORT.answer)));
    for wrong in ["", "soon", "0", "-1", "NaN", "inf", "1e300"] {
        let problem = with(Some(wrong)).unwrap_err();
        assert!(problem.contains("COTANGENT_BENCH_PREPARE_SECONDS") && problem.contains(wrong), "{problem}");
    }
}

#[test]
fn a_preparation_that_takes_longer_than_it_may_is_a_problem() {
    let script = Script::new(&[PEERS, "*prepare*) exec sleep 600;;"].concat());
    let limits = SHORT.with_prepare(Some("0.4")).unwrap();
    let command = format!("sh {}/peer.sh", script.folder.path().display());
    let mut peer = Peer::start(&command, limits).unwrap().unwrap();
    peer.peers("sum/9").unwrap();
    let problem = peer.prepare("sum/9", "PyTorch", "cold").unwrap_err();
    assert!(problem.contains("no answer") && problem.contains("400ms"), "{problem}");
}

#[test]
fn cases_without_a_peer_are_left_out_only_where_there_is_one() {
    for no in [None, Some(""), Some("0")] {
        assert_eq!((wants_pairs_only(no, true), wants_pairs_only(no, false)), (Ok(false), Ok(false)));
    }
    assert_eq!(wants_pairs_only(Some("1"), true), Ok(true));
    let problem = wants_pairs_only(Some("1"), false).unwrap_err();
    assert!(problem.contains("COTANGENT_BENCH_PEER names no peer"), "{problem}");
    assert!(wants_pairs_only(Some("yes"), true).unwrap_err().contains("\"yes\""));
}

#[test]
fn an_error_of_ours_is_an_error() {
    let script = Script::new(&[PEERS, READY, SECONDS, RELEASED].concat());
    let mut calls = 0;
    let failed = pair(&mut script.start(), ("sum/9", "PyTorch", "cold"), 7, || {
        calls += 1;
        if calls < 3 { Ok(0.5) } else { Err("launch failed") }
    });
    assert_eq!(failed, Err("launch failed"));
}
