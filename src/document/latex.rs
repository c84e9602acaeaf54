//! The page as a LaTeX document that compiles as it is, with what every installation has; names in letters that pdflatex
//! does not know need lualatex or xelatex, which the document then says and asks for.

use std::io::{self, Write};

use super::written::written;
use super::{Align, Block, Paper, Rows, Span, matrix};

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
pub fn latex<R: Rows>(page: &[Block<R>], paper: Paper) -> String {
    written(|out| write_latex(page, paper, out))
}

/// Writes the page, whose mathematics is LaTeX's, as a document.
///
/// # Errors
/// Those of the writer.
pub fn write_latex<R: Rows>(page: &[Block<R>], paper: Paper, out: &mut dyn Write) -> io::Result<()> {
    let orientation = if paper == Paper::Landscape { "landscape" } else { "portrait" };
    // The head depends on the letters of all that follows, which is looked at first.
    let mut letters = Letters { are_latin: true };
    body(page, paper, &mut letters)?;
    let letters = if letters.are_latin { LATIN } else { UNICODE };
    write!(out, "{}", HEAD.replace("ORIENTATION", orientation).replace("LETTERS", letters))?;
    body(page, paper, out)?;
    writeln!(out, "\\end{{document}}")
}

fn body<R: Rows>(page: &[Block<R>], paper: Paper, out: &mut dyn Write) -> io::Result<()> {
    for block in page {
        match block {
            Block::Heading(heading) => write!(out, "\n\\heading{{{heading}}}\n")?,
            Block::Paragraph(spans) => {
                write!(out, "{}\n\n\\medskip\n", spans.iter().map(span).collect::<String>())?;
            }
            Block::Table { columns, rows } => table(out, columns, rows)?,
            Block::Matrix(matrix) => out.write_all(matrix::latex(matrix, paper).as_bytes())?,
            Block::Drawing(_) => {} // box characters are for terminals; a picture is included by hand
        }
    }
    Ok(())
}

/// Keeps nothing of what is written but whether all of it is letters of western Europe.
struct Letters {
    are_latin: bool,
}

impl Write for Letters {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_latin = |c: char| c.is_ascii() || (c <= 'ÿ' && !matches!(c, 'Ð' | 'Þ' | 'ð' | 'þ'));
        self.are_latin &= std::str::from_utf8(bytes).is_ok_and(|text| text.chars().all(is_latin));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn table(out: &mut dyn Write, columns: &[(Span, Align)], rows: &impl Rows) -> io::Result<()> {
    let layout: String = columns
        .iter()
        .map(|(_, align)| match align {
            Align::Long => r">{\raggedright\arraybackslash}p{60mm}",
            Align::Left => "l",
            Align::Right => "r",
        })
        .collect();
    let titles: Vec<String> = columns.iter().map(|(title, _)| span(title)).collect();
    writeln!(
        out,
        "\\begin{{longtable}}{{@{{}}{layout}@{{}}}}\n{} \\\\ \\hline\n\\endhead",
        titles.join(" & ")
    )?;
    rows.each(&mut |row| writeln!(out, "{} \\\\", row.iter().map(span).collect::<Vec<_>>().join(" & ")))?;
    writeln!(out, "\\end{{longtable}}")
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
