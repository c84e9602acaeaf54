//! The number types of IDX files, and what their numbers mean as pixels and as class numbers.
//!
//! Images are bytes everywhere else, 0 (background) to 255, so other numbers must have a meaning as such:
//!
//! - whole numbers from 0 to 255, of any type, are the bytes themselves;
//! - float and double from 0 to 1 are that part of 255; where any is above 1, they are from 0 to 255. What lies between
//!   two bytes is rounded, and [`IntensityScale::note`] says so;
//! - all else (negative numbers, 16-bit depths) has none, and is refused.
//!
//! Class numbers are whole, 0 to 255, in any type.

/// A number type, by its code in the third byte of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ElementType {
    UnsignedByte = 0x08,
    SignedByte = 0x09,
    Short = 0x0b,
    Int = 0x0c,
    Float = 0x0d,
    Double = 0x0e,
}

impl ElementType {
    const ALL: [Self; 6] =
        [Self::UnsignedByte, Self::SignedByte, Self::Short, Self::Int, Self::Float, Self::Double];

    /// The type of this code.
    pub fn of(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|element| *element as u8 == code)
    }

    /// The name that the format's description has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnsignedByte => "unsigned byte",
            Self::SignedByte => "signed byte",
            Self::Short => "short",
            Self::Int => "int",
            Self::Float => "float",
            Self::Double => "double",
        }
    }

    /// Bytes of a number.
    pub fn size(self) -> usize {
        match self {
            Self::UnsignedByte | Self::SignedByte => 1,
            Self::Short => 2,
            Self::Int | Self::Float => 4,
            Self::Double => 8,
        }
    }

    fn is_whole(self) -> bool {
        !matches!(self, Self::Float | Self::Double)
    }

    /// The numbers in these bytes, big-endian: exact, as float64 has room for every type. What is left over of a last one
    /// is passed over.
    pub fn values(self, bytes: &[u8]) -> impl Iterator<Item = f64> {
        bytes.chunks_exact(self.size()).map(move |bytes| match (self, bytes) {
            (Self::SignedByte, &[a]) => f64::from(a as i8),
            (Self::Short, &[a, b]) => f64::from(i16::from_be_bytes([a, b])),
            (Self::Int, &[a, b, c, d]) => f64::from(i32::from_be_bytes([a, b, c, d])),
            (Self::Float, &[a, b, c, d]) => f64::from(f32::from_be_bytes([a, b, c, d])),
            (Self::Double, &[a, b, c, d, e, f, g, h]) => f64::from_be_bytes([a, b, c, d, e, f, g, h]),
            (_, bytes) => f64::from(bytes[0]),
        })
    }
}

/// What pixels of a number type mean as bytes, found out as they come.
#[derive(Clone, Copy, Debug)]
pub struct IntensityScale {
    element: ElementType,
    /// Whether they go to 1 or to 255; not known as long as all are 0.
    white: Option<White>,
    /// Whether any was rounded.
    rounded: bool,
    /// Whether any was more than 0, and whether any still is as a byte.
    light: bool,
    shows: bool,
}

/// The largest value of a pixel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum White {
    One,
    Of255,
}

/// A pixel this far from a byte, in 255ths of the range, was not made of one: far more than what float32 rounds.
const FROM_A_BYTE: f64 = 1e-3;

impl IntensityScale {
    pub fn new(element: ElementType) -> Self {
        let white = element.is_whole().then_some(White::Of255);
        Self { element, white, rounded: false, light: false, shows: false }
    }

    /// Takes up the next pixel behind those of `bytes`; whether it has a meaning.
    pub fn push(&mut self, value: f64, bytes: &mut Vec<u8>) -> bool {
        if !(0.0..=255.0).contains(&value) {
            return false;
        }
        if value > 1.0 && self.white != Some(White::Of255) {
            // So 1, as far as there was one, was no white.
            bytes.iter_mut().for_each(|byte| *byte = (f64::from(*byte) / 255.0).round() as u8);
            self.white = Some(White::Of255);
        } else if value > 0.0 && self.white.is_none() {
            self.white = Some(White::One);
        }
        let scaled = if self.white == Some(White::One) { value * 255.0 } else { value };
        self.rounded |= (scaled - scaled.round()).abs() > FROM_A_BYTE;
        let byte = scaled.round() as u8;
        self.light |= value > 0.0;
        self.shows |= byte > 0;
        bytes.push(byte);
        true
    }

    /// Whether every pixel that is more than 0 is so little that nothing is left of it, as where the bytes of numbers stand the
    /// other way round.
    pub fn is_lost(&self) -> bool {
        self.light && !self.shows
    }

    /// Whether the images of two files go to the same white. Types that hold whole numbers only leave no doubt.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let in_doubt = !self.element.is_whole() && !other.element.is_whole();
        !in_doubt || self.white.is_none() || other.white.is_none() || self.white == other.white
    }

    /// From where to where pixels go, for messages.
    pub fn range(&self) -> &'static str {
        match self.white {
            Some(White::Of255) => "0 to 255",
            _ => "0 to 1",
        }
    }

    /// What was made of the pixels, if it needs saying.
    pub fn note(&self) -> Option<String> {
        let rounded = if self.rounded { ", rounded to whole numbers" } else { "" };
        match (self.white, self.rounded) {
            (Some(White::One), _) => Some(format!(
                "its pixels, {} from 0 to 1, are taken as 0 to 255{rounded}",
                self.element.name()
            )),
            (_, true) => {
                Some(format!("its pixels, {} from 0 to 255, are taken{rounded}", self.element.name()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(element: ElementType, values: &[f64]) -> Option<(Vec<u8>, Option<String>)> {
        let (mut scale, mut bytes) = (IntensityScale::new(element), Vec::new());
        values.iter().all(|&value| scale.push(value, &mut bytes)).then(|| (bytes, scale.note()))
    }

    #[test]
    fn whole_numbers_of_any_type_are_bytes() {
        for element in ElementType::ALL {
            let found = taken(element, &[0.0, 1.0, 255.0, 2.0]);
            assert_eq!(found, Some((vec![0, 1, 255, 2], None)), "{element:?}");
        }
        // Of a type that holds whole numbers only, 1 is no white.
        assert_eq!(taken(ElementType::Int, &[0.0, 1.0, 0.0]), Some((vec![0, 1, 0], None)));
    }

    #[test]
    fn numbers_from_0_to_1_are_parts_of_255() {
        let whole: Vec<f64> = (0..=255_u8).map(|byte| f64::from(f32::from(byte) / 255.0)).collect();
        let (bytes, note) = taken(ElementType::Float, &whole).unwrap();
        assert!(bytes.iter().copied().eq(0..=255));
        assert_eq!(note.unwrap(), "its pixels, float from 0 to 1, are taken as 0 to 255");
        let (bytes, note) = taken(ElementType::Double, &[0.0, 0.3, 1.0]).unwrap();
        assert_eq!(bytes, [0, 77, 255]);
        assert!(note.unwrap().ends_with("are taken as 0 to 255, rounded to whole numbers"));
    }

    #[test]
    fn a_number_above_1_shows_that_those_before_it_went_to_255_too() {
        let (bytes, note) = taken(ElementType::Float, &[0.0, 1.0, 0.2, 254.7, 1.0]).unwrap();
        assert_eq!(bytes, [0, 1, 0, 255, 1]);
        assert!(note.unwrap().contains("float from 0 to 255, are taken, rounded"));
    }

    #[test]
    fn what_is_no_pixel_is_refused() {
        for value in [-1.0, -1e-30, 255.5, 256.0, f64::NAN, f64::INFINITY] {
            assert_eq!(taken(ElementType::Double, &[0.5, value]), None, "{value}");
        }
        assert_eq!(taken(ElementType::Short, &[4095.0]), None);
        assert_eq!(taken(ElementType::SignedByte, &[-3.0]), None);
    }

    #[test]
    fn numbers_of_which_no_byte_is_left_are_told_from_black_images() {
        let is_lost = |values: &[f64]| {
            let (mut scale, mut bytes) = (IntensityScale::new(ElementType::Float), Vec::new());
            values.iter().for_each(|&value| assert!(scale.push(value, &mut bytes)));
            scale.is_lost()
        };
        let other_way_round = f64::from(f32::from_bits(0.5_f32.to_bits().swap_bytes()));
        assert!(is_lost(&[0.0, other_way_round, 1e-10]));
        assert!(!is_lost(&[0.0, 0.0]) && !is_lost(&[1e-10, 0.5]) && !is_lost(&[0.0, 255.0, 1e-5]));
    }

    #[test]
    fn files_of_numbers_with_a_point_must_go_to_the_same_white() {
        let of = |element, value| {
            let mut scale = IntensityScale::new(element);
            scale.push(value, &mut Vec::new());
            scale
        };
        assert!(!of(ElementType::Float, 0.5).agrees_with(&of(ElementType::Double, 200.0)));
        assert!(of(ElementType::Float, 0.5).agrees_with(&of(ElementType::Double, 0.0)));
        assert!(of(ElementType::Float, 0.5).agrees_with(&of(ElementType::UnsignedByte, 200.0)));
    }
}
