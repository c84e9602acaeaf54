//! What one file says: the names of its modules, what they import, and the paths in their code.
//!
//! Whatever is compiled for tests alone is passed over.

use std::collections::HashMap;

use super::tokens::{Token, is_of_name, tokens};

/// What a name means in the module that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// Defined in the module.
    Item,
    /// A `macro_rules!`, which the modules below see without a path.
    Macro,
    /// A module below, in a file of its own or in braces.
    Module,
    /// Imported by this path.
    Import(Vec<String>),
}

/// A path in the code of a module.
#[derive(Debug)]
pub struct Mention {
    pub path: Vec<String>,
    pub line: usize,
    /// The name that a `use` gives it.
    pub import: Option<String>,
}

/// A module: a file's, or one in braces within it.
#[derive(Debug, Default)]
pub struct Module {
    /// Below the file's own module.
    pub within: Vec<String>,
    pub names: HashMap<String, Vec<Meaning>>,
    pub globs: Vec<Vec<String>>,
    pub mentions: Vec<Mention>,
    /// The modules whose text is another file's.
    pub files: Vec<String>,
}

/// The modules of a file, its own first.
pub fn modules(text: &str) -> Vec<Module> {
    let tokens = tokens(text);
    let mut reader = Reader { tokens: &tokens, at: 0, modules: Vec::new() };
    reader.module(Vec::new());
    reader.modules
}

struct Reader<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    modules: Vec<Module>,
}

impl<'a> Reader<'a> {
    /// The text `ahead` tokens further on; nothing past the end.
    fn text(&self, ahead: usize) -> &'a str {
        self.tokens.get(self.at + ahead).map_or("", |token| token.text)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |token| token.line)
    }

    /// Read a module to its closing brace, or to the end of the file.
    fn module(&mut self, within: Vec<String>) {
        let number = self.modules.len();
        self.modules.push(Module { within, ..Module::default() });
        let mut depth = 0;
        while self.at < self.tokens.len() {
            let (text, next) = (self.text(0), self.text(1));
            match text {
                "{" => depth += 1,
                "}" if depth == 0 => return,
                "}" => depth -= 1,
                "#" if next == "[" && self.is_for_tests() => {
                    self.skip_item();
                    continue;
                }
                "pub" if next == "(" => {
                    self.at += 1;
                    self.skip_group();
                    continue;
                }
                "use" => {
                    self.at += 1;
                    self.tree(number, &[]);
                    continue;
                }
                "mod" if is_name(next) => {
                    self.name(number, next, Meaning::Module);
                    if self.text(2) == ";" {
                        self.modules[number].files.push(next.into());
                    } else {
                        self.at += 3;
                        let within = [self.modules[number].within.as_slice(), &[next.into()]].concat();
                        self.module(within);
                    }
                }
                "macro_rules" if next == "!" => self.name(number, self.text(2), Meaning::Macro),
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union"
                    if depth == 0 && is_name(next) =>
                {
                    self.name(number, next, Meaning::Item);
                }
                _ if is_name(text) && next == "::" && self.begins_path() => {
                    self.path(number);
                    continue;
                }
                _ if is_name(text) && next == "!" && self.text(2) != "=" && self.begins_path() => {
                    let mention = Mention { path: vec![text.into()], line: self.line(), import: None };
                    self.modules[number].mentions.push(mention);
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    fn name(&mut self, module: usize, name: &str, meaning: Meaning) {
        self.modules[module].names.entry(name.into()).or_default().push(meaning);
    }

    fn before(&self) -> &'a str {
        self.at.checked_sub(1).map_or("", |before| self.tokens[before].text)
    }

    fn begins_path(&self) -> bool {
        !["::", "."].contains(&self.before())
    }

    /// A path in code, such as `crate::graph::Graph` or `files::read`.
    fn path(&mut self, module: usize) {
        let line = self.line();
        let mut path = vec![self.text(0).to_owned()];
        self.at += 1;
        while self.text(0) == "::" && is_name(self.text(1)) {
            path.push(self.text(1).into());
            self.at += 2;
        }
        self.modules[module].mentions.push(Mention { path, line, import: None });
    }

    /// The tree of a `use` below `prefix`, to its comma, brace or semicolon.
    fn tree(&mut self, module: usize, prefix: &[String]) {
        let line = self.line();
        let mut path = prefix.to_vec();
        loop {
            match self.text(0) {
                "::" => self.at += 1,
                "{" => {
                    self.at += 1;
                    while !["}", ""].contains(&self.text(0)) {
                        self.tree(module, &path);
                        if self.text(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "*" => {
                    self.at += 1;
                    self.modules[module].globs.push(path.clone());
                    self.modules[module].mentions.push(Mention { path, line, import: Some("*".into()) });
                    return;
                }
                name if is_name(name) && name != "as" => {
                    // `use a::{self}` means `a`.
                    if name != "self" || path.is_empty() {
                        path.push(name.into());
                    }
                    self.at += 1;
                }
                _ => break,
            }
        }
        let mut name = path.last().cloned().unwrap_or_default();
        if self.text(0) == "as" {
            name = self.text(1).into();
            self.at += 2;
        }
        self.name(module, &name, Meaning::Import(path.clone()));
        self.modules[module].mentions.push(Mention { path, line, import: Some(name) });
    }

    /// Whether the attribute here leaves what follows out of everything but tests.
    fn is_for_tests(&self) -> bool {
        let attribute = &self.tokens[self.at..self.at + group(&self.tokens[self.at + 1..]) + 1];
        let says = |name| attribute.iter().any(|token| token.text == name);
        says("cfg") && (says("test") || says("doctest")) && !says("not")
    }

    fn skip_group(&mut self) {
        self.at += group(&self.tokens[self.at..]);
    }

    /// Pass over attributes and the item or statement that they belong to.
    fn skip_item(&mut self) {
        while self.text(0) == "#" {
            self.at += 1;
            self.skip_group();
        }
        let is_braced = (0..4).any(|ahead| {
            ["fn", "impl", "mod", "struct", "enum", "trait", "macro_rules"].contains(&self.text(ahead))
        });
        loop {
            match self.text(0) {
                "" | "}" => return,
                ";" => {
                    self.at += 1;
                    return;
                }
                "," if !is_braced => {
                    self.at += 1;
                    return;
                }
                "{" if is_braced => {
                    self.skip_group();
                    return;
                }
                "{" | "(" | "[" => self.skip_group(),
                _ => self.at += 1,
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(is_of_name)
}

/// How many tokens the bracket that `tokens` begin with holds, itself and its end counted.
fn group(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

impl Mention {
    /// What this path leads through: the name that it begins with.
    pub fn first(&self) -> Option<&str> {
        self.path.first().filter(|_| self.path.len() > 1).map(String::as_str)
    }
}
