//! Images as the program embeds them: packed for being unpacked soon, by several threads.
//!
//! Of MNIST's bytes four of five are the zeros of an empty background, and the others hardly compress. So there is little to be
//! had but the zeros, and runs say those as well as gzip does, whose streams take ten times as long to unpack and cannot be
//! divided among threads. A file is
//!
//! ```text
//! magic, then parts: | bytes unpacked: u32 | bytes packed: u32 | runs |       (little-endian)
//! a run:             | zeros (0 to 31) · 8 + bytes (0 to 7) | bytes |
//! ```
//!
//! A part is packed by itself, so threads can unpack parts side by side. `build.rs` packs with this very file.

use std::iter;

/// What a packed file begins with: neither gzip nor IDX.
pub const MAGIC: [u8; 4] = *b"runs";

/// Unpacked bytes of a part: many parts for each thread, so that all are done at about the same time.
const PART: usize = 1 << 20;

/// The most zeros, and the most other bytes, of a run.
const ZEROS: usize = 31;
const BYTES: usize = 7;

/// Packs a file whose first bytes are its header. They are a part of their own, so that what follows them can be unpacked to
/// where it is to lie.
#[allow(dead_code, reason = "the build packs, the program unpacks")]
pub fn pack(file: &[u8], header: usize) -> Vec<u8> {
    let (header, body) = file.split_at(header.min(file.len()));
    let mut packed = MAGIC.to_vec();
    for part in iter::once(header).chain(body.chunks(PART)).filter(|part| !part.is_empty()) {
        let runs = runs(part);
        packed.extend([part.len(), runs.len()].map(|length| (length as u32).to_le_bytes()).as_flattened());
        packed.extend(runs);
    }
    packed
}

fn runs(mut part: &[u8]) -> Vec<u8> {
    let mut runs = Vec::new();
    while !part.is_empty() {
        let zeros = part.iter().take(ZEROS).take_while(|&&byte| byte == 0).count();
        let bytes = part[zeros..].iter().take(BYTES).take_while(|&&byte| byte != 0).count();
        let (run, rest) = part.split_at(zeros + bytes);
        runs.push((zeros << 3 | bytes) as u8);
        runs.extend(&run[zeros..]);
        part = rest;
    }
    runs
}

/// A part, still packed.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Bytes that it unpacks to, at least one.
    pub length: usize,
    runs: &'a [u8],
}

/// Bytes that are no parts, or do not unpack to what they promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damaged;

impl<'a> Part<'a> {
    /// The first of some parts, and those behind it. A part that claims more than its runs can unpack to is damaged, so nobody
    /// takes memory for what will not come.
    pub fn first(parts: &'a [u8]) -> Result<(Self, &'a [u8]), Damaged> {
        let split = || {
            let (length, parts) = parts.split_first_chunk()?;
            let (packed, parts) = parts.split_first_chunk()?;
            let (runs, parts) = parts.split_at_checked(u32::from_le_bytes(*packed) as usize)?;
            Some((Self { length: u32::from_le_bytes(*length) as usize, runs }, parts))
        };
        let is_possible = |part: &Self| part.length > 0 && part.length.div_ceil(ZEROS) <= part.runs.len();
        split().filter(|(part, _)| is_possible(part)).ok_or(Damaged)
    }

    /// Fills a place of the part's length, whatever lies there before.
    pub fn unpack(self, place: &mut [u8]) -> Result<(), Damaged> {
        // Far from both ends a run is copied with room to spare, as copies of a fixed length take a tenth of the time of
        // others; what comes too much, the next run overwrites.
        const SPARE: usize = ZEROS + 1 + BYTES + 1;
        let (mut from, mut to) = (0, 0);
        while let Some(&run) = self.runs.get(from) {
            let (zeros, bytes) = (usize::from(run >> 3), usize::from(run & 7));
            from += 1;
            match (self.runs.get(from..from + BYTES + 1), place.get_mut(to..to + SPARE)) {
                (Some(from), Some(to)) => {
                    to[..ZEROS + 1].fill(0);
                    to[zeros..zeros + BYTES + 1].copy_from_slice(from);
                }
                _ => {
                    let to = place.get_mut(to..to + zeros + bytes).ok_or(Damaged)?;
                    to[..zeros].fill(0);
                    to[zeros..].copy_from_slice(self.runs.get(from..from + bytes).ok_or(Damaged)?);
                }
            }
            from += bytes;
            to += zeros + bytes;
        }
        if to == place.len() { Ok(()) } else { Err(Damaged) }
    }
}
