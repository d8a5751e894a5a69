//! A cache of a limited size in bytes: what was used longest ago goes first.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Values by their keys.
#[derive(Debug)]
pub struct Stock<K, V> {
    held: HashMap<K, Held<V>>,
    /// Keys by their last use.
    uses: BTreeMap<u64, K>,
    bytes: usize,
    most: usize,
    clock: u64,
}

#[derive(Debug)]
struct Held<V> {
    value: V,
    bytes: usize,
    used: u64,
}

impl<K: Clone + Eq + Hash, V> Stock<K, V> {
    /// An empty one of at most so many bytes.
    pub fn new(most: usize) -> Self {
        Self { held: HashMap::new(), uses: BTreeMap::new(), bytes: 0, most, clock: 0 }
    }

    /// The value of a key, which is used by this.
    pub fn get(&mut self, key: &K) -> Option<&V> {
        let held = self.held.get_mut(key)?;
        self.clock += 1;
        self.uses.remove(&std::mem::replace(&mut held.used, self.clock));
        self.uses.insert(self.clock, key.clone());
        Some(&held.value)
    }

    /// Adds a value of so many bytes, and returns the keys that have to go. The value itself stays, whatever its size.
    pub fn put(&mut self, key: K, value: V, bytes: usize) -> Vec<K> {
        self.remove(&key);
        let mut gone = Vec::new();
        while self.bytes + bytes > self.most
            && let Some((_, oldest)) = self.uses.pop_first()
        {
            self.remove(&oldest);
            gone.push(oldest);
        }
        self.clock += 1;
        self.bytes += bytes;
        self.uses.insert(self.clock, key.clone());
        self.held.insert(key, Held { value, bytes, used: self.clock });
        gone
    }

    /// Removes a key's value, if it's there.
    pub fn remove(&mut self, key: &K) {
        if let Some(held) = self.held.remove(key) {
            self.uses.remove(&held.used);
            self.bytes -= held.bytes;
        }
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.held.clear();
        self.uses.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let mut stock = Stock::new(100);
        assert!(stock.put("a", 1, 40).is_empty() && stock.put("b", 2, 40).is_empty());
        assert_eq!(stock.get(&"a"), Some(&1));
        assert_eq!(stock.put("c", 3, 40), ["b"]);
        assert_eq!(stock.get(&"b"), None);
        assert_eq!(stock.get(&"a"), Some(&1));
        // In place of its own earlier value.
        assert!(stock.put("c", 4, 60).is_empty());
        assert_eq!(stock.get(&"c"), Some(&4));
        // Larger than everything.
        assert_eq!(stock.put("d", 5, 500), ["a", "c"]);
        assert_eq!(stock.get(&"d"), Some(&5));
        assert_eq!(stock.bytes, 500);
        assert_eq!(stock.put("e", 6, 10), ["d"]);
        stock.remove(&"e");
        stock.remove(&"e");
        assert_eq!((stock.bytes, stock.uses.len()), (0, 0));
        stock.put("f", 7, 10);
        stock.clear();
        assert_eq!(stock.get(&"f"), None);
        assert_eq!(stock.bytes, 0);
    }

    #[test]
    fn bytes_never_exceed_the_limit() {
        let mut stock = Stock::new(1_000);
        for number in 0..1_000_usize {
            stock.put(number, (), number % 97);
            stock.get(&(number / 2));
            assert!(stock.bytes <= 1_000 && stock.held.len() == stock.uses.len());
        }
    }
}
