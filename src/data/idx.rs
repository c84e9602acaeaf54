//! Reading IDX files, raw or gzip, from a stream that may be anything.
//!
//! The format (LeCun, Cortes and Burges, <http://yann.lecun.com/exdb/mnist/>): a magic number whose
//! third byte is the element type (8: unsigned byte) and whose fourth the number of dimensions, the
//! dimensions, then the elements, last dimension fastest; integers are 32 bits, everything is big-endian. What elements
//! of other types mean stands in [`elements`](super::elements).
//!
//! A header is a claim, not a fact. Memory grows with the bytes that really come, never with the
//! claim, and reading stops one byte past it, so that neither a header of 2^60 images nor a
//! gzip bomb can fill the memory.

use std::hint::black_box;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::DataError;
use super::elements::{ElementType, IntensityScale};
use super::gzip::{self, NotGzip};
use super::unpack::Unpack;
use crate::files;

const IMAGES_MAGIC: u32 = 0x0000_0803;
const LABELS_MAGIC: u32 = 0x0000_0801;

/// Bytes by which memory grows ahead of the data: large enough that the calls cost nothing, small
/// enough to stay in the second-level cache between zeroing and filling.
const STEP: usize = 256 << 10;

/// Unpacked bytes reserved at once per compressed byte. Handwritten digits reach 4.8; more than
/// this is possible and merely makes the memory grow in several steps.
const USUAL_GZIP_RATIO: u64 = 8;

/// Held while memory for a file is asked for.
static ASKING: Mutex<()> = Mutex::new(());

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
    /// What the file's numbers meant.
    pub scale: IntensityScale,
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
pub struct IdxSource<'a> {
    file: String,
    gzip: bool,
    /// How many unpacked bytes may be reserved before any has come.
    plausible: u64,
    /// Whether that is what will come, which is then best asked for at once.
    is_known: bool,
    taken: u64,
    input: Box<dyn Read + Send + 'a>,
}

impl<'a> IdxSource<'a> {
    /// A file, which may be gzip: its content decides.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let name = path.display().to_string();
        match files::open(path) {
            Ok((file, size)) => Self::over(name, BufReader::with_capacity(STEP, file), size),
            Err(source) => Err(DataError::Unreadable { file: name, source }),
        }
    }

    /// Bytes in memory, raw, gzip or [packed](super::packed); `file` is their name in messages.
    pub fn in_memory(file: &str, bytes: &'a [u8]) -> Result<Self, DataError> {
        let file = file.to_owned();
        let Some(unpack) = Unpack::of(bytes) else { return Self::over(file, bytes, bytes.len() as u64) };
        let plausible = unpack.length();
        Ok(Self { file, gzip: false, plausible, is_known: true, taken: 0, input: Box::new(unpack) })
    }

    /// Any stream; `size` is its length in bytes as far as it is known; it only guides memory.
    pub(super) fn over(
        file: String,
        mut input: impl BufRead + Send + 'a,
        size: u64,
    ) -> Result<Self, DataError> {
        match input.fill_buf() {
            Ok(start) => {
                let gzip = start.starts_with(&gzip::MAGIC);
                let plausible = if gzip { size.saturating_mul(USUAL_GZIP_RATIO) } else { size };
                let input: Box<dyn Read + Send + 'a> =
                    if gzip { Box::new(gzip::Streams::new(input)) } else { Box::new(input) };
                Ok(Self { file, gzip, plausible, is_known: false, taken: 0, input })
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

    /// The bytes of the elements, as they are: as many as the header promises, and then the end of the file.
    fn bytes(&mut self, promised: &Promised) -> Result<Vec<u8>, DataError> {
        let (mut bytes, expected) = (Vec::new(), promised.bytes.min(self.plausible()));
        match self.is_known {
            true => bytes = self.zeros(expected, promised)?,
            false => self.reserve(&mut bytes, expected, promised)?,
        }
        if self.is_known {
            let came = self.fill(&mut bytes)?;
            self.expect_all(promised, 0, came, promised.bytes)?;
        }
        while bytes.len() < promised.bytes {
            let start = bytes.len();
            let end = promised.bytes.min(start.saturating_add(STEP));
            self.reserve(&mut bytes, end - start, promised)?;
            bytes.resize(end, 0);
            let came = self.fill(&mut bytes[start..])?;
            self.expect_all(promised, start, came, end - start)?;
        }
        self.expect_end(promised)?;
        Ok(bytes)
    }

    /// A byte for each element, as `take(value, bytes so far)` makes it; likewise to the end of the file.
    fn converted(
        &mut self,
        promised: &Promised,
        mut take: impl FnMut(f64, &mut Vec<u8>) -> Result<(), DataError>,
    ) -> Result<Vec<u8>, DataError> {
        let size = promised.element.size();
        let (mut bytes, mut step, mut done) = (Vec::new(), vec![0; STEP], 0);
        self.reserve(&mut bytes, promised.bytes.min(self.plausible()) / size, promised)?;
        while done < promised.bytes {
            let wanted = STEP.min(promised.bytes - done); // whole elements: their sizes divide the step
            let came = self.fill(&mut step[..wanted])?;
            self.expect_all(promised, done, came, wanted)?;
            self.reserve(&mut bytes, wanted / size, promised)?;
            for value in promised.element.values(&step[..wanted]) {
                take(value, &mut bytes)?;
            }
            done += wanted;
        }
        self.expect_end(promised)?;
        Ok(bytes)
    }

    /// The bytes that may be reserved before any has come.
    fn plausible(&self) -> usize {
        self.plausible.try_into().unwrap_or(usize::MAX)
    }

    /// Zeros that the system gives where a thread first writes: to write them here takes longer than all that follows.
    fn zeros(&self, count: usize, promised: &Promised) -> Result<Vec<u8>, DataError> {
        // What is found to be there has to be there a moment later: another file may be read beside this one.
        let _alone = ASKING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut asked = Vec::<u8>::new();
        let given = asked.try_reserve_exact(count);
        drop(black_box(asked)); // memory that nobody uses is not asked for, unless the compiler cannot tell
        match given {
            Ok(()) => Ok(vec![0; count]),
            Err(_) => Err(self.lacking(promised)),
        }
    }

    fn reserve(&self, bytes: &mut Vec<u8>, more: usize, promised: &Promised) -> Result<(), DataError> {
        let _alone = ASKING.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.try_reserve(more).map_err(|_| self.lacking(promised))
    }

    fn lacking(&self, promised: &Promised) -> DataError {
        let (file, dimensions) = (self.file.clone(), promised.text.clone());
        DataError::Memory { file, dimensions }
    }

    fn expect_all(
        &self,
        promised: &Promised,
        before: usize,
        came: usize,
        wanted: usize,
    ) -> Result<(), DataError> {
        if came == wanted {
            return Ok(());
        }
        let (found, expected) = ((before + came) as u64, promised.bytes as u64);
        let (file, dimensions) = (self.file.clone(), promised.text.clone());
        Err(DataError::TruncatedBody { file, dimensions, found, expected })
    }

    /// Asking for one byte more finds what is too long, and makes gzip compare its checksum.
    fn expect_end(&mut self, promised: &Promised) -> Result<(), DataError> {
        if self.fill(&mut [0])? == 0 {
            return Ok(());
        }
        let (file, dimensions) = (self.file.clone(), promised.text.clone());
        Err(DataError::TrailingBytes { file, dimensions, expected: promised.bytes as u64 })
    }

    /// What an error of the input means.
    fn failure(&self, source: io::Error) -> DataError {
        let (file, unpacked) = (self.file.clone(), self.taken);
        if let Some(&NotGzip(bytes)) = source.get_ref().and_then(|cause| cause.downcast_ref()) {
            return DataError::BehindGzip { file, bytes };
        }
        match source.kind() {
            ErrorKind::UnexpectedEof if self.gzip => DataError::TruncatedGzip { file, unpacked },
            ErrorKind::InvalidInput | ErrorKind::InvalidData if self.gzip => {
                DataError::CorruptGzip { file, unpacked, source }
            }
            _ => DataError::Unreadable { file, source },
        }
    }

    /// Reads the magic number: the element type, and the number of dimensions, which must be among these.
    fn element(&mut self, kind: Kind) -> Result<(ElementType, usize), DataError> {
        let Kind { name, magic, header, dimensions } = kind;
        let found = self.integer(header)?;
        let [zero, also_zero, code, count] = found.to_be_bytes();
        match ElementType::of(code) {
            Some(element) if zero == 0 && also_zero == 0 && dimensions.contains(&usize::from(count)) => {
                Ok((element, usize::from(count)))
            }
            _ => {
                let (file, hint) = (self.file.clone(), hint(found, magic));
                Err(DataError::WrongMagic { file, kind: name, found, expected: magic, hint })
            }
        }
    }

    /// Reads so many dimensions.
    fn dimensions<const N: usize>(&mut self) -> Result<[u32; N], DataError> {
        let mut dimensions = [0; N];
        for dimension in &mut dimensions {
            *dimension = self.integer(4 + 4 * N as u64)?;
        }
        Ok(dimensions)
    }

    /// What a header promises.
    fn promised(
        &self,
        element: ElementType,
        dimensions: &[u32],
        names: &[&str],
    ) -> Result<Promised, DataError> {
        let file = self.file.clone();
        let described = dimensions.iter().zip(names).map(|(n, name)| format!("{n} {name}"));
        let mut text = described.collect::<Vec<_>>().join(" x ");
        if element != ElementType::UnsignedByte {
            text += &format!(" of {}", element.name());
        }
        if dimensions.contains(&0) {
            return Err(DataError::Empty { file, dimensions: text });
        }
        let size = element.size();
        match dimensions.iter().try_fold(size, |product, &n| product.checked_mul(n as usize)) {
            Some(bytes) => Ok(Promised { element, bytes, text }),
            None => Err(DataError::ImpossibleSize { file, dimensions: text }),
        }
    }
}

/// What a file is to hold.
struct Kind {
    name: &'static str,
    /// The usual magic number.
    magic: u32,
    /// The bytes of the usual header.
    header: u64,
    /// The numbers of dimensions that it may have.
    dimensions: &'static [usize],
}

const IMAGES: Kind = Kind { name: "images", magic: IMAGES_MAGIC, header: 16, dimensions: &[3] };
const LABELS: Kind = Kind { name: "labels", magic: LABELS_MAGIC, header: 8, dimensions: &[1, 2] };

/// What a header promises to follow it.
struct Promised {
    element: ElementType,
    bytes: usize,
    /// The dimensions, for messages.
    text: String,
}

/// What a wrong magic number most likely means, and so what to do.
fn hint(found: u32, expected: u32) -> &'static str {
    match found.to_be_bytes() {
        [0, 0, _, 1] if expected == IMAGES_MAGIC => {
            "this looks like a label file: were images and labels swapped?"
        }
        [0, 0, _, 3] if expected == LABELS_MAGIC => {
            "this looks like an image file: were images and labels swapped?"
        }
        [0, 0, 8..=14, 2] if expected == IMAGES_MAGIC => {
            "its images are rows of pixels without a shape: give them three dimensions, images x rows x columns"
        }
        [0, 0, 8..=14, 4] if expected == IMAGES_MAGIC => {
            "its images have a fourth dimension, as colours are: give them three, images x rows x columns, in shades of gray"
        }
        [0, 0, 8 | 9 | 11..=14, _] => {
            "it is an IDX file with another number of dimensions; give the file that belongs here"
        }
        [0, 0, _, 1..=4] => {
            "its third byte is no number type of IDX (8, 9 or 11 to 14): write it as unsigned bytes, 8"
        }
        [0x1f, 0x8b, ..] => "it was compressed twice: unpack it once",
        [b'P', b'K', ..] => "this looks like a zip archive: unpack it",
        [b'<', ..] => "this looks like a web page: download the file itself",
        _ => "give the file of this name from MNIST, or one in the same format",
    }
}

/// Reads an image file of any image size and number type to its end.
pub fn read_images(mut source: IdxSource<'_>) -> Result<Images, DataError> {
    let (element, _) = source.element(IMAGES)?;
    let dimensions = source.dimensions::<3>()?;
    let promised = source.promised(element, &dimensions, &["images", "rows", "columns"])?;
    let mut scale = IntensityScale::new(element);
    let bytes = match element {
        ElementType::UnsignedByte => source.bytes(&promised)?,
        _ => {
            let file = source.file.clone();
            source.converted(&promised, |value, bytes| match scale.push(value, bytes) {
                true => Ok(()),
                false => {
                    let index = bytes.len() / (dimensions[1] as usize * dimensions[2] as usize);
                    let (file, element) = (file.clone(), element.name());
                    Err(DataError::NoPixel { file, index, value, element })
                }
            })?
        }
    };
    if scale.is_lost() {
        return Err(DataError::AllBlack { file: source.file, element: element.name() });
    }
    // The body is there, so its dimensions fit memory.
    let [count, rows, columns] = dimensions.map(|n| n as usize);
    Ok(Images { file: source.file, count, rows, columns, bytes, scale })
}

/// Columns of QMNIST's labels, of which the first is the class.
const QMNIST_COLUMNS: u32 = 8;

/// Reads a label file of any number type to its end: a class number for each image, or, as QMNIST has it, eight int
/// for each, of which the first is the class.
pub fn read_labels(mut source: IdxSource<'_>) -> Result<Labels, DataError> {
    let (element, count) = source.element(LABELS)?;
    let (promised, columns) = match count {
        1 => {
            let dimensions = source.dimensions::<1>()?;
            (source.promised(element, &dimensions, &["labels"])?, 1)
        }
        _ => {
            let dimensions = source.dimensions::<2>()?;
            let promised = source.promised(element, &dimensions, &["labels", "columns"])?;
            (promised, dimensions[1])
        }
    };
    if columns != 1 && (columns, element) != (QMNIST_COLUMNS, ElementType::Int) {
        return Err(DataError::LabelColumns { file: source.file, columns, element: element.name() });
    }
    let bytes = match (element, columns) {
        (ElementType::UnsignedByte, 1) => source.bytes(&promised)?,
        _ => {
            let (file, columns, mut position) = (source.file.clone(), columns as usize, 0_usize);
            source.converted(&promised, |value, bytes| {
                let (index, column) = (position / columns, position % columns);
                position += 1;
                match (0.0..=255.0).contains(&value) && value.fract() == 0.0 {
                    _ if column > 0 => Ok(()),
                    true => {
                        bytes.push(value as u8);
                        Ok(())
                    }
                    false => Err(DataError::NoClass { file: file.clone(), index, value }),
                }
            })?
        }
    };
    Ok(Labels { file: source.file, bytes })
}
