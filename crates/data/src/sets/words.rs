//! What is said of a set.

use super::QUOTED;

/// The counts, as `1,234 images with 2,345 captions, 100 negatives; 12 skipped: 12 empty text`, and the first skipped places.
pub(super) fn summary(
    [images, samples, captions, negatives]: [u64; 4],
    kinds: &[(&str, usize)],
    first: &[(String, String)],
) -> String {
    let of = |number: u64, thing| count(number as usize, thing);
    let in_samples =
        if images == samples { String::new() } else { format!(" in {}", of(samples, "sample")) };
    let used = format!(
        "{}{in_samples} with {}, {}",
        of(images, "image"),
        of(captions, "caption"),
        of(negatives, "negative")
    );
    if kinds.is_empty() {
        return used;
    }
    let skipped = thousands(kinds.iter().map(|(_, count)| count).sum());
    format!("{used}; {skipped} skipped: {}", why_skipped(kinds, first))
}

/// The reasons for skipping by kind, and the first ones in full.
pub(super) fn why_skipped(kinds: &[(&str, usize)], first: &[(String, String)]) -> String {
    let kinds = kinds.iter().map(|(kind, count)| format!("{} {kind}", thousands(*count)));
    let quoted = first.iter().take(QUOTED).map(|(place, reason)| format!("{place}: {reason}"));
    let (kinds, quoted): (Vec<String>, Vec<String>) = (kinds.collect(), quoted.collect());
    format!("{}. The first: {}", kinds.join(", "), quoted.join("; "))
}

pub(super) fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", thousands(number))
}

pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        let numbers = [0, 7, 999, 1_000, 12_345, 123_456, 1_000_000];
        let words = ["0", "7", "999", "1,000", "12,345", "123,456", "1,000,000"];
        assert_eq!(numbers.map(thousands), words);
    }
}
