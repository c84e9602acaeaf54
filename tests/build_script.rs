//! The CUDA part of the build: the same code that cargo runs, with what it reads and chooses tested here
//! and its whole course in `end_to_end`.

#[path = "../build/mod.rs"]
pub mod build;
#[cfg(unix)] // a compiler is made up in the shell's language
mod end_to_end;

use std::path::Path;

use build::architectures::{choose, embedded, flags};
use build::images::launch_bounds;
use build::nvcc::{parse_architectures, parse_release};
use build::target_folder;

#[test]
fn the_release_is_read_from_what_nvcc_prints() {
    let printed = "nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release 12.8, V12.8.93\n";
    assert_eq!(parse_release(printed), Some((12, 8)));
    assert_eq!(parse_release("release 13.10\n"), Some((13, 10)));
    assert_eq!(parse_release("clang version 19.1.0"), None);
    assert_eq!(parse_release("release candidate"), None);
}

#[test]
fn the_architectures_are_read_in_order_of_capability() {
    assert_eq!(parse_architectures("sm_75\nsm_110\nsm_103\n"), [75, 103, 110]);
    assert_eq!(parse_architectures("a note\nsm_90\nsm_90a\n"), [90]);
}

#[test]
fn architectures_are_chosen_from_the_table_or_as_asked() {
    let known = [75, 80, 90, 121];
    let choice = choose(None, &known);
    assert_eq!(choice.known, [75, 80, 90], "in the table and known");
    assert_eq!(choice.unknown, ["sm_86", "sm_89", "sm_100", "sm_120"]);

    for asked in ["90,80", "sm_80 sm_90", "80; sm_90,80"] {
        let choice = choose(Some(asked), &known);
        assert_eq!((choice.known, choice.unknown), (vec![80, 90], vec![]), "{asked}");
    }
    let choice = choose(Some("121 sm_70 90a"), &known);
    assert_eq!(choice.known, [121]);
    assert_eq!(choice.unknown, ["sm_70", "90a"]);
}

#[test]
fn the_newest_architecture_is_embedded_as_ptx_too() {
    assert_eq!(embedded(&[80, 90]), ["sm_80", "sm_90", "compute_90"]);
    let expected = ["compute_80,code=sm_80", "compute_90,code=sm_90", "compute_90,code=compute_90"];
    assert_eq!(flags(&[80, 90]), expected.map(|pair| format!("-gencode=arch={pair}")));
}

#[test]
fn launch_bounds_name_kernel_and_architecture() {
    let ptx = ".version 9.0\n.target sm_80, debug\n.visible .entry plain(\n\t.param .u64 x\n)\n{\n}\n\
               .visible .entry gemm(\n)\n.maxntid 256, 1, 1\n.minnctapersm 2\n{\n}\n.visible .entry nothing()\n.reqntid 32\n{\n";
    let expected = [
        "'gemm' for 'sm_80' .maxntid 256, 1, 1",
        "'gemm' for 'sm_80' .minnctapersm 2",
        "'nothing' for 'sm_80' .reqntid 32",
    ];
    assert_eq!(launch_bounds(ptx), expected.map(|bounds| format!("launch bounds : {bounds}\n")));
}

#[test]
fn all_profiles_share_one_target_folder() {
    let folder = |out: &str, triple| target_folder(Path::new(out), triple);
    assert_eq!(folder("/t/debug/build/cotangent-1/out", "x86_64-linux"), Path::new("/t"));
    assert_eq!(folder("/t/x86_64-linux/release/build/cotangent-1/out", "x86_64-linux"), Path::new("/t"));
    assert_eq!(folder("/t/debug/build/cotangent/1/out", ""), Path::new("/t"), "a deeper layout");
    assert_eq!(folder("/elsewhere", ""), Path::new("/elsewhere"));
}
