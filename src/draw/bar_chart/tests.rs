use super::super::testing::check;
use super::*;

fn bar(label: &str, share: f64, mark: Option<f64>) -> Bar {
    Bar {
        label: label.to_owned(),
        share: Some(share),
        mark,
        captions: ["41.2 GB/s", "12.3 µs"].map(str::to_owned),
    }
}

fn chart(groups: &[(&str, Vec<Bar>)]) -> BarChart {
    let group = |(name, bars): &(&str, Vec<Bar>)| BarGroup { name: (*name).to_owned(), bars: bars.clone() };
    BarChart {
        title: "kernels beside their ceilings".to_owned(),
        subtitle: Some("a processor, 2 threads, 2026-01-01".to_owned()),
        x_label: "share of the ceiling that binds".to_owned(),
        names: ["cotangent".to_owned(), "PyTorch".to_owned()],
        heads: ["share", "rate", "time"].map(str::to_owned),
        groups: groups.iter().map(group).collect(),
        notes: vec!["Other work ran beside it.".to_owned()],
    }
}

/// The horizontal extents of the shapes with this fill, from top to bottom.
fn extents(svg: &str, fill: crate::draw::colour::Colour) -> Vec<(f64, f64)> {
    let xml = roxmltree::Document::parse(svg).unwrap();
    let fill = fill.to_string();
    let shapes = xml.descendants().filter(|n| n.has_tag_name(("http://www.w3.org/2000/svg", "path")));
    let shapes = shapes.filter(|n| n.attribute("fill") == Some(&fill));
    let of = |shape: roxmltree::Node<'_, '_>| {
        let corners = shape.attribute("d").unwrap().trim_matches(['M', 'Z']).to_owned();
        let xs = corners.split('L').map(|corner| corner.split(' ').next().unwrap().parse::<f64>().unwrap());
        xs.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
    };
    shapes.map(of).collect()
}

const BARS: crate::draw::colour::Colour = crate::draw::colour::SERIES[0];
const MARKS: crate::draw::colour::Colour = crate::draw::colour::SERIES[1];

#[test]
fn every_bar_has_its_label_its_share_and_its_caption() {
    let drawn = check(&chart(&[("product", vec![bar("forward 784-512", 0.876, None)])]).svg());
    let row = ["product", "forward 784-512", "88%", "41.2 GB/s", "12.3 µs"];
    for text in row.into_iter().chain(["share", "rate", "time", "100%", "Other work ran beside it."]) {
        assert!(drawn.says(text), "{text} is missing among {:?}", drawn.texts);
    }
    let drawn = check(&chart(&[("a longer name than those of its bars", vec![bar("9", 0.876, None)])]).svg());
    assert!(drawn.says("a longer name than those of its bars"), "{:?}", drawn.texts);
    assert!(!drawn.says("cotangent"), "a legend where there are no marks");
}

#[test]
fn lengths_are_in_proportion_and_marks_stand_on_the_same_axis() {
    let bars = vec![bar("a", 0.4, Some(0.8)), bar("b", 0.8, None), bar("c", 0.0, None)];
    let svg = chart(&[("sum", bars)]).svg();
    check(&svg);
    let found = extents(&svg, BARS); // the legend's first
    let lengths: Vec<f64> = found[1..].iter().map(|(from, to)| to - from).collect();
    assert!((lengths[1] - 2.0 * lengths[0]).abs() < 0.02 && lengths[2] == 0.0, "{lengths:?}");
    let mark = extents(&svg, MARKS)[1];
    assert!(((mark.0 + mark.1) / 2.0 - found[2].1).abs() < 0.02, "{mark:?} beside {found:?}");
}

#[test]
fn a_mark_that_would_lie_on_the_axis_is_left_out() {
    let marks = |share| extents(&chart(&[("sum", vec![bar("all", 0.5, Some(share))])]).svg(), MARKS).len();
    assert_eq!([0.0, 0.004, 0.006].map(marks), [1, 1, 2], "with the legend's");
}

#[test]
fn marks_bring_a_legend() {
    let drawn = check(&chart(&[("sum", vec![bar("all", 0.5, Some(0.6))])]).svg());
    assert!(drawn.says("cotangent") && drawn.says("PyTorch"));
}

#[test]
fn a_share_beyond_the_ceiling_crosses_its_line_and_one_far_beyond_ends_in_a_tip() {
    let svg = chart(&[("sum", vec![bar("half", 0.5, None), bar("cached", 1.3, None)])]).svg();
    assert!(check(&svg).says("130%") && check(&svg).says("120%"));
    let [half, beyond] = extents(&svg, BARS)[..] else { panic!("two bars") };
    assert!(((beyond.1 - beyond.0) / (half.1 - half.0) - 2.6).abs() < 0.01, "{half:?} {beyond:?}");
    let far = chart(&[("sum", vec![bar("half", 0.5, Some(50.0)), bar("wrong", 40.0, None)])]).svg();
    let drawn = check(&far);
    assert!(drawn.says("4000%") && drawn.says("200%") && !drawn.says("400%"), "{:?}", drawn.texts);
    let half = extents(&far, BARS)[1];
    assert!(half.1 - half.0 > 80.0, "nothing is left of {half:?}");
}

#[test]
fn what_has_no_share_has_a_dash_and_no_bar() {
    let missing = [None, Some(f64::NAN), Some(f64::INFINITY), Some(-1.0)];
    for share in missing {
        let bars = vec![Bar { share, mark: share, ..bar("a", 0.0, None) }];
        let svg = chart(&[("sum", bars)]).svg();
        assert!(check(&svg).says("–"));
        assert_eq!(extents(&svg, BARS), [], "{share:?}");
    }
}

#[test]
fn any_number_of_bars_and_any_names_fit() {
    for count in [0, 1, 7, 160] {
        let bars: Vec<Bar> = (0..count).map(|i| bar(&format!("n {i}"), 0.01 * f64::from(i), None)).collect();
        check(&chart(&[("one", bars.clone()), ("two", bars)]).svg());
    }
    check(&chart(&[]).svg());
    let long = "a_kernel_with_a_name_that_nobody_would_want_to_read/1048576x1048576 ".repeat(5);
    let mut wide = chart(&[(&long, vec![bar(&long, 0.5, Some(2.0))])]);
    (wide.title, wide.x_label, wide.names) = (long.clone(), long.clone(), [long.clone(), long.clone()]);
    let drawn = check(&wide.svg());
    assert!(drawn.texts.iter().any(|text| text.contains('…')));
}

#[test]
fn the_description_says_every_share() {
    let bars = vec![bar("adam 535818", 0.5, Some(0.25))];
    let svg = chart(&[("update", bars)]).svg();
    assert!(svg.contains("update adam 535818: 50%, PyTorch 25%."), "{svg}");
}

#[test]
fn every_text_can_be_spelled_for_a_picture() {
    let strange = || "日".to_owned();
    let bar = Bar { label: strange(), share: Some(0.5), mark: Some(0.6), captions: [strange(), strange()] };
    let chart = BarChart {
        title: strange(),
        subtitle: Some(strange()),
        x_label: strange(),
        names: [strange(), strange()],
        heads: [strange(), strange(), strange()],
        groups: vec![BarGroup { name: strange(), bars: vec![bar] }],
        notes: vec![strange()],
    };
    let shown = |chart: &BarChart| {
        let texts = check(&chart.svg().replace('日', "x")).texts;
        texts.iter().filter(|text| *text == "x").count()
    };
    assert_eq!(shown(&chart), 13);
    let mut spelled = chart.clone();
    spelled.change_texts(&|text| *text = crate::draw::text::spelled(text));
    assert!(!spelled.svg().contains('日'), "{}", spelled.svg());
    assert!(crate::draw::picture(&chart, 1.0).is_ok());
}
