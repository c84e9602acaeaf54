//! Reading what is [packed](super::packed): as many parts as have room in the reader's buffer at once, on several threads.

use std::io::{self, Cursor, ErrorKind, Read};
use std::iter::successors;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::packed::{Damaged, MAGIC, Part};
use super::threads::for_each;

/// What a packed file unpacks to.
pub struct Unpack<'a> {
    /// The parts that are still packed.
    parts: &'a [u8],
    /// A part that had no room in the reader's buffer, and how far it has been read.
    begun: Cursor<Vec<u8>>,
}

impl<'a> Unpack<'a> {
    /// That of a file, if it is packed.
    pub fn of(file: &'a [u8]) -> Option<Self> {
        let parts = file.strip_prefix(&MAGIC)?;
        Some(Self { parts, begun: Cursor::default() })
    }

    /// The bytes that it still unpacks to, as far as the parts tell.
    pub fn length(&self) -> u64 {
        let parts = successors(Part::first(self.parts).ok(), |(_, rest)| Part::first(rest).ok());
        parts.map(|(part, _)| part.length as u64).sum()
    }
}

impl Read for Unpack<'_> {
    /// Fails with [`ErrorKind::InvalidData`] where the file is damaged.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let damaged = |Damaged| {
            io::Error::new(ErrorKind::InvalidData, "its packed bytes are damaged: build the program anew")
        };
        let begun = self.begun.read(buffer)?;
        if begun > 0 || buffer.is_empty() || self.parts.is_empty() {
            return Ok(begun);
        }
        let (part, rest) = Part::first(self.parts).map_err(damaged)?;
        if part.length > buffer.len() {
            // Not `vec!`: the length is what the file says, and may be more than the machine has.
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(part.length).map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
            bytes.resize(part.length, 0);
            part.unpack(&mut bytes).map_err(damaged)?;
            (self.parts, self.begun) = (rest, Cursor::new(bytes));
            return self.begun.read(buffer);
        }
        let (mut work, mut count) = (Vec::new(), 0);
        let mut room = buffer;
        while !self.parts.is_empty() {
            let (part, rest) = Part::first(self.parts).map_err(damaged)?;
            let Some((place, beyond)) = room.split_at_mut_checked(part.length) else { break };
            work.push((part, place));
            count += part.length;
            (self.parts, room) = (rest, beyond);
        }
        let is_whole = AtomicBool::new(true);
        for_each(work, |(part, place)| {
            if part.unpack(place).is_err() {
                is_whole.store(false, Relaxed);
            }
        });
        if is_whole.into_inner() { Ok(count) } else { Err(damaged(Damaged)) }
    }
}
