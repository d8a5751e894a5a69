//! Runs of earlier versions.

use clove_data::run::RunFolder;

use super::Config;

impl Config {
    /// Names all splits where none are named, if the run in `out` is one of an earlier version, which left out none: its run.toml has no
    /// inputs.
    pub(crate) fn keep_splits_of_run(&mut self) {
        let is_earlier = |text: String| !text.lines().any(|line| line.trim() == "[inputs]");
        if !RunFolder::recorded(&self.out).is_ok_and(is_earlier) {
            return;
        }
        let of_sets = self.data.sets.iter_mut().map(|set| &mut set.splits);
        let of_validation = self.validation.iter_mut().map(|validation| &mut validation.splits);
        let of_data = self.data.path.is_some().then_some(&mut self.data.splits);
        for splits in of_sets.chain(of_validation).chain(of_data) {
            if splits.is_empty() {
                splits.push("all".to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_run_of_an_earlier_version_goes_on_with_all_splits() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[model]\nshape = \"scenes\"\n[[data.sets]]\nkind = \"coco\"\npath = \"a\"\n\
                    [[data.sets]]\nkind = \"coco\"\npath = \"b\"\nsplits = [\"test\"]\n[validation]\nkind = \"coco\"\npath = \"c\"\n";
        let mut config = Config::from_toml("x.toml", text).unwrap();
        config.out = folder.path().to_owned();
        let splits = |config: &Config| {
            let mut config = config.clone();
            config.keep_splits_of_run();
            let of_sets = config.data.sets.into_iter().map(|set| set.splits);
            of_sets.chain(config.validation.map(|validation| validation.splits)).collect::<Vec<_>>()
        };
        let named = |name: &str| vec![name.to_owned()];
        assert_eq!(splits(&config), [vec![], named("test"), vec![]]);
        fs::write(folder.path().join("run.toml"), text).unwrap();
        assert_eq!(splits(&config), [named("all"), named("test"), named("all")]);
        fs::write(folder.path().join("run.toml"), format!("{text}[inputs]\nsamples = 1\n"))
            .unwrap();
        assert_eq!(splits(&config), [vec![], named("test"), vec![]]);
    }
}
