//! Reads drawings in characters back: follows their lines from node to node.

use super::canvas::columns;
use super::order::Random;
use super::samples::{random, single, square, textbook};
use super::*;

/// A drawing as a grid of characters, without combining marks.
struct Page(Vec<Vec<char>>);

impl Page {
    fn of(drawing: &str) -> Page {
        let is_mark = |c: &char| ('\u{300}'..='\u{36f}').contains(c);
        Page(drawing.lines().map(|line| line.chars().filter(|c| !is_mark(c)).collect()).collect())
    }

    fn at(&self, (row, column): (usize, usize)) -> char {
        self.0.get(row).and_then(|row| row.get(column)).copied().unwrap_or(' ')
    }
}

/// The edges as pairs of names, sorted.
fn edges_of(diagram: &Diagram) -> Vec<(String, String)> {
    let name = |i: usize| diagram.nodes[i].name.clone();
    let mut edges: Vec<_> = diagram.edges.iter().map(|edge| (name(edge.from), name(edge.to))).collect();
    edges.sort();
    edges
}

fn no_trailing_blanks(drawing: &str) {
    assert!(drawing.lines().all(|line| line == line.trim_end()), "{drawing}");
}

/// Directions in which a line leaves a cell: (rows, columns).
type Step = (isize, isize);

/// The arms of a joint.
fn arms(joint: char) -> Vec<Step> {
    let (left, right, up, down) = ((0, -1), (0, 1), (-1, 0), (1, 0));
    match joint {
        '─' => vec![left, right],
        '│' => vec![up, down],
        '┌' => vec![right, down],
        '┐' => vec![left, down],
        '└' => vec![right, up],
        '┘' => vec![left, up],
        '├' => vec![right, up, down],
        '┤' => vec![left, up, down],
        '┬' => vec![left, right, down],
        '┴' => vec![left, right, up],
        other => panic!("a line leads to {other:?}"),
    }
}

/// The arrow heads that a line leads to from a cell that it enters by a step.
fn follow(page: &Page, at: (usize, usize), step: Step, heads: &mut Vec<(usize, usize)>) {
    match page.at(at) {
        '►' => {
            assert_eq!(step, (0, 1));
            heads.push(at);
        }
        '┼' => follow(page, moved(at, step), step, heads),
        joint => {
            let arms = arms(joint);
            let back = (-step.0, -step.1);
            assert!(arms.contains(&back), "a line breaks off at {at:?} before {joint}");
            for arm in arms.into_iter().filter(|&arm| arm != back) {
                follow(page, moved(at, arm), arm, heads);
            }
        }
    }
}

fn moved(at: (usize, usize), step: Step) -> (usize, usize) {
    (at.0.checked_add_signed(step.0).unwrap(), at.1.checked_add_signed(step.1).unwrap())
}

/// The edges that a reader of boxes sees.
fn read_boxes(diagram: &Diagram, drawing: &str) -> Vec<(String, String)> {
    let page = Page::of(drawing);
    // (name, first row of text, columns of the frame)
    let mut boxes: Vec<(String, usize, usize, usize)> = Vec::new();
    for node in &diagram.nodes {
        let text: Vec<char> = format!("│ {} = ", node.name).chars().collect();
        let rows = page.0.iter().enumerate();
        let found =
            rows.filter_map(|(row, line)| Some((row, line.windows(text.len()).position(|w| w == text)?)));
        // an adjoint, without its bar, reads like a name
        let found: Vec<_> = found.filter(|&(row, left)| row > 0 && page.at((row - 1, left)) == '┌').collect();
        let [(row, left)] = found[..] else { panic!("{} is drawn {found:?}", node.name) };
        let right = (left + 1..).find(|&column| page.at((row - 1, column)) != '─').unwrap();
        let corners = [(row - 1, left), (row - 1, right), (row + 3, left), (row + 3, right)];
        assert_eq!(corners.map(|at| page.at(at)), ['┌', '┐', '└', '┘']);
        boxes.push((node.name.clone(), row, left, right));
    }
    let mut edges = Vec::new();
    for (name, row, _, right) in &boxes {
        if page.at((row + 1, *right)) != '├' {
            continue;
        }
        let mut heads = Vec::new();
        follow(&page, (row + 1, right + 1), (0, 1), &mut heads);
        for (head_row, column) in heads {
            let is_entered =
                |b: &&(String, usize, usize, usize)| column + 1 == b.2 && (b.1..b.1 + 3).contains(&head_row);
            edges.push((name.clone(), boxes.iter().find(is_entered).unwrap().0.clone()));
        }
    }
    edges.sort();
    edges
}

#[test]
fn lines_between_boxes_lead_from_operands_to_operations() {
    let mut source = Random(21);
    let (mut drawn, mut refused) = (0, 0);
    let fixed = [single(), square(), textbook()];
    // among the larger ones most need doglegs
    let graphs = (0..310).map(|i| random(&mut source, 1 + i % 4, if i < 300 { 1 + i % 14 } else { 60 }));
    for diagram in fixed.into_iter().chain(graphs) {
        let Some(drawing) = diagram.boxes(10_000) else {
            refused += 1;
            continue;
        };
        assert_eq!(read_boxes(&diagram, &drawing), edges_of(&diagram), "\n{drawing}");
        no_trailing_blanks(&drawing);
        drawn += 1;
    }
    assert_eq!(refused, 0, "{drawn} drawn");
}

#[test]
fn boxes_fit_the_width_or_are_refused() {
    let wide = textbook().boxes(1000).unwrap();
    let needed = wide.lines().map(columns).max().unwrap();
    // with narrower gaps it takes a few columns less
    let fits: Vec<_> = (0..=needed).filter_map(|width| Some((width, textbook().boxes(width)?))).collect();
    assert!(fits.iter().all(|(width, text)| text.lines().all(|line| columns(line) <= *width)));
    assert!(fits.first().is_some_and(|(width, _)| (60..=needed).contains(width)));
    assert_eq!(fits.last().map(|fit| fit.1.as_str()), Some(wide.as_str()));
    assert_eq!(Diagram::default().boxes(0), Some(String::new()));
}

#[test]
fn a_node_of_three_operands_has_no_box() {
    let mut diagram = textbook();
    diagram.edges.push(DiagramEdge { from: 0, to: 8, label: String::new() });
    assert_eq!(diagram.boxes(10_000), None);
    assert_eq!(read_lifelines(&diagram.lifelines()), edges_of(&diagram));
    assert!(super::super::testing::check(&diagram.svg()).says("v6"));
}

/// The edges that a reader of lifelines sees.
fn read_lifelines(drawing: &str) -> Vec<(String, String)> {
    let page = Page::of(drawing);
    let name = |row: usize| page.0[row].iter().take_while(|c| **c != ' ').collect::<String>();
    let is_joint = |c: char| matches!(c, '○' | '●');
    // the line on which the value of a dot begins
    let origin = |row: usize, mut column: usize| {
        let mut row = row;
        loop {
            match (page.at((row, column)), row.checked_sub(1).map(|above| page.at((above, column)))) {
                ('○', _) => return row,
                ('●' | '│' | '┼', Some('○' | '●' | '│' | '┼')) => row -= 1,
                // a second dot hangs on the first
                ('●', _) if page.at((row, column - 1)) == '●' => column -= 1,
                (c, above) => panic!("{c:?} under {above:?} in row {row}, column {column}"),
            }
        }
    };
    let mut edges = Vec::new();
    for (row, line) in page.0.iter().enumerate() {
        let Some(reach) = line.iter().rposition(|&c| is_joint(c)) else { continue };
        let start = line.iter().position(|&c| is_joint(c) || c == '─').unwrap();
        assert!(line[start..reach].iter().all(|&c| is_joint(c) || c == '─' || c == '┼'), "{line:?}");
        let dots = (start..=reach).filter(|&column| line[column] == '●');
        edges.extend(dots.map(|column| (name(origin(row, column)), name(row))));
    }
    edges.sort();
    edges
}

#[test]
fn lifelines_lead_from_operands_to_operations() {
    let mut source = Random(22);
    let fixed = [single(), square(), textbook()];
    let graphs = (0..300).map(|i| random(&mut source, 1 + i % 4, 1 + i % 40));
    for diagram in fixed.into_iter().chain(graphs) {
        let drawing = diagram.lifelines();
        assert_eq!(read_lifelines(&drawing), edges_of(&diagram), "\n{drawing}");
        assert_eq!(drawing.lines().count(), diagram.nodes.len());
        no_trailing_blanks(&drawing);
    }
    assert_eq!(Diagram::default().lifelines(), "");
}

#[test]
fn lifelines_are_as_wide_as_values_are_alive_at_once() {
    let mut source = Random(23);
    for _ in 0..100 {
        let diagram = random(&mut source, 3, 30);
        let is_alive = |node: usize, line: usize| {
            node <= line && diagram.edges.iter().any(|edge| edge.from == node && edge.to >= line)
        };
        let lines = 0..diagram.nodes.len();
        let alive = lines.clone().map(|line| lines.clone().filter(|&node| is_alive(node, line)).count());
        let page = Page::of(&diagram.lifelines());
        let joints = page.0.iter().flat_map(|line| line.iter().enumerate());
        let mut tracks: Vec<_> = joints.filter(|(_, c)| **c == '○').map(|(column, _)| column).collect();
        tracks.sort_unstable();
        tracks.dedup();
        assert_eq!(tracks.len(), alive.max().unwrap());
    }
}

#[test]
fn a_user_that_is_given_before_its_operand_moves_below_it() {
    let mut diagram = textbook();
    diagram.nodes.reverse();
    diagram.edges.iter_mut().for_each(|edge| (edge.from, edge.to) = (8 - edge.from, 8 - edge.to));
    assert_eq!(read_lifelines(&diagram.lifelines()), edges_of(&diagram));
    let drawing = diagram.boxes(1000).unwrap();
    assert_eq!(read_boxes(&diagram, &drawing), edges_of(&diagram));
}

#[test]
fn x_times_x_has_two_lines_in_every_form() {
    let square = square();
    assert!(square.lifelines().contains("●●"));
    assert_eq!(square.boxes(80).unwrap().matches('►').count(), 2);
    assert_eq!(square.dot().matches("->").count(), 2);
    assert_eq!(square.svg().matches("fill=\"none\"").count(), 2);
}
