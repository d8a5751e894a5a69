use super::*;
use crate::testing::{self, Dir, fails};

fn open(path: &Path, names: &[&str]) -> Result<ClassSet, DataError> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let names = (!names.is_empty()).then_some(&names[..]);
    ClassSet::open(path, names, &Cache::silent(None))
}

fn dir(files: &[&str]) -> Dir {
    let files: Vec<_> = files.iter().map(|file| (*file, file.as_bytes())).collect();
    Dir::with(&files)
}

fn tar(members: &[(&str, &str)]) -> (Dir, PathBuf) {
    let members: Vec<_> =
        members.iter().map(|(name, content)| (*name, content.as_bytes())).collect();
    let dir = Dir::with(&[("set.tar", &testing::tar(&members))]);
    let path = dir.path("set.tar");
    (dir, path)
}

/// What each photo holds, with its class.
fn photos(set: &ClassSet) -> Vec<(String, &str)> {
    let photos = set.photos.iter();
    let read = |place: &ImagePlace| String::from_utf8(place.read().unwrap()).unwrap();
    photos.map(|(place, class)| (read(place), set.classes[*class].as_str())).collect()
}

#[test]
fn folders_are_classes_in_the_order_of_their_names() {
    let folder = dir(&[
        "test/tree_frog/1.png",
        "test/ant/2.JPG",
        "test/ant/1.jpg",
        "test/ant/notes.md",
        "stray.png",
    ]);
    let set = open(folder.root(), &[]).unwrap();
    assert_eq!(set.classes, ["ant", "tree frog"]);
    let expected = [
        ("test/ant/1.jpg", "ant"),
        ("test/ant/2.JPG", "ant"),
        ("test/tree_frog/1.png", "tree frog"),
    ];
    assert_eq!(photos(&set), expected.map(|(a, b)| (a.to_owned(), b)));
    assert!(set.skipped[0].1.starts_with("without a class"));
    let named = open(folder.root(), &["an ant", "a frog"]).unwrap();
    assert_eq!(named.classes, ["an ant", "a frog"]);
    fails(open(folder.root(), &["one"]), &["2 folders of photos and 1 names"]);
    let twice = dir(&["test/ant/1.png", "train/ant/1.png"]);
    fails(open(twice.root(), &[]), &["the class \"ant\" is in"]);
    let none = dir(&["a.png"]);
    fails(open(none.root(), &[]), &["no photo ("]);
}

#[test]
fn a_tar_file_has_folders_or_numbers() {
    let (_dir, path) =
        tar(&[("./test/b/1.png", "x"), ("./test/a_c/1.png", "y"), ("./test/b/._1.png", "z")]);
    let set = open(&path, &[]).unwrap();
    assert_eq!(photos(&set), [("y".to_owned(), "a c"), ("x".to_owned(), "b")]);
    assert!(set.skipped[0].1.starts_with("hidden file"), "{:?}", set.skipped);
    let (_dir, path) = tar(&[
        ("0.jpg", "x"),
        ("0.cls", "1\n"),
        ("1.cls", "0"),
        ("1.jpg", "y"),
        ("2.jpg", "z"),
        ("3.jpg", "z"),
        ("3.cls", "2"),
    ]);
    let set = open(&path, &["cat", "dog"]).unwrap();
    assert_eq!(photos(&set), [("x".to_owned(), "dog"), ("y".to_owned(), "cat")]);
    let kinds: Vec<&str> = set.skipped.iter().map(|(_, why)| why.as_str()).collect();
    let expected = [
        "without a class: there is no .cls beside it",
        "no such class: \"2\" is no number below 2",
    ];
    assert_eq!(kinds, expected);
    fails(open(&path, &[]), &["give the classes' names"]);
    fs::write(&path, "not a tar file").unwrap();
    assert!(open(&path, &[]).is_err());
}

/// The layout of LAION-AI/CLIP_benchmark: clip_benchmark/datasets/builder.py (`build_wds_dataset`) and
/// clip_benchmark/webdataset_builder.py.
#[test]
fn shards_of_clip_benchmark_have_names_and_templates_beside_them() {
    let shard = |members: &[(&str, &[u8])]| testing::tar(members);
    let first = shard(&[
        ("s0000000.webp", b"x"),
        ("s0000000.cls", b"1"),
        ("s0000001.webp", b"y"),
        ("s0000001.cls", b"0"),
    ]);
    // Keys are those of a shard, and an extension may have a dot.
    let second = shard(&[
        ("s0000000.0.webp", b"z"),
        ("s0000000.cls", b"2"),
        ("a.1.jpg", b"v"),
        ("a.1.cls", b"0"),
    ]);
    let dir = Dir::with(&[
        ("test/0.tar", &first),
        ("test/1.tar", &second),
        ("test/nshards.txt", b"2\n"),
        ("train/0.tar", &first),
        ("classnames.txt", b"cat\ndog\nhorse\n"),
        ("zeroshot_classification_templates.txt", b"a photo of a {c}.\na {c}\n"),
    ]);
    let expected = [("x", "dog"), ("y", "cat"), ("z", "horse"), ("v", "cat")];
    let expected = expected.map(|(photo, class)| (photo.to_owned(), class));
    for pattern in ["", "test", "test/{0..1}.tar", "test/*.tar"] {
        let set = open(&dir.path(pattern), &[]).unwrap();
        assert_eq!(photos(&set), expected, "{pattern}");
        assert_eq!(set.templates.as_ref().unwrap(), &["a photo of a {c}.", "a {c}"], "{pattern}");
        assert_eq!(set.notes.is_empty(), !pattern.is_empty(), "{:?}", set.notes);
    }
    let named = open(&dir.path("test"), &["a", "b"]).unwrap();
    assert_eq!((named.photos.len(), named.skipped.len()), (3, 1));
    fs::remove_file(dir.path("classnames.txt")).unwrap();
    fails(open(&dir.path("test/0.tar"), &[]), &["classnames.txt"]);
    fs::write(dir.path("test/1.tar"), &second[..1024 + 100]).unwrap();
    assert!(open(&dir.path("test"), &["a", "b", "c"]).is_err());
}

#[test]
fn hidden_foreign_and_linked_photos_are_counted() {
    let folder = dir(&[
        "ant/1.jpg",
        "ant/._1.jpg",
        "ant/2.HEIC",
        "ant/.DS_Store",
        ".ipynb_checkpoints/1-checkpoint.jpg",
    ]);
    #[cfg(unix)]
    {
        let outside = folder.path("ant");
        fs::create_dir(folder.path("set")).unwrap();
        std::os::unix::fs::symlink(&outside, folder.path("set/ant")).unwrap();
        assert_eq!(open(&folder.path("set"), &[]).unwrap().photos.len(), 1);
        fs::remove_dir_all(folder.path("set")).unwrap();
    }
    let set = open(folder.root(), &[]).unwrap();
    assert_eq!((set.classes.len(), set.photos.len()), (1, 1));
    let kinds = set.skipped.iter().map(|(_, why)| why.split(':').next().unwrap());
    let expected = ["hidden file", "hidden file", "format not read"];
    assert_eq!(kinds.collect::<Vec<_>>(), expected);
    assert!(set.skipped[2].0.ends_with("2.HEIC"), "{:?}", set.skipped);
    let none = dir(&["ant/1.heic"]);
    fails(open(none.root(), &[]), &["no photo (", "skipped: 1, the first", "1.heic"]);
}

#[test]
fn cifars_records_are_images_of_their_pixels() {
    for (file, names, labels) in
        [("test.bin", "fine_label_names.txt", 2), ("test_batch.bin", "batches.meta.txt", 1)]
    {
        let dir = dir(&[]);
        fs::write(dir.path(names), "apple\nbaby_bird\n\n").unwrap();
        let mut bytes = Vec::new();
        for class in [1_u8, 0] {
            bytes.extend([7, class].iter().skip(2 - labels));
            bytes.extend((0..3072_u32).map(|at| (at % 251) as u8 ^ class));
        }
        fs::write(dir.path(file), &bytes).unwrap();
        let set = open(dir.root(), &[]).unwrap();
        assert_eq!(set.classes, ["apple", "baby bird"]);
        let classes: Vec<usize> = set.photos.iter().map(|(_, class)| *class).collect();
        assert_eq!(classes, [1, 0]);
        let image = set.photos[1].0.read().unwrap();
        let limits = clove::preprocess::DecodeLimits::default();
        let image = clove::preprocess::decode(&image, &limits).unwrap();
        assert_eq!((image.width(), image.height()), (32, 32));
        for (x, y, pixel) in image.enumerate_pixels() {
            let of = |plane: u32| ((plane * 1024 + y * 32 + x) % 251) as u8;
            assert_eq!(pixel.0, [of(0), of(1), of(2)]);
        }
        fs::write(dir.path(file), &bytes[1..]).unwrap();
        assert!(open(dir.root(), &[]).is_err());
        bytes[labels - 1] = 9;
        fs::write(dir.path(file), &bytes).unwrap();
        fails(open(&dir.path(file), &[]), &["record 0: class 9 of 2"]);
    }
}
