//! Many short lists in one vector.

/// Consecutive lists.
#[derive(Debug, Default)]
pub(crate) struct Lists<T> {
    /// The start of each list, and the end.
    at: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy> Lists<T> {
    /// Lists of the given lengths.
    pub fn counted(lengths: &[u8], items: Vec<T>) -> Self {
        let mut at = Vec::with_capacity(lengths.len() + 1);
        at.push(0);
        at.extend(lengths.iter().scan(0, |end, length| {
            *end += u32::from(*length);
            Some(*end)
        }));
        Self { at, items }
    }

    /// `count` lists of items with the numbers of their lists. Items of a list keep their order (a counting sort).
    pub fn by_number(count: usize, numbered: Vec<(u32, T)>) -> Self {
        let mut at = vec![0_u32; count + 1];
        for (number, _) in &numbered {
            at[*number as usize + 1] += 1;
        }
        for list in 0..count {
            at[list + 1] += at[list];
        }
        let mut next = at.clone();
        let mut items: Vec<T> = numbered.iter().map(|(_, item)| *item).collect();
        for (number, item) in numbered {
            let place = &mut next[number as usize];
            items[*place as usize] = item;
            *place += 1;
        }
        Self { at, items }
    }

    pub fn len(&self) -> usize {
        self.at.len().saturating_sub(1)
    }

    /// A list; empty for a number out of range.
    pub fn get(&self, list: usize) -> &[T] {
        match self.at.get(list..list + 2) {
            Some(&[from, to]) => &self.items[from as usize..to as usize],
            _ => &[],
        }
    }

    pub fn get_mut(&mut self, list: usize) -> &mut [T] {
        match self.at.get(list..list + 2) {
            Some(&[from, to]) => &mut self.items[from as usize..to as usize],
            _ => &mut [],
        }
    }
}
