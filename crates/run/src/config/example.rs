//! Annotated example configurations and explanations, from the descriptions of the keys.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use toml::{Table, Value};

use super::check::{foreign, foreign_data};
use super::{Config, TABLES};
use crate::error::{Context as _, Error, Result};

/// An example: name, purpose and settings in TOML.
type Example = (&'static str, &'static str, &'static str);

pub(super) const EXAMPLES: [Example; 9] = [
    (
        "scenes",
        "Fine-tunes the built-in scene model, as `clove lab` does. Needs no data.",
        "model.init = \"scenes\"\ntrain.epochs = 1",
    ),
    (
        "folder",
        "Fine-tunes a CLIP on a folder of images, each with its captions in a text file of the same name.",
        "data.path = \"photos\"\nnegatives.style = \"mixed\"",
    ),
    (
        "json-lines",
        "Fine-tunes a CLIP on a file of images, captions and hard negatives, one JSON object per line.",
        "data.path = \"captions.jsonl\"\ndata.images = \"photos\"",
    ),
    (
        "table",
        "Fine-tunes a CLIP on a .csv or .tsv file with a column of images and one of captions.",
        "data.path = \"captions.csv\"\ndata.images = \"photos\"\nnegatives.style = \"mixed\"",
    ),
    (
        "parquet",
        "Fine-tunes a CLIP on Parquet files of images and captions in Hugging Face's layout.",
        "data.path = \"train-{00000..00003}.parquet\"\nnegatives.style = \"mixed\"",
    ),
    (
        "webdataset",
        "Fine-tunes a CLIP on a web dataset: tar files of images and captions.",
        "data.path = \"shards/train-{00000..00099}.tar\"\nnegatives.style = \"mixed\"",
    ),
    (
        "coco",
        "Fine-tunes a CLIP on COCO's captions, or on Karpathy's splits of COCO and Flickr30k.",
        "data.path = \"annotations/captions_train2017.json\"\ndata.images = \"train2017\"\nnegatives.style = \"mixed\"",
    ),
    (
        "mixture",
        "Fine-tunes a CLIP on several weighted sets.",
        "negatives.style = \"mixed\"\n\
         [[data.sets]]\nkind = \"webdataset\"\npath = \"shards/train-{00000..00099}.tar\"\nweight = 3.0\n\
         captions = { fields = [\"synthetic\"] }\n\n[[data.sets]]\nkind = \"folder\"\npath = \"photos\"\nweight = 1.0\n",
    ),
    (
        "from-scratch",
        "Trains a small CLIP from random weights on a web dataset. TRAINING.md has the results.",
        "seed = 1\nmodel.shape = \"small-clip.json\"\ndata.kind = \"webdataset\"\n\
         data.path = \"flickr8k-96/train-{00000..00001}.tar\"\ndata.crop_scale = [0.5, 1.0]\nnegatives.style = \"mixed\"\n\
         optimizer.learning_rate = 5e-4\noptimizer.warmup = 100\noptimizer.weight_decay = 0.2\n\
         train.epochs = 40\ntrain.batch = 128\ntrain.checkpoint_every = 80\n\
         validation.path = \"flickr8k-96/test-00000.tar\"\nvalidation.every = 80",
    ),
];

/// A configuration with every key of its kind explained. Commented-out lines show the default or an example value.
///
/// # Errors
/// If the kind is unknown; lists the kinds.
pub fn example(kind: &str) -> Result<String> {
    let Some((_, about, own)) = EXAMPLES.iter().find(|(name, ..)| *name == kind) else {
        let names = EXAMPLES.map(|(name, ..)| name).join(", ");
        return Err(Error::Wrong(format!("{kind}: unknown example; the examples are {names}")));
    };
    let mut set = format!("out = \"runs/{kind}\"\n");
    for (table, line) in [
        ("model.", "model.init = \"clip-vit-base-patch32\"\n"),
        ("data.kind", format!("data.kind = {kind:?}\n").as_str()),
        ("train.", "train.epochs = 1\n"),
    ] {
        if !own.contains(table) {
            set.push_str(line);
        }
    }
    set.push_str(own);
    let config = Config::from_toml(kind, &set)?;
    let given = set.parse::<Table>().with_context(|| kind.to_owned())?;
    let defaults = with_optional_tables(&config)?;
    let mut text = format!(
        "# {about}\n#\n#   clove train {kind}.toml --dry-run\n#   clove train {kind}.toml\n#\n\
         # Paths are relative to the working directory. Commented-out lines show the default.\n"
    );
    let copies = config.data.sets().iter().any(|set| set.kind.is_copied());
    let lacks = |name: &str| match name.split_once('.') {
        Some(("data", name)) => foreign_data(config.data.kind, copies, name).is_some(),
        // Its default is the kind of the training data.
        Some(("validation", "kind")) => config.validation.is_none(),
        Some(("validation", name)) => foreign(config.data.kind, name).is_some(),
        _ => false,
    };
    // The sets of a mixture come last: keys after [[data.sets]] would belong to a set.
    let explained = TABLES.iter().filter(|(table, _)| *table != "data.sets" && !is_repeated(table));
    for (table, keys) in explained {
        let mut lines = String::new();
        let mut is_used = table.is_empty();
        for key in *keys {
            let name = dotted(table, key.name);
            if lacks(&name) || is_table(&name) {
                continue;
            }
            let value = look_up(&given, &name);
            let lead = if value.is_some() { "" } else { "# " };
            is_used |= value.is_some();
            let shown = value
                .map(|value| value.to_string())
                .or(key.sample.map(str::to_owned))
                .or_else(|| look_up(&defaults, &name).map(|value| value.to_string()));
            let Some(shown) = shown else { continue };
            lines.push('\n');
            for line in key.about {
                let _ = writeln!(lines, "#{line}");
            }
            let _ = writeln!(lines, "{lead}{} = {shown}", key.name);
        }
        if lines.is_empty() {
            continue;
        }
        if !table.is_empty() {
            let lead = if is_used { "" } else { "# " };
            let _ = writeln!(text, "\n{}{lead}[{table}]", title(table));
            lines.remove(0);
        }
        text.push_str(&lines);
    }
    if let Some(sets) = set.find("[[data.sets]]") {
        text.push_str(
            "\n# The sets, with the keys kind, path, images, splits, weight, captions and columns.\n",
        );
        text.push_str(&set[sets..]);
    }
    Ok(text)
}

/// The meaning of a table, as comment lines.
fn title(table: &str) -> String {
    let (parent, name) = table.rsplit_once('.').unwrap_or(("", table));
    let keys = TABLES.iter().find(|(name, _)| *name == parent);
    let key = keys.and_then(|(_, keys)| keys.iter().find(|key| key.name == name));
    let lines = key.map_or(&[][..], |key| key.about).iter();
    lines.flat_map(|line| ["#", line, "\n"]).collect()
}

/// Whether the keys of a table are explained elsewhere, as data.captions.
fn is_repeated(table: &str) -> bool {
    matches!(
        table,
        "data.sets.captions" | "data.sets.columns" | "validation.captions" | "validation.columns"
    )
}

pub(super) fn is_table(name: &str) -> bool {
    TABLES.iter().any(|(table, _)| *table == name)
}

pub(super) fn dotted(table: &str, name: &str) -> String {
    if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") }
}

fn look_up(table: &Table, name: &str) -> Option<Value> {
    let mut parts = name.split('.');
    let first = table.get(parts.next()?)?.clone();
    let found = parts.try_fold(first, |value, part| value.get(part).cloned())?;
    (!found.is_table()).then_some(found)
}

/// A configuration with its optional tables, for the defaults of their keys.
fn with_optional_tables(config: &Config) -> Result<Table> {
    let mut config = config.clone();
    config.data.captions.get_or_insert_default();
    config.data.columns.get_or_insert_default();
    config.lora.get_or_insert_default();
    config.validation.get_or_insert_default();
    Ok(Table::try_from(config)?)
}

/// The meaning and default of a key or of all keys of a table; without a key, a list of all keys.
///
/// # Errors
/// If the key is unknown; names the nearest.
pub fn explain(key: Option<&str>) -> Result<String> {
    let defaults = with_optional_tables(&Config::default())?;
    let mut all = BTreeMap::new();
    let mut lines = Vec::new();
    for (table, keys) in TABLES.into_iter().filter(|(table, _)| !is_repeated(table)) {
        for key in keys {
            let name = dotted(table, key.name);
            let about = key.about.concat();
            let about = about.trim_start();
            let shown = look_up(&defaults, &name)
                .map(|value| value.to_string())
                .filter(|_| key.sample.is_none());
            let mut text = format!("{name}\n  {about}\n");
            match (shown, key.sample) {
                (Some(shown), _) if !about.contains("Default: ") => {
                    let _ = writeln!(text, "  Default: {shown}");
                }
                (_, Some(sample)) => {
                    let _ = writeln!(text, "  Example: {} = {sample}", key.name);
                }
                _ => {}
            }
            let first = about.split_inclusive(". ").next().unwrap_or(about);
            lines.push(format!("{name:<28} {}", first.trim_end()));
            all.insert(name, text);
        }
    }
    let Some(key) = key else {
        return Ok(lines.join("\n"));
    };
    let below = format!("{key}.");
    let mut found = String::new();
    let names = all.keys().filter(|name| *name == key || name.starts_with(&below));
    for name in names {
        found.push_str(&all[name]);
    }
    if found.is_empty() {
        let nearest = super::document::nearest(key, all.keys());
        return Err(Error::Wrong(format!("{key}: unknown key; the nearest is {nearest}")));
    }
    Ok(found)
}
