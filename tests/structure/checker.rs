//! The check on small trees whose circles are known.

use super::circles::shortest;
use super::imports::{Files, imports};

/// The shortest circle among these files, as `FILE:LINE PATH` a step.
fn circle(files: &[(&str, &str)]) -> Option<Vec<String>> {
    let files: Files = files.iter().map(|&(name, text)| (name.into(), text.into())).collect();
    let imports = imports(&files, &["lib.rs"]);
    let steps = shortest(&imports)?;
    Some(steps.iter().map(|step| format!("{}:{} {}", step.from, step.line, step.path)).collect())
}

fn steps(expected: &[&str]) -> Option<Vec<String>> {
    Some(expected.iter().map(|&step| step.to_owned()).collect())
}

#[test]
fn files_that_import_downwards_have_no_circle() {
    let found = circle(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; use std::fmt; fn a(b: B) { fmt::x(); let b = b.field::<B>(); }"),
        ("b.rs", "// use crate::a::a;\npub struct B; const S: &str = \"crate::a::a\";"),
    ]);
    assert_eq!(found, None);
}

#[test]
fn a_circle_through_a_re_export_is_found_between_the_files_that_define() {
    let found = circle(&[
        ("lib.rs", "mod top;"),
        ("top/mod.rs", "mod a; mod b; pub use a::A; pub use b::*;"),
        ("top/a.rs", "use super::{B, other::Nothing};\npub struct A(B);"),
        ("top/b.rs", "pub struct B;\nfn b(a: crate::top::A) {}"),
    ]);
    assert_eq!(found, steps(&["top/a.rs:1 super::B", "top/b.rs:2 crate::top::A"]));
}

#[test]
fn inline_paths_count_and_modules_stand_for_what_is_used_through_them() {
    let found = circle(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b;\nfn a() { b::deep::run() }"),
        ("b/mod.rs", "pub mod deep; use crate::c::C;"),
        (
            "b/deep.rs",
            "pub fn run() {}\nfn up() -> Result<self::super::super::c::C, ()> { Ok(cotangent::c::C::new()) }",
        ),
        ("c.rs", "pub struct C;\nimpl C { fn new() { crate::a::a() } }"),
    ]);
    assert_eq!(
        found,
        steps(&["a.rs:2 b::deep::run", "b/deep.rs:2 cotangent::c::C::new", "c.rs:2 crate::a::a"])
    );
}

#[test]
fn the_shortest_of_several_circles_is_found_wherever_it_begins() {
    let found = circle(&[
        ("lib.rs", "mod a; mod b; mod c; mod d; mod e;"),
        ("a.rs", "use crate::b::B; use crate::d::D; pub struct A;"),
        ("b.rs", "use crate::c::C; pub struct B;"),
        ("c.rs", "use crate::a::A; pub struct C;"),
        ("d.rs", "use crate::e::E; pub struct D;"),
        ("e.rs", "use crate::d::D; pub struct E;"),
    ]);
    assert_eq!(found, steps(&["d.rs:1 crate::e::E", "e.rs:1 crate::d::D"]));
}

#[test]
fn a_parent_and_its_child_make_a_circle() {
    let parent = "mod child;\npub const SIDE: usize = 4;\nfn all() { child::one() }";
    let child = |text| circle(&[("lib.rs", "mod parent;"), ("parent.rs", parent), ("parent/child.rs", text)]);
    assert_eq!(
        child("pub fn one() -> usize {\n super::SIDE }"),
        steps(&["parent.rs:3 child::one", "parent/child.rs:2 super::SIDE"])
    );
    assert_eq!(
        child("pub fn one() -> usize { SIDE }\nuse super::*;"),
        steps(&["parent.rs:3 child::one", "parent/child.rs:2 super"])
    );
    assert_eq!(child("pub(in crate::parent) fn one() -> usize { 4 }"), None);
}

#[test]
fn macros_count_where_they_are_used() {
    let found = circle(&[
        ("lib.rs", "mod a;"),
        ("a.rs", "macro_rules! each { () => { 1 } }\nmod below;\nfn a() { below::sum() }"),
        ("a/below.rs", "pub fn sum() -> u8 {\neach!() }"),
    ]);
    assert_eq!(found, steps(&["a.rs:3 below::sum", "a/below.rs:2 each"]));
}

#[test]
fn what_is_compiled_for_tests_alone_does_not_count() {
    let found = circle(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        (
            "b.rs",
            "pub struct B;
            #[cfg(test)] use crate::a::A;
            #[cfg(test)] impl B { fn a() -> crate::a::A { crate::a::A } }
            #[cfg(all(test, unix))] #[allow(dead_code)] mod tests { use crate::a::A; }
            #[cfg(test)] mod further;",
        ),
        ("b/further.rs", "use crate::a::A;"),
    ]);
    assert_eq!(found, None);
    let counts = circle(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        ("b.rs", "pub struct B;\n#[cfg(test)] mod tests { fn a() {} }\n#[cfg(not(test))]\nuse crate::a::A;"),
    ]);
    assert_eq!(counts, steps(&["a.rs:1 crate::b::B", "b.rs:4 crate::a::A"]));
}
