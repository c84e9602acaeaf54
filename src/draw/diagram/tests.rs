//! The order, the SVG document, which is read back, and the Graphviz source.

use super::super::testing::check;
use super::super::text;
use super::layers::Layers;
use super::order::{self, Random, permutations};
use super::samples::{random, single, square, textbook};
use super::*;

/// A few graphs of every kind.
fn all_kinds() -> Vec<Diagram> {
    let mut source = Random(5);
    let mut diagrams = vec![Diagram::default(), single(), square(), textbook()];
    diagrams.extend((0..12).map(|i| random(&mut source, 1 + i % 4, 3 * i)));
    diagrams.push(random(&mut source, 4, 60));
    diagrams
}

/// The crossings as defined: pairs of segments between the same layers, one above at the left and below
/// at the right.
fn crossings(layers: &[Vec<usize>], paths: &[Vec<usize>]) -> usize {
    let at = |item: usize| {
        layers.iter().enumerate().find_map(|(l, layer)| Some((l, layer.iter().position(|&i| i == item)?)))
    };
    let segments: Vec<_> = paths
        .iter()
        .flat_map(|path| path.windows(2))
        .map(|step| (at(step[0]).unwrap(), at(step[1]).unwrap()))
        .collect();
    let crosses = |a: &((usize, usize), (usize, usize)), b: &((usize, usize), (usize, usize))| {
        a.0.0 == b.0.0 && a.0.1 < b.0.1 && a.1.1 > b.1.1
    };
    segments.iter().map(|a| segments.iter().filter(|b| crosses(a, b)).count()).sum()
}

/// The fewest crossings over all orders of all layers.
fn fewest_crossings(layers: &[Vec<usize>], paths: &[Vec<usize>]) -> usize {
    let mut all = vec![Vec::new()];
    for layer in layers {
        let orders = permutations(layer);
        let longer = |start: &Vec<Vec<usize>>| -> Vec<Vec<Vec<usize>>> {
            orders.iter().map(|order| [start.clone(), vec![order.clone()]].concat()).collect()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all.iter().map(|layers| crossings(layers, paths)).min().unwrap()
}

#[test]
fn no_edges_cross_that_another_order_would_keep_apart() {
    let mut source = Random(11);
    let (mut compared, mut crossed, mut found_by_local_search) = (0, 0, 0);
    while compared < 150 {
        let (inputs, operations) = (1 + source.below(4), 2 + source.below(6));
        let diagram = random(&mut source, inputs, operations);
        let graph = diagram.graph();
        let given = Layers::in_given_order(&graph);
        let orders: usize = given.layers.iter().map(|layer| (1..=layer.len()).product::<usize>()).product();
        if !(2..=3000).contains(&orders) {
            continue;
        }
        let fewest = fewest_crossings(&given.layers, &given.paths);
        let found = Layers::of(&graph);
        assert_eq!(crossings(&found.layers, &found.paths), fewest, "{diagram:?}");
        compared += 1;
        crossed += usize::from(fewest > 0);
        let segments = order::Segments::of(&given.paths, given.items);
        let local = order::local_search(&given.layers, &segments);
        assert_eq!(segments.crossings(&local), crossings(&local, &given.paths));
        found_by_local_search += usize::from(crossings(&local, &given.paths) == fewest);
    }
    assert!(crossed >= 10, "only {crossed} graphs have crossings at all");
    assert!(found_by_local_search >= 145, "{found_by_local_search} of {compared}");
}

#[test]
fn large_graphs_are_ordered_within_bounds_and_better_than_given() {
    let diagram = random(&mut Random(2), 8, 400);
    let graph = diagram.graph();
    let (given, found) = (Layers::in_given_order(&graph), Layers::of(&graph));
    let segments = order::Segments::of(&given.paths, given.items);
    let (before, after) = (segments.crossings(&given.layers), segments.crossings(&found.layers));
    assert!(2 * after < before, "{before} crossings became {after}");
}

#[derive(Debug)]
struct Rect {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Rect {
    fn of(node: roxmltree::Node) -> Rect {
        let get = |name| node.attribute(name).unwrap_or("0").parse::<f64>().unwrap();
        let (left, top) = (get("x"), get("y"));
        Rect { left, top, right: left + get("width"), bottom: top + get("height") }
    }

    /// Whether a point lies inside, and not only on the outline.
    fn holds(&self, (x, y): (f64, f64)) -> bool {
        let inset = 0.6;
        (self.left + inset..self.right - inset).contains(&x)
            && (self.top + inset..self.bottom - inset).contains(&y)
    }
}

/// Points along a path of the commands M, H and C, close together.
fn points(d: &str) -> Vec<(f64, f64)> {
    let spaced = d.replace('M', " M ").replace('H', " H ").replace('C', " C ");
    let mut words = spaced.split_whitespace();
    let mut points: Vec<(f64, f64)> = Vec::new();
    while let Some(command) = words.next() {
        let mut next = || words.next().unwrap().parse::<f64>().unwrap();
        let (x, y) = points.last().copied().unwrap_or_default();
        let (c1, c2, end) = match command {
            "M" => {
                points.push((next(), next()));
                continue;
            }
            "H" => {
                let to = (next(), y);
                ((x, y), to, to)
            }
            "C" => ((next(), next()), (next(), next()), (next(), next())),
            other => panic!("{other} in {d}"),
        };
        for i in 1..=400 {
            let t = f64::from(i) / 400.0;
            let u = 1.0 - t;
            let bezier = |p: f64, q: f64, r: f64, s: f64| {
                u * u * u * p + 3.0 * u * u * t * q + 3.0 * u * t * t * r + t * t * t * s
            };
            points.push((bezier(x, c1.0, c2.0, end.0), bezier(y, c1.1, c2.1, end.1)));
        }
    }
    points
}

/// What a reader sees: names in boxes, and what the curves between them lead from and to, and the
/// label that lies on each.
fn read_svg(svg: &str) -> (Vec<String>, Vec<(String, String, String)>) {
    let xml = roxmltree::Document::parse(svg).unwrap();
    let of = |name: &'static str| {
        xml.descendants().filter(move |n| n.has_tag_name(("http://www.w3.org/2000/svg", name)))
    };
    let texts: Vec<((f64, f64), roxmltree::Node)> = of("text")
        .map(|n| {
            let get = |name| n.attribute(name).unwrap().parse::<f64>().unwrap();
            ((get("x"), get("y")), n)
        })
        .collect();
    let mut boxes = Vec::new();
    let mut grounds = Vec::new();
    for rect in of("rect") {
        let bounds = Rect::of(rect);
        let inside = texts.iter().filter(|(at, _)| bounds.holds(*at)).map(|(_, n)| *n);
        if rect.has_attribute("rx") {
            let name = inside.clone().find(|n| n.has_attribute("font-weight")).unwrap();
            boxes.push((name.text().unwrap_or_default().to_owned(), bounds));
        } else if rect.has_attribute("x") && !rect.has_attribute("ry") {
            let label = inside.clone().next().unwrap();
            grounds.push((label.text().unwrap().to_owned(), bounds));
        }
    }
    for (i, (name, a)) in boxes.iter().enumerate() {
        for (other, b) in &boxes[i + 1..] {
            let apart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
            assert!(apart, "{name} {a:?} and {other} {b:?}");
        }
    }
    let mut edges = Vec::new();
    for path in of("path").filter(|n| n.attribute("fill") == Some("none")) {
        let points = points(path.attribute("d").unwrap());
        for point in &points {
            for (name, bounds) in &boxes {
                assert!(!bounds.holds(*point), "an edge passes over {name} at {point:?}");
            }
        }
        let (start, end) = (points[0], points[points.len() - 1]);
        let is_source = |b: &Rect| (b.right - start.0).abs() < 0.02 && b.top < start.1 && start.1 < b.bottom;
        let is_target = |b: &Rect| {
            (b.left - style::ARROW + 1.0 - end.0).abs() < 0.02 && b.top < end.1 && end.1 < b.bottom
        };
        let name = |is: &dyn Fn(&Rect) -> bool| boxes.iter().find(|b| is(&b.1)).map(|b| b.0.clone()).unwrap();
        let on_it: Vec<_> = grounds.iter().filter(|g| points.iter().any(|p| g.1.holds(*p))).collect();
        assert!(on_it.len() <= 1, "an edge under the labels {on_it:?}");
        let label = on_it.first().map_or(String::new(), |g| g.0.clone());
        edges.push((name(&is_source), name(&is_target), label));
    }
    edges.sort();
    (boxes.into_iter().map(|b| b.0).collect(), edges)
}

#[test]
fn the_document_says_what_the_graph_says() {
    for diagram in all_kinds() {
        let svg = diagram.svg();
        let drawn = check(&svg);
        let (mut names, edges) = read_svg(&svg);
        let mut expected: Vec<_> = diagram
            .edges
            .iter()
            .map(|e| (diagram.nodes[e.from].name.clone(), diagram.nodes[e.to].name.clone(), e.label.clone()))
            .collect();
        expected.sort();
        assert_eq!(edges, expected);
        let mut expected: Vec<_> = diagram.nodes.iter().map(|node| node.name.clone()).collect();
        names.sort();
        expected.sort();
        assert_eq!(names, expected);
        for node in &diagram.nodes {
            let definition = format!("= {}", node.definition);
            for text in [&definition, &node.value, &node.adjoint] {
                assert!(drawn.says(text), "{text} is missing");
            }
        }
    }
}

#[test]
fn the_page_is_as_high_as_what_is_on_it() {
    for operations in 0..20 {
        // x, x·x, (x·x)·x, …: nothing balances the bends on one side
        let mut diagram = random(&mut Random(1), 1, operations);
        diagram.edges.clear();
        for to in 1..=operations {
            diagram.edges.extend([0, to - 1].map(|from| DiagramEdge { from, to, label: String::new() }));
        }
        let svg = diagram.svg();
        check(&svg);
        let xml = roxmltree::Document::parse(&svg).unwrap();
        let boxes: Vec<_> = xml.descendants().filter(|n| n.has_attribute("rx")).map(Rect::of).collect();
        let top = boxes.iter().map(|b| b.top).fold(f64::INFINITY, f64::min);
        let bottom = boxes.iter().map(|b| b.bottom).fold(0.0, f64::max);
        let height: f64 = xml.root_element().attribute("height").unwrap().parse().unwrap();
        assert!(top < 130.0 && height - bottom < 90.0, "boxes from {top} to {bottom} on a page of {height}");
    }
}

#[test]
fn empty_and_endless_texts_fit() {
    for text in ["", "a·b + ".repeat(40).as_str()] {
        let mut diagram = textbook();
        for node in &mut diagram.nodes {
            (node.definition, node.value, node.adjoint) = (text.to_owned(), text.to_owned(), text.to_owned());
        }
        diagram.edges.iter_mut().for_each(|edge| edge.label = text.to_owned());
        (diagram.title, diagram.subtitle) = (text.to_owned(), Some(text.to_owned()));
        check(&diagram.svg());
        assert!(diagram.boxes(1000).is_some());
        assert_eq!(diagram.lifelines().lines().count(), 9);
    }
}

#[test]
fn inputs_whose_names_differ_anywhere_have_labels_that_do() {
    let ends = ["velocity_of_the_heavier_first_A", "velocity_of_the_heavier_first_B"];
    let middles =
        ["a_velocity_of_the_heavier_first_body_A_of_all", "a_velocity_of_the_heavier_first_body_B_of_all"]
            .map(|name| format!("{name}_that_move_around_it_as_fast_as_they_can"));
    let spelled = ["日本語一", "日本語二"].map(text::spelled);
    for names in [ends.map(String::from), middles, spelled] {
        let mut diagram = textbook();
        diagram.nodes.iter_mut().zip(&names).for_each(|(node, name)| node.definition.clone_from(name));
        let of_inputs = |lines: Vec<String>| {
            let cut: Vec<String> = lines.into_iter().filter(|line| line.contains('…')).collect();
            assert!(cut.len() <= 2, "{cut:?}");
            let definitions: Vec<&str> =
                cut.iter().filter_map(|line| line.split_once("= ")?.1.split("  ").next()).collect();
            assert!(definitions.len() < 2 || definitions[0] != definitions[1], "{definitions:?}");
        };
        of_inputs(check(&diagram.svg()).texts);
        of_inputs(diagram.boxes(1000).unwrap().lines().map(str::to_owned).collect());
        of_inputs(diagram.lifelines().lines().map(str::to_owned).collect());
    }
}

#[test]
fn all_texts_are_readable_on_the_ground_of_their_box() {
    use super::super::colour::INK;
    for kind in [DiagramKind::Input, DiagramKind::Inner, DiagramKind::Output] {
        for colour in [INK, style::VALUE.fill, style::ADJOINT.fill] {
            let ground = style::ground(kind);
            for ratio in [ground.light().contrast(colour), ground.dark().contrast(colour.dark())] {
                assert!(ratio >= 4.5, "{colour} on {kind:?}: {ratio:.2}");
            }
        }
    }
}

#[test]
fn edges_to_nowhere_and_in_circles_are_left_out() {
    let mut diagram = textbook();
    let sound = diagram.edges.clone();
    // to no node, to itself, and from the result back to v3, which is computed earlier
    for (from, to) in [(0, 99), (99, 0), (4, 4), (8, 5)] {
        diagram.edges.push(DiagramEdge { from, to, label: "wrong".to_owned() });
    }
    let kept: Vec<_> = diagram.graph().edges.into_iter().cloned().collect();
    assert_eq!(kept, sound);
    for drawing in [diagram.svg(), diagram.dot(), diagram.boxes(1000).unwrap(), diagram.lifelines()] {
        assert!(!drawing.contains("wrong"));
    }
}

#[test]
fn graphviz_gets_escaped_strings_and_every_edge() {
    let mut diagram = square();
    diagram.nodes[0].definition = "\"x\\N\"\nnode".to_owned();
    let dot = diagram.dot();
    assert!(dot.starts_with("digraph {\n    rankdir=LR;\n"), "{dot}");
    assert!(dot.contains("n0 [label=\"v0 = \\\"x\\\\N\\\" node\\n0.9093\\nv\u{304}0 = 0.5000\""), "{dot}");
    assert!(dot.contains("    n0 -> n1 [label=\"-2.0000\"];\n    n0 -> n1 [label=\"-0.6289\"];\n"), "{dot}");
    assert!(dot.ends_with("}\n"));
}

#[test]
fn drawings_in_characters_line_up_whatever_the_letters() {
    let named = |names: [&str; 2]| {
        let mut diagram = textbook();
        diagram.nodes.iter_mut().zip(names).for_each(|(node, name)| node.definition = name.to_owned());
        diagram
    };
    let (wide, narrow) = (named(["日本", "x\u{301}🦀"]), named(["abcd", "efg"]));
    let drawings = |of: &Diagram| [of.lifelines(), of.boxes(1000).unwrap()];
    for (wide, narrow) in drawings(&wide).into_iter().zip(drawings(&narrow)) {
        let replaced = wide.replace("日本", "abcd").replace("x\u{301}🦀", "efg");
        assert_eq!(replaced, narrow, "\n{wide}");
    }
}
