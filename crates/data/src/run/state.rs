//! A checkpoint's files: the model as a Hugging Face directory, the optimiser's moments, and the position.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use clove::preprocess::Preprocess;
use clove::train::{LossScale, TrainerState};
use clove::weights::{
    Directory, Dtype, ModelSource, NamedReader, Precision, Snapshot, TensorFiles, TensorWriter,
    WeightsError, decode_f32, durable,
};
use serde::{Deserialize, Serialize};

use super::checkpoint::damaged;
use super::files::failed;
use super::{Checkpoint, RunError};

const WEIGHTS: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "state.json";

/// Prefixes of the tensors' names of the two moments of each parameter.
const MOMENTS: [&str; 2] = ["mean.", "square."];

/// Prefixes of the two low-rank factors of a matrix, where a run has them.
const FACTORS: [&str; 2] = ["down.", "up."];

/// The loss scale and the steps since its last change, where a run in f16 has one.
const LOSS_SCALE: &str = "loss_scale";

/// Moments or factors by parameter, as in [`TrainerState`].
type Pairs = BTreeMap<String, [Vec<f32>; 2]>;

/// The files of a model besides its weights.
#[derive(Debug, Clone)]
pub struct Companions {
    /// The preprocessing of photos.
    pub preprocess: Preprocess,
    /// The tokenizer.json; `None` for CLIP's own vocabulary.
    pub tokenizer: Option<String>,
}

/// `state.json`: the state without the tensors. Random draws follow from the seed of the configuration and these positions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Steps taken.
    pub step: usize,
    /// The position in the order of training: samples seen, unreadable ones included.
    pub samples: u64,
    /// Distinct unreadable samples, which were skipped.
    pub skipped: u64,
    /// Number of times the run went back because a step diverged.
    #[serde(default)]
    pub recoveries: usize,
    /// The seed of order, crops and negatives.
    pub seed: u64,
    /// [`super::RunFolder::config_hash`] of the run.
    pub config_hash: String,
}

/// Writes a model's directory in Hugging Face's layout, in place of what is there. A kill leaves the old directory or the new one, and
/// perhaps `.NAME.partial` beside it, which the next call replaces.
///
/// # Errors
/// When a file can't be written; the error names it.
pub fn write_model_dir(
    dir: &Path,
    model: &Snapshot,
    companions: &Companions,
    precision: Precision,
) -> Result<(), RunError> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let partial = dir.with_file_name(format!(".{name}.partial"));
    durable::remove(&partial)?;
    durable::create_folder(&partial)?;
    let written = write_model(&partial, model, companions, precision)
        .and_then(|()| Ok(durable::publish(&partial, dir)?));
    if written.is_err() {
        // The first error is the one to report.
        let _ = durable::remove(&partial);
    }
    written
}

/// Writes a model's files into a folder that isn't in use yet.
fn write_model(
    dir: &Path,
    model: &Snapshot,
    companions: &Companions,
    precision: Precision,
) -> Result<(), RunError> {
    for (name, text) in model.hugging_face_configs(&companions.preprocess) {
        let path = dir.join(name);
        fs::write(&path, text).map_err(failed(&path))?;
    }
    if let Some(tokenizer) = &companions.tokenizer {
        let path = dir.join("tokenizer.json");
        fs::write(&path, tokenizer).map_err(failed(&path))?;
    }
    let path = dir.join(WEIGHTS);
    File::create(&path)
        .and_then(|file| model.write_hugging_face(BufWriter::new(file), precision))
        .and_then(|mut out| out.flush())
        .map_err(failed(&path))
}

/// Writes a checkpoint's files into `dir`, as [`super::RunFolder::save_checkpoint`] calls it.
///
/// # Errors
/// When a file can't be written; the error names it.
///
/// # Panics
/// Never: a position is always JSON.
pub fn write_state(
    dir: &Path,
    state: &TrainerState,
    position: &Position,
    companions: &Companions,
) -> Result<(), RunError> {
    write_model(dir, &state.model, companions, Precision::F32)?;
    let path = dir.join(OPTIMIZER);
    write_optimizer(&path, state).map_err(failed(&path))?;
    let path = dir.join(STATE);
    let text = serde_json::to_string_pretty(position).expect("numbers and strings are JSON");
    fs::write(&path, text + "\n").map_err(failed(&path))
}

fn write_optimizer(path: &Path, state: &TrainerState) -> io::Result<()> {
    // A step count is exact in f32: it's far below 2^24.
    let loss_scale = state.loss_scale.map(|LossScale { factor, steps }| [factor, steps as f32]);
    // The header and the data are written from one list, so that no tensor is only in one of them.
    let mut tensors: Vec<(String, &[f32])> = Vec::new();
    for (prefixes, pairs) in [(MOMENTS, &state.moments), (FACTORS, &state.factors)] {
        for (name, pair) in pairs {
            for (prefix, values) in prefixes.iter().zip(pair) {
                tensors.push((format!("{prefix}{name}"), values));
            }
        }
    }
    if let Some(values) = &loss_scale {
        tensors.push((LOSS_SCALE.to_owned(), values));
    }
    let entries: Vec<_> = tensors
        .iter()
        .map(|(name, values)| (name.clone(), Dtype::F32, vec![values.len()]))
        .collect();
    let metadata = HashMap::from([("step".to_owned(), state.step.to_string())]);
    let file = BufWriter::new(File::create(path)?);
    let mut writer = TensorWriter::new(file, &entries, Some(metadata))?;
    for (_, values) in tensors {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        writer.write(&bytes)?;
    }
    writer.finish()?.flush()
}

/// Reads a checkpoint back.
///
/// # Errors
/// When a file is missing or isn't what [`write_state`] writes.
pub fn read_state(checkpoint: &Checkpoint) -> Result<(TrainerState, Position), RunError> {
    let dir = &checkpoint.dir;
    let path = dir.join(STATE);
    let text = fs::read_to_string(&path).map_err(failed(&path))?;
    let position: Position =
        serde_json::from_str(&text).map_err(|error| damaged(&path, error.to_string()))?;
    let of_model = |error: WeightsError| damaged(&dir.join(WEIGHTS), error.to_string());
    let source = ModelSource::open(Box::new(Directory(dir.clone()))).map_err(of_model)?;
    let mut weights = source.weights().map_err(of_model)?;
    let model = Snapshot::from_parameters(source.config(), &mut weights).map_err(of_model)?;
    let path = dir.join(OPTIMIZER);
    let ([moments, factors], loss_scale) =
        read_optimizer(&path).map_err(|error| damaged(&path, error.to_string()))?;
    let state = TrainerState { step: position.step, model, moments, factors, loss_scale };
    Ok((state, position))
}

/// Moments, low-rank factors, and the factor on the loss.
fn read_optimizer(
    path: &Path,
) -> Result<([Pairs; 2], Option<LossScale>), Box<dyn std::error::Error>> {
    let file: NamedReader = (path.display().to_string(), Box::new(File::open(path)?));
    let mut tensors = TensorFiles::open(vec![file])?;
    let names: Vec<String> = tensors.names().map(str::to_owned).collect();
    let mut read = |name: &str| {
        let mut bytes = vec![0; tensors.bytes(name).unwrap_or(0)];
        tensors.read_at(name, 0, &mut bytes)?;
        let mut values = vec![0.0; bytes.len() / 4];
        match tensors.info(name) {
            Some((Dtype::F32, _)) => decode_f32(Dtype::F32, &bytes, &mut values),
            _ => None,
        }
        .ok_or_else(|| format!("the tensor `{name}` isn't f32"))?;
        Ok::<_, Box<dyn std::error::Error>>(values)
    };
    let mut found = [Pairs::new(), Pairs::new()];
    let mut loss_scale = None;
    for name in names {
        let values = read(&name)?;
        if name == LOSS_SCALE {
            let [factor, steps] = values[..] else {
                return Err(format!("the tensor `{name}` doesn't have two numbers").into());
            };
            loss_scale = Some(LossScale { factor, steps: steps as u32 });
            continue;
        }
        let place = [MOMENTS, FACTORS].iter().enumerate().find_map(|(kind, prefixes)| {
            let mut prefixes = prefixes.iter().enumerate();
            prefixes.find_map(|(which, prefix)| Some((kind, which, name.strip_prefix(prefix)?)))
        });
        let Some((kind, which, parameter)) = place else {
            let problem =
                format!("the tensor `{name}` is neither a moment nor a factor of a parameter");
            return Err(problem.into());
        };
        found[kind].entry(parameter.to_owned()).or_default()[which] = values;
    }
    Ok((found, loss_scale))
}
