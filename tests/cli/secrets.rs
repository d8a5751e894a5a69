//! Guards the secrets of addresses: user names, passwords, tokens and signatures are in no output and in no file that a run leaves.

use std::fs;
use std::path::Path;

use super::remote::{apart, shard};
use super::server::{Server, Ways};
use super::train::{BLANK, Job};
use super::{Place, assert_contains, failed, path, succeeded, text, walk};

/// Every secret has it.
const HUSH: &str = "hush";

/// An address with a secret wherever one can be.
fn address(server: &Server, file: &str, signature: &str) -> String {
    format!(
        "http://hush-user:hush-password@{}/{file}?X-Amz-Signature=hush-{signature}&token=hush%2Ftoken#hush-fragment",
        server.address
    )
}

/// Files whose name or content has a secret, but for the configuration.
fn leaks(dir: &Path, config: &str) -> Vec<String> {
    let has = |bytes: &[u8]| bytes.windows(HUSH.len()).any(|part| part == HUSH.as_bytes());
    let mut files = walk(dir);
    files.retain(|file| {
        path(file) != config && (path(file).contains(HUSH) || has(&fs::read(file).unwrap()))
    });
    files.iter().map(|file| path(file).to_owned()).collect()
}

fn body(data: &str, held_out: &str) -> String {
    format!(
        "{BLANK}[data]\nkind = \"webdataset\"\npath = {data:?}\nunreadable = 0.5\n[validation]\npath = {held_out:?}\n\
         [train]\nsteps = 2\nbatch = 3\n"
    )
}

#[test]
fn no_secret_of_an_address_is_left_anywhere() {
    let place = Place::new();
    let files = [
        ("/s.tar", shard(5, 1)),
        ("/s.tar.gz", super::remote::gzip(&shard(2, 0))),
        ("/held.tar", shard(4, 0)),
        ("/none.tar", b"no tar file".to_vec()),
    ];
    let server = Server::new(&files, Ways::default());
    let of = |file: &str| address(&server, file, "old");
    let mut said = Vec::new();
    let mut hear = |args: &[&str], code: i32| {
        let output = apart(&place, args).output().unwrap();
        let found = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {found}");
        said.push(found);
    };
    let (url, held_out) = (of("s.tar"), of("held.tar"));
    let (page, report) = (place.out("page.html"), place.out("report.json"));
    for (of, json) in [(&url, &[][..]), (&of("{s.tar,s.tar.gz}"), &["--json"][..])] {
        let inspect =
            ["data", "inspect", "--kind", "webdataset", "--out", path(&page), "--path", of];
        hear(&[&inspect[..], json].concat(), 0);
    }
    hear(&["negatives", "--input", &url], 0);
    let eval = ["eval", "--suite", "retrieval", "--device", "cpu", "--model", &place.model];
    let files = ["--data", &held_out, "--out", path(&report)];
    hear(&[&eval[..], &files].concat(), 0);
    let job = Job::new(&place, "run", &body(&url, &held_out));
    hear(&job.args(&["--dry-run"]), 0);
    hear(&job.args(&[]), 0);
    assert!(job.out.join("skipped.jsonl").exists());
    let written = fs::read_to_string(job.out.join("run.toml")).unwrap();
    let shown = format!("http://***@{}/s.tar?X-Amz-Signature=***&token=***#***", server.address);
    assert_contains(&written, &[&shown]);
    // The server gets what nobody else does.
    let (seen, _) = server.seen();
    let query = "?X-Amz-Signature=hush-old&token=hush%2Ftoken";
    // As in RFC 7617: hush-user:hush-password.
    let user = "authorization: Basic aHVzaC11c2VyOmh1c2gtcGFzc3dvcmQ=";
    assert!(seen.iter().all(|seen| {
        seen.target.ends_with(query) && seen.headers.iter().any(|header| header == user)
    }));
    // What is wrong with a file, an address, a server, a configuration and the arguments.
    let set = |of: &str| format!("data.path={of}");
    for file in ["none.tar", "gone.tar", "gone-*.tar", "s.{tar"] {
        hear(&job.args(&["--dry-run", "--set", &set(&of(file))]), 1);
    }
    hear(&job.args(&["--dry-run", "--set", &set(&url.replace("user:", "user:hush/"))]), 1);
    hear(&["negatives", "--input", &url, "--format", "parquet"], 1);
    hear(&["negatives", "--input", &url, "--format", "coco"], 1);
    hear(&["score", "--model", &url, "--image", &url, "--caption", "x"], 1);
    hear(&job.args(&["--set", &format!("model.init={url}")]), 1);
    hear(&job.args(&["--set", &url]), 1);
    hear(&["data", "inspect", &url, &url], 2);
    server.behave(Ways { asks: Some("another signature"), ..Ways::default() });
    hear(&job.args(&["--dry-run"]), 1);
    let last = said.last().unwrap();
    assert_contains(
        last,
        &["/s.tar?X-Amz-Signature=***", "403", "valid user name, token or signature"],
    );
    for found in said {
        assert!(!found.contains(HUSH), "{found}");
    }
    assert_eq!(leaks(place.dir.path(), &job.config), Vec::<String>::new());
}

#[test]
fn a_run_resumes_with_a_new_signature_and_finds_its_copies() {
    let place = Place::new();
    let files = [("/s.tar", shard(4, 0)), ("/held.tar", shard(4, 0))];
    let server = Server::new(&files, Ways { asks: Some("hush-old"), ..Ways::default() });
    let of = |file: &str, signature: &str| address(&server, file, signature);
    let job = Job::new(&place, "run", &body(&of("s.tar", "old"), &of("held.tar", "old")));
    succeeded(&apart(&place, &job.args(&[])).output().unwrap());
    server.seen();
    server.behave(Ways { asks: Some("hush-new"), ..Ways::default() });
    let resume = |more: &[&str]| {
        let args = ["train", "--device", "cpu", "--set", "train.steps=4", "--resume"];
        apart(&place, &[&args[..], &[path(&job.out)], more].concat()).output().unwrap()
    };
    let stderr = failed(&resume(&[]));
    assert_contains(
        &stderr,
        &[
            "/s.tar?X-Amz-Signature=***",
            "--set data.path=ADDRESS",
            "clove train CONFIG.toml --resume",
        ],
    );
    assert_eq!(server.seen().0.len(), 0);
    let [data, held_out] = [("data", "s.tar"), ("validation", "held.tar")]
        .map(|(table, file)| format!("{table}.path={}", of(file, "new")));
    let (_, log) = succeeded(&resume(&["--set", &data, "--set", &held_out]));
    assert_contains(&log, &["resuming after step 2"]);
    assert!(!log.contains("path: "), "{log}");
    job.check(4);
    // The first byte of each.
    let (seen, sent) = server.seen();
    assert_eq!((seen.len(), sent), (2, 2), "{seen:?}");
    assert_eq!(leaks(place.dir.path(), &job.config), Vec::<String>::new());
}

#[test]
fn a_secret_in_the_environment_is_named_and_needs_not_be_given_again() {
    let place = Place::new();
    let server = Server::new(&[("/s.tar", shard(3, 0))], Ways::default());
    server.behave(Ways { asks: Some("/s.tar?token=hush"), ..Ways::default() });
    let named = format!("http://{}/s.tar?token=$CLOVE_TEST_TOKEN", server.address);
    let job = Job::new(
        &place,
        "run",
        &format!(
            "{BLANK}[data]\nkind = \"webdataset\"\npath = {named:?}\n[train]\nsteps = 1\nbatch = 3\n"
        ),
    );
    let train =
        |args: &[&str]| apart(&place, args).env("CLOVE_TEST_TOKEN", "hush").output().unwrap();
    succeeded(&train(&job.args(&[])));
    assert_contains(&fs::read_to_string(job.out.join("run.toml")).unwrap(), &[&named]);
    let again = ["train", "--device", "cpu", "--set", "train.steps=2", "--resume", path(&job.out)];
    let stderr = failed(&apart(&place, &again).output().unwrap());
    assert_contains(&stderr, &[&named, "CLOVE_TEST_TOKEN of the address isn't set"]);
    succeeded(&train(&again));
    job.check(2);
    assert_eq!(leaks(place.dir.path(), &job.config), Vec::<String>::new());
}

/// A run of an earlier version has the whole address, and a digest of names with signatures.
#[test]
fn a_run_of_an_earlier_version_loses_its_secrets_when_it_resumes() {
    let place = Place::new();
    let server = Server::new(&[("/s.tar", shard(4, 0))], Ways::default());
    let url = address(&server, "s.tar", "old");
    let data = format!("[data]\nkind = \"webdataset\"\npath = {url:?}\n");
    let job = Job::new(&place, "run", &format!("{BLANK}{data}[train]\nsteps = 2\nbatch = 3\n"));
    succeeded(&apart(&place, &job.args(&[])).output().unwrap());
    let file = job.out.join("run.toml");
    let written = fs::read_to_string(&file).unwrap();
    let shown = format!("http://***@{}/s.tar?X-Amz-Signature=***&token=***#***", server.address);
    let digest = written.lines().find(|line| line.starts_with("digest = ")).unwrap();
    let old = written.replace(&shown, &url).replace(digest, "digest = \"00\"");
    fs::write(&file, old).unwrap();
    let again = ["train", "--device", "cpu", "--set", "train.steps=4", "--resume", path(&job.out)];
    let (_, log) = succeeded(&apart(&place, &again).output().unwrap());
    assert_contains(&log, &["note: the run is of an earlier version, which kept addresses whole"]);
    job.check(4);
    let anew = fs::read_to_string(&file).unwrap();
    assert_eq!(anew, written.replace("steps = 2\n", "steps = 4\n"));
    assert_eq!(leaks(place.dir.path(), &job.config), Vec::<String>::new());
}
