//! Names in LaTeX's mathematics, so that different names never print alike.

/// A name without an index: one letter in italics, several upright, Greek letters by their commands. Letters that LaTeX's
/// mathematics has no command for are text, which prints them as they are where the font has them.
pub(super) fn latex(name: &str) -> String {
    let mut letters = name.chars();
    if let (Some(only), None) = (letters.next(), letters.next())
        && only.is_ascii()
    {
        return escaped(name);
    }
    let mut out = String::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let kind = Kind::of(first);
        let end = match kind {
            Kind::Command(_) => first.len_utf8(),
            _ => rest.find(|c| Kind::of(c) != kind).unwrap_or(rest.len()),
        };
        let part = &rest[..end];
        rest = &rest[end..];
        out += &match kind {
            Kind::Ascii => format!(r"\mathrm{{{}}}", escaped(part)),
            Kind::Command(command) => format!(r"\{command}{{}}"),
            Kind::Text => format!(r"\text{{{part}}}"),
        };
    }
    out
}

fn escaped(ascii: &str) -> String {
    ascii.replace('_', r"\_")
}

/// How a letter is set.
#[derive(PartialEq)]
enum Kind {
    Ascii,
    Command(&'static str),
    Text,
}

impl Kind {
    fn of(letter: char) -> Self {
        match COMMANDS.iter().find(|(own, _)| *own == letter) {
            Some((_, command)) => Self::Command(command),
            None if letter.is_ascii() => Self::Ascii,
            None => Self::Text,
        }
    }
}

/// Letters of mathematics: of Greek ones those that do not look like a Latin one.
const COMMANDS: [(char, &str); 37] = [
    ('α', "alpha"),
    ('β', "beta"),
    ('γ', "gamma"),
    ('δ', "delta"),
    ('ε', "varepsilon"),
    ('ζ', "zeta"),
    ('η', "eta"),
    ('θ', "theta"),
    ('ι', "iota"),
    ('κ', "kappa"),
    ('λ', "lambda"),
    ('μ', "mu"),
    ('ν', "nu"),
    ('ξ', "xi"),
    ('π', "pi"),
    ('ρ', "rho"),
    ('ς', "varsigma"),
    ('σ', "sigma"),
    ('τ', "tau"),
    ('υ', "upsilon"),
    ('φ', "varphi"),
    ('χ', "chi"),
    ('ψ', "psi"),
    ('ω', "omega"),
    ('Γ', "Gamma"),
    ('Δ', "Delta"),
    ('Θ', "Theta"),
    ('Λ', "Lambda"),
    ('Ξ', "Xi"),
    ('Π', "Pi"),
    ('Σ', "Sigma"),
    ('Υ', "Upsilon"),
    ('Φ', "Phi"),
    ('Ψ', "Psi"),
    ('Ω', "Omega"),
    ('ħ', "hbar"),
    ('ı', "imath"),
];
