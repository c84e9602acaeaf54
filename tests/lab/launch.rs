//! The comment that says how the kernel is launched: `// launch: grid=((n + 15) / 16, (m + 15) / 16) block=(16, 16)`.
//!
//! What a host would compute stands in the file, as expressions over the sizes and over the file's own constants, so
//! that one line serves all shapes.

use serde::{Deserialize, Serialize};

use super::source::{Source, inside, is_word, split};

/// The launch's expressions: not yet computed for a shape.
#[derive(Debug)]
pub struct Launch<'a> {
    source: &'a Source,
    pub line: usize,
    grid: Vec<&'a str>,
    block: Vec<&'a str>,
    shared: Option<&'a str>,
}

/// A launch for one shape.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Extents {
    pub grid: [u32; 3],
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub shared: u32,
}

const EXAMPLE: &str = "// launch: grid=((n + 15) / 16, (m + 15) / 16) block=(16, 16)";

const KEYS: [&str; 3] = ["grid", "block", "shared"];

impl<'a> Launch<'a> {
    /// # Errors
    /// A file without the comment, or a comment that is not understood.
    pub fn read(source: &'a Source) -> Result<Self, String> {
        let Some((line, text)) = source.comment("launch") else {
            return Err(format!(
                "{}: no comment says how the kernel is launched; write one above it, such as\n  {EXAMPLE}",
                source.shown
            ));
        };
        let wrong = |what: String| {
            format!("{}:{line}: the launch comment {what}; it is written like\n  {EXAMPLE}", source.shown)
        };
        let mut launch = Self { source, line, grid: Vec::new(), block: Vec::new(), shared: None };
        for (key, value) in pairs(text).map_err(wrong)? {
            match key {
                "grid" => launch.grid = tuple(value),
                "block" => launch.block = tuple(value),
                _ => launch.shared = Some(value),
            }
        }
        for (name, extents) in [("grid", &launch.grid), ("block", &launch.block)] {
            if extents.is_empty() || extents.len() > 3 {
                return Err(wrong(match extents.len() {
                    0 => format!("has no {name}"),
                    count => format!("has a {name} of {count} extents, and there are three at most"),
                }));
            }
        }
        Ok(launch)
    }

    /// The comment as it was written.
    pub fn text(&self) -> &str {
        self.source.comment("launch").map_or("", |(_, text)| text)
    }

    /// The launch where these names have these values.
    ///
    /// # Errors
    /// An expression that is not understood, or has no value; a launch that no device takes.
    pub fn at(&self, sizes: &[(&str, usize)]) -> Result<Extents, String> {
        let said: Vec<String> = sizes.iter().map(|(name, size)| format!("{name}={size}")).collect();
        let shown = format!("{}:{}", self.source.shown, self.line);
        let number = |what: &str, text: &str| {
            let value = evaluate(text, sizes, self.source)
                .map_err(|problem| format!("{shown}: {what}={text}: {problem}"))?;
            u32::try_from(value)
                .map_err(|_| format!("{shown}: {what}={text} is {value} for {}", said.join(" ")))
        };
        let three = |what: &str, texts: &[&str]| -> Result<[u32; 3], String> {
            let mut extents = [1; 3];
            for (extent, text) in extents.iter_mut().zip(texts) {
                *extent = number(what, text)?;
                if *extent == 0 {
                    return Err(format!(
                        "{shown}: {what}={text} is 0 for {}: a {what} has at least one in each direction; \
                         divide so that the rest counts as well, (n + 15) / 16 or ceil(n, 16) instead of n / 16",
                        said.join(" ")
                    ));
                }
            }
            Ok(extents)
        };
        let (grid, block) = (three("grid", &self.grid)?, three("block", &self.block)?);
        let threads: u64 = block.iter().map(|&extent| u64::from(extent)).product();
        if threads > 1024 || block[2] > 64 {
            return Err(format!(
                "{shown}: a block of {threads} threads, {block:?}, and a block has at most 1024, 64 of them in z"
            ));
        }
        if grid[1] > 65535 || grid[2] > 65535 {
            return Err(format!(
                "{shown}: a grid of {grid:?} blocks, and there are at most 65535 in y and in z"
            ));
        }
        let shared = self.shared.map_or(Ok(0), |text| number("shared", text))?;
        Ok(Extents { grid, block, shared })
    }
}

/// `grid=(a, b) block=c` as names and values.
fn pairs(text: &str) -> Result<Vec<(&str, &str)>, String> {
    let mut starts: Vec<(usize, &str)> = Vec::new();
    for key in KEYS {
        starts.extend(
            super::source::words(text, key)
                .filter(|at| text[at + key.len()..].trim_start().starts_with('='))
                .map(|at| (at, key)),
        );
    }
    starts.sort_unstable();
    let first = starts.first().map_or(text.len(), |(at, _)| *at);
    if !text[..first].trim().is_empty() {
        return Err(format!("begins with {:?}, which is not grid=, block= or shared=", text[..first].trim()));
    }
    let ends = starts.iter().skip(1).map(|(at, _)| *at).chain([text.len()]);
    let values = starts.iter().zip(ends).map(|(&(at, key), end)| {
        let value = text[at + key.len()..end].trim_start().trim_start_matches('=');
        (key, value.trim().trim_end_matches([',', ';']).trim_end())
    });
    Ok(values.collect())
}

/// The parts of `(a, b)`, or of `a` alone, which may begin with a parenthesis as well.
fn tuple(text: &str) -> Vec<&str> {
    let text = text.strip_prefix("dim3").map_or(text, str::trim_start);
    match inside(text) {
        Some(all) if all.len() + 2 == text.len() => split(all),
        _ if text.is_empty() => Vec::new(),
        _ => vec![text],
    }
}

/// The value of an expression over sizes and constants.
fn evaluate(text: &str, sizes: &[(&str, usize)], source: &Source) -> Result<i64, String> {
    let mut reader = Reader { rest: text, sizes, source, depth: 0 };
    reader.whole()
}

/// Reads an expression and computes it on the way: there is nothing to keep.
struct Reader<'a> {
    rest: &'a str,
    sizes: &'a [(&'a str, usize)],
    source: &'a Source,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn whole(&mut self) -> Result<i64, String> {
        let value = self.sum()?;
        match self.rest.trim_start() {
            "" => Ok(value),
            rest => Err(format!(
                "cannot read {rest:?}: sizes, numbers, + - * / %, ceil(a, b), min and max may stand here"
            )),
        }
    }

    fn sum(&mut self) -> Result<i64, String> {
        let mut value = self.product()?;
        while let Some(operator) = self.one_of("+-") {
            let right = self.product()?;
            let result = if operator == '+' { value.checked_add(right) } else { value.checked_sub(right) };
            value = result.ok_or("the number is too large")?;
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<i64, String> {
        let mut value = self.factor()?;
        while let Some(operator) = self.one_of("*/%") {
            let right = self.factor()?;
            let result = match operator {
                '*' => value.checked_mul(right),
                _ if right == 0 => return Err("it divides by zero".into()),
                '/' => value.checked_div(right),
                _ => value.checked_rem(right),
            };
            value = result.ok_or("the number is too large")?;
        }
        Ok(value)
    }

    fn factor(&mut self) -> Result<i64, String> {
        self.rest = self.rest.trim_start();
        self.depth += 1;
        if self.depth > 100 {
            return Err("it is nested too deeply, or a constant is made of itself".into());
        }
        let value = self.one()?;
        self.depth -= 1;
        Ok(value)
    }

    fn one(&mut self) -> Result<i64, String> {
        if let Some(within) = inside(self.rest) {
            self.rest = &self.rest[within.len() + 2..];
            return self.of(within);
        }
        let word = &self.rest[..self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len())];
        self.rest = &self.rest[word.len()..];
        if word.is_empty() {
            return Err(match self.rest.chars().next() {
                None => "it ends where a number or a size should follow".into(),
                Some(c) => format!("{c:?} stands where a number or a size should"),
            });
        }
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            let digits = word.trim_end_matches(['u', 'U', 'l', 'L']);
            return digits.parse().map_err(|_| format!("{word} is not a whole number"));
        }
        if let Some(&(_, size)) = self.sizes.iter().find(|(name, _)| *name == word) {
            return Ok(size as i64);
        }
        if let Some(arguments) = inside(self.rest.trim_start()) {
            self.rest = &self.rest.trim_start()[arguments.len() + 2..];
            return self.call(word, arguments);
        }
        match self.source.constant(word) {
            Some(value) => self.of(value),
            None => {
                let known: Vec<&str> = self.sizes.iter().map(|(name, _)| *name).collect();
                Err(format!("{word} is neither a size ({}) nor a constant of the file", known.join(", ")))
            }
        }
    }

    fn call(&mut self, name: &str, arguments: &'a str) -> Result<i64, String> {
        if name == "sizeof" {
            return match arguments.trim() {
                "float" | "int" | "unsigned" => Ok(4),
                "double" | "float2" => Ok(8),
                "float4" => Ok(16),
                other => Err(format!("the size of {other} is not known here")),
            };
        }
        let values: Vec<i64> =
            split(arguments).into_iter().map(|part| self.of(part)).collect::<Result<_, _>>()?;
        match (name, &values[..]) {
            ("ceil" | "ceil_div" | "cdiv", &[_, 0]) => Err("it divides by zero".into()),
            ("ceil" | "ceil_div" | "cdiv", &[a, b]) => Ok(a / b + i64::from(a % b != 0)),
            ("min", &[a, b]) => Ok(a.min(b)),
            ("max", &[a, b]) => Ok(a.max(b)),
            _ => Err(format!(
                "{name}({arguments}) is not known: there are ceil(a, b), min(a, b) and max(a, b)"
            )),
        }
    }

    /// The value of another text with the same names.
    fn of(&self, text: &'a str) -> Result<i64, String> {
        Reader { rest: text, ..*self }.whole()
    }

    fn one_of(&mut self, operators: &str) -> Option<char> {
        self.rest = self.rest.trim_start();
        let operator = self.rest.chars().next().filter(|c| operators.contains(*c))?;
        self.rest = &self.rest[1..];
        Some(operator)
    }
}

#[cfg(test)]
fn at(text: &str) -> Result<Extents, String> {
    let source = super::source::of_text(text);
    Launch::read(&source)?.at(&[("m", 33), ("n", 17)])
}

#[test]
fn launches_are_computed_from_sizes_and_constants() {
    let extents = |text| at(text).unwrap();
    let plain = extents("// launch: grid=((n + 15) / 16, (m + 15) / 16) block=(16, 16)\n");
    assert_eq!(plain, Extents { grid: [2, 3, 1], block: [16, 16, 1], shared: 0 });
    let named = extents(
        "#define T 8 // tile\nconstexpr int U = T * 2;\n// launch: grid = dim3(ceil(n, T), ceil(m, U)), block = (T, 2), \
         shared = 2 * T * (U + 1) * sizeof(float)\n",
    );
    assert_eq!(named, Extents { grid: [3, 3, 1], block: [8, 2, 1], shared: 1088 });
    assert_eq!(extents("// launch: grid=(n + 1) / 2 block=max(n % 4, 7) - min(2, 3)").grid, [9, 1, 1]);
}

#[test]
fn launches_that_are_not_understood_or_not_possible_are_explained() {
    let error = |text| at(text).unwrap_err();
    assert!(error("// nothing\n").contains("no comment says how the kernel is launched; write one above it"));
    assert!(error("\n// launch: block=(16, 16)\n").contains("a.cu:2: the launch comment has no grid"));
    assert!(error("// launch: grid=(1, 1, 1, 1) block=1\n").contains("a grid of 4 extents"));
    assert!(error("// launch: <<<1, 2>>>\n").contains("begins with \"<<<1, 2>>>\""));
    let zero = error("// launch: grid=(n / 32) block=32\n");
    assert!(
        zero.contains("a.cu:1: grid=n / 32 is 0 for m=33 n=17") && zero.contains("ceil(n, 16)"),
        "{zero}"
    );
    assert!(error("// launch: grid=1 block=(64, 32)\n").contains("a block of 2048 threads"));
    assert!(
        error("// launch: grid=k block=1\n")
            .contains("k is neither a size (m, n) nor a constant of the file")
    );
    assert!(error("#define A B\n#define B A\n// launch: grid=A block=1\n").contains("made of itself"));
    assert!(error("// launch: grid=1/0 block=1\n").contains("divides by zero"));
    assert!(error("// launch: grid=1+ block=1\n").contains("it ends where"));
}
