//! What tells a file on a server: its address without what only lets a reader in, so that a new signature is of the same file.

use std::env;

use super::address::{HIDDEN, Parts, variable};

/// Names of query values that let a reader in, in lower case without hyphens and underscores: general ones, CloudFront's, and the older
/// ones of S3, Google Cloud Storage and Alibaba's OSS.
const CREDENTIALS: [&str; 33] = [
    "accesskey",
    "accesskeyid",
    "accesstoken",
    "apikey",
    "auth",
    "authorization",
    "authtoken",
    "awsaccesskeyid",
    "credential",
    "credentials",
    "exp",
    "expires",
    "expiry",
    "googleaccessid",
    "hmac",
    "jwt",
    "key",
    "keypairid",
    "nonce",
    "ossaccesskeyid",
    "password",
    "policy",
    "pwd",
    "secret",
    "securitytoken",
    "session",
    "sig",
    "sign",
    "signature",
    "timestamp",
    "token",
    "user",
    "username",
];
/// Beginnings of such names: presigned addresses of S3, Google Cloud Storage and OSS, and the headers that they ask for.
const PREFIXES: [&str; 4] = ["xamz", "xgoog", "xoss", "response"];
/// Azure's names, which are such beside a `sig` (Microsoft's documentation of Azure Storage: Create a service SAS).
const AZURE: [&str; 20] = [
    "saoid", "scid", "sdd", "se", "ses", "sip", "ske", "skoid", "sks", "skt", "sktid", "skv", "sp",
    "spr", "sr", "srt", "ss", "st", "suoid", "sv",
];

/// Whether a query value of this name lets a reader in and says nothing of the file.
fn is_credential(name: &str, is_azure: bool) -> bool {
    let name = name.to_ascii_lowercase().replace(['-', '_'], "");
    CREDENTIALS.contains(&&*name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || (is_azure && AZURE.contains(&&*name))
}

/// An address with its secrets. Show it by [`Shown`](super::Shown).
pub(super) struct Address(String);

impl Address {
    /// The address with the values of the environment variables that it names, and without its fragment, which isn't sent.
    pub(super) fn of(name: &str) -> Result<Self, String> {
        let parts = Parts::of(name);
        if is_hidden(&parts) {
            return Err(format!(
                "what is hidden of the address ({HIDDEN}) is missing; give the whole address, by --set (--set data.path=ADDRESS) or by the \
                 configuration (clove train CONFIG.toml --resume); $NAME in its place stands for an environment variable and isn't hidden"
            ));
        }
        let mut whole = parts.scheme.to_owned();
        if let Some(user) = parts.user {
            let values: Result<Vec<String>, String> = user.split(':').map(value_of).collect();
            whole += &values?.join(":");
            whole.push('@');
        }
        whole += parts.place;
        if let Some(query) = parts.query {
            let value = |pair: &str| match pair.split_once('=') {
                Some((key, value)) => Ok(format!("{key}={}", value_of(value)?)),
                None => value_of(pair),
            };
            let pairs: Result<Vec<String>, String> = query.split('&').map(value).collect();
            whole.push('?');
            whole += &pairs?.join("&");
        }
        Ok(Self(whole))
    }

    /// The address with its secrets.
    pub(super) fn whole(&self) -> &str {
        &self.0
    }

    /// Whether it's of a web server, not of S3 or Google Cloud Storage.
    pub(super) fn is_web(&self) -> bool {
        self.0.starts_with("http")
    }

    /// The host and the port.
    pub(super) fn host(&self) -> &str {
        Parts::of(&self.0).place.split('/').next().unwrap_or_default()
    }

    /// The address without the user name, the password and the values of its query that let a reader in.
    pub(super) fn identity(&self) -> String {
        let parts = Parts::of(&self.0);
        let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
        let pairs: Vec<&str> = parts.query.unwrap_or_default().split('&').collect();
        let is_azure = pairs.iter().any(|pair| name(pair) == "sig");
        let is_of_file = |pair: &&str| !pair.is_empty() && !is_credential(&name(pair), is_azure);
        let mut kept: Vec<&str> = pairs.iter().copied().filter(is_of_file).collect();
        kept.sort_unstable();
        let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
        format!("{}{}{query}", parts.scheme, parts.place)
    }
}

/// Whether something of an address is hidden, as in a run's run.toml.
fn is_hidden(parts: &Parts<'_>) -> bool {
    let is_value = |pair: &str| pair.split_once('=').map_or(pair, |(_, value)| value) == HIDDEN;
    parts.user == Some(HIDDEN)
        || parts.fragment == Some(HIDDEN)
        || parts.query.is_some_and(|query| query.split('&').any(is_value))
}

/// The value of `$NAME`, or the text itself.
fn value_of(text: &str) -> Result<String, String> {
    let Some(name) = variable(text) else {
        return Ok(text.to_owned());
    };
    env::var(name).map_err(|_| {
        format!("the environment variable {name} of the address isn't set; set it, or write %24 for a dollar sign")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_signature_is_of_the_same_file() {
        let identity = |address: &str| Address::of(address).ok().unwrap().identity();
        for (address, same) in [
            ("https://h/x.tar", "https://h/x.tar"),
            ("https://me:secret@h/x.tar#part", "https://h/x.tar"),
            ("s3://bucket/x.tar", "s3://bucket/x.tar"),
            // AWS: Authenticating Requests: Using Query Parameters (Signature Version 4).
            (
                "https://b.s3.amazonaws.com/x?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Date=b&X-Amz-Expires=9\
                 &X-Amz-SignedHeaders=host&X-Amz-Signature=c&X-Amz-Security-Token=d&versionId=7",
                "https://b.s3.amazonaws.com/x?versionId=7",
            ),
            // Google: V4 signing process. AWS: Signature Version 2. CloudFront: custom policies.
            ("https://h/x?X-Goog-Signature=a&generation=3", "https://h/x?generation=3"),
            ("https://h/x?AWSAccessKeyId=a&Signature=b&Expires=1", "https://h/x"),
            ("https://h/x?Policy=a&Key-Pair-Id=b&Signature=c", "https://h/x"),
            // Azure's SAS. Without a signature its names are the file's.
            ("https://h/x?sv=1&sr=b&sp=r&se=2&sig=c&snapshot=4", "https://h/x?snapshot=4"),
            ("https://h/x?sv=1&sr=b", "https://h/x?sr=b&sv=1"),
            ("https://h/get?token=a&file=x.tar&access_token=b", "https://h/get?file=x.tar"),
            ("https://h/get?b=2&a=1", "https://h/get?a=1&b=2"),
        ] {
            assert_eq!(identity(address), same);
        }
    }

    #[test]
    fn what_is_hidden_is_asked_for_and_what_is_named_is_looked_up() {
        let refused = |address: &str| Address::of(address).err().unwrap();
        for address in
            ["https://h/x?a=***", "https://***@h/x", "https://h/x#***", "https://h/x?***"]
        {
            assert!(refused(address).contains("--set data.path=ADDRESS"), "{address}");
        }
        let unset = refused("https://h/x?a=$NO_SUCH_NAME_HERE");
        assert!(unset.contains("NO_SUCH_NAME_HERE of the address isn't set"), "{unset}");
        let path = env::var("PATH").unwrap();
        let named = Address::of("https://$PATH:x@h/x?a=$PATH&$PATH#f").ok().unwrap();
        assert_eq!(named.whole(), format!("https://{path}:x@h/x?a={path}&{path}"));
    }
}
