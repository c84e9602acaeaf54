//! Which GPU architectures the images hold: pure functions over compute capabilities (`90` for 9.0).

/// The compute capabilities that get machine code, oldest first; the newest gets PTX too, which the
/// driver of a newer card compiles when the program starts.
///
/// Machine code runs on its own capability and on later minor ones of the same major, so 8.6 serves
/// 8.7, and 10.0 and 12.0 serve the rest of their generations.
const ARCHITECTURES: [u32; 7] = [
    75,  // Turing: T4, RTX 20
    80,  // Ampere: A100, A30
    86,  // Ampere: A10, A40, RTX 30
    89,  // Ada: L4, L40, RTX 40
    90,  // Hopper: H100, H200, GH200
    100, // Blackwell: B200, GB200
    120, // Blackwell: RTX 50, RTX PRO
];

/// What kernels of the folder `hopper` are compiled for. It runs on 9.0 and nothing newer, as wgmma does (PTX ISA,
/// "wgmma.mma_async", target ISA notes).
pub const HOPPER: &str = "sm_90a";

/// nvcc's flags for it: machine code, no PTX, which no other card could use.
pub const HOPPER_FLAGS: &str = "-gencode=arch=compute_90a,code=sm_90a";

/// The wanted architectures, split by whether nvcc knows them.
pub struct Choice {
    /// Sorted, without repetition.
    pub known: Vec<u32>,
    /// Whether [`HOPPER`] is wanted, and known.
    pub hopper: bool,
    /// As they were written.
    pub unknown: Vec<String>,
}

/// Chooses among those asked for (`80,90,90a` or `sm_80 sm_90 sm_90a`), or else among the table's and [`HOPPER`].
pub fn choose(asked: Option<&str>, nvcc_knows: &[u32]) -> Choice {
    // nvcc lists no accelerated variants; each that is new enough and knows 9.0 knows this one.
    let knows_hopper = nvcc_knows.contains(&90);
    let mut choice =
        Choice { known: Vec::new(), hopper: asked.is_none() && knows_hopper, unknown: Vec::new() };
    let mut add = |name: &str| match parse(name).filter(|architecture| nvcc_knows.contains(architecture)) {
        Some(architecture) => choice.known.push(architecture),
        None if knows_hopper && ["90a", HOPPER].contains(&name) => choice.hopper = true,
        None => choice.unknown.push(name.into()),
    };
    match asked {
        Some(asked) => asked.split([',', ';', ' ']).filter(|name| !name.is_empty()).for_each(&mut add),
        None => machine_code(&ARCHITECTURES).iter().for_each(|name| add(name)),
    }
    choice.known.sort_unstable();
    choice.known.dedup();
    choice
}

/// `sm_90` or `90`, nothing else: `90a` and `90f` are code for one kind of card, not a capability.
pub fn parse(name: &str) -> Option<u32> {
    name.strip_prefix("sm_").unwrap_or(name).parse().ok()
}

/// The names of machine code: `sm_80`, `sm_90`.
pub fn machine_code(architectures: &[u32]) -> Vec<String> {
    architectures.iter().map(|architecture| format!("sm_{architecture}")).collect()
}

/// The names of all that the images hold: `sm_80`, `sm_90`, `compute_90`; with [`HOPPER`] if there are some for it.
pub fn embedded(architectures: &[u32], has_hopper: bool) -> Vec<String> {
    let ptx = architectures.last().map(|newest| format!("compute_{newest}"));
    let hopper = has_hopper.then(|| HOPPER.into());
    machine_code(architectures).into_iter().chain(hopper).chain(ptx).collect()
}

/// nvcc's flags for machine code of each and PTX of the last.
pub fn flags(architectures: &[u32]) -> Vec<String> {
    let machine_code = architectures.iter().map(|a| format!("-gencode=arch=compute_{a},code=sm_{a}"));
    let ptx = architectures.last().map(|a| format!("-gencode=arch=compute_{a},code=compute_{a}"));
    machine_code.chain(ptx).collect()
}
