//! `--device` where there is no device: each situation has its message and its next step, `auto` goes on.

use cotangent::exec::Bf16Unit;
use cotangent::exec::cuda::NVCC;

use super::*;

/// Whether this machine has a driver of its own, which no variable hides.
pub fn has_driver() -> bool {
    let listed = Command::new("ldconfig").arg("-p").output();
    listed.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("libcuda.so"))
        || Path::new("/proc/driver/nvidia").exists()
}

/// Why a device cannot be used.
struct Situation {
    name: &'static str,
    command: fn(&Workplace) -> Command,
    /// What is asked for in vain.
    device: &'static str,
    /// Of the message: what is missing.
    missing: &'static str,
    /// Of the message: what to do.
    next: &'static str,
    /// Why `auto` takes the CPU; none where it takes a device.
    reason: Option<&'static str>,
}

/// All that can be brought about here: with this build, on this machine.
fn situations() -> Vec<Situation> {
    let no_driver = Situation {
        name: "no driver",
        command: |place| {
            let mut command = place.without_driver();
            command.env("COTANGENT_CUDA_IMAGE", &crate::emulator::emulator().built.image);
            command
        },
        device: "cuda",
        missing: "there is no CUDA driver on this machine",
        next: "install NVIDIA's driver, or run on the CPU",
        reason: Some("there is no CUDA driver on this machine"),
    };
    let no_device = Situation {
        name: "no device",
        command: |place| {
            let mut command = place.emulated();
            command.env("COTANGENT_EMULATOR_DEVICES", "0");
            command
        },
        device: "cuda",
        missing: "there is no CUDA device 0: the driver sees 0",
        next: "look whether nvidia-smi lists a card",
        reason: Some("the driver sees no CUDA device"),
    };
    let not_that_many = Situation {
        name: "not that many",
        command: |place| {
            let mut command = place.emulated();
            command.env("COTANGENT_EMULATOR_DEVICES", "2");
            command
        },
        device: "cuda:7",
        missing: "there is no CUDA device 7: the driver sees 2",
        next: "take cuda:0 to cuda:1 (CUDA_VISIBLE_DEVICES may hide others)",
        reason: None,
    };
    let too_old = Situation {
        name: "a driver older than the nvcc",
        command: |place| {
            let mut command = place.with_emulated_driver();
            command.env("COTANGENT_EMULATOR_DRIVER", "8080");
            command
        },
        device: "cuda",
        missing: "the driver supports CUDA 8.8, and the kernels were compiled by CUDA 1",
        next: "update NVIDIA's driver, or build with nvcc 8.x or older",
        reason: Some("the driver is too old for the kernels (CUDA 8.8, not 1"),
    };
    let no_image = Situation {
        name: "no kernels for the card",
        command: |place| {
            let mut command = place.with_emulated_driver();
            command.env("COTANGENT_EMULATOR_CAPABILITY", "61");
            command
        },
        device: "cuda:1",
        missing: "device 1 (emulated sm_80) has compute capability 6.1, and this build has kernels for sm_",
        next: "run on the CPU, or on a card of compute capability 7.5 or newer",
        reason: Some("this build has no kernels for emulated sm_75 (compute capability 6.1)"),
    };
    let no_kernels = Situation {
        name: "a build without nvcc",
        command: Workplace::with_emulated_driver,
        device: "cuda",
        missing: "this build holds no CUDA kernels, because it was made without nvcc",
        next: "run scripts/install-nvcc, or set NVCC, and build again",
        reason: Some("this build holds no CUDA kernels"),
    };
    let mut situations = vec![no_device, not_that_many];
    if has_driver() {
        println!("skipped: this machine has a CUDA driver, so none can be missing");
    } else {
        situations.push(no_driver);
    }
    match NVCC {
        Some(_) => situations.extend([too_old, no_image]),
        None => situations.push(no_kernels),
    }
    situations
}

impl Situation {
    /// A small run there.
    fn mnist(&self, place: &Workplace, arguments: &str) -> Finished {
        let arguments = format!("mnist {} {arguments} --out run", small(arguments));
        Finished::of((self.command)(place).args(arguments.split_whitespace()))
    }
}

#[test]
fn a_device_that_cannot_be_used_is_refused_with_what_is_missing_and_the_next_step() {
    let place = Workplace::new();
    let mut messages = Vec::new();
    for situation in situations() {
        let Situation { name, device, missing, next, .. } = &situation;
        let message = situation.mnist(&place, &format!("--device {device}")).failed(1, &[missing, next]);
        for once in [missing, next] {
            assert_eq!(message.matches(once).count(), 1, "{name}: {message}");
        }
        assert_eq!(message.lines().count(), 1, "{name}: {message}");
        assert!(
            message.ends_with(&format!("{next}\n")) || message.contains(&format!("; {next}")),
            "{message}"
        );
        assert!(!place.path("run").exists() && !place.path("runs").exists(), "{name}: a folder was made");
        assert!(!messages.contains(&message), "{name}: {message}");
        messages.push(message);
    }
    assert!(messages.len() >= 3);
}

#[test]
fn auto_goes_on_without_cuda_and_says_why() {
    let place = Workplace::new();
    for situation in situations() {
        let (name, Some(reason)) = (situation.name, situation.reason) else { continue };
        let run = situation.mnist(&place, "--epochs 1 --device auto").succeeded();
        let line = run.stdout.lines().find(|line| line.starts_with("device: ")).unwrap_or_default();
        let expected = format!("device: cpu with 1 thread (chosen automatically: {reason}");
        assert!(line.starts_with(&expected) && line.ends_with(')'), "{name}: {line}");
        fs::remove_dir_all(place.path("run")).unwrap();
    }
}

#[test]
fn what_only_cuda_can_do_is_refused_under_auto_with_why_there_is_none() {
    let place = Workplace::new();
    for situation in situations() {
        let Some(reason) = situation.reason else { continue };
        for option in ["--plan graph", "--plan launches"] {
            let words = [option, "needs CUDA, and ", reason, "cotangent doctor"];
            situation.mnist(&place, option).failed(2, &words);
            assert!(!place.path("run").exists(), "{}: a folder was made", situation.name);
        }
        let run = situation.mnist(&place, "--epochs 1 --precision bf16 --device auto");
        match Bf16Unit::of_machine() {
            Some(unit) => {
                let line =
                    format!("device: cpu with 1 thread, products in bf16 by {} (chosen auto", unit.name());
                let run = run.succeeded();
                assert!(run.stdout.contains(&line), "{}", run.stdout);
                fs::remove_dir_all(place.path("run")).unwrap();
            }
            None => {
                let words = ["--precision bf16", "neither AMX nor AVX-512 BF16", reason, "cotangent doctor"];
                run.failed(2, &words);
                assert!(!place.path("run").exists(), "{}: a folder was made", situation.name);
            }
        }
    }
}

#[test]
fn auto_takes_the_first_device_and_another_can_be_asked_for() {
    let place = Workplace::new();
    for (arguments, device, why) in [
        ("", "cuda:0, emulated sm_75, compute capability 7.5, f32, captured graphs", "chosen automatically"),
        (
            "--device cuda:2",
            "cuda:2, emulated sm_90, compute capability 9.0, f32, captured graphs",
            "as asked for",
        ),
    ] {
        let options = "mnist --data data --epochs 1 --hidden 4 --batch-size 150 --augment none --out run";
        let mut command = place.emulated();
        command.args(options.split_whitespace()).args(arguments.split_whitespace());
        let run = Finished::of(&mut command).succeeded();
        assert!(run.stdout.contains(&format!("\ndevice: {device} ({why})\n")), "{}", run.stdout);
        fs::remove_dir_all(place.path("run")).unwrap();
    }
}
