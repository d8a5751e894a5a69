//! Guards shards on servers: each is downloaded once, interrupted downloads resume, and errors name the server's reason.

use std::fs;
use std::process::{Command, Output};

use clove_tests::tar;
use serde_json::Value;

use super::server::{Server, Ways};
use super::train::{BLANK, Job, pictures};
use super::{Place, assert_contains, failed, line, path, program, succeeded, text};

/// A shard of `count` pictures with their captions; the last `broken` aren't images.
pub fn shard(count: usize, broken: usize) -> Vec<u8> {
    let place = Place::new();
    let dir = pictures(&place, count, broken);
    let mut files: Vec<_> = fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    tar(files.iter().map(|file| (file.file_name().unwrap(), fs::read(file).unwrap())))
}

/// The program, with the downloads in a folder of `place` and without the keys of this machine.
pub fn apart(place: &Place, args: &[&str]) -> Command {
    let mut command = program(args);
    for (name, _) in std::env::vars() {
        if ["AWS_", "GOOGLE_"].iter().any(|start| name.starts_with(start)) {
            command.env_remove(name);
        }
    }
    command.env("CLOVE_CACHE", place.out("copies")).env("NO_PROXY", "*");
    command
}

/// Inspects a set.
fn inspect(place: &Place, url: &str, env: &[(&str, &str)]) -> Output {
    let out = place.out("page.html");
    let args = "data inspect --kind webdataset --path _ --json --out _";
    let args = line(args, &[url, path(&out)]);
    apart(place, &args).envs(env.iter().copied()).output().unwrap()
}

/// The captions of a set, and what is said on stderr.
fn captions(place: &Place, url: &str) -> (String, String) {
    succeeded(&apart(place, &["negatives", "--input", url]).output().unwrap())
}

/// The number of samples of a set.
fn samples(place: &Place, url: &str, env: &[(&str, &str)]) -> u64 {
    let report: Value = serde_json::from_str(&succeeded(&inspect(place, url, env)).0).unwrap();
    assert_eq!(report["images"]["unreadable"], Value::Array(Vec::new()));
    report["samples"].as_u64().unwrap()
}

fn refused(place: &Place, url: &str, env: &[(&str, &str)]) -> String {
    failed(&inspect(place, url, env))
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_shard_is_fetched_once_and_again_when_it_has_changed() {
    let place = Place::new();
    let (three, four) = (shard(3, 0), shard(4, 0));
    let files = [("/a%20b/s-0.tar", three), ("/a%20b/s-1.tar.gz", gzip(&four))];
    let size: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let server = Server::new(&files, Ways::default());
    let url = format!("http://{}/a%20b/s-{{0.tar,1.tar.gz}}", server.address);
    assert_eq!(samples(&place, &url, &[]), 7);
    // And the first byte, by which a server is asked.
    assert_eq!(server.seen().1, size + 2);
    assert_eq!(samples(&place, &url, &[]), 7);
    let (again, sent) = server.seen();
    assert_eq!((again.len(), sent), (2, 2), "{again:?}");
    server.put("/a%20b/s-0.tar", four.clone());
    assert_eq!(samples(&place, &url, &[]), 8);
    assert_eq!(server.seen().1, four.len() + 2);
}

#[test]
fn what_breaks_off_goes_on_where_it_stopped() {
    let place = Place::new();
    let bytes = shard(12, 0);
    let ways = Ways { breaks: Some((bytes.len() / 3, 1)), ..Ways::default() };
    let server = Server::new(&[("/s.tar", bytes.clone())], ways);
    let url = format!("http://{}/s.tar", server.address);
    // After one interruption the program resumes by itself.
    assert_eq!(samples(&place, &url, &[]), 12);
    assert!(server.seen().1 <= 1 + bytes.len() + bytes.len() / 3);
    // After repeated interruptions it fails, and the next run resumes.
    let place = Place::new();
    server.behave(Ways { breaks: Some((bytes.len() / 20, 8)), ..Ways::default() });
    assert_contains(&refused(&place, &url, &[]), &[&url]);
    let (seen, before) = server.seen();
    assert!(seen.len() < 8 && before > 0, "{seen:?}");
    assert_eq!(samples(&place, &url, &[]), 12);
    let (seen, after) = server.seen();
    assert!(
        before + after <= 2 + bytes.len() + bytes.len() / 20,
        "{before} and {after} of {}",
        bytes.len()
    );
    // On the condition that it's the same version (RFC 9110, section 13.1.5).
    let tag = format!("if-range: \"{}\"", blake3::hash(&bytes).to_hex());
    assert!(seen.iter().any(|seen| seen.headers.contains(&tag)), "{seen:?}");
}

#[test]
fn servers_that_do_less_are_enough() {
    let bytes = shard(5, 0);
    let server = Server::new(&[("/s.tar", bytes.clone())], Ways::default());
    for ways in [
        Ways { get_only: true, ..Ways::default() },
        // The first byte is asked for in vain, twice.
        Ways { no_parts: true, breaks: Some((bytes.len() / 2, 3)), ..Ways::default() },
    ] {
        server.behave(ways);
        let place = Place::new();
        let url = format!("http://{}/s.tar?signature=a%2Fb", server.address);
        let output = inspect(&place, &url, &[]);
        // Without partial downloads an interrupted one starts again.
        if !output.status.success() {
            assert!(ways.no_parts, "{}", text(&output.stderr));
        }
        assert_eq!(samples(&place, &url, &[]), 5);
        let (seen, _) = server.seen();
        assert!(seen.iter().all(|seen| seen.target == "/s.tar?signature=a%2Fb"), "{seen:?}");
    }
}

#[test]
fn s3_and_google_are_asked_as_they_want_to_be() {
    let bytes = shard(2, 0);
    let files = [("/pairs/x/s.tar", bytes)];
    let server = Server::new(&files, Ways { signed: true, ..Ways::default() });
    let endpoint = format!("http://{}", server.address);
    let s3 = [
        ("AWS_ENDPOINT", endpoint.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    assert_eq!(samples(&Place::new(), "s3://pairs/x/s.tar", &s3), 2);
    let (seen, _) = server.seen();
    let signature = "authorization: AWS4-HMAC-SHA256 Credential=key/";
    for request in &seen {
        let is_signed =
            |header: &String| header.starts_with(signature) && header.contains("/eu-west-1/s3/");
        assert!(request.headers.iter().any(is_signed), "{request:?}");
    }
    assert!(["HEAD", "GET"].iter().all(|method| seen.iter().any(|seen| seen.method == *method)));
    // A private bucket without a key.
    let public = [s3[0], s3[1], ("AWS_SKIP_SIGNATURE", "true")];
    let stderr = refused(&Place::new(), "s3://pairs/x/s.tar", &public);
    assert_contains(&stderr, &["s3://pairs/x/s.tar", "403", "AWS_ACCESS_KEY_ID"]);
    server.seen();
    server.behave(Ways::default());
    assert_eq!(samples(&Place::new(), "s3://pairs/x/s.tar", &public), 2);
    let google = [("GOOGLE_BASE_URL", endpoint.as_str()), ("GOOGLE_SKIP_SIGNATURE", "true")];
    assert_eq!(samples(&Place::new(), "gs://pairs/x/s.tar", &google), 2);
}

#[test]
fn what_a_server_does_not_have_is_said() {
    let place = Place::new();
    let server =
        Server::new(&[("/s-0.tar", shard(2, 0)), ("/empty.tar", Vec::new())], Ways::default());
    let url = format!("http://{}/s-{{0..1}}.tar", server.address);
    let stderr = refused(&place, &url, &[]);
    assert!(stderr.contains("/s-1.tar: there is no such file on the server"), "{stderr}");
    let stderr = refused(&place, &format!("http://{}/s-*.tar", server.address), &[]);
    assert_contains(&stderr, &["/s-*.tar: there is no such file", "by braces"]);
    let stderr = refused(&place, &format!("http://{}/empty.tar", server.address), &[]);
    assert!(stderr.contains("/empty.tar"), "{stderr}");
    assert_contains(&refused(&place, "s3://pairs", &[]), &["it names no file"]);
    // A port without a server.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/s.tar", listener.local_addr().unwrap());
    drop(listener);
    assert_contains(&refused(&place, &url, &[]), &[&url, "refused"]);
    // A folder that can't be created.
    let file = place.file("file", b"");
    let stderr =
        refused(&place, &format!("http://{}/s-0.tar", server.address), &[("CLOVE_CACHE", &file)]);
    assert!(stderr.contains(&file), "{stderr}");
}

#[test]
fn a_server_that_can_not_be_reached_is_told_once_and_the_copies_are_used() {
    let place = Place::new();
    let files = [("/s-0.tar", shard(2, 0)), ("/s-1.tar", shard(3, 0))];
    let server = Server::new(&files, Ways::default());
    let url = format!("http://{}/s-{{0..1}}.tar", server.address);
    assert_eq!(samples(&place, &url, &[]), 5);
    server.behave(Ways { down: true, ..Ways::default() });
    let (report, stderr) = succeeded(&inspect(&place, &url, &[]));
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["samples"], 5);
    let told: Vec<&str> = stderr.lines().filter(|line| line.contains("can't be reached")).collect();
    assert_eq!(told.len(), 1, "{stderr}");
    assert_contains(told[0], &["note: http://", "its copy in the cache is used", "1 more"]);
    assert_contains(&captions(&place, &url).1, &["its copy in the cache is used"]);
}

/// Two versions of a shard of the same size. They differ in the caption of the first picture.
fn versions() -> [Vec<u8>; 2] {
    let first = shard(6, 0);
    let words = b"a red square 0";
    let at = first.windows(words.len()).position(|part| part == words).unwrap();
    let mut second = first.clone();
    second[at..at + words.len()].copy_from_slice(b"a big circle 0");
    [first, second]
}

#[test]
fn a_file_without_an_etag_is_not_taken_for_another_of_its_size() {
    let [first, second] = versions();
    for (then, note) in [
        (
            Ways { no_tag: true, date: Some("Thu, 26 Nov 2026 10:00:00 GMT"), ..Ways::default() },
            false,
        ),
        (Ways { no_tag: true, no_date: true, ..Ways::default() }, true),
    ] {
        let place = Place::new();
        let server = Server::new(&[("/s.tar", first.clone())], Ways { date: None, ..then });
        let url = format!("http://{}/s.tar", server.address);
        assert_contains(&captions(&place, &url).0, &["a red square 0"]);
        server.put("/s.tar", second.clone());
        server.behave(then);
        let (found, stderr) = captions(&place, &url);
        assert_contains(&found, &["a big circle 0"]);
        assert!(!found.contains("a red square 0"), "{found}");
        assert_eq!(stderr.contains("gives no version (ETag or Last-Modified)"), note, "{stderr}");
    }
}

#[test]
fn a_part_is_not_joined_with_the_rest_of_another_version() {
    let [first, second] = versions();
    for then in [
        Ways { no_tag: true, no_date: true, ..Ways::default() },
        Ways { no_tag: true, date: Some("Thu, 26 Nov 2026 10:00:00 GMT"), ..Ways::default() },
    ] {
        let place = Place::new();
        let breaks = Some((first.len() / 2, 9));
        let server = Server::new(&[("/s.tar", first.clone())], Ways { breaks, date: None, ..then });
        let url = format!("http://{}/s.tar", server.address);
        refused(&place, &url, &[]);
        server.put("/s.tar", second.clone());
        server.behave(then);
        let (found, _) = captions(&place, &url);
        assert_contains(&found, &["a big circle 0"]);
        assert!(!found.contains("a red square 0"), "{found}");
    }
}

#[test]
fn copies_have_a_limit_of_room() {
    let place = Place::new();
    let server = Server::new(&[("/s.tar", shard(3, 0))], Ways::default());
    let body = format!(
        "{BLANK}[data]\nkind = \"webdataset\"\npath = \"http://{}/s.tar\"\ncache_size = 1e-6\n[train]\nsteps = 1\nbatch = 3\n",
        server.address
    );
    let job = Job::new(&place, "run", &body);
    let stderr = failed(&apart(&place, &job.args(&["--dry-run"])).output().unwrap());
    assert_contains(&stderr, &["/s.tar: no room for its copy", "data.cache_size"]);
    let more = job.args(&["--dry-run", "--set", "data.cache_size=1"]);
    succeeded(&apart(&place, &more).output().unwrap());
}
