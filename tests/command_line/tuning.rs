//! Runs on a device whose tuning table says how products are cut.

use super::*;

const HEAD: &str = "card,precision,transposes,m,n,k,variant,splits\n";

/// A run on the second device with a network whose second layer has sums of 200, the table in `tuning.csv`.
fn run(place: &Workplace, variables: &[(&str, &str)], out: &str) -> Finished {
    let options = small("--hidden 200,100 --batch-size 64");
    let arguments =
        format!("mnist {options} --hidden 200,100 --batch-size 64 --device cuda:1 --quiet --out {out}");
    let mut command = place.emulated();
    command.envs(variables.iter().copied());
    Finished::of(command.args(arguments.split_whitespace()))
}

fn model(place: &Workplace, run: &str) -> Vec<u8> {
    fs::read(place.path(run).join("model.safetensors")).unwrap()
}

#[test]
fn the_same_card_with_the_same_table_gives_the_same_bits_and_another_table_others() {
    let place = Workplace::new();
    // Without a table k is split in three forwards, and not at all for the weights: partial sums need less memory
    // here and more there.
    let rows = ["f32,nt,64,100,200,64x64x32_8x4_s3_b4,1", "f32,tn,100,200,64,64x64x16_8x4_s4_b4,2"];
    for (file, card) in [("tuning.csv", "emulated sm_80"), ("other.csv", "emulated sm_90")] {
        let table = rows.iter().fold(HEAD.to_owned(), |table, row| format!("{table}{card},{row}\n"));
        fs::write(place.path(file), table).unwrap();
    }
    let with = |table| [("COTANGENT_CUDA_TUNING", table)];
    run(&place, &[], "plain").succeeded();
    run(&place, &with("tuning.csv"), "tuned").succeeded();
    run(&place, &with("tuning.csv"), "again").succeeded();
    run(&place, &with("other.csv"), "other").succeeded();
    assert!(model(&place, "tuned") == model(&place, "again"));
    assert!(model(&place, "tuned") != model(&place, "plain"), "the table was not read");
    assert!(model(&place, "other") == model(&place, "plain"), "the table is another card's");
    let loss = |run: &str| {
        let summary: serde_json::Value =
            serde_json::from_str(&place.read(&format!("{run}/summary.json"))).unwrap();
        summary["test_objective"].as_f64().unwrap()
    };
    assert!((loss("tuned") - loss("plain")).abs() <= 5e-3 * loss("plain").max(1.0));
}

#[test]
fn a_table_that_is_wrong_is_named_with_what_to_do() {
    let place = Workplace::new();
    let with = [("COTANGENT_CUDA_TUNING", "tuning.csv")];
    let next = "correct or unset COTANGENT_CUDA_TUNING";
    run(&place, &with, "run")
        .failed(1, &["tuning.csv, which COTANGENT_CUDA_TUNING names", "No such file", next]);
    for (text, problem) in [
        (String::new(), "its first line must be card,precision"),
        (
            format!("{HEAD}emulated sm_80,f32,nt,1,2,3\n"),
            "line 2, emulated sm_80,f32,nt,1,2,3, does not hold",
        ),
        (format!("{HEAD}emulated sm_80,f32,nt,1,2,3,9x9,1\n"), "names a variant that kernels/variants.csv"),
    ] {
        fs::write(place.path("tuning.csv"), text).unwrap();
        run(&place, &with, "run").failed(1, &[problem, next]);
    }
    assert!(!place.path("run").exists());
}

#[test]
fn a_variant_that_the_build_does_not_hold_is_named() {
    let place = Workplace::new();
    // An image as a build without candidates embeds it.
    let whole = fs::read_to_string(&crate::emulator::emulator().built.image).unwrap();
    let kept = whole.lines().filter(|name| !name.ends_with("64x64x32_8x4_s3_b4"));
    let image = kept.fold(String::new(), |text, line| text + line + "\n");
    assert!(image.len() < whole.len());
    fs::write(place.path("image"), image).unwrap();
    let table = format!("{HEAD}emulated sm_80,f32,nt,64,100,200,64x64x32_8x4_s3_b4,1\n");
    fs::write(place.path("tuning.csv"), table).unwrap();
    let image = ("COTANGENT_CUDA_IMAGE", "image");
    run(&place, &[image], "plain").succeeded();
    let words = ["this build does not hold gemm 64x64x32_8x4_s3_b4", "COTANGENT_CUDA_CANDIDATES"];
    run(&place, &[image, ("COTANGENT_CUDA_TUNING", "tuning.csv")], "tuned").failed(1, &words);
}
