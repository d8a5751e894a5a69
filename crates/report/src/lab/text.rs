//! Numbers and lists as text.

/// Stands for a missing figure.
pub(super) const NO_FIGURE: &str = "–";

/// Larger figures count as missing: no accuracy or loss comes near, and coordinates stay exact.
const LARGEST: f64 = 1e9;

/// The figure, if it can be printed and plotted.
pub(super) fn usable(value: f64) -> Option<f64> {
    (value.abs() <= LARGEST).then_some(value)
}

/// With a number of decimals and a true minus sign; never a negative zero.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    with_signs(value, decimals, ["\u{2212}", ""])
}

/// Like [`fixed`], with a plus sign too.
pub(super) fn signed(value: f64, decimals: usize) -> String {
    with_signs(value, decimals, ["\u{2212}", "+"])
}

fn with_signs(value: f64, decimals: usize, [minus, plus]: [&str; 2]) -> String {
    let Some(value) = usable(value) else {
        return NO_FIGURE.to_owned();
    };
    let digits = format!("{:.decimals$}", value.abs());
    let is_zero = digits.chars().all(|digit| matches!(digit, '0' | '.'));
    let sign = if is_zero {
        ""
    } else if value < 0.0 {
        minus
    } else {
        plus
    };
    format!("{sign}{digits}")
}

/// A share from 0 to 1 as percent with one decimal, without the sign.
pub(super) fn percent(share: f64) -> String {
    fixed(share * 100.0, 1)
}

/// A share from 0 to 1 as percent with one decimal and the sign.
pub(super) fn percent_sign(share: f64) -> String {
    let sign = if usable(share).is_some() { "\u{202f}%" } else { "" };
    percent(share) + sign
}

/// With at most three decimals and no trailing zeros.
pub(super) fn short(value: f64) -> String {
    let digits = fixed(value, 3);
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        digits
    }
}

/// With a narrow space between thousands.
pub(super) fn count(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join("\u{202f}")
}

/// `1 seed`, `3 seeds`.
pub(super) fn plural(number: usize, one: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {one}{ending}", count(number))
}

/// A duration in the largest two units.
pub(super) fn duration(seconds: f64) -> String {
    let Some(seconds) = usable(seconds).filter(|seconds| *seconds >= 0.0) else {
        return NO_FIGURE.to_owned();
    };
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, _) => format!("{} s", fixed(seconds, 1)),
        (0, minutes, rest) => format!("{minutes} min {rest} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(items: &[String]) -> String {
    match items {
        [] => NO_FIGURE.to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
