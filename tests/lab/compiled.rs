//! A compiler's first error, in the student's lines.
//!
//! The compiler sees the file after macros and keywords have become something else, so its quotations and columns are
//! not the student's. Its line numbers and its words are.

use super::source::Source;

/// What a student can do with the text that a build has failed with.
pub fn explained(source: &Source, problem: &str) -> String {
    let path = source.path.to_string_lossy();
    let Some(at) = problem.find(&format!("{path}:")) else {
        return problem.replace(&*path, &source.shown);
    };
    // FILE:LINE:COLUMN: error: WHAT, or FILE: WHAT where it could not even be rewritten.
    let error = problem[at + path.len() + 1..].lines().next().unwrap_or("");
    let (number, rest) = error.split_once(':').unwrap_or(("", error));
    let Ok(line) = number.parse::<usize>() else {
        return format!("{}: {}", source.shown, error.trim());
    };
    let what = ["fatal error: ", "error: "].iter().find_map(|mark| Some(rest.split_once(mark)?.1));
    let what = what.unwrap_or(rest).replace("emulator::", "").replace(&*path, &source.shown);
    let mut text = format!("{}:{line}: {}\n{}", source.shown, what.trim(), quoted(source, line));
    if let Some(hint) = hint(&what) {
        text = format!("{text}\n{hint}");
    }
    text
}

/// A line as it was written, with its number.
pub fn quoted(source: &Source, line: usize) -> String {
    format!("  {line:>4} | {}", source.line(line))
}

fn hint(what: &str) -> Option<String> {
    if what.contains("No such file or directory") {
        return Some(
            "The emulated device has cuda_runtime.h, cuda_bf16.h, math_constants.h, what C++ has, and the files of kernels/ \
             (common.cuh, ptx.cuh); no cuda_fp16.h, cooperative_groups.h or mma.h."
                .into(),
        );
    }
    let undeclared = what.contains("was not declared in this scope") || what.contains("does not name a type");
    let is_of_cuda = ["__", "cuda", "half", "wmma", "cooperative", "atomic", "cg"];
    let name = what.trim_start_matches(['\'', '‘']);
    (undeclared && is_of_cuda.iter().any(|start| name.starts_with(start)))
        .then(|| "If that is a function of CUDA's, the emulated device does not have it: docs/lab.md says what there is.".into())
}

#[test]
fn a_compilers_error_is_told_with_the_line_as_it_was_written() {
    let source = super::source::of_text("int a;\n  float x = threadIdx.x + yy;\n");
    let problem = "the C++ compiler failed:\n/folder/a.cu:2:9: error: 'yy' was not declared in this scope\n 2 | float\n(\"c++\")";
    let said = explained(&source, problem);
    assert_eq!(said, "a.cu:2: 'yy' was not declared in this scope\n     2 |   float x = threadIdx.x + yy;");
    let unknown = explained(&source, "/folder/a.cu:1:1: error: '__nanosleep' was not declared in this scope");
    assert!(unknown.ends_with("docs/lab.md says what there is."), "{unknown}");
    let missing =
        explained(&source, "/folder/a.cu:1:10: fatal error: cuda_fp16.h: No such file or directory\n");
    assert!(
        missing.starts_with("a.cu:1: cuda_fp16.h: No such file or directory\n     1 | int a;\n"),
        "{missing}"
    );
    assert_eq!(explained(&source, "/folder/a.cu: cannot read it"), "a.cu: cannot read it");
}
