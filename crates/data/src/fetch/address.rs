//! Addresses of files on servers. They can hold secrets: a user name, a password, a token, a signature.
//!
//! [`Shown`] is the one way to show a text that may have an address in it.

use std::fmt::{self, Debug, Display, Formatter};
use std::path::Path;

/// Stands for what is hidden.
pub(super) const HIDDEN: &str = "***";

/// The schemes of addresses that are fetched.
const SCHEMES: [&str; 4] = ["s3", "gs", "http", "https"];

/// A text as it may be shown, in errors, lists and files: of each address in it the user name, the password, the values of the query
/// and the fragment are `***`. `$NAME`, which stands for an environment variable, stays.
#[derive(Clone, Copy)]
pub struct Shown<'a>(pub &'a str);

impl Shown<'_> {
    /// A path, which can be an address.
    pub fn path(path: &Path) -> String {
        Shown(&path.to_string_lossy()).to_string()
    }
}

impl Display for Shown<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((before, address, after)) = first_address(rest) {
            formatter.write_str(before)?;
            Parts::of(address).show(formatter)?;
            rest = after;
        }
        formatter.write_str(rest)
    }
}

impl Debug for Shown<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        Debug::fmt(&self.to_string(), formatter)
    }
}

/// The text before the first address, the address, and the text after it.
fn first_address(text: &str) -> Option<(&str, &str, &str)> {
    text.match_indices(":/").find_map(|(colon, _)| {
        let is_of_scheme = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
        let start = text[..colon].trim_end_matches(is_of_scheme).len();
        let (scheme, rest) = (&text[start..colon], &text[colon..]);
        let is_known = SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known));
        let is_other = rest.starts_with("://") && !scheme.is_empty() && scheme != "file";
        if !is_known && !is_other {
            return None;
        }
        let ends = |letter: char| {
            letter.is_whitespace() || letter.is_control() || "\"<>`".contains(letter)
        };
        let word = &rest[..rest.find(ends).unwrap_or(rest.len())];
        // The next one of a list: {https://a,https://b}.
        let mut commas = word.match_indices(',').map(|(at, _)| at);
        let next = commas.find(|at| is_remote(&word[at + 1..]));
        // What follows an address in a sentence.
        let follows = |letter: char| ":;,.!')]}".contains(letter);
        let length = word[..next.unwrap_or(word.len())].trim_end_matches(follows).len();
        let end = colon + length;
        Some((&text[..start], &text[start..end], &text[end..]))
    })
}

/// The parts of an address, or of a pattern of several.
pub(super) struct Parts<'a> {
    /// With the slashes.
    pub(super) scheme: &'a str,
    /// The user name and the password.
    pub(super) user: Option<&'a str>,
    /// The host, the port and the path.
    pub(super) place: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) fragment: Option<&'a str>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(address: &'a str) -> Self {
        let start = address
            .find(":/")
            .map_or(0, |colon| address.len() - address[colon + 1..].trim_start_matches('/').len());
        let (scheme, rest) = address.split_at(start);
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
        let is_odd = !authority.ends_with(']') && !port.bytes().all(|byte| byte.is_ascii_digit());
        // A password may have a slash that isn't escaped, as it should be.
        let within = if is_odd && !authority.contains('@') { rest } else { authority };
        let (user, rest) = match within.rfind('@') {
            Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
            None if is_odd => (Some(authority), &rest[authority.len()..]),
            None => (None, rest),
        };
        let (rest, fragment) = split_off(rest, '#');
        let (place, query) = split_off(rest, '?');
        Self { scheme, user, place, query, fragment }
    }

    fn show(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.scheme)?;
        if let Some(user) = self.user {
            let is_named = user.split(':').all(|part| variable(part).is_some());
            write!(formatter, "{}@", if is_named { user } else { HIDDEN })?;
        }
        formatter.write_str(self.place)?;
        if let Some(query) = self.query {
            let pairs: Vec<String> = query.split('&').map(shown_pair).collect();
            write!(formatter, "?{}", pairs.join("&"))?;
        }
        match self.fragment {
            Some(fragment) => write!(formatter, "#{}", hidden(fragment)),
            None => Ok(()),
        }
    }
}

fn split_off(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn shown_pair(pair: &str) -> String {
    match pair.split_once('=') {
        Some((key, value)) => format!("{key}={}", hidden(value)),
        None => hidden(pair).to_owned(),
    }
}

fn hidden(value: &str) -> &str {
    if value.is_empty() || variable(value).is_some() { value } else { HIDDEN }
}

/// The environment variable that a value stands for: `$NAME`, in capitals.
pub(super) fn variable(value: &str) -> Option<&str> {
    let name = value.strip_prefix('$')?;
    let is_of_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let is_name = !name.starts_with(|first: char| first.is_ascii_digit());
    (is_name && !name.is_empty() && name.bytes().all(is_of_name)).then_some(name)
}

/// Whether a name is an address that is fetched.
pub(crate) fn is_remote(name: &str) -> bool {
    SCHEMES
        .iter()
        .any(|scheme| name.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://")))
}

/// The last part of a path, or of an address without its query.
pub(crate) fn file_name(name: &str) -> &str {
    let path = if is_remote(name) { Parts::of(name).place } else { name };
    path.rsplit(['/', '\\']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_an_address_is_shown() {
        for (text, shown) in [
            ("photos/a.jpg", "photos/a.jpg"),
            ("C:/photos/a.jpg: no such file", "C:/photos/a.jpg: no such file"),
            ("file:///a.jpg#0", "file:///a.jpg#0"),
            ("s3://bucket/{0..9}.tar", "s3://bucket/{0..9}.tar"),
            ("https://host:8080/x.tar: gone", "https://host:8080/x.tar: gone"),
            ("http://[::1]:80/x.tar", "http://[::1]:80/x.tar"),
            ("https://me:secret@host/x.tar", "https://***@host/x.tar"),
            ("https://secret@host", "https://***@host"),
            ("https://me:sec/ret@host/x", "https://***@host/x"),
            ("https://me:sec@ret@host/x", "https://***@host/x"),
            ("https://me:secret/x", "https://***@/x"),
            ("https:/me:secret@host/x", "https:/***@host/x"),
            ("ftp://me:secret@host/x", "ftp://***@host/x"),
            ("https://h/x?a=1&b=&c=2&secret", "https://h/x?a=***&b=&c=***&***"),
            ("https://h/x?sig=a=b/c?d@e#f", "https://h/x?sig=***#***"),
            ("(see https://h/x?a=b).", "(see https://h/x?a=***)."),
            ("\"https://h/x?a=b\" or http://i/?c=d:", "\"https://h/x?a=***\" or http://i/?c=***:"),
            ("{https://h/a?s=1,https://u@i/b?s=2}", "{https://h/a?s=***,https://***@i/b?s=***}"),
            ("https://h/x?u=https://y/?z=1,2", "https://h/x?u=***"),
            ("https://$USER:$PASS@h/x?token=$TOKEN", "https://$USER:$PASS@h/x?token=$TOKEN"),
            ("https://h/x?token=$secret", "https://h/x?token=***"),
        ] {
            assert_eq!(Shown(text).to_string(), shown);
            assert_eq!(Shown(shown).to_string(), shown, "a second time");
        }
        assert_eq!(format!("{:?}", Shown("https://a@b/c")), "\"https://***@b/c\"");
    }

    #[test]
    fn a_file_name_is_without_the_query() {
        assert_eq!(file_name("https://h/a/x.tar?sig=a/b.tar#c/d"), "x.tar");
        assert_eq!(file_name("s3://bucket/x.tar"), "x.tar");
        assert_eq!(file_name("a\\b/x?.tar"), "x?.tar");
    }
}
