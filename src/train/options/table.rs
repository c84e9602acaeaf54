//! What is made of the table of options: see `rows.rs`.

/// Makes of a row an option
///
/// - the field of `Choices`, which may be missing, with its option on the command line and its key in `config.toml`;
/// - the field of `Options`, which holds;
/// - its help, default, check, and what it decides.
///
/// A row is
///
/// ```text
/// /// Help, but for the default
/// name: what is said => what holds, if that is another type {
///     value: "N",         // how the help names the value
///     parse: whole_number, // reads it from the command line, if not by its `FromStr`
///     take: f,            // what holds by what was said and the optimizer, if that is not the same
///     default: 10,        // or `default_of: f`, by the optimizer
///     shown: "ten",       // the default in the help, if not as it is written
///     check: f,           // what the value has to be, given all options
///     decides: Decides::Nothing, // if not the result
/// }
/// ```
macro_rules! options {
    ($(
        $(#[doc = $help:literal])+
        $field:ident: $said:ty $(=> $held:ty)? {
            value: $value:literal,
            $(parse: $parse:expr,)?
            $(take: $take:expr,)?
            $(default: $default:expr,)?
            $(default_of: $default_of:expr,)?
            $(shown: $shown:expr,)?
            $(check: $check:expr,)?
            $(decides: $decides:expr,)?
        }
    )+) => {
        /// What somebody chose for a run; the rest is left to the defaults.
        #[derive(Clone, Default, PartialEq, Debug, clap::Args, serde::Serialize)]
        #[serde(rename_all = "kebab-case")]
        #[command(allow_negative_numbers = true)]
        pub struct Choices {
            $(
                $(#[doc = $help])+
                #[arg(
                    long,
                    value_name = $value,
                    help = help(concat!($($help),+), &shown!($($default)?; $($shown)?))
                    $(, value_parser = $parse)?
                )]
                pub $field: Option<$said>,
            )+
            /// Constants of the update rules.
            #[command(flatten)]
            #[serde(flatten)]
            pub constants: Constants,
        }

        /// Every option of a run as it holds. The fields are [`Choices`]', without gaps.
        #[derive(Clone, PartialEq, Debug, serde::Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub struct Options {
            /// Optimizer.
            pub opt: OptimizerName,
            /// All constants of its update rule.
            #[serde(flatten)]
            pub constants: Constants,
            $(
                $(#[doc = $help])+
                pub $field: held!($said $(=> $held)?),
            )+
        }

        /// The names of all that may be chosen.
        pub(super) fn names() -> impl Iterator<Item = String> {
            let rows = [$(stringify!($field)),+].into_iter().map(|field| field.replace('_', "-"));
            rows.chain(Constants::names().map(str::to_owned))
        }

        /// What the option of this name decides.
        pub fn decides(name: &str) -> Decides {
            match &name.replace('-', "_")[..] {
                $($(stringify!($field) => $decides,)?)+
                _ => Decides::Result,
            }
        }

        impl Choices {
            /// Takes the value of an option out of a file; false, if it has no such option.
            pub(super) fn read<'de, M: MapAccess<'de>>(&mut self, name: &str, map: &mut M) -> Result<bool, M::Error> {
                match &name.replace('-', "_")[..] {
                    $(stringify!($field) => self.$field = Some(map.next_value()?),)+
                    _ => return Ok(false),
                }
                Ok(true)
            }

            /// These choices, and where they say nothing, `others`: each field by itself.
            pub(super) fn or_each(self, others: Self) -> Self {
                Self {
                    constants: self.constants.or(others.constants),
                    $($field: self.$field.or(others.$field),)+
                }
            }
        }

        impl Options {
            /// Where nothing is chosen.
            pub(super) fn default_of(opt: OptimizerName) -> Self {
                Self {
                    opt,
                    constants: Constants::of(opt),
                    $($field: { $($default)? $(($default_of)(opt))? },)+
                }
            }

            /// Takes what was said, each field by itself.
            pub(super) fn take(&mut self, said: Choices) -> Result<(), OptionError> {
                let opt = self.opt;
                $(
                    if let Some(said) = said.$field {
                        let taken = taken!(said, opt; $($take)?);
                        self.$field = taken.map_err(|refused| refusal(stringify!($field), refused))?;
                    }
                )+
                self.constants.take(said.constants, opt)
            }

            /// The first option whose value makes no sense.
            pub(super) fn check(&self) -> Result<(), OptionError> {
                $($(
                    check(&self.$field, self, $check).map_err(|refused| refusal(stringify!($field), refused))?;
                )?)+
                Ok(())
            }
        }
    };
}

/// The type of what holds.
macro_rules! held {
    ($said:ty) => {
        $said
    };
    ($said:ty => $held:ty) => {
        $held
    };
}

/// The default as the help shows it.
macro_rules! shown {
    ($($default:expr)?; $shown:expr) => {
        $shown.to_string()
    };
    ($default:expr;) => {
        $default.to_string()
    };
}

/// What holds by what was said.
macro_rules! taken {
    ($said:ident, $opt:ident;) => {
        Ok::<_, Refused>($said)
    };
    ($said:ident, $opt:ident; $take:expr) => {
        $take($said, $opt)
    };
}

pub(super) use {held, options, shown, taken};
