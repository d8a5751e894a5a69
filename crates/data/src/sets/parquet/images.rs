//! A column of images: the page of each row, and a cache of the pages read last.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};

use super::pages::{Chunk, Page};
use crate::DataError;
use crate::fetch::Local;

/// The cache of all columns: 512 MiB, or a single larger page.
static PAGES: LazyLock<Stock> = LazyLock::new(|| Stock::new(512 << 20));

/// The images of a Parquet file. Columns of the same file are equal.
#[derive(Debug)]
pub struct ImageColumn {
    file: Local,
    /// The file's size, which distinguishes it from another one of its name.
    bytes: u64,
    /// The key in the cache, where a set that is read twice is two.
    id: u64,
    chunks: Vec<Column>,
    pages: Vec<First>,
}

#[derive(Debug)]
struct Column {
    chunk: Chunk,
    max_definition: u32,
}

/// The first row of a page.
#[derive(Debug)]
struct First {
    row: u64,
    chunk: usize,
    page: usize,
}

impl ImageColumn {
    pub(super) fn new(file: &Local, bytes: u64) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            file: file.clone(),
            bytes,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            chunks: Vec::new(),
            pages: Vec::new(),
        }
    }

    /// Adds a group of rows, which begins at `row`.
    pub(super) fn add(&mut self, mut row: u64, chunk: Chunk, max_definition: u32) {
        for (page, place) in chunk.pages.iter().enumerate() {
            let chunk = self.chunks.len();
            self.pages.push(First { row, chunk, page });
            row += place.entries as u64;
        }
        self.chunks.push(Column { chunk, max_definition });
    }

    pub(in super::super) fn name(&self) -> &str {
        &self.file.name
    }

    /// The file's name, not the path of a copy, and its size.
    pub(in super::super) fn identity(&self) -> (Cow<'_, str>, u64) {
        (self.file.identity(), self.bytes)
    }

    /// The bytes of a row's image.
    pub(in super::super) fn read(&self, row: u64) -> Result<Vec<u8>, DataError> {
        let wrong = |problem| DataError::format(&self.file.name, format!("row {row}: {problem}"));
        self.find(row).map_err(wrong)
    }

    fn find(&self, row: u64) -> Result<Vec<u8>, String> {
        let after = self.pages.partition_point(|first| first.row <= row);
        let first = after.checked_sub(1).and_then(|at| self.pages.get(at));
        let first = first.ok_or("there is no such row")?;
        let Column { chunk, max_definition } = &self.chunks[first.chunk];
        let memory = chunk.pages[first.page].memory();
        let memory = memory + chunk.dictionary.map_or(0, |place| place.memory());
        let key = (self.id, first.chunk, first.page);
        let page = PAGES.get(key, memory, || {
            let file = File::open(&self.file.path).map_err(|error| error.to_string())?;
            let mut file = BufReader::new(file);
            let dictionary = chunk.dictionary(&mut file)?;
            chunk.page(&mut file, first.page, dictionary.as_ref())
        })?;
        let entry = usize::try_from(row - first.row).unwrap_or(usize::MAX);
        let is_image = |entry: usize| page.definition(entry) == *max_definition;
        if entry >= page.entries || !is_image(entry) {
            return Err("its image is null".to_owned());
        }
        let value = (0..entry).filter(|entry| is_image(*entry)).count();
        let bytes = page.values.get(value).ok_or("its page lacks values")?;
        Ok(bytes.to_vec())
    }
}

impl PartialEq for ImageColumn {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for ImageColumn {}

impl std::hash::Hash for ImageColumn {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

type Key = (u64, usize, usize);

/// The pages read last and those being read: no more than a budget together, or a single page.
#[derive(Debug)]
struct Stock {
    shelf: Mutex<Shelf>,
    changed: Condvar,
    budget: u64,
}

#[derive(Debug, Default)]
struct Shelf {
    slots: HashMap<Key, Slot>,
    used: u64,
    /// Number of requests.
    clock: u64,
}

#[derive(Debug)]
struct Slot {
    cost: u64,
    /// The clock at the last request.
    asked: u64,
    /// `None` while a thread reads it.
    page: Option<Arc<Page>>,
}

impl Shelf {
    /// Makes room for `cost` bytes and returns whether there is enough.
    fn make_room(&mut self, cost: u64, budget: u64) -> bool {
        while self.used > 0 && self.used + cost > budget {
            let idle = self.slots.iter().filter(|(_, slot)| slot.page.is_some());
            let Some(key) = idle.min_by_key(|(_, slot)| slot.asked).map(|(key, _)| *key) else {
                return false;
            };
            self.remove(key);
        }
        true
    }

    fn remove(&mut self, key: Key) {
        if let Some(slot) = self.slots.remove(&key) {
            self.used -= slot.cost;
        }
    }
}

impl Stock {
    fn new(budget: u64) -> Self {
        Self { shelf: Mutex::default(), changed: Condvar::new(), budget }
    }

    /// The shelf is consistent whenever its lock is free, even after a panic.
    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The page, read by `read` if it's missing; other requests for it wait meanwhile.
    fn get(
        &self,
        key: Key,
        cost: u64,
        read: impl FnOnce() -> Result<Page, String>,
    ) -> Result<Arc<Page>, String> {
        let mut shelf = self.lock();
        loop {
            shelf.clock += 1;
            let asked = shelf.clock;
            if let Some(slot) = shelf.slots.get_mut(&key) {
                // Without a page, another thread is reading it.
                if let Some(page) = &slot.page {
                    slot.asked = asked;
                    return Ok(Arc::clone(page));
                }
            } else if shelf.make_room(cost, self.budget) {
                shelf.used += cost;
                shelf.slots.insert(key, Slot { cost, asked, page: None });
                break;
            }
            let waited = self.changed.wait(shelf);
            shelf = waited.unwrap_or_else(PoisonError::into_inner);
        }
        drop(shelf);
        let mut place = Reading { stock: self, key, page: None };
        let page = Arc::new(read()?);
        place.page = Some(Arc::clone(&page));
        Ok(page)
    }
}

/// A slot that is filled, or removed when reading fails.
struct Reading<'a> {
    stock: &'a Stock,
    key: Key,
    page: Option<Arc<Page>>,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut shelf = self.stock.lock();
        match (self.page.take(), shelf.slots.get_mut(&self.key)) {
            (Some(page), Some(slot)) => slot.page = Some(page),
            _ => shelf.remove(self.key),
        }
        drop(shelf);
        self.stock.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use super::*;

    #[test]
    fn a_stock_reads_a_page_once_and_drops_what_was_asked_for_longest_ago() {
        let stock = Stock::new(100);
        let reads = AtomicUsize::new(0);
        let get = |page, cost| {
            let read = || {
                reads.fetch_add(1, Ordering::Relaxed);
                Ok(Page::default())
            };
            stock.get((0, 0, page), cost, read).unwrap();
            reads.load(Ordering::Relaxed)
        };
        assert_eq!([get(0, 40), get(1, 40), get(0, 40)], [1, 2, 2]);
        // Takes the place of page 1.
        assert_eq!([get(2, 40), get(0, 40), get(1, 40)], [3, 3, 4]);
        // Larger than the budget, and alone.
        assert_eq!([get(3, 500), get(3, 500), get(0, 40)], [5, 5, 6]);
        let failed = stock.get((1, 0, 0), 40, || Err("cut".to_owned()));
        assert_eq!(failed.unwrap_err(), "cut");
        assert_eq!(stock.lock().used, 40);
    }

    #[test]
    fn threads_keep_to_the_budget() {
        let stock = Stock::new(100);
        let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for thread in 0..8 {
                let (stock, now, most) = (&stock, &now, &most);
                scope.spawn(move || {
                    for page in 0..50 {
                        let read = || {
                            most.fetch_max(
                                now.fetch_add(1, Ordering::SeqCst) + 1,
                                Ordering::SeqCst,
                            );
                            thread::yield_now();
                            now.fetch_sub(1, Ordering::SeqCst);
                            Ok(Page::default())
                        };
                        stock.get((thread, 0, page), 40, read).unwrap();
                    }
                });
            }
        });
        let most = most.into_inner();
        assert!((1..=2).contains(&most), "{most}");
    }
}
