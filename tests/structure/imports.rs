//! Which file uses what of which other one.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::source::{Meaning, Mention, Module, modules};

/// The files of a crate by their path below `src/`, with their text.
pub type Files = BTreeMap<String, String>;

/// One use of another file's item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    pub from: String,
    pub line: usize,
    /// As it is written there.
    pub path: String,
    /// The file that defines it.
    pub to: String,
}

/// Every import among the files that `roots` (`lib.rs`, `main.rs`) lead to.
pub fn imports(files: &Files, roots: &[&str]) -> Vec<Import> {
    let mut tree = Tree::default();
    for root in roots {
        let name = if *root == "lib.rs" { "cotangent" } else { *root };
        tree.add(files, root, &[name.to_owned()]);
    }
    tree.imports()
}

/// All modules by their full path, which begins with their crate.
#[derive(Default)]
struct Tree {
    modules: HashMap<Vec<String>, Placed>,
    order: Vec<Vec<String>>,
}

struct Placed {
    module: Module,
    file: String,
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// An item, or something of it, defined in this file.
    Item(String),
    Module(Vec<String>),
}

/// The names that were looked up on the way, and where: an import that leads to itself means nothing of ours.
type Seen = HashSet<(Vec<String>, String, bool)>;

impl Tree {
    fn add(&mut self, files: &Files, file: &str, path: &[String]) {
        let text = files.get(file).unwrap_or_else(|| panic!("no file {file}"));
        for module in modules(text) {
            let full = [path, &module.within].concat();
            for child in &module.files {
                let below = [full.as_slice(), std::slice::from_ref(child)].concat();
                let stem = below[1..].join("/");
                let single = format!("{stem}.rs");
                let child = if files.contains_key(&single) { single } else { format!("{stem}/mod.rs") };
                self.add(files, &child, &below);
            }
            self.order.push(full.clone());
            self.modules.insert(full, Placed { module, file: file.into() });
        }
    }

    fn imports(&self) -> Vec<Import> {
        let mut imports = Vec::new();
        for path in &self.order {
            let Placed { module, file } = &self.modules[path];
            // A module that is imported stands for what is used through it.
            let through: HashSet<&str> = module.mentions.iter().filter_map(Mention::first).collect();
            for mention in &module.mentions {
                let to = match self.find(path, &mention.path, &mut Seen::new()) {
                    Some(Found::Item(to)) => to,
                    Some(Found::Module(found)) => match mention.import.as_deref() {
                        Some(name) if through.contains(name) => continue,
                        _ => self.modules[&found].file.clone(),
                    },
                    None => continue,
                };
                if to != *file {
                    let (from, line) = (file.clone(), mention.line);
                    imports.push(Import { from, line, path: mention.path.join("::"), to });
                }
            }
        }
        imports
    }

    /// What `path` means within the module `here`: nothing where it leads out of these crates.
    fn find(&self, here: &[String], path: &[String], seen: &mut Seen) -> Option<Found> {
        let mut module = here.to_vec();
        let mut rest = path;
        let mut is_ours = true;
        match path.first()?.as_str() {
            "crate" => module.truncate(1),
            "cotangent" => module = vec!["cotangent".into()],
            "self" => {}
            "super" => {
                while let Some(("super", after)) =
                    rest.split_first().map(|(name, after)| (name.as_str(), after))
                {
                    module.pop();
                    rest = after;
                }
                return self.below(module, rest, seen, true);
            }
            _ => is_ours = false,
        }
        self.below(module, if is_ours { &rest[1..] } else { rest }, seen, is_ours)
    }

    fn below(
        &self,
        mut module: Vec<String>,
        mut rest: &[String],
        seen: &mut Seen,
        is_ours: bool,
    ) -> Option<Found> {
        let mut is_ours = is_ours;
        while let Some((name, after)) = rest.split_first() {
            match self.meaning(&module, name, after.is_empty(), seen) {
                Some(Found::Module(next)) => module = next,
                Some(found) => return Some(found),
                // Made by a macro, perhaps: it is the module's own.
                None if is_ours => return Some(Found::Item(self.modules.get(&module)?.file.clone())),
                None => return None,
            }
            is_ours = true;
            rest = after;
        }
        Some(Found::Module(module))
    }

    /// What a name means in a module; in the middle of a path, a module comes before an item of the same name.
    fn meaning(&self, path: &[String], name: &str, is_last: bool, seen: &mut Seen) -> Option<Found> {
        if !seen.insert((path.to_vec(), name.to_owned(), is_last)) {
            return None;
        }
        let Placed { module, file } = self.modules.get(path)?;
        let mut found: Vec<Found> = Vec::new();
        for meaning in module.names.get(name).into_iter().flatten() {
            found.extend(match meaning {
                Meaning::Item | Meaning::Macro => Some(Found::Item(file.clone())),
                Meaning::Module => Some(Found::Module([path, &[name.to_owned()]].concat())),
                Meaning::Import(import) if import.len() == 1 && import[0] == name => None,
                Meaning::Import(import) => self.find(path, import, seen),
            });
        }
        let is_module = |found: &Found| matches!(found, Found::Module(_));
        found.sort_by_key(|found| is_module(found) == is_last);
        if let Some(found) = found.into_iter().next() {
            return Some(found);
        }
        for glob in &module.globs {
            let below = match self.find(path, glob, seen) {
                Some(Found::Module(below)) if below != path => self.meaning(&below, name, is_last, seen),
                _ => None,
            };
            if below.is_some() {
                return below;
            }
        }
        self.macro_above(path, name)
    }

    fn macro_above(&self, path: &[String], name: &str) -> Option<Found> {
        let above = (1..path.len()).rev().filter_map(|length| self.modules.get(&path[..length]));
        let mut holders = above.filter(|above| {
            above.module.names.get(name).is_some_and(|meanings| meanings.contains(&Meaning::Macro))
        });
        holders.next().map(|holder| Found::Item(holder.file.clone()))
    }
}
