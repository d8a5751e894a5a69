//! Chooses one of a sample's captions in each epoch.

use std::iter;

use clove_data::sets::{IndexedSet, Sample};
use clove_scenes::Random;

use crate::config::{Captions, Choice};
use crate::words::count;

impl Captions {
    pub(crate) fn choose(&self, sample: &Sample, random: &mut Random) -> usize {
        let captions = &sample.captions;
        match self.choice {
            Choice::First => 0,
            Choice::Longest => {
                let length = |at: &usize| captions[*at].chars().count();
                // The first of equals.
                (0..captions.len()).rev().max_by_key(length).unwrap_or(0)
            }
            Choice::Random if self.weights.is_empty() => random.below(captions.len()),
            Choice::Random => self.by_weight(sample, random),
        }
    }

    /// One line of text, with the number of captions in each field of a part of `set`.
    pub(crate) fn summary(&self, set: &IndexedSet, part: u16) -> String {
        let counts = set.captions_by_field(part).into_iter().chain(iter::repeat(0));
        let mut weights = self.weights.iter();
        let fields = self.fields.iter().zip(counts).map(|(field, number)| {
            let weight = weights.next().map(|weight| format!(" at weight {weight}"));
            format!("{} {field:?}{}", count(number), weight.unwrap_or_default())
        });
        let fields = fields.collect::<Vec<String>>().join(", ");
        let choice = match self.choice {
            Choice::Random if !self.weights.is_empty() => {
                "a field by weight, then a random caption"
            }
            Choice::Random => "a random one",
            Choice::First => "the first",
            Choice::Longest => "the longest",
        };
        if fields.is_empty() { choice.to_owned() } else { format!("{fields}; choice: {choice}") }
    }

    /// Chooses a field by weight, then one of its captions uniformly.
    fn by_weight(&self, sample: &Sample, random: &mut Random) -> usize {
        let weight = |field: u16| self.weights.get(usize::from(field)).copied().unwrap_or(0.0);
        let mut fields = sample.fields.clone();
        fields.sort_unstable();
        fields.dedup();
        let all: f64 = fields.iter().map(|field| weight(*field)).sum();
        let mut left = f64::from(random.uniform()) * all;
        let field = fields.iter().copied().find(|field| {
            left -= weight(*field);
            left < 0.0
        });
        let field = field.or(fields.last().copied());
        let is_of = |at: &usize| sample.fields.get(*at).copied() == field;
        let of: Vec<usize> = (0..sample.captions.len()).filter(is_of).collect();
        of[random.below(of.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(captions: &[&str], fields: &[u16]) -> Sample {
        Sample {
            image: std::path::PathBuf::from("a.jpg").into(),
            captions: captions.iter().map(ToString::to_string).collect(),
            fields: fields.to_vec(),
            negatives: Vec::new(),
            place: String::new(),
            part: 0,
        }
    }

    /// How often each caption is chosen in 4,000 draws.
    fn counts(captions: &Captions, sample: &Sample) -> Vec<usize> {
        let mut counts = vec![0; sample.captions.len()];
        for index in 0..4_000 {
            counts[captions.choose(sample, &mut Random::new(&[7, index]))] += 1;
        }
        counts
    }

    fn near(counts: &[usize], expected: &[usize]) -> bool {
        let near = |(a, b): (&usize, &usize)| a.abs_diff(*b) < 150;
        counts.iter().zip(expected).all(near)
    }

    #[test]
    fn every_caption_is_as_likely_without_weights_and_a_field_by_its_weight_with_them() {
        let of = sample(&["a", "b", "c", "d"], &[0, 0, 0, 2]);
        let mut captions = Captions::default();
        assert!(near(&counts(&captions, &of), &[1_000; 4]));
        captions.weights = vec![3.0, 100.0, 1.0];
        // The sample has no caption in the field of weight 100.
        assert!(near(&counts(&captions, &of), &[1_000; 4]));
        captions.weights = vec![1.0, 1.0, 3.0];
        let expected = [333, 333, 333, 3_000];
        let found = counts(&captions, &of);
        assert!(near(&found, &expected), "{found:?}");
        // A filter can leave one field. Joined samples can have fields out of order.
        assert_eq!(counts(&captions, &sample(&["a"], &[1])), [4_000]);
        let joined = sample(&["a", "b", "c"], &[0, 2, 0]);
        assert!(near(&counts(&captions, &joined), &[500, 3_000, 500]));
    }

    #[test]
    fn the_first_and_the_longest_are_always_the_same() {
        let of = sample(&["kurz", "größer", "longer", "no"], &[]);
        let of_choice = |choice| {
            let captions = Captions { choice, ..Captions::default() };
            counts(&captions, &of)
        };
        assert_eq!(of_choice(Choice::First), [4_000, 0, 0, 0]);
        assert_eq!(of_choice(Choice::Longest), [0, 4_000, 0, 0]);
    }
}
