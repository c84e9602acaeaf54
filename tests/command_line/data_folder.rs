//! `--data DIR`: any image size and number of classes, raw and gzip, and every way it can be damaged.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn other_image_sizes_and_numbers_of_classes_are_taken() {
    let place = Workplace::new();
    for (name, size, classes) in
        [("small", [5, 7], 2), ("many", [16, 16], 256), ("one-class", [4, 4], 1), ("one-pixel", [1, 1], 2)]
    {
        write_data(&place.path(name), size, classes, [512, 256]);
        let shown = place.mnist(&format!("--data {name} --out run-{name}")).succeeded().stdout;
        let network = format!("{}-16-{classes}, ", size[0] * size[1]);
        assert!(shown.starts_with(&format!("adam: {network}")), "{shown}");
        let confusion = place.read(&format!("run-{name}/confusion.csv"));
        let rows = cells(&confusion);
        assert_eq!((rows.len(), rows[0].len()), (classes + 1, classes + 1));
        let total: usize =
            rows[1..].iter().flat_map(|row| &row[1..]).map(|n| n.parse::<usize>().unwrap()).sum();
        assert_eq!(total, 256);
        assert!(is_svg(&place.path(format!("run-{name}/confusion.svg"))));
        assert!(is_png(&place.path(format!("run-{name}/objective.png"))));
    }
}

#[test]
fn compressed_files_give_the_same_bits() {
    let place = Workplace::new();
    fs::create_dir(place.path("packed")).unwrap();
    for name in place.names("data") {
        let bytes = fs::read(place.path("data").join(&name)).unwrap();
        fs::write(place.path("packed").join(format!("{name}.gz")), gzip(&bytes)).unwrap();
    }
    place.mnist("--out raw").succeeded();
    place.mnist("--data packed --out unpacked").succeeded();
    let of = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(of("raw") == of("unpacked"));
}

#[test]
fn compressed_files_padded_with_zeros_give_the_same_bits() {
    let place = Workplace::new();
    for name in place.names("data") {
        let path = place.path("data").join(&name);
        let padded = [gzip(&fs::read(&path).unwrap()), vec![0; 512]].concat();
        fs::create_dir_all(place.path("padded")).unwrap();
        fs::write(place.path("padded").join(format!("{name}.gz")), padded).unwrap();
    }
    place.mnist("--out raw").succeeded();
    place.mnist("--data padded --out unpacked").succeeded();
    let of = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(of("raw") == of("unpacked"));
}

/// The elements of a file, behind its header, as big-endian numbers of another kind.
fn elements(file: &[u8], header: usize, number: impl Fn(u8) -> Vec<u8>) -> Vec<u8> {
    file[header..].iter().flat_map(|&byte| number(byte)).collect()
}

#[test]
fn data_under_other_usual_names_and_of_other_types_give_the_same_bits() {
    let place = Workplace::new();
    place.mnist("--out usual").succeeded();
    let read = |name: &str| fs::read(place.path("data").join(name)).unwrap();
    let put = |folder: &str, name: &str, content: &[u8]| {
        fs::create_dir_all(place.path(folder)).unwrap();
        fs::write(place.path(folder).join(name), content).unwrap();
    };
    for (split, count, q) in [("train", TRAIN, "train"), ("t10k", TEST, "test")] {
        let (images, labels) =
            (read(&format!("{split}-images-idx3-ubyte")), read(&format!("{split}-labels-idx1-ubyte")));
        put("dots", &format!("{split}-images.idx3-ubyte"), &images);
        put("dots", &format!("{split}-labels.idx1-ubyte"), &labels);
        put("emnist", &format!("emnist-letters-{q}-images-idx3-ubyte.gz"), &gzip(&images));
        put("emnist", &format!("emnist-letters-{q}-labels-idx1-ubyte.gz"), &gzip(&labels));
        let rows = |class: u8| [i32::from(class), 1, 2, 3, -4, 5, 6, 7].map(i32::to_be_bytes).concat();
        put("qmnist", &format!("qmnist-{q}-images-idx3-ubyte.gz"), &gzip(&images));
        let labels = idx(0xc02, &[count, 8], &elements(&labels, 8, rows));
        put("qmnist", &format!("qmnist-{q}-labels-idx2-int.gz"), &gzip(&labels));
        let float = |byte: u8| (f32::from(byte) / 255.0).to_be_bytes().to_vec();
        let images = idx(0xd03, &[count, 12, 12], &elements(&images, 16, float));
        put("floats", &format!("{split}-images-idx3-float"), &images);
        put("floats", &format!("{split}-labels-idx2-int"), &labels);
    }
    let of = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    for folder in ["dots", "emnist", "qmnist", "floats"] {
        let finished = place.mnist(&format!("--data {folder} --out run-{folder}")).succeeded();
        assert!(of(&format!("run-{folder}")) == of("usual"), "{folder}");
        let notes = finished.stderr.matches("float from 0 to 1, are taken as 0 to 255").count();
        assert_eq!(notes, if folder == "floats" { 2 } else { 0 }, "{}", finished.stderr);
    }
    let quiet = place.mnist("--data floats --out quiet --quiet").succeeded();
    assert_eq!(quiet.stderr, "");
}

#[test]
fn data_that_cannot_be_found_are_answered_with_what_to_name() {
    let place = Workplace::new();
    fs::create_dir(place.path("outer")).unwrap();
    fs::rename(place.path("data"), place.path("outer/raw")).unwrap();
    place.mnist("--data outer --out run").failed(1, &["outer/raw holds a whole set: name that folder"]);
    let file = "outer/raw/t10k-images-idx3-ubyte";
    place.mnist(&format!("--data {file} --out run")).failed(1, &["is not a folder", "--data", "outer/raw"]);
    fs::write(place.path("mnist.zip"), "PK").unwrap();
    place
        .mnist("--data mnist.zip --out run")
        .failed(1, &["mnist.zip is not a folder", "unpack mnist.zip first"]);
    fs::create_dir(place.path("other")).unwrap();
    fs::write(place.path("other/train.parquet"), "").unwrap();
    place.mnist("--data other --out run").failed(1, &["it holds train.parquet", "convert them to IDX"]);
    fs::copy(place.path(file), place.path("outer/raw/t10k-images.idx3-ubyte")).unwrap();
    let both = ["two files of test images", "t10k-images-idx3-ubyte and t10k-images.idx3-ubyte"];
    place.mnist("--data outer/raw --out run").failed(1, &both);
    assert!(!place.path("run").exists());
}

#[test]
fn damaged_data_is_named_by_file_and_fault() {
    const IMAGES: &str = "train-images-idx3-ubyte";
    const LABELS: &str = "train-labels-idx1-ubyte";
    let place = Workplace::new();
    let (images, labels) = (
        fs::read(place.path("data").join(IMAGES)).unwrap(),
        fs::read(place.path("data").join(LABELS)).unwrap(),
    );
    let mut flipped = gzip(&images);
    let checksum = flipped.len() - 8;
    flipped[checksum] ^= 0xff;
    let mut cut = gzip(&images);
    cut.truncate(checksum / 2);
    let test_label = idx(0x801, &[TEST], &[[0; TEST - 1].as_slice(), &[3]].concat());
    for (file, content, words) in [
        (IMAGES, images[..images.len() - 5].to_vec(), &["cut short", "5 are missing"][..]),
        (IMAGES, images[..9].to_vec(), &["inside its IDX header", "9 bytes of 16"]),
        (IMAGES, Vec::new(), &["inside its IDX header", "0 bytes of 16"]),
        (IMAGES, flipped, &["damaged gzip"]),
        (IMAGES, cut, &["gzip", "cut short"]),
        (IMAGES, [gzip(&images), b"more".to_vec()].concat(), &["after the end", "4 bytes that are not gzip"]),
        (IMAGES, idx(0x802, &[TRAIN, 144], &images[16..]), &["0x00000802", "images x rows x columns"]),
        (IMAGES, labels.clone(), &["not an IDX file of images", "0x00000801"]),
        (IMAGES, [&images[..], &[0]].concat(), &["too long"]),
        (LABELS, idx(0x801, &[TRAIN - 1], &labels[9..]), &["300 images", "299 labels"]),
        (LABELS, idx(0x801, &[0], &[]), &["is empty"]),
        ("t10k-labels-idx1-ubyte", test_label, &["label 89", "is 3", "3 classes"]),
        ("t10k-images-idx3-ubyte", idx(0x803, &[TEST, 1, 1], &[0; TEST]), &["12x12", "1x1"]),
    ] {
        let path = place.path("data").join(file);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, content).unwrap();
        place.mnist("--out run").failed(1, &[&[file], words].concat());
        fs::write(&path, whole).unwrap();
    }
    fs::remove_file(place.path("data").join(LABELS)).unwrap();
    place.mnist("--out run").failed(1, &["data", LABELS, ".gz"]);
    fs::create_dir(place.path("data").join(LABELS)).unwrap();
    place.mnist("--out run").failed(1, &[LABELS]);
    place.mnist("--data nowhere --out run").failed(1, &["nowhere does not exist", IMAGES]);
    fs::write(place.path("file"), "").unwrap();
    place.mnist("--data file --out run").failed(1, &["file is not a folder", IMAGES]);
    place.mnist("--data file/below --out run").failed(1, &["file/below"]);
    assert!(!place.path("run").exists());
}

#[test]
fn a_header_that_claims_more_than_the_machine_has_takes_no_memory() {
    let place = Workplace::new();
    let script = "ulimit -v 400000; exec \"$0\" mnist --data data --threads 1 --hidden 4 --epochs 1 --batch-size 8 --out";
    place.shell(&format!("{script} control")).succeeded(); // the limit suffices for honest data
    for (dimensions, fault) in
        [([1 << 30, 1 << 15, 1 << 15], "cut short"), ([0xffff_ffff; 3], "cannot be that large")]
    {
        for compressed in [false, true] {
            let bytes = idx(0x803, &dimensions, &[7; 1000]);
            let bytes = if compressed { gzip(&bytes) } else { bytes };
            fs::write(place.path("data/train-images-idx3-ubyte"), bytes).unwrap();
            place.shell(&format!("{script} run")).failed(1, &["train-images-idx3-ubyte", fault]);
        }
    }
}
