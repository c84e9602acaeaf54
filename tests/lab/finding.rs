//! What the lab has found wrong with a kernel: a sentence, and the lines of the file that it speaks of.

use super::launch::Extents;
use super::signature::{Extent, Operation};
use super::source::{Source, words};

/// Something that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What, where, and what to do.
    pub text: String,
    /// Line numbers of the student's file.
    pub lines: Vec<usize>,
}

impl Finding {
    pub fn new(text: impl Into<String>, lines: &[usize]) -> Self {
        let mut lines = lines.to_vec();
        lines.sort_unstable();
        lines.dedup();
        Self { text: text.into(), lines }
    }
}

/// What came of a kernel.
#[derive(Default, Debug)]
pub struct Tried {
    /// A line for each shape, and times.
    pub table: String,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Where it is right and slow.
    pub remarks: Vec<Finding>,
}

/// The kernel under test, as findings speak of it.
pub struct Subject<'a> {
    pub source: &'a Source,
    pub operation: Operation,
    /// The arrays' names in the file, in the order of the parameters.
    pub arrays: Vec<String>,
    /// The sizes' names in the file.
    pub sizes: Vec<String>,
    /// What was launched: sizes, and the launch for them.
    pub launches: Vec<(Vec<usize>, Extents)>,
}

impl Subject<'_> {
    /// `m=64 n=64 k=64`
    pub fn shape(&self, launch: usize) -> String {
        let sizes = self.launches.get(launch).map_or(&[][..], |(sizes, _)| sizes);
        let all: Vec<String> =
            self.sizes.iter().zip(sizes).map(|(name, size)| format!("{name}={size}")).collect();
        all.join(" ")
    }

    /// The names of shared arrays that stand on a line.
    pub fn shared_on(&self, line: usize) -> Vec<String> {
        let code = self.source.code(line);
        let shared = self.source.shared().into_iter().map(|shared| shared.name);
        shared.filter(|name| words(code, name).next().is_some()).collect()
    }

    /// The name and the size of an array's rows: none where it has only one.
    pub fn row_of(&self, array: &str, launch: usize) -> Option<(String, usize)> {
        let index = self.arrays.iter().position(|name| name == array)?;
        let extents = self.operation.parameters().get(index)?.1.extents()?;
        match extents {
            [Extent::Size(_), Extent::Size(size)] => {
                Some((self.sizes.get(size)?.clone(), *self.launches.get(launch)?.0.get(size)?))
            }
            _ => None,
        }
    }

    /// Words of the machine that name files, in the student's: `/home/me/a.cu:12` is `line 12`.
    pub fn readable(&self, text: &str) -> String {
        let path = self.source.path.to_string_lossy();
        text.replace(&format!("{path}:"), "line ").replace(&*path, &self.source.shown)
    }

    /// The first line number after the student's path in a text.
    pub fn line_in(&self, text: &str) -> Option<usize> {
        let path = format!("{}:", self.source.path.display());
        let after = &text[text.find(&path)? + path.len()..];
        after[..after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len())].parse().ok()
    }
}

/// `a`, `a and b`, `a, b and c`
pub fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
