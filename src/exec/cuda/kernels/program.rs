//! `kernels/program.cu`: fused elementwise programs.

use cudarc::driver::{CudaStream, CudaView, CudaViewMut, DevicePtrMut, DeviceRepr, PushKernelArg};

use super::elementwise::Broadcast;
use super::kernel::Kernel;
use super::loader::Loader;
use super::step::StepState;
use crate::exec::cuda::CudaError;
use crate::exec::instruction::{Load, MAX_REGISTERS, MOST_RESULTS, MOST_STEPS, Program, ProgramStep, Source};
use crate::graph::NodeId;
use crate::ops::Unary;

/// Threads of a block and the elements of a thread, as in the C file.
const THREADS: usize = 128;
const VECTOR: usize = 4;
/// The most steps, as in the C file: those of a loop that stores; of others fusion counts a register for each step.
const MAX_STEPS: usize = 32;
const _: () = assert!(MOST_STEPS <= MAX_STEPS && MAX_REGISTERS <= MAX_STEPS);

/// A pointer to nothing.
const NULL: u64 = 0;

/// Fused elementwise programs. The values are those of [`Unary::map`] and [`crate::ops::Binary::map`].
pub struct Programs {
    /// By the number of registers that they have, the fewest first.
    by_registers: [(usize, Kernel); 3],
}

/// Where a program finds the values of a node.
pub enum Read<'a> {
    /// In memory that the program does not write.
    View(CudaView<'a, f32>),
    /// Where one of its results goes, by number: element by element they are read before they are overwritten.
    Overwritten(usize),
}

impl Programs {
    pub(super) fn load(loader: &Loader<'_>) -> Result<Self, CudaError> {
        let file = loader.file("program")?;
        let kernel =
            |registers: usize| file.kernel(format!("program_{registers}")).map(|kernel| (registers, kernel));
        Ok(Self { by_registers: [kernel(4)?, kernel(8)?, kernel(18)?] })
    }

    /// `outputs[k][r, c]` = the program's k-th result at (r, c), in one pass over memory; at most [`MOST_RESULTS`].
    ///
    /// `operand` says where the values of the nodes are that are read. If a load is [`Load::Product`], the last output
    /// holds the product beforehand. Each element is read before it is overwritten. With `unless` (one element) nothing
    /// is written after a loss that was not finite ([`StepState::first_not_finite`]).
    ///
    /// # Errors
    /// Lengths that are not what the program's rows and columns ask for, or do not fit 32 bits; a
    /// program without steps, of more than 32, or of other results than the last step's and up to three more; a step that
    /// reads a register which stands after it; an output that is read as anything but element by element; what the
    /// driver reports.
    pub fn run<'a>(
        &self,
        stream: &CudaStream,
        program: &Program,
        operand: impl Fn(NodeId, Broadcast) -> Read<'a>,
        outputs: &mut [CudaViewMut<'_, f32>],
        unless: Option<&CudaView<'_, StepState>>,
    ) -> Result<(), CudaError> {
        let [(_, first), ..] = &self.by_registers;
        let Translated { steps, results, registers } = translate(program).map_err(|it| first.refuse(it))?;
        let fitting = self.by_registers.iter().find(|(enough, _)| registers <= *enough);
        let Some((_, kernel)) = fitting else {
            return Err(first.refuse(format!("{registers} results wait at a time")));
        };
        let extents = [program.rows, program.columns];
        let count = kernel.count(&extents)?;
        kernel.expect_length("the list of outputs", outputs.len(), results.len())?;
        kernel.expect_length("step", unless.map_or(1, CudaView::len), 1)?;
        for output in &*outputs {
            kernel.expect_length("output", output.len(), count)?;
        }
        let n = kernel.size("the number of elements", count)?;

        // They record the accesses when they go, after the launch.
        let (mut reads, mut writes, mut written) = (Vec::new(), Vec::new(), Vec::new());
        for output in outputs {
            let (memory, write) = output.device_ptr_mut(stream);
            written.push(memory);
            writes.push(write);
        }
        let mut source = |place| {
            let (memory, kind, content) = match place {
                Place::Register(register) => (NULL, Kind::Register, register),
                Place::Number(number) => (NULL, Kind::Number, number.to_bits()),
                Place::Product => (written[written.len() - 1], Kind::Full, 0),
                Place::Memory(node, broadcast) => match operand(node, broadcast) {
                    Read::View(view) => {
                        let expected = broadcast.length(extents);
                        kernel.expect_length(&format!("node {}", node.index()), view.len(), expected)?;
                        let (memory, read) = view.view_ptr(stream);
                        reads.push(read);
                        (memory, broadcast.into(), 0)
                    }
                    Read::Overwritten(output) if output < written.len() && broadcast == Broadcast::Full => {
                        (written[output], Kind::Full, 0)
                    }
                    Read::Overwritten(output) => {
                        let node = node.index();
                        let problem =
                            format!("node {node}, read {broadcast:?}, lies where result {output} goes");
                        return Err(kernel.refuse(problem));
                    }
                },
            };
            Ok::<_, CudaError>(DeviceSource { memory, kind: kind as u32, content })
        };
        let mut sent = DeviceProgram {
            steps: [DeviceStep::default(); MAX_STEPS],
            results: [DeviceResult::default(); MOST_RESULTS],
            length: steps.len() as u32,
            left: results.len() as u32,
        };
        for (to, step) in sent.steps.iter_mut().zip(steps) {
            let [a, b] = step.operands;
            *to = DeviceStep { operation: step.operation, result: step.result, a: source(a)?, b: source(b)? };
        }
        for ((to, register), &memory) in sent.results.iter_mut().zip(results).zip(&written) {
            *to = DeviceResult { memory, content: register, padding: 0 };
        }
        if n == 0 {
            return Ok(());
        }
        let columns = kernel.size("the number of columns", program.columns)?;
        let mut arguments = kernel.on(stream)?;
        arguments.arg(&sent); // Program program
        match unless {
            Some(step) => arguments.arg(step), // const StepState* step
            None => arguments.arg(&NULL),
        };
        arguments.arg(&columns); // int columns
        arguments.arg(&n); // int n
        let blocks = count.div_ceil(VECTOR).div_ceil(THREADS);
        // SAFETY: the outputs hold n elements each, and every operand as many as its kind reaches of rows and columns; no
        // step and no result names a register that the kernel lacks; the kernel touches nothing else.
        unsafe { kernel.launch(&mut arguments, [blocks, 1, 1], THREADS as u32) }
    }
}

/// Where a step finds an operand.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Place {
    /// The result of an earlier step.
    Register(u32),
    Number(f32),
    Memory(NodeId, Broadcast),
    /// What the last output holds beforehand.
    Product,
}

/// A step in the device's words.
#[derive(PartialEq, Debug)]
struct TranslatedStep {
    /// By position in [`Unary::ALL`], then in [`crate::ops::Binary::ALL`].
    operation: u32,
    /// The result's register.
    result: u32,
    /// b of a unary operation is any number.
    operands: [Place; 2],
}

/// A program in the device's words.
#[derive(PartialEq, Debug)]
struct Translated {
    /// Without those whose results nobody reads.
    steps: Vec<TranslatedStep>,
    /// The register of each result.
    results: Vec<u32>,
    /// How many registers there must be.
    registers: usize,
}

/// A program for the device, or what is wrong with it.
///
/// The device's registers are dear: the more, the fewer threads a multiprocessor holds. So they hold
/// results alone (loads are read where they are), each until its last reader; what the program leaves, until the end.
/// For p results to wait, p steps must have made them. As a step reads two and makes one, p − r more must come until
/// only the r wait that the program leaves: 2p − r steps. So of 32 steps that are all read, with four results, 18
/// registers are enough, and 8 of 16 steps with one.
fn translate(program: &Program) -> Result<Translated, String> {
    let count = program.steps.len();
    if !(1..=MAX_STEPS).contains(&count) {
        return Err(format!("a program has 1 to {MAX_STEPS} steps, not {count}"));
    }
    let left: Vec<usize> = program.results.iter().map(|(step, _)| *step).collect();
    if left.len() > MOST_RESULTS || left.last() != Some(&(count - 1)) || !left.is_sorted_by(|a, b| a < b) {
        return Err(format!(
            "a program of {count} steps leaves up to {MOST_RESULTS} results in order, of which the last step's is the last, \
             not those of the steps {left:?}"
        ));
    }
    let last_readers = last_readers(program, &left);
    // Of the program's registers: loads, then steps.
    let mut places: Vec<Place> = program.loads.iter().map(place_of_load).collect();
    // For each of the device's registers, the last step that reads what it holds.
    let mut busy_until: Vec<usize> = Vec::new();
    let (mut steps, mut results) = (Vec::new(), Vec::new());
    for (index, step) in program.steps.iter().enumerate() {
        let find = |source| match source {
            Source::Full(node) => Ok(Place::Memory(node, Broadcast::Full)),
            Source::PerColumn(node) => Ok(Place::Memory(node, Broadcast::PerColumn)),
            Source::Register(register) => places.get(register).copied().ok_or_else(|| {
                format!("step {index} reads register {register}, and only {} come before it", places.len())
            }),
        };
        let (operation, operands) = match *step {
            ProgramStep::Unary(unary, a) => (unary as usize, [find(a)?, Place::Number(0.0)]),
            ProgramStep::Binary(binary, a, b) => (Unary::ALL.len() + binary as usize, [find(a)?, find(b)?]),
        };
        let Some(reader) = last_readers[index] else {
            places.push(Place::Number(f32::NAN)); // which nobody reads
            continue;
        };
        // A step reads its operands before it writes its result, which may take their place.
        let free = busy_until.iter().position(|until| *until <= index);
        let register = free.unwrap_or_else(|| {
            busy_until.push(0);
            busy_until.len() - 1
        });
        busy_until[register] = reader;
        let result = register as u32;
        if left.contains(&index) {
            results.push(result);
        }
        places.push(Place::Register(result));
        steps.push(TranslatedStep { operation: operation as u32, result, operands });
    }
    Ok(Translated { steps, results, registers: busy_until.len() })
}

fn place_of_load(load: &Load) -> Place {
    match *load {
        Load::Constant(number) => Place::Number(number.get() as f32),
        Load::Scalar(node) => Place::Memory(node, Broadcast::Scalar),
        Load::PerRow(node) => Place::Memory(node, Broadcast::PerRow),
        Load::Product => Place::Product,
    }
}

/// For each step the last one that reads its result, of those on which what is `left` depends; that itself is read
/// in the end.
fn last_readers(program: &Program, left: &[usize]) -> Vec<Option<usize>> {
    let end = program.steps.len();
    let mut last_readers: Vec<Option<usize>> =
        (0..end).map(|step| left.contains(&step).then_some(end)).collect();
    for (reader, step) in program.steps.iter().enumerate().rev() {
        if last_readers[reader].is_none() {
            continue;
        }
        for source in step.sources() {
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

/// Result in the C file.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct DeviceResult {
    memory: u64,
    /// The register that holds it in the end.
    content: u32,
    padding: u32,
}

/// Program in the C file.
#[repr(C)]
struct DeviceProgram {
    steps: [DeviceStep; MAX_STEPS],
    results: [DeviceResult; MOST_RESULTS],
    length: u32,
    left: u32,
}

// SAFETY: the C struct has the same fields in the same order.
unsafe impl DeviceRepr for DeviceProgram {}

const _: () = assert!(size_of::<DeviceProgram>() == 1352, "as kernels/program.cu has it");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Binary, Builder};

    /// A node, whichever.
    fn node() -> NodeId {
        let builder = Builder::new();
        let x = builder.input("x", []);
        builder.finish(x, ()).unwrap().inputs
    }

    /// The registers of the results that are kept, those that are left, and how many there are.
    fn registers(
        loads: &[Load],
        steps: &[ProgramStep],
        left: &[usize],
    ) -> Result<(Vec<u32>, Vec<u32>, usize), String> {
        let results = left.iter().map(|&step| (step, node())).collect();
        let program = Program { loads: loads.to_vec(), steps: steps.to_vec(), rows: 1, columns: 1, results };
        let Translated { steps, results, registers } = translate(&program)?;
        Ok((steps.iter().map(|step| step.result).collect(), results, registers))
    }

    fn exp(register: usize) -> ProgramStep {
        ProgramStep::Unary(Unary::Exp, Source::Register(register))
    }

    fn add(a: usize, b: usize) -> ProgramStep {
        ProgramStep::Binary(Binary::Add, Source::Register(a), Source::Register(b))
    }

    #[test]
    fn a_chain_needs_one_register() {
        let chain: Vec<ProgramStep> = (0..5).map(exp).collect();
        assert_eq!(registers(&[Load::Product], &chain, &[4]), Ok((vec![0; 5], vec![0], 1)));
    }

    #[test]
    fn a_register_is_kept_until_its_last_reader_and_what_is_left_until_the_end() {
        // Registers 1, 2, 3 and 4 of the program; 1 is read twice.
        let steps = [exp(0), exp(1), add(1, 2), exp(3)];
        assert_eq!(registers(&[Load::Product], &steps, &[3]), Ok((vec![0, 1, 0, 0], vec![0], 2)));
        assert_eq!(registers(&[Load::Product], &steps, &[0, 3]), Ok((vec![0, 1, 1, 1], vec![0, 1], 2)));
        assert_eq!(registers(&[Load::Product], &steps, &[1, 2, 3]), Ok((vec![0, 1, 0, 2], vec![1, 0, 2], 3)));
    }

    /// So many results, put together until only some are left.
    fn widest(width: usize, left: usize) -> (Vec<ProgramStep>, Vec<usize>) {
        let mut steps = vec![exp(0); width];
        let mut sum = 1;
        for next in left..width {
            steps.push(add(sum, next + 1));
            sum = steps.len();
        }
        let last = steps.len() - 1;
        (steps, (1..left).chain([last]).collect())
    }

    #[test]
    fn the_widest_programs_need_8_registers_of_16_steps_and_18_of_32() {
        for (width, left, most_steps) in [(8, 1, 16), (18, 4, 32), (17, 4, 32), (16, 1, 32)] {
            let (steps, results) = widest(width, left);
            assert!(steps.len() == 2 * width - left && steps.len() <= most_steps, "{width} {left}");
            assert_eq!(registers(&[Load::Product], &steps, &results).unwrap().2, width);
        }
    }

    #[test]
    fn steps_that_nothing_reads_are_left_out_and_so_is_what_only_they_read() {
        let steps = [exp(0), exp(1), add(2, 2), exp(0), exp(4)];
        assert_eq!(registers(&[Load::Product], &steps, &[4]), Ok((vec![0, 0], vec![0], 1)));
    }

    #[test]
    fn programs_that_cannot_be_sent_are_refused() {
        let refused =
            |steps: &[ProgramStep], left: &[usize]| registers(&[Load::Product], steps, left).unwrap_err();
        assert_eq!(refused(&[], &[0]), "a program has 1 to 32 steps, not 0");
        assert_eq!(refused(&[exp(0); 33], &[32]), "a program has 1 to 32 steps, not 33");
        assert_eq!(refused(&[exp(0), exp(2)], &[1]), "step 1 reads register 2, and only 2 come before it");
        let steps = [exp(0); 5];
        for left in [&[][..], &[3], &[4, 4], &[2, 1, 4], &[0, 1, 2, 3, 4]] {
            let said = refused(&steps, left);
            assert!(said.starts_with("a program of 5 steps leaves up to 4 results in order"), "{said}");
            assert!(said.ends_with(&format!("not those of the steps {left:?}")), "{said}");
        }
    }
}
