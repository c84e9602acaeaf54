//! The page as a LaTeX document that compiles as it is, with what every installation has; names in letters that pdflatex
//! does not know need lualatex or xelatex, which the document then says and asks for.

use super::{Align, Block, Paper, Span, matrix};

const HEAD: &str = r"\documentclass[a4paper]{article}
LETTERS
\usepackage[margin=18mm,ORIENTATION]{geometry}
\usepackage{amsmath,longtable,array}
\setlength{\parindent}{0pt}
\setlength{\LTleft}{0pt}
\renewcommand{\arraystretch}{1.35}
% A heading does not stand alone at the foot of a page.
\newcommand{\heading}[1]{\par\vskip 0pt plus 40mm\penalty-250\vskip 0pt plus -40mm\section*{#1}}
\begin{document}
\small
";

/// How every engine reads the letters of western Europe.
const LATIN: &str = r"\usepackage[utf8]{inputenc}";

/// How all others are read. A letter that the font lacks would be left out: that is an error instead.
const UNICODE: &str = r"% Compile with lualatex or xelatex: names here hold letters that pdflatex does not know. If the run stops
% at a missing character, name a font that has it, for example \setmainfont{Noto Serif CJK SC}.
\usepackage{iftex}
\RequireTUTeX
\usepackage{fontspec}
\tracinglostchars=3";

/// The page, whose mathematics is LaTeX's, as a document.
pub fn latex(page: &[Block], paper: Paper) -> String {
    let orientation = if paper == Paper::Landscape { "landscape" } else { "portrait" };
    let mut out = String::new();
    for block in page {
        match block {
            Block::Heading(heading) => out += &format!("\n\\heading{{{heading}}}\n"),
            Block::Paragraph(spans) => {
                out += &spans.iter().map(span).collect::<String>();
                out += "\n\n\\medskip\n";
            }
            Block::Table { columns, rows } => table(&mut out, columns, rows),
            Block::Matrix(matrix) => out += &matrix::latex(matrix, paper),
            Block::Drawing(_) => {} // box characters are for terminals; a picture is included by hand
        }
    }
    let is_latin = |c: char| c.is_ascii() || (c <= 'ÿ' && !matches!(c, 'Ð' | 'Þ' | 'ð' | 'þ'));
    let letters = if out.chars().all(is_latin) { LATIN } else { UNICODE };
    let head = HEAD.replace("ORIENTATION", orientation).replace("LETTERS", letters);
    head + &out + "\\end{document}\n"
}

fn table(out: &mut String, columns: &[(Span, Align)], rows: &[Vec<Span>]) {
    let layout: String = columns
        .iter()
        .map(|(_, align)| match align {
            Align::Long => r">{\raggedright\arraybackslash}p{60mm}",
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
            // What no font of every installation has, such as letters of a file's name, is said by its code.
            c if c > '\u{ff}' => out + &format!(r"\texttt{{U+{:04X}}}", u32::from(c)),
            c => out + &c.to_string(),
        }),
    }
}
