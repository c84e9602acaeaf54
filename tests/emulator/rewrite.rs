//! From preprocessed CUDA C++ to C++: what no macro can do.
//!
//! - `__shared__` variables become references into the emulator's shared memory.
//! - `extern "C" __global__` functions, and where that is allowed plain `__global__` ones, become static ones,
//!   and are registered at the end of the file with the block size that `__launch_bounds__` allows.
//! - `#pragma unroll` becomes the host compiler's.
//! - What comes from the kernels' own files is put into a namespace of the architecture that it was
//!   preprocessed for, so that code for several architectures can stand in one library.
//!
//! Lines stay lines, and the preprocessor's line markers stay too, so compilers, faults and sanitizers
//! name the kernel's own file and line.

use std::fmt::Write;

/// C++ and the names of the kernels in it.
#[derive(Debug)]
pub struct Rewritten {
    pub text: String,
    pub kernels: Vec<String>,
}

/// How a file is rewritten.
pub struct Rules<'a> {
    /// The architecture's.
    pub namespace: &'a str,
    /// The bits under which the emulator's devices find the kernels.
    pub architectures: u32,
    /// Whether entries may lack `extern "C"`.
    pub any_entry: bool,
}

/// Rewrites the output of `c++ -E`. `is_own` tells the paths of the kernels' own files.
pub fn rewrite(
    preprocessed: &str,
    is_own: &dyn Fn(&str) -> bool,
    rules: &Rules,
) -> Result<Rewritten, String> {
    let Rules { namespace, architectures, any_entry } = rules;
    let mut output = String::with_capacity(preprocessed.len() + 4096);
    let mut kernels = Vec::new();
    let mut rest = preprocessed;
    let mut own = false;
    while !rest.is_empty() {
        // A stretch of code up to the next line of the preprocessor.
        let directive =
            if rest.starts_with('#') { 0 } else { rest.find("\n#").map_or(rest.len(), |at| at + 1) };
        let (code, after) = rest.split_at(directive);
        if own {
            rewrite_code(code, *any_entry, &mut output, &mut kernels)?;
        } else {
            output.push_str(code);
        }
        let (line, after) = after.split_at(after.find('\n').map_or(after.len(), |at| at + 1));
        if let Some(path) = line_marker(line) {
            let becomes = is_own(path);
            if becomes != own {
                let _ = if becomes {
                    writeln!(output, "namespace {namespace} {{")
                } else {
                    writeln!(output, "}}")
                };
                own = becomes;
            }
            output.push_str(line);
        } else {
            output.push_str(&pragma(line));
        }
        rest = after;
    }
    if own {
        output.push_str("\n}\n");
    }
    let _ = writeln!(output, "namespace {namespace} {{");
    for Entry { name, largest_block, least_blocks } in &kernels {
        let _ = writeln!(
            output,
            "static const emulator::Registration registration_{name}(\
             emulator::Entry<{name}>::kernel(\"{name}\", ({largest_block}), ({least_blocks}), {architectures}));"
        );
    }
    output.push_str("}\n");
    Ok(Rewritten { text: output, kernels: kernels.into_iter().map(|entry| entry.name).collect() })
}

struct Entry {
    name: String,
    /// The arguments of `__launch_bounds__`.
    largest_block: String,
    least_blocks: String,
}

/// The path of a line such as `# 12 "kernels/gemm.cu" 2`.
fn line_marker(line: &str) -> Option<&str> {
    let after_number = line.strip_prefix("# ")?.trim_start_matches(|c: char| c.is_ascii_digit());
    after_number.strip_prefix(" \"")?.split('"').next()
}

/// `#pragma unroll` without a number unrolls whatever has a constant number of turns; so does one with a macro,
/// which the preprocessor leaves as it is.
fn pragma(line: &str) -> String {
    let Some(count) = line.trim().strip_prefix("#pragma unroll") else { return line.into() };
    let count: u32 =
        count.trim_matches(|c: char| c.is_whitespace() || c == '(' || c == ')').parse().unwrap_or(64);
    format!("#pragma GCC unroll {count}\n")
}

fn rewrite_code(
    code: &str,
    any_entry: bool,
    output: &mut String,
    kernels: &mut Vec<Entry>,
) -> Result<(), String> {
    let mut rest = code;
    while let Some(at) = next_word(rest, &["__shared__", "__global__", "extern", "__launch_bounds__"]) {
        let (before, found) = rest.split_at(at);
        output.push_str(&without_storage(before));
        let plain = || after_words(found, &["__global__"]).filter(|_| any_entry);
        let taken = if let Some(head) = after_words(found, &["extern", "\"C\"", "__global__"]).or_else(plain)
        {
            let (entry, length) = entry(&found[head..])?;
            let lines = newlines(&found[..head + length]);
            let _ = write!(output, "{lines}static void {}", entry.name);
            // A declaration, then the definition, are one kernel.
            if kernels.iter().all(|known| known.name != entry.name) {
                kernels.push(entry);
            }
            head + length
        } else if let Some(head) = after_words(found, &["extern", "__shared__"]) {
            let (declared, length) = declarations(&found[head..])?;
            output.push_str(&newlines(&found[..head + length]));
            for Declaration { of, name, alignment, .. } in declared {
                let alignment = alignment.unwrap_or(format!("alignof({of})"));
                let _ = write!(
                    output,
                    "{of}* {name} = static_cast<{of}*>(emulator::dynamic_shared({alignment}));"
                );
            }
            head + length
        } else if let Some(head) = after_words(found, &["__shared__"]) {
            let (declared, length) = declarations(&found[head..])?;
            output.push_str(&newlines(&found[..head + length]));
            for Declaration { of, name, extents, alignment } in declared {
                let _ = write!(
                    output,
                    "static char site_of_{name}; using type_of_{name} = {of}{extents}; \
                     type_of_{name}& {name} = *static_cast<type_of_{name}*>(emulator::shared_variable(\
                     &site_of_{name}, sizeof(type_of_{name}), {}, \"{name}\"));",
                    alignment.unwrap_or(format!("alignof(type_of_{name})"))
                );
            }
            head + length
        } else if found.starts_with("extern") {
            output.push_str("extern");
            "extern".len()
        } else {
            let line: String = found.chars().take_while(|&c| c != '\n').collect();
            return Err(format!("an entry is written `extern \"C\" __global__ void name(...)`, not: {line}"));
        };
        rest = &found[taken..];
    }
    output.push_str(rest);
    Ok(())
}

/// The text without `static` and `volatile` at its end: what is written in place of `__shared__` and `__global__` is static
/// already, and threads give way only where they meet, so that there is nothing for `volatile` to forbid.
fn without_storage(text: &str) -> String {
    let mut kept = text;
    for word in ["volatile", "static", "volatile"] {
        kept = kept.trim_end().strip_suffix(word).filter(|before| !before.ends_with(is_word)).unwrap_or(kept);
    }
    kept.to_owned() + &newlines(&text[kept.len()..])
}

/// From after `__global__` to before the parameters: `void __launch_bounds__(256, 2) name`.
fn entry(text: &str) -> Result<(Entry, usize), String> {
    let (mut largest_block, mut least_blocks) = ("1024".to_owned(), "1".to_owned());
    let mut at = 0;
    let mut name = None;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        let word: String = text[at..].chars().take_while(|&c| is_word(c)).collect();
        match word.as_str() {
            "" => break,
            "void" => at += word.len(),
            "__launch_bounds__" => {
                let inside = parenthesis(&text[at + word.len()..])?;
                largest_block = first_argument(inside).to_owned();
                let after =
                    inside[inside.find(&largest_block).unwrap_or(0) + largest_block.len()..].trim_start();
                if let Some(second) = after.strip_prefix(',') {
                    least_blocks = first_argument(second).to_owned();
                }
                at += word.len() + text[at + word.len()..].find('(').unwrap_or(0) + inside.len() + 2;
            }
            _ => {
                at += word.len();
                name = Some(word);
            }
        }
    }
    match name {
        Some(name) if text[at..].starts_with('(') => Ok((Entry { name, largest_block, least_blocks }, at)),
        _ => Err(format!("cannot read the entry: {}", text.lines().next().unwrap_or(""))),
    }
}

/// A variable that is declared.
struct Declaration {
    of: String,
    name: String,
    extents: String,
    alignment: Option<String>,
}

/// What a declaration declares, up to and with its semicolon: `float a[2][N], b[4];` two variables of one type.
fn declarations(text: &str) -> Result<(Vec<Declaration>, usize), String> {
    let broken = || format!("cannot read the shared variables: {}", text.lines().next().unwrap_or(""));
    let end = text.find(';').ok_or_else(broken)?;
    let mut words = text[..end].split_whitespace().collect::<Vec<_>>().join(" ");
    let mut alignment = None;
    for keyword in ["alignas", "__attribute__"] {
        while let Some(start) = words.find(keyword) {
            let inside = parenthesis(&words[start..])?.to_owned();
            // `__attribute__((aligned(16)))` has it two parentheses further in.
            let of = if keyword == "alignas" { &inside } else { parenthesis(parenthesis(&inside)?)? };
            alignment = Some(of.trim().to_owned());
            let whole = words[start..].find('(').unwrap_or(0) + inside.len() + 2;
            words.replace_range(start..start + whole, "");
        }
    }
    if words.contains('=') {
        return Err(format!("a shared variable cannot be initialised: {words};"));
    }
    let mut declared: Vec<Declaration> = Vec::new();
    let mut rest = words.as_str();
    while !rest.is_empty() {
        let one = first_argument(rest);
        rest = rest[rest.find(one).unwrap_or(0) + one.len()..].trim_start().strip_prefix(',').unwrap_or("");
        let (before, extents) = one.split_at(one.find('[').unwrap_or(one.len()));
        let before = before.trim();
        let start = before.rfind(|c: char| !is_word(c)).map_or(0, |at| at + 1);
        let of = match declared.first() {
            None => before[..start].trim().to_owned(),
            Some(first) if start == 0 => first.of.clone(),
            Some(_) => return Err(broken()),
        };
        let name = before[start..].to_owned();
        if of.is_empty() || name.is_empty() {
            return Err(broken());
        }
        let extents = extents.trim().to_owned();
        declared.push(Declaration { of, name, extents, alignment: alignment.clone() });
    }
    if declared.is_empty() { Err(broken()) } else { Ok((declared, end + 1)) }
}

/// What stands between the first parenthesis and its partner.
fn parenthesis(text: &str) -> Result<&str, String> {
    let start = text.find('(').ok_or("a parenthesis is missing")? + 1;
    let mut depth = 1;
    for (at, c) in text[start..].char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok(&text[start..start + at]);
        }
    }
    Err("a parenthesis is not closed".into())
}

fn first_argument(arguments: &str) -> &str {
    let mut depth = 0;
    let end = arguments.find(|c| {
        match c {
            '(' | '<' => depth += 1,
            ')' | '>' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    arguments[..end.unwrap_or(arguments.len())].trim()
}

/// As many line ends as the text has, so that what follows stays on its line.
fn newlines(text: &str) -> String {
    "\n".repeat(text.matches('\n').count())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where one of the words stands next, string literals passed over.
fn next_word(text: &str, words: &[&str]) -> Option<usize> {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c == '"' || c == '\'' && !text[..at].ends_with(|c: char| c.is_ascii_hexdigit()) {
            at += 1;
            while let Some(inner) = text[at..].chars().next() {
                at += inner.len_utf8();
                match inner {
                    '\\' => at += text[at..].chars().next().map_or(0, char::len_utf8),
                    _ if inner == c => break,
                    _ => {}
                }
            }
        } else if is_word(c) {
            let word = &text[at..at + text[at..].find(|c| !is_word(c)).unwrap_or(text.len() - at)];
            if words.contains(&word) {
                return Some(at);
            }
            at += word.len();
        } else {
            at += c.len_utf8();
        }
    }
    None
}

/// If the text begins with these words, the length of them and the space between.
fn after_words(text: &str, words: &[&str]) -> Option<usize> {
    let mut at = 0;
    for word in words {
        at += text[at..].len() - text[at..].trim_start().len();
        let rest = text[at..].strip_prefix(word)?;
        if word.ends_with(is_word) && rest.starts_with(is_word) {
            return None;
        }
        at += word.len();
    }
    Some(at)
}

/// One file of the kernels, as the preprocessor hands it over.
#[cfg(test)]
fn of_kernel(code: &str) -> Result<Rewritten, String> {
    let rules = Rules { namespace: "sm_80", architectures: 6, any_entry: false };
    rewrite(&format!("# 1 \"kernels/a.cu\"\n{code}"), &in_kernels, &rules)
}

#[cfg(test)]
fn in_kernels(path: &str) -> bool {
    path.starts_with("kernels/")
}

#[test]
fn entries_become_static_functions_and_are_registered() {
    let code = "extern \"C\" __global__ void __launch_bounds__(THREADS * (1 + 1), 2)\n    scale(float* x, int n) {}\n\
                extern \"C\" __global__ void plain(int n) { }\n";
    let Rewritten { text, kernels } = of_kernel(code).unwrap();
    assert_eq!(kernels, ["scale", "plain"]);
    assert!(
        text.contains("\nstatic void scale(float* x, int n) {}\nstatic void plain(int n) { }\n"),
        "{text}"
    );
    assert!(text.contains("Entry<scale>::kernel(\"scale\", (THREADS * (1 + 1)), (2), 6)"), "{text}");
    assert!(text.contains("Entry<plain>::kernel(\"plain\", (1024), (1), 6)"), "{text}");
}

#[test]
fn shared_variables_become_references_into_the_arena() {
    let text =
        of_kernel("void f() { __shared__ alignas(16) Pair<A, B> tile[2][N + 1]; __shared__ int flag; }\n")
            .unwrap()
            .text;
    assert!(text.contains("using type_of_tile = Pair<A, B>[2][N + 1]; type_of_tile& tile ="), "{text}");
    assert!(text.contains("sizeof(type_of_tile), 16, \"tile\")"), "{text}");
    assert!(text.contains("using type_of_flag = int; "), "{text}");
    assert!(text.contains("alignof(type_of_flag)"), "{text}");
    let text = of_kernel("void f() { __shared__ alignas(2 * ATOM) char a[4]; __shared__ __attribute__((aligned(ATOM))) char b[4]; }\n")
        .unwrap()
        .text;
    assert!(text.contains("sizeof(type_of_a), 2 * ATOM, \"a\")"), "{text}");
    assert!(text.contains("sizeof(type_of_b), ATOM, \"b\")"), "{text}");
    let text = of_kernel("void f() { extern __shared__ float dynamic[]; }\n").unwrap().text;
    let expected = "{ float* dynamic = static_cast<float*>(emulator::dynamic_shared(alignof(float))); }";
    assert!(text.contains(expected), "{text}");
    let text = of_kernel("void f() { extern __shared__ alignas(1024) char stages[]; }\n").unwrap().text;
    assert!(text.contains("char* stages = static_cast<char*>(emulator::dynamic_shared(1024));"), "{text}");
}

#[test]
fn one_declaration_may_have_several_shared_variables() {
    let text = of_kernel("void f() { __shared__ Pair<A, B> a[2][max(M, N)], b, c[3]; }\n").unwrap().text;
    assert!(text.contains("using type_of_a = Pair<A, B>[2][max(M, N)]; "), "{text}");
    assert!(text.contains("using type_of_b = Pair<A, B>; "), "{text}");
    assert!(text.contains("using type_of_c = Pair<A, B>[3]; "), "{text}");
}

#[test]
fn shared_variables_may_be_static_and_volatile() {
    let text = of_kernel(
        "void f() { static\n__shared__ float a[2]; volatile __shared__ float b; int nonstatic; }\n",
    )
    .unwrap()
    .text;
    assert!(text.contains("void f() { \nstatic char site_of_a; "), "{text}");
    assert!(text.contains("; static char site_of_b; ") && text.contains("int nonstatic; }"), "{text}");
}

#[test]
fn others_entries_need_no_extern_c_and_may_be_declared_before() {
    let code = "# 1 \"kernels/a.cu\"\n__global__ void f(int n);\n__global__ void f(int n) {}\n";
    let rules = Rules { namespace: "sm_80", architectures: 2, any_entry: true };
    let Rewritten { text, kernels } = rewrite(code, &in_kernels, &rules).unwrap();
    assert_eq!(kernels, ["f"]);
    assert!(text.contains("\nstatic void f(int n);\nstatic void f(int n) {}\n"), "{text}");
}

#[test]
fn lines_keep_their_numbers() {
    let code =
        "int a;\n__shared__\nfloat\n  x[4];\nint b;\nextern \"C\"\n__global__ void\nf(int n) {}\nint c;\n";
    let text = of_kernel(code).unwrap().text;
    let lines: Vec<&str> = text.lines().skip_while(|line| *line != "# 1 \"kernels/a.cu\"").collect();
    assert_eq!((lines[1], lines[5], lines[9]), ("int a;", "int b;", "int c;"), "{text}");
    assert!(lines[8].starts_with("static void f(int n)"), "{text}");
}

#[test]
fn only_the_kernels_own_files_are_rewritten_and_put_into_the_namespace() {
    let text = "# 1 \"kernels/a.cu\"\nint a;\n# 1 \"/usr/include/x.h\" 1\nextern int __shared__;\n# 2 \"kernels/a.cu\" 2\nint b;\n";
    let rules = Rules { namespace: "sm_75", architectures: 1, any_entry: false };
    let rewritten = rewrite(text, &in_kernels, &rules).unwrap().text;
    let expected = "namespace sm_75 {\n# 1 \"kernels/a.cu\"\nint a;\n}\n# 1 \"/usr/include/x.h\" 1\nextern int __shared__;\n\
                    namespace sm_75 {\n# 2 \"kernels/a.cu\" 2\nint b;\n\n}\n";
    assert!(rewritten.starts_with(expected), "{rewritten}");
}

#[test]
fn words_in_strings_and_longer_words_stay() {
    let code = "const char* a = \"__shared__ \\\" x;\"; char q = '\"'; int my__shared__x; extern int y; int z = 1'000;\n";
    assert!(of_kernel(code).unwrap().text.contains(code));
}

#[test]
fn loops_are_unrolled_by_the_host_compilers_pragma() {
    let text = of_kernel("#pragma unroll\nfor (;;) {}\n#pragma unroll (4)\nfor (;;) {}\n#pragma unroll TILE\nfor (;;) {}\n#pragma GCC ivdep\n")
        .unwrap()
        .text;
    assert!(
        text.contains(
            "#pragma GCC unroll 64\nfor (;;) {}\n#pragma GCC unroll 4\nfor (;;) {}\n#pragma GCC unroll 64\nfor (;;) {}\n#pragma GCC ivdep\n"
        ),
        "{text}"
    );
}

#[test]
fn what_cannot_be_rewritten_is_said() {
    let error = |code| of_kernel(code).unwrap_err();
    assert!(error("__global__ void f() {}\n").contains("extern \"C\" __global__"));
    assert!(error("__shared__ float a[2] = {};\n").contains("cannot be initialised"));
    assert!(error("__shared__ float a[2], *b;\n").contains("cannot read the shared variables"));
    assert!(error("extern \"C\" __global__ int;\n").contains("cannot read the entry"));
}
