//! Numbers and lists as text.

/// Stands where there is no figure.
pub(super) const NO_FIGURE: &str = "–";

/// Figures beyond this are treated as none: no accuracy or loss comes near, and coordinates stay exact.
const LARGEST: f64 = 1e9;

/// The figure, if it is one that can be printed and plotted.
pub(super) fn usable(value: f64) -> Option<f64> {
    (value.abs() <= LARGEST).then_some(value)
}

/// With so many decimals and a true minus sign; never a negative zero.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    let Some(value) = usable(value) else {
        return NO_FIGURE.to_owned();
    };
    let digits = format!("{:.decimals$}", value.abs());
    let is_zero = digits.chars().all(|digit| matches!(digit, '0' | '.'));
    if value < 0.0 && !is_zero { format!("\u{2212}{digits}") } else { digits }
}

/// Like [`fixed`], with a sign for what is above zero too.
pub(super) fn signed(value: f64, decimals: usize) -> String {
    let digits = fixed(value, decimals);
    let is_zero = digits.chars().all(|digit| matches!(digit, '0' | '.'));
    if value > 0.0 && !is_zero && digits != NO_FIGURE { format!("+{digits}") } else { digits }
}

/// A share from 0 to 1 as percent with one decimal, without the sign.
pub(super) fn percent(share: f64) -> String {
    fixed(share * 100.0, 1)
}

/// A share from 0 to 1 as percent with one decimal and the sign.
pub(super) fn percent_sign(share: f64) -> String {
    match usable(share) {
        Some(share) => format!("{}\u{202f}%", percent(share)),
        None => NO_FIGURE.to_owned(),
    }
}

/// A difference of two shares in points, signed.
pub(super) fn points(difference: f64) -> String {
    signed(difference * 100.0, 1)
}

/// At most three decimals, none that is zero at the end.
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
    let mut spaced = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            spaced.push('\u{202f}');
        }
        spaced.push(digit);
    }
    spaced
}

/// `1 seed`, `3 seeds`.
pub(super) fn plural(number: usize, one: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {one}{ending}", count(number))
}

/// Seconds as people say them.
pub(super) fn duration(seconds: f64) -> String {
    match usable(seconds) {
        Some(seconds) if seconds >= 0.0 => {
            let whole = seconds.round() as u64;
            match (whole / 3600, whole / 60 % 60, whole % 60) {
                (0, 0, _) => format!("{} s", fixed(seconds, 1)),
                (0, minutes, rest) => format!("{minutes} min {rest} s"),
                (hours, minutes, _) => format!("{hours} h {minutes} min"),
            }
        }
        _ => NO_FIGURE.to_owned(),
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
