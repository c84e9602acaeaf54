//! Things that people choose by name, on the command line and in files.
//!
//! A name is taken in any case, with or without the hyphens and underscores in it: `OneCycle`, `one_cycle`. A name that
//! means something elsewhere and nothing here is answered with what there is instead; any other with the nearest name
//! and with all of them.

/// Gives an enum its names: `ALL`, `name`, and reading and writing as text. After the names may follow those that other
/// tools have, each with what to use instead.
macro_rules! named {
    (
        $type:ident { $($variant:ident = $name:expr),+ $(,)? }
        $(instead of { $($others:pat => $advice:literal),+ $(,)? })?
    ) => {
        impl $type {
            /// All of them, in the order of lists, tables and plots.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The name on the command line and in files.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let plain = $crate::names::plain(text);
                let found = Self::ALL.into_iter().find(|one| $crate::names::plain(one.name()) == plain);
                let advice = match &plain[..] {
                    $($($others => Some($advice),)+)?
                    _ => None,
                };
                found.ok_or_else(|| $crate::names::unknown(&plain, &[$($name),+], advice))
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(|error| serde::de::Error::custom(format!("{text:?}: {error}")))
            }
        }
    };
}

pub(crate) use named;

/// A name as it is compared.
pub(crate) fn plain(text: &str) -> String {
    text.trim().chars().filter(|c| !['-', '_', ' '].contains(c)).flat_map(char::to_lowercase).collect()
}

/// A word as a shell takes it: in quotes, if it needs them.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:,@%".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// Some names as text has them, `last` before the last: `adam, lion or sgd`.
pub fn listed(names: &[&str], last: &str) -> String {
    match names {
        [all @ .., end] if !all.is_empty() => format!("{} {last} {end}", all.join(", ")),
        _ => names.concat(),
    }
}

/// What to say of a name that is none of these.
pub(crate) fn unknown(plain_name: &str, names: &[&str], advice: Option<&str>) -> String {
    if let Some(advice) = advice {
        return advice.into();
    }
    let all = names.join(", ");
    // As far as a slip of a finger or two goes.
    let distance = |name: &str| strsim::osa_distance(plain_name, &plain(name));
    let nearest = names.iter().map(|name| (distance(name), name)).min();
    match nearest.filter(|(distance, name)| *distance <= 2 && *distance < name.len() / 2 + 1) {
        Some((_, name)) => format!("did you mean {name}? It is one of {all}"),
        None => format!("it is one of {all}"),
    }
}

#[cfg(test)]
mod tests {
    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Course {
        Flat,
        OneCycle,
    }

    named! {
        Course { Flat = "flat", OneCycle = "one-cycle" }
        instead of { "step" | "stairs" => "there are no steps here: use flat" }
    }

    #[test]
    fn a_name_is_taken_in_any_case_and_with_any_hyphens() {
        for text in ["one-cycle", "One_Cycle", "OneCycle", "ONECYCLE", " one cycle "] {
            assert_eq!(text.parse(), Ok(Course::OneCycle), "{text}");
            let in_file: Course = serde_json::from_value(text.into()).unwrap();
            assert_eq!(in_file, Course::OneCycle, "{text}");
        }
        assert_eq!(serde_json::to_value(Course::OneCycle).unwrap(), "one-cycle");
        assert_eq!(Course::ALL, [Course::Flat, Course::OneCycle]);
    }

    #[test]
    fn what_is_no_name_is_answered_with_what_there_is() {
        let answer = |text: &str| text.parse::<Course>().unwrap_err();
        assert_eq!(answer("Stairs"), "there are no steps here: use flat");
        assert_eq!(answer("onecicle"), "did you mean one-cycle? It is one of flat, one-cycle");
        for far in ["", "round", "x"] {
            assert_eq!(answer(far), "it is one of flat, one-cycle", "{far:?}");
        }
        let in_file = serde_json::from_value::<Course>("Stairs".into()).unwrap_err().to_string();
        assert_eq!(in_file, "\"Stairs\": there are no steps here: use flat");
    }
}
