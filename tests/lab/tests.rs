//! Students' kernels: each wrong one is named in a sentence that helps, each right one passes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use super::signature::Operation;
use super::{Again, Asked, Device, Verdict, examine};
use crate::support::everything;

/// The processes that the lab starts begin in [`a_process_of_the_lab`].
fn again() -> Again {
    let test = "lab::tests::a_process_of_the_lab";
    Again { arguments: [test, "--exact", "--nocapture", "--test-threads=1"].map(String::from).into() }
}

#[test]
fn a_process_of_the_lab() {
    super::worker::has_worked();
}

fn students(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/students").join(format!("{name}.cu"))
}

fn tried(file: PathBuf, signature: Operation) -> Result<Verdict, String> {
    // One after the other: each has three processes anyway.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(|failed| failed.into_inner());
    examine(&Asked { file, signature, device: Device::Emulated, shape: None }, &again())
}

/// What the lab says of a kernel that is not sound, on one line.
#[track_caller]
fn said_of(name: &str, signature: Operation) -> String {
    let Verdict { text, is_sound } = tried(students(name), signature).unwrap();
    assert!(!is_sound, "{name}: {text}");
    assert!(text.lines().all(|line| line.starts_with("  ") || line.len() <= 160), "{text}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The line of a file that says what is planted there.
fn planted(name: &str) -> usize {
    let text = std::fs::read_to_string(students(name)).unwrap();
    text.lines().position(|line| line.contains("planted")).unwrap() + 1
}

#[track_caller]
fn passes(name: &str, signature: Operation) {
    let Verdict { text, is_sound } = tried(students(name), signature).unwrap();
    assert!(is_sound, "{name}: {text}");
    let shapes = signature.shapes().len();
    let last = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(last.contains(&format!("is sound here: right values on {shapes} shapes in 6 orders")), "{text}");
}

#[test]
fn right_kernels_of_each_signature_pass() {
    passes("tiled_gemm", Operation::Gemm);
    passes("row_softmax", Operation::Softmax);
    passes("tree_reduce", Operation::Reduce);
    passes("tiled_transpose", Operation::Transpose);
}

#[test]
fn right_twins_of_the_wrong_products_pass() {
    passes("vector_gemm", Operation::Gemm);
    passes("deep_gemm", Operation::Gemm);
}

#[test]
fn a_kernel_with_cp_async_and_the_projects_headers_passes() {
    passes("copied_gemm", Operation::Gemm);
}

#[test]
fn a_right_kernel_that_asks_too_much_of_memory_is_told_where() {
    let Verdict { text, is_sound } = tried(students("slow_transpose"), Operation::Transpose).unwrap();
    assert!(is_sound, "{text}");
    let said = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = planted("slow_transpose");
    for sentence in [
        format!("a warp writes shared memory on line {line} it takes 32 cycles, where 1 would do"),
        format!(
            "a warp writes global memory on line {} it moves 32 sectors of 32 bytes, where 4 would hold",
            line + 2
        ),
    ] {
        assert!(said.contains(&sentence), "{sentence}: {said}");
    }
    let Verdict { text, .. } = tried(students("tiled_transpose"), Operation::Transpose).unwrap();
    assert!(!text.contains("It asks more of memory"), "{text}");
}

/// The rungs of `kernels/ladder` are right, and ask no more of memory than they need.
#[test]
fn the_ladder_is_sound() {
    for rung in crate::kernels::candidates::ladder() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("kernels/ladder/{rung}.cu"));
        let Verdict { text, is_sound } = tried(file, Operation::Gemm).unwrap();
        assert!(is_sound && !text.contains("It asks more of memory"), "{text}");
    }
}

/// Its barriers and waits are there for a reason: without any of them the lab finds something.
#[test]
fn no_rung_of_the_ladder_does_without_a_barrier_or_wait() {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    for rung in crate::kernels::candidates::ladder() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("kernels/ladder/{rung}.cu"));
        let text = std::fs::read_to_string(path).unwrap();
        for wait in ["__syncthreads();", "ptx::copy_async_wait<0>();"] {
            for (at, _) in text.match_indices(wait) {
                count += 1;
                if count % 3 != 1 && !everything() {
                    continue; // each takes five seconds
                }
                let file = folder.path().join(format!("{rung}-without-{count}.cu"));
                std::fs::write(&file, text[..at].to_owned() + &text[at + wait.len()..]).unwrap();
                let Verdict { text, is_sound } = tried(file, Operation::Gemm).unwrap();
                assert!(!is_sound, "{rung} without {wait} at byte {at} passes: {text}");
            }
        }
    }
    assert!(count >= 8, "{count} barriers and waits");
}

#[test]
fn a_missing_barrier_is_named_by_both_lines() {
    let said = said_of("missing_barrier", Operation::Gemm);
    let line = planted("missing_barrier");
    let sentence = format!(
        "a missing barrier: line {} writes b_tile, line {} reads it in another thread, and no __syncthreads() lies between them",
        line - 1,
        line + 2
    );
    assert!(said.contains(&sentence), "{said}");
    assert!(said.contains("shared memory that no thread had written yet"), "{said}");
}

#[test]
fn an_off_by_one_names_array_index_and_line() {
    let said = said_of("off_by_one", Operation::Softmax);
    let sentence = format!(
        "outside of an array: line {} reads x[1024], the first element past its end: x has 1024 elements, for rows=8 columns=128",
        planted("off_by_one")
    );
    assert!(said.contains(&sentence), "{said}");
}

#[test]
fn a_race_of_blocks_is_found_though_the_values_are_right() {
    let said = said_of("race", Operation::Reduce);
    let line = planted("race");
    let sentence = format!("a race: several threads change y[0] on line {line} at once");
    assert!(said.contains(&sentence) && said.contains("add with atomicAdd(y, ...)"), "{said}");
    assert!(said.contains("n=4097 right"), "{said}");
}

#[test]
fn a_misaligned_vector_is_found_with_the_condition_that_it_needs() {
    let said = said_of("misaligned_vector", Operation::Gemm);
    let line = planted("misaligned_vector");
    let sentence = format!(
        "a misaligned access: line {line} reads or writes a float4 at b[17], for m=32 n=17 k=32, and a float4 needs an \
         address that is a multiple of 16 bytes"
    );
    assert!(said.contains(&sentence) && said.contains("unless n % 4 == 0"), "{said}");
}

#[test]
fn a_wrong_transpose_is_recognised() {
    let said = said_of("wrong_transpose", Operation::Transpose);
    assert!(
        said.contains("wrong values: y[0, 1] is") && said.contains("4032 of 4096 elements are wrong"),
        "{said}"
    );
    assert!(said.contains("y is x itself: nothing is transposed"), "{said}");
}

#[test]
fn too_much_shared_memory_names_the_array_and_the_bytes() {
    let said = said_of("too_much_shared", Operation::Gemm);
    let sentence = format!(
        "too much shared memory: with b_tile on line {} the kernel's __shared__ arrays take 65536 bytes, and a block has \
         49152 (48 KiB)",
        planted("too_much_shared")
    );
    assert!(said.contains(&sentence), "{said}");
}

/// What keeps a file with this text from being tried.
#[track_caller]
fn problem_of(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.cu");
    std::fs::write(&path, text).unwrap();
    let problem = tried(path.clone(), Operation::Reduce).unwrap_err();
    problem.replace(&*path.to_string_lossy(), "mine.cu")
}

const LAUNCH: &str = "// launch: grid=1 block=32\n";

#[test]
fn what_cannot_be_tried_is_said_with_file_and_line() {
    let kernel = "__global__ void reduce(const float* x, float* y, int n) { y[0] = x[0]; }\n";
    let problem = problem_of(kernel);
    assert!(
        problem
            .starts_with("mine.cu: no comment says how the kernel is launched; write one above it, such as"),
        "{problem}"
    );

    let problem =
        problem_of(&format!("{LAUNCH}__global__ void reduce(const float* x, float* y, size_t n) {{}}\n"));
    assert!(
        problem.starts_with(
            "mine.cu:2: this is not the signature of reduce: parameter 3 is `size_t n`, not `int n`"
        ),
        "{problem}"
    );

    let problem = problem_of(&format!("{LAUNCH}{kernel}int main() {{ reduce<<<1, 32>>>(0, 0, 0); }}\n"));
    assert!(
        problem.starts_with("mine.cu:3: a main function: the lab launches the kernel itself"),
        "{problem}"
    );

    let problem = problem_of(&format!("// launch: grid=n / 32 block=32\n{kernel}"));
    assert!(problem.starts_with("mine.cu:1: grid=n / 32 is 0 for n=3"), "{problem}");

    let problem = problem_of(&format!("{LAUNCH}__shared__ float sums[32];\n{kernel}"));
    assert!(problem.starts_with("mine.cu:2: sums is declared outside of a function"), "{problem}");
}

#[test]
fn a_compilers_error_is_shown_with_the_students_own_line() {
    let problem = problem_of(&format!(
        "{LAUNCH}__global__ void reduce(const float* x, float* y, int n) {{\n    y[0] = sum(x);\n}}\n"
    ));
    assert_eq!(problem, "mine.cu:3: 'sum' was not declared in this scope\n     3 |     y[0] = sum(x);");
    let problem = problem_of(&format!(
        "{LAUNCH}#include <cuda_fp16.h>\n__global__ void reduce(float* x, float* y, int n) {{}}\n"
    ));
    assert!(problem.starts_with("mine.cu:2: cuda_fp16.h: No such file or directory\n"), "{problem}");
}

/// The whole program as a process, which [`one_lab_in_its_own_process`] is: its exit status and all it says.
fn whole(arguments: &[&str], variable: (&str, &str)) -> String {
    let test = "lab::tests::one_lab_in_its_own_process";
    let mut command = Command::new("/proc/self/exe");
    command.args([test, "--exact", "--nocapture"]).env("COTANGENT_LAB_ARGUMENTS", arguments.join("\n"));
    let output = command.env(variable.0, variable.1).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn one_lab_in_its_own_process() {
    let Ok(arguments) = std::env::var("COTANGENT_LAB_ARGUMENTS") else { return };
    let arguments = ["lab"].into_iter().chain(arguments.lines()).map(Into::into);
    println!("{:?}", super::main(arguments, &again()));
}

#[test]
fn without_a_compiler_or_nvcc_the_lab_says_how_to_get_one() {
    let file = students("tiled_gemm");
    let file = file.to_str().unwrap();
    let said = whole(&[file, "--signature", "gemm"], ("CXX", "/nonexistent"));
    assert!(said.contains("needs a C++17 compiler, and none of /nonexistent runs"), "{said}");
    assert!(said.contains("ExitCode(unix_exit_status(2))"), "{said}");
    let said = whole(&[file, "--signature", "gemm", "--device", "cuda"], ("NVCC", "/nonexistent"));
    assert!(said.contains("--device cuda compiles with nvcc, and there is none on this machine"), "{said}");
    let said = whole(&[file, "--signature", "gemm", "--shape", "3,4"], ("CXX", "c++"));
    assert!(said.contains("--shape has 2 sizes, and gemm has 3: m,n,k"), "{said}");
    let said = whole(&[file, "--signature", "gemm", "--shape", "3,4,5"], ("CXX", "c++"));
    assert!(said.contains("M=3 N=4 K=5   right") && said.contains("ExitCode(unix_exit_status(0))"), "{said}");
}
