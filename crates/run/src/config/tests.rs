use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::document::{Document, leaves};
use super::example::EXAMPLES;
use super::read::known;
use super::*;

fn recipes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/configs/recipes")
}

fn resolved(text: &str) -> Config {
    let mut config = Config::from_toml("x.toml", text).unwrap();
    config.resolve(100).unwrap();
    config
}

/// The dotted keys of a table, without the numbers of sets.
fn keys(table: &Table) -> BTreeSet<String> {
    let mut found = Vec::new();
    leaves("", table, &mut found);
    let general = |key: String| match (key.split_once('['), key.split_once(']')) {
        (Some((sets, _)), Some((_, name))) => format!("{sets}{name}"),
        _ => key,
    };
    found.into_iter().map(general).collect()
}

/// Every key that is written has a value here.
const FULL: &str = r#"
model = { init = "a", shape = "a", context = 1 }
optimizer = { warmup = 1 }
lora = {}
[data]
path = "a"
images = "a"
splits = ["a"]
scenes = 1
repeat = true
texts = "alt"
crop_scale = [0.0, 0.0]
crop_ratio = [0.0, 0.0]
unreadable = 0.0
digest = "a"
captions = { fields = ["a"], weights = [1.0], choice = "first" }
columns = { image = "a", negatives = ["a"] }
filter = { min_words = 1, max_words = 1, min_side = 1, max_aspect = 1.0, duplicates = "keep" }
[[data.sets]]
images = "a"
splits = ["a"]
weight = 1.0
captions = { fields = ["a"], weights = [1.0], choice = "first" }
columns = { image = "a", negatives = ["a"] }
[validation]
images = "a"
splits = ["a"]
classes = "a"
class_names = "a"
templates = "a"
patience = 1
captions = { fields = ["a"], weights = [1.0], choice = "first" }
columns = { image = "a", negatives = ["a"] }
[inputs]
weights = "a"
tokenizer = "a"
preprocessing = "a"
samples = 1
held_out = 1
held_out_digest = "a"
held_out_photos = "a"
classes = "a"
negatives = 1
"#;

#[test]
fn the_keys_that_are_explained_are_those_of_the_tree() {
    let full: Config = toml::from_str(FULL).unwrap();
    let table = Table::try_from(full).unwrap();
    let mut found = keys(&table);
    // Properties of the machine or the input are read and not written.
    for key in
        ["out", "data.cache", "data.cache_size", "data.crops", "train.memory", "train.epochs"]
    {
        assert!(found.insert(key.to_owned()), "{key}");
    }
    // Held-out captions only have fields.
    for key in ["weights", "choice"] {
        assert!(found.remove(&format!("validation.captions.{key}")));
    }
    let mut known = known();
    assert!(known.remove("data.sets"));
    assert_eq!(found, known);
}

#[test]
fn every_key_can_be_explained_and_a_table_with_all_of_its_keys() {
    let all = explain(None).unwrap();
    for key in known() {
        // Captions and columns are explained once, as data.captions and data.columns.
        let repeated = [
            "data.sets.captions",
            "data.sets.columns",
            "validation.captions",
            "validation.columns",
        ];
        if !repeated.iter().any(|table| key.starts_with(table)) {
            assert!(all.contains(&key), "{key}");
            assert!(explain(Some(&key)).unwrap().starts_with(&key));
        }
    }
    let rates = explain(Some("optimizer")).unwrap();
    assert!(rates.contains("optimizer.warmup") && rates.contains("optimizer.beta_1"));
}

#[test]
fn every_example_is_read_as_it_is_and_with_all_of_its_comments() {
    for (kind, ..) in EXAMPLES {
        let text = example(kind).unwrap();
        let config = resolved(&text);
        // A commented-out line holds a key with its value, or text.
        let is_key = |line: &&str| {
            let name = line.split_once(" = ").map_or("", |(name, _)| name);
            let is_header = line.starts_with('[') && line.ends_with(']');
            is_header || (!name.is_empty() && !name.contains(' '))
        };
        let mut table = String::new();
        let mut named = BTreeSet::new();
        for line in text.lines() {
            let line = line.trim_start_matches("# ");
            if !is_key(&line) {
                continue;
            }
            match line.split_once(" = ") {
                None => table = line.trim_matches(['[', ']']).to_owned() + ".",
                Some((key, value)) => {
                    assert!(value.parse::<Value>().is_ok(), "{kind}: {line}");
                    named.insert(format!("{table}{key}"));
                }
            }
        }
        let resolved: Table = config.to_toml().unwrap().parse().unwrap();
        for key in keys(&resolved) {
            let key = key.strip_prefix("data.sets.").map_or(key.clone(), |name| {
                format!("data.sets.{}", name.split('.').next().unwrap())
            });
            assert!(named.contains(&key), "{kind}: {key} isn't explained\n{text}");
        }
    }
}

#[test]
fn every_recipe_is_read_and_names_its_source() {
    let mut count = 0;
    for recipe in std::fs::read_dir(recipes()).unwrap() {
        let path = recipe.unwrap().path();
        Config::read(&path, &[]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("arXiv "), "{}", path.display());
        count += 1;
    }
    assert_eq!(count, 6);
    let shape = recipes().with_file_name("small-clip.json");
    let text = std::fs::read_to_string(shape).unwrap();
    assert!(clove::model::ClipConfig::from_open_clip(&text).is_ok());
}

#[test]
fn a_resolved_configuration_can_be_given_again() {
    for (kind, ..) in EXAMPLES {
        let text = resolved(&example(kind).unwrap()).to_toml().unwrap();
        assert_eq!(resolved(&text).to_toml().unwrap(), text, "{kind}");
    }
}

#[test]
fn a_misspelt_key_is_told_the_nearest() {
    for (text, nearest) in [
        ("[optimizer]\nlerning_rate = 1.0\n", "optimizer.learning_rate"),
        ("[optimiser]\nlearning_rate = 1.0\n", "optimizer.learning_rate"),
        ("learning_rate = 1.0\n", "optimizer.learning_rate"),
        ("[train]\nbach = 3\n", "train.batch"),
        ("sed = 1\n", "seed"),
    ] {
        let error = Config::from_toml("x.toml", text).unwrap_err().to_string();
        assert!(error.starts_with("x.toml: "), "{error}");
        assert!(error.ends_with(&format!("the nearest is {nearest}")), "{error}");
    }
}

#[test]
fn a_value_for_a_table_is_told_the_tables_keys() {
    let text = "[model]\nshape = \"scenes\"\n[data]\nkind = \"scenes\"\n";
    for (setting, keys) in [
        ("train=5", "train.batch, train.checkpoint_every, "),
        ("model=clip", "model.context, model.init, model.shape"),
        ("data.filter=3", "data.filter.duplicates, "),
    ] {
        let settings: [Setting; 1] = [setting.parse().unwrap()];
        let document = Document::parse("x.toml".to_owned(), text, &settings).unwrap();
        let error = document.check_names(&known()).unwrap_err().to_string();
        let key = setting.split_once('=').unwrap().0;
        let start = format!("--set {key}: is a table; set one of its keys: {keys}");
        assert!(error.starts_with(&start), "{error}");
    }
}

/// The error of a configuration with this body.
fn refused(body: &str) -> String {
    let text = format!("[model]\nshape = \"scenes\"\n{body}");
    let error = Config::from_toml("x.toml", &text).unwrap_err().to_string();
    error.strip_prefix("x.toml: ").unwrap().to_owned()
}

#[test]
fn what_makes_no_sense_of_captions_and_of_several_sets_is_told_with_its_place() {
    let lines = "[data]\nkind = \"json-lines\"\npath = \"a\"\n[data.captions]\n";
    for (captions, starts) in [
        ("fields = [\"a\", \"b\", \"a\"]", "fields: names a field twice"),
        (
            "fields = [\"a\"]\nweights = [1.0, 2.0]",
            "weights: must have as many values as captions.fields, 1",
        ),
        ("fields = [\"a\"]\nweights = [0.0]", "weights: must be numbers above 0"),
        (
            "fields = [\"a\"]\nweights = [1.0]\nchoice = \"first\"",
            "weights: only for the choice \"random\"",
        ),
        ("choice = \"any\"", "choice: unknown variant `any`"),
    ] {
        let error = refused(&format!("{lines}{captions}"));
        assert!(error.starts_with(&format!("data.captions.{starts}")), "{error}");
    }
    let folder = "kind = \"folder\"\npath = \"a\"\n";
    let one = &format!("[[data.sets]]\n{folder}");
    for (body, starts) in [
        ("[data]\n{folder}[data.captions]\nfields = [\"a\"]", "data.captions.fields: only for the"),
        ("[data]\nsets = []", "data.sets: must have at least one set"),
        ("{one}weight = 1.0\n{one}", "data.sets: give all sets a weight or none"),
        ("{one}weight = 1.0\n{one}weight = -1.0", "data.sets[1].weight: must be a number above 0"),
        (
            "{one}wieght = 1.0",
            "data.sets[0].wieght: unknown key; the nearest is data.sets[0].weight",
        ),
        ("[[data.sets]]\npath = \"a\"", "data.sets[0].kind: must be \"folder\""),
        ("[data]\npath = \"b\"\n{one}", "data.path: remove it; each of data.sets has its own"),
        ("[data]\nkind = \"folder\"\n{one}", "data.sets: is for mixtures"),
        ("{one}[validation]\npath = \"v\"", "validation.kind: must be"),
        ("{one}[negatives]\nstyle = \"file\"", "negatives.style: none of the sets has negatives"),
    ] {
        let error = refused(&body.replace("{folder}", folder).replace("{one}", one));
        assert!(error.starts_with(starts), "{error}");
    }
}

#[test]
fn epochs_become_steps_and_the_last_batch_runs_on() {
    for (epochs, samples, steps) in [("1", 100, 4), ("2", 100, 7), ("0.5", 64, 1), ("3", 1, 1)] {
        let text = format!(
            "[model]\nshape = \"scenes\"\n[data]\nkind = \"scenes\"\n[train]\nepochs = {epochs}\nbatch = 32\n"
        );
        let mut config = Config::from_toml("x.toml", &text).unwrap();
        config.resolve(samples).unwrap();
        assert_eq!(config.train.steps, steps);
    }
}
