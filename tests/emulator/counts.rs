//! What kernels ask of memory, counted: bank conflicts of shared memory and sectors of global memory, by source line.
//!
//! `counting/` brings the lanes' accesses together into requests and says what each costs. Here the instructions
//! become lines, and counts become tables. Only a process that was started for [`Sanitizer::Counts`] counts.
//!
//! [`Sanitizer::Counts`]: super::Sanitizer::Counts

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use super::Emulator;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Space {
    Shared,
    Global,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Access {
    Load,
    Store,
    Atomic,
    /// `ldmatrix`: four matrices of 8 rows, whose addresses the lanes give.
    Matrices,
}

/// A line of a kernel's own files.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// Without its folder: `gemm.cu`.
    pub file: String,
    pub line: u32,
}

/// An access of a kernel: what its requests have cost together.
///
/// A request is what a warp's lanes ask for in one instruction. `counting/model.hpp` says how costs are modelled, and
/// `counting/requests.cpp` where lanes are brought together wrongly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Count {
    /// Where it stands, then where that was inlined, and so on out to the kernel.
    pub places: Vec<Place>,
    pub space: Space,
    pub access: Access,
    /// Of a lane.
    pub bytes: u32,
    pub requests: u64,
    /// That took part in the requests.
    pub lanes: u64,
    /// What the banks of shared memory did one after another, and how much of that for conflicts alone: beyond a
    /// request with the same groups of lanes whose words lie in different banks.
    pub wavefronts: u64,
    pub conflicts: u64,
    /// The fewest wavefronts that could hold the bytes, 128 in each.
    pub ideal_wavefronts: u64,
    /// Sectors of 32 bytes of global memory, and the fewest that could hold the bytes.
    pub sectors: u64,
    pub ideal_sectors: u64,
}

/// As `counting/requests.hpp` has it.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Raw {
    code: u64,
    space: u32,
    access: u32,
    bytes: u32,
    costs: [u64; 7],
}

pub type Read = unsafe extern "C" fn(*mut Raw, usize) -> usize;
pub type Clear = unsafe extern "C" fn();

impl Emulator {
    /// Whether the kernels are compiled for it.
    pub fn counts_requests(&self) -> bool {
        self.counting.is_some()
    }

    /// Forgets what this thread's kernels have been counted to do.
    pub fn clear_counts(&self) {
        let (_, clear) = self.counting.as_ref().expect("a process that counts");
        // SAFETY: takes nothing.
        unsafe { clear() }
    }

    /// What this thread's kernels have done since [`Self::clear_counts`], in the order of the lines.
    pub fn counts(&self) -> Vec<Count> {
        let (read, _) = self.counting.as_ref().expect("a process that counts");
        // SAFETY: nothing is written where there is no room.
        let mut raw = vec![Raw::default(); unsafe { read(std::ptr::null_mut(), 0) }];
        // SAFETY: there is room for as many as that.
        unsafe { read(raw.as_mut_ptr(), raw.len()) };
        let mut codes: Vec<u64> = raw.iter().map(|raw| raw.code).collect();
        codes.dedup();
        let places = places_of(&self.built.library, &codes);
        let mut counts: BTreeMap<_, [u64; 7]> = BTreeMap::new();
        for Raw { code, space, access, bytes, costs } in raw {
            let space = [Space::Shared, Space::Global][space as usize];
            let access = [Access::Load, Access::Store, Access::Atomic, Access::Matrices][access as usize];
            let sum = counts.entry((places[&code].clone(), space, access, bytes)).or_default();
            sum.iter_mut().zip(costs).for_each(|(sum, cost)| *sum += cost);
        }
        let count = |((places, space, access, bytes), costs)| {
            let [requests, lanes, wavefronts, conflicts, ideal_wavefronts, sectors, ideal_sectors] = costs;
            Count {
                places,
                space,
                access,
                bytes,
                requests,
                lanes,
                wavefronts,
                conflicts,
                ideal_wavefronts,
                sectors,
                ideal_sectors,
            }
        };
        counts.into_iter().map(count).collect()
    }
}

/// The lines of instructions, from inside out, by binutils' `addr2line`, which comes with every compiler.
fn places_of(library: &Path, codes: &[u64]) -> HashMap<u64, Vec<Place>> {
    let mut command = Command::new("addr2line");
    command.args(["-a", "-i", "-e"]).arg(library).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("addr2line of binutils: {error}"));
    let mut input = child.stdin.take().unwrap();
    let addresses: String = codes.iter().map(|code| format!("{code:#x}\n")).collect();
    // Beside the reading: pipes hold little.
    let writer = thread::spawn(move || input.write_all(addresses.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "addr2line: {output:?}");
    let mut places: HashMap<u64, Vec<Place>> = HashMap::new();
    let mut code = 0;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Some(address) = line.strip_prefix("0x") {
            code = u64::from_str_radix(address, 16).unwrap();
            places.entry(code).or_default();
        } else if let Some(place) = place_in_a_kernel(line) {
            places.entry(code).or_default().push(place);
        }
    }
    places
}

/// Of `/path/kernels/gemm.cu:12 (discriminator 3)`; nothing if it is the emulator's, or the compiler's.
fn place_in_a_kernel(line: &str) -> Option<Place> {
    let (path, number) = line.split(' ').next()?.rsplit_once(':')?;
    let (folder, file) = path.rsplit_once('/')?;
    let own =
        !folder.starts_with("/usr") && (!folder.contains("/tests/emulator") || folder.ends_with("/planted"));
    Some(Place { file: file.into(), line: number.parse().ok()? }).filter(|_| own)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// One line of a table, such as
/// `global load 16 bytes 40 requests of 32.0 lanes, each 16.00 sectors (ideal 16.00)  elementwise.cu:64 < 120`.
impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let each = |count: u64| count as f64 / self.requests as f64;
        let (space, access) = (format!("{:?}", self.space), format!("{:?}", self.access));
        write!(
            f,
            "{:6} {:8} {:2} bytes {:6} requests of {:4.1} lanes, each ",
            space.to_lowercase(),
            access.to_lowercase(),
            self.bytes,
            self.requests,
            each(self.lanes)
        )?;
        match self.space {
            Space::Shared => write!(
                f,
                "{:5.2} wavefronts, {:5.2} of them for conflicts (ideal {:5.2})",
                each(self.wavefronts),
                each(self.conflicts),
                each(self.ideal_wavefronts)
            )?,
            Space::Global => {
                write!(f, "{:5.2} sectors (ideal {:5.2})", each(self.sectors), each(self.ideal_sectors))?;
            }
        }
        let mut before: Option<&Place> = None;
        for place in &self.places {
            match before {
                Some(before) if before.file == place.file => write!(f, " < {}", place.line)?,
                Some(_) => write!(f, " < {place}")?,
                None => write!(f, "  {place}")?,
            }
            before = Some(place);
        }
        Ok(())
    }
}
