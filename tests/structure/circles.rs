//! The shortest circle among imports.

use std::collections::{HashMap, VecDeque};

use super::imports::Import;

/// A shortest circle, as the imports that lead around it.
pub fn shortest(imports: &[Import]) -> Option<Vec<&Import>> {
    let mut out: HashMap<&str, Vec<&Import>> = HashMap::new();
    for import in imports {
        out.entry(&import.from).or_default().push(import);
    }
    let mut starts: Vec<_> = out.keys().copied().collect();
    starts.sort_unstable();
    starts.into_iter().filter_map(|start| around(&out, start)).min_by_key(Vec::len)
}

/// A shortest way from a file back to itself.
fn around<'a>(out: &HashMap<&str, Vec<&'a Import>>, start: &str) -> Option<Vec<&'a Import>> {
    let mut came_by: HashMap<&str, &Import> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(file) = queue.pop_front() {
        for &import in out.get(file).into_iter().flatten() {
            if came_by.contains_key(import.to.as_str()) {
                continue;
            }
            came_by.insert(&import.to, import);
            if import.to == start {
                let mut way = vec![import];
                while way[0].from != start {
                    way.insert(0, came_by[way[0].from.as_str()]);
                }
                return Some(way);
            }
            queue.push_back(&import.to);
        }
    }
    None
}
