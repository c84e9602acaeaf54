use super::super::scale::ScaleKind;
use super::super::testing::{Checked, check};
use super::chart::NARROW;
use super::*;

fn series(name: &str, ys: &[f64]) -> Series {
    let points = ys.iter().enumerate().map(|(i, &y)| (i as f64 + 1.0, y)).collect();
    Series { name: name.to_owned(), points, ..Series::default() }
}

fn chart(series: Vec<Series>) -> LineChart {
    LineChart {
        title: "objective of the training set".to_owned(),
        subtitle: Some("784-512-256-10, batch 128, seed 0".to_owned()),
        x_label: "epoch".to_owned(),
        y_label: "objective: mean training loss (nats)".to_owned(),
        series,
        ..LineChart::default()
    }
}

fn falling(name: &str, rate: f64) -> Series {
    let ys: Vec<f64> = (0..10).map(|i| 0.3 * (-rate * f64::from(i)).exp()).collect();
    series(name, &ys)
}

/// Paths that are lines of series, by their stroke.
fn lines(svg: &str) -> Vec<String> {
    let xml = roxmltree::Document::parse(svg).unwrap();
    xml.descendants()
        .filter(|n| n.attribute("stroke-linejoin").is_some())
        .map(|n| n.attribute("stroke").unwrap().to_owned())
        .collect()
}

fn checked_both_ways(mut chart: LineChart) -> [Checked; 2] {
    [ScaleKind::Linear, ScaleKind::Log].map(|kind| {
        chart.y_scale = kind;
        check(&chart.svg())
    })
}

#[test]
fn every_series_has_its_line_its_name_and_its_colour() {
    let names = ["Adagrad", "Nesterov", "Adam", "SGD"];
    let all = names.iter().zip([0.1, 0.2, 0.3, 0.05]).map(|(name, rate)| falling(name, rate));
    let chart = chart(all.collect());
    let svg = chart.svg();
    let mut strokes = lines(&svg);
    strokes.sort();
    strokes.dedup();
    assert_eq!(strokes.len(), 4);
    let drawn = check(&svg);
    for name in names {
        assert!(drawn.says(name), "{name} is missing among {:?}", drawn.texts);
    }
    assert!(drawn.says("epoch") && drawn.says("objective: mean training loss (nats)"));
}

#[test]
fn ticks_of_epochs_are_whole_numbers() {
    let drawn = check(&chart(vec![falling("Adam", 0.3)]).svg());
    for epoch in 1..=10 {
        assert!(drawn.says(&epoch.to_string()), "{epoch} is missing");
    }
    let drawn = check(&chart(vec![series("Adam", &[0.3, 0.2])]).svg());
    assert!(drawn.says("1") && drawn.says("2") && !drawn.says("1.5"));
}

#[test]
fn lines_that_end_close_together_still_have_labels_that_do_not_touch() {
    let close = [0.2, 0.21, 0.22].map(|rate| falling(&format!("rate {rate}"), rate));
    let svg = chart(close.to_vec()).svg();
    let drawn = check(&svg);
    assert!(drawn.says("rate 0.2") && drawn.says("rate 0.21") && drawn.says("rate 0.22"));
    // labels at the ends: no line samples of a legend
    assert_eq!(lines(&svg).len(), 3);
}

#[test]
fn lines_whose_ends_are_too_crowded_have_a_legend() {
    let same = (0..8).map(|i| falling(&format!("series {i}"), 0.3)).collect();
    let svg = chart(same).svg();
    check(&svg);
    assert_eq!(lines(&svg).len(), 16);
}

#[test]
fn a_line_that_stops_early_has_a_legend() {
    let mut short = falling("stopped", 0.3);
    short.points.truncate(4);
    let svg = chart(vec![falling("Adam", 0.2), short]).svg();
    check(&svg);
    assert_eq!(lines(&svg).len(), 4);
}

#[test]
fn a_value_that_is_not_finite_leaves_a_gap() {
    let gap = series("Adam", &[0.3, 0.2, f64::NAN, 0.1, f64::INFINITY, 0.05, 0.04]);
    for kind in [ScaleKind::Linear, ScaleKind::Log] {
        let mut chart = chart(vec![gap.clone()]);
        chart.y_scale = kind;
        let svg = chart.svg();
        check(&svg);
        let xml = roxmltree::Document::parse(&svg).unwrap();
        let line = xml.descendants().find(|n| n.attribute("stroke-linejoin").is_some()).unwrap();
        // 1-2 and 6-7; the point at 4 stands alone and is a marker
        assert_eq!(line.attribute("d").unwrap().matches('M').count(), 2);
        let markers = xml.descendants().filter(|n| n.tag_name().name() == "circle").count();
        assert_eq!(markers, 5);
    }
}

/// An objective that falls for 11 epochs and is 0 in the 49 after.
fn learnt_perfectly(name: &str) -> Series {
    let ys: Vec<f64> =
        (0..60).map(|i| if i < 11 { 0.3 * (-2.0 * f64::from(i)).exp() } else { 0.0 }).collect();
    series(name, &ys)
}

fn logarithmic(series: Vec<Series>) -> LineChart {
    LineChart { y_scale: ScaleKind::Log, ..chart(series) }
}

/// All sentences of a drawing, whatever lines they are broken into.
fn said(drawn: &Checked) -> String {
    drawn.texts.join(" ")
}

/// The points that a page finds: x, y, left, top.
fn points(svg: &str, number: &str) -> Vec<[f64; 4]> {
    let xml = roxmltree::Document::parse(svg).unwrap();
    let groups = xml.descendants().filter(|n| n.attribute("data-series") == Some(number));
    let data = groups.filter_map(|n| n.attribute("data-points")).next().unwrap();
    let point = |point: &str| point.split(',').map(|x| x.parse().unwrap()).collect::<Vec<f64>>();
    data.split(' ').map(|text| point(text).try_into().unwrap()).collect()
}

#[test]
fn zeros_are_marked_at_the_foot_of_a_logarithmic_axis_which_runs_to_the_last() {
    let chart = logarithmic(vec![learnt_perfectly("training"), falling("test", 0.1)]);
    let svg = chart.svg();
    let drawn = check(&svg);
    assert!(drawn.says("60") && drawn.says("0"), "{:?}", drawn.texts);
    let note = "0 has no place on a logarithmic axis: marked at its foot, training at epoch 12 to 60.";
    assert!(said(&drawn).contains(note), "{:?}", drawn.texts);
    // the pointer finds all 60, the zeros on the bottom line and all others above it
    let points = points(&svg, "0");
    assert_eq!(points.len(), 60);
    let xml = roxmltree::Document::parse(&svg).unwrap();
    let plot = xml.descendants().find_map(|n| n.attribute("data-plot")).unwrap();
    let bottom: f64 = plot.split(',').next_back().unwrap().parse().unwrap();
    for [x, y, _, top] in points {
        assert_eq!((x > 11.0, y == 0.0, top == bottom), (x > 11.0, x > 11.0, x > 11.0), "{x} {y} {top}");
    }
    // open markers, the first where the zeros begin, and a dotted line down to it
    let open = xml.descendants().filter(|n| {
        n.attribute("fill") == Some("#fdfdfc") && n.has_tag_name(("http://www.w3.org/2000/svg", "circle"))
    });
    let open: Vec<_> = open.map(|n| n.attribute("cy").unwrap().parse::<f64>().unwrap()).collect();
    assert!(open.len() > 5 && open.iter().all(|&y| y == bottom), "{open:?}");
    assert_eq!(svg.matches("stroke-dasharray=\"1.5 3\"").count(), 1);
    for text in ["training: from 0.3 to 0 in 60 points.", note] {
        assert!(svg.contains(text), "{text}");
    }
}

#[test]
fn a_label_stands_at_the_end_of_a_line_that_ends_in_zeros() {
    let svg = logarithmic(vec![learnt_perfectly("training"), series("test", &[0.5; 60])]).svg();
    assert!(check(&svg).says("training"));
    // no samples of a legend
    assert_eq!(lines(&svg).len(), 2);
}

#[test]
fn zeros_alone_have_no_decades() {
    let chart = logarithmic(vec![series("training", &[0.0; 5])]);
    for svg in [chart.svg(), chart.svg_of_width(360.0)] {
        let drawn = check(&svg);
        assert!(drawn.says("every value is 0") && drawn.says("0") && drawn.says("5"), "{:?}", drawn.texts);
        assert!(!drawn.texts.iter().any(|text| text.starts_with("0.") || text.starts_with("10")));
        assert!(said(&drawn).contains("marked at its foot, training at epoch 1 to 5."), "{:?}", drawn.texts);
    }
    assert!(chart.svg().contains("training: from 0 to 0 in 5 points."));
    // a linear axis has a place for it
    let linear = check(&LineChart { y_scale: ScaleKind::Linear, ..chart }.svg());
    assert!(!linear.says("every value is 0") && !said(&linear).contains("logarithmic"));
}

#[test]
fn smaller_than_an_axis_can_be_is_marked_with_the_zeros() {
    let drawn = check(&logarithmic(vec![series("Adam", &[0.3, 5e-324, 1e-305, 0.0])]).svg());
    let alone = check(&logarithmic(vec![series("Adam", &[5e-324])]).svg());
    assert!(alone.says("no value is above 10⁻³⁰⁰"), "{:?}", alone.texts);
    assert!(said(&drawn).contains("0 and what is below 10⁻³⁰⁰ have no place"), "{:?}", drawn.texts);
}

#[test]
fn many_stretches_of_zeros_are_summed_up() {
    let ys: Vec<f64> = (0..30).map(|i| if i % 3 == 1 { 0.0 } else { 0.1 }).collect();
    let drawn = check(&logarithmic(vec![series("Adam", &ys)]).svg());
    assert!(said(&drawn).contains("Adam at 10 of 30 points from epoch 2 to 29."), "{:?}", drawn.texts);
}

#[test]
fn what_is_left_out_is_said_and_why() {
    let ys = [0.3, f64::NAN, f64::NAN, 0.1, f64::INFINITY, -1.0, 1e305, 0.01, f64::NEG_INFINITY];
    let mut chart = logarithmic(vec![series("Adam", &ys), series("SGD", &[0.5, -2.0])]);
    let svg = chart.svg();
    let drawn = check(&svg);
    let note = "Left out: Adam at epoch 2 to 3 (not a number); Adam at epoch 5, 9 (infinite); Adam at epoch 6; SGD \
                at epoch 2 (negative, so without a logarithm); Adam at epoch 7 (too large to draw).";
    assert!(said(&drawn).contains(note), "{:?}", drawn.texts);
    assert!(svg.contains(note));
    // the axis runs to what is left out at its end
    assert!(drawn.says("9") && drawn.says("0.01"));
    assert_eq!(points(&svg, "0").len(), 3);
    chart.y_scale = ScaleKind::Linear;
    assert!(!said(&check(&chart.svg())).contains("negative"));
}

fn diverged_at(x: f64) -> End {
    End { x, word: "diverged".to_owned(), whose: None, of_line: true }
}

/// The ×s of a drawing: their stroke and width.
fn crosses(svg: &str) -> Vec<(String, String)> {
    let xml = roxmltree::Document::parse(svg).unwrap();
    let plot = xml.descendants().find(|n| n.has_attribute("data-plot")).unwrap();
    let is_cross = |n: &roxmltree::Node| {
        n.attribute("d").is_some_and(|d| d.matches('M').count() == 2) && n.attribute("fill").is_none()
    };
    let of = |n: roxmltree::Node, name| n.attribute(name).unwrap().to_owned();
    plot.descendants().filter(is_cross).map(|n| (of(n, "stroke"), of(n, "stroke-width"))).collect()
}

#[test]
fn runs_that_a_line_does_not_show_are_marked_where_they_ended_and_nothing_leads_there() {
    let mut sgd = falling("SGD", 0.2);
    let end = |x, whose: &str| End { whose: Some(whose.to_owned()), of_line: false, ..diverged_at(x) };
    sgd.ends = vec![end(3.0, "seeds 1, 4"), end(5.0, "seed 5")];
    let svg = logarithmic(vec![sgd]).svg();
    let drawn = check(&svg);
    assert_eq!(crosses(&svg).len(), 2);
    assert!(!svg.contains("stroke-dasharray=\"1.5 3\"") && !svg.contains("data-end") && drawn.says("SGD"));
    let note = "×: SGD diverged at epoch 3 (seeds 1, 4), 5 (seed 5).";
    assert!(said(&drawn).contains(note), "{:?}", drawn.texts);
}

#[test]
fn lines_that_break_off_at_one_place_have_their_marks_side_by_side_and_twins_on_each_other() {
    let mut all = vec![falling("a", 0.2), falling("b", 0.1), falling("a (PyTorch)", 0.2)];
    all[2].twin_of = Some(0);
    all.iter_mut().for_each(|one| one.ends = vec![diverged_at(11.0)]);
    let svg = logarithmic(all).svg();
    check(&svg);
    let ends: Vec<f64> =
        svg.split("11,end,").skip(1).map(|rest| rest.split(',').next().unwrap().parse().unwrap()).collect();
    assert!(ends[0] == ends[2] && ends[1] - ends[0] >= 2.4 * MARKER, "{ends:?}");
}

#[test]
fn where_nothing_but_the_marks_of_ends_is_drawn_there_are_data() {
    let mut all = vec![series("SGD", &[]), series("Adam", &[])];
    all.iter_mut().for_each(|one| one.ends = vec![diverged_at(1.0)]);
    let svg = logarithmic(all).svg();
    assert!(!said(&check(&svg)).contains("no data"));
    assert_eq!(crosses(&svg).len(), 2);
}

#[test]
fn what_stands_in_place_of_lines_has_a_ground_of_its_own_on_the_grid() {
    for (ys, text) in [(&[0.0; 5][..], "every value is 0"), (&[], "no data")] {
        let svg = logarithmic(vec![series("training", ys)]).svg();
        let before = svg.split(&format!(">{text}<")).next().unwrap();
        let ground = before.rsplit("<rect").next().unwrap();
        assert!(ground.contains("fill=\"#fdfdfc\"") && !ground.contains("<line"), "{ground}");
        check(&svg);
    }
}

#[test]
fn twins_share_their_hue_and_both_are_seen_where_they_coincide() {
    let twins = |second: &str, of| Series { twin_of: Some(of), ..falling(second, 0.2) };
    let mut all = vec![
        falling("adam", 0.2),
        falling("sgd", 0.1),
        twins("adam (PyTorch)", 0),
        twins("sgd (PyTorch)", 1),
    ];
    all.iter_mut().for_each(|one| one.ends = vec![diverged_at(11.0)]);
    let svg = logarithmic(all).svg();
    let drawn = check(&svg);
    let xml = roxmltree::Document::parse(&svg).unwrap();
    let plot = xml.descendants().find(|n| n.has_attribute("data-plot")).unwrap();
    let looks: Vec<(&str, f64, bool, bool)> = plot
        .descendants()
        .filter(|n| n.attribute("stroke-linejoin").is_some())
        .map(|n| {
            let width = n.attribute("stroke-width").unwrap().parse().unwrap();
            let is = |name| n.has_attribute(name);
            (n.attribute("stroke").unwrap(), width, is("stroke-dasharray"), is("stroke-opacity"))
        })
        .collect();
    let [(blue, wide, false, true), (red, _, false, true), (over, thin, true, false), (last, _, true, false)] =
        looks[..]
    else {
        panic!("{looks:?}")
    };
    assert!(blue == over && red == last && blue != red && wide > 2.0 * thin, "{looks:?}");
    // bold, and over it thin on a ground of its own
    let widths: Vec<String> = crosses(&svg).into_iter().map(|(_, width)| width).collect();
    assert_eq!(widths, ["5", "5", "3.2", "1.4", "3.2", "1.4"]);
    // rings show what they stand around
    let rings = svg.matches("fill=\"none\"").count() - svg.matches("stroke-linejoin").count();
    assert!(rings > 20, "{rings}");
    assert!(drawn.says("adam (diverged)") && drawn.says("adam (PyTorch) (diverged)"), "{:?}", drawn.texts);
}

#[test]
fn labels_that_would_be_cut_to_the_same_stand_in_a_legend_instead() {
    let names = ["A", "B"].map(|name| format!("a very long name of a {name} kind of an optimizer"));
    let chart = chart(vec![falling(&names[0], 0.1), falling(&names[1], 0.3)]);
    let drawn = check(&chart.svg());
    assert!(names.iter().all(|name| drawn.says(name)), "{:?}", drawn.texts);
}

#[test]
fn a_line_that_breaks_off_is_marked_where_it_does() {
    let mut diverged = series("SGD", &[2.0, 40.0]);
    diverged.ends = vec![diverged_at(3.0)];
    let mut at_once = series("Adam", &[]);
    at_once.ends = vec![diverged_at(1.0)];
    let chart = logarithmic(vec![falling("Nesterov", 0.2), diverged, at_once]);
    let svg = chart.svg();
    let drawn = check(&svg);
    assert!(
        said(&drawn).contains("×: SGD diverged at epoch 3; Adam diverged at epoch 1."),
        "{:?}",
        drawn.texts
    );
    assert!(
        drawn.says("Adam (diverged)") && drawn.says("SGD (diverged)") && !said(&drawn).contains("no data")
    );
    let top = svg.split_once("data-plot=\"").unwrap().1.split(',').next().unwrap();
    assert!(svg.contains("3,end,"), "{svg}");
    assert!(svg.contains(&format!(",{top}\" data-end=\"diverged\"")), "{svg}");
}

#[test]
fn notes_stand_below_the_plot_in_lines_of_its_width() {
    let mut chart = chart(vec![falling("Adam", 0.3)]);
    let without = chart.svg_of_width(360.0);
    chart.notes =
        vec!["A sentence that is longer than a narrow chart is wide, so that it is broken.".to_owned()];
    let with = chart.svg_of_width(360.0);
    let drawn = check(&with);
    assert!(said(&drawn).contains(&chart.notes[0]) && !drawn.says(&chart.notes[0]), "{:?}", drawn.texts);
    let height = |svg: &str| -> f64 {
        let xml = roxmltree::Document::parse(svg).unwrap();
        xml.root_element().attribute("height").unwrap().parse().unwrap()
    };
    assert!(height(&with) > height(&without));
}

#[test]
fn a_band_that_reaches_to_zero_reaches_to_the_foot_of_a_logarithmic_axis() {
    let mut adam = series("Adam", &[0.3, 0.1, 0.01]);
    adam.band = Some(vec![(0.2, 0.4), (0.0, 0.2), (-0.01, 0.03)]);
    let svg = logarithmic(vec![adam]).svg();
    let drawn = check(&svg);
    assert!(drawn.says("0"));
    assert_eq!(svg.matches("fill-opacity").count(), 1);
    let note = "marked at its foot, the low end of the band of Adam at epoch 2.";
    assert!(said(&drawn).contains(note), "{:?}", drawn.texts);
}

#[test]
fn where_the_line_is_zero_its_band_is_not_named_again() {
    let mut adam = series("Adam", &[0.3, 0.1, 0.0, 0.0]);
    adam.band = Some(vec![(0.2, 0.4), (0.0, 0.2), (0.0, 0.0), (0.0, 0.0)]);
    let drawn = check(&logarithmic(vec![adam]).svg());
    let note = "marked at its foot, Adam at epoch 3 to 4; the low end of the band of Adam at epoch 2.";
    assert!(said(&drawn).contains(note), "{:?}", drawn.texts);
}

#[test]
fn a_band_without_an_upper_end_reaches_to_the_top() {
    let mut adam = series("Adam", &[0.3, 0.1]);
    adam.band = Some(vec![(0.2, f64::INFINITY); 2]);
    for kind in [ScaleKind::Linear, ScaleKind::Log] {
        let svg = LineChart { y_scale: kind, ..chart(vec![adam.clone()]) }.svg();
        let xml = roxmltree::Document::parse(&svg).unwrap();
        let plot = xml.descendants().find_map(|n| n.attribute("data-plot")).unwrap();
        let top = plot.split(',').next().unwrap();
        let band = xml.descendants().find(|n| n.attribute("fill-opacity").is_some()).unwrap();
        assert!(band.attribute("d").unwrap().contains(&format!(" {top}L")), "{svg}");
    }
}

#[test]
fn the_axis_covers_bands_and_references() {
    let mut adam = series("Adam", &[0.97, 0.98]);
    adam.band = Some(vec![(0.91, 0.975), (0.979, 0.982)]);
    let mut chart = chart(vec![adam]);
    chart.y_format = YFormat::Percent;
    chart.references = vec![Reference { value: 0.995, label: "goal".to_owned() }];
    let drawn = check(&chart.svg());
    for text in ["92%", "100%", "goal"] {
        assert!(drawn.says(text), "{text} is missing among {:?}", drawn.texts);
    }
}

#[test]
fn no_axis_shows_more_than_all_of_the_test_set() {
    let mut chart = chart(vec![series("Adam", &[0.2, 1.0, 1.0])]);
    chart.y_format = YFormat::Percent;
    let drawn = check(&chart.svg());
    assert!(drawn.says("100%"));
    assert!(!drawn.texts.iter().any(|text| text.starts_with("10") && text.len() == 4 && text != "100%"));
}

#[test]
fn a_single_epoch_stands_side_by_side() {
    let mut all: Vec<Series> = (0..4).map(|i| series(&format!("series {i}"), &[0.2])).collect();
    for one in &mut all {
        one.band = Some(vec![(0.1, 0.3)]);
    }
    let svg = chart(all).svg();
    check(&svg);
    let xml = roxmltree::Document::parse(&svg).unwrap();
    let bars = xml.descendants().filter_map(|n| n.attribute("d")).filter(|d| d.matches('M').count() == 3);
    let mut bars: Vec<&str> = bars.collect();
    bars.dedup();
    assert_eq!(bars.len(), 4);
}

#[test]
fn a_thousand_points_keep_their_shape_and_few_markers() {
    let ys: Vec<f64> = (0..1000).map(|i| 1.0 / f64::from(i + 1)).collect();
    let svg = chart(vec![series("Adam", &ys)]).svg();
    check(&svg);
    assert_eq!(svg.matches("<circle").count(), SPARSE_MARKERS);
    assert!(svg.matches('L').count() >= 999);
}

#[test]
fn charts_without_data_say_so() {
    let nothing = [
        vec![],
        vec![series("Adam", &[])],
        vec![series("Adam", &[f64::NAN]), series("SGD", &[f64::INFINITY, f64::NAN])],
    ];
    for all in nothing {
        for drawn in checked_both_ways(chart(all)) {
            assert!(drawn.says("no data"));
        }
    }
}

#[test]
fn extreme_values_stay_inside() {
    for ys in [
        vec![0.0; 3],
        vec![-5.0; 3],
        vec![0.1, 0.1 + 1e-17],
        vec![1e-300, 1e300],
        vec![-1e300, 1e300],
        vec![f64::MAX, f64::MIN, 1.0],
        vec![1e-9, 2e-9, 3e-9],
        vec![1e17, 1e17 + 32.0],
        vec![123_456_789.0, 123_456_790.0],
    ] {
        checked_both_ways(chart(vec![series("Adam", &ys)]));
    }
    for xs in [[0.5, 0.75], [-3.0, 1e6], [1e-9, 2e-9], [1e300, -1e300], [5e15, 5e15]] {
        let points = xs.into_iter().zip([0.1, 0.2]).collect();
        checked_both_ways(chart(vec![Series { name: "Adam".to_owned(), points, ..Series::default() }]));
    }
}

#[test]
fn long_and_hostile_texts_stay_inside() {
    let long = "an endless name <of> \"something\" & more ".repeat(12);
    for count in [1, 3, 8, 12] {
        let all: Vec<Series> =
            (0..count).map(|i| falling(&format!("{i} {long}"), 0.1 * f64::from(i))).collect();
        let mut chart = chart(all);
        chart.title.clone_from(&long);
        chart.subtitle = Some(long.clone());
        chart.x_label.clone_from(&long);
        chart.y_label.clone_from(&long);
        chart.references = vec![
            Reference { value: 0.1, label: long.clone() },
            Reference { value: 0.1, label: "goal".to_owned() },
            Reference { value: f64::NAN, label: "nowhere".to_owned() },
        ];
        checked_both_ways(chart);
    }
}

#[test]
fn more_references_than_fit_leave_some_unlabelled() {
    let mut chart = chart(vec![falling("Adam", 0.2)]);
    let all = (0..40).map(|i| Reference { value: 0.1, label: format!("line {i}") });
    chart.references = all.collect();
    let drawn = check(&chart.svg());
    assert!(drawn.says("line 0") && !drawn.says("line 39"));
}

#[test]
fn the_description_tells_the_first_and_the_last_value() {
    let svg = chart(vec![series("Adam", &[0.5, 0.25, 0.125])]).svg();
    assert!(svg.contains("Adam: from 0.5 to 0.125 in 3 points."), "{svg}");
    let svg = chart(vec![series("Adam", &[0.5])]).svg();
    assert!(svg.contains("Adam: 0.5 at 1."), "{svg}");
}

#[test]
fn a_page_tells_the_series_apart_by_their_number_and_finds_every_point_that_is_drawn() {
    let mut banded = series("SGD", &[0.4, 0.35, 0.3]);
    banded.band = Some(vec![(0.35, 0.45), (0.3, 0.4), (0.25, 0.35)]);
    let drawing = chart(vec![series("Adam", &[0.5, f64::NAN, 0.125]), banded]).svg_of_width(760.0);
    check(&drawing);
    let xml = roxmltree::Document::parse(&drawing).unwrap();
    let groups = |number| xml.descendants().filter(move |n| n.attribute("data-series") == Some(number));
    let points = |number| groups(number).find_map(|n| n.attribute("data-points")).unwrap();
    let adam: Vec<Vec<f64>> =
        points("0").split(' ').map(|point| point.split(',').map(|x| x.parse().unwrap()).collect()).collect();
    assert_eq!(adam.iter().map(|point| (point[0], point[1])).collect::<Vec<_>>(), [(1.0, 0.5), (3.0, 0.125)]);
    let circles: Vec<&str> =
        groups("0").flat_map(|n| n.descendants()).filter_map(|n| n.attribute("cx")).collect();
    assert!(adam.iter().all(|point| circles.contains(&crate::draw::svg::number(point[2]).as_str())));
    // the line and its label, and the band of the second
    assert_eq!([groups("0").count(), groups("1").count()], [2, 3]);
}

#[test]
fn a_narrow_chart_has_no_labels_beside_its_lines_and_no_letter_outside() {
    for width in [340.0, 420.0, 760.0, 1200.0] {
        let mut chart = chart(vec![falling("Adam", 0.2), falling("SGD", 0.1)]);
        chart.references = vec![Reference { value: 0.1, label: "a goal that is far away".to_owned() }];
        let drawn = check(&chart.svg_of_width(width));
        assert_eq!(drawn.says("Adam"), width >= NARROW, "at {width}");
        assert!(drawn.says("epoch"));
    }
}

#[test]
fn every_series_has_a_key_that_looks_like_its_line() {
    let chart = chart(vec![falling("Adam", 0.2), falling("SGD", 0.1)]);
    let keys = chart.keys();
    assert_eq!(keys.iter().map(|key| lines(key)).collect::<Vec<_>>(), [["#006bad"], ["#bf4a00"]]);
}

#[test]
fn an_axis_from_zero_shows_it_and_another_does_not() {
    let mut chart = chart(vec![series("Adam", &[2.0, 2.1, 2.2])]);
    let shows_zero = |chart: &LineChart| {
        let svg = chart.svg();
        let xml = roxmltree::Document::parse(&svg).unwrap();
        xml.descendants().any(|node| node.tag_name().name() == "text" && node.text() == Some("0"))
    };
    assert!(!shows_zero(&chart));
    chart.y_from_zero = true;
    assert!(shows_zero(&chart));
}
