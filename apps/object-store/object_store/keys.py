"""S3 keys: each belongs to a holder (an app, a device, a person), can do one thing in one bucket, and ends with its
holder's right.

    issued    handed out by `issue-credentials`; its secret is in that answer alone
    signing   never leaves the store: it signs the addresses of one holder for one action in one bucket, so they end with it

A key is in the ledger before weed knows it, and it also ends in the ledger first: weed removes the keys that the ledger
has ended, and a starting weed refuses them from its first answer on. So after a kill at any point, no working key is
left without an entry by which it can be ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from object_store.flush import Flusher
from object_store.ledger import Credential, Ledger
from object_store.rights import Callers, rights_of, standing
from object_store.s3 import S3
from object_store.weed.identity import Identities, policy
from object_store.weed.secret import KeyPair, new_key_pair
from object_store.weed.server import Server
from pcloud.errors import Unavailable

__all__ = ["Ask", "Keys"]

Ask = Callable[[], Awaitable[Callers]]  # core: the callers and their actions now
_SIGNED = {"get-object": "read", "export": "read", "put-object": "write"}
_AT_ONCE = 8
_APPLIED = 30.0  # seconds until weed knows of a change, which takes milliseconds on an idle machine


class Keys:
    """`endpoint`: where clients reach S3. `identities`: weed's, while it runs; raises `Unavailable`."""

    def __init__(
        self, server: Server, endpoint: str, ledger: Ledger, flusher: Flusher,
        identities: Callable[[], Awaitable[Identities]], ask: Ask,
    ) -> None:  # fmt: skip
        self._server, self._endpoint, self._ledger, self._flusher = server, endpoint, ledger, flusher
        self._identities, self._ask = identities, ask
        self._callers: Callers = {}
        self._turn = asyncio.Lock()  # no key is made while others are being ended

    # Ending

    async def recall(self) -> None:
        """Ask core which callers have which rights, and note in the ledger which keys have ended by that; weed is not
        needed."""
        self._callers = await self._ask()
        found = [(key, standing(key.rights, self._callers.get(key.holder, {}))) for key in self._ledger.credentials()]
        self._ledger.end_credentials([key.access_key for key, rights in found if rights is None])
        for key, rights in found:
            if rights and rights != key.rights:
                self._ledger.set_rights(key.access_key, rights)

    async def check(self) -> None:
        """End the keys whose holder has lost the right: they are refused once this returns."""
        async with self._turn:
            await self.recall()
            await self._sweep()

    async def end(self, *, bucket: str = "", access_key: str = "") -> None:
        """End the keys of a bucket, or one key: refused once this returns."""
        async with self._turn:
            keys = self._ledger.credentials()
            self._ledger.end_credentials(
                [k.access_key for k in keys if k.bucket == bucket or k.access_key == access_key]
            )
            await self._sweep()

    async def sweep(self) -> None:
        """Remove from weed the keys that ended while it was away."""
        async with self._turn:
            await self._sweep()

    async def _sweep(self) -> None:
        if not (ended := self._ledger.ended()):
            return
        await self._flusher.durable()
        identities, room = await self._identities(), asyncio.Semaphore(_AT_ONCE)

        async def remove(key: Credential) -> None:
            async with room:
                await identities.remove(key.user)
                # With a wrong secret, weed's answer differs between a key that it knows and one that it doesn't.
                wrong = KeyPair(key.access_key, "?")
                await self._until(key, wrong, lambda refusal: "InvalidAccessKeyId" in refusal)
            self._ledger.remove_credential(key.access_key)

        done = await asyncio.gather(*(remove(key) for key in ended), return_exceptions=True)
        await self._flusher.durable()
        for error in done:
            if error is not None:
                raise error

    # Making

    async def rights(self, holder: str, actions: tuple[str, ...]) -> dict[str, int]:
        """Raises `Forbidden` if the holder lacks a right. Core is asked again before that: the right may be new."""
        if not set(actions) <= self._callers.get(holder, {}).keys():
            self._callers = await self._ask()
        return rights_of(self._callers, holder, actions)

    async def issue(self, name: str, wanted: Credential, actions: tuple[str, ...], may: set[str]) -> KeyPair:
        """A new key like `wanted`; `may`: see `policy`."""
        async with self._turn:
            rights = await self.rights(wanted.holder, actions)
            pair = new_key_pair()
            user = f"{name}-{pair.access_key[-8:]}"
            await self._make(replace(wanted, access_key=pair.access_key, user=user, rights=rights), pair, may)
        await self._flusher.durable()
        return pair

    async def signing(self, holder: str, action: str, bucket: str) -> S3:
        """S3 with the key that signs the holder's addresses for this action in this bucket."""
        async with self._turn:
            rights = await self.rights(holder, (action,))
            key = self._ledger.signing(holder, action, bucket)
            if key is not None and key.rights != rights:  # core's report that it has ended is on its way
                self._ledger.end_credentials([key.access_key])
                await self._sweep()
                key = None
            if key is None:
                pair = new_key_pair()
                user = f"signing-{pair.access_key[-8:]}"
                key = Credential(pair.access_key, user, bucket, "", False, "", holder, rights, pair.secret_key)
                await self._make(key, pair, {_SIGNED[action]})
        return S3(self._endpoint, self._server.settings.region, KeyPair(key.access_key, key.secret))

    async def _make(self, key: Credential, pair: KeyPair, may: set[str]) -> None:
        identities = await self._identities()
        self._ledger.begin_credential(key)
        await identities.add(key.user, pair, policy(key.bucket, key.prefix, may))
        await self._until(key, pair, lambda refusal: not refusal)
        self._ledger.hold_credential(key.access_key)

    async def _until(self, key: Credential, pair: KeyPair, settled: Callable[[str], bool]) -> None:
        """weed's S3 part learns of users a few milliseconds after the filer, and may apply an older change after a newer
        one: so two answers count."""
        client = S3(self._server.endpoint, self._server.settings.region, pair)
        try:
            async with asyncio.timeout(_APPLIED):
                agreed = 0
                while agreed < 2:
                    agreed = agreed + 1 if settled(await client.refusal(key.bucket, key.prefix)) else 0
                    await asyncio.sleep(0.01)
        except TimeoutError as error:
            raise Unavailable(f"weed has not applied the change of {key.user} yet: try again") from error
