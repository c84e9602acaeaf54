//! The page as a LaTeX document that compiles as it is, with what every installation has.

use super::notation::Notation;
use super::page::{Align, Block, Span, page};
use crate::scalar::Trace;

const HEAD: &str = r"\documentclass[a4paper]{article}
\usepackage[utf8]{inputenc}
\usepackage[margin=18mm,PAPER]{geometry}
\usepackage{amsmath,longtable,array}
\setlength{\parindent}{0pt}
\setlength{\LTleft}{0pt}
\renewcommand{\arraystretch}{1.35}
% A heading does not stand alone at the foot of a page.
\newcommand{\heading}[1]{\par\vskip 0pt plus 40mm\penalty-250\vskip 0pt plus -40mm\section*{#1}}
\begin{document}
\small
";

/// The trace as a LaTeX document.
pub fn latex(trace: &Trace, digits: usize) -> String {
    // Long numbers need a wide page.
    let mut out = HEAD.replace("PAPER", if digits > 6 { "landscape" } else { "portrait" });
    for block in page(trace, Notation::Latex, digits, None) {
        match block {
            Block::Heading(heading) => out += &format!("\n\\heading{{{heading}}}\n"),
            Block::Paragraph(spans) => {
                out += &spans.iter().map(span).collect::<String>();
                out += "\n\n\\medskip\n";
            }
            Block::Table { columns, rows } => table(&mut out, &columns, &rows),
            Block::Drawing(_) => {} // box characters are for terminals; a picture is included by hand
        }
    }
    out + "\\end{document}\n"
}

fn table(out: &mut String, columns: &[(Span, Align)], rows: &[Vec<Span>]) {
    // A tangent rule may be longer than the page is wide: that column alone breaks lines.
    let rule =
        columns.iter().position(|(title, _)| matches!(title, Span::Words(words) if words == "tangent rule"));
    let layout: String = columns
        .iter()
        .enumerate()
        .map(|(i, (_, align))| match align {
            Align::Left if Some(i) == rule => r">{\raggedright\arraybackslash}p{60mm}",
            Align::Left => "l",
            Align::Right => "r",
        })
        .collect();
    let titles: Vec<String> = columns.iter().map(|(title, _)| span(title)).collect();
    *out += &format!(
        "\\begin{{longtable}}{{@{{}}{layout}@{{}}}}\n{} \\\\ \\hline\n\\endhead\n",
        titles.join(" & ")
    );
    for row in rows {
        *out += &row.iter().map(span).collect::<Vec<_>>().join(" & ");
        *out += " \\\\\n";
    }
    *out += "\\end{longtable}\n";
}

fn span(span: &Span) -> String {
    match span {
        Span::Math(text) if text.is_empty() => String::new(),
        Span::Math(text) => format!("${text}$"),
        Span::Words(text) => text.chars().fold(String::new(), |out, c| match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out + "\\" + &c.to_string(),
            '\\' => out + r"\textbackslash{}",
            '^' => out + r"\textasciicircum{}",
            '~' => out + r"\textasciitilde{}",
            c => out + &c.to_string(),
        }),
    }
}
