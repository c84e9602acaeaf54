//! The CUDA part of the build: the same code that cargo runs, with what it reads and chooses tested here
//! and its whole course in `end_to_end`.

#[path = "../build/mod.rs"]
pub mod build;
#[cfg(unix)] // a compiler is made up in the shell's language
mod end_to_end;

use std::path::Path;

use build::architectures::{choose, embedded, flags};
use build::nvcc::{parse_architectures, parse_release};
use build::ptx::{complaints, told};
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
    assert!(choice.hopper && !choose(None, &[80, 100]).hopper, "an nvcc that knows 9.0 knows sm_90a");
    assert_eq!(choice.unknown, ["sm_86", "sm_89", "sm_100", "sm_120"]);

    for asked in ["90,80", "sm_80 sm_90", "80; sm_90,80"] {
        let choice = choose(Some(asked), &known);
        assert_eq!((choice.known, choice.unknown, choice.hopper), (vec![80, 90], vec![], false), "{asked}");
    }
    for asked in ["121 sm_70 90a", "sm_90a,sm_70,sm_121"] {
        let choice = choose(Some(asked), &known);
        assert_eq!((choice.known, choice.hopper), (vec![121], true), "{asked}");
        assert_eq!(choice.unknown, ["sm_70"], "{asked}");
    }
    let choice = choose(Some("80 90a"), &[80]);
    assert_eq!((choice.known, choice.unknown, choice.hopper), (vec![80], vec!["90a".into()], false));
}

#[test]
fn the_newest_architecture_is_embedded_as_ptx_too() {
    assert_eq!(embedded(&[80, 90], false), ["sm_80", "sm_90", "compute_90"]);
    assert_eq!(embedded(&[80, 90], true), ["sm_80", "sm_90", "sm_90a", "compute_90"]);
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
    assert_eq!(told(ptx), expected.map(|bounds| format!("launch bounds : {bounds}\n")));
}

/// Two kernels with setmaxnreg, of which the second does not bound its registers, and one without.
const HOPPER: &str = ".version 9.0
.target sm_90a
.func helper()
{
	mbarrier.inval.shared::cta.b64 [%r1];
}
.visible .entry bounded(
	.param .align 64 .b8 map[128]
)
.maxntid 384, 1, 1
.minnctapersm 1
{
	// begin inline asm
	setmaxnreg.dec.sync.aligned.u32 40;
	{ .reg .pred p; wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%f1,%f2}, %rd1, %rd2, p, 1, 1, 0, 0;}
	@%p1 wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%f1,%f2}, %rd1, %rd2, p, 1, 1, 0, 0; // not mbarrier.init
	// end inline asm
}
.visible .entry unbounded()
.maxntid 384, 1, 1
{
	setmaxnreg.dec.sync.aligned.u32 40;
}
.visible .entry plain()
{
	add.f32 %f1, %f1, %f1;
}
";

#[test]
fn instructions_of_hopper_are_named_once_a_kernel() {
    let instructions =
        told(HOPPER).into_iter().filter_map(|line| Some(line.strip_prefix("instruction : ")?.to_owned()));
    assert_eq!(
        instructions.collect::<Vec<_>>(),
        [
            "'bounded' for 'sm_90a' setmaxnreg.dec.sync.aligned.u32\n",
            "'bounded' for 'sm_90a' wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16\n",
            "'unbounded' for 'sm_90a' setmaxnreg.dec.sync.aligned.u32\n",
        ]
    );
}

#[test]
fn what_ptxas_only_remarks_on_names_file_kernel_and_message() {
    let serialized = "wgmma.mma_async instructions are serialized due to insufficient register resources for the wgmma \
                      pipeline in the function 'ring'";
    let injected = "warpgroup.wait is injected in around line 49 by compiler to allow use of registers defined by GMMA in \
                    function 'ring'";
    let ignored = "'setmaxnreg' ignored; unable to determine register count at entry.";
    let printed = format!(
        "ptxas info    : (C7517) {injected}\nptxas info    : (C7511) Potential Performance Loss: {serialized}\n\
         ptxas info    : (C7508) Potential Performance Loss: {ignored}\n\
         ptxas info    : (C7508) Potential Performance Loss: {ignored}\nptxas info    : 0 bytes gmem\n\
         ptxas info    : Compiling entry function 'ring' for 'sm_90a'\nptxas info    : Used 30 registers\n",
    );
    let found = complaints("hopper/ring.cu", &printed, HOPPER);
    let [first, second, third] = &found[..] else { panic!("{found:?}") };
    let begin = "kernels/hopper/ring.cu: error: kernel";
    assert_eq!(*first, format!("{begin} ring: (C7517) {injected}"));
    assert_eq!(*second, format!("{begin} ring: (C7511) Potential Performance Loss: {serialized}"));
    let expected = format!("{begin} unbounded: (C7508) Potential Performance Loss: {ignored} (");
    assert!(third.starts_with(&expected) && third.contains("__launch_bounds__"), "{third}");
    // Where all bound their registers, it may be any.
    let ptx = HOPPER.replace(".maxntid 384, 1, 1\n{", ".maxnreg 168\n{");
    let found = complaints("hopper/ring.cu", &printed, &ptx);
    assert!(found[2].starts_with(&format!("{begin} bounded, unbounded: ")), "{found:?}");
    assert!(complaints("gemm.cu", "ptxas info : Used 30 registers\n", HOPPER).is_empty());
}

#[test]
fn a_kernel_that_may_have_copied_its_tensor_map_is_refused() {
    let kernel = |locals: &str, copy: &str| {
        format!(".target sm_90a\n.visible .entry ring(\n)\n{{\n{locals}\n\t{copy} [a], [b];\n}}\n")
    };
    const LOCALS: &str = "\t.local .align 64 .b8 \t__local_depot0[128];";
    const COPY: &str = "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes";
    let found = complaints("hopper/ring.cu", "", &kernel(LOCALS, COPY));
    assert!(matches!(&found[..], [one] if one.contains("kernel ring: TMA cannot read")), "{found:?}");
    assert!(complaints("hopper/ring.cu", "", &kernel("", COPY)).is_empty());
    assert!(complaints("hopper/ring.cu", "", &kernel(LOCALS, "mbarrier.init.shared.b64")).is_empty());
}

#[test]
fn all_profiles_share_one_target_folder() {
    let folder = |out: &str, triple| target_folder(Path::new(out), triple);
    assert_eq!(folder("/t/debug/build/cotangent-1/out", "x86_64-linux"), Path::new("/t"));
    assert_eq!(folder("/t/x86_64-linux/release/build/cotangent-1/out", "x86_64-linux"), Path::new("/t"));
    assert_eq!(folder("/t/debug/build/cotangent/1/out", ""), Path::new("/t"), "a deeper layout");
    assert_eq!(folder("/elsewhere", ""), Path::new("/elsewhere"));
}
