//! Cousins: for each synset two levels up, the words two levels down, with running sums of their weights.

use clove_random::Random;

use super::{Form, Lists, Related, WordId};

/// A word in a pool, with its synset.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cousin {
    pub word: WordId,
    pub synset: u32,
}

/// The pools of a part of speech.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    /// By pool, each with the sum of the weights up to and including it.
    cousins: Lists<(Cousin, u64)>,
    /// The pools of each synset.
    of: Lists<u32>,
}

impl Pools {
    /// Of nouns and verbs: a pool for each synset.
    pub fn same(members: &Lists<Form>, hypernyms: &Lists<u32>) -> Self {
        let mut of = Vec::new();
        let mut entries = Vec::new();
        for synset in 0..members.len() {
            let parents = hypernyms.get(synset).iter();
            let above = parents.flat_map(|parent| hypernyms.get(*parent as usize));
            let pools = sorted(above.copied().collect());
            for member in members.get(synset) {
                let cousin = Cousin { word: member.word, synset: synset as u32 };
                let entry = (cousin, u64::from(member.weight));
                entries.extend(pools.iter().map(|pool| (*pool, entry)));
            }
            of.extend(pools.into_iter().map(|pool| (synset as u32, pool)));
        }
        Self::build(members.len(), entries, Lists::by_number(members.len(), of))
    }

    /// Of adjectives, through related nouns.
    pub fn adjectives(nouns: &Self, related: &Related) -> Self {
        let mut entries = Vec::new();
        for &(noun, synset, form) in &related.adjectives {
            let entry = (Cousin { word: form.word, synset }, u64::from(form.weight));
            entries.extend(nouns.of.get(noun as usize).iter().map(|pool| (*pool, entry)));
        }
        let adjectives = related.nouns.iter().map(|(adjective, _)| *adjective as usize + 1).max();
        let mut of = vec![Vec::new(); adjectives.unwrap_or(0)];
        for &(adjective, noun) in &related.nouns {
            of[adjective as usize].extend_from_slice(nouns.of.get(noun as usize));
        }
        let numbered = (0..).zip(of).flat_map(|(adjective, pools)| {
            sorted(pools).into_iter().map(move |pool| (adjective, pool))
        });
        let of = Lists::by_number(adjectives.unwrap_or(0), numbered.collect());
        Self::build(nouns.cousins.len(), entries, of)
    }

    fn build(pools: usize, entries: Vec<(u32, (Cousin, u64))>, of: Lists<u32>) -> Self {
        let mut cousins = Lists::by_number(pools, entries);
        for pool in 0..pools {
            let mut sum = 0;
            for (_, weight) in cousins.get_mut(pool) {
                sum += *weight;
                *weight = sum;
            }
        }
        Self { cousins, of }
    }

    /// A cousin of a synset, drawn by weight from one of its pools.
    pub fn draw(&self, synset: u32, random: &mut Random) -> Option<Cousin> {
        let pools = self.of.get(synset as usize);
        if pools.is_empty() {
            return None;
        }
        let pool = self.cousins.get(random.pick(pools) as usize);
        let (_, total) = pool.last()?;
        let wanted = random.below(*total as usize) as u64;
        let found = pool.partition_point(|(_, sum)| *sum <= wanted);
        pool.get(found).map(|(cousin, _)| *cousin)
    }
}

fn sorted(mut pools: Vec<u32>) -> Vec<u32> {
    pools.sort_unstable();
    pools.dedup();
    pools
}
