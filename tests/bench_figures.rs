//! What the benches share, `benches/figures`: a bench has no tests of its own.

#[path = "../benches/figures/mod.rs"]
pub mod figures;

use std::time::Duration;

use figures::{
    Asked, COLUMNS, Figures, Mode, Row, Stopwatch, chart, draw_again, markdown, median, read, spread,
};

fn row(kernel: &str, shape: &str) -> Row {
    Row {
        kernel: kernel.into(),
        shape: shape.into(),
        precision: "f32".into(),
        microseconds: 12.345678901234567,
        rate: Some(1.0 / 3.0),
        unit: "GB/s".into(),
        ceiling_share: Some(0.5),
        card: "a processor, 2 threads".into(),
        date: "2026-01-01".into(),
        ..Row::default()
    }
}

#[test]
fn figures_are_rows_of_a_table_with_all_digits_and_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("deep/er");
    let mut figures = Figures::create_in(&into).unwrap();
    let table = || std::fs::read_to_string(into.join("kernels.csv")).unwrap();
    let header =
        "kernel,shape,precision,variant,microseconds,rate,unit,ceiling_share,peer_microseconds,card,date";
    assert_eq!(table().trim_end(), header);
    assert_eq!(COLUMNS.join(","), header);
    figures.add(row("sum/all", "128 warm")).unwrap();
    // there at once: the run may end at any time
    let line = "sum/all,128 warm,f32,,12.345678901234567,0.3333333333333333,GB/s,0.5,,\"a processor, 2 threads\",2026-01-01";
    assert_eq!(table().lines().nth(1), Some(line));
    let nothing_known =
        Row { rate: None, ceiling_share: None, peer_microseconds: Some(3.0), ..row("sum/all", "9") };
    figures.add(nothing_known).unwrap();
    assert!(table().lines().nth(2).unwrap().starts_with("sum/all,9,f32,,12.345678901234567,,GB/s,,3.0,"));
    figures.draw("kernels", "PyTorch", &[]).unwrap();
    let picture = std::fs::read(into.join("kernels.png")).unwrap();
    assert_eq!(&picture[1..4], b"PNG");
    // the next run begins anew
    drop(Figures::create_in(&into).unwrap());
    assert!(table().trim_end() == header && !into.join("kernels.png").exists());
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Figures::create_in(&file.join("below")).err().unwrap().to_string();
    assert!(error.contains(&*file.join("below").to_string_lossy()), "{error}");
}

#[test]
fn bars_are_grouped_by_family_and_a_peer_that_takes_half_the_time_has_twice_the_share() {
    let mut rows =
        vec![row("gemm/forward", "784-512"), row("sum/all", "40000"), row("gemm/square", "1024 cold")];
    rows[0].peer_microseconds = Some(rows[0].microseconds / 2.0);
    rows[2].variant = "t128x64".into();
    let drawn = chart(&rows, "kernels", "cuBLAS", &["a note".into()]);
    let groups: Vec<(&str, Vec<&str>)> = drawn
        .groups
        .iter()
        .map(|group| (&group.name[..], group.bars.iter().map(|bar| &bar.label[..]).collect()))
        .collect();
    let expected = [("gemm", vec!["forward 784-512", "square 1024"]), ("sum", vec!["all 40 000"])];
    assert_eq!(groups, expected);
    let bars = &drawn.groups[0].bars;
    assert_eq!((bars[0].share, bars[0].mark), (Some(0.5), Some(1.0)));
    assert_eq!((bars[1].mark, &bars[1].captions), (None, &["0.333 GB/s", "12.3 µs"].map(str::to_owned)));
    // precision is said only where it tells bars apart
    rows[2].precision = "bf16".into();
    let drawn = chart(&rows, "kernels", "cuBLAS", &[]);
    assert_eq!(drawn.groups[0].bars[1].label, "square 1024 bf16");
    assert_eq!(drawn.groups[1].bars[0].label, "all 40 000");
    assert_eq!(drawn.heads, ["share", "rate", "time"]);
    // what has no share has no bar
    rows[0].ceiling_share = None;
    let drawn = chart(&rows, "kernels", "cuBLAS", &[]);
    assert_eq!(drawn.groups[1].bars[0].label, "square 1024");
}

fn labels(rows: &[Row]) -> Vec<String> {
    let drawn = chart(rows, "kernels", "PyTorch", &[]);
    drawn.groups.into_iter().flat_map(|group| group.bars).map(|bar| bar.label).collect()
}

/// A variant is told where it tells rows apart.
#[test]
fn bars_of_several_variants_of_one_shape_say_which() {
    let of = |kernel: &str, variant: &str| Row { variant: variant.into(), ..row(kernel, "9") };
    let apart = [of("gemm/a", "dense"), of("gemm/a", "skipping"), of("gemm/b", "dense"), of("sum/a", "wide")];
    assert_eq!(labels(&apart), ["a 9 dense", "a 9 skipping", "b 9 dense", "a 9"]);
}

#[test]
fn what_was_measured_cold_has_no_bar_of_its_warm_time() {
    let rows = ["9 cold", "9 warm", "10 warm"].map(|shape| row("gemm/square", shape));
    assert_eq!(labels(&rows), ["square 9", "square 10 warm"]);
}

#[test]
fn ceilings_are_notes_and_no_bars() {
    let of = |kernel: &str, shape: &str, rate: f64, card: &str| Row {
        rate: Some(rate),
        card: card.into(),
        ..row(kernel, shape)
    };
    let on = |card: &str| {
        [
            of("ceiling/multiply_adds", "registers", 217.0, card),
            of("ceiling/bytes", "L1 24KiB", 403.3, card),
            of("ceiling/bytes", "memory 600MiB", 22.96, card),
        ]
    };
    let rows = [&on("a, 1 thread")[..], &on("a, 2 threads"), &[row("sum/all", "9")]].concat();
    let drawn = chart(&rows, "kernels", "PyTorch", &["a note".into()]);
    let ceilings =
        "multiply-adds 217 GB/s, bytes in L1 (24 KiB) 403 GB/s, bytes in memory (600 MiB) 23.0 GB/s.";
    let expected =
        [format!("Ceilings on 1 thread: {ceilings}"), format!("Ceilings on 2 threads: {ceilings}")];
    assert_eq!(drawn.notes, [&expected[..], &["a note".to_owned()]].concat());
    assert_eq!((drawn.groups.len(), &drawn.groups[0].name[..]), (1, "sum"));
    let card = [of("ceiling/copy", "134217728 cold", 3001.0, "a card")];
    assert_eq!(chart(&card, "kernels", "PyTorch", &[]).notes, ["Ceilings: copy 3001 GB/s."]);
}

/// The number of threads is told where a kernel was measured on several.
#[test]
fn bars_of_one_kernel_on_several_threads_say_on_how_many() {
    let on = |threads: &str, kernel: &str| Row { card: format!("a, b (R), {threads}"), ..row(kernel, "9") };
    let rows = [on("1 thread", "sum/all"), on("1 thread", "sum/rows"), on("2 threads", "sum/all")];
    let drawn = chart(&rows, "kernels", "PyTorch", &[]);
    let labels: Vec<&str> = drawn.groups[0].bars.iter().map(|bar| &bar.label[..]).collect();
    assert_eq!(labels, ["all 9, 1 thread", "rows 9", "all 9, 2 threads"]);
    assert_eq!(drawn.subtitle.as_deref(), Some("a, b (R), 2026-01-01"));
    let alike = chart(&rows[..2], "kernels", "PyTorch", &[]);
    assert_eq!(alike.subtitle.as_deref(), Some("a, b (R), 1 thread, 2026-01-01"));
}

#[test]
fn a_table_for_a_document_has_a_line_a_row_and_columns_for_what_is_known() {
    let rows = [Row { card: "a card".into(), variant: "split".into(), ..row("sum/per_row", "9 cold") }];
    let expected = "| kernel | shape | variant | time | rate | of the ceiling |\n\
                    | --- | --- | --- | --- | --- | --- |\n\
                    | sum/per row | 9 cold | split | 12.3 µs | 0.333 GB/s | 50.0% |\n\
                    \na card, 2026-01-01.\n";
    assert_eq!(markdown(&rows, "PyTorch"), expected);
    let beside = [Row { peer_microseconds: Some(1234.0), ..row("sum/all", "9") }];
    let table = markdown(&beside, "PyTorch");
    assert!(table.contains("| threads |") && table.contains("| of the ceiling | PyTorch |"), "{table}");
    assert!(table.contains("| sum/all | 9 |  | 2 | 12.3 µs | 0.333 GB/s | 50.0% | 1.23 ms |"), "{table}");
}

#[test]
fn a_table_is_sorted_by_kernels_and_threads() {
    let of = |kernel: &str, shape: &str, threads: &str| Row {
        card: format!("a processor, {threads}"),
        ..row(kernel, shape)
    };
    let rows = [
        of("update/sgd", "40000000", "2 threads"),
        of("update/sgd", "9", "16 threads"),
        of("ceiling/multiply_adds", "L1 24KiB", "2 threads"),
        of("update/sgd", "10", "1 thread"),
        of("update/sgd", "9", "1 thread"),
    ];
    let table = markdown(&rows, "PyTorch");
    let lines = table.lines().skip(2).take(5);
    let starts: Vec<String> =
        lines.map(|line| line.split(" | ").take(4).collect::<Vec<_>>().join(",")).collect();
    let expected = [
        "| ceiling/multiply-adds,L1 24 KiB,,2",
        "| update/sgd,10,,1",
        "| update/sgd,9,,1",
        "| update/sgd,40 000 000,,2",
        "| update/sgd,9,,16",
    ];
    assert_eq!(starts, expected);
}

#[test]
fn figures_that_are_there_are_drawn_again_without_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut figures = Figures::create_in(folder.path()).unwrap();
    figures.add(row("sum/all", "9")).unwrap();
    figures.draw("kernels", "PyTorch", &[]).unwrap();
    let file = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let copy = folder.path().join("machine.csv");
    std::fs::copy(folder.path().join("kernels.csv"), &copy).unwrap();
    let table = draw_again(&copy, "kernels", "PyTorch", &[]).unwrap();
    assert_eq!(table.as_bytes(), file("kernels.md"));
    assert!(file("machine.png") == file("kernels.png"), "another picture");
    let problem = draw_again(&folder.path().join("none.csv"), "", "", &[]).unwrap_err().to_string();
    assert!(problem.contains("none.csv"), "{problem}");
}

/// Both the table and the picture of a run come from its rows, and rows can be read back.
#[test]
fn rows_come_back_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut figures = Figures::create_in(folder.path()).unwrap();
    let rows = [row("sum/all", "9"), Row { rate: None, ceiling_share: None, ..row("sum/all", "10") }];
    rows.iter().for_each(|row| figures.add(row.clone()).unwrap());
    figures.draw("kernels", "PyTorch", &[]).unwrap();
    let file = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read(file("kernels.csv").as_bytes()).unwrap(), rows);
    assert_eq!(file("kernels.md"), markdown(&rows, "PyTorch"));
}

/// A table is what stands in its record, whose name is above it.
#[test]
fn tables_of_the_cpu_in_the_documents_are_those_of_their_records() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/performance.md")).unwrap();
    let marked: Vec<&str> = text.split("<!-- docs/cpu/").skip(1).collect();
    assert!(!marked.is_empty());
    for part in marked {
        let (name, rest) = part.split_once(" -->\n\n").unwrap();
        let record = std::fs::File::open(root.join("docs/cpu").join(name)).unwrap();
        let table = markdown(&read(record).unwrap(), "PyTorch");
        let stands: String = rest.chars().take(table.chars().count()).collect();
        assert_eq!(stands, table, "put kernels.md of the run that {name} is of below its name");
    }
}

#[test]
fn the_command_line_says_what_to_do_with_which_cases() {
    let asked = |arguments: &[&str]| Asked::of(arguments).unwrap();
    let all = asked(&["--bench"]);
    assert!(all.measures() && all.wants("anything"));
    let some = asked(&["x10", "update/adam", "--bench"]);
    assert!(some.wants("softmax/128x10") && some.wants("update/adam/9") && !some.wants("update/sgd/9"));
    assert_eq!(asked(&["--bench", "--test"]).mode, Mode::Rehearse);
    assert_eq!(asked(&["--bench", "--list"]).mode, Mode::List);
    // as `cargo test` starts it
    assert_eq!(asked(&[]).mode, Mode::Rehearse);
    let one = asked(&["--bench", "--profile", "update/adam/9"]);
    assert_eq!(one.mode, Mode::Profile("update/adam/9".into()));
    assert_eq!(asked(&["--bench", "--draw", "a.csv"]).mode, Mode::Draw("a.csv".into()));
    assert!(Asked::of(["--draw"]).unwrap_err().contains("--draw needs"));
    assert!(one.wants("update/adam/9") && !one.wants("update/adam/99"));
    let error = Asked::of(["--save-baseline", "x"]).unwrap_err();
    assert!(error.contains("--save-baseline") && error.contains("--list"), "{error}");
    assert!(Asked::of(["--profile"]).is_err());
}

#[test]
fn the_middle_and_the_spread_of_samples() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    assert!(median(&[]).is_nan() && spread(&[]).is_nan());
    assert_eq!(spread(&[4.0, 2.0, 1.0]), 1.5);
    assert!(median(&[f64::NAN, f64::NAN, 1.0]).is_nan());
}

/// A clock of its own: each call takes half a millisecond, the first hundred twice as long.
#[test]
fn samples_are_long_enough_and_as_many_as_asked_for() {
    let watch = Stopwatch::new(9, Duration::from_millis(20), Duration::from_millis(200));
    let (mut done, mut asked) = (0_u64, Vec::new());
    let samples = watch.take(|calls| {
        done += calls;
        asked.push(calls);
        Ok::<f64, ()>(if done <= 100 { 1e-3 } else { 5e-4 })
    });
    assert_eq!(samples, Ok(vec![5e-4; 9]));
    let (warm_up, taken) = asked.split_at(asked.len() - 9);
    assert_eq!(taken, [40; 9]);
    assert!(warm_up[0] == 1 && warm_up.iter().sum::<u64>() >= 300, "{warm_up:?}");
    assert_eq!(watch.take(|_| Err::<f64, _>("broken")), Err("broken"));
}

#[test]
#[should_panic(expected = "the median of 6 samples is no figure")]
fn fewer_samples_than_seven_are_no_figure() {
    Stopwatch::new(6, Duration::ZERO, Duration::ZERO);
}

/// Peers that are scripts.
#[cfg(unix)]
mod peers {
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
        let at_fourth =
            format!("*sample*) n=$((n+1)); [ $n -lt 4 ] || {how}; echo '{{\"seconds\": 0.25}}';;");
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
            assert!(
                problem.contains("COTANGENT_BENCH_PREPARE_SECONDS") && problem.contains(wrong),
                "{problem}"
            );
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
}
