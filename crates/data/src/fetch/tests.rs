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
            Progress::Bytes(bytes) => {
                told.fetch_add(usize::try_from(bytes).unwrap(), Ordering::Relaxed)
            }
        };
        true
    };
    let cache = Cache::new(Some(&copies), &listener);
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
        let later = std::time::SystemTime::now() + Duration::from_secs(u64::from(packed[9]));
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
    let error = Cache::new(Some(&copies), &listener).one(&name);
    assert!(matches!(error, Err(DataError::Stopped(of)) if of == name));
    let left: Vec<_> = fs::read_dir(&copies).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(left.iter().all(|file| file.extension().is_some_and(|end| end == "lock")), "{left:?}");
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
    let local = Cache::new(Some(&copies), &listener).local(&names).unwrap();
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
