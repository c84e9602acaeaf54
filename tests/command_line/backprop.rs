//! `backprop`: what it prints, writes, compares with and refuses.

use std::fs;

use safetensors::{Dtype, SafeTensors};

use super::{Finished, Workplace};

/// The exercise's matrices with PyTorch's results.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/backprop-exercise.safetensors");

#[test]
fn the_exercise_is_printed_with_rules_matrices_and_checks() {
    let place = Workplace::new();
    let page = place.run("backprop --seed 0").succeeded().stdout;
    for words in [
        "z = ½‖Y − W3 relu(W2 relu(W1 X))‖² = 56.4406",
        "V4    3×50   relu(V3)  V4.g = W3ᵀ V5.g",
        "W1.g  4 × 5\n-0.6164   3.3313   1.3023  -0.7309   3.3304\n",
        "V1.g           ",
        "Largest error: forward mode ",
    ] {
        assert!(page.contains(words), "{words:?} is not in\n{page}");
    }
    assert!(!page.contains('…'), "a file leaves nothing out");
    // The graph, whose shapes stand with the nodes where edges are lines of characters.
    assert!(
        page.lines().any(|line| line.starts_with("V1 = W1 X") && line.contains("4×50") && line.contains('○'))
    );
    let two = place.run("backprop --shape 3,2 --columns 1 --digits 2").succeeded().stdout;
    assert!(two.contains("z = ½‖Y − W1 X‖² = ") && two.contains("W1.g = V1.g Xᵀ"), "{two}");
    assert_ne!(place.run("backprop --seed 1").succeeded().stdout, page);
}

#[test]
fn each_format_is_what_it_says_and_the_graph_is_drawn() {
    let place = Workplace::new();
    let json: serde_json::Value =
        serde_json::from_str(&place.run("backprop --format json").succeeded().stdout).unwrap();
    assert_eq!(json["nodes"][8]["rule"], "V4.g = W3ᵀ V5.g");
    assert_eq!(json["checks"]["agree"], true);
    let csv = place.run("backprop --format csv").succeeded().stdout;
    assert!(csv.starts_with("node,row,column,value,gradient\nX,1,1,-0.465"), "{csv}");
    let aside = place.run("backprop --format csv").succeeded().stderr;
    assert!(aside.contains("Largest error: forward mode "), "{aside}");
    let auto = place.run("backprop --device auto").succeeded().stderr;
    assert!(auto.starts_with("no CUDA device to compare with: "), "{auto}");
    assert!(place.run("backprop --format latex").succeeded().stdout.starts_with(r"\documentclass"));
    let markdown = place.run("backprop --format markdown --graph -").succeeded().stdout;
    assert!(markdown.contains("| `V5` | 2×50 | `W3 V4` | `V5.g = −D.g` |"), "{markdown}");
    assert!(markdown.contains('┌') || markdown.contains('╭') || markdown.contains('●'), "{markdown}");
    place.run("backprop --graph graph.svg").succeeded();
    let drawing = place.read("graph.svg");
    for label in ["5×50", "3×4", "V4.g = W3ᵀ V5.g", "on edges: shape", "gradient"] {
        assert!(drawing.contains(label), "{label}");
    }
    place.run("backprop --graph graph.svg").failed(2, &["graph.svg exists already", "--force"]);
    place.run("backprop --graph graph.svg --force").succeeded();
}

#[test]
fn the_results_are_written_read_back_and_never_replaced_unasked() {
    let place = Workplace::new();
    let first = place.run("backprop --seed 4 --out out").succeeded().stdout;
    let bytes = fs::read(place.path("out/values.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = file.names();
    names.sort_unstable();
    let expected = "D.g D.v V1.g V1.v V2.g V2.v V3.g V3.v V4.g V4.v V5.g V5.v W1.g W1.v W2.g W2.v W3.g W3.v X.v Y.v z.g z.v";
    assert_eq!(names.join(" "), expected);
    assert!(file.tensors().iter().all(|(_, tensor)| tensor.dtype() == Dtype::F64));
    assert_eq!(file.tensor("V2.g").unwrap().shape(), [4, 50]);
    place.run("backprop --seed 5 --out out").failed(2, &["out/values.safetensors exists already", "--force"]);
    assert_eq!(fs::read(place.path("out/values.safetensors")).unwrap(), bytes);
    let again = place.run("backprop --input out/values.safetensors").succeeded().stdout;
    assert_eq!(again.replace("from out/values.safetensors", "entries standard normal, seed 4"), first);
    place.run("backprop --seed 5 --out out --force").succeeded();
    assert_ne!(fs::read(place.path("out/values.safetensors")).unwrap(), bytes);
}

#[test]
fn bad_input_is_refused_with_what_is_wrong() {
    let place = Workplace::new();
    place.run("backprop --shape 5").failed(2, &["two widths or more", "--shape 5,4,3,2"]);
    place.run("backprop --shape 5,0,2").failed(2, &["each at least 1"]);
    place.run("backprop --columns 0").failed(2, &["--columns at least 1"]);
    place.run("backprop --shape 100000,100000").failed(2, &["too many", "smaller widths"]);
    place.run("backprop --shape 5,x").failed(2, &["--shape", "is no width"]);
    place.run("backprop --shape 5,4 --shape 3,2").failed(2, &["cannot be used multiple times"]);
    place
        .run("backprop --input nowhere.safetensors")
        .failed(1, &["--input", "cannot read nowhere.safetensors", "check the path"]);
    fs::write(place.path("bad.safetensors"), b"\x08\0\0\0\0\0\0\0{}      ").unwrap();
    place.run("backprop --input bad.safetensors").failed(1, &["bad.safetensors: there is no tensor X"]);
    fs::write(place.path("cut.safetensors"), &fs::read(GOLDEN).unwrap()[..5000]).unwrap();
    place
        .run("backprop --input cut.safetensors")
        .failed(1, &["cut.safetensors: is not a complete safetensors file"]);
    place.run("backprop --input x --seed 1").failed(2, &["cannot be used with"]);
    place.run("backprop --input data").failed(1, &["data: is no file"]);
    place.run("backprop --out data/t10k-images-idx3-ubyte").failed(1, &["--out: cannot write"]);
    place.run("backprop --graph data").failed(2, &["must end in"]);
    place.run("backprop --graph graph.pdf").failed(2, &["must end in .svg, .png or .dot"]);
    place.run("backprop --device cpu:1").failed(2, &["auto, cpu, cuda or cuda:N"]);
    place.run("backprop --device cuda").failed(1, &["--device cuda:0 cannot be used"]);
}

/// A stand-in for Python: what it does is a shell script, `$2` and `$3` are the files to read and to write.
#[cfg(unix)]
fn python(place: &Workplace, script: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = place.path("python");
    fs::write(&path, format!("#!/bin/sh\ncat > /dev/null\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
fn the_comparison_with_pytorch_is_a_table_and_a_verdict() {
    let place = Workplace::new();
    let same = python(&place, &format!("cp '{GOLDEN}' \"$4\""));
    let page = place.run(&format!("backprop --input {GOLDEN} --check-torch {same}")).succeeded().stdout;
    assert!(page.contains("Beside PyTorch 2.") && page.contains("Of all gradients:"), "{page}");
    assert_eq!(page.split("Beside PyTorch").nth(1).unwrap().matches(" agrees\n").count(), 12);
    let other = place.run("backprop --seed 9 --out other").succeeded();
    assert_eq!(other.status, Some(0));
    let differing =
        python(&place, &format!("cp '{}' \"$4\"", place.path("other/values.safetensors").display()));
    let finished = place.run(&format!("backprop --check-torch {differing}"));
    finished.failed(1, &["differs from PyTorch's"]);
}

#[test]
fn what_keeps_pytorch_from_running_is_said_with_what_to_do() {
    let place = Workplace::new();
    place
        .run("backprop --check-torch ./no-python")
        .failed(1, &["cannot start ./no-python", "--check-torch PYTHON"]);
    let lacking = python(&place, "exit 3");
    let finished = place.run(&format!("backprop --check-torch {lacking}"));
    assert!(finished.stdout.contains("Largest error"), "what was found is shown all the same");
    finished.failed(1, &["has no PyTorch", "-m pip install torch"]);
    let broken = python(&place, "echo 'RuntimeError: no such thing' >&2; exit 1");
    place.run(&format!("backprop --check-torch {broken}")).failed(1, &["RuntimeError: no such thing"]);
    let silent = python(&place, "exit 0");
    place.run(&format!("backprop --check-torch {silent}")).failed(1, &["wrote no results"]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_device_shows_the_rounding_of_float32() {
    let place = Workplace::new();
    for device in ["cuda:0", "cuda:2"] {
        let mut command = place.emulated();
        let page =
            Finished::of(command.args(["backprop", "--device", device, "--format", "json"])).succeeded();
        let page: serde_json::Value = serde_json::from_str(&page.stdout).unwrap();
        assert!(page["device"]["device"].as_str().unwrap().starts_with(device));
        let mut rounded = 0;
        for (node, line) in
            page["nodes"].as_array().unwrap().iter().zip(page["device"]["nodes"].as_array().unwrap())
        {
            for key in ["value", "gradient"] {
                let Some(difference) = line[key].as_f64() else { continue };
                let entries = node[key].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
                let largest = entries.map(|x| x.as_f64().unwrap().abs()).fold(0.0, f64::max);
                // A hundred roundings at most, each of half a unit in the last place.
                assert!(difference <= 6e-6 * largest, "{}.{key}: {difference:e} of {largest}", node["node"]);
                rounded += usize::from(difference > 1e-9);
            }
        }
        assert!(rounded > 10, "float32 rounds nearly everything");
    }
}
