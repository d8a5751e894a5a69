//! Declares each key of a configuration once: name, type, default and meaning.

/// A key, for [`super::explain`] and [`super::example`].
pub struct Key {
    pub name: &'static str,
    /// Meaning, in lines.
    pub about: &'static [&'static str],
    /// Example value in TOML, for keys without a default value.
    pub sample: Option<&'static str>,
}

/// Declares tables of a configuration: serde structs, their defaults and their `KEYS`. The doc comment of a key is its meaning;
/// `=> "value"` is its example value.
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
