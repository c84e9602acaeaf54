//! All checks of this folder once more, in processes whose kernels are compiled with sanitizers: of products the
//! variants that the program embeds, with `COTANGENT_TEST_ALL=1` the candidates too.

use crate::emulator::{Sanitizer, in_sanitized_process};

#[track_caller]
fn passes_under(sanitizer: Sanitizer) {
    let mut command = in_sanitized_process(sanitizer);
    command.args([
        "kernels::",
        "--skip",
        "kernels::mutations",
        "--skip",
        "kernels::sanitized",
        "--skip",
        "every_", // those that take minutes as it is
        "--test-threads=1",
    ]);
    let output = command.output().unwrap();
    let report = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let passed: usize = report
        .lines()
        .find_map(|line| line.strip_prefix("test result: ok. ")?.split(' ').next()?.parse().ok())
        .unwrap_or(0);
    assert!(output.status.success() && passed >= 25, "{passed} passed: {report}");
    assert!(!report.contains("Sanitizer:") && !report.contains("runtime error"), "{report}");
}

#[test]
fn kernels_pass_under_address_and_undefined_behaviour_sanitizers() {
    if !super::support::on_real_card() {
        passes_under(Sanitizer::Address);
    }
}

#[test]
fn kernels_pass_under_thread_sanitizer() {
    if !super::support::on_real_card() {
        passes_under(Sanitizer::Thread);
    }
}
