use super::*;

/// Larger than a block of BLAKE3 and than a page.
const MODEL_BYTES: usize = 5000;

/// Writes files whose bytes tell `step` and `version`, one of them empty and one in a folder.
fn write_files(dir: &Path, step: usize, version: u8) -> io::Result<()> {
    let mut model = vec![version; MODEL_BYTES];
    model[..8].copy_from_slice(&(step as u64).to_le_bytes());
    fs::write(dir.join("model.safetensors"), model)?;
    fs::write(dir.join("state.json"), format!("{{\"step\":{step}}}"))?;
    fs::write(dir.join("empty"), "")?;
    fs::create_dir(dir.join("tokenizer"))?;
    fs::write(dir.join("tokenizer/merges.txt"), "a b\n")
}

fn save_version(root: &Path, step: usize, keep: usize, version: u8) -> Checkpoint {
    save(root, step, keep, &mut BTreeSet::new(), |dir| write_files(dir, step, version)).unwrap()
}

/// A folder with the checkpoint of step 12.
fn one() -> (tempfile::TempDir, Checkpoint) {
    let root = tempfile::tempdir().unwrap();
    let saved = save_version(root.path(), 12, 1, 7);
    (root, saved)
}

fn version(checkpoint: &Checkpoint) -> u8 {
    fs::read(checkpoint.dir.join("model.safetensors")).unwrap()[MODEL_BYTES - 1]
}

fn sorted(root: &Path) -> Vec<String> {
    let mut found = names(root).unwrap();
    found.sort();
    found
}

fn newest(root: &Path) -> Option<usize> {
    let latest = latest(root).unwrap();
    assert!(latest.damaged.is_empty(), "{:?}", latest.damaged);
    latest.checkpoint.map(|checkpoint| checkpoint.step)
}

/// The file and reason of a damaged checkpoint.
fn damage(dir: &Path) -> (String, String) {
    match Checkpoint::open(dir) {
        Err(RunError::Damaged { path, reason }) => {
            let name = path.strip_prefix(dir).unwrap();
            (name.to_str().unwrap().replace('\\', "/"), reason)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_saved_is_listed_and_opens() {
    let root = tempfile::tempdir().unwrap();
    let saved = save_version(root.path(), 30, 3, 7);
    assert_eq!(saved, Checkpoint::open(&root.path().join("step-30")).unwrap());
    assert_eq!(saved.step, 30);
    assert_eq!(sorted(root.path()), ["step-30"]);

    let text = fs::read_to_string(saved.dir.join(MANIFEST)).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(manifest["step"], 30);
    let listed: Vec<_> = manifest["files"].as_object().unwrap().keys().collect();
    assert_eq!(listed, ["empty", "model.safetensors", "state.json", "tokenizer/merges.txt"]);
    assert_eq!(manifest["files"]["model.safetensors"]["bytes"], MODEL_BYTES);
    // BLAKE3's published hash of no bytes (test_vectors.json of BLAKE3-team/BLAKE3, input_len 0).
    assert_eq!(
        manifest["files"]["empty"]["blake3"],
        "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    );
    // A file that isn't listed does no harm.
    fs::write(saved.dir.join("notes.txt"), "mine").unwrap();
    assert_eq!(newest(root.path()), Some(30));
}

#[test]
fn every_flipped_bit_is_found_and_named() {
    let (root, saved) = one();
    for name in ["model.safetensors", "state.json", "tokenizer/merges.txt", MANIFEST] {
        let path = saved.dir.join(name);
        let whole = fs::read(&path).unwrap();
        // Every byte of the small files, with every bit in turn; of the large one a stride that meets every bit.
        let stride = if name == "model.safetensors" { 37 } else { 1 };
        let bits: &[usize] = if stride == 1 { &[0, 1, 2, 3, 4, 5, 6, 7] } else { &[0] };
        for at in (0..whole.len()).step_by(stride).chain([whole.len() - 1]) {
            for bit in bits {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << ((at + bit) % 8);
                fs::write(&path, flipped).unwrap();
                let (file, _) = damage(&saved.dir);
                // A flip in the manifest can make it point at a file that then seems to be at fault.
                assert!(file == name || name == MANIFEST, "{name}: byte {at}: {file}");
            }
        }
        fs::write(&path, whole).unwrap();
        assert_eq!(newest(root.path()), Some(12), "{name} is whole again");
    }
}

#[test]
fn a_file_cut_lengthened_or_missing_is_found_and_named() {
    let (_root, saved) = one();
    for name in ["model.safetensors", "empty", "tokenizer/merges.txt"] {
        let path = saved.dir.join(name);
        let whole = fs::read(&path).unwrap();
        for other in [&[&whole[..], b"x"].concat()[..], whole.get(1..).unwrap_or(b"x")] {
            fs::write(&path, other).unwrap();
            let reason = format!("has {} bytes, {} were written", other.len(), whole.len());
            assert_eq!(damage(&saved.dir), (name.to_owned(), reason));
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(damage(&saved.dir), (name.to_owned(), "is missing".to_owned()));
        fs::create_dir(&path).unwrap();
        assert_eq!(damage(&saved.dir).0, name);
        fs::remove_dir(&path).unwrap();
        fs::write(&path, whole).unwrap();
    }
    Checkpoint::open(&saved.dir).unwrap();
}

#[test]
fn a_manifest_cut_anywhere_is_found() {
    let (_root, saved) = one();
    let path = saved.dir.join(MANIFEST);
    let whole = fs::read(&path).unwrap();
    for end in 0..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        assert_eq!(damage(&saved.dir).0, MANIFEST, "{end}");
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(damage(&saved.dir), (MANIFEST.to_owned(), "is missing".to_owned()));
}

#[test]
fn a_manifest_that_lists_nothing_twice_or_outside_is_refused() {
    let (_root, saved) = one();
    let path = saved.dir.join(MANIFEST);
    let outside = saved.dir.with_file_name("outside");
    fs::write(&outside, "x").unwrap();
    let entry = || Entry::of(File::open(&outside).unwrap()).unwrap();
    for name in ["../outside", outside.to_str().unwrap()] {
        let files = [(name.to_owned(), entry())].into();
        fs::write(&path, Manifest { step: 12, files }.to_text()).unwrap();
        assert!(damage(&saved.dir).1.contains("outside the folder"));
    }
    let files = BTreeMap::new();
    fs::write(&path, Manifest { step: 12, files }.to_text()).unwrap();
    assert_eq!(damage(&saved.dir).1, "lists no files");

    let empty = fs::read_to_string(&path).unwrap();
    fs::write(&path, empty.replace("\"step\": 12", "\"step\": 12,\n  \"step\": 12")).unwrap();
    assert!(damage(&saved.dir).1.starts_with("not a manifest"));
}

#[test]
fn a_folder_of_another_steps_name_is_refused() {
    let (root, saved) = one();
    let renamed = root.path().join("step-13");
    fs::rename(saved.dir, &renamed).unwrap();
    assert!(damage(&renamed).1.contains("step-12"));
}

#[test]
fn a_damaged_newest_is_reported_and_the_one_before_it_taken() {
    let root = tempfile::tempdir().unwrap();
    for step in [5, 10, 100] {
        save_version(root.path(), step, 3, 0);
    }
    // Numbers, not names, say which is newest.
    assert_eq!(newest(root.path()), Some(100));
    fs::write(root.path().join("step-100/state.json"), "{\"step\":900}").unwrap();
    fs::remove_file(root.path().join("step-10").join(MANIFEST)).unwrap();
    let found = latest(root.path()).unwrap();
    assert_eq!(found.checkpoint.unwrap().step, 5);
    let folders: Vec<_> = found.damaged.iter().map(|(dir, _)| dir.clone()).collect();
    assert_eq!(folders, [root.path().join("step-100"), root.path().join("step-10")]);
    assert!(found.damaged[0].1.contains("state.json: its bytes changed"), "{:?}", found.damaged);
    assert!(found.damaged[1].1.contains("manifest.json: is missing"), "{:?}", found.damaged);
}

#[test]
fn names_that_are_not_exactly_ours_are_no_checkpoints() {
    let root = tempfile::tempdir().unwrap();
    for name in ["step-007", "step-", "step-+8", "step-9 (copy)", "best", ".step-3.replaced"] {
        fs::create_dir(root.path().join(name)).unwrap();
    }
    assert_eq!(newest(root.path()), None);
}

#[test]
fn the_last_are_kept_and_the_one_just_saved_always() {
    let root = tempfile::tempdir().unwrap();
    for step in [8, 9, 10, 11] {
        save_version(root.path(), step, 3, 0);
    }
    assert_eq!(sorted(root.path()), ["step-10", "step-11", "step-9"]);
    save_version(root.path(), 12, 1, 0);
    assert_eq!(sorted(root.path()), ["step-12"]);
    save_version(root.path(), 13, 0, 0);
    assert_eq!(sorted(root.path()), ["step-13"]);
}

#[test]
fn a_damaged_later_checkpoint_costs_no_whole_one() {
    let root = tempfile::tempdir().unwrap();
    save_version(root.path(), 100, 9, 0);
    let later = save_version(root.path(), 200, 9, 0);
    fs::write(later.dir.join("state.json"), "").unwrap();
    save_version(root.path(), 150, 1, 0);
    assert_eq!(sorted(root.path()), ["step-150", "step-200"]);
    assert_eq!(latest(root.path()).unwrap().checkpoint.unwrap().step, 150);
    // The run reaches it again.
    save_version(root.path(), 200, 1, 0);
    assert_eq!(sorted(root.path()), ["step-200"]);
    assert_eq!(newest(root.path()), Some(200));
}

#[test]
fn a_damaged_checkpoint_takes_no_whole_ones_place() {
    let root = tempfile::tempdir().unwrap();
    for step in [2, 4] {
        save_version(root.path(), step, 9, 0);
    }
    let state = root.path().join("step-4/state.json");
    // Changed bytes of the same length are found by the first save of a process.
    fs::write(&state, "{\"step\":9}").unwrap();
    save_version(root.path(), 6, 2, 0);
    assert_eq!(sorted(root.path()), ["step-2", "step-4", "step-6"]);
    // A file that is cut is found by each.
    let mut whole = BTreeSet::from([2, 4, 6]);
    fs::write(root.path().join("step-6/state.json"), "").unwrap();
    save(root.path(), 8, 2, &mut whole, |dir| write_files(dir, 8, 0)).unwrap();
    assert_eq!(sorted(root.path()), ["step-4", "step-6", "step-8"]);
    // With as many whole ones as are kept, damaged ones that are older go.
    save_version(root.path(), 10, 2, 0);
    assert_eq!(sorted(root.path()), ["step-10", "step-8"]);
}

#[test]
fn a_checkpoint_of_the_same_step_is_replaced() {
    let root = tempfile::tempdir().unwrap();
    save_version(root.path(), 5, 2, 1);
    let saved = save_version(root.path(), 5, 2, 2);
    assert_eq!(sorted(root.path()), ["step-5"]);
    assert_eq!(version(&saved), 2);
    assert_eq!(newest(root.path()), Some(5));
}

#[test]
fn a_failed_save_leaves_what_was_there() {
    let root = tempfile::tempdir().unwrap();
    save_version(root.path(), 5, 1, 1);
    let before = |error: RunError, message: &str| {
        let error = error.to_string();
        assert!(error.contains(message), "{error}");
        assert_eq!(sorted(root.path()), ["step-5"]);
        assert_eq!(newest(root.path()), Some(5));
    };
    for step in [5, 6] {
        let failed = save(root.path(), step, 1, &mut BTreeSet::new(), |dir| {
            fs::write(dir.join("model.safetensors"), "half")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        let error = failed.unwrap_err();
        assert!(matches!(&error, RunError::NotSaved { source, .. } if source.is::<io::Error>()));
        before(error, &format!("step {step} was not saved"));

        let fails = |write: &dyn Fn(&Path) -> io::Result<()>, message: &str| {
            let saved = save(root.path(), step, 1, &mut BTreeSet::new(), write);
            before(saved.unwrap_err(), message);
        };
        fails(&|_| Ok(()), "no file was written");
        fails(&|dir| fs::write(dir.join(MANIFEST), "{}"), "manifest.json: this name is reserved");
        #[cfg(unix)]
        fails(
            &|dir| std::os::unix::fs::symlink("/etc/hostname", dir.join("link")),
            "link: a checkpoint holds files and folders only",
        );
        fails(&|dir| fs::remove_dir(dir), ".partial: ");
    }
}

/// The folders as a kill leaves them at each point of a replacement, made by the renames that lead there.
#[test]
fn a_replacement_killed_at_any_point_leaves_one_whole_checkpoint() {
    for point in 0..6 {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        save_version(root.path(), 5, 1, 1);
        let new = tempfile::tempdir().unwrap();
        save_version(new.path(), 5, 1, 2);
        fs::rename(new.path().join("step-5"), at(".step-5.77.partial")).unwrap();

        let mut expected = 1;
        match point {
            // The new one is not complete.
            0 => fs::remove_file(at(".step-5.77.partial/manifest.json")).unwrap(),
            // It is, and has not its name yet.
            1 => {}
            // The old one has been moved out of the way.
            2 => fs::rename(at("step-5"), at(".step-5.replaced")).unwrap(),
            // The new one is in place, and the old one whole, about to be removed, or half removed.
            _ => {
                expected = 2;
                fs::rename(at("step-5"), at(".step-5.replaced")).unwrap();
                fs::rename(at(".step-5.77.partial"), at("step-5")).unwrap();
                if point > 3 {
                    fs::rename(at(".step-5.replaced"), at(".step-5.replaced.deleted")).unwrap();
                }
                if point > 4 {
                    fs::remove_file(at(".step-5.replaced.deleted/state.json")).unwrap();
                }
            }
        }
        // Looking finds it before anything is put back.
        let seen = look(root.path()).unwrap().checkpoint.unwrap();
        assert_eq!((seen.step, version(&seen)), (5, expected), "point {point}");
        recover(root.path()).unwrap();
        assert_eq!(sorted(root.path()), ["step-5"], "point {point}");
        let found = latest(root.path()).unwrap().checkpoint.unwrap();
        assert_eq!((found.step, version(&found)), (5, expected), "point {point}");
    }
}

#[test]
fn the_replaced_one_comes_back_where_the_new_one_is_damaged() {
    let root = tempfile::tempdir().unwrap();
    let old = save_version(root.path(), 5, 1, 1);
    fs::rename(&old.dir, root.path().join(".step-5.replaced")).unwrap();
    let new = save_version(root.path(), 5, 1, 2);
    fs::write(new.dir.join("state.json"), "").unwrap();
    recover(root.path()).unwrap();
    assert_eq!(sorted(root.path()), ["step-5"]);
    assert_eq!(version(&Checkpoint::open(&new.dir).unwrap()), 1);
}

#[test]
fn what_a_killed_process_was_removing_or_writing_goes_and_the_rest_stays() {
    let root = tempfile::tempdir().unwrap();
    save_version(root.path(), 5, 1, 1);
    for name in [".step-9.123.partial", ".step-4.deleted", ".mine", "best"] {
        fs::create_dir(root.path().join(name)).unwrap();
        fs::write(root.path().join(name).join("file"), "x").unwrap();
    }
    recover(root.path()).unwrap();
    assert_eq!(sorted(root.path()), [".mine", "best", "step-5"]);
}

/// A path that no system can open stands for a failing disk: the superuser may read anything.
#[test]
fn a_file_that_can_not_be_read_is_an_error_and_no_damage() {
    let path = Path::new("a\0b");
    let error = read_or_damaged(path, || fs::read(path)).unwrap_err();
    assert!(matches!(error, RunError::Io { .. }), "{error}");
}
