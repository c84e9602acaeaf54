//! `report`: the page that it makes of new runs and of old ones, and what it refuses.

use std::fs;

use super::*;

/// `report` on the small data set, where it trains.
fn report(place: &Workplace, arguments: &str) -> Finished {
    place.run(&format!("report {} {arguments}", small(arguments)))
}

/// Two seeds of two optimizers in `runs`.
fn with_runs() -> Workplace {
    let place = Workplace::new();
    place.compare("--opt adam,adagrad --seeds 2 --out runs").succeeded();
    place
}

/// The cells of the row of results that begins with this one.
fn row(page: &str, first: &str) -> Vec<String> {
    let page = &page[page.find("<section id=\"results\">").unwrap()..];
    let begin = page.find(&format!("<td>{first}</td>")).unwrap_or_else(|| panic!("no row {first}"));
    let row = &page[begin..begin + page[begin..].find("</tr>").unwrap()];
    row.split("</td>").map(|cell| cell.rsplit('>').next().unwrap().to_string()).collect()
}

#[test]
fn without_options_it_trains_each_optimizer_and_leaves_one_page() {
    let place = Workplace::new();
    let finished = report(&place, "").succeeded();
    assert_eq!(place.names("."), ["data", "report.html", "runs"]);
    let folder = place.names("runs");
    assert!(folder.len() == 1 && folder[0].ends_with("-report"), "{folder:?}");
    let runs: Vec<String> = place.names(&format!("runs/{}", folder[0]));
    assert_eq!(runs[..3], ["SHA256SUMS", "adagrad-seed0", "adam-seed0"]);
    assert!(runs.contains(&"rmsprop-seed0".into()) && !runs.contains(&"sgd-seed0".into()));
    assert!(finished.stdout.contains("wrote report.html, ") && finished.stdout.contains("epoch objective"));

    // In a command each word stands by itself, so that lines break between them.
    let page = place.read("report.html").replace("<span>", "").replace("</span>", "");
    assert!(page.starts_with("<!doctype html>") && page.len() < 2 << 20, "{} bytes", page.len());
    for section in ["formula", "matrices", "network", "curves", "results", "mistakes"] {
        assert!(page.contains(&format!("<section id=\"{section}\">")), "{section}");
    }
    for figure in
        ["formula-graph", "matrix-graph", "network-1", "layers-1", "objective", "accuracy", "seconds"]
    {
        assert!(page.contains(&format!("<figure id=\"{figure}\"")), "{figure}");
    }
    for optimizer in ["adagrad", "rmsprop", "adam"] {
        for figure in ["rule", "objective-of", "accuracy-of", "confusion"] {
            assert!(page.contains(&format!("<figure id=\"{figure}-{optimizer}\"")), "{figure}-{optimizer}");
        }
    }
    let data = std::path::absolute(place.path("data")).unwrap();
    let command = format!(
        "cotangent mnist --opt adam --seed 0 --batch-size 32 --data {} --epochs 2 --hidden 16<",
        data.display()
    );
    assert!(page.contains(&command), "{command}");
    assert!(page.contains("<math") && page.contains("98% line"));
    // Nothing is asked of the network.
    for word in ["http://", "https://", "@import", "url(http", "<link rel=\"stylesheet\""] {
        let allowed = ["http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML"];
        let rest = allowed.iter().fold(page.clone(), |page, name| page.replace(name, ""));
        assert!(!rest.contains(word), "{word}");
    }
    report(&place, "").failed(2, &["report.html exists already", "--force"]);
}

#[test]
fn runs_that_exist_are_taken_and_give_mean_and_spread_over_the_seeds() {
    let place = with_runs();
    place.run("report --runs runs --out page.html --quiet").succeeded();
    let page = place.read("page.html");
    let comparison: serde_json::Value = serde_json::from_str(&place.read("runs/compare.json")).unwrap();
    for entry in comparison.as_array().unwrap() {
        let percent = |key: &str| 100.0 * entry["test_accuracy"][key].as_f64().unwrap();
        let cells = row(&page, entry["optimizer"].as_str().unwrap());
        assert_eq!(cells[1], "0, 1");
        assert_eq!(cells[2], format!("{:.2}% ± {:.2}%", percent("mean"), percent("standard_deviation")));
        assert_eq!(cells[3], format!("{:.2}%", percent("minimum")));
    }
    assert!(page.contains("mean and range of seeds 0, 1"));
    assert_eq!(place.names(".").len(), 3, "nothing was trained");
    // Single folders do as well, in any number.
    place
        .run("report --runs runs/adam-seed0 runs/adam-seed1 runs --force --out page.html --quiet")
        .succeeded();
    assert_eq!(row(&place.read("page.html"), "adagrad"), row(&page, "adagrad"));
}

#[test]
fn a_run_that_lacks_something_is_used_as_far_as_it_goes_and_the_page_says_so() {
    let place = with_runs();
    let log = place.path("runs/adam-seed0/metrics.csv");
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, &text[..text.len() - 9]).unwrap();
    for file in
        ["runs/adam-seed0/summary.json", "runs/adam-seed0/model.safetensors", "runs/adam-seed1/confusion.csv"]
    {
        fs::remove_file(place.path(file)).unwrap();
    }
    fs::write(place.path("runs/adagrad-seed0/model.safetensors"), b"not a model").unwrap();
    let finished = place.run("report --runs runs").succeeded();
    let page = place.read("report.html");
    for note in [
        "runs/adam-seed0: metrics.csv: the last row was cut off",
        "runs/adam-seed0: summary.json is missing",
        "runs/adam-seed0: model.safetensors is missing",
        "runs/adam-seed1: confusion.csv is missing",
    ] {
        assert!(page.contains(note), "{note:?} is not on the page");
        assert!(finished.stdout.contains(note), "{note:?} is not in\n{}", finished.stdout);
    }
    // The run that was cut off stands by itself, with what it holds.
    assert_eq!(row(&page, "adam, 1 of 2 epochs")[1], "0");
    assert_eq!(row(&page, "adam")[1], "1");
    assert!(page.contains("<figure id=\"accuracy-of-adam-1-of-2-epochs\""));
    assert!(page.contains("<figure id=\"confusion-adam-1-of-2-epochs\""));
    // Where the model of one seed is no model, that of another is shown.
    assert!(page.contains("<figure id=\"worst-adagrad\"") || page.contains("classified as labelled"));
}

#[test]
fn what_cannot_be_done_is_found_before_anything_is_trained() {
    let place = Workplace::new();
    place.run("report --runs nowhere").failed(1, &["nowhere"]);
    fs::create_dir(place.path("empty")).unwrap();
    place.run("report --runs empty").failed(1, &["empty"]);
    fs::create_dir(place.path("folder.html")).unwrap();
    place.run("report --out folder.html --force").failed(2, &["--out", "is no file"]);
    place.run("report --out data/t10k-images-idx3-ubyte/page.html").failed(1, &["--out: cannot write"]);
    fs::remove_dir(place.path("folder.html")).unwrap();
    place.run("report --out folder/ --force").failed(2, &["--out", "name of a folder"]);
    std::os::unix::fs::symlink("nowhere", place.path("link.html")).unwrap();
    place.run("report --out link.html").failed(2, &["link.html exists already"]);
    place.run("report --out link.html --force").failed(2, &["leads nowhere"]);
    fs::remove_file(place.path("link.html")).unwrap();
    place.run("report --runs data --data nowhere").failed(1, &["nowhere"]);
    place.run("report --runs data --epochs 3").failed(2, &["--runs takes runs that exist"]);
    place.run("report --runs data --seeds 3").failed(2, &["cannot be used with"]);
    place.run("report --out page.pdf").failed(2, &["name an .html file"]);
    place.run("report --lr 0").failed(2, &["--lr"]);
    let without = Finished::of(
        place.program().args(["report", "--pdf"]).env("PATH", "/nowhere").env("COTANGENT_BROWSER", ""),
    );
    without.failed(1, &["no browser found", "COTANGENT_BROWSER"]);
    let named = Finished::of(place.program().args(["report", "--pdf"]).env("COTANGENT_BROWSER", "./no-such"));
    named.failed(1, &["COTANGENT_BROWSER", "no-such"]);
    assert_eq!(place.names("."), ["data", "empty"]);
}

#[test]
fn a_browser_prints_the_page_and_one_that_fails_is_quoted() {
    use std::os::unix::fs::PermissionsExt;
    let place = with_runs();
    let browser = |runs: &str, script: &str| {
        let path = place.path("browser");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = place.program();
        command.args(["report", "--runs", runs, "--pdf", "--force"]).env("COTANGENT_BROWSER", path);
        Finished::of(&mut command)
    };
    let prints = "for word; do case $word in --print-to-pdf=*) echo %PDF-1.4 > \"${word#*=}\";; esac; done";
    let printed = browser("runs", prints).succeeded();
    assert!(place.read("report.pdf").starts_with("%PDF"));
    assert!(!printed.stdout.contains("look whether"), "{}", printed.stdout);
    browser("runs", "echo 'no display' >&2; exit 4").failed(1, &["made no PDF", "no display"]);
    assert!(place.path("report.html").exists(), "the page is there all the same");
    // whether the browser's fonts have these letters is seen on paper alone
    fs::rename(place.path("runs"), place.path("日本")).unwrap();
    let printed = browser("日本", prints).succeeded();
    assert!(
        printed.stdout.contains("the page names 日本: look whether the PDF shows it"),
        "{}",
        printed.stdout
    );
}

#[test]
fn runs_on_other_data_stand_apart_and_data_that_moved_can_be_named() {
    let place = with_runs();
    write_data(&place.path("others"), [12, 12], 3, [60, 30]);
    place.mnist("--opt adam --data others --out other").succeeded();
    place.run("report --runs runs other").succeeded();
    let page = place.read("report.html").replace("<span>", "").replace("</span>", "");
    let others = std::path::absolute(place.path("others")).unwrap();
    assert!(page.contains(&format!("--data {}", others.display())), "the command names the data");
    let data = std::path::absolute(place.path("data")).unwrap();
    assert_eq!(row(&page, &format!("adam, data {}", data.display()))[1], "0, 1");
    assert_eq!(row(&page, &format!("adam, data {}", others.display()))[1], "0");
    fs::rename(place.path("data"), place.path("moved")).unwrap();
    let without = place.run("report --runs runs/adam-seed0 --force").succeeded();
    assert!(without.stdout.contains("adam: its mistakes cannot be shown: "), "{}", without.stdout);
    let with = place.run("report --runs runs/adam-seed0 --data moved --force").succeeded();
    assert!(!with.stdout.contains("cannot be shown"), "{}", with.stdout);
}

#[test]
fn a_seed_counts_once_and_what_is_left_out_is_said() {
    let place = with_runs();
    place.mnist("--opt adam --seed 1 --out again").succeeded();
    place.run("report --runs runs again --out folder/deep/page.html").succeeded();
    let page = place.read("folder/deep/page.html");
    assert_eq!(row(&page, "adam")[1], "0, 1");
    assert!(
        page.contains("runs/adam-seed1: left out, as adam has another run of seed 1.")
            || page.contains("again: left out")
    );
}

#[test]
fn names_of_folders_are_no_markup() {
    let place = with_runs();
    fs::rename(place.path("runs"), place.path("a <b> & 'c'")).unwrap();
    Finished::of(place.program().args(["report", "--runs", "a <b> & 'c'"])).succeeded();
    let page = place.read("report.html");
    assert!(page.contains("a &lt;b&gt; &amp; ") || page.contains("&lt;b&gt; "), "the name is there");
    assert!(!page.contains("<b> &"), "and no tag");
}

#[test]
fn a_link_to_what_is_no_file_is_left_alone_and_one_to_a_file_is_followed() {
    let place = with_runs();
    fs::create_dir(place.path("dir")).unwrap();
    std::os::unix::fs::symlink("dir", place.path("to-dir.html")).unwrap();
    place.run("report --runs runs --out to-dir.html --force").failed(2, &["is no file"]);
    fs::write(place.path("real.html"), "old").unwrap();
    std::os::unix::fs::symlink("real.html", place.path("to-file.html")).unwrap();
    place.run("report --runs runs --out to-file.html --force").succeeded();
    assert!(
        place.path("to-file.html").is_symlink() && place.read("real.html").starts_with("<!doctype html>")
    );
    place.run("backprop --graph graph.svg --out out").succeeded();
    fs::remove_file(place.path("graph.svg")).unwrap();
    std::os::unix::fs::symlink("out/values.safetensors", place.path("graph.svg")).unwrap();
    place.run("backprop --graph graph.svg --out out --force").failed(2, &["would both write"]);
}

#[test]
fn a_run_that_diverges_is_on_the_page_as_such_and_the_status_says_so() {
    let place = Workplace::new();
    let finished = report(&place, "--opt adam,sgd --lr sgd=1e30");
    assert!(finished.stdout.contains("wrote report.html, "), "{}", finished.stdout);
    finished.failed(1, &["1 run diverged: sgd-seed0 at step 2", "--lr sgd=0.1"]);
    let page = place.read("report.html");
    let diverged = row(&page, "sgd, diverged after 0 of 2 epochs");
    assert_eq!(diverged[1..4], ["0", "diverged", "none"]);
    assert_eq!(row(&page, "adam")[1], "0");
    assert!(
        page.contains("the run diverged after 0 of 2 epochs, at step 2, where the output of layer 2 holds")
    );
    assert!(
        page.contains("×: sgd, diverged after 0 of 2 epochs breaks off at epoch 1"),
        "the chart marks it"
    );
    assert!(!page.contains("sgd-seed0: model.safetensors is missing"), "nobody expects a model");
    // Of runs that exist it is a page like any other.
    let runs = format!("runs/{}", place.names("runs")[0]);
    place.run(&format!("report --runs {runs} --out again.html")).succeeded();
    assert!(place.read("again.html").contains("diverged after 0 of 2 epochs"));
    // The mark is there where nothing else is.
    place.run(&format!("report --runs {runs}/sgd-seed0 --out alone.html")).succeeded();
    let page = place.read("alone.html");
    assert!(page.contains("×: sgd, diverged after 0 of 2 epochs breaks off at epoch 1"), "no mark");
    assert!(!page.contains("Each alone"), "there is no curve");
}
