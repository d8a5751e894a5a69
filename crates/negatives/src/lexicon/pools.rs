//! Cousins: for each synset two levels up, the words two levels down, with running sums of their weights.

use clove_random::Random;

use super::{Offsets, PosData, Related, Senses, WordId};

/// A word in a pool, with its synset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cousin {
    pub word: WordId,
    pub synset: u32,
}

/// The pools of a part of speech.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    /// Where each pool begins in `cousins`; one more than there are pools.
    at: Vec<u32>,
    cousins: Vec<Cousin>,
    /// Sums of weights, each including its own cousin, from the start of all.
    sums: Vec<u64>,
    /// The pools of each synset; one more than there are synsets.
    of_at: Vec<u32>,
    of: Vec<u32>,
}

impl Pools {
    /// Of nouns and verbs: a pool for each synset.
    pub fn same(data: &PosData, offsets: &Offsets) -> Self {
        let synsets = data.member_counts.len();
        let above = |synset: usize| {
            &data.hypernyms
                [offsets.hypernyms[synset] as usize..offsets.hypernyms[synset + 1] as usize]
        };
        let of: Vec<Vec<u32>> = (0..synsets)
            .map(|synset| {
                let mut all: Vec<u32> = above(synset)
                    .iter()
                    .flat_map(|parent| above(*parent as usize))
                    .copied()
                    .collect();
                all.sort_unstable();
                all.dedup();
                all
            })
            .collect();
        let mut entries = Vec::new();
        for (synset, pools) in of.iter().enumerate() {
            for at in offsets.members[synset]..offsets.members[synset + 1] {
                let member = data.members[at as usize];
                let cousin = Cousin { word: member.word, synset: synset as u32 };
                entries.extend(pools.iter().map(|pool| (*pool, cousin, member.weight)));
            }
        }
        Self::build(synsets, &entries, &of)
    }

    /// Of adjectives, through the nouns that they're derived from.
    pub fn adjectives(nouns: &Senses, related: &Related) -> Self {
        let synsets = nouns.data.member_counts.len();
        let pools_of_noun = |noun: u32| {
            let at = noun as usize;
            let pools = &nouns.pools;
            &pools.of[pools.of_at[at] as usize..pools.of_at[at + 1] as usize]
        };
        let mut entries = Vec::new();
        for &(noun, synset, form) in &related.adjectives {
            let cousin = Cousin { word: form.word, synset };
            entries.extend(pools_of_noun(noun).iter().map(|pool| (*pool, cousin, form.weight)));
        }
        let adjectives = related.nouns.iter().map(|(a, _)| *a as usize + 1).max();
        let mut of = vec![Vec::new(); adjectives.unwrap_or(0)];
        for &(adjective, noun) in &related.nouns {
            of[adjective as usize].extend_from_slice(pools_of_noun(noun));
        }
        for pools in &mut of {
            pools.sort_unstable();
            pools.dedup();
        }
        Self::build(synsets, &entries, &of)
    }

    fn build(pools: usize, entries: &[(u32, Cousin, u32)], of: &[Vec<u32>]) -> Self {
        let mut at = vec![0_u32; pools + 1];
        for (pool, ..) in entries {
            at[*pool as usize + 1] += 1;
        }
        for pool in 0..pools {
            at[pool + 1] += at[pool];
        }
        let mut next = at.clone();
        let mut cousins = vec![Cousin { word: 0, synset: 0 }; entries.len()];
        let mut sums = vec![0_u64; entries.len()];
        for &(pool, cousin, weight) in entries {
            let place = &mut next[pool as usize];
            cousins[*place as usize] = cousin;
            sums[*place as usize] = u64::from(weight);
            *place += 1;
        }
        let mut sum = 0;
        for weight in &mut sums {
            sum += *weight;
            *weight = sum;
        }
        let mut of_at = vec![0_u32];
        for pools in of {
            of_at.push(of_at[of_at.len() - 1] + pools.len() as u32);
        }
        Self { at, cousins, sums, of_at, of: of.concat() }
    }

    /// A cousin of a synset, drawn by weight from one of its pools; none if it has none.
    pub fn draw(&self, synset: u32, random: &mut Random) -> Option<Cousin> {
        let place = synset as usize;
        if place + 1 >= self.of_at.len() {
            return None;
        }
        let pools = &self.of[self.of_at[place] as usize..self.of_at[place + 1] as usize];
        if pools.is_empty() {
            return None;
        }
        let pool = random.pick(pools) as usize;
        let (from, to) = (self.at[pool] as usize, self.at[pool + 1] as usize);
        let before = if from == 0 { 0 } else { self.sums[from - 1] };
        let total = self.sums.get(to.checked_sub(1)?)?.checked_sub(before)?;
        if to <= from || total == 0 {
            return None;
        }
        let wanted = before + random.below(total as usize) as u64;
        let found = self.sums[from..to].partition_point(|sum| *sum <= wanted);
        Some(self.cousins[from + found])
    }
}
