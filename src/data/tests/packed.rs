//! Packed bytes: every part comes out as it went in, whatever the reader's buffer, and damage is noticed.

use super::super::packed::{Damaged, MAGIC, Part, pack};
use super::super::unpack::Unpack;
use super::*;

/// Bytes with runs of zeros and of others of every length about the longest that one token holds, over several parts.
fn bytes() -> Vec<u8> {
    let zeros = |length: usize| std::iter::repeat_n(0, length);
    let others = |length: usize| (1..=length).map(|byte| byte as u8 | 1);
    let mixed = (0..70).flat_map(|first| (0..20).flat_map(move |second| zeros(first).chain(others(second))));
    let mixed: Vec<u8> = mixed.collect();
    [&vec![7; 1 << 20][..], &mixed, &vec![0; (1 << 20) + 1], &mixed.repeat(20), &[0; 40]].concat()
}

fn read(packed: &[u8], buffer: usize) -> io::Result<Vec<u8>> {
    let mut unpack = Unpack::of(packed).expect("packed");
    let (mut bytes, mut buffer) = (Vec::new(), vec![0xAA; buffer]);
    loop {
        match unpack.read(&mut buffer)? {
            0 => return Ok(bytes),
            count => bytes.extend(&buffer[..count]),
        }
    }
}

#[test]
fn what_was_packed_comes_out_whatever_the_buffer() {
    let bytes = bytes();
    for header in [0, 16, bytes.len(), bytes.len() + 1] {
        let packed = pack(&bytes, header);
        assert_eq!(Unpack::of(&packed).unwrap().length(), bytes.len() as u64);
        for buffer in [1000, 1 << 20, (1 << 20) + 17, 1 << 24] {
            assert!(read(&packed, buffer).unwrap() == bytes, "header of {header}, buffer of {buffer}");
        }
    }
    for length in 0..200 {
        let bytes = &bytes[(1 << 20) - 100..][..length];
        assert_eq!(read(&pack(bytes, 16), 4096).unwrap(), bytes, "{length} bytes");
    }
}

#[test]
fn each_part_is_unpacked_by_itself() {
    let bytes = bytes();
    let packed = pack(&bytes, 16);
    let (mut parts, mut start, mut count) = (&packed[MAGIC.len()..], 0, 0);
    while !parts.is_empty() {
        let (part, rest) = Part::first(parts).unwrap();
        let mut place = vec![0xAA; part.length];
        part.unpack(&mut place).unwrap();
        assert!(place == bytes[start..][..part.length], "part {count}");
        (parts, start, count) = (rest, start + part.length, count + 1);
    }
    assert_eq!((start, count), (bytes.len(), 1 + (bytes.len() - 16).div_ceil(1 << 20)));
}

#[test]
fn a_part_fills_no_place_of_another_length() {
    let packed = pack(&[0, 0, 3, 4, 0, 5], 0);
    let (part, _) = Part::first(&packed[MAGIC.len()..]).unwrap();
    for length in [0, 1, 5, 7, 100] {
        assert!(part.unpack(&mut vec![0; length]).is_err(), "{length}");
    }
}

#[test]
fn packed_files_are_read_as_what_was_packed() {
    let mut files = four_files();
    for which in [0, 2] {
        files[which] = pack(&files[which], 16);
    }
    assert_eq!(from_memory(&files).unwrap(), from_memory(&four_files()).unwrap());
    // Only memory holds packed files: in a folder they are files of another kind.
    let (folder, write) = folder();
    FILE_NAMES.iter().zip(&files).for_each(|(name, file)| write(name, file));
    assert!(matches!(Dataset::from_folder(folder.path()).unwrap_err(), DataError::WrongMagic { .. }));
}

#[test]
fn packed_bytes_that_are_cut_short_or_of_another_length_are_an_error() {
    let packed = pack(&four_files()[0], 16);
    for length in MAGIC.len()..packed.len() {
        with_file(0, packed[..length].to_vec()).unwrap_err();
    }
    for place in MAGIC.len()..packed.len() {
        let mut changed = packed.clone();
        changed[place] ^= 1; // of a run's bytes it makes others, which nothing tells apart
        if let Ok(data) = with_file(0, changed) {
            assert_eq!(data.train.images.len(), 18, "place {place}");
        }
    }
    let longer = pack(&[&four_files()[0][..], &[9]].concat(), 16);
    assert!(matches!(with_file(0, longer).unwrap_err(), DataError::TrailingBytes { .. }));
    let shorter = pack(&four_files()[0][..33], 16);
    assert!(matches!(with_file(0, shorter).unwrap_err(), DataError::TruncatedBody { found: 17, .. }));
    let mut damaged = packed;
    damaged[MAGIC.len() + 8] ^= 8; // a zero more
    let error = with_file(0, damaged).unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("damaged"), "{error}");
}

#[test]
fn a_part_claims_no_more_than_its_runs_can_unpack_to() {
    for length in [31, 62, 1 << 20] {
        let packed = pack(&vec![0; length], 0); // the most that a byte of runs unpacks to
        assert_eq!(read(&packed, 1 << 20).unwrap(), vec![0; length]);
        let mut more = packed.clone();
        more[MAGIC.len()..][..4].copy_from_slice(&(length as u32 + 31).to_le_bytes());
        assert_eq!(Part::first(&more[MAGIC.len()..]).unwrap_err(), Damaged);
    }
    // Many small parts that claim much each are as bad as one that claims four gigabytes.
    let claim = [u32::MAX.to_le_bytes(), 1_u32.to_le_bytes()].concat();
    let packed = [&MAGIC[..], &[&claim[..], &[0]].concat().repeat(100)].concat();
    assert_eq!(Unpack::of(&packed).unwrap().length(), 0);
    with_file(0, packed).unwrap_err();
}
