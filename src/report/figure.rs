//! Figures as HTML: drawings, charts with their script's data, formulas and pictures.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Content, Figure, Image, ReportError, block, mathml};
use crate::draw::svg::escape;
use crate::draw::{LineChart, YFormat};

/// Widths in which a chart is drawn: for a page, and for a telephone. The style sheet shows the one that fits.
const WIDTHS: [(&str, f64); 2] = [("wide", 760.0), ("narrow", 360.0)];

/// A drawing that is wider is printed on a page that lies: on one that stands its letters would be too small.
const LONG: f64 = 1300.0;

/// A picture that is smaller is shown with pixels of several, until it is nearly as wide.
const SMALL: u32 = 96;

/// A figure as HTML.
pub(super) fn figure(figure: &Figure, id: &str, number: usize) -> Result<String, ReportError> {
    let (class, content) = match &figure.content {
        Content::Svg(svg) => ("drawing", drawing(svg, id)?),
        Content::Chart(chart) => ("chart", self::chart(chart)),
        Content::Formulas(lines) => ("formulas", formulas(lines, id)?),
        Content::Images(images) => ("images", pictures(images, id)?),
    };
    let caption = block::spans(&figure.caption)?;
    Ok(format!(
        "<figure id=\"{id}\" class=\"{class}\">\n{content}<figcaption><b>Figure {number}.</b> {caption}</figcaption>\n{}</figure>\n",
        made_by(&figure.made_by)
    ))
}

fn made_by(facts: &[(String, String)]) -> String {
    if facts.is_empty() {
        return String::new();
    }
    // a line breaks between words, not at the hyphens of an option
    let words = |value: &str| -> String {
        value.split_inclusive(' ').map(|word| format!("<span>{}</span>", escape(word))).collect()
    };
    let facts: String = facts
        .iter()
        .map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), words(value)))
        .collect();
    format!(
        "<details class=\"made\">\n<summary>How this was made</summary>\n<dl>\n{facts}</dl>\n</details>\n"
    )
}

/// The style sheet lets it shrink a little before it scrolls, for which it must know the width.
fn drawing(svg: &str, id: &str) -> Result<String, ReportError> {
    let head = svg.strip_prefix("<svg ").and_then(|rest| rest.split_once('>')).map(|(head, _)| head);
    let width = head.and_then(|head| head.split_once("width=\"")).and_then(|(_, rest)| rest.split_once('"'));
    let width: Option<f64> = width.and_then(|(width, _)| width.parse().ok());
    let width = width.ok_or_else(|| ReportError::Drawing { id: id.into() })?;
    let class = if width > LONG { "scroll long" } else { "scroll" };
    Ok(format!("<div class=\"{class}\" style=\"--width:{width}px\">{svg}</div>\n"))
}

fn chart(chart: &LineChart) -> String {
    let format = if chart.y_format == YFormat::Percent { "percent" } else { "number" };
    let mut out = format!(
        "<div class=\"stage\" data-format=\"{format}\" data-x=\"{}\" aria-label=\"{}\">\n",
        escape(&chart.x_label),
        escape(&chart.title)
    );
    out.extend(
        WIDTHS.map(|(class, width)| format!("<div class=\"{class}\">{}</div>\n", chart.svg_of_width(width))),
    );
    out += "</div>\n<div class=\"keys\">\n";
    for (i, (series, key)) in chart.series.iter().zip(chart.keys()).enumerate() {
        out += &format!(
            "<button type=\"button\" aria-pressed=\"true\" data-series=\"{i}\">{key}<span>{}</span></button>\n",
            escape(&series.name)
        );
    }
    out + "</div>\n"
}

fn formulas(lines: &[String], id: &str) -> Result<String, ReportError> {
    if lines.is_empty() {
        return Err(ReportError::Empty { id: id.into() });
    }
    lines.iter().map(|line| Ok(format!("<div class=\"scroll\">{}</div>\n", mathml::display(line)?))).collect()
}

fn pictures(images: &[Image], id: &str) -> Result<String, ReportError> {
    if images.is_empty() {
        return Err(ReportError::Empty { id: id.into() });
    }
    let pictures: Result<String, ReportError> = images.iter().map(|image| picture(image, id)).collect();
    Ok(format!("<ul>\n{}</ul>\n", pictures?))
}

fn picture(image: &Image, id: &str) -> Result<String, ReportError> {
    let (width, height) =
        size(&image.png).ok_or_else(|| ReportError::Picture { id: id.into(), alt: image.alt.clone() })?;
    let times = (SMALL / width).max(1);
    let class = if times > 1 { " class=\"pixels\"" } else { "" };
    let caption = if image.caption.is_empty() {
        String::new()
    } else {
        format!("<span>{}</span>", escape(&image.caption))
    };
    Ok(format!(
        "<li><img{class} width=\"{}\" height=\"{}\" alt=\"{}\" src=\"data:image/png;base64,{}\"/>{caption}</li>\n",
        width * times,
        height * times,
        escape(&image.alt),
        STANDARD.encode(&image.png)
    ))
}

/// Width and height of a PNG file, which stand at the same place in all of them.
fn size(png: &[u8]) -> Option<(u32, u32)> {
    let rest = png.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    let side = |from: usize| Some(u32::from_be_bytes(rest.get(from..from + 4)?.try_into().ok()?));
    let (width, height) = (side(8)?, side(12)?);
    (width > 0 && height > 0).then_some((width, height))
}
