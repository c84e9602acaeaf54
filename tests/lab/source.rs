//! The student's file as text: which kernels it has, with which parameters, and on which lines things stand.
//!
//! The compiler reads the file too, but its errors are about what the file has become for the emulator. What can be
//! told from the text alone is told from the text, before anything is compiled.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of kernels.
#[derive(Debug)]
pub struct Source {
    /// Absolute.
    pub path: PathBuf,
    /// As the caller named it.
    pub shown: String,
    /// As it was written.
    pub text: String,
    /// Without comments, strings and host code; each line where it was.
    plain: String,
    /// The first line of host code that is not marked as such, and what it is.
    pub host_code: Option<(usize, &'static str)>,
}

/// A `__global__` function.
#[derive(Debug)]
pub struct Kernel {
    pub name: String,
    pub line: usize,
    pub parameters: Vec<Parameter>,
    pub is_template: bool,
}

#[derive(Debug)]
pub struct Parameter {
    /// `const float*`, `float*`, `int` and so on.
    pub of: String,
    pub name: String,
}

/// A `__shared__` array.
#[derive(Debug)]
pub struct Shared {
    pub name: String,
    pub line: usize,
    /// Whether it stands in a function.
    pub is_inside: bool,
}

impl Source {
    /// # Errors
    /// A file that cannot be read, or is not text.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display().to_string();
        let cannot = |error| format!("cannot read {shown}: {error}");
        let text = fs::read_to_string(path).map_err(cannot)?;
        let path = path.canonicalize().map_err(cannot)?;
        Ok(Self::of(path, shown, text))
    }

    fn of(path: PathBuf, shown: String, text: String) -> Self {
        let plain = without_host_code(&without_comments(&text));
        let host_code = [("<<<", "a launch with <<< >>>"), ("cudaMalloc", "host code")]
            .into_iter()
            .filter_map(|(word, what)| Some((plain.find(word)?, what)))
            .chain(words(&plain, "main").next().map(|at| (at, "a main function")))
            .min()
            .map(|(at, what)| (line_of(&plain, at), what));
        Self { path, shown, text, plain, host_code }
    }

    /// A line as it was written, from 1.
    pub fn line(&self, number: usize) -> &str {
        self.text.lines().nth(number.wrapping_sub(1)).unwrap_or("").trim_end()
    }

    /// A line without comments.
    pub fn code(&self, number: usize) -> &str {
        self.plain.lines().nth(number.wrapping_sub(1)).unwrap_or("")
    }

    /// The comment line that begins with this word, from after the colon, and its line number.
    pub fn comment(&self, word: &str) -> Option<(usize, &str)> {
        self.text.lines().enumerate().find_map(|(index, line)| {
            let comment = line.trim_start().strip_prefix("//").or(line.trim_start().strip_prefix("/*"))?;
            let comment = comment.trim_start_matches(['/', '*', ' ', '\t']);
            let said = comment.get(..word.len()).filter(|said| said.eq_ignore_ascii_case(word))?;
            let rest = comment[said.len()..].trim_start().strip_prefix(':')?;
            Some((index + 1, rest.trim().trim_end_matches("*/").trim_end()))
        })
    }

    /// What `#define NAME` or `constexpr int NAME =` says.
    pub fn constant(&self, name: &str) -> Option<&str> {
        words(&self.plain, name).find_map(|at| {
            let (before, after) = (self.plain[..at].trim_end(), &self.plain[at + name.len()..]);
            if before.ends_with("#define") || before.ends_with("# define") {
                return after.lines().next().map(str::trim);
            }
            let declared = ["int", "unsigned", "size_t", "auto"].iter().any(|of| before.ends_with(of));
            let value = after.trim_start().strip_prefix('=')?;
            declared.then_some(value[..value.find([';', ','])?].trim())
        })
    }

    pub fn kernels(&self) -> Vec<Kernel> {
        let mut found: Vec<Kernel> = Vec::new();
        for at in words(&self.plain, "__global__") {
            let Some(kernel) = self.kernel(at) else { continue };
            if found.iter().all(|known| known.name != kernel.name) {
                found.push(kernel); // not its definition after a declaration
            }
        }
        found
    }

    fn kernel(&self, at: usize) -> Option<Kernel> {
        let mut rest = &self.plain[at + "__global__".len()..];
        let name = loop {
            rest = rest.trim_start();
            let word = &rest[..rest.find(|c| !is_word(c))?];
            let after = rest[word.len()..].trim_start();
            if word == "__launch_bounds__" {
                rest = &after[inside(after)?.len() + 2..];
            } else if after.starts_with('(') {
                rest = after;
                break word;
            } else if word.is_empty() {
                return None;
            } else {
                rest = after;
            }
        };
        let before = &self.plain[..at];
        let statement = &before[before.rfind([';', '}', '{']).map_or(0, |end| end + 1)..];
        let parameters = split(inside(rest)?).into_iter().filter_map(parameter).collect();
        let line = line_of(&self.plain, self.plain.len() - rest.len());
        let is_template = words(statement, "template").next().is_some();
        Some(Kernel { name: name.into(), line, parameters, is_template })
    }

    pub fn shared(&self) -> Vec<Shared> {
        let declared = words(&self.plain, "__shared__").flat_map(|at| {
            let end = self.plain[at..].find([';', '=']).map_or(self.plain.len(), |end| at + end);
            let depth = self.plain[..at].chars().fold(0, |depth, c| match c {
                '{' => depth + 1,
                '}' => depth - 1,
                _ => depth,
            });
            split(&self.plain[at..end]).into_iter().map(move |one| {
                let declared = one[..one.find('[').unwrap_or(one.len())].trim_end();
                let name = &declared[declared.rfind(|c| !is_word(c)).map_or(0, |before| before + 1)..];
                let line = line_of(&self.plain, name.as_ptr() as usize - self.plain.as_ptr() as usize);
                Shared { name: name.into(), line, is_inside: depth > 0 }
            })
        });
        declared.collect()
    }
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where a word stands.
pub fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| !text[..at].ends_with(is_word) && !text[at + word.len()..].starts_with(is_word))
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// What stands between a parenthesis at the beginning and its partner.
pub fn inside(text: &str) -> Option<&str> {
    let mut depth = 0;
    let end = text.find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    })?;
    text[..end].strip_prefix('(')
}

/// The parts of a list, by the commas outside of parentheses and brackets.
pub fn split(list: &str) -> Vec<&str> {
    let mut depth = 0;
    list.split(|c| {
        depth += i32::from("([{".contains(c)) - i32::from(")]}".contains(c));
        c == ',' && depth == 0
    })
    .map(str::trim)
    .collect()
}

/// `const float* __restrict__ a` is a `const float*` called a.
fn parameter(text: &str) -> Option<Parameter> {
    let (text, is_array) = match text.split_once('[') {
        Some((before, _)) => (before.trim_end(), true),
        None => (text.trim_end(), false),
    };
    let start = text.rfind(|c| !is_word(c)).map_or(0, |at| at + 1);
    let (of, name) = text.split_at(start);
    let (pointed, is_pointer) = match of.split_once('*') {
        Some((pointed, _)) => (pointed, true),
        None => (of, is_array),
    };
    let is_const = words(pointed, "const").next().is_some();
    let base: Vec<&str> = pointed.split_whitespace().filter(|word| *word != "const").collect();
    let (base, stars) = (base.join(" "), "*".repeat(of.matches('*').count().max(is_pointer.into())));
    let of = if is_pointer && is_const { format!("const {base}{stars}") } else { base + &stars };
    (!name.is_empty()).then(|| Parameter { of, name: name.into() })
}

/// The text with spaces for comments, and for what stands in strings.
fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => rest[1..].find(['"', '\n']).map_or(rest.len(), |end| end + 2),
            _ => {
                plain.push(c);
                rest = &rest[c.len_utf8()..];
                continue;
            }
        };
        // As many bytes as before, so that places in the one text are places in the other.
        plain.extend(rest[..length].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        rest = &rest[length..];
    }
    plain
}

/// The text with empty lines for what `#ifndef COTANGENT_LAB` keeps from the lab.
fn without_host_code(plain: &str) -> String {
    let mut kept = String::with_capacity(plain.len());
    let mut depth = 0; // of conditions within the one that leaves out
    for line in plain.split_inclusive('\n') {
        let directive = line.trim_start().strip_prefix('#').map_or("", str::trim_start);
        let was = depth;
        if depth == 0 {
            depth = usize::from(directive.starts_with("ifndef") && directive.contains("COTANGENT_LAB"));
        } else if directive.starts_with("if") {
            depth += 1;
        } else if directive.starts_with("endif") || depth == 1 && directive.starts_with("else") {
            depth -= 1;
        }
        if was == 0 && depth == 0 {
            kept.push_str(line);
        } else {
            kept.extend(line.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        }
    }
    kept
}

#[cfg(test)]
pub fn of_text(text: &str) -> Source {
    Source::of("/folder/a.cu".into(), "a.cu".into(), text.into())
}

#[test]
fn kernels_are_read_as_students_write_them() {
    let source = of_text(
        "// __global__ void no(int a);\n#define T 16\n/* \n */ template <int N>\n__global__ void of(float A[], int n) {}\n\
         extern \"C\" __global__ void __launch_bounds__(T * (1 + 1), 2)\nboth(const float *__restrict__ a,\n float const* b, \
         const int n, unsigned long long s) {}\n",
    );
    let kernels = source.kernels();
    let said: Vec<String> = kernels
        .iter()
        .map(|k| {
            let of: Vec<String> = k.parameters.iter().map(|p| format!("{} {}", p.of, p.name)).collect();
            format!("{} {} {} {}", k.line, k.name, k.is_template, of.join(", "))
        })
        .collect();
    let both = "7 both false const float* a, const float* b, int n, unsigned long long s";
    assert_eq!(said, ["5 of true float* A, int n", both]);
}

#[test]
fn shared_arrays_constants_and_comments_are_found_on_their_lines() {
    let source = of_text(
        "#define TILE 16\nconstexpr int BLOCK = TILE * 4;\n// Launch : grid=1 block=2\n__shared__ float outside[2];\n\
         __global__ void f() {\n  __shared__ float a[TILE][TILE + 1], // one\n    b[4];\n}\n",
    );
    let shared: Vec<_> = source.shared().into_iter().map(|s| (s.name, s.line, s.is_inside)).collect();
    assert_eq!(shared, [("outside".into(), 4, false), ("a".into(), 6, true), ("b".into(), 7, true)]);
    assert_eq!(source.constant("TILE"), Some("16"));
    assert_eq!(source.constant("BLOCK"), Some("TILE * 4"));
    assert_eq!(source.constant("a"), None);
    assert_eq!(source.comment("launch"), Some((3, "grid=1 block=2")));
    assert_eq!(source.comment("precision"), None);
}

#[test]
fn host_code_is_found_where_it_is_not_marked() {
    let host = "__global__ void f() {}\nint main() { f<<<1, 1>>>(); }\n";
    assert_eq!(of_text(host).host_code, Some((2, "a main function")));
    let marked = format!("#ifndef COTANGENT_LAB // alone\n#if 1\n#endif\n{host}#endif\nint a;\n");
    assert_eq!(of_text(&marked).host_code, None);
    assert_eq!(of_text(&marked).kernels().len(), 0);
    assert_eq!(of_text("// main() <<<\n\"main\"\n").host_code, None);
}
