//! The same kernel on a real card: compiled by nvcc, held against float64, and timed by events.
//!
//! Nothing is said of races and of memory here: the emulated device says it better than a card does. A time is the
//! median of several samples, each of several launches in a row, beside this project's own kernel for the same shape if
//! the build holds the kernels. Operands stay in the card's cache where they fit into it.

use std::path::{Path, PathBuf};
use std::process::Command;

use cotangent::errors::with_causes;
use cotangent::exec::cuda::{Axes, Device, Epilogue, Logits, Product, Sum, Survey};
use cotangent::ops::{Extents, MatMul};
use cudarc::driver::sys::CUevent_flags_enum::CU_EVENT_DEFAULT;
use cudarc::driver::{CudaSlice, CudaStream};

use super::emulated::{table, unfinished};
use super::finding::{Finding, Subject, Tried};
use super::reference::inputs;
use super::run::{Again, run_work};
use super::signature::Operation;
use super::source::Kernel;
use super::work::{Event, Events, Launch, Order, Work};
use super::worker::Bench;
use super::{compiled, faults, values};

/// Samples of a time, and launches in each, after some to warm up.
const SAMPLES: usize = 9;
const LAUNCHES: usize = 20;

/// The name by which C++ links a kernel that lacks `extern "C"` (Itanium C++ ABI, "Mangling").
pub fn mangled(kernel: &Kernel) -> String {
    let mut parameters = String::new();
    for (index, parameter) in kernel.parameters.iter().enumerate() {
        let is_first = |of: &str| kernel.parameters[..index].iter().all(|before| before.of != of);
        parameters.push_str(&match parameter.of.as_str() {
            "int" => "i".to_owned(),
            of if !is_first(of) => substitution(kernel, of),
            // A pointer to const float holds the type const float, which is a name of its own.
            "const float*" => "PKf".to_owned(),
            _ => "Pf".to_owned(),
        });
    }
    format!("_Z{}{}{parameters}", kernel.name.len(), kernel.name)
}

/// The name of a type that stood before: what is compound takes the next name, S_, S0_, S1_, once for each part.
fn substitution(kernel: &Kernel, of: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for parameter in &kernel.parameters {
        let parts: &[&str] = match parameter.of.as_str() {
            "const float*" => &["const float", "const float*"],
            "float*" => &["float*"],
            _ => &[],
        };
        parts.iter().for_each(|part| {
            if !names.contains(part) {
                names.push(part);
            }
        });
    }
    match names.iter().position(|name| *name == of) {
        Some(0) | None => "S_".into(),
        Some(index) => format!("S{}_", index - 1),
    }
}

/// Compiles the file for the first card and runs it there: a table with a time, and the findings.
///
/// # Errors
/// No nvcc, no card, a file that nvcc does not compile.
pub fn try_on(subject: &Subject, work: Work, again: &Again) -> Result<Tried, String> {
    let nvcc = nvcc().ok_or(
        "--device cuda compiles with nvcc, and there is none on this machine: NVCC, CUDA_HOME and PATH were searched; \
         scripts/install-nvcc fetches one; without --device the kernel runs on the emulated device",
    )?;
    let survey = Survey::take();
    if let Some(problem) = &survey.problem {
        return Err(format!("--device cuda needs a card: {}", with_causes(problem)));
    }
    let Some(card) = survey.devices.first() else {
        return Err("--device cuda needs a card, and there is none".into());
    };
    let folder = tempfile::tempdir().map_err(|error| format!("cannot make a temporary folder: {error}"))?;
    let image = folder.path().join("kernel.cubin");
    compile(subject, &nvcc, card.capability.number(), &image)?;
    let work = Work { image, orders: vec![Order::FirstInFirstOut], ..work };
    let ran = run_work(&work, again.command())?;
    let outcomes = values::outcomes(subject.launches.len(), &ran.events);
    let mut findings: Vec<Finding> = faults::finding(subject, &ran.events).into_iter().collect();
    findings.extend(values::finding(subject, &outcomes));
    if findings.is_empty() && !ran.is_finished() {
        findings.push(unfinished(subject, super::Check::Values, &ran)?);
    }
    // How fast a wrong kernel is does not matter.
    let times = ran.events.iter().filter(|_| findings.is_empty()).filter_map(|event| match event {
        Event::Times { card, theirs, ours } => {
            Some(times(subject.operation, work.timed.as_ref()?, card, *theirs, *ours))
        }
        _ => None,
    });
    let table = table(subject, &outcomes) + &times.collect::<String>();
    Ok(Tried { table, findings, remarks: Vec::new() })
}

/// `NVCC`, then `CUDA_HOME`, `PATH`, the usual folder, and where `scripts/install-nvcc` puts one.
fn nvcc() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(named) = variable("NVCC") {
        return Some(PathBuf::from(named)).filter(|path| path.is_file());
    }
    let path = variable("PATH").unwrap_or_default();
    let folders = variable("CUDA_HOME").map(|home| Path::new(&home).join("bin")).into_iter();
    let folders = folders.chain(std::env::split_paths(&path)).chain(["/usr/local/cuda/bin".into()]);
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin");
    folders.chain([installed]).map(|folder| folder.join("nvcc")).find(|nvcc| nvcc.is_file())
}

fn compile(subject: &Subject, nvcc: &Path, capability: i32, image: &Path) -> Result<(), String> {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let mut command = Command::new(nvcc);
    command.args(["-cubin", "-O3", "-std=c++17", "-DCOTANGENT_LAB", &format!("-arch=sm_{capability}")]);
    command.arg("-I").arg(kernels).arg("-o").arg(image).arg(&subject.source.path);
    // A file of the ladder finds the headers above it, where the repository lies elsewhere than it was built.
    command.args(subject.source.path.ancestors().nth(2).map(|above| format!("-I{}", above.display())));
    let output = command.output().map_err(|error| format!("cannot run {}: {error}", nvcc.display()))?;
    if output.status.success() {
        return Ok(());
    }
    // nvcc writes FILE(LINE): error: WHAT, the host compiler that it calls FILE:LINE:COLUMN: error: WHAT.
    let said =
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).replace("): error", ":0: error");
    let path = subject.source.path.to_string_lossy();
    Err(compiled::explained(subject.source, &said.replace(&format!("{path}("), &format!("{path}:"))))
}

/// Times the student's kernel and this project's own: the last of a process's work.
///
/// # Errors
/// What the driver reports.
pub fn time(bench: &Bench, work: &Work, launch: &Launch, events: &mut Events) -> Result<(), String> {
    let say = |error: cudarc::driver::DriverError| error.to_string();
    let inputs = inputs(work.operation, &launch.sizes);
    let arrays = bench.upload(work, launch, &inputs, events).map_err(say)?;
    let theirs = median_seconds(&bench.stream, || bench.launch(launch, &arrays).map_err(say))?;
    let card = bench.stream.context().name().map_err(say)?;
    // A build without kernels has nothing to set beside it.
    let ours =
        Device::open(0).ok().and_then(|device| ours(&device, work.operation, &launch.sizes, &inputs).ok());
    events.say(&Event::Times { card, theirs, ours });
    Ok(())
}

fn median_seconds(
    stream: &CudaStream,
    mut launch: impl FnMut() -> Result<(), String>,
) -> Result<f64, String> {
    let say = |error: cudarc::driver::DriverError| error.to_string();
    let mut samples = Vec::new();
    for sample in 0..=SAMPLES {
        let begin = stream.record_event(Some(CU_EVENT_DEFAULT)).map_err(say)?;
        for _ in 0..LAUNCHES {
            launch()?;
        }
        let end = stream.record_event(Some(CU_EVENT_DEFAULT)).map_err(say)?;
        end.synchronize().map_err(say)?;
        if sample > 0 {
            samples.push(f64::from(begin.elapsed_ms(&end).map_err(say)?) / 1e3 / LAUNCHES as f64); // the first warms up
        }
    }
    samples.sort_by(f64::total_cmp);
    Ok(samples[samples.len() / 2])
}

/// Seconds of this project's kernel on the same operands.
fn ours(device: &Device, operation: Operation, sizes: &[usize], inputs: &[Vec<f32>]) -> Result<f64, String> {
    let stream = device.stream().map_err(|error| with_causes(&error))?;
    let say = |error: cudarc::driver::DriverError| error.to_string();
    let failed = |error: cotangent::exec::cuda::CudaError| with_causes(&error);
    let given: Vec<CudaSlice<f32>> =
        inputs.iter().map(|values| stream.clone_htod(values)).collect::<Result<_, _>>().map_err(say)?;
    let x = given[0].as_view();
    let room = |length: usize| stream.alloc_zeros::<f32>(length.max(1)).map_err(say);
    match (operation, sizes) {
        (Operation::Gemm, &[m, n, k]) => {
            let gemm = &device.kernels().gemm;
            let (matmul, extents) = (MatMul { transpose_a: false, transpose_b: false }, Extents { m, n, k });
            let b = given[1].as_view();
            let product = Product { matmul, extents, a: &x, b: &b };
            let needed = cotangent::exec::cuda::Gemm::<f32>::workspace(gemm.tiling(matmul, extents), extents);
            let (mut c, mut workspace) = (room(m * n)?, room(needed)?);
            median_seconds(&stream, || {
                let (mut c, mut workspace) = (c.as_view_mut(), workspace.as_view_mut());
                gemm.run(&stream, &product, &mut c, &Epilogue::default(), &mut workspace).map_err(failed)
            })
        }
        (Operation::Softmax, &[rows, classes]) => {
            let mut y = room(rows * classes)?;
            let logits = || Logits { view: &x, rows, classes };
            let softmax = &device.kernels().softmax_cross_entropy;
            median_seconds(&stream, || {
                softmax.softmax(&stream, logits(), &mut y.as_view_mut()).map_err(failed)
            })
        }
        (Operation::Reduce, &[n]) => {
            let axes = Axes { outer: 1, reduced: n, inner: 1 };
            let (mut y, mut workspace) = (room(1)?, room(Sum::workspace(axes))?);
            median_seconds(&stream, || {
                let (mut y, mut workspace) = (y.as_view_mut(), workspace.as_view_mut());
                device.kernels().sum.run(&stream, axes, &x, &mut y, &mut workspace).map_err(failed)
            })
        }
        (Operation::Transpose, &[rows, columns]) => {
            let mut y = room(rows * columns)?;
            let layout = &device.kernels().layout;
            median_seconds(&stream, || {
                layout.transpose(&stream, &[1, 0], &[rows, columns], &x, &mut y.as_view_mut()).map_err(failed)
            })
        }
        _ => Err("no such shape".into()),
    }
}

/// A line of times: a product's by operations, the others' by the bytes that must be moved.
fn times(operation: Operation, launch: &Launch, card: &str, theirs: f64, ours: Option<f64>) -> String {
    let product: f64 = launch.sizes.iter().map(|&size| size as f64).product();
    let (amount, unit) = match operation {
        Operation::Gemm => (2.0 * product, "GFLOP/s"),
        Operation::Softmax | Operation::Transpose => (8.0 * product, "GB/s"),
        Operation::Reduce => (4.0 * product, "GB/s"),
    };
    let said = |seconds: f64| format!("{:.3} ms, {:.0} {unit}", seconds * 1e3, amount / seconds / 1e9);
    let shape: Vec<String> =
        operation.sizes().zip(&launch.sizes).map(|(name, size)| format!("{name}={size}")).collect();
    let beside = match ours {
        Some(seconds) => format!("; this project's kernel: {}", said(seconds)),
        None => String::new(),
    };
    format!("\n  {card}, {}: {}{beside}\n", shape.join(" "), said(theirs))
}

#[cfg(test)]
fn mangled_of(text: &str) -> String {
    let source = super::source::of_text(text);
    mangled(&source.kernels()[0])
}

#[test]
fn kernels_without_extern_c_are_found_by_their_mangled_names() {
    // As c++filt reads them.
    let gemm = "__global__ void gemm(const float* a, const float* b, float* c, int m, int n, int k) {}";
    assert_eq!(mangled_of(gemm), "_Z4gemmPKfS0_Pfiii");
    assert_eq!(
        mangled_of("__global__ void gemm(float* a, float* b, float* c, int m, int n, int k) {}"),
        "_Z4gemmPfS_S_iii"
    );
    assert_eq!(
        mangled_of("__global__ void gemm(const float* a, float* b, float* c, int m) {}"),
        "_Z4gemmPKfPfS1_i"
    );
    assert_eq!(mangled_of("__global__ void sum(float* x, const float* y, int n) {}"), "_Z3sumPfPKfi");
}
