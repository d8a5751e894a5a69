//! Each key of a configuration is declared once: its name, its type, its default and what it means.

/// A key, as [`super::explain`] and [`super::example`] tell of it.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name in its table.
    pub name: &'static str,
    /// What it means, in lines.
    pub about: &'static [&'static str],
    /// A value in TOML, where the default isn't one.
    pub sample: Option<&'static str>,
}

/// Declares tables of a configuration: structs that serde reads and writes, their defaults, and their `KEYS`. A key is
/// documented by its doc comment; `=> "value"` is what an example shows where there is no default.
macro_rules! tables {
    ($(
        $(#[doc = $title:literal])*
        $name:ident {
            $(
                $(#[doc = $about:literal])*
                $(#[serde($($serde:tt)*)])?
                $key:ident: $type:ty = $default:expr $(=> $sample:literal)?;
            )*
        }
    )*) => {$(
        $(#[doc = $title])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $(
                $(#[doc = $about])*
                $(#[serde($($serde)*)])?
                pub $key: $type,
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl $name {
            const KEYS: &[Key] = &[$(
                Key {
                    name: stringify!($key),
                    about: &[$($about),*],
                    sample: tables!(@sample $($sample)?),
                },
            )*];
        }
    )*};
    (@sample) => { None };
    (@sample $sample:literal) => { Some($sample) };
}

pub(super) use tables;
