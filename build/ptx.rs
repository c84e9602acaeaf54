//! What PTX says of its kernels, and what ptxas complains of.
//!
//! ptxas reports registers, shared memory and spills. Launch bounds and the instructions that a kernel asks for stand
//! in its PTX alone, which the build does not keep, so they go into the report beside ptxas's lines.

/// A kernel as its PTX has it.
#[derive(Default)]
struct Entry<'a> {
    name: &'a str,
    /// `sm_90a`
    target: &'a str,
    /// `.maxntid 256, 1, 1`
    bounds: Vec<&'a str>,
    /// The opcodes that [`is_hoppers`] names, each once.
    instructions: Vec<&'a str>,
    /// Whether it has variables in local memory.
    has_locals: bool,
}

impl Entry<'_> {
    fn asks_for(&self, family: &str) -> bool {
        self.instructions.iter().any(|instruction| instruction.starts_with(family))
    }
}

/// Whether an instruction came with Hopper and has a counterpart in machine code, which `scripts/machine-code` looks for.
fn is_hoppers(opcode: &str) -> bool {
    const FAMILIES: [&str; 9] = [
        "wgmma.",
        "cp.async.bulk.",
        "cp.reduce.async.bulk.",
        "prefetch.tensormap",
        "mbarrier.",
        "fence.proxy.async",
        "setmaxnreg.",
        "barrier.cluster.",
        "griddepcontrol.",
    ];
    FAMILIES.iter().any(|family| opcode.starts_with(family))
}

/// The kernels of a PTX file. What a function holds that is not inlined belongs to none.
fn entries(ptx: &str) -> Vec<Entry<'_>> {
    let (mut target, mut entries, mut is_in_entry) = ("", Vec::new(), false);
    for line in ptx.lines() {
        if let Some(name) = line.strip_prefix(".target ") {
            target = name.split(',').next().unwrap_or(name).trim();
        } else if let Some((_, name)) = line.split_once(".entry ") {
            let name = name.trim_end_matches(['(', ')']);
            entries.push(Entry { name, target, ..Entry::default() });
            is_in_entry = true;
        } else if line.contains(".func ") {
            is_in_entry = false;
        } else if let (Some(entry), true) = (entries.last_mut(), is_in_entry) {
            if [".maxntid", ".reqntid", ".minnctapersm", ".maxnreg"]
                .iter()
                .any(|directive| line.starts_with(directive))
            {
                entry.bounds.push(line);
            }
            entry.has_locals |= line.trim_start().starts_with(".local ");
            let code = line.split("//").next().unwrap_or(line);
            for opcode in code.split([' ', '\t', ';', '{', '}']).filter(|word| is_hoppers(word)) {
                if !entry.instructions.contains(&opcode) {
                    entry.instructions.push(opcode);
                }
            }
        }
    }
    entries
}

/// What ptxas does not report: lines such as `launch bounds : 'gemm' for 'sm_80' .maxntid 256, 1, 1`, and
/// `instruction : 'ring' for 'sm_90a' wgmma.fence.sync.aligned`.
pub fn told(ptx: &str) -> Vec<String> {
    let lines = entries(ptx).into_iter().flat_map(|Entry { name, target, bounds, instructions, .. }| {
        let line =
            move |what: &'static str| move |said: &str| format!("{what} : '{name}' for '{target}' {said}\n");
        let bounds = bounds.into_iter().map(line("launch bounds"));
        bounds.chain(instructions.into_iter().map(line("instruction"))).collect::<Vec<_>>()
    });
    lines.collect()
}

/// What ptxas printed that is an error here: that it waits after each wgmma, adds a wait or a fence that the kernel lacks,
/// or ignores setmaxnreg. ptxas calls that information, so `-Werror` lets it pass. And what nobody remarks on: a tensor map
/// that may have been copied to where TMA cannot read it. Each line names file and kernel.
pub fn complaints(file: &str, printed: &str, ptx: &str) -> Vec<String> {
    let is_one = |line: &&str| {
        ["Potential Performance Loss", " is injected "].iter().any(|words| line.contains(words))
    };
    let mut complaints: Vec<String> = printed
        .lines()
        .filter(is_one)
        .map(|line| {
            let message = line.split_once(" : ").map_or(line, |(_, message)| message).trim();
            let (kernels, hint) = match line.rsplit_once("function '") {
                Some((_, name)) => (name.trim_end_matches(['\'', '.']).to_owned(), ""),
                None => (kernels_with_setmaxnreg(ptx), ADVICE),
            };
            format!("kernels/{file}: error: kernel {kernels}: {message}{hint}")
        })
        .collect();
    complaints.dedup(); // ptxas repeats itself for each setmaxnreg
    let copies = |entry: &Entry| {
        entry.asks_for("cp.async.bulk.tensor") || entry.asks_for("cp.reduce.async.bulk.tensor")
    };
    complaints.extend(entries(ptx).iter().filter(|entry| entry.has_locals && copies(entry)).map(|entry| {
        format!(
            "kernels/{file}: error: kernel {}: TMA cannot read a tensor map in local memory, and the kernel has some: pass maps as \
             `const __grid_constant__` and on by their address",
            entry.name
        )
    }));
    complaints
}

const ADVICE: &str = " (where both threads and blocks stand in __launch_bounds__, ptxas knows the registers that a kernel begins with)";

/// Which kernels ptxas means when it ignores setmaxnreg, for it does not name them: those that do not bound their
/// registers, or else all that have the instruction.
fn kernels_with_setmaxnreg(ptx: &str) -> String {
    let entries = entries(ptx);
    let with: Vec<&Entry> = entries.iter().filter(|entry| entry.asks_for("setmaxnreg.")).collect();
    let is_bounded = |entry: &&&Entry| {
        entry.bounds.iter().any(|line| [".minnctapersm", ".maxnreg"].iter().any(|of| line.starts_with(of)))
    };
    let names =
        |of: &mut dyn Iterator<Item = &&Entry>| of.map(|entry| entry.name).collect::<Vec<_>>().join(", ");
    match names(&mut with.iter().filter(|entry| !is_bounded(entry))) {
        unbounded if unbounded.is_empty() => names(&mut with.iter()),
        unbounded => unbounded,
    }
}
