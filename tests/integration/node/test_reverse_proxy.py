"""Behind nginx and Caddy, configured as docs/how-to/serve-over-https.md says: a browser's whole way over https."""

from __future__ import annotations

import gzip
import io
import random
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.access.caller import Caller
from core.front.ingress.forwarded import TrustedProxies
from core.front.ingress.hosts import Domains
from core.people.owner.credential import credential_name
from pcloud.web import verify_user
from tests.crashes.quick_node import QuickNode
from tests.integration.node.front import APP_KEY, TOKEN, FrontDoor, open_front
from tests.waiting import wait_until

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "serve-over-https.md"
HERE = "127.0.0.2"  # where no other program takes a port meanwhile
CLIENT = "127.0.0.3"
DOCUMENTED = "cloud.example.org"
FILM = random.Random(7).randbytes(9 * 2**20)
RESOLVE = socket.getaddrinfo
SENT = 24 * 2**20
HTML = {"Accept": "text/html"}


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    return found[1]


def make_certificate(folder: Path) -> Path:
    """Write `cloud.pem` and `cloud.key` for the documented name and its subdomains."""
    key, name, now = ec.generate_private_key(ec.SECP256R1()), x509.Name([]), datetime.now(UTC)
    names = [x509.DNSName(DOCUMENTED), x509.DNSName(f"*.{DOCUMENTED}")]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cloud.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "cloud.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cloud.pem"


def nginx(folder: Path, port: int, node: int) -> list[str]:
    """Write the documented configuration with these ports; return the command."""
    text = block("nginx").replace("listen 443", f"listen {HERE}:{port}").replace(":8080", f":{node}")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{text.replace('/etc/ssl/private', str(folder))} }}"
    )
    return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, port: int, node: int) -> list[str]:
    text = block("caddyfile").replace(":8080", f":{node}").replace("/etc/ssl/private", str(folder))
    site = text.replace(f"{DOCUMENTED}, *.{DOCUMENTED}", f"{DOCUMENTED}:{port}, *.{DOCUMENTED}:{port}")
    options = (
        f"{{\n admin off\n auto_https disable_redirects\n default_bind {HERE}\n storage file_system {folder}/kept\n}}\n"
    )
    (folder / "Caddyfile").write_text(options + site)
    return ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


PROXIES: dict[str, Callable[[Path, int, int], list[str]]] = {"nginx": nginx, "caddy": caddy}


class ToThisMachine(AbstractResolver):
    """Every name is this machine's."""

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host=HERE, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class Behind:
    """A front behind a proxy. `client`: a browser's, which trusts the certificate. `url`: of the cloud."""

    front: FrontDoor
    client: aiohttp.ClientSession
    url: str

    def at(self, app: str) -> str:
        return self.url.replace("https://", f"https://{app}.")

    def link(self) -> str:
        code = self.front.statements.link_code(self.url.removeprefix("https://"), credential_name(TOKEN))
        return f"{self.url}/signin?code={code}"


def unused_port() -> int:
    with socket.socket() as free:
        free.bind((HERE, 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(name: str, folder: Path, port: int, node: int) -> Iterator[ssl.SSLContext]:
    """Run the proxy on `HERE:port` before a node's port; yields what trusts its certificate."""
    assert shutil.which(name), "run infra/set_up_tests.py"
    context = ssl.create_default_context(cafile=str(make_certificate(folder)))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(PROXIES[name](folder, port, node), stderr=log, cwd=folder)

    def listens() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex((HERE, port)) == 0

    try:
        wait_until(listens, what=f"{name} on its port")
        yield context
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def behind(name: str, folder: Path, trusted: str = "127.0.0.1") -> AsyncIterator[Behind]:
    port = unused_port()
    url = f"https://{DOCUMENTED}:{port}"
    proxies = TrustedProxies((ip_network(trusted),))
    async with open_front(Domains(DOCUMENTED, public=url), proxies) as front:
        with serving(name, folder, port, front.port) as context:
            connector = aiohttp.TCPConnector(resolver=ToThisMachine(), ssl=context, local_addr=(CLIENT, 0))
            async with aiohttp.ClientSession(connector=connector) as client:
                yield Behind(front, client, url)


@pytest.fixture(params=["nginx", "caddy"])
async def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Behind]:
    async with behind(request.param, tmp_path) as cloud:
        yield cloud


async def test_browser_signs_in_visits_an_app_and_signs_out(cloud: Behind) -> None:
    client, page = cloud.client, f"{cloud.at('photos')}/album?big=1"
    async with client.get(page, headers=HTML) as asked:  # over core's origin
        assert str(asked.url).startswith(f"{cloud.url}/signin?next=")
        assert "https://*." in asked.headers["Content-Security-Policy"]
    async with client.get(cloud.link(), headers=HTML) as home:
        assert str(home.url) == f"{cloud.url}/" and f'href="{cloud.at("photos")}/"' in await home.text()
        [entered] = home.history
        assert entered.headers["Set-Cookie"].startswith("__Host-") and "Secure" in entered.headers["Set-Cookie"]
        assert home.headers["Strict-Transport-Security"] == "max-age=2592000"
    async with client.get(page, headers=HTML) as album:
        assert str(album.url) == page
        told = dict((await album.json())["headers"])
        assert told["host"] == page.split("/")[2] and told["x-forwarded-proto"] == "https"
        assert verify_user(APP_KEY, told["pcloud-user"], "photos").actor == "person:owner"
        assert album.headers["Strict-Transport-Security"]
    async with client.post(f"{cloud.url}/_pcloud/signout", headers={"Origin": cloud.url}) as left:
        assert left.status == 200
    async with client.get(page) as again:
        assert again.status == 401


async def test_websocket_and_upload_pass(cloud: Behind) -> None:
    client = cloud.client
    async with client.get(cloud.link()), client.get(f"{cloud.at('photos')}/", headers=HTML):
        pass
    origin = {"Origin": cloud.at("photos")}
    async with client.ws_connect(f"{cloud.at('photos')}/echo", headers=origin) as socket:
        await socket.send_str("hello")
        assert await socket.receive_str() == "hello"

    async def film() -> AsyncIterator[bytes]:
        yield b"x" * 65536
        await cloud.front.first_chunk.wait()  # the proxy passes on what has arrived
        for _ in range(SENT // 65536 - 1):
            yield b"x" * 65536

    async with client.post(f"{cloud.at('photos')}/upload", data=film(), headers=origin) as answer:
        assert await answer.json() == {"bytes": SENT}


async def test_attack_forged_client_address_does_not_reach_the_audit(cloud: Behind) -> None:
    forged = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}
    async with cloud.client.post(
        f"{cloud.url}/graphql", json={}, headers=forged | {"Authorization": "Bearer no"}
    ) as answer:
        assert answer.status == 401
    [refused] = [why for _, _, why in cloud.front.refused if "wrong bearer token" in why]
    assert refused.endswith(f"from {CLIENT}")


async def test_attack_page_of_another_app_cannot_use_the_session(cloud: Behind) -> None:
    async with cloud.client.get(cloud.link()):
        pass
    for origin in (cloud.at("photos"), cloud.url.replace("https", "http"), "https://evil.example"):
        async with cloud.client.post(f"{cloud.url}/graphql", json={}, headers={"Origin": origin}) as answer:
            assert answer.status == 403


async def test_direct_request_to_the_public_name_is_refused(cloud: Behind) -> None:
    """Such as a browser's that has followed an old link to http."""
    name = cloud.url.removeprefix("https://")
    for host in (name, f"photos.{name}"):
        async with cloud.front.request("/", headers={"Host": host, "X-Forwarded-For": "::1"}) as answer:
            assert answer.status == 400 and "over https alone" in await answer.text()
    local = {"Host": f"localhost:{cloud.front.port}", "Authorization": f"Bearer {TOKEN}"}
    async with cloud.front.request("/graphql", method="POST", headers=local, signed_in=False) as answer:
        assert (await answer.json())["kind"] == Caller("person", "owner").kind


async def test_proxy_that_is_not_named_is_not_believed(tmp_path: Path) -> None:
    async with behind("nginx", tmp_path, trusted="127.0.0.2") as cloud, cloud.client.get(cloud.url) as answer:
        assert answer.status == 400 and "--trusted-proxy names" in await answer.text()


@pytest.mark.parametrize("told", [{"X-Forwarded-Proto": "https"}, {"Origin": ""}])
async def test_proxy_that_drops_the_host_gets_an_error_that_says_so(cloud: Behind, told: dict[str, str]) -> None:
    as_proxied = {"Host": f"127.0.0.1:{cloud.front.port}"} | {name: value or cloud.url for name, value in told.items()}
    async with cloud.front.request("/signin", method="POST", headers=as_proxied) as answer:
        assert answer.status == 400 and "must pass on the `Host`" in await answer.text()


async def test_name_that_is_not_ours_is_not_bound_to_https(cloud: Behind) -> None:
    async with cloud.front.request("/", headers={"Host": "www.example.org", "X-Forwarded-Proto": "https"}) as answer:
        assert answer.status == 400 and "Strict-Transport-Security" not in answer.headers


def everything_here(host: Any, *arguments: Any, **more: Any) -> Any:
    """`socket.getaddrinfo` for a client in this process: the cloud's names are the proxy's."""
    return RESOLVE(HERE if str(host).endswith(DOCUMENTED) else host, *arguments, **more)


def test_device_uses_s3_over_https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = unused_port()
    public = f"https://{DOCUMENTED}:{port}"
    options = ["--public-url", public, "--trusted-proxy", "127.0.0.1"]
    with (
        QuickNode(tmp_path / "node", *options) as node,
        serving("nginx", tmp_path, port, int(node.listens.split(":")[1])),
    ):
        assert node.address == public and node.link.startswith(f"{public}/signin?code=")
        assert node.json("signin-link", "--json")["link"].startswith(f"{public}/signin?code=")
        node.install("object-store")
        node.cli("call", "object-store/create-bucket", "bucket=images")
        paired = node.json("device", "pair", "--name", "phone", "--json")
        assert (
            paired["graphql"] == f"{public}/graphql" and paired["s3"]["endpoint"] == f"https://s3.{DOCUMENTED}:{port}"
        )
        monkeypatch.setattr(socket, "getaddrinfo", everything_here)
        s3 = client_of(paired["s3"], tmp_path)
        zipped = gzip.compress(FILM)
        s3.put_object(
            Bucket="images", Key="2026/a b/ü.jpg", Body=zipped, ContentEncoding="gzip", ContentType="text/html"
        )
        read = s3.get_object(Bucket="images", Key="2026/a b/ü.jpg")
        assert read["Body"].read() == zipped  # as it was sent: nothing on the way has unpacked it
        assert read["ResponseMetadata"]["HTTPHeaders"]["content-security-policy"].startswith(
            "sandbox; default-src 'none'"
        )
        s3.upload_fileobj(io.BytesIO(FILM), "images", "film.mp4", Config=TransferConfig(multipart_threshold=5 * 2**20))
        assert s3.head_object(Bucket="images", Key="film.mp4")["ContentLength"] == len(FILM)
        assert s3.get_object(Bucket="images", Key="film.mp4", Range="bytes=3-6")["Body"].read() == FILM[3:7]
        shown = s3.generate_presigned_url("get_object", {"Bucket": "images", "Key": "film.mp4"}, ExpiresIn=60)
        assert shown.startswith(paired["s3"]["endpoint"])
        with pytest.raises(ClientError, match=r"SignatureDoesNotMatch|InvalidAccessKeyId|AccessDenied"):
            client_of(paired["s3"] | {"secret_key": "x" * 40}, tmp_path).list_objects_v2(Bucket="images")
        node.cli("device", "revoke", paired["id"])
        wait_until(lambda: refuses(s3), what="the end of the device's keys")


def client_of(keys: dict[str, str], folder: Path) -> Any:
    return boto3.client(
        "s3", endpoint_url=keys["endpoint"], aws_access_key_id=keys["access_key"], aws_secret_access_key=keys["secret_key"],
        region_name="us-east-1", config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        verify=str(folder / "cloud.pem"),
    )  # fmt: skip


def refuses(s3: Any) -> bool:
    try:
        s3.list_objects_v2(Bucket="images")
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    return False
