"""Lints and installs charts with Helm's own engine, on a Kubernetes API that only listens.

Reads JSON from standard input: [{"chart": DIRECTORY, "values": {…}, "release": …, "namespace": …, "kubernetes": "1.34"}, …].
Writes for each {"objects": […], "notes": …, "lint": {…}, "invalid": […]}, or {"error": …} where Helm refused it.
Objects of Kubernetes' own kinds are held against its schemas, strictly; what is wrong stands in "invalid".
"""

import asyncio
import json
import os
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import helm_sdkpy
import kubernetes_validate
import yaml

GROUPS = {
    "apps/v1": [("daemonsets", "DaemonSet"), ("statefulsets", "StatefulSet"), ("deployments", "Deployment")],
    "policy/v1": [("poddisruptionbudgets", "PodDisruptionBudget")],
    "networking.k8s.io/v1": [("networkpolicies", "NetworkPolicy")],
    "monitoring.coreos.com/v1": [("podmonitors", "PodMonitor"), ("prometheusrules", "PrometheusRule")],
}
CORE = [
    ("configmaps", "ConfigMap"),
    ("secrets", "Secret"),
    ("services", "Service"),
    ("serviceaccounts", "ServiceAccount"),
    ("persistentvolumeclaims", "PersistentVolumeClaim"),
]


class Cluster(BaseHTTPRequestHandler):
    """As much of the API as an installation asks for: what there is, that nothing exists, and yes to everything."""

    protocol_version = "HTTP/1.1"
    kubernetes = ""

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/version":
            major, minor = self.kubernetes.split(".")
            self.answer(200, {"major": major, "minor": minor, "gitVersion": f"v{self.kubernetes}.0"})
        elif path == "/api":
            self.answer(200, {"kind": "APIVersions", "versions": ["v1"]})
        elif path == "/apis":
            versions = [{"groupVersion": group, "version": group.split("/")[1]} for group in GROUPS]
            groups = [
                {"name": v["groupVersion"].split("/")[0], "versions": [v], "preferredVersion": v} for v in versions
            ]
            self.answer(200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        elif path == "/api/v1":
            self.resources("v1", CORE)
        elif path.removeprefix("/apis/") in GROUPS:
            group = path.removeprefix("/apis/")
            self.resources(group, GROUPS[group])
        else:
            self.answer(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send(201, self.headers["Content-Type"].split(";")[0], body)

    do_PUT = do_POST
    do_PATCH = do_POST

    def resources(self, group, kinds):
        verbs = ["create", "get", "list", "patch", "update", "delete"]
        resources = [
            {"name": name, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": verbs}
            for name, kind in kinds
        ]
        self.answer(200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": resources})

    def answer(self, status, what):
        self.send(status, "application/json", json.dumps(what).encode())

    def send(self, status, content_type, body):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def invalid(thing):
    if thing["apiVersion"] in ("monitoring.coreos.com/v1",):
        return []
    try:
        kubernetes_validate.validate(thing, Cluster.kubernetes, strict=True)
        return []
    except kubernetes_validate.ValidationError as error:
        return [f"{thing['kind']} {thing['metadata']['name']}: {error}"]


def run(case, kubeconfig):
    result = {}
    Cluster.kubernetes = case["kubernetes"]
    try:
        with helm_sdkpy.Configuration(namespace=case["namespace"], kubeconfig=kubeconfig) as configuration:
            install = helm_sdkpy.Install(configuration)
            release = asyncio.run(
                install.run(case["release"], case["chart"], values=case["values"], wait=False, timeout=20)
            )
            result["lint"] = asyncio.run(helm_sdkpy.Lint(configuration).run(case["chart"]))
        result["objects"] = [thing for thing in yaml.safe_load_all(release["manifest"]) if thing]
        result["notes"] = release["info"].get("notes", "")
        result["invalid"] = [fault for thing in result["objects"] for fault in invalid(thing)]
    except helm_sdkpy.exceptions.HelmError as error:
        result["error"] = str(error)
    return result


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cluster)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as directory:
        for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HOME"):
            os.environ[name] = directory
        kubeconfig = Path(directory, "kubeconfig")
        cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [cluster],
                    "users": [{"name": "u", "user": {}}],
                    "contexts": [context],
                    "current-context": "c",
                }
            )
        )
        json.dump([run(case, str(kubeconfig)) for case in json.load(sys.stdin)], sys.stdout)


main()
