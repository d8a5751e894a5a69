//! Brace expansion for names of shards: `part-{00000..00099}.tar`, `{train,extra}.tar`.

/// The names of a pattern, in order. A pattern without braces is a name.
///
/// # Errors
/// A message for an unclosed brace, an invalid range, and more than a million names. It quotes nothing: a part of an address can be
/// secret.
pub(super) fn expand(pattern: &str) -> Result<Vec<String>, String> {
    const MOST: usize = 1_000_000;
    let Some(open) = pattern.find('{') else {
        return Ok(vec![pattern.to_owned()]);
    };
    let (before, rest) = (&pattern[..open], &pattern[open + 1..]);
    let close = rest.find('}').ok_or("one of its braces isn't closed")?;
    let (inside, after) = (&rest[..close], &rest[close + 1..]);
    let choices = match inside.split_once("..") {
        Some((from, to)) => range(from, to)
            .ok_or("one of its braces is no range; write {000..099}, the smaller number first")?,
        None => inside.split(',').map(str::to_owned).collect(),
    };
    let ends = expand(after)?;
    if choices.len().saturating_mul(ends.len()) > MOST {
        return Err(format!("it names more than {MOST} files"));
    }
    let names = choices
        .iter()
        .flat_map(|choice| ends.iter().map(move |end| format!("{before}{choice}{end}")));
    Ok(names.collect())
}

/// The numbers of a range, padded to the wider end where one begins with 0.
fn range(from: &str, to: &str) -> Option<Vec<String>> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(from) || !digits(to) {
        return None;
    }
    let (first, last): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
    let is_padded = |text: &str| text.len() > 1 && text.starts_with('0');
    let width = if is_padded(from) || is_padded(to) { from.len().max(to.len()) } else { 0 };
    (first <= last && last - first < 1_000_000)
        .then(|| (first..=last).map(|number| format!("{number:0width$}")).collect())
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn ranges_lists_and_their_products() {
        assert_eq!(expand("a.tar").unwrap(), ["a.tar"]);
        assert_eq!(expand("{008..010}.tar").unwrap(), ["008.tar", "009.tar", "010.tar"]);
        assert_eq!(expand("x{9..11}").unwrap(), ["x9", "x10", "x11"]);
        assert_eq!(expand("{a,b}{1..2}").unwrap(), ["a1", "a2", "b1", "b2"]);
        assert_eq!(expand("{only}").unwrap(), ["only"]);
    }

    #[test]
    fn what_is_no_pattern_says_so() {
        for bad in
            ["{1..", "{..2}", "{3..1}", "{a..b}", "{0..999999999}", "{1..1000}{1..1000}{1..2}"]
        {
            assert!(expand(bad).is_err(), "{bad}");
        }
    }
}
