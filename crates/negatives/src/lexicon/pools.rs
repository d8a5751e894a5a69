//! Cousins of nouns: for each synset two levels up, the words two levels down, with running sums of their weights.

use clove_random::Random;

use super::{Form, Lists, WordId};

/// The pools.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    /// By pool, each with the sum of the weights up to and including it.
    cousins: Lists<(WordId, u64)>,
    /// The pools of each synset.
    of: Lists<u32>,
}

impl Pools {
    /// A pool for each synset.
    pub fn new(members: &Lists<Form>, hypernyms: &Lists<u32>) -> Self {
        let mut of = Vec::new();
        let mut entries = Vec::new();
        for synset in 0..members.len() {
            let parents = hypernyms.get(synset).iter();
            let above = parents.flat_map(|parent| hypernyms.get(*parent as usize));
            let mut pools: Vec<u32> = above.copied().collect();
            pools.sort_unstable();
            pools.dedup();
            for member in members.get(synset) {
                let entry = (member.word, u64::from(member.weight));
                entries.extend(pools.iter().map(|pool| (*pool, entry)));
            }
            of.extend(pools.into_iter().map(|pool| (synset as u32, pool)));
        }
        let mut cousins = Lists::by_number(members.len(), entries);
        for pool in 0..members.len() {
            let mut sum = 0;
            for (_, weight) in cousins.get_mut(pool) {
                sum += *weight;
                *weight = sum;
            }
        }
        Self { cousins, of: Lists::by_number(members.len(), of) }
    }

    /// A cousin of a synset, drawn by weight from one of its pools.
    pub fn draw(&self, synset: u32, random: &mut Random) -> Option<WordId> {
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
