//! Reading IDX files, raw or gzip, from a stream that may be anything.
//!
//! The format (LeCun, Cortes and Burges, <http://yann.lecun.com/exdb/mnist/>): a magic number whose
//! third byte is the element type (8: unsigned byte) and whose fourth the number of dimensions, the
//! dimensions, then the elements, last dimension fastest; integers are 32 bits, big-endian.
//!
//! A header is a claim, not a fact. Memory grows with the bytes that really come, never with the
//! claim, and reading stops one byte past it, so that neither a header of 2^60 images nor a
//! gzip bomb can fill the memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::DataError;

const IMAGES_MAGIC: u32 = 0x0000_0803;
const LABELS_MAGIC: u32 = 0x0000_0801;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Bytes by which memory grows ahead of the data: large enough that the calls cost nothing, small
/// enough to stay in the second-level cache between zeroing and filling.
const STEP: usize = 256 << 10;

/// Unpacked bytes reserved at once per compressed byte. Handwritten digits reach 4.8; more than
/// this is possible and merely makes the memory grow in several steps.
const USUAL_GZIP_RATIO: u64 = 8;

/// Images of one size, as bytes.
#[derive(Debug)]
pub struct Images {
    /// The file they come from, for messages.
    pub file: String,
    /// Number of images, at least 1.
    pub count: usize,
    /// Height in pixels, at least 1.
    pub rows: usize,
    /// Width in pixels, at least 1.
    pub columns: usize,
    /// (count, rows, columns) row-major.
    pub bytes: Vec<u8>,
}

/// Class numbers.
#[derive(Debug)]
pub struct Labels {
    /// The file they come from, for messages.
    pub file: String,
    /// (count), at least one.
    pub bytes: Vec<u8>,
}

/// A stream of unpacked bytes that knows its name and how far it has been read.
pub struct Source<'a> {
    file: String,
    gzip: bool,
    /// How many unpacked bytes may be reserved before any has come.
    plausible: u64,
    taken: u64,
    input: Box<dyn Read + Send + 'a>,
}

impl<'a> Source<'a> {
    /// The file `name` of `folder`, or else `name.gz`. Either may be gzip: its content decides.
    pub fn open(folder: &Path, name: &'static str) -> Result<Self, DataError> {
        for candidate in [folder.join(name), folder.join(format!("{name}.gz"))] {
            let path = candidate.display().to_string();
            let opened = File::open(&candidate).and_then(|file| Ok((file.metadata()?.len(), file)));
            match opened {
                Ok((size, file)) => {
                    return Self::over(path, BufReader::with_capacity(STEP, file), size);
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(source) => return Err(DataError::Unreadable { file: path, source }),
            }
        }
        Err(DataError::FileMissing { folder: folder.to_owned(), name })
    }

    /// Bytes in memory, raw or gzip; `file` is their name in messages.
    pub fn in_memory(file: &str, bytes: &'a [u8]) -> Result<Self, DataError> {
        Self::over(file.to_owned(), bytes, bytes.len() as u64)
    }

    /// Any stream; `size` is its length in bytes as far as it is known; it only guides memory.
    pub(super) fn over(
        file: String,
        mut input: impl BufRead + Send + 'a,
        size: u64,
    ) -> Result<Self, DataError> {
        match input.fill_buf() {
            Ok(start) => {
                let gzip = start.starts_with(&GZIP_MAGIC);
                let plausible = if gzip { size.saturating_mul(USUAL_GZIP_RATIO) } else { size };
                let input: Box<dyn Read + Send + 'a> =
                    if gzip { Box::new(MultiGzDecoder::new(input)) } else { Box::new(input) };
                Ok(Self { file, gzip, plausible, taken: 0, input })
            }
            Err(source) => Err(DataError::Unreadable { file, source }),
        }
    }

    /// Reads until `buffer` is full or the stream ends; how many bytes came.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, DataError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.input.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => {
                    filled += count;
                    self.taken += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failure(error)),
            }
        }
        Ok(filled)
    }

    /// The next big-endian integer of a header of `header` bytes.
    fn integer(&mut self, header: u64) -> Result<u32, DataError> {
        let mut bytes = [0; 4];
        if self.fill(&mut bytes)? < bytes.len() {
            let (file, found) = (self.file.clone(), self.taken);
            return Err(DataError::TruncatedHeader { file, found, expected: header });
        }
        Ok(u32::from_be_bytes(bytes))
    }

    /// The elements after the header: as many as `dimensions` say, and then the end of the file.
    fn body(&mut self, dimensions: &[u32], names: &[&str]) -> Result<Vec<u8>, DataError> {
        let file = self.file.clone();
        let described = dimensions.iter().zip(names).map(|(n, name)| format!("{n} {name}"));
        let text = described.collect::<Vec<_>>().join(" x ");
        if dimensions.contains(&0) {
            return Err(DataError::Empty { file, dimensions: text });
        }
        let product = dimensions.iter().try_fold(1_usize, |product, &n| product.checked_mul(n as usize));
        let Some(promised) = product else {
            return Err(DataError::ImpossibleSize { file, dimensions: text });
        };
        let expected = promised as u64;

        let mut bytes = Vec::new();
        let reserved = expected.min(self.plausible) as usize; // at most `promised`, a usize
        bytes.try_reserve_exact(reserved).map_err(|_| self.failure(ErrorKind::OutOfMemory.into()))?;
        while bytes.len() < promised {
            let start = bytes.len();
            let end = promised.min(start.saturating_add(STEP));
            bytes.try_reserve(end - start).map_err(|_| self.failure(ErrorKind::OutOfMemory.into()))?;
            bytes.resize(end, 0);
            let came = self.fill(&mut bytes[start..])?;
            if came < end - start {
                let found = (start + came) as u64;
                return Err(DataError::TruncatedBody { file, dimensions: text, found, expected });
            }
        }
        // Asking for one byte more finds what is too long, and makes gzip compare its checksum.
        if self.fill(&mut [0])? > 0 {
            return Err(DataError::TrailingBytes { file, dimensions: text, expected });
        }
        Ok(bytes)
    }

    /// What an error of the input means.
    fn failure(&self, source: io::Error) -> DataError {
        let (file, unpacked) = (self.file.clone(), self.taken);
        match source.kind() {
            ErrorKind::UnexpectedEof if self.gzip => DataError::TruncatedGzip { file, unpacked },
            ErrorKind::InvalidInput | ErrorKind::InvalidData if self.gzip => {
                DataError::CorruptGzip { file, unpacked, source }
            }
            _ => DataError::Unreadable { file, source },
        }
    }

    fn expect_magic(&mut self, expected: u32, header: u64, kind: &'static str) -> Result<(), DataError> {
        let found = self.integer(header)?;
        if found == expected {
            return Ok(());
        }
        Err(DataError::WrongMagic { file: self.file.clone(), kind, found, expected, hint: hint(found) })
    }
}

/// What a wrong magic number most likely means, and so what to do.
fn hint(found: u32) -> &'static str {
    match found.to_be_bytes() {
        [0, 0, 8, 1] => "this looks like a label file: were images and labels swapped?",
        [0, 0, 8, 3] => "this looks like an image file: were images and labels swapped?",
        [0, 0, 8, _] => {
            "it is an IDX file with another number of dimensions; give the file that belongs here"
        }
        [0, 0, 9 | 11..=14, _] => "it is an IDX file of another element type; convert it to unsigned bytes",
        [0x1f, 0x8b, ..] => "it was compressed twice: unpack it once",
        [b'<', ..] => "this looks like a web page: download the file itself",
        _ => "give the file of this name from MNIST, or one in the same format",
    }
}

/// Reads an image file (magic 0x00000803) of any image size to its end.
pub fn read_images(mut source: Source<'_>) -> Result<Images, DataError> {
    const HEADER: u64 = 16;
    source.expect_magic(IMAGES_MAGIC, HEADER, "images")?;
    let count = source.integer(HEADER)?;
    let rows = source.integer(HEADER)?;
    let columns = source.integer(HEADER)?;
    let bytes = source.body(&[count, rows, columns], &["images", "rows", "columns"])?;
    // The body is there, so its dimensions fit memory.
    let [count, rows, columns] = [count, rows, columns].map(|n| n as usize);
    Ok(Images { file: source.file, count, rows, columns, bytes })
}

/// Reads a label file (magic 0x00000801) to its end.
pub fn read_labels(mut source: Source<'_>) -> Result<Labels, DataError> {
    const HEADER: u64 = 8;
    source.expect_magic(LABELS_MAGIC, HEADER, "labels")?;
    let count = source.integer(HEADER)?;
    let bytes = source.body(&[count], &["labels"])?;
    Ok(Labels { file: source.file, bytes })
}
