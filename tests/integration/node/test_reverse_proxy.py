"""Behind nginx and Caddy, configured as docs/how-to/serve-over-https.md says: a browser's whole way over https."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from urllib.request import Request, urlopen

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
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
from tests.waiting import until

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "serve-over-https.md"
HERE = "127.0.0.2"  # where no other program takes a port meanwhile
CLIENT = "127.0.0.3"
DOCUMENTED = "cloud.example.org"
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


@asynccontextmanager
async def behind(name: str, folder: Path, trusted: str = "127.0.0.1") -> AsyncIterator[Behind]:
    with socket.socket() as free:
        free.bind((HERE, 0))
        port = free.getsockname()[1]
    url = f"https://{DOCUMENTED}:{port}"
    context = ssl.create_default_context(cafile=str(make_certificate(folder)))
    connector = aiohttp.TCPConnector(resolver=ToThisMachine(), ssl=context, local_addr=(CLIENT, 0))
    proxies = TrustedProxies((ip_network(trusted),))
    async with (
        open_front(Domains(DOCUMENTED, public=url), proxies) as front,
        aiohttp.ClientSession(connector=connector) as client,
    ):
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(PROXIES[name](folder, port, front.port), stderr=log, cwd=folder)
        try:

            async def answers() -> bool:
                assert process.poll() is None, (folder / "log").read_text()
                try:
                    async with client.get(f"{url}/healthz"):
                        return True
                except aiohttp.ClientConnectorError:
                    return False

            await until(answers)
            yield Behind(front, client, url)
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait)


@pytest.fixture(params=["nginx", "caddy"])
async def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Behind]:
    assert shutil.which(request.param), "run infra/set_up_tests.py"
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
    """A program on this machine can't have a browser's session go over plain http."""
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


async def test_proxy_that_drops_the_host_gets_an_error_that_says_so(cloud: Behind) -> None:
    as_proxied = {"Host": f"127.0.0.1:{cloud.front.port}", "X-Forwarded-Proto": "https"}
    async with cloud.front.request("/", headers=as_proxied) as answer:
        assert answer.status == 400 and "must pass on the `Host`" in await answer.text()


def test_node_with_a_public_address_prints_and_serves_it(tmp_path: Path) -> None:
    public = "https://cloud.example.org"
    with QuickNode(tmp_path / "node", "--public-url", public, "--trusted-proxy", "127.0.0.1") as node:
        assert node.address == public and node.link.startswith(f"{public}/signin?code=")
        assert node.json("signin-link", "--json")["link"].startswith(f"{public}/signin?code=")
        assert node.json("device", "pair", "--metrics", "--json")["metrics"] == f"{public}/metrics"
        request = Request(f"http://{node.listens}/signin")
        for name, value in {"Host": "cloud.example.org", "X-Forwarded-Proto": "https"}.items():
            request.add_header(name, value)
        with urlopen(request, timeout=60) as answer:
            assert answer.headers["Strict-Transport-Security"]
