use std::time::Duration;

use super::*;
use crate::testing::{Dir, gzip, zstd};

/// Something that doesn't shrink much.
fn noise(bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    noise
}

/// A folder with a file, and the file's path.
fn with(bytes: &[u8]) -> (Dir, String) {
    let dir = Dir::with(&[("file", bytes)]);
    let name = dir.path("file").to_str().unwrap().to_owned();
    (dir, name)
}

/// The names of copies and of their parts.
fn left(copies: &Path) -> Vec<String> {
    let files = fs::read_dir(copies).unwrap();
    let mut names: Vec<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let is_of_copy = |name: &str| room::is_key(&name[..32.min(name.len())]);
    names.retain(|name| is_of_copy(name) && Path::new(name).extension() != Some("lock".as_ref()));
    names
}

/// A cache with a listener.
fn heard<'a>(folder: &'a Path, listener: Listener<'a>) -> Cache<'a> {
    Cache::new(Copies { folder: Some(folder), most: None }, listener)
}

#[test]
fn what_is_not_packed_stays_where_it_is() {
    for bytes in [&b"plain"[..], b"", b"\x1f"] {
        let (dir, name) = with(bytes);
        let copies = dir.path("copies");
        assert_eq!(Cache::silent(Some(&copies)).one(&name).unwrap().path, Path::new(&name));
        assert!(!copies.exists());
    }
}

#[test]
fn a_packed_file_is_unpacked_once_and_again_when_it_has_changed() {
    let (dir, name) = with(b"");
    let copies = dir.path("copies");
    let (unpacked, told) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let listener = |progress: Progress<'_>| {
        match progress {
            Progress::Begins(..) => unpacked.fetch_add(1, Ordering::Relaxed),
            Progress::Reads(..) => 0,
            Progress::Bytes(bytes) => {
                told.fetch_add(usize::try_from(bytes).unwrap(), Ordering::Relaxed)
            }
            Progress::Note(text) => panic!("{text}"),
        };
        true
    };
    let cache = heard(&copies, &listener);
    let bytes = noise(3 << 20);
    // Frames that hold nothing, before, between and after.
    let skippable = [&b"\x5a\x2a\x4d\x18\x03\0\0\0abc"[..], &zstd(b"")].concat();
    let frames = [zstd(&bytes[..1000]), skippable.clone(), zstd(&bytes[1000..]), skippable];
    for (packed, content) in [
        (gzip(&bytes), &bytes[..]),
        (zstd(&bytes), &bytes[..]),
        (frames.concat(), &bytes[..]),
        ([gzip(b"one"), gzip(b"two")].concat(), b"onetwo"),
    ] {
        fs::write(&name, &packed).unwrap();
        // A file system's clock may stand still between two writings.
        let later = SystemTime::now() + Duration::from_secs(u64::from(packed[9]));
        File::options().write(true).open(&name).unwrap().set_modified(later).unwrap();
        for _ in 0..2 {
            let local = cache.one(&name).unwrap();
            assert_eq!(fs::read(&local.path).unwrap(), content);
            assert_eq!((&local.name, &local.damage), (&name, &None));
        }
        assert_eq!(unpacked.swap(0, Ordering::Relaxed), 1);
        assert_eq!(told.swap(0, Ordering::Relaxed), packed.len());
    }
}

#[test]
fn what_is_cut_keeps_its_beginning_and_says_so() {
    let bytes = noise(200_000);
    for packed in [gzip(&bytes), zstd(&bytes)] {
        for end in [packed.len() - 1, packed.len() / 2, 20, 4] {
            let (dir, name) = with(&packed[..end]);
            let copies = dir.path("copies");
            for _ in 0..2 {
                let local = Cache::silent(Some(&copies)).one(&name).unwrap();
                assert!(local.damage.is_some(), "{end}");
                let content = fs::read(&local.path).unwrap();
                assert!(bytes.starts_with(&content), "{end}");
            }
        }
    }
}

#[test]
fn whoever_listens_may_stop_it_and_nothing_half_done_stays() {
    let (dir, name) = with(&gzip(&noise(5 << 20)));
    let copies = dir.path("copies");
    let listener = |progress: Progress<'_>| matches!(progress, Progress::Begins(..));
    let error = heard(&copies, &listener).one(&name);
    assert!(matches!(error, Err(DataError::Stopped(of)) if of == name));
    assert_eq!(left(&copies), Vec::<String>::new());
    let local = Cache::silent(Some(&copies)).one(&name).unwrap();
    assert_eq!(fs::metadata(&local.path).unwrap().len(), 5 << 20);
}

#[test]
fn two_that_want_the_same_copy_make_it_once() {
    let (dir, name) = with(&gzip(&noise(8 << 20)));
    let copies = dir.path("copies");
    let begun = AtomicUsize::new(0);
    let listener = |progress: Progress<'_>| {
        if let Progress::Begins(..) = progress {
            begun.fetch_add(1, Ordering::Relaxed);
        }
        true
    };
    let names = vec![name; 8];
    let local = heard(&copies, &listener).local(&names).unwrap();
    assert_eq!(begun.into_inner(), 1);
    assert!(local.iter().all(|one| *one == local[0]));
}

#[test]
fn the_first_name_that_is_wrong_is_told() {
    let (dir, name) = with(b"plain");
    let lacks = dir.path("lacks").to_str().unwrap().to_owned();
    let names = [name, lacks.clone(), dir.path("too").to_str().unwrap().to_owned()];
    let error = Cache::silent(None).local(&names).unwrap_err();
    assert!(matches!(&error, DataError::Io { path, .. } if *path == Path::new(&lacks)), "{error}");
}

/// A gzip file of zeros is a thousand times smaller than they are.
#[test]
fn a_decompression_bomb_is_refused_before_it_fills_the_disk() {
    let zeros = vec![0; 80 << 20];
    for packed in [gzip(&zeros), zstd(&zeros)] {
        let (dir, name) = with(&packed);
        let copies = dir.path("copies");
        let error = Cache::silent(Some(&copies)).one(&name).unwrap_err().to_string();
        assert!(error.starts_with(&name) && error.contains("decompression bomb"), "{error}");
        assert_eq!(left(&copies), Vec::<String>::new());
    }
}

/// A frame's header with a window of 2 GiB: RFC 8878, section 3.1.1.1.2.
#[test]
fn a_window_beyond_the_memory_is_refused() {
    let exponent_21 = 21 << 3;
    let (dir, name) = with(&[0x28, 0xb5, 0x2f, 0xfd, 0, exponent_21, 1, 0, 0]);
    let error = Cache::silent(Some(&dir.path("copies"))).one(&name).unwrap_err().to_string();
    assert!(error.contains("2147483648 bytes of memory"), "{error}");
}

#[test]
fn copies_take_no_more_room_than_they_may_and_the_oldest_goes_first() {
    let dir = Dir::with(&[]);
    let copies = dir.path("copies");
    // Of an earlier process.
    fs::create_dir(&copies).unwrap();
    for (name, hours) in [("0", 2), ("1", 1)] {
        let file = File::create(copies.join(name.repeat(32))).unwrap();
        file.set_len(3 << 20).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(hours * 3_600)).unwrap();
    }
    let most = Some(7 << 20);
    let cache = Cache::new(Copies { folder: Some(&copies), most }, &|_| true);
    let file = |name: &str| {
        let path = dir.path(name);
        fs::write(&path, gzip(&noise(3 << 20))).unwrap();
        path.to_str().unwrap().to_owned()
    };
    cache.one(&file("a.gz")).unwrap();
    assert!(!copies.join("0".repeat(32)).exists() && copies.join("1".repeat(32)).exists());
    cache.one(&file("b.gz")).unwrap();
    assert!(!copies.join("1".repeat(32)).exists());
    let error = cache.one(&file("c.gz")).unwrap_err().to_string();
    assert!(error.contains("no room for its copy") && error.contains("data.cache_size"), "{error}");
    assert_eq!(left(&copies).len(), 2);
}
