"""weed's configuration: security.toml, its one fixed identity, command line and environment. It starts nothing.

weed's defaults are open: telemetry, S3 without credentials, and HTTP and gRPC ports that obey every connection (one GET
to the master deletes a collection). So this sets `-disableHttp` for master and filer, mutual TLS for all gRPC, signed
tokens for the volume server's HTTP, which can't be switched off, and S3 with credentials and without its IAM port.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import msgspec

from object_store.settings import Settings
from object_store.weed.capacity import most_volumes, volume_mb
from object_store.weed.certificate import Certificate
from object_store.weed.folder import Folder
from object_store.weed.ports import Ports
from object_store.weed.secret import Secrets, write_private

__all__ = ["command_line", "environment", "write_configuration"]

_PARTS = ("master", "volume", "filer", "s3", "client", "admin", "worker")


def write_configuration(folder: Folder, secrets: Secrets, certificate: Certificate, ended: Iterable[str]) -> None:
    """`ended`: users that weed may still know but must not serve: listed here without keys, they override its own."""
    # Old flags persist in mini.options; they don't override these, but add to them, and every start must be the same.
    (folder.data / "mini.options").unlink(missing_ok=True)
    for earlier in folder.data.glob("*.ldb"):  # an earlier version's indexes; weed makes them from the `.idx` files
        shutil.rmtree(earlier)
    write_private(folder.private / "security.toml", _security(secrets, certificate).encode())
    admin = {"accessKey": secrets.admin.access_key, "secretKey": secrets.admin.secret_key}
    rights = ["Admin", "Read", "List", "Tagging", "Write"]
    write_private(folder.private / "filer.toml", _filer(folder).encode())
    users = [{"name": user, "credentials": [], "actions": []} for user in ended]
    identities = {"identities": [{"name": "admin", "credentials": [admin], "actions": rights}, *users]}
    write_private(folder.private / "identities.json", msgspec.json.encode(identities))


def _security(secrets: Secrets, certificate: Certificate) -> str:
    def table(name: str, **values: str | Path) -> str:
        lines = (f"{key} = {msgspec.json.encode(str(value)).decode()}" for key, value in values.items())
        return "\n".join((f"[{name}]", *lines, ""))

    shown = {"cert": certificate.certificate, "key": certificate.key}
    tables = [
        table("grpc", ca=certificate.authority),
        *(table(f"grpc.{part}", **shown) for part in _PARTS),
        table("jwt.signing", key=secrets.volume_write),
        table("jwt.signing.read", key=secrets.volume_read),
        table("jwt.filer_signing", key=secrets.filer_write),
        table("jwt.filer_signing.read", key=secrets.filer_read),
    ]
    return "\n".join(tables)


def _filer(folder: Folder) -> str:
    """Metadata in one LevelDB. The default opens eight, whose 128 MB of buffers fill as objects arrive and make Go's
    collector, held to its limit, run all the time (10 % of a core when idle, twice the CPU time per upload)."""
    return f"[leveldb]\nenabled = true\ndir = {msgspec.json.encode(str(folder.data / 'filer')).decode()}\n"


def command_line(settings: Settings, folder: Folder, ports: Ports) -> list[str]:
    """Arguments after the binary's name. weed derives the gRPC ports: HTTP + 10000."""
    size = volume_mb(shutil.disk_usage(folder.data).total)
    half, upload = settings.upload_memory_mb // 2, settings.upload_memory_mb
    options = {
        "dir": folder.data, "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "disableHttp": "true",
        "master.telemetry": "false", "admin.ui": "false", "webdav": "false", "s3.port.iceberg": 0, "s3.port.lance": 0,
        "master.port": ports.master, "volume.port": ports.volume, "filer.port": ports.filer, "s3.port": ports.weed_s3,
        "admin.port": ports.admin,
        # Unix sockets outside of /tmp, in weed's private working folder; by name only, since a socket's path holds only
        # 107 bytes. (The gRPC ones stay in /tmp and require the certificate as well.)
        "filer.localSocket": "filer.sock", "s3.localSocket": "s3.sock", "s3.localFilerSocket": "filer.sock",
        # Users are made over gRPC: with IAM on the S3 port, a key could create another one for itself.
        "s3.config": folder.private / "identities.json", "s3.iam": "false", "s3.autoCreateBucket": "false",
        # A master that remembers its volumes from its last run may wait 15 s for other servers to bring theirs before it
        # assigns any (seaweedfs#8777); here all of them come with the first heartbeat of the one server.
        "master.resumeState": "false",
        # Each bucket has volumes of its own. Their indexes are in memory, 16 bytes for each object and each further 4 MB; LevelDB takes
        # four more descriptors for each volume, and as much memory.
        "volume.max": most_volumes(settings.files), "master.volumeSizeLimitMB": size, "volume.index": "memory",
        "volume.preStopSeconds": 0,
        "s3.concurrentUploadLimitMB": upload, "volume.concurrentUploadLimitMB": 2 * upload,
        "volume.concurrentDownloadLimitMB": 2 * upload, "s3.readerCacheSizeMB": half,
    }  # fmt: skip
    return ["-logtostderr=true", "mini", *(f"-{name}={value}" for name, value in options.items())]


def environment(settings: Settings, folder: Folder, path: str) -> dict[str, str]:
    """The complete environment: weed gets no variable of the app's. It finds security.toml in the working folder, which
    is also HOME."""
    return {
        "PATH": path, "HOME": str(folder.private), "TMPDIR": str(folder.private),
        "GOMEMLIMIT": f"{settings.memory_mb}MiB", "GOGC": "50", "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1",
    }  # fmt: skip
