//! `doctor`: what of CUDA works on this machine, what `--device auto` takes, and what to do next.
//!
//! The lines are for people, the object of `--format json` is for programs; both say the same. They are printed
//! whatever the exit status, which says whether what `--device auto` takes works, and whether they could be printed.

use std::path::PathBuf;

use cotangent::errors::with_causes;
use cotangent::exec::cuda::{ARCHITECTURES, CudaError, KernelImages, NVCC, Survey, Surveyed};
use cotangent::train::options::DeviceChoice;
use cotangent::train::{Choice, Choices, OptimizerName};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::Failure;
use super::console::print;
use crate::cli::{DoctorArgs, Format};

pub fn run(arguments: DoctorArgs) -> Result<(), Failure> {
    let findings = Findings::new()?;
    let text = match arguments.said.format {
        Format::Text => findings.text(),
        Format::Json => format!("{:#}\n", findings.json()),
    };
    print(&text)?;
    match findings.fault() {
        Some(fault) => Err(Failure::work(format!("{}, which --device auto takes, {fault}", findings.auto))),
        None => Ok(()),
    }
}

struct Findings {
    /// What to load instead of the embedded images.
    replacement: Option<PathBuf>,
    /// Why there are no images to load.
    no_images: Option<CudaError>,
    survey: Survey,
    /// What `--device auto` takes.
    auto: DeviceChoice,
    /// Why it does.
    why: String,
}

impl Findings {
    fn new() -> Result<Self, Failure> {
        let options = Choices::default().resolve(OptimizerName::Adam).map_err(Failure::usage)?;
        // Before the devices are tried: a kernel's fault stays, and nothing opens any more.
        let choice = Choice::of(&options)?;
        let (auto, why) = (choice.device(), choice.why.clone());
        drop(choice);
        Ok(Self {
            replacement: KernelImages::replacement(),
            no_images: KernelImages::find().err(),
            survey: Survey::take(),
            auto,
            why,
        })
    }

    /// How what `--device auto` takes fails.
    fn fault(&self) -> Option<String> {
        let DeviceChoice::Cuda(ordinal) = self.auto else { return None }; // the CPU always works
        match &self.survey.devices.get(ordinal)?.works {
            Ok(()) => None,
            Err(error) => Some(format!("does not work: {}", with_causes(error))),
        }
    }

    fn json(&self) -> Value {
        let device = |device: &Surveyed| {
            json!({
                "name": device.name,
                "capability": device.capability.to_string(),
                "memory": device.memory,
                "usable": device.works.is_ok(),
                "why": device.works.as_ref().err().map(|error| with_causes(error)),
            })
        };
        json!({
            "build": {
                "nvcc": NVCC,
                "images": ARCHITECTURES,
                "replaced_by": self.replacement.as_ref().map(|path| path.display().to_string()),
            },
            "driver": self.survey.driver.map(version),
            "driver_error": self.survey.problem.as_ref().map(|error| with_causes(error)),
            "devices": self.survey.devices.iter().map(device).collect::<Vec<_>>(),
            "auto": self.auto.to_string(),
            "auto_why": self.why,
            "next": self.next_steps(),
        })
    }

    fn text(&self) -> String {
        let mut text = line("build", &self.build());
        text += &line("driver", &self.driver());
        for (ordinal, device) in self.survey.devices.iter().enumerate() {
            text += &line(&format!("cuda:{ordinal}"), &described(device));
        }
        text += &line("auto", &format!("{} ({})", self.auto, self.why));
        for step in self.next_steps() {
            text += &line("next", &step);
        }
        text
    }

    fn build(&self) -> String {
        let embedded = match NVCC {
            Some(release) => format!("nvcc {release}, kernels for {}", ARCHITECTURES.join(", ")),
            None => "without nvcc, no kernels".into(),
        };
        match &self.replacement {
            Some(path) => {
                format!("{embedded}; replaced by {}, which COTANGENT_CUDA_IMAGE names", path.display())
            }
            None => embedded,
        }
    }

    fn driver(&self) -> String {
        match (self.survey.driver, &self.survey.problem) {
            (Some(driver), Some(problem)) => format!("CUDA {}; {}", version(driver), problem.reason()),
            (Some(driver), None) => format!("CUDA {}", version(driver)),
            (None, Some(problem)) => format!("none: {}", problem.reason()),
            (None, None) => "none".into(),
        }
    }

    /// What to do about all that is missing, each once.
    fn next_steps(&self) -> Vec<String> {
        let of_devices = self.survey.devices.iter().filter_map(|device| device.works.as_ref().err());
        let mut steps = Vec::new();
        for error in self.no_images.iter().chain(&self.survey.problem).chain(of_devices) {
            let step = error.next_step();
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
        steps
    }
}

/// A device in words.
fn described(device: &Surveyed) -> String {
    let Surveyed { name, capability, memory, hopper, works } = device;
    let gib = *memory as f64 / f64::from(1 << 30);
    let state = match works {
        Ok(()) if *hopper => "works: it computes what the CPU does; takes the kernels for sm_90a too".into(),
        Ok(()) => "works: it computes what the CPU does".into(),
        Err(error) => format!("not usable: {}", error.reason()),
    };
    format!("{name}, compute capability {capability}, {gib:.1} GiB; {state}")
}

fn version((major, minor): (i32, i32)) -> String {
    format!("{major}.{minor}")
}

/// A label and what belongs to it, wrapped beside it to the width of a terminal.
fn line(label: &str, content: &str) -> String {
    const LABEL: usize = 8;
    const WIDTH: usize = 79;
    let mut text = format!("{label:LABEL$}");
    let mut column = LABEL;
    for word in content.split(' ') {
        let length = word.width();
        if column > LABEL && column + 1 + length > WIDTH {
            text += &format!("\n{:LABEL$}", "");
            column = LABEL;
        }
        text += if column > LABEL { " " } else { "" };
        column += usize::from(column > LABEL) + length;
        text += word;
    }
    text + "\n"
}
