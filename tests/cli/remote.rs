//! Guards shards on servers: each is fetched once and goes on where it broke off, and what a server refuses is said.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use super::server::{Server, Ways};
use super::train::pictures;
use super::{Place, text};

/// A shard of `count` pictures with their captions.
fn shard(count: usize) -> Vec<u8> {
    let place = Place::new();
    let dir = pictures(&place, count, 0);
    let mut builder = tar::Builder::new(Vec::new());
    let mut files: Vec<_> = fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.is_file()) {
        builder.append_path_with_name(file, file.file_name().unwrap()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Looks at a set, with copies in a folder of `place`.
fn inspect(place: &Place, url: &str, env: &[(&str, &str)]) -> Output {
    let (out, copies) = (place.out("page.html"), place.out("copies"));
    let args = ["data", "inspect", "--kind", "webdataset", "--path", url, "--json", "--out"];
    let clean = ["AWS_", "GOOGLE_"];
    let others =
        std::env::vars().filter(|(name, _)| clean.iter().any(|start| name.starts_with(start)));
    let mut command = Command::new(env!("CARGO_BIN_EXE_clove"));
    others.for_each(|(name, _)| {
        command.env_remove(name);
    });
    command
        .args(args)
        .arg(&out)
        .env("CLOVE_CACHE", copies)
        .env("NO_PROXY", "*")
        .envs(env.iter().copied())
        .output()
        .unwrap()
}

/// How many samples a set has.
fn samples(place: &Place, url: &str, env: &[(&str, &str)]) -> u64 {
    let output = inspect(place, url, env);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["images"]["unreadable"], Value::Array(Vec::new()));
    report["samples"].as_u64().unwrap()
}

fn refused(place: &Place, url: &str, env: &[(&str, &str)]) -> String {
    let output = inspect(place, url, env);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_shard_is_fetched_once_and_again_when_it_has_changed() {
    let place = Place::new();
    let (three, four) = (shard(3), shard(4));
    let files = [("/a%20b/s-0.tar", three), ("/a%20b/s-1.tar.gz", gzip(&four))];
    let size: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let server = Server::new(&files, Ways::default());
    let url = format!("http://{}/a%20b/s-{{0.tar,1.tar.gz}}", server.address);
    assert_eq!(samples(&place, &url, &[]), 7);
    assert_eq!(server.seen().1, size);
    assert_eq!(samples(&place, &url, &[]), 7);
    let (again, sent) = server.seen();
    assert_eq!((again.len(), sent), (2, 0), "{again:?}");
    server.put("/a%20b/s-0.tar", four.clone());
    assert_eq!(samples(&place, &url, &[]), 8);
    assert_eq!(server.seen().1, four.len());
}

#[test]
fn what_breaks_off_goes_on_where_it_stopped() {
    let place = Place::new();
    let bytes = shard(12);
    let ways = Ways { breaks: Some((bytes.len() / 3, 1)), ..Ways::default() };
    let server = Server::new(&[("/s.tar", bytes.clone())], ways);
    let url = format!("http://{}/s.tar", server.address);
    // Once, and the program goes on by itself.
    assert_eq!(samples(&place, &url, &[]), 12);
    assert!(server.seen().1 <= bytes.len() + bytes.len() / 3);
    // Again and again, and it's for the user to go on.
    let place = Place::new();
    server.behave(Ways { breaks: Some((bytes.len() / 20, 8)), ..Ways::default() });
    let stderr = refused(&place, &url, &[]);
    assert!(stderr.contains(&url), "{stderr}");
    let (seen, before) = server.seen();
    assert!(seen.len() < 8 && before > 0, "{seen:?}");
    assert_eq!(samples(&place, &url, &[]), 12);
    let (_, after) = server.seen();
    assert!(
        before + after <= bytes.len() + bytes.len() / 20,
        "{before} and {after} of {}",
        bytes.len()
    );
}

#[test]
fn servers_that_do_less_are_enough() {
    let bytes = shard(5);
    let server = Server::new(&[("/s.tar", bytes.clone())], Ways::default());
    for ways in [
        Ways { get_only: true, ..Ways::default() },
        Ways { no_parts: true, breaks: Some((bytes.len() / 2, 1)), ..Ways::default() },
    ] {
        server.behave(ways);
        let place = Place::new();
        let url = format!("http://{}/s.tar?signature=a%2Fb", server.address);
        let output = inspect(&place, &url, &[]);
        // Where no part is given, a copy that broke off begins anew.
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
    let bytes = shard(2);
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
    // Without a key, of a bucket that isn't public.
    let public = [s3[0], s3[1], ("AWS_SKIP_SIGNATURE", "true")];
    let stderr = refused(&Place::new(), "s3://pairs/x/s.tar", &public);
    assert!(stderr.contains("s3://pairs/x/s.tar") && stderr.contains("403"), "{stderr}");
    assert!(stderr.contains("AWS_ACCESS_KEY_ID"), "{stderr}");
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
        Server::new(&[("/s-0.tar", shard(2)), ("/empty.tar", Vec::new())], Ways::default());
    let url = format!("http://{}/s-{{0..1}}.tar", server.address);
    let stderr = refused(&place, &url, &[]);
    assert!(stderr.contains("/s-1.tar: there is no such file on the server"), "{stderr}");
    let stderr = refused(&place, &format!("http://{}/empty.tar", server.address), &[]);
    assert!(stderr.contains("/empty.tar"), "{stderr}");
    let stderr = refused(&place, "s3://pairs", &[]);
    assert!(stderr.contains("it names no file"), "{stderr}");
    // A port that nobody listens at.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/s.tar", listener.local_addr().unwrap());
    drop(listener);
    let stderr = refused(&place, &url, &[]);
    assert!(stderr.contains(&url) && stderr.contains("refused"), "{stderr}");
    // A folder that can't be made.
    let file = place.file("file", b"");
    let stderr =
        refused(&place, &format!("http://{}/s-0.tar", server.address), &[("CLOVE_CACHE", &file)]);
    assert!(stderr.contains(&file), "{stderr}");
}
