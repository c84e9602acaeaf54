mod sample;

use roxmltree::{Document, Node};

use super::*;
use crate::document::Block;
use crate::document::{Align, MatrixBlock, math, words};
use crate::draw::LineChart;
use crate::draw::Series;

fn section(parts: Vec<Part>) -> Page {
    Page { sections: vec![Section { id: "one".into(), title: "One".into(), parts }], ..Page::default() }
}

fn figure(content: Content) -> Part {
    Part::Figure(Figure { id: "shown".into(), content, caption: Vec::new(), made_by: Vec::new() })
}

/// What stands between the page's first and last part, which is well-formed XML too.
fn main_of(html: &str) -> &str {
    let (begin, end) = (html.find("<main>").unwrap(), html.find("</main>").unwrap());
    &html[begin..end + "</main>".len()]
}

fn parse(html: &str) -> Document<'_> {
    Document::parse(main_of(html)).unwrap_or_else(|error| panic!("{error}: {}", main_of(html)))
}

fn all<'a>(document: &'a Document<'a>, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| node.tag_name().name() == name)
}

fn text(node: Node<'_, '_>) -> String {
    node.descendants().filter(|node| node.is_text()).filter_map(|node| node.text()).collect()
}

#[test]
fn a_page_of_real_size_is_small_and_asks_the_network_for_nothing() {
    let html = html(&sample::page()).unwrap();
    assert!(html.len() < 1 << 20, "{} bytes", html.len());
    let document = parse(&html);
    assert_eq!(all(&document, "figure").count(), 7);
    let addresses = html.match_indices("://").map(|(at, _)| &html[at.saturating_sub(5)..at + 15]);
    for address in addresses {
        assert!(address.contains("http://www.w3.org"), "{address}");
    }
    for reaching in ["@import", "url(", "fetch(", "XMLHttpRequest", "<link rel=\"stylesheet\"", "src=\"http"]
    {
        assert!(!html.contains(reaching), "{reaching}");
    }
    assert!(html.contains(
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\""
    ));
    // for a look in a browser
    if let Some(path) = std::env::var_os("COTANGENT_SAMPLE_REPORT") {
        std::fs::write(path, html).unwrap();
    }
}

#[test]
fn every_text_is_text() {
    let hostile = "</script></style><b onclick=\"x\">&amp; 'q' --> ]]>";
    let chart = LineChart {
        title: hostile.into(),
        x_label: hostile.into(),
        series: vec![Series { name: hostile.into(), points: vec![(1.0, 2.0)], ..Series::default() }],
        ..LineChart::default()
    };
    let image = Image { png: png(), alt: hostile.into(), caption: hostile.into() };
    let of = |id: &str, content| {
        let made_by = vec![(hostile.into(), hostile.into())];
        Part::Figure(Figure { id: id.into(), content, caption: vec![words(hostile)], made_by })
    };
    let blocks = [
        Block::Heading(hostile.into()),
        Block::Paragraph(vec![words(hostile)]),
        Block::Drawing(format!("{hostile}\n{hostile}")),
        Block::Table { columns: vec![(words(hostile), Align::Left)], rows: vec![vec![words(hostile)]] },
    ];
    let mut parts: Vec<Part> = blocks.into_iter().map(Part::Block).collect();
    parts.extend([of("a", Content::Chart(chart)), of("b", Content::Images(vec![image]))]);
    let mut page = section(vec![Part::Details { summary: hostile.into(), parts }]);
    page.title = hostile.into();
    page.lead = vec![words(hostile)];
    page.sections[0].title = hostile.into();
    let html = html(&page).unwrap();
    let document = parse(&html);
    assert_eq!(all(&document, "b").filter(|node| node.attribute("onclick").is_some()).count(), 0);
    for name in ["h2", "summary", "h3", "p", "th", "td", "figcaption", "dt", "dd", "button", "li"] {
        assert!(all(&document, name).any(|node| text(node).contains(hostile)), "<{name}>");
    }
    assert_eq!(all(&document, "img").next().unwrap().attribute("alt"), Some(hostile));
    assert_eq!(text(all(&document, "pre").next().unwrap()), format!("{hostile}\n{hostile}"));
    assert_eq!(html.matches("</script>").count(), 1);
    assert_eq!(html.matches("</style>").count(), 1);
}

#[test]
fn the_contents_lead_to_numbered_sections() {
    let mut page = section(Vec::new());
    page.sections.push(Section { id: "two".into(), title: "Second".into(), parts: Vec::new() });
    let html = html(&page).unwrap();
    assert!(html.contains("<li><a href=\"#two\"><span>2</span>Second</a></li>"));
    assert!(html.contains("<section id=\"two\">\n<h2><span>2</span>Second</h2>"));
}

#[test]
fn figures_are_numbered_wherever_they_stand() {
    let of = |id: &str| {
        let content = Content::Formulas(vec!["x".into()]);
        Part::Figure(Figure { id: id.into(), content, caption: Vec::new(), made_by: Vec::new() })
    };
    let folded = Part::Details { summary: "more".into(), parts: vec![of("b")] };
    let html = html(&section(vec![of("a"), folded, of("c")])).unwrap();
    let document = parse(&html);
    let captions: Vec<String> = all(&document, "figcaption").map(text).collect();
    assert_eq!(captions, ["Figure 1. ", "Figure 2. ", "Figure 3. "]);
}

#[test]
fn names_that_cannot_be_linked_to_are_refused() {
    for id in ["", "a b", "a#b", "é"] {
        let mut page = section(Vec::new());
        page.sections[0].id = id.into();
        assert!(matches!(html(&page), Err(ReportError::Name { .. })), "{id}");
    }
    let mut page = section(vec![figure(Content::Formulas(vec!["x".into()]))]);
    page.sections[0].id = "shown".into();
    assert!(matches!(html(&page), Err(ReportError::Twice { .. })));
}

#[test]
fn figures_with_nothing_to_show_are_refused() {
    let of = |content| html(&section(vec![figure(content)])).unwrap_err();
    assert!(matches!(of(Content::Formulas(Vec::new())), ReportError::Empty { .. }));
    assert!(matches!(of(Content::Images(Vec::new())), ReportError::Empty { .. }));
    assert!(matches!(of(Content::Svg("<p>no drawing</p>".into())), ReportError::Drawing { .. }));
    let image = Image { png: b"GIF89a".to_vec(), alt: "a digit".into(), caption: String::new() };
    assert!(of(Content::Images(vec![image])).to_string().contains("\"a digit\""));
    assert!(matches!(of(Content::Formulas(vec![r"\nosuch".into()])), ReportError::Formula { .. }));
}

#[test]
fn a_cell_that_is_only_a_number_is_text_and_others_are_mathematics() {
    let columns = vec![(words("node"), Align::Left), (math("x_{1}"), Align::Right)];
    let rows = vec![vec![math("v_{1}"), math("-0.5")], vec![math(""), math(r"1.5 \cdot 10^{-5}")]];
    let html = html(&section(vec![Part::Block(Block::Table { columns, rows })])).unwrap();
    let main = main_of(&html);
    assert!(main.contains("<td class=\"number\">−0.5</td>"), "{main}");
    assert!(main.contains("<td></td><td class=\"number\">1.5·10<sup>−5</sup></td>"), "{main}");
    assert_eq!(main.matches("<math>").count(), 2);
}

#[test]
fn a_matrix_has_every_entry_once_with_its_share_of_the_largest() {
    let cells: Vec<String> = (0..100).map(|i| format!("{}.5000", i - 50)).collect();
    let matrix = Block::Matrix(MatrixBlock { name: r"\bar{V}_{1}".into(), columns: 50, cells });
    let html = html(&section(vec![Part::Block(matrix)])).unwrap();
    let document = parse(&html);
    let cells: Vec<(String, Option<&str>)> =
        all(&document, "td").map(|cell| (text(cell), cell.attribute("style"))).collect();
    assert_eq!(cells.len(), 100);
    assert!(cells.contains(&("−50.5000".into(), Some("--x:-1.00"))));
    assert!(cells.contains(&("49.5000".into(), Some("--x:0.98"))));
    // the row numbers at the left end, and groups of twelve columns
    assert_eq!(all(&document, "table").count(), 1 + 5);
    let numbers: Vec<String> = all(&document, "thead")
        .flat_map(|head| head.descendants())
        .filter(|n| n.is_text())
        .map(text)
        .collect();
    assert_eq!(numbers, (1..=50).map(|i| i.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_column_of_long_entries_leaves_room_for_fewer() {
    let group_count = |cell: &str| {
        let cells = vec![cell.to_owned(); 40];
        let matrix = Block::Matrix(MatrixBlock { name: "V".into(), columns: 40, cells });
        let html = html(&section(vec![Part::Block(matrix)])).unwrap();
        all(&parse(&html), "table").count() - 1
    };
    assert_eq!([group_count("1"), group_count("-1.2345"), group_count(r"-1.2345 \cdot 10^{-5}")], [1, 4, 5]);
    assert_eq!(group_count(&format!("0.{}", "1".repeat(200))), 40);
}

#[test]
fn entries_that_are_not_finite_leave_the_shades_of_the_others() {
    let cells = ["inf", "-inf", "NaN", "2", "-1", "0"].map(String::from).to_vec();
    let html =
        html(&section(vec![Part::Block(Block::Matrix(MatrixBlock { name: "V".into(), columns: 6, cells }))]))
            .unwrap();
    let document = parse(&html);
    let styles: Vec<Option<&str>> = all(&document, "td").map(|cell| cell.attribute("style")).collect();
    assert_eq!(
        styles,
        [Some("--x:1.00"), Some("--x:-1.00"), None, Some("--x:1.00"), Some("--x:-0.50"), None]
    );
}

#[test]
fn a_small_picture_is_shown_with_large_pixels() {
    let image = Image { png: png(), alt: String::new(), caption: String::new() };
    let html = html(&section(vec![figure(Content::Images(vec![image]))])).unwrap();
    let document = parse(&html);
    let image = all(&document, "img").next().unwrap();
    assert_eq!([image.attribute("width"), image.attribute("height")], [Some("84"), Some("42")]);
    assert!(image.attribute("src").unwrap().starts_with("data:image/png;base64,iVBORw0KGgo"));
}

#[test]
fn the_style_sheet_knows_how_wide_a_drawing_is_and_whether_it_is_long() {
    for (width, class) in [(760.0, "scroll"), (1400.5, "scroll long")] {
        let svg = crate::draw::svg::Svg::document(width, 100.0, "a line", "", |_| {});
        let html = html(&section(vec![figure(Content::Svg(svg))])).unwrap();
        assert!(
            html.contains(&format!("<div class=\"{class}\" style=\"--width:{width}px\"><svg ")),
            "{width}"
        );
    }
    // and takes the ground away, which follows the description
    let svg = crate::draw::svg::Svg::document(10.0, 10.0, "a line", "a description", |_| {});
    let after = svg.split_once("</desc>").unwrap().1;
    assert!(after.trim_start().starts_with("<rect width=\"10\" height=\"10\""), "{svg}");
}

#[test]
fn a_chart_has_a_button_for_each_series_and_a_drawing_for_each_width() {
    let series = ["a", "b"].map(|name| Series {
        name: name.into(),
        points: vec![(1.0, 2.0), (2.0, 1.0)],
        ..Series::default()
    });
    let chart = LineChart { series: series.to_vec(), ..LineChart::default() };
    let html = html(&section(vec![figure(Content::Chart(chart))])).unwrap();
    let document = parse(&html);
    let pressed: Vec<_> = all(&document, "button")
        .map(|button| (text(button.last_child().unwrap()), button.attribute("aria-pressed")))
        .collect();
    assert_eq!(pressed, [("a".into(), Some("true")), ("b".into(), Some("true"))]);
    let points: Vec<&str> = document.descendants().filter_map(|node| node.attribute("data-points")).collect();
    assert_eq!(points.len(), 4);
    assert!(points.iter().all(|points| points.split(' ').count() == 2));
}

/// A PNG file of 28 × 14 pixels.
fn png() -> Vec<u8> {
    crate::draw::png(&crate::draw::svg::Svg::ornament(28.0, 14.0, |_| {}), 1.0).unwrap()
}
