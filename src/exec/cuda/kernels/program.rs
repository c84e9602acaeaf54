//! `kernels/program.cu`: fused elementwise programs.

use cudarc::driver::{CudaStream, CudaView, CudaViewMut, DeviceRepr, PushKernelArg};

use super::elementwise::Broadcast;
use super::kernel::Kernel;
use crate::exec::cuda::CudaError;
use crate::exec::cuda::device::Loader;
use crate::exec::fuse::MAX_REGISTERS;
use crate::exec::instruction::{Load, Program, Source, Step};
use crate::graph::NodeId;
use crate::ops::Unary;

/// Threads of a block and the elements of a thread, as in the C file.
const THREADS: usize = 128;
const VECTOR: usize = 4;
/// The most steps, as in the C file: fusion counts a register for each, and for each load.
const MAX_STEPS: usize = MAX_REGISTERS;

/// Fused elementwise programs. The values are those of [`Unary::map`] and [`crate::ops::Binary::map`].
pub struct Programs {
    /// By the number of registers that they have.
    by_registers: [(usize, Kernel); 2],
}

impl Programs {
    pub(super) fn load(loader: &Loader<'_>) -> Result<Self, CudaError> {
        let file = loader.file("program")?;
        Ok(Self { by_registers: [(4, file.kernel("program_4")?), (8, file.kernel("program_8")?)] })
    }

    /// `output[r, c]` = the result of the program's last step at (r, c), in one pass over memory.
    ///
    /// `operand` gives the values of the nodes that are read. If a load is [`Load::Product`], `output`
    /// holds the product beforehand; each of its elements is read before it is overwritten.
    ///
    /// # Errors
    /// Lengths that are not what the program's rows and columns ask for, or do not fit 32 bits; a
    /// program without steps or of more than 16, or a step that reads a register which stands after
    /// it; what the driver reports.
    pub fn run<'a>(
        &self,
        stream: &CudaStream,
        program: &Program,
        operand: impl Fn(NodeId) -> CudaView<'a, f32>,
        output: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let [(_, fewest), (_, most)] = &self.by_registers;
        let (steps, registers) = translate(program).map_err(|problem| fewest.refuse(problem))?;
        let kernel = if registers <= self.by_registers[0].0 { fewest } else { most };
        let extents = [program.rows, program.columns];
        let count = kernel.count(&extents)?;
        kernel.expect_length("output", output.len(), count)?;
        let n = kernel.size("the number of elements", count)?;

        let mut reads = Vec::new(); // record the reading of each operand when they go, after the launch
        let mut source = |place| {
            let (memory, kind, content) = match place {
                Place::Register(register) => (0, Kind::Register, register as u32),
                Place::Number(number) => (0, Kind::Number, number.to_bits()),
                Place::Memory(node, broadcast) => {
                    let view = operand(node);
                    let expected = broadcast.length(extents);
                    kernel.expect_length(&format!("node {}", node.index()), view.len(), expected)?;
                    let (memory, read) = view.view_ptr(stream);
                    reads.push(read);
                    (memory, broadcast.into(), 0)
                }
                Place::Output => (0, Kind::Output, 0),
            };
            Ok::<_, CudaError>(DeviceSource { memory, kind: kind as u32, content })
        };
        let mut sent =
            DeviceProgram { steps: [DeviceStep::default(); MAX_STEPS], length: steps.len() as u32 };
        for (to, step) in sent.steps.iter_mut().zip(steps) {
            let [a, b] = step.operands;
            *to = DeviceStep { operation: step.operation, result: step.result, a: source(a)?, b: source(b)? };
        }
        if n == 0 {
            return Ok(());
        }
        let columns = kernel.size("the number of columns", program.columns)?;
        let mut arguments = kernel.on(stream)?;
        arguments.arg(&sent); // Program program
        arguments.arg(output); // float* y
        arguments.arg(&columns); // int columns
        arguments.arg(&n); // int n
        let blocks = count.div_ceil(VECTOR).div_ceil(THREADS);
        // SAFETY: y holds n elements, and every operand as many as its kind reaches of rows and columns; no
        // step names a register that the kernel lacks; the kernel touches nothing else.
        unsafe { kernel.launch(&mut arguments, [blocks, 1, 1], THREADS as u32) }
    }
}

/// Where a step finds an operand.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Place {
    /// The result of an earlier step.
    Register(usize),
    Number(f32),
    Memory(NodeId, Broadcast),
    /// What the output holds beforehand.
    Output,
}

/// A step in the device's words.
#[derive(PartialEq, Debug)]
struct Translated {
    /// By position in [`Unary::ALL`], then in [`crate::ops::Binary::ALL`].
    operation: u32,
    /// The result's register, of no meaning in the last step.
    result: u32,
    /// b of a unary operation is any number.
    operands: [Place; 2],
}

/// A program's steps, without those whose results nobody reads, and how many registers they need; or
/// what is wrong with it.
///
/// The device's registers are dear: the more, the fewer threads a multiprocessor holds. So they hold
/// results alone (loads are read where they are), each until its last reader. Of 16 steps that
/// are all read, 8 registers are enough: for p results to wait, p steps must have made them, and as a step
/// reads two and makes one, p − 1 more must come to read them all.
fn translate(program: &Program) -> Result<(Vec<Translated>, usize), String> {
    let count = program.steps.len();
    if !(1..=MAX_STEPS).contains(&count) {
        return Err(format!("a program has 1 to {MAX_STEPS} steps, not {count}"));
    }
    let last_readers = last_readers(program);
    // Of the program's registers: loads, then steps.
    let mut places: Vec<Place> = program.loads.iter().map(place_of_load).collect();
    // For each of the device's registers, the last step that reads what it holds.
    let mut busy_until: Vec<usize> = Vec::new();
    let mut translated = Vec::new();
    for (index, step) in program.steps.iter().enumerate() {
        let find = |source| match source {
            Source::Full(node) => Ok(Place::Memory(node, Broadcast::Full)),
            Source::PerColumn(node) => Ok(Place::Memory(node, Broadcast::PerColumn)),
            Source::Register(register) => places.get(register).copied().ok_or_else(|| {
                format!("step {index} reads register {register}, and only {} come before it", places.len())
            }),
        };
        let (operation, operands) = match *step {
            Step::Unary(unary, a) => (unary as usize, [find(a)?, Place::Number(0.0)]),
            Step::Binary(binary, a, b) => (Unary::ALL.len() + binary as usize, [find(a)?, find(b)?]),
        };
        let result = match last_readers[index] {
            None if index + 1 < count => {
                places.push(Place::Number(f32::NAN)); // which nobody reads
                continue;
            }
            None => 0,
            // A step reads its operands before it writes its result, which may take their place.
            Some(reader) => match busy_until.iter_mut().enumerate().find(|(_, until)| **until <= index) {
                Some((register, until)) => {
                    *until = reader;
                    register
                }
                None => {
                    busy_until.push(reader);
                    busy_until.len() - 1
                }
            },
        };
        places.push(Place::Register(result));
        translated.push(Translated { operation: operation as u32, result: result as u32, operands });
    }
    Ok((translated, busy_until.len()))
}

fn place_of_load(load: &Load) -> Place {
    match *load {
        Load::Constant(number) => Place::Number(number.get() as f32),
        Load::Scalar(node) => Place::Memory(node, Broadcast::Scalar),
        Load::PerRow(node) => Place::Memory(node, Broadcast::PerRow),
        Load::Product => Place::Output,
    }
}

/// For each step the last one that reads its result, of those on which the program's result depends.
fn last_readers(program: &Program) -> Vec<Option<usize>> {
    let mut last_readers = vec![None; program.steps.len()];
    for (reader, step) in program.steps.iter().enumerate().rev() {
        if reader + 1 < program.steps.len() && last_readers[reader].is_none() {
            continue;
        }
        let sources = match *step {
            Step::Unary(_, a) => [a, a],
            Step::Binary(_, a, b) => [a, b],
        };
        for source in sources {
            if let Source::Register(register) = source
                && let Some(result) = register.checked_sub(program.loads.len())
                && let Some(last_reader) = last_readers.get_mut(result)
            {
                last_reader.get_or_insert(reader);
            }
        }
    }
    last_readers
}

/// Where an operand is found, in the order of the C file.
#[derive(Clone, Copy)]
enum Kind {
    Register,
    Number,
    Full,
    PerColumn,
    PerRow,
    Scalar,
    Output,
}

impl From<Broadcast> for Kind {
    fn from(broadcast: Broadcast) -> Self {
        match broadcast {
            Broadcast::Full => Self::Full,
            Broadcast::PerColumn => Self::PerColumn,
            Broadcast::PerRow => Self::PerRow,
            Broadcast::Scalar => Self::Scalar,
        }
    }
}

/// Source in the C file.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct DeviceSource {
    /// Null if the kind needs none.
    memory: u64,
    kind: u32,
    /// The register, or the bits of the number.
    content: u32,
}

/// Step in the C file.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct DeviceStep {
    operation: u32,
    result: u32,
    a: DeviceSource,
    b: DeviceSource,
}

/// Program in the C file.
#[repr(C)]
struct DeviceProgram {
    steps: [DeviceStep; MAX_STEPS],
    length: u32,
}

// SAFETY: the C struct has the same fields in the same order.
unsafe impl DeviceRepr for DeviceProgram {}

const _: () = assert!(size_of::<DeviceProgram>() == 648, "as kernels/program.cu has it");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Binary;

    /// The registers of the results that are kept, and how many there are.
    fn registers(loads: &[Load], steps: &[Step]) -> Result<(Vec<u32>, usize), String> {
        let program = Program { loads: loads.to_vec(), steps: steps.to_vec(), rows: 1, columns: 1 };
        let (steps, registers) = translate(&program)?;
        Ok((steps.iter().map(|step| step.result).collect(), registers))
    }

    fn exp(register: usize) -> Step {
        Step::Unary(Unary::Exp, Source::Register(register))
    }

    fn add(a: usize, b: usize) -> Step {
        Step::Binary(Binary::Add, Source::Register(a), Source::Register(b))
    }

    #[test]
    fn a_chain_needs_one_register_and_a_single_step_none() {
        let chain: Vec<Step> = (0..5).map(exp).collect();
        assert_eq!(registers(&[Load::Product], &chain), Ok((vec![0; 5], 1)));
        assert_eq!(registers(&[Load::Product], &chain[..1]), Ok((vec![0], 0)));
    }

    #[test]
    fn a_register_is_kept_until_its_last_reader() {
        // Registers 1, 2, 3 and 4 of the program; 1 is read twice.
        let steps = [exp(0), exp(1), add(1, 2), exp(3)];
        assert_eq!(registers(&[Load::Product], &steps), Ok((vec![0, 1, 0, 0], 2)));
    }

    #[test]
    fn the_widest_program_of_16_steps_needs_8_registers() {
        let mut steps = vec![exp(0); 8];
        steps.push(add(1, 2));
        steps.extend((3..9).map(|i| add(i, i + 6)));
        steps.push(exp(15));
        assert_eq!(steps.len(), MAX_STEPS);
        assert_eq!(registers(&[Load::Product], &steps).unwrap().1, 8);
    }

    #[test]
    fn steps_that_nothing_reads_are_left_out_and_so_is_what_only_they_read() {
        let steps = [exp(0), exp(1), add(2, 2), exp(0), exp(4)];
        assert_eq!(registers(&[Load::Product], &steps), Ok((vec![0, 0], 1)));
    }

    #[test]
    fn programs_that_cannot_be_sent_are_refused() {
        let refused = |steps: &[Step]| registers(&[Load::Product], steps).unwrap_err();
        assert_eq!(refused(&[]), "a program has 1 to 16 steps, not 0");
        assert_eq!(refused(&[exp(0); 17]), "a program has 1 to 16 steps, not 17");
        assert_eq!(refused(&[exp(0), exp(2)]), "step 1 reads register 2, and only 2 come before it");
    }
}
