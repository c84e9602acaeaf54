//! Gzip: several streams, what may follow them and what may not, and every way one can be damaged.

use super::*;

#[test]
fn gzip_of_several_members_is_one_file() {
    let whole = &four_files()[0];
    let members = [gzip(&whole[..20]), gzip(&whole[20..])].concat();
    assert_eq!(with_file(0, members).unwrap(), from_memory(&four_files()).unwrap());
    // An empty one in between, as some programs write it.
    let members = [gzip(&whole[..20]), gzip(&[]), gzip(&whole[20..])].concat();
    assert_eq!(with_file(0, members).unwrap(), from_memory(&four_files()).unwrap());
}

#[test]
fn gzip_cut_short_says_how_much_came_out() {
    let packed = gzip(&four_files()[0]);
    // Without its last byte all data are there, but the checksum is not.
    let error = with_file(0, packed[..packed.len() - 1].to_vec()).unwrap_err();
    assert!(matches!(error, DataError::TruncatedGzip { unpacked: 34, .. }), "{error:?}");
    assert_says(&error, &[FILE_NAMES[0], "34 unpacked bytes"]);
    for length in 2..packed.len() - 1 {
        let error = with_file(0, packed[..length].to_vec()).unwrap_err();
        assert!(matches!(error, DataError::TruncatedGzip { .. }), "{length}: {error:?}");
    }
}

#[test]
fn gzip_with_a_wrong_checksum_is_damaged() {
    let mut packed = gzip(&four_files()[0]);
    let checksum = packed.len() - 8;
    packed[checksum] ^= 1;
    let error = with_file(0, packed).unwrap_err();
    assert!(matches!(error, DataError::CorruptGzip { unpacked: 34, .. }), "{error:?}");
    assert_says(&error, &[FILE_NAMES[0], "damaged gzip file"]);
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("checksum"));
}

#[test]
fn any_flipped_bit_of_a_gzip_file_is_an_error_or_harmless() {
    let packed = gzip(&four_files()[0]);
    for bit in 0..packed.len() * 8 {
        let mut flipped = packed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // Time stamp and system in the header mean nothing; all else must be noticed.
        if let Ok(data) = with_file(0, flipped) {
            assert_eq!(data, from_memory(&four_files()).unwrap(), "bit {bit}");
        }
    }
}

#[test]
fn gzip_with_a_wrong_length_is_damaged() {
    let mut packed = gzip(&four_files()[0]);
    let length = packed.len() - 4;
    packed[length] ^= 1;
    let error = with_file(0, packed).unwrap_err();
    assert!(matches!(error, DataError::CorruptGzip { unpacked: 34, .. }), "{error:?}");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("or the length"));
}

#[test]
fn zero_bytes_behind_gzip_are_padding() {
    let (whole, packed) = (from_memory(&four_files()).unwrap(), gzip(&four_files()[0]));
    for count in [1, 2, 3, 511, 10_240, 1 << 20] {
        let padded = [&packed[..], &vec![0; count]].concat();
        assert_eq!(with_file(0, padded).unwrap(), whole, "{count} zero bytes");
    }
    let images = &four_files()[0];
    let padded = [gzip(&images[..20]), gzip(&images[20..]), vec![0; 7]].concat();
    assert_eq!(with_file(0, padded).unwrap(), whole);
}

#[test]
fn zero_bytes_behind_gzip_may_come_in_pieces() {
    let padded = [gzip(&four_files()[0]), vec![0; 50]].concat();
    for size in [1, 2, 3, 7] {
        let stream = io::BufReader::with_capacity(size.max(2), &padded[..]);
        let images = idx::read_images(IdxSource::over("padded".to_owned(), stream, 20).unwrap()).unwrap();
        assert_eq!(images.bytes.len(), 18);
    }
}

#[test]
fn what_is_no_gzip_behind_gzip_is_counted() {
    let packed = gzip(&four_files()[0]);
    let zeros_and_more = [vec![0; 700], vec![1], vec![0; 5]].concat();
    let cases: [(&[u8], &str); 7] = [
        (b"x", "come 1 byte that is not gzip"),
        (b"\n", "come 1 byte that is not gzip"),
        (&[0x1f], "come 1 byte that is not gzip"),
        (&[0x1f, 0x8c], "come 2 bytes that are not gzip"),
        (b"<html>", "come 6 bytes that are not gzip"),
        (&[0, 0x1f, 0x8b], "come 3 bytes that are not gzip"),
        (&zeros_and_more, "come 706 bytes that are not gzip"),
    ];
    for (tail, words) in cases {
        let error = with_file(0, [&packed, tail].concat()).unwrap_err();
        assert!(matches!(error, DataError::BehindGzip { .. }), "{error:?}");
        assert_says(&error, &[FILE_NAMES[0], "after the end of the gzip stream", words, "remove"]);
    }
}

#[test]
fn a_second_stream_that_is_cut_short_or_damaged_is_named_as_such() {
    let whole = &four_files()[0];
    let (first, second) = (gzip(&whole[..20]), gzip(&whole[20..]));
    for length in 2..second.len() {
        let error = with_file(0, [&first, &second[..length]].concat()).unwrap_err();
        assert!(matches!(error, DataError::TruncatedGzip { .. }), "{length}: {error:?}");
    }
    let mut damaged = second.clone();
    damaged[second.len() - 8] ^= 1;
    let error = with_file(0, [first, damaged].concat()).unwrap_err();
    assert!(matches!(error, DataError::CorruptGzip { unpacked: 34, .. }), "{error:?}");
}
