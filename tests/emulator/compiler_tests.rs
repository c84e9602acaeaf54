//! A machine without a C++ compiler, or with one that fails, is told so.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// What a test that needs the emulator says when `CXX` is this.
fn report_with(compiler: &str) -> String {
    let test = "emulator::compiler_tests::the_emulator_is_there";
    let mut command = Command::new("/proc/self/exe");
    let output = command.args([test, "--exact", "--nocapture"]).env("CXX", compiler).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn the_emulator_is_there() {
    super::emulator();
}

#[test]
fn without_a_compiler_tests_fail_and_say_how_to_get_one() {
    let report = report_with("/no/such/compiler");
    assert!(report.contains("needs a C++17 compiler, and none of /no/such/compiler runs"), "{report}");
    assert!(report.contains("apt-get install g++"), "{report}");
}

#[test]
fn counting_says_that_clang_will_not_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c++");
    std::fs::write(&path, "#!/bin/sh\necho '#define __clang__ 1'\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = super::in_sanitized_process(super::Sanitizer::Counts);
    command.args(["emulator::compiler_tests::the_emulator_is_there", "--exact"]).env("CXX", &path);
    let output = command.output().unwrap();
    let report = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!output.status.success() && report.contains("counting memory requests needs GCC"), "{report}");
    assert!(report.contains("install g++, or set CXX=g++"), "{report}");
}

#[test]
fn a_compiler_that_fails_is_quoted_from_its_first_error_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c++");
    let script = "#!/bin/sh\n[ \"$1\" = --version ] && echo broken 1.0 && exit 0\n\
                  case \"$*\" in *-march=native*-dM*) exit 0;; esac\n\
                  echo 'a.cu:7: note: something' >&2\necho 'a.cu:8: error: no such thing' >&2\nexit 1\n";
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let report = report_with(&path.to_string_lossy());
    assert!(report.contains("the C++ compiler failed:\na.cu:8: error: no such thing"), "{report}");
}
