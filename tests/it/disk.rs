//! A real file system of a test's own: an ext4 image behind a loop device.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::tools::{has, is_root, skipped, wait_until, works};

/// `FS_IOC_SHUTDOWN` with `NOLOGFLUSH`, for which the kernel has no command of its own.
const SHUTDOWN: &str = "my $f = pack('L', 2); open(F, '<', $ARGV[0]) or die; ioctl(F, 0x8004587D, $f) or die $!";

/// An ext4 image that is mounted at a directory.
pub struct Disk {
    pub image: PathBuf,
    pub at: PathBuf,
}

impl Disk {
    /// `None`, and said, where that cannot be done.
    pub fn mounted(test: &str, image: PathBuf, at: PathBuf) -> Option<Self> {
        Self::made_with(&[], test, image, at)
    }

    /// The same, made with these options.
    pub fn made_with(options: &[&str], test: &str, image: PathBuf, at: PathBuf) -> Option<Self> {
        let tools = ["mkfs.ext4", "mount", "umount", "perl"];
        if !is_root() || !tools.iter().all(|tool| has(tool) || Path::new("/sbin").join(tool).exists()) {
            skipped(test, "it needs root, mkfs.ext4 and perl");
            return None;
        }
        std::fs::File::create(&image).unwrap().set_len(48 << 20).unwrap();
        std::fs::create_dir_all(&at).unwrap();
        let disk = Self { image, at };
        let image = disk.image.display().to_string();
        if !works(&[&["mkfs.ext4", "-q"], options, &[&image]].concat()) || !disk.mount() {
            skipped(test, "an image cannot be mounted here");
            return None;
        }
        assert!(works(&["chmod", "0700", &disk.at.display().to_string()]));
        // Its own beginnings are on disk: what follows is what the program does.
        assert!(works(&["sync", "-f", &disk.at.display().to_string()]));
        Some(disk)
    }

    pub fn mount(&self) -> bool {
        // What is not synced stays in memory, however long a busy machine takes: the file system would do it each 5 s.
        works(&["mount", "-o", "loop,commit=300", &self.image.display().to_string(), &self.at.display().to_string()])
    }

    pub fn unmount(&self) {
        wait_until("the disk to be let go", || works(&["umount", &self.at.display().to_string()]));
    }

    /// The power goes and comes back.
    pub fn cut(&self) {
        self.shut_down();
        self.mount_again();
    }

    /// Nothing more gets to it, and every call fails.
    pub fn shut_down(&self) {
        let cut = Command::new("perl").args(["-e", SHUTDOWN]).arg(&self.at).output().unwrap();
        assert!(cut.status.success(), "{}", String::from_utf8_lossy(&cut.stderr));
    }

    /// Mounts a copy of the image. A mount name space that another test made meanwhile may still hold the file system
    /// that was cut off, and a second mount of the same image would be that one again, where every call fails.
    pub fn mount_again(&self) {
        self.unmount();
        let copy = self.image.with_extension("copy");
        assert!(works(&["cp", "--sparse=always", &self.image.display().to_string(), &copy.display().to_string()]));
        std::fs::rename(copy, &self.image).unwrap();
        assert!(self.mount());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        works(&["umount", "-l", &self.at.display().to_string()]);
    }
}
