"""Runs a container under containerd, over the CRI, and rotates its log as the kubelet does.

    containerd.py DIRECTORY PODS EVENTS ROTATIONS

Makes the image, starts a containerd of its own below DIRECTORY, and writes EVENTS numbered events with a program whose output
is block-buffered. Its log is PODS/test_box_uid/app/0.log. Exit status 3: it cannot be done here.
"""

import hashlib, io, json, os, shutil, subprocess, sys, tarfile, time

IMAGE = "auditpost.test/box:1"


def fail(why):
    print(why)
    sys.exit(3)


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def message(*fields):
    """Protobuf: (number, value) each, where the value is a number, a text, or a message."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def first_text(response):
    """The text in field 1 of a response."""
    assert response[0] == 10, response
    return response[2 : 2 + response[1]].decode()


def image(path):
    """A docker archive of busybox alone."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(shutil.which("busybox"), "bin/busybox")
        for name in ("sh", "sleep", "dd"):
            link = tarfile.TarInfo("bin/" + name)
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    layer = layer.getvalue()
    config = json.dumps({
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["/bin/sleep", "10000"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
    }).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as tar:
        for name, data in (("config.json", config), ("layer.tar", layer), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


CONFIG = """
version = 2
root = "{0}/root"
state = "{0}/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
address = "{0}/sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{1}"
disable_cgroup = true
disable_apparmor = true
restrict_oom_score_adj = true
stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
"""

PROGRAM = """i=0
while [ $i -lt %d ]; do
  echo '{"id":'$i',"text":"abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz"}'
  i=$((i+1))
  if [ $((i %% 20)) = 0 ]; then sleep 0.05; fi
done | dd ibs=512 obs=4096 2>/dev/null
exec sleep 10000
"""


class Runtime:
    def __init__(self, directory):
        import grpc

        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        config = directory + "/config.toml"
        with open(config, "w") as file:
            file.write(CONFIG.format(directory, IMAGE))
        log = open(directory + "/containerd.log", "w")
        self.daemon = subprocess.Popen(["containerd", "-c", config], stdout=log, stderr=log)
        self.channel = grpc.insecure_channel("unix://" + directory + "/sock")
        try:
            grpc.channel_ready_future(self.channel).result(timeout=20)
        except grpc.FutureTimeoutError:
            fail("containerd does not come up: " + open(directory + "/containerd.log").read()[-500:])

    def ctr(self, *args):
        subprocess.run(["ctr", "-a", self.directory + "/sock", "-n", "k8s.io", *args], check=True, stdout=sys.stderr)

    def call(self, method, *fields):
        path = "/runtime.v1.RuntimeService/" + method
        return self.channel.unary_unary(path)(message(*fields), timeout=60)

    def run(self, pods, program):
        node = message((1, 2), (2, 1), (3, 2))
        metadata = message((1, "box"), (2, "uid"), (3, "test"), (4, 0))
        security = message((2, message((1, node))))
        sandbox = message((1, metadata), (3, pods + "/test_box_uid"), (8, security))
        self.pod = first_text(self.call("RunPodSandbox", (1, sandbox)))
        config = message(
            (1, message((1, "app"), (2, 0))), (2, message((1, IMAGE))), (3, "/bin/sh"), (4, "-c"), (4, program),
            (11, "app/0.log"), (15, message((2, message((3, node))))),
        )
        os.makedirs(pods + "/test_box_uid/app", exist_ok=True)
        self.container = first_text(self.call("CreateContainer", (1, self.pod), (2, config), (3, sandbox)))
        self.call("StartContainer", (1, self.container))

    def end(self):
        try:
            if hasattr(self, "pod"):
                self.call("StopPodSandbox", (1, self.pod))
                self.call("RemovePodSandbox", (1, self.pod))
        finally:
            self.daemon.terminate()
            self.daemon.wait()


def main():
    directory, pods, events, rotations = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    try:
        import grpc
    except ImportError:
        fail("Python has no grpc")
    if os.geteuid() != 0 or not all(map(shutil.which, ("containerd", "ctr", "runc", "busybox"))):
        fail("it takes root, containerd, runc and busybox")
    os.makedirs(directory, exist_ok=True)
    image(directory + "/image.tar")
    runtime = Runtime(directory)
    try:
        try:
            runtime.ctr("images", "import", directory + "/image.tar")
            time.sleep(1)
            runtime.run(pods, PROGRAM % events)
        except (grpc.RpcError, subprocess.CalledProcessError) as error:
            fail("no container runs here: %s" % error)
        log = pods + "/test_box_uid/app/0.log"
        for n in range(rotations):
            time.sleep(0.7)
            os.rename(log, "%s.20261122-%06d" % (log, n))
            runtime.call("ReopenContainerLog", (1, runtime.container))
            print("rotated", flush=True)
        end = b'"id":%d,' % (events - 1)
        until = time.time() + 60
        while end not in open(log, "rb").read() and time.time() < until:
            time.sleep(0.1)
        print("written", flush=True)
        sys.stdin.read()
    finally:
        runtime.end()


main()
