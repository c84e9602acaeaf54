//! Gzip as files hold it: one stream or several, one behind the other, and perhaps zero bytes up to the end of a tape's
//! or a disk's block, which `gzip` passes over, too. Anything else behind a stream is an error that counts it.

use std::io::{self, BufRead, Chain, Cursor, ErrorKind, Read};

use flate2::bufread::GzDecoder;

/// What a stream begins with.
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The input, behind two bytes that were read to see what comes.
type Input<R> = Chain<Cursor<Vec<u8>>, R>;

/// What the streams of a file unpack to.
pub struct Streams<R> {
    /// The one that is being read; none at the end.
    current: Option<GzDecoder<Input<R>>>,
}

/// So many bytes follow a stream and are no other.
#[derive(Debug, thiserror::Error)]
#[error("{0} bytes behind the end of the gzip stream")]
pub struct NotGzip(pub u64);

impl<R: BufRead> Streams<R> {
    /// Those of an input that begins with one.
    pub fn new(input: R) -> Self {
        Self { current: Some(GzDecoder::new(Cursor::new(Vec::new()).chain(input))) }
    }
}

impl<R: BufRead> Read for Streams<R> {
    /// Fails with [`ErrorKind::UnexpectedEof`] where a stream is cut short, [`ErrorKind::InvalidInput`] or
    /// [`ErrorKind::InvalidData`] where it is damaged, and with [`NotGzip`] where something else follows it.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(stream) = &mut self.current {
            let count = stream.read(buffer).map_err(in_full)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let (_, input) = match self.current.take() {
                Some(stream) => stream.into_inner().into_inner(),
                None => break,
            };
            self.current = following(input)?;
        }
        Ok(0)
    }
}

/// The stream behind one that has ended, if there is any.
fn following<R: BufRead>(mut input: R) -> io::Result<Option<GzDecoder<Input<R>>>> {
    let mut start = Vec::new();
    (&mut input).take(MAGIC.len() as u64).read_to_end(&mut start)?;
    if start == MAGIC {
        return Ok(Some(GzDecoder::new(Cursor::new(start).chain(input))));
    }
    let mut bytes = start.len() as u64;
    let mut only_zeros = start.iter().all(|&byte| byte == 0);
    loop {
        let more = match input.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            more => more?,
        };
        if more.is_empty() {
            break;
        }
        only_zeros = only_zeros && more.iter().all(|&byte| byte == 0);
        let length = more.len();
        bytes += length as u64;
        input.consume(length);
    }
    if only_zeros { Ok(None) } else { Err(io::Error::other(NotGzip(bytes))) }
}

/// The library names the checksum where it may as well be the length that does not fit.
fn in_full(error: io::Error) -> io::Error {
    match error.to_string().contains("matching checksum") {
        true => io::Error::new(
            ErrorKind::InvalidData,
            "the checksum or the length at its end is not that of what it unpacks to",
        ),
        false => error,
    }
}
