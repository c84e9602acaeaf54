//! Labelled images.

/// Labelled images of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// (len, rows, columns) row-major; 0 is background.
    pub images: Vec<u8>,
    /// (len), the class of each image.
    pub labels: Vec<u8>,
    /// Height of an image in pixels.
    pub rows: usize,
    /// Width of an image in pixels.
    pub columns: usize,
}

impl Split {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Pixels of one image: rows · columns.
    pub fn pixels(&self) -> usize {
        self.rows * self.columns
    }

    /// The share of pixels, 0 to 1, that are not background, in the first thousand images.
    pub fn density(&self) -> f64 {
        const IMAGES: usize = 1000;
        let pixels = &self.images[..self.pixels() * self.len().min(IMAGES)];
        pixels.iter().filter(|&&byte| byte != 0).count() as f64 / pixels.len().max(1) as f64
    }

    /// Image `i`, (rows, columns) row-major.
    ///
    /// # Panics
    /// If `i` is not below [`len`](Self::len).
    #[inline(always)]
    pub fn image(&self, i: usize) -> &[u8] {
        let pixels = self.pixels();
        &self.images[i * pixels..][..pixels]
    }
}
