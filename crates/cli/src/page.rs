//! Pages that commands write: one file each, without a script, that asks for nothing from anywhere.

use std::fmt::{self, Write as _};

const CSS: &str = include_str!("page.css");

/// A page of a title and what stands on it.
pub fn frame(title: &str, main: &str) -> String {
    format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="clove {version}">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{CSS}</style>
</head>
<body>
<main>
{main}</main>
</body>
</html>
"#,
        version = env!("CARGO_PKG_VERSION"),
        title = escape(title),
    )
}

pub fn section(title: &str, body: &str) -> String {
    format!("<section><h2>{title}</h2>{body}</section>\n")
}

pub fn put(text: &mut String, added: fmt::Arguments<'_>) {
    // A String takes all there is memory for; the result is the trait's.
    let _ = text.write_fmt(added);
}

/// Makes any text safe between tags and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' => escaped.push(letter),
            _ if letter.is_control() => escaped.push('\u{fffd}'),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn no_text_leaves_its_place() {
        assert_eq!(
            escape("<b a='1'>\"&\u{1b}[0m"),
            "&lt;b a=&#39;1&#39;&gt;&quot;&amp;\u{fffd}[0m"
        );
    }
}
