use super::super::testing::check;
use super::counts::{percent, short};
use super::*;

fn matrix(counts: Vec<Vec<u64>>) -> ConfusionMatrix {
    ConfusionMatrix {
        title: "confusion on the test set".to_owned(),
        subtitle: Some("Adam, seed 0".to_owned()),
        counts,
    }
}

/// A diagonal of 1000 with one error in each row.
fn good(n: usize) -> ConfusionMatrix {
    let row = |t: usize| {
        let mut row = vec![0; n];
        row[(t + 1) % n] = 3;
        row[t] = 1000;
        row
    };
    matrix((0..n).map(row).collect())
}

/// Fills of the paths that hold cells.
fn shades(svg: &str) -> Vec<String> {
    let xml = roxmltree::Document::parse(svg).unwrap();
    let cells = xml.descendants().filter(|n| n.attribute("d").is_some_and(|d| d.contains('h')));
    cells.filter_map(|n| n.attribute("fill").map(str::to_owned)).collect()
}

#[test]
fn every_number_of_classes_fits() {
    for n in [1, 2, 3, 6, 7, 10, 11, 26, 27, 47, 100, 256] {
        check(&good(n).svg());
    }
}

#[test]
fn counts_recall_precision_and_accuracy_are_written() {
    let drawn = check(&matrix(vec![vec![90, 10], vec![1, 49]]).svg());
    let (recall, precision) = (["90.0%", "98.0%"], ["98.9%", "83.1%"]);
    let rest = ["90", "10", "1", "49", "recall", "precision", "accuracy 92.67%: 139 of 150 examples"];
    for text in recall.into_iter().chain(precision).chain(rest) {
        assert!(drawn.says(text), "{text} is missing among {:?}", drawn.texts);
    }
}

#[test]
fn many_classes_have_shades_but_no_numbers() {
    let drawn = check(&good(26).svg());
    assert_eq!(drawn.texts.iter().filter(|t| *t == "1000").count(), 26);
    let drawn = check(&good(27).svg());
    assert!(!drawn.says("1000"));
}

#[test]
fn a_rare_error_is_as_visible_as_the_diagonal() {
    use crate::draw::colour::{BACKGROUND, FAINT, SERIES};
    let svg = matrix(vec![vec![10_000, 1], vec![0, 10_000]]).svg();
    let rare = shades(&svg);
    assert!(rare.contains(&SERIES[1].to_string()), "{rare:?}");
    // and a small error beside a large one differs from the ground
    let two_errors = matrix(vec![vec![10_000, 400, 1], vec![0, 1, 0], vec![0, 0, 1]]);
    let shade = shades(&two_errors.svg());
    // the ground, two shades of the diagonal, the largest and the smallest error
    assert_eq!(shade.len(), 5, "{shade:?}");
    assert!(!shade.contains(&BACKGROUND.to_string()) && shade.contains(&FAINT.to_string()));
}

#[test]
fn a_class_without_examples_has_no_recall_and_one_that_is_never_read_no_precision() {
    let two = matrix(vec![vec![5, 0], vec![0, 0]]);
    assert_eq!((two.recall(0), two.recall(1)), (Some(1.0), None));
    assert_eq!((two.precision(0), two.precision(1)), (Some(1.0), None));
    assert!(check(&two.svg()).says("–"));
    let never = matrix(vec![vec![5, 0], vec![3, 0]]);
    assert_eq!((never.recall(1), never.precision(0), never.precision(1)), (Some(0.0), Some(0.625), None));
    assert_eq!(matrix(vec![vec![1], vec![0, 2, 1]]).precision(2), Some(0.0));
}

#[test]
fn every_class_has_its_shares_at_the_edges_as_numbers_while_there_is_room() {
    for (n, as_numbers) in [(2, true), (10, true), (26, true), (47, true), (55, true), (100, false)] {
        let drawn = check(&good(n).svg());
        let shares = drawn.texts.iter().filter(|text| *text == "99.7%").count();
        assert_eq!(shares, if as_numbers { 2 * n } else { 0 }, "{n} classes");
        assert!(drawn.says("recall") && drawn.says("precision"));
        // and its name at both axes
        let named =
            (0..n).all(|class| drawn.texts.iter().filter(|text| **text == class.to_string()).count() >= 2);
        assert_eq!(named, as_numbers, "{n} classes");
    }
}

#[test]
fn names_of_classes_never_run_together() {
    use crate::draw::text;
    for n in [2, 10, 16, 17, 26, 27, 36, 47, 55, 56, 100, 101, 256] {
        let svg = good(n).svg();
        let xml = roxmltree::Document::parse(&svg).unwrap();
        let number = |node: roxmltree::Node, name| node.attribute(name).unwrap().parse::<f64>().unwrap();
        // upright names above the columns: those with numbers on the height of the first
        let names: Vec<_> = xml
            .descendants()
            .filter(|node| node.attribute("text-anchor") == Some("middle") && node.has_attribute("y"))
            .filter(|node| node.text().is_some_and(|text| text.parse::<usize>().is_ok()))
            .collect();
        let Some(height) = names.first().map(|node| number(*node, "y")) else { continue };
        let row: Vec<(f64, f64)> = names
            .iter()
            .filter(|node| number(**node, "y") == height)
            .map(|node| {
                let size = number(*node, "font-size");
                let half = text::width(node.text().unwrap(), size, text::Face::Regular) / 2.0;
                (number(*node, "x") - half, number(*node, "x") + half)
            })
            .collect();
        for pair in row.windows(2) {
            assert!(pair[1].0 - pair[0].1 >= 3.0, "{n} classes: {pair:?}");
        }
    }
}

#[test]
fn ragged_and_empty_counts_are_filled_with_zeros() {
    let ragged = matrix(vec![vec![1], vec![0, 2, 1]]);
    assert_eq!(ragged.classes(), 3);
    assert!(check(&ragged.svg()).says("accuracy 75.00%: 3 of 4 examples"));
    for empty in [vec![], vec![vec![]], vec![vec![0]]] {
        assert!(check(&matrix(empty).svg()).says("no examples"));
    }
}

#[test]
fn counts_too_long_for_their_cells_are_shortened() {
    let drawn = check(&matrix(vec![vec![u64::MAX; 20]; 20]).svg());
    assert!(drawn.says("18E"), "{:?}", drawn.texts);
    let drawn = check(&matrix(vec![vec![1_234_567; 20]; 20]).svg());
    assert!(drawn.says("1.2M"));
    assert!(drawn.texts.iter().any(|text| text.contains("1.3k is")));
}

#[test]
fn shortened_counts_are_rounded_down() {
    let written = [0, 999, 1000, 9999, 10_000, 999_999, 1_000_000].map(short);
    assert_eq!(written, ["0", "999", "1.0k", "9.9k", "10k", "999k", "1.0M"]);
}

#[test]
fn only_all_is_a_hundred_percent() {
    assert_eq!(percent(1.0, 2), "100.00%");
    assert_eq!(percent(0.999_999, 2), "99.99%");
    assert_eq!(percent(0.999_999, 0), "99%");
    assert_eq!(percent(0.985, 1), "98.5%");
    assert_eq!(percent(0.0, 0), "0%");
}

#[test]
fn the_description_names_the_most_frequent_error() {
    let svg = matrix(vec![vec![9, 1, 0], vec![0, 8, 2], vec![0, 0, 9]]).svg();
    assert!(svg.contains("Most frequent error: 2 of class 1 taken for 2."), "{svg}");
    assert!(matrix(vec![vec![9]]).svg().contains("No errors."));
}
