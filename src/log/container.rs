//! Which container wrote a file, as its path says.
//!
//! ```text
//! /var/log/pods/NAMESPACE_POD_UID/CONTAINER/0.log
//! /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log
//! ```
//!
//! The names are those that Kubernetes takes, so they need no quoting in a header; any other path tells nothing.

use std::path::Path;

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerOrigin {
    pub namespace: String,
    pub pod: String,
    /// Of the pod; not told by a path below `containers`.
    pub pod_uid: Option<String>,
    pub container: String,
}

impl ContainerOrigin {
    /// As a path of the file tells that was not rotated yet.
    pub fn of(path: &Path) -> Option<Self> {
        let name = |path: &Path| path.file_name()?.to_str().map(str::to_owned);
        let directory = path.parent()?;
        let origin = match (directory.parent().and_then(Path::file_name)?.to_str()?, name(directory)?) {
            (_, directory) if directory == "containers" => of_link(&name(path)?)?,
            (pod, container) => of_pod(pod, container)?,
        };
        let words = [&origin.namespace, &origin.pod, &origin.container];
        let known = words.into_iter().chain(&origin.pod_uid).all(|word| is_name(word));
        known.then_some(origin)
    }
}

fn of_pod(directory: &str, container: String) -> Option<ContainerOrigin> {
    let mut words = directory.split('_');
    let (namespace, pod, uid) = (words.next()?.to_owned(), words.next()?.to_owned(), words.next()?.to_owned());
    words.next().is_none().then_some(ContainerOrigin { namespace, pod, pod_uid: Some(uid), container })
}

fn of_link(name: &str) -> Option<ContainerOrigin> {
    let mut words = name.strip_suffix(".log")?.split('_');
    let (pod, namespace) = (words.next()?.to_owned(), words.next()?.to_owned());
    let container = words.next()?.rsplit_once('-')?.0.to_owned();
    words.next().is_none().then_some(ContainerOrigin { namespace, pod, pod_uid: None, container })
}

/// Whether it could be the name of an object.
fn is_name(word: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    (1..=253).contains(&word.len()) && word.bytes().all(known)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn both_paths_of_a_container_tell_what_they_can() {
        let uid = "0bd9-4a6e";
        let pod = ContainerOrigin::of(Path::new("/var/log/pods/shop_cart-7d4b_0bd9-4a6e/app/0.log")).unwrap();
        let origin = ContainerOrigin {
            namespace: "shop".to_owned(),
            pod: "cart-7d4b".to_owned(),
            pod_uid: Some(uid.to_owned()),
            container: "app".to_owned(),
        };
        assert_eq!(pod, origin);
        let link = ContainerOrigin::of(Path::new("/x/containers/cart-7d4b_shop_my-app-0123abcd.log")).unwrap();
        assert_eq!(link, ContainerOrigin { container: "my-app".to_owned(), pod_uid: None, ..origin });
    }

    #[test]
    fn other_paths_tell_nothing() {
        for path in [
            "/var/log/app/audit.log",
            "/var/log/pods/shop_cart/app/0.log",
            "/var/log/pods/shop_cart_uid_x/app/0.log",
            "/var/log/pods/sh\rop_cart_uid/app/0.log",
            "/var/log/pods/Shop_cart_uid/app/0.log",
            "/var/log/pods/_cart_uid/app/0.log",
            "/var/log/containers/cart_shop_app.log",
            "/var/log/containers/cart_shop_app-1.log.1",
            "/0.log",
            "/",
        ] {
            assert_eq!(ContainerOrigin::of(Path::new(path)), None, "{path:?}");
        }
    }
}
