//! The members of a key: one sample or several.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::path::Path;

use super::super::fields::{Captions, beside};
use super::super::{Options, reason};
use super::members::{LeftOut, Member, parts};
use crate::photos::{self, EXTENSIONS};
use crate::text;

/// Bytes of the texts of a sample, far more than they have.
const LONGEST_TEXT: u64 = 4 << 20;
/// Bytes of an image, more than any photo has: nothing would be left to decode it with.
const LARGEST_IMAGE: u64 = text::BUDGET;
/// Bytes of what is held of samples whose members stand apart.
const MOST_HELD: usize = 256 << 20;

/// Extensions of images beside those of their formats.
const IMAGES: [&str; 1] = ["img"];
/// Extensions of texts with a caption a line.
const TEXTS: [&str; 3] = ["txt", "cap", "caption"];

/// The kind of a member, by its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Image,
    Json,
    Text,
    Other,
}

impl Kind {
    fn of(extension: &str) -> Self {
        match extension {
            "json" => Self::Json,
            end if TEXTS.contains(&end) => Self::Text,
            end if EXTENSIONS.contains(&end) || IMAGES.contains(&end) => Self::Image,
            _ => Self::Other,
        }
    }

    /// Whether the member's bytes are read at once.
    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Json | Self::Text)
    }
}

/// A member of a sample.
#[derive(Debug)]
pub(crate) struct Part {
    pub(super) name: String,
    /// Bytes of its name up to the last dot.
    stem: usize,
    pub(crate) kind: Kind,
    pub(super) offset: u64,
    pub(super) size: u64,
    /// Of a text, unless the texts of its sample are too large.
    pub(crate) bytes: Vec<u8>,
    is_too_large: bool,
}

impl Part {
    /// A member without its bytes, with its key; the name alone, if it has no extension.
    fn of(name: String, offset: u64, size: u64) -> Result<(String, Self), String> {
        let Some((key, stem, extension)) = parts(&name) else {
            return Err(name);
        };
        let (key, stem) = (key.to_owned(), stem.len());
        let kind = Kind::of(&extension);
        let part = Self { name, stem, kind, offset, size, bytes: Vec::new(), is_too_large: false };
        Ok((key, part))
    }

    fn stem(&self) -> &str {
        &self.name[..self.stem]
    }
}

/// A member with its key, and with its bytes if it's a text; or why it's left out.
pub(crate) fn take_texts(
    found: Result<Member<'_>, LeftOut>,
) -> io::Result<Result<(String, Part), LeftOut>> {
    let Member { name, offset, size, bytes } = match found {
        Ok(member) => member,
        Err(left_out) => return Ok(Err(left_out)),
    };
    let (key, mut part) = match Part::of(name, offset, size) {
        Ok(found) => found,
        Err(name) => {
            return Ok(Err((name, reason("without an extension", "its kind isn't known"))));
        }
    };
    if part.kind.is_text() {
        bytes.take(LONGEST_TEXT + 1).read_to_end(&mut part.bytes)?;
        if (part.bytes.len() as u64) < size.min(LONGEST_TEXT + 1) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Ok((key, part)))
}

/// Adjacent members of one key.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) key: String,
    parts: Vec<Part>,
    /// Bytes of its texts.
    texts: u64,
}

impl Group {
    /// Adds a member, and returns the group before it where it begins another: by its key, or by a name that the group has, since of
    /// two tar files that are joined one may end with the key that the other begins with (mlfoundations/open_clip:
    /// src/open_clip_train/data.py, `group_by_keys_nothrow`).
    pub(crate) fn add(&mut self, key: String, part: Part) -> Option<Self> {
        // A key with dots behind it may have all members of a shard, of which the first are enough.
        let mut first = self.parts.iter().take(64);
        let is_other = key != self.key || first.any(|known| known.name == part.name);
        let before = is_other.then(|| std::mem::replace(self, Self::of(key, Vec::new())));
        self.texts += part.bytes.len() as u64;
        self.parts.push(part);
        // A key may have any number of members, which in a packed file are next to nothing.
        if self.texts > LONGEST_TEXT {
            self.drop_texts();
        }
        before.filter(|group| !group.is_empty())
    }

    fn of(key: String, parts: Vec<Part>) -> Self {
        Self { key, parts, texts: 0 }
    }

    /// Frees the memory of its texts.
    fn drop_texts(&mut self) {
        self.texts = 0;
        for part in self.parts.iter_mut().filter(|part| part.kind.is_text()) {
            (part.bytes, part.is_too_large) = (Vec::new(), true);
        }
    }

    /// About the memory that it takes.
    fn held(&self) -> usize {
        let part = |part: &Part| size_of::<Part>() + part.name.len() + part.bytes.len();
        size_of::<Self>() + self.key.len() + self.parts.iter().map(part).sum::<usize>()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    fn has(&self, kind: Kind) -> bool {
        self.parts.iter().any(|part| part.kind == kind)
    }

    pub(crate) fn has_texts(&self) -> bool {
        self.parts.iter().any(|part| part.kind.is_text())
    }

    /// Whether it has an image and a text.
    pub(super) fn is_whole(&self) -> bool {
        self.has(Kind::Image) && self.has_texts()
    }

    /// The samples of the group. webdataset has one sample for each key; here an image and a text that share their names up to the
    /// last dot are a sample too (`img.0001.jpg` with `img.0001.txt`).
    pub(crate) fn samples(self) -> Vec<Self> {
        if self.parts.windows(2).all(|two| two[0].stem() == two[1].stem()) {
            return vec![self];
        }
        let Self { key, parts, .. } = self;
        let (mut whole, halves): (Vec<Self>, Vec<Self>) =
            by_stem(parts).into_iter().partition(Self::is_whole);
        let is_plain = |group: &Self| group.key == key;
        if whole.iter().any(is_plain) {
            // The others are fields of the sample of this name, such as a mask.
            return whole;
        }
        if halves.iter().any(is_plain) {
            let parts = halves.into_iter().flat_map(|half| half.parts).collect();
            whole.push(Self::of(key, parts));
        } else {
            whole.extend(halves);
        }
        whole
    }

    /// The rows of a list of captions: the sample, or without an image each text, since nothing says that they belong together.
    pub(crate) fn rows(self) -> Vec<Self> {
        if self.has(Kind::Image) { vec![self] } else { by_stem(self.parts) }
    }

    /// The captions and negatives.
    pub(super) fn captions(
        &self,
        options: &Options<'_>,
    ) -> Result<(Captions, Vec<String>), String> {
        let texts = self.parts.iter().filter(|part| part.kind.is_text());
        if texts.clone().any(|part| part.is_too_large) {
            let why = format_args!(
                "its texts have more than {LONGEST_TEXT} bytes, or stand apart from its image with more than {MOST_HELD} bytes of others"
            );
            return Err(reason("too large", why));
        }
        let json = texts.clone().find(|part| part.kind == Kind::Json);
        let lines = texts.filter(|part| part.kind == Kind::Text);
        let lines: Vec<&[u8]> = lines.map(|part| &*part.bytes).collect();
        let text = (!lines.is_empty()).then(|| lines.join(&b'\n'));
        beside(text.as_deref(), json.map(|part| &*part.bytes), options)
    }

    /// The captions alone.
    pub(crate) fn all_captions(&self, options: &Options<'_>) -> Result<Vec<String>, String> {
        self.captions(options).map(|(captions, _)| captions.texts)
    }

    /// The image.
    pub(super) fn image(self) -> Result<Part, String> {
        let (images, others): (Vec<Part>, Vec<Part>) =
            self.parts.into_iter().partition(|part| part.kind == Kind::Image);
        match <[Part; 1]>::try_from(images) {
            Ok([image]) if image.size <= LARGEST_IMAGE => Ok(image),
            Ok([Part { size, .. }]) => {
                let why = format_args!("it has {size} bytes, at most {LARGEST_IMAGE} are read");
                Err(reason("too large", why))
            }
            Err(images) => Err(match images.get(1) {
                Some(other) => reason("several images", &other.name),
                None => others
                    .iter()
                    .find_map(|part| photos::unread(Path::new(&part.name)))
                    .unwrap_or_else(|| reason("without an image", "no member is one")),
            }),
        }
    }
}

/// Members by their names up to the last dot, in the order of the first of each.
fn by_stem(parts: Vec<Part>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for part in parts {
        let at = *places.entry(part.stem().to_owned()).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.parts.push(part),
            None => groups.push(Group::of(part.stem().to_owned(), vec![part])),
        }
    }
    groups
}

/// Images whose texts may follow, and texts whose images may: their members stand apart in a tar file that was packed by type.
#[derive(Debug, Default)]
pub(super) struct Halves {
    groups: Vec<Group>,
    held: usize,
}

impl Halves {
    /// Keeps a group. Its texts are too large if those that are kept are.
    pub(super) fn push(&mut self, mut group: Group) {
        if self.held + group.held() > MOST_HELD {
            group.drop_texts();
        }
        self.held += group.held();
        self.groups.push(group);
    }

    /// Groups of the same key joined, in the order of the first of each.
    pub(super) fn joined(self) -> Vec<Group> {
        let mut joined: Vec<Group> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for group in self.groups {
            let at = *places.entry(group.key.clone()).or_insert(joined.len());
            match joined.get_mut(at) {
                Some(earlier) => earlier.parts.extend(group.parts),
                None => joined.push(group),
            }
        }
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, length: usize) -> Part {
        let (_, mut part) = Part::of(name.to_owned(), 0, length as u64).unwrap();
        part.bytes = vec![b'a'; length];
        part
    }

    fn why(group: &Group) -> String {
        group.all_captions(&Options::default()).unwrap_err()
    }

    #[test]
    fn texts_of_one_key_are_held_up_to_a_limit() {
        let mut group = Group::default();
        for number in 0..150 {
            let member = part(&format!("x.{number}.txt"), 1 << 20);
            if let Some(before) = group.add("x".to_owned(), member) {
                panic!("{}", before.key);
            }
            assert!(group.held() < 6 << 20, "{number}: {}", group.held());
        }
        assert!(why(&group).starts_with("too large: its texts have more than 4194304 bytes"));
        // The next sample is none the worse.
        let before = group.add("y".to_owned(), part("y.txt", 5)).unwrap();
        assert_eq!(before.parts.len(), 150);
        assert_eq!(group.all_captions(&Options::default()).unwrap(), ["aaaaa"]);
    }

    #[test]
    fn texts_that_stand_apart_are_held_up_to_a_limit() {
        let mut halves = Halves { groups: Vec::new(), held: MOST_HELD - (1 << 20) };
        for (name, length) in [("a.txt", 1000), ("b.txt", 1 << 20), ("c.txt", 1000)] {
            halves.push(Group::of(name.to_owned(), vec![part(name, length)]));
        }
        let captions = |group: &Group| group.all_captions(&Options::default());
        let found: Vec<bool> =
            halves.joined().iter().map(|group| captions(group).is_ok()).collect();
        assert_eq!(found, [true, false, true]);
    }
}
