//! Guards the output for packagers: version, completions and manual page.

use super::succeed;

#[test]
fn completions_and_the_manual_name_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh", "man"] {
        let text = succeed(&["completions", shell]);
        for name in ["train", "patch", "negatives", "completions"] {
            assert!(text.contains(name), "{shell} lacks {name}");
        }
    }
}

#[test]
fn the_version_names_the_commit_and_the_back_ends() {
    let text = succeed(&["--version"]);
    let first = text.lines().next().unwrap_or_default();
    let commit = first.split("(commit ").nth(1).and_then(|rest| rest.strip_suffix(')'));
    let commit = commit.unwrap_or_else(|| panic!("no commit in {first:?}"));
    assert!(commit == "unknown" || commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{commit}");
    assert!(text.contains("flex") && text.contains("wgpu"), "{text}");
}
