//! The words that two texts share.

/// The longest common subsequence of two texts: for each word of either, whether it belongs to it. Takes time and memory in
/// proportion to the product of the lengths.
pub fn common_words<T: PartialEq>(one: &[T], other: &[T]) -> (Vec<bool>, Vec<bool>) {
    let width = other.len() + 1;
    // longest[i * width + j]: length of the longest common subsequence of one[i..] and other[j..].
    let mut longest = vec![0usize; (one.len() + 1) * width];
    for i in (0..one.len()).rev() {
        for j in (0..other.len()).rev() {
            longest[i * width + j] = if one[i] == other[j] {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let mut common = (vec![false; one.len()], vec![false; other.len()]);
    let (mut i, mut j) = (0, 0);
    while i < one.len() && j < other.len() {
        if one[i] == other[j] {
            (common.0[i], common.1[j]) = (true, true);
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    common
}
