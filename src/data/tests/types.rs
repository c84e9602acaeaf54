//! Images and labels of every number type of IDX.

use super::*;

/// An IDX file of this type, whose elements are given as bytes.
fn idx_of(code: u32, dimensions: &[u32], elements: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut bytes = (code << 8 | dimensions.len() as u32).to_be_bytes().to_vec();
    bytes.extend(dimensions.iter().flat_map(|n| n.to_be_bytes()));
    bytes.extend(elements.into_iter().flatten());
    bytes
}

/// A number in each type but unsigned byte, big-endian, with the type's code.
fn encoded(value: f64) -> [(u32, Vec<u8>); 5] {
    [
        (0x09, (value as i8).to_be_bytes().to_vec()),
        (0x0b, (value as i16).to_be_bytes().to_vec()),
        (0x0c, (value as i32).to_be_bytes().to_vec()),
        (0x0d, (value as f32).to_be_bytes().to_vec()),
        (0x0e, value.to_be_bytes().to_vec()),
    ]
}

/// The training images, as float64.
fn doubles(values: [f64; 18]) -> Vec<u8> {
    idx_of(0x0e, &[3, 2, 3], values.map(|value| value.to_be_bytes().to_vec()))
}

fn notes(files: &[Vec<u8>; 4]) -> Vec<String> {
    let (folder, write) = folder();
    FILE_NAMES.iter().zip(files).for_each(|(name, content)| write(name, content));
    Dataset::from_folder_with_notes(folder.path()).unwrap().1
}

#[test]
fn images_and_labels_of_every_type_are_read() {
    let expected = from_memory(&four_files()).unwrap();
    for position in 0..5 {
        let code = encoded(0.0)[position].0;
        let of = |values: &[u8], dimensions: &[u32]| {
            idx_of(code, dimensions, values.iter().map(|&value| encoded(value.into())[position].1.clone()))
        };
        let images = of(&expected.train.images, &[3, 2, 3]);
        let labels = of(&expected.train.labels, &[3]);
        let mut files = four_files();
        (files[0], files[1]) = (images.clone(), labels);
        assert_eq!(from_memory(&files).unwrap(), expected, "type {code:#x}");
        assert_eq!(notes(&files), [""; 0]);
        files[0] = gzip(&images);
        assert_eq!(from_memory(&files).unwrap(), expected, "type {code:#x}, gzip");
        let column = of(&expected.train.labels, &[3, 1]);
        assert_eq!(with_file(1, column).unwrap(), expected, "type {code:#x}, a column");
    }
}

#[test]
fn images_of_another_type_larger_than_one_step_of_memory_are_read_whole() {
    let bytes: Vec<u8> = (0..300_007_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    let elements = bytes.iter().map(|&byte| i32::from(byte).to_be_bytes().to_vec());
    let file = idx_of(0x0c, &[1, 1, 300_007], elements);
    for file in [file.clone(), gzip(&file)] {
        let images = idx::read_images(IdxSource::in_memory("big", &file).unwrap()).unwrap();
        assert!(images.bytes == bytes);
    }
}

#[test]
fn pixels_from_0_to_1_are_taken_as_0_to_255_and_it_is_said() {
    let expected = from_memory(&four_files()).unwrap();
    let mut files = four_files();
    files[0] = doubles(std::array::from_fn(|i| f64::from(expected.train.images[i]) / 255.0));
    assert_eq!(from_memory(&files).unwrap(), expected);
    let found = notes(&files);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].ends_with("train-images-idx3-ubyte: its pixels, double from 0 to 1, are taken as 0 to 255")
    );
    files[0] = doubles([0.3; 18]);
    assert_eq!(from_memory(&files).unwrap().train.images, [77; 18]);
    assert!(notes(&files)[0].ends_with("0 to 255, rounded to whole numbers"));
}

#[test]
fn a_pixel_without_a_meaning_is_named_with_its_image() {
    let mut values = [0.5; 18];
    for wrong in [-0.25, 300.0, f64::NAN, f64::INFINITY] {
        values[13] = wrong;
        let error = with_file(0, doubles(values)).unwrap_err();
        assert!(matches!(error, DataError::NoPixel { index: 2, .. }), "{error:?}");
        assert_says(&error, &[FILE_NAMES[0], "image 2", &format!("{wrong}"), "double", "from 0 to 255"]);
    }
    let depth = idx_of(0x0b, &[3, 2, 3], (0..18).map(|_| 4095_i16.to_be_bytes().to_vec()));
    assert_says(&with_file(0, depth).unwrap_err(), &["image 0", "4095", "short"]);
}

#[test]
fn training_and_test_images_go_to_the_same_white() {
    let mut files = four_files();
    files[0] = doubles([0.5; 18]);
    files[2] = idx_of(0x0d, &[2, 2, 3], (0..12).map(|_| 200.0_f32.to_be_bytes().to_vec()));
    let error = from_memory(&files).unwrap_err();
    assert!(matches!(error, DataError::ScalesDisagree { .. }), "{error:?}");
    assert_says(&error, &[FILE_NAMES[0], "from 0 to 1", FILE_NAMES[2], "from 0 to 255"]);
    files[2] = four_files()[2].clone(); // bytes leave no doubt
    assert!(from_memory(&files).is_ok());
}

#[test]
fn of_qmnist_labels_the_first_column_is_the_class() {
    let row = |class: i32| [class, 1, 2600, -1, 17, 0, 0, 1 << 20].map(|x| x.to_be_bytes().to_vec());
    let labels = idx_of(0x0c, &[3, 8], [0, 2, 1].into_iter().flat_map(row));
    assert_eq!(with_file(1, labels).unwrap(), from_memory(&four_files()).unwrap());
}

#[test]
fn labels_of_other_columns_are_refused() {
    let one_hot = idx_of(0x08, &[3, 10], (0..30).map(|i| vec![u8::from(i % 11 == 0)]));
    let error = with_file(1, one_hot).unwrap_err();
    assert!(matches!(error, DataError::LabelColumns { columns: 10, .. }), "{error:?}");
    assert_says(&error, &[FILE_NAMES[1], "10 columns of unsigned byte", "QMNIST"]);
}

#[test]
fn a_label_that_is_no_class_is_named_with_its_index() {
    for (wrong, shown) in [(-1.0, "-1"), (2.5, "2.5"), (256.0, "256"), (f64::NAN, "NaN")] {
        let values = [0.0, wrong, 1.0].map(|value: f64| value.to_be_bytes().to_vec());
        let error = with_file(1, idx_of(0x0e, &[3], values)).unwrap_err();
        assert!(matches!(error, DataError::NoClass { index: 1, .. }), "{error:?}");
        assert_says(&error, &[FILE_NAMES[1], "label 1", &format!("is {shown},"), "0 to 255"]);
    }
    // Of QMNIST's columns only the class has to be one.
    let row = |class: i32| [class, -7, 0, 0, 0, 0, 0, 0].map(|x| x.to_be_bytes().to_vec());
    let error = with_file(1, idx_of(0x0c, &[3, 8], [0, 1, -7].into_iter().flat_map(row))).unwrap_err();
    assert!(matches!(error, DataError::NoClass { index: 2, .. }), "{error:?}");
}

#[test]
fn a_truncated_file_of_another_type_counts_its_bytes() {
    let whole = doubles([0.5; 18]);
    let error = with_file(0, whole[..whole.len() - 3].to_vec()).unwrap_err();
    assert_says(&error, &["promises 144 bytes", "3 images x 2 rows x 3 columns of double", "3 are missing"]);
    let error = with_file(0, [&whole[..], &[0]].concat()).unwrap_err();
    assert!(matches!(error, DataError::TrailingBytes { .. }), "{error:?}");
    let vast = idx_of(0x0e, &[u32::MAX, u32::MAX, 1], []);
    assert!(matches!(with_file(0, vast).unwrap_err(), DataError::ImpossibleSize { .. }));
}
