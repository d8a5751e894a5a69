use super::*;
use crate::testing::{Dir, captions, fields, gzip, kinds, strings, tar, zstd};

fn set(shards: &[(&str, &[u8])], pattern: &str) -> Result<ImageTextSet, DataError> {
    set_by(shards, pattern, &[])
}

fn set_by(
    shards: &[(&str, &[u8])],
    pattern: &str,
    fields: &[String],
) -> Result<ImageTextSet, DataError> {
    let dir = Dir::with(shards);
    let copies = dir.path("copies");
    let cache = Cache::silent(Some(&copies));
    let options = Options { captions: fields, ..Options::default() };
    let set = ImageTextSet::shards(&dir.path(pattern).to_string_lossy(), &options, &cache)?;
    for sample in &set.samples {
        // The bytes are those of the member, wherever it stands.
        let bytes = sample.image.read().unwrap();
        assert!(bytes.starts_with(b"pixels of "), "{}", sample.image);
    }
    Ok(set)
}

fn shard(keys: &[&str]) -> Vec<u8> {
    let members = keys.iter().flat_map(|key| {
        let json = format!("{{\"caption\": \"{key}\"}}");
        [(format!("{key}.jpg"), format!("pixels of {key}")), (format!("{key}.json"), json)]
    });
    let members: Vec<_> = members.collect();
    let members = members.iter().map(|(name, text)| (name.as_str(), text.as_bytes()));
    tar(&members.collect::<Vec<_>>())
}

#[test]
fn samples_of_all_shards_come_in_their_order() {
    let shards = [("s-0.tar", &shard(&["a", "b/c"])[..]), ("s-1.tar", &shard(&["d"]))];
    let found = set(&shards, "s-{0..1}.tar").unwrap();
    assert_eq!(captions(&found), ["a", "b/c", "d"]);
    assert!(found.skipped.is_empty());
    assert!(found.samples[1].image.to_string().contains("s-0.tar: \"b/c.jpg\""));
}

#[test]
fn captions_come_from_json_or_from_text_and_negatives_with_them() {
    let image: &[u8] = b"pixels of x";
    let bytes = tar(&[
        ("0.JPG", image),
        ("0.json", b"{\"captions\": [\"a\", \"b\"], \"negatives\": [\"c\"]}"),
        ("1.txt", b"d\n\n e \n"),
        ("1.png", image),
        ("1.cls", b"7"),
        ("2.jpg", image),
        ("2.json", b"{\"id\": 1}"),
        ("2.txt", b"f"),
    ]);
    let found = set(&[("s.tar", &bytes)], "s.tar").unwrap();
    assert_eq!(captions(&found), ["a|b", "d|e", "f"]);
    assert_eq!(found.samples[0].negatives, ["c"]);
}

#[test]
fn captions_stand_in_the_fields_that_are_asked_for() {
    let image: &[u8] = b"pixels of x";
    let json: &[u8] = b"{\"alt\": \"a\", \"made\": [\"b\", \"c\"], \"caption\": \"no\"}";
    let bytes = tar(&[
        ("0.jpg", image),
        ("0.json", json),
        ("0.txt", b"d"),
        ("1.jpg", image),
        ("1.txt", b"e\nf"),
        ("2.jpg", image),
        ("2.json", b"{\"made\": \"g\", \"alt\": null}"),
        ("3.jpg", image),
        ("3.json", b"{\"caption\": \"no\"}"),
    ]);
    let names = strings(&["made", "txt", "alt"]);
    let found = set_by(&[("s.tar", &bytes)], "s.tar", &names).unwrap();
    assert_eq!(captions(&found), ["b|c|d|a", "e|f", "g"]);
    assert_eq!(fields(&found), [&[0, 0, 1, 2][..], &[1, 1], &[0]]);
    let why = "without a caption: no text under made, txt, alt";
    assert_eq!(found.skipped[0].1, why);
}

#[test]
fn what_is_no_sample_is_skipped_and_told() {
    let image: &[u8] = b"pixels of x";
    let bytes = tar(&[
        ("0.json", b"{\"caption\": \"a\"}"),
        ("1.jpg", image),
        ("2.jpg", image),
        ("2.json", b"{"),
        ("3.jpg", image),
        ("3.txt", b"\xff"),
        ("4.jpg", image),
        ("4.txt", b"good"),
        ("5.jpg", image),
        ("5.png", image),
        ("5.txt", b"b"),
    ]);
    let found = set(&[("s.tar", &bytes)], "s.tar").unwrap();
    assert_eq!(captions(&found), ["good"]);
    let expected =
        ["not JSON", "not UTF-8", "several images", "without an image", "without a caption"];
    assert_eq!(kinds(&found), expected);
    assert!(found.skipped[3].0.ends_with("s.tar: \"0\""));
}

#[test]
fn of_a_cut_shard_the_rest_is_read() {
    let whole = shard(&["a", "b", "c"]);
    // Each member is a header and a block: in the third header, in its image, in the fourth text, and between members.
    for (end, left) in [
        (2 * 1024 + 100, vec!["a"]),
        (2 * 1024 + 512 + 4, vec!["a"]),
        (3 * 1024 + 512 + 4, vec!["a"]),
        (2 * 1024, vec!["a"]),
        (4 * 1024, vec!["a", "b"]),
    ] {
        let shards = [("s-0.tar", &whole[..end]), ("s-1.tar", &shard(&["z"]))];
        let found = set(&shards, "s-{0..1}.tar").unwrap();
        assert_eq!(captions(&found), [left, vec!["z"]].concat(), "{end}");
        let damaged = kinds(&found).into_iter().filter(|kind| *kind == "damaged shard");
        assert_eq!(damaged.count(), 1, "{:?}", found.skipped);
    }
}

#[test]
fn packed_shards_are_read_as_those_that_are_not() {
    let bytes = shard(&["a", "b", "c"]);
    let plain = set(&[("s.tar", &bytes)], "s.tar").unwrap();
    let frames = bytes.chunks(1000).map(zstd).collect::<Vec<_>>().concat();
    let members = bytes.chunks(700).map(gzip).collect::<Vec<_>>().concat();
    for packed in [gzip(&bytes), zstd(&bytes), frames, members] {
        let found = set(&[("s.tar.gz", &packed)], "s.tar.gz").unwrap();
        assert_eq!(captions(&found), captions(&plain));
        assert!(found.skipped.is_empty());
        // Cut anywhere, it gives what came before and says that something is missing.
        for end in (0..packed.len()).step_by(packed.len() / 9).skip(1) {
            let shards = [("s-0.tar.gz", &packed[..end]), ("s-1.tar.gz", &shard(&["z"]))];
            let found = set(&shards, "s-{0..1}.tar.gz").unwrap();
            let captions = captions(&found);
            let whole = ["a", "b", "c"];
            assert_eq!(captions[..captions.len() - 1], whole[..captions.len() - 1]);
            assert_eq!(captions.last().unwrap(), "z");
            assert!(kinds(&found).contains(&"damaged shard"), "{end}");
        }
    }
}

#[test]
fn what_cannot_be_used_at_all_is_an_error() {
    let error = |bytes: &[u8]| set(&[("s.tar", bytes)], "s.tar").unwrap_err().to_string();
    assert!(error(&[0x1f, 0x8b, 8, 0]).contains("damaged shard"));
    assert!(error(&[0x28, 0xb5, 0x2f, 0xfd]).contains("damaged shard"));
    assert!(error(&tar(&[("0.txt", b"a")])).contains("none of its 1 members"));
    assert!(error(&[b'x'; 2_000]).contains("damaged shard"));
    assert!(set(&[], "none.tar").unwrap_err().to_string().contains("none.tar"));
    assert!(set(&[], "s-{0..}.tar").unwrap_err().to_string().contains("{0..}"));
}

/// Members of these names; an image has its name as bytes.
fn members(names: &[&str]) -> Vec<u8> {
    let content = |name: &str| match name.rsplit_once('.') {
        Some((key, "json" | "JSON")) => format!("{{\"caption\": \"{key}\"}}"),
        Some((key, "txt" | "cap" | "caption")) => key.to_owned(),
        _ => format!("pixels of {name}"),
    };
    let contents: Vec<String> = names.iter().map(|name| content(name)).collect();
    let members = names.iter().zip(&contents).map(|(name, text)| (*name, text.as_bytes()));
    tar(&members.collect::<Vec<_>>())
}

/// The captions that are read of such members, and how many are skipped.
fn read(names: &[&str]) -> (Vec<String>, usize) {
    let found = set(&[("s.tar", &members(names))], "s.tar").unwrap();
    (captions(&found), found.skipped.len())
}

/// webdataset's key ends at the first dot (src/webdataset/tariterators.py, `base_plus_ext`), so that it has one sample of `img` here,
/// with fields `0001.jpg` and `0001.txt` that its users don't ask for.
#[test]
fn keys_with_dots_are_samples_by_their_whole_names() {
    let (captions, skipped) = read(&[
        "img.0001.jpg",
        "img.0001.txt",
        "img.0002.jpg",
        "img.0002.txt",
        "img.0003.jpg",
        "img.0004.txt",
        "x.jpg",
    ]);
    assert_eq!((captions.join("|").as_str(), skipped), ("img.0001|img.0002", 3));
}

/// As webdataset has them: all members with a key up to the first dot are one sample.
#[test]
fn other_fields_of_a_sample_are_no_samples() {
    let fields = ["0.jpg", "0.txt", "0.mask.png", "0.cls", "0.crop.jpg"];
    assert_eq!(read(&fields), (vec!["0".to_owned()], 0));
    // CLIP_benchmark's builder reads `0.webp` too.
    assert_eq!(read(&["s1.0.webp", "s1.txt", "s2.png", "s2.en.txt"]).0, ["s1", "s2.en"]);
    assert_eq!(read(&["a.jpg", "a.txt", "b.1.jpg", "b.2.jpg", "b.txt"]).1, 1);
}

#[test]
fn members_of_a_sample_that_stand_apart_are_read_together() {
    let apart = read(&["a.jpg", "b.jpg", "c.jpg", "a.txt", "b.txt", "d.txt"]);
    assert_eq!(apart, (vec!["a".to_owned(), "b".to_owned()], 2));
    // Two tar files joined: the second begins with the key of the first's end.
    let joined = read(&["a.jpg", "a.txt", "a.jpg", "a.txt", "a.jpg"]);
    assert_eq!(joined, (vec!["a".to_owned(); 2], 1));
}

#[test]
fn images_and_texts_have_any_of_their_extensions() {
    let (captions, skipped) = read(&["a.img", "a.cap", "b.TIFF", "b.caption", "c.jpg", "c.JSON"]);
    assert_eq!((captions.join("|").as_str(), skipped), ("a|b|c", 0));
}

/// Python's tarfile calls the types 0, NUL and 7 regular files (`REGULAR_TYPES`), and so does webdataset, which reads no others.
#[test]
fn every_member_is_read_or_counted() {
    let types = [b'0', 0, b'7', b'1', b'2', b'3', b'5', b'V'];
    let mut builder = tar::Builder::new(Vec::new());
    for kind in types {
        for (end, bytes) in [("jpg", &b"pixels of x"[..]), ("txt", b"a")] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::new(kind));
            header.as_mut_bytes()[156] = kind;
            let is_file = matches!(kind, b'0' | 0 | b'7');
            header.set_size(if is_file { bytes.len() as u64 } else { 0 });
            let bytes = if is_file { bytes } else { b"" };
            builder.append_data(&mut header, format!("{kind}.{end}"), bytes).unwrap();
        }
    }
    let bytes = builder.into_inner().unwrap();
    let found = set(&[("s.tar", &bytes)], "s.tar").unwrap();
    assert_eq!(found.samples.len(), 3, "{:?}", found.skipped);
    // Of the others those of folders aren't files.
    assert_eq!(kinds(&found), ["not a file"; 8]);
}

#[test]
fn hidden_and_foreign_members_are_named() {
    let names = [
        "./._a.jpg",
        "./a.jpg",
        "./._a.txt",
        "./a.txt",
        "__MACOSX/a.jpg",
        "b.heic",
        "b.txt",
        "Makefile",
        ".ipynb_checkpoints/a-checkpoint.jpg",
        "c.mp4",
    ];
    let found = set(&[("s.tar", &members(&names))], "s.tar").unwrap();
    assert_eq!(captions(&found), ["./a"]);
    let mut kinds = kinds(&found);
    kinds.sort_unstable();
    let mut expected = vec!["format not read", "hidden file", "hidden file", "hidden file"];
    expected.extend(["hidden file", "without an extension", "without an image"]);
    assert_eq!(kinds, expected);
    let heic = found.skipped.iter().find(|(place, _)| place.ends_with("\"b\""));
    assert!(heic.unwrap().1.contains(".heic; convert it"), "{heic:?}");
}

/// `json.dump` writes NaN, and `json.loads` reads it.
#[test]
fn what_is_not_needed_does_not_matter() {
    let image: &[u8] = b"pixels of x";
    let bytes = tar(&[
        ("0.jpg", image),
        ("0.json", b"{\"similarity\": NaN, \"TEXT\": \"a\", \"URL\": \"https://x/0.jpg\"}"),
        ("1.jpg", image),
        ("1.json", b"{\"caption\": "),
        ("1.txt", b"\xef\xbb\xbfb"),
        ("2.jpg", image),
        ("2.json", b"\xef\xbb\xbf{\"caption\": [\"c\", null, \"d\"]}"),
    ]);
    let found = set(&[("s.tar", &bytes)], "s.tar").unwrap();
    assert_eq!((captions(&found), found.skipped.len()), (strings(&["a", "b", "c|d"]), 0));
    let found = set_by(&[("s.tar", &bytes)], "s.tar", &strings(&["txt"])).unwrap();
    assert_eq!((captions(&found), found.skipped.len()), (strings(&["b"]), 2));
}

#[test]
fn shards_are_named_by_stars_or_by_their_folder() {
    let (a, b) = (shard(&["a"]), shard(&["b"]));
    let packed = gzip(&shard(&["c"]));
    let shards = [
        ("x{1}/train-0.tar", &a[..]),
        ("x{1}/train-1.tar", &b),
        ("x{1}/train-2.tar.gz", &packed),
        ("x{1}/test-0.tar", &a),
        ("x{1}/notes.txt", b"ignored"),
    ];
    let of = |pattern: &str| set(&shards, pattern).unwrap();
    let folder = of("x{1}");
    assert_eq!(captions(&folder), ["a", "b", "c"]);
    assert!(folder.notes[0].contains("\"test\" (1)"), "{:?}", folder.notes);
    assert_eq!(captions(&of("x{1}/*.tar")), ["a", "b"]);
    assert_eq!(captions(&of("x{1}/test*")), ["a"]);
    assert_eq!(captions(&of("x{1}/train-{0..1}.tar")), ["a", "b"]);
}
