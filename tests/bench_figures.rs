//! What the benches share, `benches/figures`: a bench has no tests of its own.

#[path = "../benches/figures/mod.rs"]
pub mod figures;
#[cfg(unix)]
mod peers;

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
