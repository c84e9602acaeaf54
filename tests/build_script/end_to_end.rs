//! The build whole, against compilers made for the test: shell scripts that print what nvcc would print
//! and note how they were called.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::build::{Environment, candidates, run};

/// An nvcc as far as the build can tell: `version` and `known` stand beside it; a kernel file that
/// holds the word `wrong` does not compile, and its lines that begin with `ptxas` are what ptxas prints of it.
const NVCC: &str = r#"#!/bin/sh
here=$(dirname "$0")
case $1 in
--version) cat "$here/version"; exit ;;
--list-gpu-code) cat "$here/known"; exit ;;
esac
echo "$@" >> "$here/calls"
for argument; do
    case $previous in -o) image=$argument ;; --keep-dir) keep=$argument ;; -I) included=$argument ;; esac
    case $argument in *.cu) source=$argument ;; esac
    previous=$argument
done
if grep -q wrong "$source"; then
    echo "$source(1): error: identifier \"wrong\" is undefined" >&2
    echo "the last line" >&2
    exit 2
fi
grep '^ptxas' "$source" >&2
echo "ptxas info : Used 32 registers" >&2
printf '.target sm_80\n.visible .entry k(\n)\n.maxntid 64, 1, 1\n' > "$keep/k.ptx"
echo "image of $source" > "$image"
cat "$included/variants.cuh" >> "$image"
"#;

/// A template with two variants to embed and one to be measured.
const VARIANTS: &str = "kernel,rows,columns,depth,down,across,stages,blocks,lanes,fragments,use
gemm,128,128,16,8,8,2,2,rows,1,large
gemm,64,64,16,8,4,2,4,rows,1,small
gemm,32,32,32,4,4,3,6,rows,1,candidate
";
/// What the build passes on of the last line.
const CANDIDATE: &str = "VARIANT(32x32x32_4x4_s3_b6, 6, 32, 32, 32, 4, 4, 3, LaneOrder::ROWS, 1)";
const TUNING: &str = "card,precision,transposes,m,n,k,variant,splits
";

/// A crate with two kernel files and a header, and a machine without CUDA.
struct Machine {
    folder: tempfile::TempDir,
    variables: HashMap<String, OsString>,
}

impl Machine {
    fn new() -> Machine {
        let machine = Machine { folder: tempfile::tempdir().unwrap(), variables: HashMap::new() };
        for folder in ["crate/kernels", "debug", "release"] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        for kernel in ["sum.cu", "gemm.cu", "common.cuh"] {
            machine.write(&format!("crate/kernels/{kernel}"), "right");
        }
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    fn set(&mut self, variable: &str, value: impl Into<OsString>) {
        self.variables.insert(variable.into(), value.into());
    }

    /// Puts a compiler into a folder.
    fn install(&self, folder: &str, release: &str) {
        fs::create_dir_all(self.path(folder)).unwrap();
        self.write(
            &format!("{folder}/version"),
            &format!("Cuda compilation tools, release {release}, V{release}.1"),
        );
        self.write(&format!("{folder}/known"), "sm_80\nsm_90\n");
        self.write(&format!("{folder}/script"), NVCC);
        // Copied by another process: a file that any thread of this one has open for writing, if
        // only through a fork, cannot be run.
        let copy = "cp script nvcc && chmod +x nvcc";
        assert!(
            Command::new("sh").args(["-c", copy]).current_dir(self.path(folder)).status().unwrap().success()
        );
    }

    /// A machine with a compiler in one of the usual folders.
    fn with_nvcc() -> Machine {
        let machine = Machine::new();
        machine.install("usual", "13.0");
        machine
    }

    /// What cargo says, building in a profile.
    fn environment(&self, profile: &str) -> Environment {
        Environment {
            root: self.path("crate"),
            out: self.path(profile),
            target: self.path("target"),
            usual_folders: vec![self.path("usual")],
            variables: self.variables.clone(),
            read: Default::default(),
        }
    }

    /// Builds in a profile.
    fn build(&self, profile: &str) -> Result<Vec<String>, String> {
        run(&self.environment(profile))
    }

    /// The warnings of a build that succeeds.
    fn warnings(&self) -> Vec<String> {
        let directives = self.build("debug").unwrap();
        let warnings = directives.iter().filter_map(|line| line.strip_prefix("cargo::warning="));
        warnings.map(String::from).collect()
    }

    fn embeds_nothing(&self) -> bool {
        let source = self.read("debug/cuda_images.rs");
        let parts = ["NVCC: Option<&str> = None;", "(i32, i32) = (0, 0);", "&[&str] = &[];"];
        parts.iter().all(|part| source.contains(part)) && source.matches("&[u8])] = &[\n];").count() == 2
    }

    /// How often something was compiled.
    fn compilations(&self) -> usize {
        self.read("usual/calls").lines().count()
    }
}

#[test]
fn every_kernel_file_is_compiled_and_embedded() {
    let machine = Machine::with_nvcc();
    let directives = machine.build("debug").unwrap();
    // This nvcc knows fewer architectures than the table, which is said.
    let [warning] = &machine.warnings()[..] else { panic!("{directives:?}") };
    assert!(warning.contains("left out sm_75, sm_86, sm_89, sm_100, sm_120"), "{warning}");

    let source = machine.read("debug/cuda_images.rs");
    for line in [
        "pub const NVCC: Option<&str> = Some(\"13.0\");",
        "pub const TOOLKIT: (i32, i32) = (13, 0);",
        "pub const ARCHITECTURES: &[&str] = &[\"sm_80\", \"sm_90\", \"compute_90\"];",
        "    (\"gemm\", include_bytes!(\"gemm.fatbin\")),\n    (\"sum\", include_bytes!(\"sum.fatbin\")),\n];",
    ] {
        assert!(source.contains(line), "{line} is not in\n{source}");
    }
    assert_eq!(machine.read("debug/gemm.fatbin"), "image of kernels/gemm.cu\n");
    assert_eq!(machine.read("debug/sum.fatbin"), "image of kernels/sum.cu\n");
    let calls = machine.read("usual/calls");
    assert!(calls.lines().all(|call| call.contains("arch=compute_90,code=compute_90 ")), "{calls}");
}

#[test]
fn kernels_of_the_folder_hopper_are_compiled_for_sm_90a_alone() {
    let mut machine = Machine::with_nvcc();
    let names_it =
        |machine: &Machine| machine.read("debug/cuda_images.rs").contains("\"sm_90\", \"sm_90a\", ");
    fs::create_dir(machine.path("crate/kernels/hopper")).unwrap();
    machine.write("crate/kernels/hopper/notes.txt", "");
    machine.build("debug").unwrap();
    assert!(!names_it(&machine), "a folder without kernels");
    assert!(machine.read("debug/cuda_images.rs").ends_with("pub const HOPPER: &[(&str, &[u8])] = &[\n];\n"));

    machine.write("crate/kernels/hopper/ring.cu", "right");
    machine.write("crate/kernels/hopper/gemm.cu", "right");
    let directives = machine.build("debug").unwrap();
    assert!(directives.contains(&"cargo::rerun-if-changed=kernels/hopper/ring.cu".into()), "{directives:?}");
    let list = "pub const HOPPER: &[(&str, &[u8])] = &[\n    (\"gemm\", include_bytes!(\"hopper.gemm.fatbin\")),\n    \
                (\"ring\", include_bytes!(\"hopper.ring.fatbin\")),\n];\n";
    assert!(machine.read("debug/cuda_images.rs").ends_with(list) && names_it(&machine));
    assert_eq!(machine.read("debug/hopper.ring.fatbin"), "image of kernels/hopper/ring.cu\n");
    assert_eq!(
        machine.read("debug/gemm.fatbin"),
        "image of kernels/gemm.cu\n",
        "of the same name, and another"
    );
    let calls = machine.read("usual/calls");
    for call in calls.lines().filter(|call| call.contains("kernels/hopper/")) {
        assert!(
            call.contains("-gencode=arch=compute_90a,code=sm_90a ") && call.contains("-I kernels "),
            "{call}"
        );
        assert_eq!(call.matches("-gencode").count(), 1, "{call}");
    }

    let before = machine.compilations();
    machine.build("release").unwrap();
    assert_eq!(machine.compilations(), before, "they are in the cache");
    machine.write("crate/kernels/hopper/ring.cu", "other");
    machine.build("debug").unwrap();
    assert_eq!(machine.compilations(), before + 1, "only itself");
    machine.write("crate/kernels/common.cuh", "other");
    machine.build("debug").unwrap();
    assert_eq!(machine.compilations(), before + 5, "a header: all");
    let names = cached(&machine);
    assert_eq!(
        names.iter().filter(|name| name.starts_with("hopper.")).count(),
        4,
        "images and reports: {names:?}"
    );

    machine.set("COTANGENT_CUDA_ARCHS", "90");
    machine.build("debug").unwrap();
    assert!(!names_it(&machine), "it was not asked for");
    machine.set("COTANGENT_CUDA_ARCHS", "sm_90 sm_90a");
    machine.build("debug").unwrap();
    assert!(names_it(&machine));
    machine.set("COTANGENT_CUDA_ARCHS", "90a");
    let failure = machine.build("debug").unwrap_err();
    assert!(failure.contains("sm_90a is for kernels/hopper alone, so add 90 for the others"), "{failure}");
}

#[test]
fn what_ptxas_only_remarks_on_fails_the_build() {
    let mut machine = Machine::with_nvcc();
    fs::create_dir(machine.path("crate/kernels/hopper")).unwrap();
    let message = "Potential Performance Loss: wgmma.mma_async instructions are serialized due to insufficient register \
                   resources for the wgmma pipeline in the function 'ring'";
    machine.write("crate/kernels/hopper/ring.cu", &format!("ptxas info    : (C7511) {message}\n"));
    let failure = machine.build("debug").unwrap_err();
    let expected = format!("kernels/hopper/ring.cu: error: kernel ring: (C7511) {message}\n");
    assert!(failure.contains(&expected), "{expected} is not in\n{failure}");
    assert!(cached(&machine).iter().all(|name| !name.starts_with("hopper.")), "nothing of it is kept");
    machine.set("COTANGENT_CUDA_OPTIONAL", "1");
    assert!(machine.warnings().join("\n").contains("kernel ring: (C7511)"));
    assert!(machine.embeds_nothing());
    machine.write("crate/kernels/hopper/ring.cu", "ptxas info    : (C7600) something harmless\n");
    machine.build("debug").unwrap();
    assert!(!machine.embeds_nothing());
}

#[test]
fn the_report_holds_version_resources_and_launch_bounds() {
    let machine = Machine::with_nvcc();
    machine.build("debug").unwrap();
    let report =
        cached(&machine).into_iter().find(|name| name.starts_with("gemm-") && name.ends_with(".ptxas.txt"));
    let report = machine.read(&format!("target/cuda-images/{}", report.unwrap()));
    for part in ["V13.0.1", "Used 32 registers", "launch bounds : 'k' for 'sm_80' .maxntid 64, 1, 1"] {
        assert!(report.contains(part), "{part} is not in\n{report}");
    }
}

/// The names of the files in the cache, in order.
fn cached(machine: &Machine) -> Vec<String> {
    let entries = fs::read_dir(machine.path("target/cuda-images")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn profiles_share_images_and_each_is_compiled_once() {
    let machine = Machine::with_nvcc();
    machine.build("debug").unwrap();
    machine.build("release").unwrap();
    assert_eq!(machine.compilations(), 2, "one for each kernel file");
    assert_eq!(machine.read("release/gemm.fatbin"), machine.read("debug/gemm.fatbin"));
}

#[test]
fn what_goes_into_an_image_is_compiled_anew_when_it_changes() {
    let mut machine = Machine::with_nvcc();
    machine.build("debug").unwrap();
    let before = cached(&machine);

    machine.write("crate/kernels/gemm.cu", "other");
    machine.build("debug").unwrap();
    assert_eq!(machine.compilations(), 3, "a kernel file: only itself");
    machine.write("crate/kernels/common.cuh", "other");
    machine.build("debug").unwrap();
    assert_eq!(machine.compilations(), 5, "a header: all");
    machine.write("usual/version", "release 13.1, V13.1.0");
    machine.build("debug").unwrap();
    assert_eq!(machine.compilations(), 7, "nvcc");
    machine.set("COTANGENT_CUDA_ARCHS", "80");
    machine.build("debug").unwrap();
    assert_eq!(machine.compilations(), 9, "the flags");
    machine.set("NVCC_APPEND_FLAGS", "-G");
    machine.build("debug").unwrap();
    assert_eq!(machine.compilations(), 11, "nvcc's own variables");

    let after = cached(&machine);
    assert_eq!(after.len(), 4, "images and reports of what is no longer there are gone: {after:?}");
    assert!(after.iter().all(|name| !before.contains(name)), "{before:?} {after:?}");
}

#[test]
fn kernels_that_do_not_compile_fail_the_build_with_all_that_nvcc_said() {
    let machine = Machine::with_nvcc();
    machine.write("crate/kernels/gemm.cu", "wrong");
    machine.write("crate/kernels/sum.cu", "wrong");
    let failure = machine.build("debug").unwrap_err();
    for file in ["kernels/gemm.cu", "kernels/sum.cu"] {
        let said = format!(
            "{file}: exit status: 2\n{file}(1): error: identifier \"wrong\" is undefined\nthe last line\n"
        );
        assert!(failure.contains(&said), "{said} is not in\n{failure}");
    }
    assert!(cached(&machine).is_empty(), "nothing is left behind");
}

#[test]
fn when_cuda_is_optional_a_failure_is_a_warning_with_the_errors() {
    let mut machine = Machine::with_nvcc();
    machine.write("crate/kernels/sum.cu", "wrong");
    machine.set("COTANGENT_CUDA_OPTIONAL", "0");
    machine.build("debug").unwrap_err();
    machine.set("COTANGENT_CUDA_OPTIONAL", "1");
    let warnings = machine.warnings().join("\n");
    assert!(warnings.contains("CPU only"), "{warnings}");
    assert!(warnings.contains("kernels/sum.cu(1): error: identifier"), "{warnings}");
    assert!(!warnings.contains("-Werror"), "the command is no error: {warnings}");
    assert!(machine.embeds_nothing());
}

#[test]
fn an_nvcc_that_is_too_old_fails_the_build() {
    let mut machine = Machine::new();
    machine.install("usual", "12.6");
    let failure = machine.build("debug").unwrap_err();
    assert!(failure.contains("is CUDA 12.6; the kernels need 12.8 or newer"), "{failure}");
    machine.set("COTANGENT_CUDA_OPTIONAL", "1");
    assert!(machine.warnings().join("\n").contains("CUDA 12.6"));
    assert!(machine.embeds_nothing());
    machine.install("usual", "12.8");
    machine.build("release").unwrap();
}

#[test]
fn an_nvcc_that_cannot_say_what_it_is_fails_the_build() {
    let machine = Machine::with_nvcc();
    machine.write("usual/version", "not a compiler");
    let failure = machine.build("debug").unwrap_err();
    assert!(
        failure.contains("does not say which release") && failure.contains("not a compiler"),
        "{failure}"
    );
    fs::remove_file(machine.path("usual/version")).unwrap();
    let failure = machine.build("debug").unwrap_err();
    assert!(failure.contains("No such file"), "{failure}");
}

#[test]
fn architectures_that_nvcc_does_not_know_are_left_out_and_named() {
    let mut machine = Machine::with_nvcc();
    machine.set("COTANGENT_CUDA_ARCHS", "70,sm_90");
    let warnings = machine.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("left out 70") && warnings[0].contains("sm_80, sm_90"), "{warnings:?}");
    assert!(machine.read("debug/cuda_images.rs").contains("&[\"sm_90\", \"compute_90\"]"));

    machine.set("COTANGENT_CUDA_ARCHS", "70");
    let failure = machine.build("debug").unwrap_err();
    assert!(failure.contains("COTANGENT_CUDA_ARCHS=70") && failure.contains("sm_80, sm_90"), "{failure}");
}

#[test]
fn without_nvcc_one_warning_says_what_is_missing_and_how_to_get_it() {
    let mut machine = Machine::new();
    let warnings = machine.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("CPU only") && warnings[0].contains("scripts/install-nvcc"), "{warnings:?}");
    assert!(machine.embeds_nothing());
    machine.set("NVCC", "none");
    assert_eq!(machine.warnings(), [""; 0], "it was meant");
    machine.install("usual", "13.0");
    assert_eq!(machine.warnings(), [""; 0]);
    assert!(machine.embeds_nothing(), "NVCC=none comes before an nvcc that is there");
}

#[test]
fn without_kernel_files_nothing_is_embedded() {
    let machine = Machine::with_nvcc();
    machine.build("debug").unwrap();
    assert!(!machine.embeds_nothing());
    for kernel in ["sum.cu", "gemm.cu"] {
        fs::remove_file(machine.path("crate/kernels").join(kernel)).unwrap();
    }
    machine.build("debug").unwrap();
    assert!(machine.embeds_nothing());
}

#[test]
fn an_nvcc_variable_that_points_to_nothing_fails_the_build() {
    let mut machine = Machine::with_nvcc();
    machine.set("NVCC", machine.path("nowhere/nvcc"));
    let failure = machine.build("debug").unwrap_err();
    assert!(failure.contains("nowhere/nvcc: there is no such file"), "{failure}");
    machine.set("NVCC", machine.path("usual/nvcc"));
    machine.build("debug").unwrap();
}

#[test]
fn nvcc_is_looked_for_from_the_most_explicit_place_to_the_least() {
    let mut machine = Machine::new();
    machine.set("CUDA_HOME", machine.path("home"));
    machine.set("CUDA_PATH", machine.path("cuda"));
    machine.set("PATH", format!("/nowhere:{}", machine.path("on-path").display()));
    machine.set("VIRTUAL_ENV", machine.path("virtual"));
    machine.set("CONDA_PREFIX", machine.path("conda"));
    let wheels = |environment: &str| format!("{environment}/lib/python3.11/site-packages/nvidia/cu13/bin");
    let folders = ["home/bin".into(), "cuda/bin".into(), "on-path".into(), "usual".into()];
    let folders =
        [folders, [wheels("virtual"), wheels("conda"), wheels("crate/.venv"), "named".into()]].concat();
    folders.iter().for_each(|folder| machine.install(folder, "13.0"));

    machine.set("NVCC", machine.path("named/nvcc"));
    let found = |machine: &Machine| {
        let directives = machine.build("debug").unwrap();
        let watched = directives.iter().find(|line| line.starts_with("cargo::rerun-if-changed=/")).cloned();
        PathBuf::from(watched.unwrap().trim_start_matches("cargo::rerun-if-changed="))
    };
    assert_eq!(found(&machine), machine.path("named/nvcc"));
    machine.set("NVCC", "nvcc");
    assert_eq!(found(&machine), machine.path("on-path/nvcc"), "a name is looked for on PATH");
    machine.set("NVCC", "");
    for folder in &folders[..7] {
        let nvcc = machine.path(folder).join("nvcc");
        assert_eq!(found(&machine), nvcc);
        fs::remove_file(nvcc).unwrap();
    }
    assert_eq!(machine.warnings().len(), 1, "none is left");
}

#[test]
fn every_input_and_every_variable_that_was_asked_for_is_watched() {
    let mut machine = Machine::new();
    let directives = machine.build("debug").unwrap();
    for file in ["build.rs", "build", "kernels", "kernels/gemm.cu", "kernels/sum.cu", "kernels/common.cuh"] {
        assert!(directives.contains(&format!("cargo::rerun-if-changed={file}")), "{file} {directives:?}");
    }
    for name in
        ["NVCC", "CUDA_HOME", "CUDA_PATH", "PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "COTANGENT_CUDA_OPTIONAL"]
    {
        assert!(directives.contains(&format!("cargo::rerun-if-env-changed={name}")), "{name} {directives:?}");
    }
    machine.install("usual", "13.0");
    machine.set("NVCC", machine.path("usual/nvcc"));
    let directives = machine.build("debug").unwrap();
    for name in ["COTANGENT_CUDA_ARCHS", "NVCC_CCBIN", "NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS"] {
        assert!(directives.contains(&format!("cargo::rerun-if-env-changed={name}")), "{name} {directives:?}");
    }
    assert!(!directives.contains(&"cargo::rerun-if-env-changed=PATH".into()), "it did not matter");
}

#[test]
fn builds_at_the_same_time_share_the_cache() {
    let machine = Machine::with_nvcc();
    std::thread::scope(|scope| {
        let profiles = ["debug", "release"].map(|profile| scope.spawn(|| machine.build(profile)));
        for profile in profiles {
            profile.join().unwrap().unwrap();
        }
    });
    assert_eq!(machine.read("debug/gemm.fatbin"), machine.read("release/gemm.fatbin"));
}

#[test]
fn the_program_embeds_no_candidate_before_the_tuning_table_names_it() {
    let machine = Machine::with_nvcc();
    machine.write("crate/kernels/variants.csv", VARIANTS);
    machine.write("crate/kernels/tuning.csv", TUNING);
    machine.build("debug").unwrap();
    let image = || machine.read("debug/gemm.fatbin");
    let embedded = "#define GEMM_VARIANTS VARIANT(128x128x16_8x8_s2_b2, 2, 128, 128, 16, 8, 8, 2, LaneOrder::ROWS, 1) \
                    VARIANT(64x64x16_8x4_s2_b4, 4, 64, 64, 16, 8, 4, 2, LaneOrder::ROWS, 1)";
    assert_eq!(image(), format!("image of kernels/gemm.cu\n{embedded}\n"));
    assert_eq!(machine.read("debug/sum.fatbin"), "image of kernels/sum.cu\n");
    let before = machine.compilations();

    machine
        .write("crate/kernels/tuning.csv", &format!("{TUNING}A Card,bf16,nn,1,2,3,32x32x32_4x4_s3_b6,1\n"));
    let failure = machine.build("debug").unwrap_err();
    assert!(
        failure.contains("kernels/tuning.csv: A Card,bf16,nn,1,2,3,32x32x32_4x4_s3_b6,1 names"),
        "{failure}"
    );
    assert_eq!(machine.compilations(), before, "the variant is another precision's");
    machine.write("crate/kernels/tuning.csv", &format!("{TUNING}A Card,f32,nn,1,2,3,32x32x32_4x4_s3_b6,1\n"));
    machine.build("debug").unwrap();
    assert_eq!(image(), format!("image of kernels/gemm.cu\n{embedded} {CANDIDATE}\n"));
    assert_eq!(machine.compilations(), before + 1, "the file with the template alone");
    assert!(cached(&machine).iter().filter(|name| name.starts_with("gemm-")).count() == 2, "and its report");
}

#[test]
fn candidates_are_compiled_apart_for_one_architecture() {
    let machine = Machine::with_nvcc();
    machine.write("crate/kernels/variants.csv", VARIANTS);
    machine.build("debug").unwrap();
    let folder = candidates(&machine.environment("debug"), 90).unwrap().unwrap();
    let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["gemm.fatbin"], "other files have no candidates");
    let image = fs::read_to_string(folder.join("gemm.fatbin")).unwrap();
    assert_eq!(image, format!("image of kernels/gemm.cu\n#define GEMM_VARIANTS {CANDIDATE}\n"));
    let calls = machine.read("usual/calls");
    let last = calls.lines().last().unwrap();
    assert!(last.contains("arch=compute_90,code=sm_90") && last.matches("-gencode").count() == 1, "{last}");

    let of_candidates = |name: &&String| name.starts_with("candidates.gemm-");
    let names = cached(&machine);
    assert_eq!(names.iter().filter(of_candidates).count(), 2, "image and report: {names:?}");
    assert!(names.iter().any(|name| name.starts_with("gemm-")), "those that are embedded stay: {names:?}");
    let report = names.iter().find(|name| of_candidates(name) && name.ends_with(".ptxas.txt")).unwrap();
    let report = machine.read(&format!("target/cuda-images/{report}"));
    assert!(report.contains("dynamic shared memory : 'gemm_nn_32x32x32_4x4_s3_b6' 26112 bytes"), "{report}");
    candidates(&machine.environment("release"), 90).unwrap();
    assert_eq!(machine.read("usual/calls"), calls, "they are in the cache");

    let without = Machine::new();
    without.write("crate/kernels/variants.csv", VARIANTS);
    assert!(candidates(&without.environment("debug"), 90).unwrap().is_none(), "no nvcc");
}

#[test]
fn the_ladder_is_compiled_with_the_candidates_and_embedded_nowhere() {
    let machine = Machine::with_nvcc();
    fs::create_dir(machine.path("crate/kernels/ladder")).unwrap();
    machine.write("crate/kernels/ladder/1-plain.cu", "");
    machine.write("crate/kernels/ladder/notes.txt", "");
    machine.build("debug").unwrap();
    assert!(!fs::exists(machine.path("debug/1-plain.fatbin")).unwrap());
    let folder = candidates(&machine.environment("debug"), 90).unwrap().unwrap();
    let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["ladder.1-plain.fatbin"]);
    let image = fs::read_to_string(folder.join("ladder.1-plain.fatbin")).unwrap();
    assert_eq!(image, "image of kernels/ladder/1-plain.cu\n");
    let names = cached(&machine);
    let of_ladder = |name: &&String| name.starts_with("candidates.ladder.1-plain-");
    assert_eq!(names.iter().filter(of_ladder).count(), 2, "image and report: {names:?}");
}

#[test]
fn tables_that_are_wrong_fail_the_build_by_file_and_line() {
    let machine = Machine::with_nvcc();
    for (line, table) in [("gemm,128,128", VARIANTS), ("gemm,128,100,16,8,8,2,2,rows,1,large", VARIANTS)] {
        machine.write("crate/kernels/variants.csv", &format!("{table}{line}\n"));
        let failure = machine.build("debug").unwrap_err();
        assert!(failure.contains("kernels/variants.csv: line 5, ") && failure.contains(line), "{failure}");
    }
    machine.write("crate/kernels/variants.csv", VARIANTS);
    machine.write("crate/kernels/tuning.csv", "card\n");
    let failure = machine.build("debug").unwrap_err();
    assert!(failure.contains("kernels/tuning.csv: its first line must be card,precision"), "{failure}");
}
