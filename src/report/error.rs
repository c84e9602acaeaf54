//! Why there is no report.

use std::io;
use std::path::PathBuf;

/// What prevents a page from being set or printed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields hold")]
pub enum ReportError {
    /// LaTeX that is wrong or beyond what becomes MathML.
    #[error("cannot set the formula `{latex}` as MathML: {problem}; write it with simpler commands")]
    Formula { latex: String, problem: String },

    /// It could not be linked to.
    #[error("the name `{id}` of a section or figure cannot stand in links; use letters, digits and hyphens")]
    Name { id: String },

    /// A link would lead to the first only.
    #[error("two sections or figures have the name `{id}`; rename one of them")]
    Twice { id: String },

    /// Nothing to show.
    #[error("figure `{id}` has no content; leave it out or give it some")]
    Empty { id: String },

    /// Not a drawing of this crate.
    #[error(
        "figure `{id}`: the drawing is no SVG document with a width; pass what a drawing's svg() returns"
    )]
    Drawing { id: String },

    /// Not a picture.
    #[error("figure `{id}`: the picture \"{alt}\" is no PNG file; pass what draw::png returns")]
    Picture { id: String, alt: String },

    /// Nothing that prints is installed where one would look.
    #[error(
        "no browser found to print the PDF (looked for {looked_for}); install Chromium, or set \
         COTANGENT_BROWSER to a Chromium, Chrome, Edge or Brave, or open the page and print it"
    )]
    NoBrowser { looked_for: String },

    /// The environment names what is not there.
    #[error(
        "COTANGENT_BROWSER is `{name}`, which is no program; correct it, or unset it to use what is installed"
    )]
    NamedBrowser { name: String },

    /// It is no program, or one of another machine.
    #[error("cannot start the browser {}; set COTANGENT_BROWSER to another", .browser.display())]
    Start {
        browser: PathBuf,
        #[source]
        source: io::Error,
    },

    /// It hangs.
    #[error(
        "{} printed no PDF within {seconds} s and was ended; set COTANGENT_BROWSER to another, or open the page \
         and print it", .browser.display()
    )]
    Slow { browser: PathBuf, seconds: u64 },

    /// Somebody asked to stop.
    #[error("printing was interrupted; the page itself is whole")]
    Interrupted,

    /// It gave up.
    #[error(
        "{} ({status}) made no PDF of {}{}\nSet COTANGENT_BROWSER to another, or open the page and print it",
        .browser.display(), .page.display(), quoted(.said)
    )]
    NoPdf { browser: PathBuf, page: PathBuf, status: String, said: String },

    /// The disk refuses.
    #[error("cannot write {}; check that its folder exists and is writable", .path.display())]
    Unwritable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The end of a sentence about who said it.
fn quoted(said: &str) -> String {
    match said {
        "" => " and said nothing".into(),
        said => format!("; the last that it said:\n{said}"),
    }
}
