//! Where results are written: never onto what is read, and a whole model or none.

use std::fs;
use std::path::{Path, PathBuf};

use super::companions::{has_config, is_of_a_model};
use super::durable;
use super::names::Layout;
use super::{Problem, WeightsError};

/// A folder for a model that is being written.
///
/// Files are written to a temporary folder. [`Self::commit`] makes it the output, in place of the model that was there; without it, it is
/// removed. So the output never has a file of another model, and an interruption leaves what was there.
#[derive(Debug)]
pub struct OutputDir {
    /// The output, with links resolved.
    target: PathBuf,
    temporary: Temporary,
    /// Whether the output is an empty folder, which has the temporary one inside: it may be a mount point, or the working directory.
    is_inside: bool,
}

/// A folder that is removed unless it's renamed.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // A failure can't be reported here. After the rename there is nothing to remove.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl OutputDir {
    /// Claims the folder `path`, which must be new or empty; with `force` it may have a model and nothing else. `inputs` are the files and
    /// folders that the command reads. A link is followed.
    ///
    /// # Errors
    /// When the folder is, has or lies in an input, when it has other content, and when it can't be written.
    pub fn claim(path: &Path, force: bool, inputs: &[&Path]) -> Result<Self, WeightsError> {
        refuse_inputs(path, inputs)?;
        let refuse =
            |reason: &str| Err(Problem::Output(reason.to_owned()).of(path.display().to_string()));
        let target = resolve(path);
        durable::restore(&target)?;
        if target.exists() && !target.is_dir() {
            return refuse("this is a file; choose another folder");
        }
        let entries = fs::read_dir(&target).into_iter().flatten().flatten();
        let entries: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        let is_inside = target.exists() && entries.is_empty();
        if !entries.is_empty() {
            let foreign = entries.iter().find(|entry| !entry.is_file() || !is_model_file(entry));
            if !force {
                return refuse(
                    "this folder isn't empty; choose another one, or add --force to replace the model in it",
                );
            }
            if let Some(foreign) = foreign {
                return refuse(&format!(
                    "--force replaces a model, but this folder has {}; choose another folder",
                    name_of(foreign)
                ));
            }
            if !has_config(&target) {
                return refuse(
                    "--force replaces a model, and this folder has none; choose another folder",
                );
            }
        }
        let temporary = temporary_name(&target, is_inside);
        durable::remove(&temporary)
            .and_then(|()| durable::create_folder(&temporary))
            .map_err(durable::naming(path))?;
        Ok(Self { target, temporary: Temporary(temporary), is_inside })
    }

    /// The temporary folder, to write the files to.
    pub fn path(&self) -> &Path {
        &self.temporary.0
    }

    /// An error of a file in the temporary folder, under the name that the file would get.
    pub(crate) fn naming(&self, error: WeightsError) -> WeightsError {
        match Path::new(&error.file).strip_prefix(self.path()) {
            Ok(file) => durable::naming(&self.target.join(file))(error),
            Err(_) => error,
        }
    }

    /// Makes the temporary folder the output. On return it's on the disk.
    ///
    /// # Errors
    /// When a file can't be synced, or the folder that is there can't be replaced.
    pub fn commit(self) -> Result<(), WeightsError> {
        let Self { target, temporary, is_inside } = self;
        if is_inside {
            // Without its configuration a folder has no model.
            let configs = [Layout::HuggingFace, Layout::OpenClip].map(Layout::config_file);
            durable::move_up(&temporary.0, |name| configs.contains(&name))
        } else {
            durable::publish(&temporary.0, &target)
        }
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_model_file(path: &Path) -> bool {
    is_of_a_model(&name_of(path))
}

/// A name that no other process uses, inside `target` or beside it.
fn temporary_name(target: &Path, is_inside: bool) -> PathBuf {
    let process = std::process::id();
    if is_inside {
        target.join(format!(".{process}.partial"))
    } else {
        target.with_file_name(format!(".{}.{process}.partial", name_of(target)))
    }
}

/// Refuses an output that is one of `inputs`, has one in it, or lies in the folder of a model among them. Links are followed, and hard
/// links are the file that they share.
///
/// # Errors
/// When it is refused; the error names both.
pub fn refuse_inputs(out: &Path, inputs: &[&Path]) -> Result<(), WeightsError> {
    let target = resolve(out);
    let is_replaced = |place: &Path| place.starts_with(&target) || is_same(place, &target);
    for input in inputs {
        // What can't be resolved isn't there, which the command reports.
        let Ok(place) = input.canonicalize() else {
            continue;
        };
        let refuse = |reason: String| Err(Problem::Output(reason).of(out.display().to_string()));
        if is_replaced(&place) {
            let input = if out == *input { "this".into() } else { input.to_string_lossy() };
            return refuse(format!("{input} is an input; choose another output"));
        }
        let input = input.display();
        if !has_config(&place) {
            continue;
        }
        let files = fs::read_dir(&place).into_iter().flatten().flatten();
        let mut files = files.filter_map(|file| file.path().canonicalize().ok());
        if target.starts_with(&place) || files.any(|file| is_replaced(&file)) {
            return refuse(format!(
                "this belongs to the model {input}, which is an input; choose another output"
            ));
        }
    }
    Ok(())
}

/// The place that a path leads to. Links are followed, even to what doesn't exist yet.
fn resolve(path: &Path) -> PathBuf {
    /// Linux follows as many.
    const MOST_LINKS: usize = 40;
    fn follow(path: &Path, links: usize) -> PathBuf {
        if let Ok(found) = path.canonicalize() {
            return found;
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return path.to_owned();
        };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        match fs::read_link(path) {
            Ok(link) if links > 0 => follow(&parent.join(link), links - 1),
            _ => follow(parent, links).join(name),
        }
    }
    follow(path, MOST_LINKS)
}

/// Whether two paths are of one file or folder, such as hard links and mounts are.
#[cfg(unix)]
fn is_same(left: &Path, right: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    identity(left).is_some_and(|left| identity(right) == Some(left))
}

/// Other systems have no stable way to tell; their paths are compared.
#[cfg(not(unix))]
fn is_same(_: &Path, _: &Path) -> bool {
    false
}
