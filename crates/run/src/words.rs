//! Formats numbers for people.

/// `12,345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

/// `1 caption`, `2 captions`.
pub fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", count(number))
}

/// `1.50 GiB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = number as f64;
    let mut unit = "B";
    for larger in UNITS {
        if value < 1_024.0 {
            break;
        }
        value /= 1_024.0;
        unit = larger;
    }
    if unit == "B" { format!("{number} B") } else { format!("{value:.2} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::{bytes, count, counted};

    #[test]
    fn numbers_are_grouped_and_scaled() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([counted(1, "photo"), counted(2_000, "photo")], ["1 photo", "2,000 photos"]);
        assert_eq!(
            [0, 1_023, 1_536, 3 << 30].map(bytes),
            ["0 B", "1023 B", "1.50 KiB", "3.00 GiB"]
        );
    }
}
