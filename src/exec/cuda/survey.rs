//! What there is of CUDA on this machine, and whether it computes correctly: for a person who wonders.
//!
//! [`Survey::take`] looks at the driver and at each device, also at those that no run could use, and lets
//! those that open compute something small, twice: kernel by kernel, so that an error names its culprit,
//! and as a captured graph, as runs do. What they get is held against the CPU's float64.

use cudarc::driver::result;
use cudarc::driver::sys::CUdevice_attribute;

use super::error::During;
use super::{Capability, CudaError, CudaMode, Device, Launching, driver};
use crate::graph::NodeId;
use crate::ops::{Builder, Draw, Function, Var};
use crate::random::{Purpose, chacha, uniform};

/// What was found.
pub struct Survey {
    /// The newest CUDA that the driver supports, such as (13, 0), if there is a driver.
    pub driver: Option<(i32, i32)>,
    /// Why the driver lets no device be used, whichever it is.
    pub problem: Option<CudaError>,
    /// All devices, by number.
    pub devices: Vec<Surveyed>,
}

/// A device that the driver sees.
pub struct Surveyed {
    /// Its name.
    pub name: String,
    /// Its compute capability.
    pub capability: Capability,
    /// The bytes of its memory.
    pub memory: usize,
    /// Whether it takes the kernels that are compiled for `sm_90a` alone.
    pub hopper: bool,
    /// Whether it runs the kernels, and gets what the CPU gets.
    pub works: Result<(), CudaError>,
}

impl Survey {
    /// Looks, and computes on every device that opens.
    pub fn take() -> Self {
        let driver = match driver::version() {
            Ok(version) => version,
            Err(error) => return Self { driver: None, problem: Some(error), devices: Vec::new() },
        };
        let problem = match driver::count() {
            Ok(0) => Some(CudaError::NoDevice { ordinal: 0, count: 0 }),
            counted => counted.err(),
        };
        let devices = 0..driver::count_whatever_the_driver().unwrap_or(0);
        Self { driver: Some(driver), problem, devices: devices.map(Surveyed::new).collect() }
    }
}

impl Surveyed {
    fn new(ordinal: usize) -> Self {
        let unknown = |error| Self {
            name: "unknown".into(),
            capability: Capability { major: 0, minor: 0 },
            memory: 0,
            hopper: false,
            works: Err(error),
        };
        let described = Self::described(ordinal).unwrap_or_else(unknown);
        let opened = described.works.and_then(|()| Device::open(ordinal));
        let hopper = opened.as_ref().is_ok_and(Device::takes_hopper);
        Self { hopper, works: opened.and_then(|device| check(&device)), ..described }
    }

    /// What the driver says of a device, without opening it.
    fn described(ordinal: usize) -> Result<Self, CudaError> {
        let asking = || format!("asking what CUDA device {ordinal} is");
        let number = i32::try_from(ordinal).unwrap_or(i32::MAX); // the driver counts in such numbers
        let device = result::device::get(number).during(asking)?;
        let attribute = |attribute| {
            // SAFETY: the driver gave the device.
            unsafe { result::device::get_attribute(device, attribute) }.during(asking)
        };
        let major = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
        let minor = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
        Ok(Self {
            name: result::device::get_name(device).during(asking)?,
            capability: Capability { major, minor },
            // SAFETY: the driver gave the device.
            memory: unsafe { result::device::total_mem(device) }.during(asking)?,
            hopper: false,
            works: Ok(()),
        })
    }
}

/// relu(x Wᵀ + b) of random numbers in [−1, 1), in sizes that fill no tile: x (37, 65), W (29, 65), b (29).
struct Sample {
    function: Function<[NodeId; 3], NodeId>,
    inputs: [Vec<f32>; 3],
}

impl Sample {
    fn new() -> Self {
        const M: usize = 37;
        const N: usize = 29;
        const K: usize = 65;
        let builder = Builder::new();
        let [x, w, b] = [("x", vec![M, K]), ("W", vec![N, K]), ("b", vec![N])]
            .map(|(name, shape)| builder.input(name, &shape[..]));
        let y = (x.matmul_nt(w) + b).relu();
        let mut rng = chacha(0, Purpose::Weights, 0);
        let mut values =
            |var: Var<'_>| (0..var.shape().size()).map(|_| (2.0 * uniform(&mut rng) - 1.0) as f32).collect();
        let inputs = [x, w, b].map(&mut values);
        let function = builder.finish([x, w, b], y);
        Self { function: function.expect("shapes that go together, as they stand above"), inputs }
    }

    /// What a device gets.
    fn on(&self, device: &Device, launching: Launching) -> Result<Vec<f32>, CudaError> {
        let inputs = self.inputs.each_ref().map(|values| &values[..]);
        device.call(&self.function, inputs, Draw::default(), CudaMode { launching, ..CudaMode::default() })
    }

    /// What the CPU gets in float64 of the inputs, each changed by a function first.
    fn on_cpu(&self, change: impl Fn(f64) -> f64) -> Vec<f64> {
        let changed =
            |values: &Vec<f32>| values.iter().map(|&value| change(value.into())).collect::<Vec<_>>();
        let inputs = self.inputs.each_ref().map(changed);
        let inputs = inputs.each_ref().map(|values| &values[..]);
        self.function.call(inputs).expect("as many numbers as the shapes have, from which they were drawn")
    }

    /// That values are the CPU's, to what rounding explains.
    ///
    /// A sum of n products, in any order, is off by at most n u / (1 − n u) times the sum of the products'
    /// magnitudes, with u half of float32's epsilon (N. J. Higham, Accuracy and Stability of Numerical
    /// Algorithms, 2nd ed., §3.1). The bias is one more.
    fn check(&self, found: &[f32]) -> Result<(), CudaError> {
        let roundings = 1.0 + self.inputs[1].len() as f64 / self.inputs[2].len() as f64;
        let unit = f64::from(f32::EPSILON) / 2.0;
        let factor = roundings * unit / (1.0 - roundings * unit);
        let (expected, magnitudes) = (self.on_cpu(|value| value), self.on_cpu(f64::abs));
        let mut worst = (1.0, Ok(()));
        for (element, (&expected, magnitude)) in expected.iter().zip(magnitudes).enumerate() {
            let found = found.get(element).copied().unwrap_or(f32::NAN);
            let tolerance = factor * magnitude;
            let excess = (f64::from(found) - expected).abs() / tolerance;
            let excess = if excess.is_nan() { f64::INFINITY } else { excess };
            if excess > worst.0 {
                worst = (excess, Err(CudaError::Wrong { element, found, expected, tolerance }));
            }
        }
        worst.1
    }
}

/// Whether a device gets what the CPU gets, in both ways of launching.
fn check(device: &Device) -> Result<(), CudaError> {
    let sample = Sample::new();
    sample.check(&sample.on(device, Launching::Launches)?)?;
    sample.check(&sample.on(device, Launching::Graph)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rounds_otherwise_passes_and_one_wrong_element_does_not() {
        let sample = Sample::new();
        let exact: Vec<f32> = sample.on_cpu(|value| value).into_iter().map(|y| y as f32).collect();
        assert!(exact.contains(&0.0) && exact.iter().any(|&y| y > 1.0), "relu has both sides");
        let inputs = sample.inputs.each_ref().map(|values| &values[..]);
        sample.check(&sample.function.call(inputs).unwrap()).unwrap();
        for wrong in [exact[500] + 1e-4, exact[500] - 1e-4, f32::NAN, f32::INFINITY] {
            let mut values = exact.clone();
            values[500] = wrong;
            values[3] += 3e-5; // wrong as well, but by less
            let error = sample.check(&values).unwrap_err();
            let CudaError::Wrong { element: 500, found, expected, tolerance } = error else {
                panic!("{error}");
            };
            assert!(found.to_bits() == wrong.to_bits() && (expected - f64::from(exact[500])).abs() < 1e-6);
            assert!((1e-6..1e-4).contains(&tolerance), "{tolerance}");
        }
        assert!(sample.check(&exact[1..]).is_err() && sample.check(&[]).is_err());
    }
}
