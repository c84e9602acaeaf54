//! What a right kernel asks of memory where that is much more than it needs: remarks, for the kernel is right.

use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::work::Event;
use crate::emulator::counts::{Access, Count, Space};

/// What one access of the kernel was counted to ask for, over all warps of a launch.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Requests {
    line: usize,
    is_shared: bool,
    is_store: bool,
    requests: u64,
    /// What the banks of shared memory did one after another, and how much of it for conflicts alone.
    wavefronts: u64,
    conflicts: u64,
    /// Sectors of 32 bytes of global memory, and the fewest that could hold the bytes.
    sectors: u64,
    ideal_sectors: u64,
}

impl Requests {
    /// Of a file's own lines, by its name.
    pub fn of(count: &Count, file: &str) -> Option<Self> {
        let place = count.places.iter().find(|place| place.file == file)?;
        Some(Self {
            line: place.line as usize,
            is_shared: count.space == Space::Shared,
            is_store: count.access == Access::Store,
            requests: count.requests,
            wavefronts: count.wavefronts,
            conflicts: count.conflicts,
            sectors: count.sectors,
            ideal_sectors: count.ideal_sectors,
        })
    }

    /// What is slow, if it takes twice as long as it need, or more than twice as much.
    fn remark(&self) -> Option<Finding> {
        let Self { line, wavefronts, conflicts, sectors, ideal_sectors, .. } = *self;
        let each = |count: u64| {
            let each = format!("{:.1}", count as f64 / self.requests as f64);
            each.strip_suffix(".0").map_or(each.clone(), str::to_owned)
        };
        let does = if self.is_store { "writes" } else { "reads" };
        let least = wavefronts - conflicts;
        let text = if self.is_shared && conflicts >= least {
            format!(
                "bank conflicts: each time a warp {does} shared memory on line {line} it takes {} cycles, where {} would do: \
                 lanes want different words of the same bank, and banks follow one another every 4 bytes, 32 of them; \
                 let neighbouring threads take neighbouring words, or make the array's rows a word longer",
                each(wavefronts),
                each(least)
            )
        } else if !self.is_shared && sectors > 2 * ideal_sectors {
            format!(
                "scattered: each time a warp {does} global memory on line {line} it moves {} sectors of 32 bytes, where \
                 {} would hold the numbers: let neighbouring threads (threadIdx.x) take neighbouring elements",
                each(sectors),
                each(ideal_sectors)
            )
        } else {
            return None;
        };
        Some(Finding::new(text, &[line]))
    }
}

/// A remark for each line and kind of memory that is asked for too much, the dearest access of them.
pub fn remarks(events: &[Event]) -> Vec<Finding> {
    let counted = events.iter().find_map(|event| match event {
        Event::Counted(requests) => Some(requests.clone()),
        _ => None,
    });
    let mut requests = counted.unwrap_or_default();
    let place = |one: &Requests| (one.line, one.is_shared);
    let dearest = |one: &Requests| one.sectors.max(one.wavefronts) as f64 / one.requests as f64;
    requests.sort_by(|a, b| place(a).cmp(&place(b)).then(dearest(b).total_cmp(&dearest(a))));
    let mut told: Vec<(usize, bool)> = Vec::new();
    let mut remarks = Vec::new();
    for one in requests {
        if let Some(remark) = one.remark().filter(|_| told.last() != Some(&place(&one))) {
            told.push(place(&one));
            remarks.push(remark);
        }
    }
    remarks
}
